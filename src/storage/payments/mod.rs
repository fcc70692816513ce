//! Payments: the journal of open ones, the books of settled ones, and the latest failures.
//!
//! | table | key | what | size |
//! |---|---|---|---|
//! | journal | nonce key | being settled or unknown | at most [`MAX_OPEN`](crate::domain::capacity::MAX_OPEN) |
//! | books | sequence | settled; append-only, never changed | at most `max_payments` |
//! | by nonce, by id | 16 bytes | sequence in the books | as the books |
//! | highest blocks | ledger | the highest booked block of each ledger | one a ledger |
//! | failures | nonce key | the latest failures, for whoever asks why | at most [`MAX_FAILURES`] |
//!
//! A payment costs one entry and one removal in the small journal, one append to the books (constant
//! work) and one insertion into each of two indexes of 24-byte entries (logarithmic, with a small factor).
//! A nonce is used while the journal, the books or the failures hold it. Only the oldest failures are ever
//! forgotten, so that they stay bounded.

mod rows;

use crate::{
    domain::{
        capacity::{LedgerHealth, Load},
        payment::{Event, IllegalTransition, Payment, State, step},
    },
    storage::{
        audit::{self, Transition},
        counters, ledgers, memory,
    },
    types::{BlockIndex, NonceKey, PaymentId, RouteKey, TimestampNs},
};
use candid::Principal;
use ic_stable_structures::{StableBTreeMap, StableLog};
use rows::{BookRow, FailureRow, OpenRow};
use std::{cell::RefCell, collections::BTreeMap};

/// How many failures are remembered.
pub const MAX_FAILURES: u64 = 32_768;

/// A payment that is about to be journalled. Its state is not looked at.
#[derive(Clone, Debug, PartialEq)]
pub struct NewPayment {
    /// The payment.
    pub payment: Payment,
    /// The route it is for: method and template.
    pub route: RouteKey,
}

/// A change of payment state.
#[derive(Clone, Debug, PartialEq)]
pub enum Change {
    /// The payment is journalled for the first time: [`Event::Opened`].
    Open(Box<NewPayment>),
    /// Something happens to an open payment.
    Event(Event),
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
    /// Stable memory is full.
    #[error("stable memory is full")]
    Full,
}

/// What the heap knows of an open payment.
struct OpenInfo {
    id: PaymentId,
    payer: Principal,
    route: RouteKey,
}

