//! Events that a merchant's canister is still to be told of.
//!
//! | table | key | what | size |
//! |---|---|---|---|
//! | notifications | number | payment, kind, tries | at most [`MAX_QUEUED`] |
//! | settings | - | the canister, and counts | one row |
//!
//! Without a canister nothing is written and nothing is due. The heap keeps when which event is due, and the pause of a
//! canister that does not answer; an upgrade forgets the pause.

use crate::{
    domain::{
        notification::{EventKind, MAX_AGE, MAX_QUEUED, events},
        payment::State,
    },
    storable_row,
    storage::{audit, codec::StoredPrincipal, memory, payments::backoff},
    types::{Seconds, TimestampNs},
};
use candid::Principal;
use ic_stable_structures::{StableBTreeMap, StableCell};
use minicbor::{Decode, Encode};
use std::{
    cell::RefCell,
    collections::{BTreeMap, BTreeSet},
};

/// How long an event that is being sent is not sent again: longer than its call takes.
const LOCK: Seconds = Seconds(120);
/// The most events that are dropped at once because of their age.
const MAX_DROPPED_AT_ONCE: usize = 100;

/// A row: eight bytes of time, six of the payment's index, the kind, and the tries up to 255. Not in CBOR, because the
/// code of such a table is in the canister already.
type Row = [u8; 16];

/// An event that is to be sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Queued {
    /// The index of the settled payment, less than 2^48.
    pub payment: u64,
    pub kind: EventKind,
    pub at: TimestampNs,
    tries: u8,
}

impl Queued {
    fn row(self) -> Row {
        let low = self.payment << 16 | (self.kind as u64) << 8 | u64::from(self.tries);
        (u128::from(self.at.0) << 64 | u128::from(low)).to_be_bytes()
    }

    /// `None` if this version does not know the kind.
    fn read(row: Row) -> Option<Self> {
        let whole = u128::from_be_bytes(row);
        let [kind, tries] = [row[14], row[15]];
        Some(Queued {
            payment: (whole as u64) >> 16,
            kind: *EventKind::ALL.get(usize::from(kind))?,
            at: TimestampNs((whole >> 64) as u64),
            tries,
        })
    }
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Encode, Decode)]
struct SettingsRow {
    #[n(0)]
    target: Option<StoredPrincipal>,
    /// The events that were ever queued.
    #[n(1)]
    queued: u64,
    #[n(2)]
    sent: u64,
    #[n(3)]
    dropped: u64,
}

storable_row!(SettingsRow);

/// Where the notifications stand.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Status {
    pub target: Option<Principal>,
    /// The events that wait.
    pub waiting: u64,
    pub sent: u64,
    pub dropped: u64,
    /// The number of the latest event.
    pub latest: u64,
    /// The failed rounds since the last success.
    pub failures: u16,
    pub next_try: Option<TimestampNs>,
}

struct Tables {
    queue: StableBTreeMap<u64, Row, memory::Memory>,
    settings: StableCell<SettingsRow, memory::Memory>,
    due: BTreeSet<(TimestampNs, u64)>,
    due_of: BTreeMap<u64, TimestampNs>,
    failures: u16,
    /// Nothing is sent before this.
    paused_until: TimestampNs,
}

thread_local! {
    static TABLES: RefCell<Tables> = RefCell::new({
        let queue: StableBTreeMap<u64, Row, _> =
            StableBTreeMap::init(memory::get(memory::NOTIFICATIONS));
        let all = || queue.keys().map(|number| (number, TimestampNs(0)));
        Tables {
            due: all().map(|(number, at)| (at, number)).collect(),
            due_of: all().collect(),
            settings: StableCell::init(
                memory::get(memory::NOTIFICATION_SETTINGS),
                SettingsRow::default(),
            ),
            queue,
            failures: 0,
            paused_until: TimestampNs(0),
        }
    });
}

impl Tables {
    fn target(&self) -> Option<Principal> {
        self.settings.get().target.map(|target| target.0)
    }

    fn change(&mut self, change: impl FnOnce(&mut SettingsRow)) {
        let mut settings = self.settings.get().clone();
        change(&mut settings);
        self.settings.set(settings);
    }

    fn remove(&mut self, number: u64) {
        self.queue.remove(&number);
        if let Some(at) = self.due_of.remove(&number) {
            self.due.remove(&(at, number));
        }
    }

