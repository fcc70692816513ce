//! Payments: the journal of open ones, the books of settled ones, and the latest failures.
//!
//! | table | key | what | size |
//! |---|---|---|---|
//! | journal | claim key | being settled or unknown | at most [`MAX_OPEN`](capacity::MAX_OPEN), and [`MAX_LAPSED`](capacity::MAX_LAPSED) that have lapsed |
//! | books | sequence | the money moved; append-only, never changed | at most `max_payments` |
//! | deliveries | sequence | those of them that were not delivered at once: what became of them | as the books |
//! | by nonce, by id | 16 bytes | sequence in the books | as the books |
//! | failures | claim key | the latest failures, for whoever asks why | [`MAX_FAILURES`], and those whose authorizations are good |
//!
//! A payment costs one entry and one removal in the small journal, one append to the books (constant
//! work), one insertion into each of two indexes of 24-byte entries (logarithmic, with a small factor), and its
//! block is claimed for it (`storage::claims`).
//! A nonce is used while the journal, the books or the failures hold it. Only the oldest failures are ever
//! forgotten, and not before their authorizations have expired, so that they stay bounded.
//!
//! Beside the tables, the heap keeps a schedule of what is due for which payment ([`due`], [`postpone`]).

mod counts;
mod rows;
mod schedule;
mod tables;

use crate::{
    domain::{
        capacity::{self, Load, MAX_VALID_FAILURES},
        payment::{Event, IllegalTransition, Payment, State},
    },
    storage::{ledgers, quarantine::Unreadable},
    types::{BlockIndex, ClaimKey, PaymentId, TimestampNs},
};
use candid::Principal;
pub use schedule::{Lane, NO_ANSWER, backoff};
use std::cell::RefCell;
use tables::{Tables, half};

/// How many failures are remembered. Those of authorizations that are still good are not forgotten:
/// somebody could present them again, and a payer who signed anew would pay twice.
pub const MAX_FAILURES: u64 = 32_768;
/// How many of them that have expired one more failure removes at most: the table shrinks, and no message runs out
/// of instructions.
pub const MAX_FORGOTTEN_AT_ONCE: u64 = 8;

/// A payment that is about to be journalled. Its state is not looked at.
#[derive(Clone, Debug, PartialEq)]
pub struct NewPayment {
    /// The payment.
    pub payment: Payment,
    /// `validBefore` of the authorization, in seconds.
    pub valid_before: u64,
    /// The highest block of the ledger that is known.
    pub known_block: Option<BlockIndex>,
}

/// What is known of an open payment besides the payment itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Opening {
    /// `validBefore` of the authorization, in seconds.
    pub valid_before: u64,
    /// The highest block of the ledger that was booked when the payment was opened, if any was.
    pub known_block: Option<BlockIndex>,
    /// When the ledger was asked last, or when its answer was found unclear.
    pub tried_at: TimestampNs,
}

/// A change of payment state.
#[derive(Clone, Debug, PartialEq)]
pub enum Change {
    /// The payment is journalled and the ledger about to be asked: [`Event::Opened`], [`Event::Asked`].
    Open(Box<NewPayment>),
    /// Something happens to a payment.
    Event(Event),
    /// Two things happen in one message, and take one write.
    Both(Event, Event),
}

impl Change {
    fn events(self) -> [Option<Event>; 2] {
        match self {
            Change::Open(_) => [Some(Event::Opened), Some(Event::Asked)],
            Change::Event(event) => [Some(event), None],
            Change::Both(first, second) => [Some(first), Some(second)],
        }
    }
}

