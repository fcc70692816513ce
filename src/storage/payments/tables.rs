//! The tables of payments, and the only function that changes them.

use super::{
    Change, Opening, RecordError, receipts, rows,
    rows::{DeliveryRow, FailureRow, OpenRow, SettledRow},
    schedule::Schedule,
};
use crate::{
    domain::{
        capacity::{FailingPayers, LedgerHealth},
        fulfilment::Fulfilment,
        payment::{Event, IllegalTransition, Payment, RefundCause, State, step},
        rail::TxRef,
        settlement::Claimant,
    },
    storage::{
        audit::{self, Transition},
        claims,
        codec::Stored,
        config, counters, liabilities, memory, notifications,
        quarantine::{self, Row, Unreadable},
        works,
    },
    types::{ClaimKey, PaymentId, TimestampNs},
};
use candid::Principal;
use ic_stable_structures::{StableBTreeMap, StableLog};
use std::collections::{BTreeMap, BTreeSet};

/// The data of an open payment on the heap.
#[derive(Clone, Copy)]
pub struct OpenInfo {
    pub id: PaymentId,
    pub payer: Principal,
    /// Its number in the order of opening since the last upgrade.
    pub number: u64,
    pub ledger: Principal,
    pub lapsed: bool,
}

pub struct Tables {
    pub open_payments: StableBTreeMap<[u8; 16], Stored<OpenRow>, memory::Memory>,
    pub settled: StableLog<Stored<SettledRow>, memory::Memory, memory::Memory>,
    /// The receipts of the settled payments.
    pub receipts: receipts::Log,
    pub deliveries: StableBTreeMap<u64, Stored<DeliveryRow>, memory::Memory>,
    pub by_key: StableBTreeMap<[u8; 16], u32, memory::Memory>,
    pub by_id: StableBTreeMap<[u8; 16], u32, memory::Memory>,
    pub failures: StableBTreeMap<[u8; 16], Stored<FailureRow>, memory::Memory>,
    pub failures_by_number: StableBTreeMap<u64, [u8; 16], memory::Memory>,
    /// The claim keys of the failures, by the first half of the payment id.
    pub failed_ids: BTreeMap<[u8; 16], [u8; 16]>,
    /// One entry for each open payment.
    pub open: BTreeMap<[u8; 16], OpenInfo>,
    /// The payments opened since the last upgrade, including those that were open at the upgrade.
    pub openings: u64,
    /// The open payments that have lapsed, by ledger.
    pub lapsed_per_ledger: BTreeMap<Principal, u32>,
    /// The open payments that have not lapsed, by payer.
    pub open_per_payer: BTreeMap<Principal, u32>,
    /// The payments that wait for the ledger's reply, by payer. An upgrade resets them to none.
    pub settling_per_payer: BTreeMap<Principal, u32>,
    /// The open payments that have not lapsed, by ledger.
    pub open_per_ledger: BTreeMap<Principal, u32>,
    /// Payers whose latest payments failed since the last upgrade; bounded.
    pub failing: FailingPayers,
    /// The health of each ledger since the last upgrade; at most one entry a ledger.
    pub health: BTreeMap<Principal, LedgerHealth>,
    pub schedule: Schedule,
    /// The open or undelivered payments for each stored response.
    pub awaited: BTreeMap<u32, u32>,
    /// The settled payments, by index, whose refunds wait for a controller or are left to the merchant.
    pub waiting: BTreeSet<u64>,
}

/// The table that a payment's row is in.
#[derive(Clone, Copy)]
enum Place {
    Nowhere,
    Open,
    Settled(u64),
}

pub fn half(id: &PaymentId) -> [u8; 16] {
    let mut half = [0; 16];
    half.copy_from_slice(&id.0[..16]);
    half
}

fn open_payment(key: ClaimKey, row: Stored<OpenRow>) -> Result<(Payment, Opening), Unreadable> {
    let payment = row.row().and_then(OpenRow::payment);
    payment.ok_or_else(|| quarantine::note(Row::Open(key)))
}

pub(super) fn failure(key: ClaimKey, row: Stored<FailureRow>) -> Result<FailureRow, Unreadable> {
    row.row().ok_or_else(|| quarantine::note(Row::Failure(key)))
}

