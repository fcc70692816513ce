//! The audit log: transitions of payments and administrative actions, in order.
//!
//! It is two rings of fixed size, so that it cannot fill the canister: the newest 131,072 transitions of payments and
//! the newest 8,192 administrative actions. It is evidence only: nothing is computed from it. The number of an entry is
//! one more than the number of entries written before it.

use crate::{
    domain::template::MAX_PATH_BYTES,
    storable_row,
    storage::{codec::StoredPrincipal, counters, memory},
    types::{PaymentId, TimestampNs},
};
use candid::Principal;
use ic_stable_structures::{StableVec, Storable};
use minicbor::{Decode, Encode};
use std::{cell::RefCell, collections::BTreeMap};

/// Transitions of payments that are kept.
pub const PAYMENT_ENTRIES: u64 = 131_072;
/// Administrative actions that are kept.
pub const ADMIN_ENTRIES: u64 = 8_192;
/// Entries that one caller can add in a day with actions that can be repeated without limit.
pub const DAILY_ENTRIES: u64 = 512;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Transition {
    /// Recorded as open; the ledger is called for the first time.
    Opened,
    /// The ledger is called again.
    Retried,
    /// Settled in this block, and not delivered yet.
    Settled(u64),
    /// Failed; the number is that of the failure in storage.
    Failed(u8),
    /// Unknown; the number is that of the doubt in storage.
    Unknown(u8),
    /// Delivered; the payment is in this block.
    Delivered(u64),
    /// To be refunded; the number is that of the cause in storage.
    RefundDue(u8),
    /// The ledger is called for the refund.
    RefundTried,
    /// The refund was not made; the number is that of the problem in storage.
    RefundFailed(u8),
    /// Refunded in this block.
    Refunded(u64),
    /// The canister that does the work is called.
    WorkCalled,
    /// The work was not done; the number is that of the problem in storage.
    WorkFailed(u8),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PaymentEntry {
    /// From 1.
    pub number: u64,
    pub at: TimestampNs,
    /// The first half of the payment id.
    pub payment: [u8; 16],
    pub transition: Transition,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AdminEntry {
    /// From 1.
    pub number: u64,
    pub at: TimestampNs,
    pub caller: Principal,
    /// The name of the method, or `install` or `upgrade`.
    pub action: String,
    /// The object of the action. Longer texts than [`MAX_SUBJECT_BYTES`] are cut; there are none.
    pub subject: String,
}

/// The longest subject of an administrative action, in bytes: the longest method, a space, and the longest path of a
/// route. A withdrawal has 242 bytes at most: ledger, amount, and an account with a subaccount.
pub const MAX_SUBJECT_BYTES: usize = "DELETE ".len() + MAX_PATH_BYTES;

#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
struct PaymentRow {
    #[n(0)]
    at: u64,
    #[cbor(n(1), with = "minicbor::bytes")]
    payment: [u8; 16],
    #[n(2)]
    kind: u8,
    #[n(3)]
    value: u64,
}

// A version byte, an array's head, and at most 9 + 17 + 1 + 9 bytes: kinds are below 24.
storable_row!(PaymentRow, max 38);

#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
struct AdminRow {
    #[n(0)]
    at: u64,
    #[n(1)]
    caller: StoredPrincipal,
    #[n(2)]
    action: String,
    #[n(3)]
    subject: String,
}

// A version byte, an array's head, and at most 9 + 31 + 25 + 3 + 263 bytes.
storable_row!(AdminRow, max 336);

impl PaymentEntry {
    /// `None` if this version does not know the kind of transition.
    fn new((number, row): (u64, PaymentRow)) -> Option<Self> {
        let small = row.value as u8;
        Some(PaymentEntry {
            number,
            at: TimestampNs(row.at),
            payment: row.payment,
            transition: match row.kind {
                0 => Transition::Opened,
                1 => Transition::Retried,
                2 => Transition::Settled(row.value),
                3 => Transition::Failed(small),
                4 => Transition::Unknown(small),
                5 => Transition::Delivered(row.value),
                6 => Transition::RefundDue(small),
                7 => Transition::RefundTried,
                8 => Transition::RefundFailed(small),
                9 => Transition::Refunded(row.value),
                10 => Transition::WorkCalled,
                11 => Transition::WorkFailed(small),
                _ => return None,
            },
        })
    }
}

impl From<(u64, AdminRow)> for AdminEntry {
    fn from((number, row): (u64, AdminRow)) -> Self {
        AdminEntry {
            number,
            at: TimestampNs(row.at),
            caller: row.caller.0,
            action: row.action,
            subject: row.subject,
        }
    }
}

type Ring<T> = StableVec<T, memory::Memory>;

thread_local! {
    static PAYMENTS: RefCell<Ring<PaymentRow>> =
        RefCell::new(StableVec::init(memory::get(memory::AUDIT_PAYMENTS)));
    static ADMIN: RefCell<Ring<AdminRow>> =
        RefCell::new(StableVec::init(memory::get(memory::AUDIT_ADMIN)));
}

thread_local! {
    /// Heap only: an upgrade resets the daily counts. Only a controller can upgrade.
    static TODAY: RefCell<BTreeMap<Principal, Today>> = RefCell::default();
}

/// Writes entry `number` (from 1) to a ring that keeps the newest `size`.
fn write<T: Storable>(ring: &Ring<T>, number: u64, size: u64, row: &T) {
    let slot = (number - 1) % size;
    if slot < ring.len() {
        ring.set(slot, row);
    } else {
        ring.push(row);
    }
}

/// The entries after `after`, oldest first, out of `written` in a ring that keeps the newest `size`.
fn page<T: Storable>(
    ring: &Ring<T>,
    written: u64,
    size: u64,
    after: u64,
    limit: usize,
) -> Vec<(u64, T)> {
    let oldest = written.saturating_sub(size);
    (after.max(oldest)..written)
        .take(limit)
        .filter_map(|before| Some((before + 1, ring.get(before % size)?)))
        .collect()
}

/// Records a transition of a payment.
pub(super) fn payment(id: &PaymentId, transition: Transition, now: TimestampNs) {
    let (kind, value) = match transition {
        Transition::Opened => (0, 0),
        Transition::Retried => (1, 0),
        Transition::Settled(block) => (2, block),
        Transition::Failed(failure) => (3, failure.into()),
        Transition::Unknown(doubt) => (4, doubt.into()),
        Transition::Delivered(block) => (5, block),
        Transition::RefundDue(cause) => (6, cause.into()),
        Transition::RefundTried => (7, 0),
        Transition::RefundFailed(problem) => (8, problem.into()),
        Transition::Refunded(block) => (9, block),
        Transition::WorkCalled => (10, 0),
        Transition::WorkFailed(problem) => (11, problem.into()),
    };
    let mut payment = [0; 16];
    payment.copy_from_slice(&id.0[..16]);
    let number = counters::next_audit_payment();
    let row = PaymentRow {
        at: now.0,
        payment,
        kind,
        value,
    };
    PAYMENTS.with_borrow(|ring| write(ring, number, PAYMENT_ENTRIES, &row));
}

/// Actions that can be repeated without limit: those of operators, and those caused by answers of ledgers.
const REPEATABLE: [&str; 6] = [
    "route_put",
    "route_remove",
    "content_commit",
    "fee_learnt",
    "fee_zero_named",
    "notification_dropped",
];

/// The repeatable actions that one caller added today.
struct Today {
    day: u64,
    entries: u64,
    /// The number of the latest entry.
    latest: u64,
}

/// The number for a caller's next action: a new one, or the caller's latest when the limit of the day is reached.
fn next_number(caller: Principal, action: &str, now: TimestampNs) -> u64 {
    if !REPEATABLE.contains(&action) {
        return counters::next_audit_admin();
    }
    let day = now.seconds() / 86_400;
    TODAY.with_borrow_mut(|callers| {
        callers.retain(|_, today| today.day == day);
        let today = callers.entry(caller).or_insert(Today {
            day,
            entries: 0,
            latest: 0,
        });
        let (_, written) = counters::audited();
        let kept = today.latest > written.saturating_sub(ADMIN_ENTRIES);
        if today.entries >= DAILY_ENTRIES && kept {
            return today.latest;
        }
        today.entries += 1;
        today.latest = counters::next_audit_admin();
        today.latest
    })
}

/// Records an administrative action.
///
/// Each caller adds at most [`DAILY_ENTRIES`] a day of the actions that can be repeated without limit. Later ones of
/// the day replace the caller's latest. One operator therefore needs sixteen days to push the controllers' entries out
/// of the ring.
pub fn admin(caller: Principal, action: &'static str, subject: &str, now: TimestampNs) {
    let end = (0..=MAX_SUBJECT_BYTES.min(subject.len()))
        .rev()
        .find(|end| subject.is_char_boundary(*end))
        .unwrap_or(0);
    let number = next_number(caller, action, now);
    let row = AdminRow {
        at: now.0,
        caller: StoredPrincipal(caller),
        action: action.into(),
        subject: subject[..end].into(),
    };
    ADMIN.with_borrow(|ring| write(ring, number, ADMIN_ENTRIES, &row));
}

/// Transitions after the one numbered `after`, oldest first.
pub fn payments_after(after: u64, limit: usize) -> Vec<PaymentEntry> {
    let (written, _) = counters::audited();
    let rows = PAYMENTS.with_borrow(|ring| page(ring, written, PAYMENT_ENTRIES, after, limit));
    rows.into_iter().filter_map(PaymentEntry::new).collect()
}

/// Administrative actions after the one numbered `after`, oldest first.
pub fn admin_after(after: u64, limit: usize) -> Vec<AdminEntry> {
    let (_, written) = counters::audited();
    let rows = ADMIN.with_borrow(|ring| page(ring, written, ADMIN_ENTRIES, after, limit));
    rows.into_iter().map(AdminEntry::from).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        domain::origin::MAX_ORIGIN_BYTES,
        types::{Account, Method, RouteKey},
    };

    #[test]
    fn the_ring_keeps_the_newest_and_stays_in_order() {
        let caller = Principal::from_slice(&[255; 29]);
        let subject = "ü".repeat(MAX_SUBJECT_BYTES);
        for n in 0..ADMIN_ENTRIES + 10 {
            admin(
                caller,
                "ledger_enable_or_whatever",
                &subject,
                TimestampNs(n),
            );
        }
        let page = admin_after(0, 5);
        assert_eq!(page[0].number, 11);
        assert_eq!(page.len(), 5);
        assert_eq!(page[0].subject, "ü".repeat(MAX_SUBJECT_BYTES / 2));
        let last = admin_after(ADMIN_ENTRIES + 8, 100);
        let numbers: Vec<u64> = last.iter().map(|entry| entry.number).collect();
        assert_eq!(numbers, [ADMIN_ENTRIES + 9, ADMIN_ENTRIES + 10]);
        assert_eq!(admin_after(u64::MAX, 5), vec![]);
    }

    #[test]
    fn the_longest_subjects_are_kept_whole() {
        let longest = Principal::from_slice(&[255; 29]);
        let account = Account {
            owner: longest,
            subaccount: Some([255; 32]),
        };
        let path = format!("/{}", "x".repeat(MAX_PATH_BYTES - 1));
        let subjects = [
            RouteKey::new(Method::Delete, path).to_string(),
            format!("{longest} {} to {account}", u128::MAX),
            account.to_string(),
            format!("https://{}", "x".repeat(MAX_ORIGIN_BYTES - 8)),
            format!("{} moved in block {}", PaymentId([255; 32]), u64::MAX),
            format!("{longest}: its log has {} blocks", u64::MAX),
        ];
        let bytes = subjects.iter().map(String::len);
        assert_eq!(bytes.max(), Some(MAX_SUBJECT_BYTES));
        for subject in &subjects {
            admin(longest, "highest_block_forgotten", subject, TimestampNs(1));
        }
        let kept = admin_after(0, 100).into_iter().map(|entry| entry.subject);
        assert_eq!(kept.collect::<Vec<_>>(), subjects);
    }

    #[test]
    fn an_operator_does_not_roll_the_log() {
        let (controller, operator) = (Principal::from_slice(&[1]), Principal::from_slice(&[2]));
        let now = TimestampNs(86_400_000_000_000);
        admin(controller, "pay_to_set", "somebody", now);
        for n in 0..2 * ADMIN_ENTRIES {
            admin(operator, "route_put", &n.to_string(), now);
        }
        let entries = admin_after(0, 10_000);
        assert_eq!(entries.len() as u64, DAILY_ENTRIES + 1);
        assert_eq!(entries[0].action, "pay_to_set");
        let latest = entries.last().map(|entry| entry.subject.clone());
        assert_eq!(latest, Some((2 * ADMIN_ENTRIES - 1).to_string()));
        // Another caller, and the same caller on the next day, have their own limit.
        admin(controller, "route_put", "", now);
        admin(operator, "route_put", "", TimestampNs(2 * now.0));
        let (_, written) = counters::audited();
        assert_eq!(written, DAILY_ENTRIES + 3);
    }

    #[test]
    fn transitions_are_read_back_and_fit_their_slot() {
        let id = PaymentId([255; 32]);
        let all = [
            Transition::Opened,
            Transition::Retried,
            Transition::Settled(u64::MAX),
            Transition::Failed(3),
            Transition::Unknown(255),
            Transition::Delivered(u64::MAX),
            Transition::RefundDue(1),
            Transition::RefundTried,
            Transition::RefundFailed(2),
            Transition::Refunded(u64::MAX),
        ];
        for transition in all {
            payment(&id, transition, TimestampNs(u64::MAX));
        }
        let read: Vec<Transition> = payments_after(0, 10)
            .iter()
            .map(|entry| entry.transition)
            .collect();
        assert_eq!(read, all);
        let largest = PaymentRow {
            at: u64::MAX,
            payment: [255; 16],
            kind: 23,
            value: u64::MAX,
        };
        assert_eq!(largest.to_bytes_checked().len(), 38);
    }
}