    fn plan(&mut self, number: u64, at: TimestampNs) {
        if let Some(before) = self.due_of.insert(number, at) {
            self.due.remove(&(before, number));
        }
        self.due.insert((at, number));
    }

    /// Drops the oldest event.
    fn drop_first(&mut self, why: &str, now: TimestampNs) {
        let Some((number, _)) = self.queue.first_key_value() else {
            return;
        };
        self.remove(number);
        self.change(|settings| settings.dropped += 1);
        let target = self.target().unwrap_or_else(Principal::anonymous);
        let subject = format!("event {number}: {why}");
        audit::admin(target, "notification_dropped", &subject, now);
    }
}

pub fn load() {
    TABLES.with_borrow(|_| ());
}

/// The canister that is told of events, if there is one.
pub fn target() -> Option<Principal> {
    TABLES.with_borrow(Tables::target)
}

/// Sets the canister that is told of events from now on. Without one, those that wait are forgotten.
pub fn set_target(target: Option<Principal>) {
    TABLES.with_borrow_mut(|tables| {
        tables.change(|settings| settings.target = target.map(StoredPrincipal));
        (tables.failures, tables.paused_until) = (0, TimestampNs(0));
        if target.is_none() {
            tables.queue.clear_new();
            tables.due.clear();
            tables.due_of.clear();
        }
    });
}

/// Queues what happened to the settled payment with this index.
pub(super) fn note(payment: u64, before: Option<&State>, after: &State, now: TimestampNs) {
    TABLES.with_borrow_mut(|tables| {
        if tables.target().is_none() {
            return;
        }
        for kind in events(before, after) {
            if tables.queue.len() >= MAX_QUEUED {
                tables.drop_first("the queue is full", now);
            }
            tables.change(|settings| settings.queued += 1);
            let number = tables.settings.get().queued;
            let event = Queued {
                payment,
                kind,
                at: now,
                tries: 0,
            };
            tables.queue.insert(number, event.row());
            tables.plan(number, now);
        }
    });
}

/// The time at which something is to be sent next, if there is anything.
pub fn next_due() -> Option<TimestampNs> {
    TABLES.with_borrow(|tables| {
        let (due, _) = tables.due.first()?;
        Some((*due).max(tables.paused_until))
    })
}

/// Drops events that are too old, a bounded number of them.
pub fn drop_old(now: TimestampNs) {
    TABLES.with_borrow_mut(|tables| {
        for _ in 0..MAX_DROPPED_AT_ONCE {
            let first = tables.queue.first_key_value();
            let first = first.map(|(_, row)| Queued::read(row));
            // One that cannot be read is too old.
            let stays = |event: Option<Queued>| event.is_some_and(|e| now <= e.at.plus(MAX_AGE));
            if first.is_none_or(stays) {
                return;
            }
            tables.drop_first("it could not be sent for a week", now);
        }
    });
}

/// The numbers of events that are due, at most `limit`. They are not due again while they are being sent.
pub fn take_due(now: TimestampNs, limit: usize) -> Vec<u64> {
    TABLES.with_borrow_mut(|tables| {
        if now < tables.paused_until {
            return vec![];
        }
        let due = tables.due.iter().take_while(|(due, _)| *due <= now);
        let numbers: Vec<u64> = due.take(limit).map(|(_, number)| *number).collect();
        for number in &numbers {
            tables.plan(*number, now.plus(LOCK));
        }
        numbers
    })
}

/// Sends nothing before this.
pub fn pause(until: TimestampNs) {
    TABLES.with_borrow_mut(|tables| tables.paused_until = tables.paused_until.max(until));
}

/// The event with this number, if it waits.
pub fn get(number: u64) -> Option<Queued> {
    TABLES.with_borrow(|tables| Queued::read(tables.queue.get(&number)?))
}

/// Records that the canister has taken the event.
pub fn sent(number: u64) {
    TABLES.with_borrow_mut(|tables| {
        (tables.failures, tables.paused_until) = (0, TimestampNs(0));
        if tables.queue.contains_key(&number) {
            tables.remove(number);
            tables.change(|settings| settings.sent += 1);
        }
    });
}

