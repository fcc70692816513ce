//! Rows that this version cannot read.

use super::super::record;
use super::*;
use crate::storage::{
    codec::Stored,
    quarantine::{Unreadable, report, tests::expect_unreadable},
};
use ic_stable_structures::Storable;

/// A row of a later version.
const LATER: [u8; 3] = [2, 0xff, 0];

/// Replaces the row of this payment by one that cannot be read.
pub(crate) fn corrupt(key: &ClaimKey) {
    expect_unreadable();
    TABLES.with_borrow_mut(|tables| {
        let later = LATER.to_vec();
        if tables.open_payments.contains_key(&key.0) {
            tables
                .open_payments
                .insert(key.0, Stored::Unreadable(later));
        } else if let Some(index) = tables.index_of(key) {
            tables.deliveries.insert(index, Stored::Unreadable(later));
        } else {
            tables.failures.insert(key.0, Stored::Unreadable(later));
        }
    });
    reload();
}

fn is_kept(key: &ClaimKey) -> bool {
    with(|tables| {
        let index = tables.index_of(key).unwrap_or(u64::MAX);
        let rows = [
            tables.open_payments.get(&key.0).map(|row| row.into_bytes()),
            tables.deliveries.get(&index).map(|row| row.into_bytes()),
            tables.failures.get(&key.0).map(|row| row.into_bytes()),
        ];
        rows.into_iter().flatten().eq([LATER.to_vec()])
    })
}

/// Open, settled and failed payments: of each kind one that can be read and one that cannot.
fn corrupted() -> [ClaimKey; 3] {
    set_up();
    for n in 1..=6 {
        record(&key(n), new(n), NOW).unwrap();
    }
    for n in [2, 5] {
        let tx = TxRef::Block(BlockIndex(n.into()));
        record(&key(n), event(Event::Moved { tx }), NOW).unwrap();
    }
    for n in [3, 6] {
        record(&key(n), event(Event::NotMoved(failure())), NOW).unwrap();
    }
    let keys = [1, 2, 3].map(key);
    keys.iter().for_each(corrupt);
    keys
}

#[test]
fn should_leave_rows_in_quarantine_out_of_lists_and_keep_their_keys_used() {
    let keys = corrupted();
    for (n, key) in (1..).zip(&keys) {
        assert_eq!(find(key), Err(Unreadable));
        assert_eq!(by_key(key), None);
        assert_eq!(by_id(&payment(n, 1).id), None);
        assert_eq!(opened(key), None);
        assert_eq!(due_at(key), None);
    }
    let readable = |payments: Vec<Payment>, n| {
        assert_eq!(payments.len(), 1);
        assert_eq!(payments[0].id, payment(n, 1).id);
    };
    readable(open(0, 9), 4);
    let second = |page: Vec<(u64, Payment)>| page.into_iter().map(|(_, payment)| payment).collect();
    readable(second(page(0, 9)), 5);
    readable(second(failures(0, 9)), 6);
    assert_eq!(settling(), vec![key(4)]);
    assert!(
        in_lane(Lane::Open, None, 9)
            .iter()
            .all(|(of, _)| *of == key(4))
    );
}

#[test]
fn should_change_nothing_of_rows_in_quarantine() {
    let keys = corrupted();
    let [open, settled, failed] = keys;
    let retry = || Change::Event(Event::Retried);
    assert_eq!(record(&open, retry(), NOW), Err(Unreadable.into()));
    assert_eq!(record(&open, new(1), NOW), Err(Unreadable.into()));
    let delivered = Change::Event(Event::Delivered);
    assert_eq!(record(&settled, delivered, NOW), Err(Unreadable.into()));
    // Readable failures are removed in time; this one is not.
    assert_eq!(find(&failed), Err(Unreadable));
    TABLES.with_borrow_mut(|tables| {
        assert!(!tables.oldest_failure_is_valid(NOW));
        tables.forget_failure();
        tables.forget_failure();
    });
    assert_eq!(failures(0, 9), []);
    assert_eq!(find(&key(6)), Ok(None));
    assert!(keys.iter().all(is_kept));
}

#[test]
fn should_name_rows_in_quarantine_in_the_audit_log() {
    corrupted();
    report(NOW);
    report(NOW);
    let subjects: Vec<String> = audit::admin_after(0, 9)
        .into_iter()
        .filter(|entry| entry.action == "row_unreadable")
        .map(|entry| entry.subject)
        .collect();
    assert_eq!(subjects.len(), 3, "{subjects:?}");
    assert!(subjects[0].starts_with("open payment "), "{subjects:?}");
    assert_eq!(subjects[1], "settled payment 1");
    assert!(subjects[2].starts_with("failure "), "{subjects:?}");
}

#[test]
#[should_panic(expected = "BUG: the row of failure")]
fn should_not_pass_over_an_unreadable_row_in_a_test() {
    set_up();
    TABLES.with_borrow_mut(|tables| {
        tables
            .failures
            .insert([1; 16], Stored::Unreadable(LATER.to_vec()));
    });
    let _ = find(&ClaimKey([1; 16]));
}
