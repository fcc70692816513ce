//! Tests of the tables of invoices.

use super::*;
use crate::{
    domain::{
        invoice::{Made, Stage},
        payment::Offered,
    },
    types::{Account, Amount, BlockIndex, Method, RouteKey, Seconds},
};

const NOW: TimestampNs = TimestampNs(1_800_000_000_000_000_000);

/// Reads the tables again, as after an upgrade.
pub(crate) fn reload() {
    HEAP.with_borrow_mut(|heap| {
        heap.invoices = Table::load(memory::INVOICES, heap.invoices.summary);
        heap.returns = Table::load(memory::RETURNS, heap.returns.summary);
        heap.busy.clear();
        (heap.created, heap.lookups) = Default::default();
    });
}

fn id(n: u64) -> InvoiceId {
    let mut id = [7; 32];
    id[..8].copy_from_slice(&n.to_be_bytes());
    InvoiceId(id)
}

fn invoice(stage: Stage) -> Invoice {
    Invoice {
        ledger: Principal::from_slice(&[7, 0]),
        request: RouteKey::new(Method::Get, "/a"),
        offered: Offered {
            id: [1; 16],
            symbol: "T0".into(),
            decimals: 6,
        },
        price: Amount(u128::MAX / 2),
        fee: Amount(10),
        pay_to: Account::from(Principal::from_slice(&[9; 29])),
        refund_to: Some(Account {
            owner: Principal::from_slice(&[8; 29]),
            subaccount: Some([1; 32]),
        }),
        created_at: NOW,
        stage,
        since: NOW,
        attempts: 2,
        balance: Amount(3),
        read_at: Some(NOW),
        unanswered: 4,
        due: Some(NOW.plus(Seconds(5))),
    }
}

fn returning(due: Option<TimestampNs>) -> Return {
    let to = Account::from(Principal::from_slice(&[8; 29]));
    Return {
        amount: Amount(5),
        number: 3,
        failures: 1,
        due,
        made: Some(Made {
            block: BlockIndex(4),
            amount: Amount(6),
            at: NOW,
        }),
        ..Return::new(to, NOW)
    }
}

#[test]
fn rows_are_read_back_after_an_upgrade_with_what_is_due() {
    let (one, two) = (invoice(Stage::Open), invoice(Stage::Short));
    let ledger = one.ledger;
    assert!(put(&id(1), &one) && put(&id(2), &two));
    let pending = returning(Some(NOW));
    assert!(put_return(&id(2), &ledger, &pending));
    for _ in 0..2 {
        assert_eq!(
            (get(&id(1)), get(&id(2))),
            (Some(one.clone()), Some(two.clone()))
        );
        assert_eq!(returned(&id(2), &ledger), Some(pending.clone()));
        assert_eq!(returned(&id(1), &ledger), None);
        assert_eq!(next_due(), Some(NOW));
        assert_eq!(returns_due(NOW, 9), [(id(2), ledger)]);
        assert_eq!(due(NOW, 9), []);
        assert_eq!(due(NOW.plus(Seconds(5)), 9).len(), 2);
        assert_eq!(open_in(&ledger), (1, 1));
        reload();
    }
    let mut done = two;
    done.due = None;
    put(&id(2), &done);
    put_return(&id(2), &ledger, &returning(None));
    put(&id(1), &invoice(Stage::Paid));
    assert_eq!(open_in(&ledger), (0, 0));
    assert_eq!(returns_due(NOW, 9), []);
}

#[test]
fn attack_a_full_table_drops_the_oldest_ended_invoice_and_no_open_one() {
    let mut ended = invoice(Stage::Expired);
    ended.due = None;
    for n in 0..MAX_INVOICES {
        assert!(put(&id(n), &invoice(Stage::Open)));
    }
    assert!(
        !put(&id(MAX_INVOICES), &invoice(Stage::Open)),
        "all are open"
    );
    assert!(put(
        &id(3),
        &Invoice {
            balance: Amount(900),
            ..ended.clone()
        }
    ));
    assert!(put(
        &id(4),
        &Invoice {
            since: NOW.plus(Seconds(1)),
            ..ended.clone()
        }
    ));
    assert!(put(&id(5), &ended));
    // Empty accounts first, then by age.
    for (n, gone) in (MAX_INVOICES..).zip([5, 4, 3]) {
        assert!(put(&id(n), &invoice(Stage::Open)));
        assert_eq!(get(&id(gone)), None);
        assert!(get(&id(0)).is_some());
    }
    assert!(!put(&id(MAX_INVOICES + 3), &invoice(Stage::Open)));
    // What is there can be changed.
    assert!(put(&id(0), &invoice(Stage::Collecting)));
}

#[test]
fn one_message_at_a_time_works_on_an_invoice() {
    let ledger = Principal::from_slice(&[7, 0]);
    let mut busy = Busy::begin(id(1)).unwrap();
    assert!(Busy::begin(id(1)).is_none());
    assert!(busy.take_place(ledger, NOW));
    drop(Busy::begin(id(2)).unwrap());
    drop(busy);
    assert!(Busy::begin(id(1)).is_some());
}

/// Removes an invoice, as a full table does.
pub(crate) fn forget(id: &InvoiceId) {
    HEAP.with_borrow_mut(|heap| {
        if let Some(row) = heap.invoices.rows.remove(&key(id)) {
            heap.invoices.forget(key(id), &row);
        }
    });
}