/// A change could not be recorded. Nothing changed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RecordError {
    /// It does not fit the payment's state.
    #[error(transparent)]
    Illegal(#[from] IllegalTransition),
    /// The ledger is not registered.
    #[error("the ledger is not registered")]
    UnknownLedger,
    /// The block that the ledger named shows another transfer.
    #[error("the block shows another transfer")]
    Claimed,
    /// Stable memory is full.
    #[error("stable memory is full")]
    Full,
    /// What is stored of the payment cannot be read, and stays as it is.
    #[error(transparent)]
    Unreadable(#[from] Unreadable),
}

thread_local! {
    static TABLES: RefCell<Tables> = RefCell::new(Tables::load());
}

fn with<T>(f: impl FnOnce(&Tables) -> T) -> T {
    TABLES.with_borrow(f)
}

/// Records a change of payment state: the only way to make one.
///
/// Runs the state machine, writes the tables the new state belongs to, and notes the transition in the
/// audit log. Returns the payment as it is now.
pub fn record(key: &ClaimKey, change: Change, now: TimestampNs) -> Result<Payment, RecordError> {
    TABLES.with_borrow_mut(|tables| tables.record(key, change, now))
}

/// The payment that uses this nonce.
pub fn by_key(key: &ClaimKey) -> Option<Payment> {
    find(key).ok().flatten()
}

/// As [`by_key`]. The key is used, too, if the payment cannot be read.
pub fn find(key: &ClaimKey) -> Result<Option<Payment>, Unreadable> {
    with(|tables| tables.find(key))
}

/// The payment with this id; the latest failure if it is neither settled nor open.
pub fn by_id(id: &PaymentId) -> Option<Payment> {
    let half = half(id);
    let payment = with(|tables| {
        if let Some(index) = tables.by_id.get(&half) {
            return tables.booked(index).ok();
        }
        let open = tables.open.iter().find(|(_, info)| info.id == *id);
        let key = open.map(|(key, _)| key);
        let key = key.or_else(|| tables.failed_ids.get(&half))?;
        tables.find(&ClaimKey(*key)).ok().flatten()
    })?;
    // Two ids may share their first half; only one of them is asked for.
    (payment.id == *id).then_some(payment)
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
        let index = tables.by_id.get(&half(id))?;
        let key = tables.deliveries.get(&index)?.row()?.key();
        (tables.booked(index).ok()?.id == *id).then_some(key)
    })
}

/// Settled payments with a sequence greater than `after` (from 1), with their sequence.
pub fn page(after: u64, limit: usize) -> Vec<(u64, Payment)> {
    with(|tables| {
        (after..tables.settled.len())
            .take(limit)
            .filter_map(|index| Some((index + 1, tables.booked(index).ok()?)))
            .collect()
    })
}

impl Tables {
    /// Takes in whether the refund of this payment in the books waits for a controller or is left to the merchant.
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
            .filter_map(|index| Some((index + 1, tables.booked(*index).ok()?)))
            .collect()
    })
}

/// A page of the payments that are being settled or unknown, in no order that means anything.
pub fn open(skip: usize, limit: usize) -> Vec<Payment> {
    with(|tables| {
        let page = tables.open_payments.keys().skip(skip).take(limit);
        page.filter_map(|key| Some(tables.opened(&ClaimKey(key)).ok()??.0))
            .collect()
    })
}

/// The place of this payment in the books, from 0, if it is settled.
pub fn book_index(key: &ClaimKey) -> Option<u64> {
    with(|tables| tables.by_key.get(&key.0))
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

/// How many payments are settled.
pub fn settled_count() -> u64 {
    with(|tables| tables.settled.len())
}

/// What a new payment of this payer in this ledger would come on top of.
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

/// Whether a payment for this response is open or undelivered, with a refund that waits for a controller or without.
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

/// How many payments were opened since the last upgrade.
pub fn openings() -> u64 {
    with(|tables| tables.openings)
}

/// The payments that were opened after so many, and are open still.
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

/// An open payment with what is known of it besides.
pub fn opened(key: &ClaimKey) -> Option<(Payment, Opening)> {
    with(|tables| tables.opened(key)).ok().flatten()
}

/// The first payments in this lane for which something is due, longest due first.
pub fn due(lane: Lane, now: TimestampNs, limit: usize) -> Vec<ClaimKey> {
    with(|tables| tables.schedule.due(lane, now, limit))
}

/// The open payments of this ledger for which something is due, longest due first. Those of others do not hide them,
/// and are not read.
pub fn due_in_ledger(ledger: &Principal, now: TimestampNs) -> Vec<ClaimKey> {
    with(|tables| {
        let mut due = tables.schedule.due(Lane::Open, now, usize::MAX);
        let in_ledger = |key: &ClaimKey| tables.open.get(&key.0).map(|info| info.ledger);
        due.retain(|key| in_ledger(key) == Some(*ledger));
        due
    })
}

/// Whether something is due for this payment. A payment that is settling is due when its answer can come
/// no more: it counts as unknown then.
pub fn is_due(key: &ClaimKey, now: TimestampNs) -> bool {
    due_at(key).is_some_and(|due| due <= now)
}

/// When something is due for this payment.
pub fn due_at(key: &ClaimKey) -> Option<TimestampNs> {
    with(|tables| tables.schedule.due_at(&key.0))
}

/// Leaves this payment alone until then, or until its state changes. Forgotten by an upgrade.
pub fn postpone(key: &ClaimKey, until: TimestampNs) {
    TABLES.with_borrow_mut(|tables| tables.schedule.postpone(key.0, until));
}

/// All payments in this lane, page by page in the order of their keys, due or not.
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

/// When something is due for some payment.
pub fn next_due() -> Option<TimestampNs> {
    with(|tables| tables.schedule.next())
}

#[cfg(test)]
pub(crate) mod tests;