struct Tables {
    journal: StableBTreeMap<[u8; 16], OpenRow, memory::Memory>,
    books: StableLog<BookRow, memory::Memory, memory::Memory>,
    by_nonce: StableBTreeMap<[u8; 16], u64, memory::Memory>,
    by_id: StableBTreeMap<[u8; 16], u64, memory::Memory>,
    failures: StableBTreeMap<[u8; 16], FailureRow, memory::Memory>,
    failures_by_number: StableBTreeMap<u64, [u8; 16], memory::Memory>,
    highest_blocks: StableBTreeMap<u8, u64, memory::Memory>,
    /// The nonce keys of the failures, by the first half of the payment id.
    failed_ids: BTreeMap<[u8; 16], [u8; 16]>,
    /// One entry for each in the journal.
    open: BTreeMap<[u8; 16], OpenInfo>,
    /// How many of them each payer has.
    open_per_payer: BTreeMap<Principal, u32>,
    /// What was learnt of each ledger since the last upgrade; at most one entry a ledger.
    health: BTreeMap<Principal, LedgerHealth>,
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
pub fn record(key: &NonceKey, change: Change, now: TimestampNs) -> Result<Payment, RecordError> {
    TABLES.with_borrow_mut(|tables| tables.record(key, change, now))
}

/// The payment that uses this nonce.
pub fn by_nonce(key: &NonceKey) -> Option<Payment> {
    with(|tables| match tables.journal.get(&key.0) {
        Some(row) => Some(row.payment()),
        None => match tables.by_nonce.get(&key.0) {
            Some(index) => tables.booked(index),
            None => tables.failures.get(&key.0).map(FailureRow::payment),
        },
    })
}

/// The payment with this id; the latest failure if it is neither settled nor open.
pub fn by_id(id: &PaymentId) -> Option<Payment> {
    let half = half(id);
    let payment = with(|tables| {
        if let Some(payment) = tables.by_id.get(&half).and_then(|n| tables.booked(n)) {
            return Some(payment);
        }
        if let Some((key, _)) = tables.open.iter().find(|(_, info)| info.id == *id) {
            return tables.journal.get(key).map(OpenRow::payment);
        }
        let key = tables.failed_ids.get(&half)?;
        tables.failures.get(key).map(FailureRow::payment)
    })?;
    // Two ids may share their first half; only one of them is asked for.
    (payment.id == *id).then_some(payment)
}

/// The nonce key of an open payment with this id.
pub fn open_key(id: &PaymentId) -> Option<NonceKey> {
    with(|tables| {
        let (key, _) = tables.open.iter().find(|(_, info)| info.id == *id)?;
        Some(NonceKey(*key))
    })
}

/// Settled payments with a sequence greater than `after` (from 1), with their sequence.
pub fn page(after: u64, limit: usize) -> Vec<(u64, Payment)> {
    with(|tables| {
        (after..tables.books.len())
            .take(limit)
            .filter_map(|index| Some((index + 1, tables.booked(index)?)))
            .collect()
    })
}

/// A page of the payments that are being settled or unknown, in no order that means anything.
pub fn open(skip: usize, limit: usize) -> Vec<Payment> {
    with(|tables| {
        let page = tables.journal.values().skip(skip).take(limit);
        page.map(|row| row.payment()).collect()
    })
}

/// The highest block of this ledger that was ever booked.
pub fn highest_block(ledger: &Principal) -> Option<BlockIndex> {
    let index = ledgers::index(ledger)?;
    with(|tables| tables.highest_blocks.get(&index).map(BlockIndex))
}

/// The latest failures with a number greater than `after`, with their number.
pub fn failures(after: u64, limit: usize) -> Vec<(u64, Payment)> {
    with(|tables| {
        tables
            .failures_by_number
            .range(after.saturating_add(1)..)
            .take(limit)
            .filter_map(|entry| {
                let row = tables.failures.get(&entry.value())?;
                Some((*entry.key(), row.payment()))
            })
            .collect()
    })
}

/// How many payments are settled.
pub fn settled_count() -> u64 {
    with(|tables| tables.books.len())
}

/// Forgets the highest block of this ledger: its log begins anew, or it named an absurd one.
pub fn forget_highest_block(ledger: &Principal) {
    if let Some(index) = ledgers::index(ledger) {
        TABLES.with_borrow_mut(|tables| tables.highest_blocks.remove(&index));
    }
}

/// What a new payment of this payer in this ledger would come on top of.
pub fn load(payer: &Principal, ledger: &Principal) -> Load {
    with(|tables| Load {
        settled: tables.books.len(),
        open: tables.open.len() as u64,
        open_of_payer: tables
            .open_per_payer
            .get(payer)
            .copied()
            .unwrap_or_default(),
        ledger: tables.health.get(ledger).copied().unwrap_or_default(),
    })
}

/// How many open payments are for this route.
pub fn open_for(route: &RouteKey) -> usize {
    with(|tables| {
        tables
            .open
            .values()
            .filter(|info| info.route == *route)
            .count()
    })
}

/// The nonce keys of the payments that are being settled now.
pub fn settling() -> Vec<NonceKey> {
    with(|tables| {
        tables
            .journal
            .iter()
            .filter(|entry| matches!(entry.value().payment().state, State::Settling { .. }))
            .map(|entry| NonceKey(*entry.key()))
            .collect()
    })
}

fn half(id: &PaymentId) -> [u8; 16] {
    let mut half = [0; 16];
    half.copy_from_slice(&id.0[..16]);
    half
}

impl Tables {
    fn load() -> Self {
        let journal: StableBTreeMap<[u8; 16], OpenRow, _> =
            StableBTreeMap::init(memory::get(memory::JOURNAL));
        let mut tables = Tables {
            books: StableLog::init(
                memory::get(memory::BOOKS_INDEX),
                memory::get(memory::BOOKS_DATA),
            ),
            by_nonce: StableBTreeMap::init(memory::get(memory::BOOKS_BY_NONCE)),
            by_id: StableBTreeMap::init(memory::get(memory::BOOKS_BY_ID)),
            failures: StableBTreeMap::init(memory::get(memory::FAILURES)),
            failures_by_number: StableBTreeMap::init(memory::get(memory::FAILURES_BY_NUMBER)),
            highest_blocks: StableBTreeMap::init(memory::get(memory::HIGHEST_BLOCKS)),
            failed_ids: BTreeMap::new(),
            open: BTreeMap::new(),
            open_per_payer: BTreeMap::new(),
            health: BTreeMap::new(),
            journal: StableBTreeMap::init(memory::get(memory::JOURNAL)),
        };
        for entry in journal.iter() {
            let row = entry.value();
            let route = row.route();
            tables.remember(*entry.key(), &row.payment(), route);
        }
        let failed = tables
            .failures
            .iter()
            .map(|entry| (half(&entry.value().payment().id), *entry.key()));
        tables.failed_ids = failed.collect();
        tables
    }

