//! Payments: open, settled, and the latest failures.
//!
//! | table | key | what | size |
//! |---|---|---|---|
//! | open payments | claim key | being settled or unknown | at most [`MAX_OPEN`](capacity::MAX_OPEN), and [`MAX_LAPSED`](capacity::MAX_LAPSED) that have lapsed |
//! | settled payments | sequence | the money moved; append-only, never changed | at most `max_payments` |
//! | deliveries | sequence | the state of settled payments that were not delivered at once | as the settled payments |
//! | by nonce, by id | 16 bytes | sequence of the settled payment | as the settled payments |
//! | failures | claim key | the latest failures, for payers who ask for the reason | [`MAX_FAILURES`], and those whose authorizations are valid |
//!
//! A payment takes one insertion into the small table of open payments and one removal from it, one append to the
//! settled payments (constant work), one insertion into each of two indexes of 24-byte entries (logarithmic, with a
//! small factor), and the claim of its block (`storage::claims`).
//!
//! A nonce is used while an open payment, a settled payment or a failure holds it. Only the oldest failures are
//! removed, and only after their authorizations have expired. The table therefore stays bounded.
//!
//! The heap keeps a schedule of the payments that something is due for ([`due`], [`postpone`]).

mod counts;
mod failures;
mod receipts;
mod rows;
mod schedule;
mod tables;

pub use crate::domain::window::backoff;
use crate::{
    domain::{
        capacity::{self, Load, MAX_VALID_FAILURES},
        payment::{Event, IllegalTransition, Payment, State},
        rail::TxRef,
        receipt_log::Witness,
    },
    storage::{ledgers, quarantine::Unreadable},
    types::{BlockIndex, ClaimKey, PaymentId, TimestampNs},
};
use candid::Principal;
use ic_certification::Hash;
pub use receipts::receipt;
pub use schedule::{Lane, NO_ANSWER};
use std::cell::RefCell;
use tables::{Tables, half};

/// The failures that are kept. Those of valid authorizations are kept beyond this number: they could be presented
/// again, and a payer who signed a new one would pay twice.
pub const MAX_FAILURES: u64 = 32_768;
/// The most expired failures that are removed when one is added. The table shrinks, and no message runs out of
/// instructions.
pub const MAX_FORGOTTEN_AT_ONCE: u64 = 8;

/// A payment that is about to be opened. Its state is ignored.
#[derive(Clone, Debug, PartialEq)]
pub struct NewPayment {
    pub payment: Payment,
    /// `validBefore` of the authorization, in seconds.
    pub valid_before: u64,
    /// The highest known block of the ledger.
    pub known_block: Option<BlockIndex>,
}

/// The data of an open payment beside the payment itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Opening {
    /// `validBefore` of the authorization, in seconds.
    pub valid_before: u64,
    /// The highest block of the ledger that was known when the payment was opened, if any.
    pub known_block: Option<BlockIndex>,
    /// The time of the latest call to the ledger, or of the latest unclear answer.
    pub tried_at: TimestampNs,
}

#[derive(Clone, Debug, PartialEq)]
pub enum Change {
    /// The payment is recorded as open before the ledger is called: [`Event::Opened`], [`Event::Called`].
    Open(Box<NewPayment>),
    /// A payment that was made before this canister heard of it: opened, called and moved, and then this event, if any.
    Proved(Box<NewPayment>, TxRef, Option<Event>),
    /// One event.
    Event(Event),
    /// Two events in one message, recorded in one write.
    Both(Event, Event),
}

impl Change {
    /// The events in their order, and the payment if it is a new one.
    fn parts(self) -> (Vec<Event>, Option<Box<NewPayment>>) {
        match self {
            Change::Open(new) => (vec![Event::Opened, Event::Called], Some(new)),
            Change::Proved(new, tx, last) => {
                let moved = [Event::Opened, Event::Called, Event::Moved { tx }];
                (moved.into_iter().chain(last).collect(), Some(new))
            }
            Change::Event(event) => (vec![event], None),
            Change::Both(first, second) => (vec![first, second], None),
        }
    }
}

