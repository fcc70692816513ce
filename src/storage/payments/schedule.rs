//! The times at which something is due for payments. Heap only, rebuilt from the tables on first use.

use crate::{
    domain::{payment::State, window::backoff},
    types::{ClaimKey, Seconds, TimestampNs},
};
use std::collections::{BTreeMap, BTreeSet};

/// After this time without a reply, none can arrive: calls wait a minute at most.
pub const NO_ANSWER: Seconds = Seconds(600);

/// The kind of work that is due for a payment.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Lane {
    /// Find out whether the money moved: the reply has not arrived, or the outcome is unknown.
    Open,
    /// Refund a payment whose response was not fetched.
    Undelivered,
    /// Make the refund that is due.
    Refund,
    /// Call the canister that does the work again, or refund.
    Work,
}

/// Every payment that is open, undelivered or being refunded without a controller, by the time at which something is
/// due.
#[derive(Default)]
pub struct Schedule {
    by_key: BTreeMap<[u8; 16], (Lane, TimestampNs)>,
    by_time: BTreeSet<(Lane, TimestampNs, [u8; 16])>,
}

impl Schedule {
    /// Updates the schedule after the payment's state changed. `at` is the time of the change, or of the last try of a
    /// payment that is settling or refunding.
    pub fn note(&mut self, key: [u8; 16], state: &State, at: TimestampNs, retention: Seconds) {
        let next = match state {
            State::Reserved | State::Settling { .. } => Some((Lane::Open, at.plus(NO_ANSWER))),
            State::Unknown {
                since, attempts, ..
            } => Some((Lane::Open, since.plus(backoff(*attempts)))),
            State::Settled { at, .. } => Some((Lane::Undelivered, at.plus(retention))),
            State::Working { since, .. } => Some((Lane::Work, since.plus(NO_ANSWER))),
            State::Undone {
                since, attempts, ..
            } => Some((Lane::Work, since.plus(backoff(*attempts)))),
            // A controller decides.
            state if state.is_waiting() => None,
            State::Refunding { attempts: 0, .. } => Some((Lane::Refund, at)),
            State::Refunding { attempts, .. } => Some((Lane::Refund, at.plus(backoff(*attempts)))),
            State::Failed { .. } | State::Delivered { .. } | State::Refunded { .. } => None,
        };
        self.put(key, next);
    }

    fn put(&mut self, key: [u8; 16], next: Option<(Lane, TimestampNs)>) {
        let earlier = match next {
            Some((lane, due)) => {
                self.by_time.insert((lane, due, key));
                self.by_key.insert(key, (lane, due))
            }
            None => self.by_key.remove(&key),
        };
        if let Some((lane, due)) = earlier
            && earlier != next
        {
            self.by_time.remove(&(lane, due, key));
        }
    }

    /// Postpones what is due for this payment.
    pub fn postpone(&mut self, key: [u8; 16], until: TimestampNs) {
        if let Some((lane, _)) = self.by_key.get(&key) {
            self.put(key, Some((*lane, until)));
        }
    }

    /// The time at which something is due for this payment.
    pub fn due_at(&self, key: &[u8; 16]) -> Option<TimestampNs> {
        self.by_key.get(key).map(|(_, due)| *due)
    }

    /// The first payments in this lane that are due.
    pub fn due(&self, lane: Lane, now: TimestampNs, limit: usize) -> Vec<ClaimKey> {
        self.by_time
            .range((lane, TimestampNs(0), [0; 16])..=(lane, now, [255; 16]))
            .take(limit)
            .map(|(_, _, key)| ClaimKey(*key))
            .collect()
    }

    /// The payments in this lane after `after`, in the order of their keys.
    pub fn page(&self, lane: Lane, after: Option<[u8; 16]>, limit: usize) -> Vec<ClaimKey> {
        use std::ops::Bound::{Excluded, Unbounded};
        self.by_key
            .range((after.map_or(Unbounded, Excluded), Unbounded))
            .filter(|(_, (of, _))| *of == lane)
            .take(limit)
            .map(|(key, _)| ClaimKey(*key))
            .collect()
    }

    /// The time at which something is due next, in any lane.
    pub fn next(&self) -> Option<TimestampNs> {
        let first = |lane| {
            let mut times = self.by_time.range((lane, TimestampNs(0), [0; 16])..);
            let (found, due, _) = times.next()?;
            (*found == lane).then_some(*due)
        };
        let lanes = [Lane::Open, Lane::Undelivered, Lane::Refund, Lane::Work];
        lanes.into_iter().filter_map(first).min()
    }

    pub fn is_empty(&self) -> bool {
        self.by_key.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{domain::rail::TxRef, types::BlockIndex};

    #[test]
    fn a_payment_is_due_once_and_in_one_lane() {
        let mut schedule = Schedule::default();
        let (key, now) = ([1; 16], TimestampNs(0).plus(Seconds::DAY));
        assert!(schedule.is_empty());
        schedule.note(
            key,
            &State::Settling {
                attempt: 1,
                all_failed: true,
            },
            now,
            Seconds::DAY,
        );
        assert_eq!(schedule.due(Lane::Open, now, 9), vec![]);
        let late = now.plus(NO_ANSWER);
        assert_eq!(schedule.due(Lane::Open, late, 9), vec![ClaimKey(key)]);
        assert_eq!(schedule.next(), Some(late));
        schedule.postpone(key, late.plus(Seconds(1)));
        assert_eq!(schedule.due(Lane::Open, late, 9), vec![]);
        assert_eq!(schedule.due_at(&key), Some(late.plus(Seconds(1))));

        let block = BlockIndex(1);
        let settled = State::Settled {
            tx: TxRef::Block(block),
            at: now,
        };
        schedule.note(key, &settled, now, Seconds::DAY);
        schedule.note(key, &settled, now, Seconds::DAY);
        assert_eq!(schedule.page(Lane::Open, None, 9), vec![]);
        assert_eq!(
            schedule.page(Lane::Undelivered, None, 9),
            vec![ClaimKey(key)]
        );
        assert_eq!(schedule.page(Lane::Undelivered, Some(key), 9), vec![]);
        let over = now.plus(Seconds::DAY);
        assert_eq!(
            schedule.due(Lane::Undelivered, over, 9),
            vec![ClaimKey(key)]
        );
        let delivered = State::Delivered {
            tx: TxRef::Block(block),
            settled_at: now,
            at: now,
        };
        schedule.note(key, &delivered, now, Seconds::DAY);
        assert!(schedule.is_empty() && schedule.by_time.is_empty());
        schedule.postpone(key, now);
        assert!(schedule.is_empty());
    }

    #[test]
    fn pauses_grow_to_an_hour() {
        let pauses: Vec<u32> = (0..=12).map(|n| backoff(n).0).collect();
        assert_eq!(
            pauses,
            [
                5, 5, 10, 20, 40, 80, 160, 320, 640, 1_280, 2_560, 3_600, 3_600
            ]
        );
        assert_eq!(backoff(u16::MAX), Seconds(3_600));
    }
}