impl Tables {
    pub fn load() -> Self {
        let settled: StableLog<Stored<SettledRow>, _, _> = StableLog::init(
            memory::get(memory::SETTLED_INDEX),
            memory::get(memory::SETTLED_DATA),
        );
        let mut tables = Tables {
            receipts: receipts::Log::load(settled.len()),
            settled,
            deliveries: StableBTreeMap::init(memory::get(memory::DELIVERIES)),
            by_key: StableBTreeMap::init(memory::get(memory::SETTLED_BY_KEY)),
            by_id: StableBTreeMap::init(memory::get(memory::SETTLED_BY_ID)),
            failures: StableBTreeMap::init(memory::get(memory::FAILURES)),
            failures_by_number: StableBTreeMap::init(memory::get(memory::FAILURES_BY_NUMBER)),
            failed_ids: BTreeMap::new(),
            open: BTreeMap::new(),
            openings: 0,
            lapsed_per_ledger: BTreeMap::new(),
            open_per_payer: BTreeMap::new(),
            settling_per_payer: BTreeMap::new(),
            open_per_ledger: BTreeMap::new(),
            failing: FailingPayers::default(),
            health: BTreeMap::new(),
            schedule: Schedule::default(),
            awaited: BTreeMap::new(),
            waiting: BTreeSet::new(),
            open_payments: StableBTreeMap::init(memory::get(memory::OPEN_PAYMENTS)),
        };
        let open: Vec<_> = tables
            .open_payments
            .iter()
            .filter_map(|entry| {
                let key = ClaimKey(*entry.key());
                Some((key, open_payment(key, entry.value()).ok()?))
            })
            .collect();
        for (key, (payment, opening)) in open {
            tables.remember(key.0, &payment);
            tables.plan(&key, &payment.state, opening.tried_at);
            tables.count(payment.fulfilment, false, &payment.state);
        }
        let settled: Vec<_> = tables
            .deliveries
            .iter()
            .filter_map(|entry| {
                let index = *entry.key();
                let Some(delivery) = entry.value().row() else {
                    quarantine::note(Row::Settled(index));
                    return None;
                };
                (!delivery.is_final()).then(|| (index, delivery.key()))
            })
            .collect();
        for (index, key) in settled {
            if let Ok(payment) = tables.settled(index) {
                let at = match payment.state {
                    State::Refunding { since, .. } => since,
                    _ => TimestampNs::default(),
                };
                tables.plan(&key, &payment.state, at);
                tables.count(payment.fulfilment, false, &payment.state);
                tables.note_waiting(index, &payment.state);
            }
        }
        let failed = tables.failures.iter().filter_map(|entry| {
            let row = failure(ClaimKey(*entry.key()), entry.value()).ok()?;
            Some((half(&row.id()), *entry.key()))
        });
        tables.failed_ids = failed.collect();
        tables
    }

    fn plan(&mut self, key: &ClaimKey, state: &State, at: TimestampNs) {
        // Only settled payments that are not delivered depend on the retention, and they are few.
        let retention = match state {
            State::Settled { .. } => config::read().limits.retention,
            _ => Default::default(),
        };
        self.schedule.note(key.0, state, at, retention);
    }

    /// The index of the settled payment with this claim key.
    pub fn index_of(&self, key: &ClaimKey) -> Option<u64> {
        self.by_key.get(&key.0).map(u64::from)
    }

    /// The index of a settled payment whose id begins as this one does.
    pub fn index_of_id(&self, id: &PaymentId) -> Option<u64> {
        self.by_id.get(&half(id)).map(u64::from)
    }

    /// The settled payment with this index.
    pub fn settled(&self, index: u64) -> Result<Payment, Unreadable> {
        let row = self.settled.get(index).and_then(Stored::row);
        let payment = match self.deliveries.get(&index) {
            None => row.and_then(|row| row.payment(None)),
            Some(Stored::Row(delivery)) => row.and_then(|row| row.payment(Some(delivery))),
            Some(Stored::Unreadable(_)) => None,
        };
        payment.ok_or_else(|| quarantine::note(Row::Settled(index)))
    }