/// Records that the canister has not taken the event, or that this is not known. Both the event and the canister get a
/// pause that grows to an hour.
pub fn failed(number: u64, now: TimestampNs) {
    TABLES.with_borrow_mut(|tables| {
        if let Some(mut event) = tables.queue.get(&number).and_then(Queued::read) {
            event.tries = event.tries.saturating_add(1);
            tables.plan(number, now.plus(backoff(event.tries.into())));
            tables.queue.insert(number, event.row());
        }
        // Events that are sent at the same time count once.
        if now >= tables.paused_until {
            tables.failures = tables.failures.saturating_add(1);
            tables.paused_until = now.plus(backoff(tables.failures));
        }
    });
}

pub fn status() -> Status {
    TABLES.with_borrow(|tables| {
        let settings = tables.settings.get();
        let due = tables.due.first();
        Status {
            target: tables.target(),
            waiting: tables.queue.len(),
            sent: settings.sent,
            dropped: settings.dropped,
            latest: settings.queued,
            failures: tables.failures,
            next_try: due.map(|(due, _)| (*due).max(tables.paused_until)),
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{domain::rail::TxRef, types::BlockIndex};

    fn target_canister() -> Principal {
        Principal::from_slice(&[8, 1])
    }

    fn settle(payment: u64, now: TimestampNs) {
        let tx = TxRef::Block(BlockIndex(1));
        note(payment, None, &State::Settled { tx, at: now }, now);
    }

    #[test]
    fn nothing_is_kept_without_a_target() {
        settle(1, TimestampNs(1));
        assert_eq!((next_due(), status().latest), (None, 0));
        set_target(Some(target_canister()));
        settle(1, TimestampNs(1));
        assert_eq!((next_due(), status().latest), (Some(TimestampNs(1)), 1));
        set_target(None);
        assert_eq!((next_due(), status().waiting), (None, 0));
        set_target(Some(target_canister()));
        settle(2, TimestampNs(2));
        assert_eq!(status().latest, 2, "no number is used twice");
    }

    #[test]
    fn the_queue_is_bounded_and_drops_the_oldest() {
        set_target(Some(target_canister()));
        for n in 0..MAX_QUEUED + 3 {
            settle(n, TimestampNs(n));
        }
        let status = status();
        assert_eq!((status.waiting, status.dropped), (MAX_QUEUED, 3));
        assert_eq!((get(3), get(4).map(|event| event.payment)), (None, Some(3)));
        let audited = audit::admin_after(0, 10);
        assert_eq!(audited.len(), 3);
        assert_eq!(
            (audited[0].action.as_str(), audited[0].subject.as_str()),
            ("notification_dropped", "event 1: the queue is full")
        );
    }

    #[test]
    fn old_events_are_dropped_a_few_at_a_time() {
        set_target(Some(target_canister()));
        for n in 0..MAX_DROPPED_AT_ONCE as u64 + 1 {
            settle(n, TimestampNs(1));
        }
        let over = TimestampNs(1).plus(MAX_AGE);
        drop_old(over);
        assert_eq!(status().dropped, 0);
        drop_old(over.plus(Seconds(1)));
        assert_eq!((status().dropped, status().waiting), (100, 1));
    }

    #[test]
    fn an_event_and_its_target_get_growing_pauses() {
        set_target(Some(target_canister()));
        let now = TimestampNs::from_seconds(1_000);
        for n in 0..3 {
            settle(n, now);
        }
        assert_eq!(take_due(now, 2), [1, 2]);
        assert_eq!(take_due(now, 2), [3], "those are being sent");
        failed(1, now);
        failed(2, now);
        assert_eq!(status().failures, 1, "one round");
        assert!(take_due(now.plus(Seconds(4)), 9).is_empty());
        assert_eq!(take_due(now.plus(Seconds(5)), 9), [1, 2]);
        sent(1);
        assert_eq!((status().failures, status().sent), (0, 1));
        failed(2, now.plus(Seconds(5)));
        let early = take_due(now.plus(Seconds(14)), 9);
        assert!(early.is_empty(), "the event's own pause");
        assert_eq!(take_due(now.plus(Seconds(15)), 9), [2]);
        sent(7);
        assert_eq!(status().sent, 1, "no such event");
    }

    #[test]
    fn rows_are_read_back() {
        for kind in EventKind::ALL {
            for (payment, at, tries) in [(0, 0, 0), ((1 << 48) - 1, u64::MAX, 255), (7, 8, 9)] {
                let at = TimestampNs(at);
                let event = Queued {
                    payment,
                    kind,
                    at,
                    tries,
                };
                assert_eq!(Queued::read(event.row()), Some(event));
            }
        }
        assert_eq!(Queued::read([3; 16]), None, "a kind of a later version");
    }
}