/// A change could not be recorded. Nothing changed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RecordError {
    /// The event does not fit the payment's state.
    #[error(transparent)]
    Illegal(#[from] IllegalTransition),
    #[error("the ledger is not registered")]
    UnknownLedger,
    #[error("the block shows another transfer")]
    Claimed,
    #[error("stable memory is full")]
    Full,
    /// The payment's row cannot be read, and stays as it is.
    #[error(transparent)]
    Unreadable(#[from] Unreadable),
}

thread_local! {
    static TABLES: RefCell<Tables> = RefCell::new(Tables::load());
}

fn with<T>(f: impl FnOnce(&Tables) -> T) -> T {
    TABLES.with_borrow(f)
}

/// Records a change of a payment's state. There is no other way to change one.
///
/// Runs the state machine, writes the tables that the new state belongs to, and records the transition in the audit
/// log. Returns the payment in its new state.
pub fn record(key: &ClaimKey, change: Change, now: TimestampNs) -> Result<Payment, RecordError> {
    TABLES.with_borrow_mut(|tables| tables.record(key, change, now))
}

/// The payment that uses this nonce.
pub fn by_key(key: &ClaimKey) -> Option<Payment> {
    find(key).ok().flatten()
}

/// As [`by_key`], with an error if the payment's row cannot be read. The key is used in that case, too.
pub fn find(key: &ClaimKey) -> Result<Option<Payment>, Unreadable> {
    with(|tables| tables.find(key))
}

/// The payment with this id; the latest failure if it is neither settled nor open.
pub fn by_id(id: &PaymentId) -> Option<Payment> {
    let half = half(id);
    let payment = with(|tables| {
        if let Some(index) = tables.index_of_id(id) {
            return tables.settled(index).ok();
        }
        let open = tables.open.iter().find(|(_, info)| info.id == *id);
        let key = open.map(|(key, _)| key);
        let key = key.or_else(|| tables.failed_ids.get(&half))?;
        tables.find(&ClaimKey(*key)).ok().flatten()
    })?;
    // Two ids may share their first half.
    (payment.id == *id).then_some(payment)
}

/// The settled payment with this id, and its index among the settled ones, from 0.
pub fn settled_by_id(id: &PaymentId) -> Option<(u64, Payment)> {
    with(|tables| {
        let index = tables.index_of_id(id)?;
        let payment = tables.settled(index).ok()?;
        (payment.id == *id).then_some((index, payment))
    })
}

/// The number of receipts, and the root of their log; `None` if there is none.
pub fn receipts_root() -> (u64, Option<Hash>) {
    with(|tables| tables.receipts.root())
}

/// Writes the log when it had this many receipts, with everything pruned but this one, of the settled payment with this
/// index. `None` if it had no such receipt, or a payment that is needed cannot be read.
pub fn receipt_witness(
    index: u64,
    receipt: &Hash,
    receipts: u64,
    to: &mut impl Witness,
) -> Option<()> {
    with(|tables| {
        let settled = |index| tables.settled.get(index)?.row()?.payment(None);
        let log = &tables.receipts;
        log.witness(index, receipt, receipts, settled, to)
    })
}

/// The claim key of an open payment with this id.
pub fn open_key(id: &PaymentId) -> Option<ClaimKey> {
    with(|tables| {
        let (key, _) = tables.open.iter().find(|(_, info)| info.id == *id)?;
        Some(ClaimKey(*key))
    })
}

/// The claim key of a payment that was settled and not delivered at once.
pub fn key_of(id: &PaymentId) -> Option<ClaimKey> {
    with(|tables| {
        let index = tables.index_of_id(id)?;
        let key = tables.deliveries.get(&index)?.row()?.key();
        (tables.settled(index).ok()?.id == *id).then_some(key)
    })
}

/// Settled payments with a sequence greater than `after` (from 1), with their sequence.
pub fn page(after: u64, limit: usize) -> Vec<(u64, Payment)> {
    with(|tables| {
        (after..tables.settled.len())
            .take(limit)
            .filter_map(|index| Some((index + 1, tables.settled(index).ok()?)))
            .collect()
    })
}

impl Tables {
    /// Updates whether the refund of this settled payment waits for a controller or is left to the merchant.
    fn note_waiting(&mut self, index: u64, state: &State) {
        match state.is_waiting() {
            true => self.waiting.insert(index),
            false => self.waiting.remove(&index),
        };
    }
}

/// Payments whose refunds wait for a controller or are left to the merchant, with a sequence greater than `after`, with
/// their sequence.
pub fn waiting(after: u64, limit: usize) -> Vec<(u64, Payment)> {
    with(|tables| {
        let waiting = tables.waiting.range(after..).take(limit);
        waiting
            .filter_map(|index| Some((index + 1, tables.settled(*index).ok()?)))
            .collect()
    })
}

/// A page of the payments that are being settled or unknown, in no particular order.
pub fn open(skip: usize, limit: usize) -> Vec<Payment> {
    with(|tables| {
        let page = tables.open_payments.keys().skip(skip).take(limit);
        page.filter_map(|key| Some(tables.opened(&ClaimKey(key)).ok()??.0))
            .collect()
    })
}

/// The index of this payment among the settled ones, from 0.
pub fn settled_index(key: &ClaimKey) -> Option<u64> {
    with(|tables| tables.index_of(key))
}

/// The latest failures with a number greater than `after`, with their number.
pub fn failures(after: u64, limit: usize) -> Vec<(u64, Payment)> {
    with(|tables| {
        tables
            .failures_by_number
            .range(after.saturating_add(1)..)
            .take(limit)
            .filter_map(|entry| {
                let payment = tables.failed(&ClaimKey(entry.value())).ok()??;
                Some((*entry.key(), payment))
            })
            .collect()
    })
}

pub fn settled_count() -> u64 {
    with(|tables| tables.settled.len())
}

/// The counts and limits that a new payment of this payer in this ledger is checked against.
pub fn load(payer: &Principal, ledger: &Principal, now: TimestampNs) -> Load {
    let (lapsed, _) = with(|tables| tables.lapsed(ledger));
    with(|tables| Load {
        lapsed,
        failures_full: tables.failures_by_number.len() >= MAX_VALID_FAILURES
            && tables.oldest_failure_is_valid(now),
        settled: tables.settled.len(),
        open: (tables.open.len() as u64).saturating_sub(lapsed),
        open_of_payer: tables
            .open_per_payer
            .get(payer)
            .copied()
            .unwrap_or_default(),
        settling_of_payer: tables
            .settling_per_payer
            .get(payer)
            .copied()
            .unwrap_or_default(),
        open_of_ledger: tables
            .open_per_ledger
            .get(ledger)
            .copied()
            .unwrap_or_default(),
        failing_payer: tables.failing.contains(payer, now),
        settling: tables.health.values().map(|ledger| ledger.settling).sum(),
        only_ledger: ledgers::only_one_is_enabled(),
        ledger: tables.health.get(ledger).copied().unwrap_or_default(),
    })
}

/// Whether one more payment of this ledger may lapse.
pub fn may_lapse(ledger: &Principal) -> bool {
    let (all, of_ledger) = with(|tables| tables.lapsed(ledger));
    capacity::may_lapse(all, of_ledger)
}

/// Whether a payment for this response is open or undelivered, including those whose refund waits for a controller.
pub fn awaits(response: u32) -> bool {
    with(|tables| tables.awaited.contains_key(&response))
}

/// The claim keys of the payments that are being settled now.
pub fn settling() -> Vec<ClaimKey> {
    with(|tables| {
        tables
            .open_payments
            .keys()
            .map(ClaimKey)
            .filter(|key| {
                let opened = tables.opened(key).ok().flatten();
                opened.is_some_and(|(payment, _)| matches!(payment.state, State::Settling { .. }))
            })
            .collect()
    })
}

/// The claim keys of the payments whose work is being done now.
pub fn working() -> Vec<ClaimKey> {
    let works = in_lane(Lane::Work, None, usize::MAX);
    let working = works
        .into_iter()
        .filter(|(_, payment)| matches!(payment.state, State::Working { .. }));
    working.map(|(key, _)| key).collect()
}

/// The number of payments opened since the last upgrade.
pub fn openings() -> u64 {
    with(|tables| tables.openings)
}

/// The open payments that were opened after the first `openings`.
pub fn opened_since(openings: u64) -> Vec<Payment> {
    with(|tables| {
        let since = tables
            .open
            .iter()
            .filter(|(_, info)| info.number > openings);
        since
            .filter_map(|(key, _)| Some(tables.opened(&ClaimKey(*key)).ok()??.0))
            .collect()
    })
}

/// An open payment with its opening data.
pub fn opened(key: &ClaimKey) -> Option<(Payment, Opening)> {
    with(|tables| tables.opened(key)).ok().flatten()
}

/// The first payments in this lane for which something is due, longest due first.
pub fn due(lane: Lane, now: TimestampNs, limit: usize) -> Vec<ClaimKey> {
    with(|tables| tables.schedule.due(lane, now, limit))
}

/// The open payments of this ledger for which something is due, longest due first. Payments of other ledgers are not
/// read, and do not displace them.
pub fn due_in_ledger(ledger: &Principal, now: TimestampNs) -> Vec<ClaimKey> {
    with(|tables| {
        let mut due = tables.schedule.due(Lane::Open, now, usize::MAX);
        let in_ledger = |key: &ClaimKey| tables.open.get(&key.0).map(|info| info.ledger);
        due.retain(|key| in_ledger(key) == Some(*ledger));
        due
    })
}

/// Whether something is due for this payment. A settling payment is due when its reply can no longer arrive: it counts
/// as unknown then.
pub fn is_due(key: &ClaimKey, now: TimestampNs) -> bool {
    due_at(key).is_some_and(|due| due <= now)
}

/// When something is due for this payment.
pub fn due_at(key: &ClaimKey) -> Option<TimestampNs> {
    with(|tables| tables.schedule.due_at(&key.0))
}

/// Postpones what is due for this payment, until its state changes. An upgrade drops the postponement.
pub fn postpone(key: &ClaimKey, until: TimestampNs) {
    TABLES.with_borrow_mut(|tables| tables.schedule.postpone(key.0, until));
}

/// A page of the payments in this lane in the order of their keys, due or not.
pub fn in_lane(lane: Lane, after: Option<&ClaimKey>, limit: usize) -> Vec<(ClaimKey, Payment)> {
    let keys = with(|tables| tables.schedule.page(lane, after.map(|key| key.0), limit));
    keys.into_iter()
        .filter_map(|key| Some((key, by_key(&key)?)))
        .collect()
}

/// Whether any payment is open, undelivered or being refunded.
pub fn has_work() -> bool {
    with(|tables| !tables.schedule.is_empty())
}

/// The time at which something is due next for any payment.
pub fn next_due() -> Option<TimestampNs> {
    with(|tables| tables.schedule.next())
}

#[cfg(test)]
pub(crate) mod tests;