    pub fn opened(&self, key: &ClaimKey) -> Result<Option<(Payment, Opening)>, Unreadable> {
        let row = self.open_payments.get(&key.0);
        row.map(|row| open_payment(*key, row)).transpose()
    }

    pub fn failed(&self, key: &ClaimKey) -> Result<Option<Payment>, Unreadable> {
        let Some(row) = self.failures.get(&key.0) else {
            return Ok(None);
        };
        let payment = failure(*key, row)?.payment();
        let unreadable = || quarantine::note(Row::Failure(*key));
        payment.map(Some).ok_or_else(unreadable)
    }

    /// The payment with this key, in any table.
    pub fn find(&self, key: &ClaimKey) -> Result<Option<Payment>, Unreadable> {
        if let Some((payment, _)) = self.opened(key)? {
            return Ok(Some(payment));
        }
        match self.index_of(key) {
            Some(index) => self.settled(index).map(Some),
            None => self.failed(key),
        }
    }

    pub fn record(
        &mut self,
        key: &ClaimKey,
        change: Change,
        now: TimestampNs,
    ) -> Result<Payment, RecordError> {
        let known = self.opened(key)?;
        let (events, new) = change.parts();
        let (place, mut payment, mut opening) = match (new, known) {
            (Some(new), None) => (
                Place::Nowhere,
                new.payment,
                Some(Opening {
                    valid_before: new.valid_before,
                    known_block: new.known_block,
                    tried_at: now,
                }),
            ),
            (_, Some((payment, opening))) => (Place::Open, payment, Some(opening)),
            (None, None) => {
                let Some(index) = self.index_of(key) else {
                    let event = events.into_iter().next().unwrap_or(Event::Opened);
                    return Err(IllegalTransition { state: None, event }.into());
                };
                (Place::Settled(index), self.settled(index)?, None)
            }
        };
        let earlier = match place {
            Place::Nowhere => None,
            _ => Some(payment.state.clone()),
        };
        let was_settling = matches!(earlier, Some(State::Settling { .. }));
        let did_wait = earlier.as_ref().is_some_and(State::is_owed);
        let mut before = earlier.clone();
        for event in &events {
            before = Some(step(before.as_ref(), event, now)?);
        }
        let Some(state) = before else {
            return Ok(payment);
        };
        payment.state = state;
        // One block shows one transfer. A block found in the log is not checked.
        let claimed = events.iter().any(|event| match event {
            Event::Moved {
                tx: TxRef::Block(block),
            } => claims::of(&payment.ledger, *block).is_some(),
            _ => false,
        });
        if claimed {
            return Err(RecordError::Claimed);
        }
        if let (State::Settling { .. }, Some(opening)) = (&payment.state, &mut opening) {
            opening.tried_at = now;
        }
        let last = events.last();
        let transition = self.write(key, &payment, place, opening, last, now)?;
        self.plan(key, &payment.state, now);
        liabilities::note(key, earlier.as_ref(), &payment);
        works::note(earlier.as_ref(), &payment);
        self.count(payment.fulfilment, did_wait, &payment.state);
        let health = self.health.entry(payment.ledger).or_default();
        health.note(was_settling, &payment.state, now);
        self.count_settling(payment.from.owner, was_settling, &payment.state);
        self.failing.note(payment.from.owner, &payment.state, now);
        audit::payment(&payment.id, transition, now);
        self.notify(key, earlier.as_ref(), &payment, now);
        quarantine::report(now);
        Ok(payment)
    }

    /// Queues what happened for the merchant's canister, if there is one to be told.
    fn notify(&self, key: &ClaimKey, before: Option<&State>, payment: &Payment, now: TimestampNs) {
        if notifications::target().is_some()
            && payment.state.moved().is_some()
            && let Some(index) = self.index_of(key)
        {
            // What buys nothing is no sale: the seller hears of its refund only.
            let nothing = payment.fulfilment == Fulfilment::Nothing;
            let before = before.or(nothing.then_some(&payment.state));
            notifications::note(index, before, &payment.state, now);
        }
    }