    fn remember(&mut self, key: [u8; 16], payment: &Payment, route: RouteKey) {
        let payer = payment.from.owner;
        self.open.insert(
            key,
            OpenInfo {
                id: payment.id,
                payer,
                route,
            },
        );
        *self.open_per_payer.entry(payer).or_default() += 1;
    }

    fn forget(&mut self, key: &[u8; 16]) {
        let Some(info) = self.open.remove(key) else {
            return;
        };
        let left = self
            .open_per_payer
            .get(&info.payer)
            .copied()
            .unwrap_or_default();
        if left <= 1 {
            self.open_per_payer.remove(&info.payer);
        } else {
            self.open_per_payer.insert(info.payer, left - 1);
        }
    }

    fn booked(&self, index: u64) -> Option<Payment> {
        self.books.get(index).map(BookRow::payment)
    }

    fn record(
        &mut self,
        key: &NonceKey,
        change: Change,
        now: TimestampNs,
    ) -> Result<Payment, RecordError> {
        let known = self.journal.get(&key.0);
        let (event, mut payment, route) = match (change, known) {
            (Change::Event(event), Some(row)) => {
                let route = row.route();
                (event, row.payment(), route)
            }
            (Change::Open(new), None) => (Event::Opened, new.payment, new.route),
            (Change::Open(_), Some(row)) => {
                let state = Some(row.payment().state);
                return Err(IllegalTransition {
                    state,
                    event: Event::Opened,
                }
                .into());
            }
            (Change::Event(event), None) => {
                return Err(IllegalTransition { state: None, event }.into());
            }
        };
        let before = (event != Event::Opened).then_some(&payment.state);
        let state = step(before, &event, now)?;
        payment.state = state;
        let transition = self.write(key, &payment, &route, &event)?;
        let health = self.health.entry(payment.ledger).or_default();
        health.note(&payment.state, now);
        audit::payment(&payment.id, transition, now);
        Ok(payment)
    }

    /// Writes the payment to the tables its state belongs to. Fails before it writes anything.
    fn write(
        &mut self,
        key: &NonceKey,
        payment: &Payment,
        route: &RouteKey,
        event: &Event,
    ) -> Result<Transition, RecordError> {
        match &payment.state {
            State::Settling { .. } | State::Unknown { .. } => {
                let row = OpenRow::new(payment, route).ok_or(RecordError::UnknownLedger)?;
                if self.journal.insert(key.0, row).is_none() {
                    self.remember(key.0, payment, route.clone());
                }
                Ok(match &payment.state {
                    State::Unknown { doubt, .. } => Transition::Unknown(rows::doubt_number(*doubt)),
                    _ if *event == Event::Opened => Transition::Opened,
                    _ => Transition::Retried,
                })
            }
            State::Settled { block, .. } => {
                let row = BookRow::new(payment).ok_or(RecordError::UnknownLedger)?;
                let index = self.books.append(&row).map_err(|_| RecordError::Full)?;
                self.by_nonce.insert(key.0, index);
                self.by_id.insert(half(&payment.id), index);
                let highest = self.highest_blocks.get(&row.ledger()).unwrap_or_default();
                self.highest_blocks
                    .insert(row.ledger(), highest.max(block.0));
                self.journal.remove(&key.0);
                self.forget(&key.0);
                Ok(Transition::Settled(block.0))
            }
            State::Failed { failure, .. } => {
                let number = counters::next_failure();
                let row = FailureRow::new(payment, number).ok_or(RecordError::UnknownLedger)?;
                let kind = row.kind();
                self.journal.remove(&key.0);
                self.forget(&key.0);
                self.remember_failure(key.0, half(&payment.id), number, row);
                debug_assert_eq!(kind, rows::failure_number(failure.kind));
                Ok(Transition::Failed(kind))
            }
        }
    }

    fn remember_failure(&mut self, key: [u8; 16], id: [u8; 16], number: u64, row: FailureRow) {
        if let Some(earlier) = self.failures.insert(key, row) {
            self.failures_by_number.remove(&earlier.number());
        }
        self.failed_ids.insert(id, key);
        self.failures_by_number.insert(number, key);
        while self.failures_by_number.len() > MAX_FAILURES {
            let Some((_, oldest)) = self.failures_by_number.pop_first() else {
                return;
            };
            if let Some(row) = self.failures.remove(&oldest) {
                self.failed_ids.remove(&half(&row.payment().id));
            }
        }
    }
}

#[cfg(test)]
pub(crate) mod tests;
