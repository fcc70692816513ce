//! Events that a merchant's canister is still to be told of.
//!
//! | table | key | what | size |
//! |---|---|---|---|
//! | notifications | number | payment, kind, tries | at most [`MAX_QUEUED`] |
//! | settings | - | the canister, and counts | one row |
//!
//! Without a canister nothing is written and nothing is due. The heap keeps which events are being sent, and the pause of
//! a canister that does not take them; an upgrade forgets both.

use crate::{
    domain::{
        notification::{EventKind, MAX_AGE, MAX_QUEUED, events},
        payment::State,
        window::backoff,
    },
    storable_row,
    storage::{audit, codec::StoredPrincipal, memory},
    types::{Seconds, TimestampNs},
};
use candid::Principal;
use ic_stable_structures::{StableBTreeMap, StableCell};
use minicbor::{Decode, Encode};
use std::cell::RefCell;

/// How long an event that is being sent is not sent again: longer than its call takes.
const LOCK: Seconds = Seconds(120);
/// The most events that are dropped at once because of their age.
const MAX_DROPPED_AT_ONCE: usize = 100;

/// A row: eight bytes of time, seven of the payment's index, and the kind. Not in CBOR, because the code of such a table
/// is in the canister already.
type Row = [u8; 16];

/// An event that is to be sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Queued {
    /// The index of the settled payment, less than 2^56.
    pub payment: u64,
    pub kind: EventKind,
    pub at: TimestampNs,
}

impl Queued {
    fn row(self) -> Row {
        let low = self.payment << 8 | self.kind as u64;
        (u128::from(self.at.0) << 64 | u128::from(low)).to_be_bytes()
    }

    /// `None` if this version does not know the kind.
    fn read(row: Row) -> Option<Self> {
        let whole = u128::from_be_bytes(row);
        Some(Queued {
            payment: (whole as u64) >> 8,
            kind: *EventKind::ALL.get(usize::from(row[15]))?,
            at: TimestampNs((whole >> 64) as u64),
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
    /// The events that are being sent, and until when they are not sent again; a few at a time.
    sending: Vec<(u64, TimestampNs)>,
    failures: u16,
    /// Nothing is sent before this.
    paused_until: TimestampNs,
}

thread_local! {
    static TABLES: RefCell<Tables> = RefCell::new(Tables {
        queue: StableBTreeMap::init(memory::get(memory::NOTIFICATIONS)),
        settings: StableCell::init(
            memory::get(memory::NOTIFICATION_SETTINGS),
            SettingsRow::default(),
        ),
        sending: Vec::new(),
        failures: 0,
        paused_until: TimestampNs(0),
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

    /// Drops the oldest event.
    fn drop_first(&mut self, why: &str, now: TimestampNs) {
        let Some((number, _)) = self.queue.pop_first() else {
            return;
        };
        self.change(|settings| settings.dropped += 1);
        let target = self.target().unwrap_or_else(Principal::anonymous);
        let subject = format!("event {number}: {why}");
        audit::admin(target, "notification_dropped", &subject, now);
    }

    /// The time at which something is to be sent next, if there is anything.
    fn next_due(&self) -> Option<TimestampNs> {
        let waiting = self.queue.len();
        if waiting == 0 {
            return None;
        }
        let all_are_sent = waiting <= self.sending.len() as u64;
        let free = self.sending.iter().map(|(_, until)| *until).min();
        let free = free.filter(|_| all_are_sent).unwrap_or_default();
        Some(free.max(self.paused_until))
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
            tables.sending.clear();
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
            };
            tables.queue.insert(number, event.row());
        }
    });
}

/// The time at which something is to be sent next, if there is anything.
pub fn next_due() -> Option<TimestampNs> {
    TABLES.with_borrow(Tables::next_due)
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

/// The numbers of the oldest events, at most `limit`. They are not sent again while they are being sent.
pub fn take_due(now: TimestampNs, limit: usize) -> Vec<u64> {
    TABLES.with_borrow_mut(|tables| {
        tables.sending.retain(|(_, until)| now < *until);
        if now < tables.paused_until {
            return vec![];
        }
        let waiting = tables.queue.range(..).map(|entry| *entry.key());
        let sending = |number: &u64| tables.sending.iter().any(|(sent, _)| sent == number);
        let numbers: Vec<u64> = waiting.filter(|n| !sending(n)).take(limit).collect();
        let until = now.plus(LOCK);
        tables
            .sending
            .extend(numbers.iter().map(|number| (*number, until)));
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
        tables.sending.retain(|(sent, _)| *sent != number);
        tables.failures = 0;
        if tables.queue.remove(&number).is_some() {
            tables.change(|settings| settings.sent += 1);
        }
    });
}

/// Records that the canister has not taken the event, or that this is not known. Nothing is sent for a while, up to an
/// hour if nothing is taken.
pub fn failed(number: u64, now: TimestampNs) {
    TABLES.with_borrow_mut(|tables| {
        tables.sending.retain(|(sent, _)| *sent != number);
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
        Status {
            target: tables.target(),
            waiting: tables.queue.len(),
            sent: settings.sent,
            dropped: settings.dropped,
            latest: settings.queued,
            failures: tables.failures,
            next_try: tables.next_due(),
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
        assert_eq!((next_due(), status().latest), (Some(TimestampNs(0)), 1));
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
    fn a_target_that_takes_nothing_gets_growing_pauses() {
        set_target(Some(target_canister()));
        let now = TimestampNs::from_seconds(1_000);
        for n in 0..3 {
            settle(n, now);
        }
        assert_eq!(take_due(now, 2), [1, 2]);
        assert_eq!(next_due(), Some(TimestampNs(0)), "one is left");
        assert_eq!(take_due(now, 2), [3], "those are being sent");
        assert_eq!(next_due(), Some(now.plus(LOCK)));
        failed(1, now);
        failed(2, now);
        assert_eq!(status().failures, 1, "one round");
        assert!(take_due(now.plus(Seconds(4)), 9).is_empty());
        let later = now.plus(Seconds(5));
        assert_eq!(take_due(later, 9), [1, 2]);
        failed(1, later);
        assert_eq!(next_due(), Some(later.plus(Seconds(10))));
        sent(2);
        assert_eq!((status().failures, status().sent), (0, 1));
        sent(7);
        assert_eq!(status().sent, 1, "no such event");
        let over = now.plus(LOCK);
        assert_eq!(
            take_due(over, 9),
            [1, 3],
            "the answer to the third never came"
        );
    }

    #[test]
    fn rows_are_read_back() {
        for kind in EventKind::ALL {
            for (payment, at) in [(0, 0), ((1 << 56) - 1, u64::MAX), (7, 8)] {
                let at = TimestampNs(at);
                let event = Queued { payment, kind, at };
                assert_eq!(Queued::read(event.row()), Some(event));
            }
        }
        assert_eq!(Queued::read([3; 16]), None, "a kind of a later version");
    }
}