    /// Writes the payment to the tables that its state belongs to. Fails before it writes anything.
    fn write(
        &mut self,
        key: &ClaimKey,
        payment: &Payment,
        place: Place,
        opening: Option<Opening>,
        last: Option<&Event>,
        now: TimestampNs,
    ) -> Result<Transition, RecordError> {
        if payment.state.is_open() {
            let row = opening.and_then(|opening| OpenRow::new(payment, &opening));
            let row = row.ok_or(RecordError::UnknownLedger)?;
            if self.open_payments.insert(key.0, Stored::Row(row)).is_none() {
                self.remember(key.0, payment);
            } else {
                self.count_lapsed(&key.0, payment.state.has_lapsed());
            }
        } else if let State::Failed { .. } = &payment.state {
            let number = counters::next_failure();
            let valid_before = opening.map_or(0, |opening| opening.valid_before);
            let row = FailureRow::new(payment, number, valid_before);
            let row = row.ok_or(RecordError::UnknownLedger)?;
            self.forget(&key.0);
            self.remember_failure(key.0, half(&payment.id), number, row, now);
        } else {
            let index = match place {
                Place::Settled(index) => index,
                _ => self.settle(key, payment, last, now)?,
            };
            self.note_waiting(index, &payment.state);
            match (DeliveryRow::new(key, &payment.state), place) {
                (Some(delivery), _) => drop(self.deliveries.insert(index, Stored::Row(delivery))),
                // Delivered by another message than the one that settled it, but at the same time.
                (None, Place::Settled(_)) => drop(self.deliveries.remove(&index)),
                (None, _) => {}
            }
        }
        Ok(match &payment.state {
            State::Reserved => Transition::Opened,
            State::Settling { attempt: 1, .. } => Transition::Opened,
            State::Settling { .. } => Transition::Retried,
            State::Unknown { doubt, .. } => Transition::Unknown(rows::doubt_number(*doubt)),
            State::Failed { failure, .. } => Transition::Failed(rows::failure_number(failure.kind)),
            State::Settled {
                tx: TxRef::Block(block),
                ..
            } => Transition::Settled(block.0),
            State::Delivered {
                tx: TxRef::Block(block),
                ..
            } => Transition::Delivered(block.0),
            State::Working { .. } => Transition::WorkCalled,
            State::Undone { problem, .. } => Transition::WorkFailed(rows::work_number(*problem)),
            State::Refunding { cause, problem, .. } => match last {
                Some(Event::RefundDue { .. }) => Transition::RefundDue(rows::cause_number(*cause)),
                Some(Event::RefundApproved) => {
                    Transition::RefundDue(rows::cause_number(RefundCause::Merchant))
                }
                Some(Event::RefundTried) => Transition::RefundTried,
                _ => Transition::RefundFailed(rows::problem_number(*problem)),
            },
            State::Refunded {
                refund_tx: TxRef::Block(refund_block),
                ..
            } => Transition::Refunded(refund_block.0),
        })
    }

    /// Moves a payment from the open to the settled ones. Fails before it writes anything.
    fn settle(
        &mut self,
        key: &ClaimKey,
        payment: &Payment,
        last: Option<&Event>,
        now: TimestampNs,
    ) -> Result<u64, RecordError> {
        let row = SettledRow::new(payment).ok_or(RecordError::UnknownLedger)?;
        let (ledger, TxRef::Block(block)) = (row.ledger(), row.tx());
        let receipt = receipts::receipt(payment).ok_or(RecordError::UnknownLedger)?;
        // A payment and its receipt have the same index: both are appended, or neither is.
        self.receipts.reserve().map_err(|_| RecordError::Full)?;
        let appended = self.settled.append(&Stored::Row(row));
        let index = appended.map_err(|_| RecordError::Full)?;
        self.receipts.append(&receipt.hash());
        // `max_payments` is far below `u32::MAX`.
        self.by_key.insert(key.0, index as u32);
        self.by_id.insert(half(&payment.id), index as u32);
        // A block that the ledger itself named. One that a controller named may be mistyped.
        if !matches!(last, Some(Event::ResolvedMoved { .. })) {
            claims::take_index(ledger, block, Claimant::Payment(index), now);
        }
        self.forget(&key.0);
        Ok(index)
    }
}
