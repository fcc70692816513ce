//! Digests of proofs, each until a time, with a limit on their number.

use crate::types::{ClaimKey, TimestampNs};
use std::collections::BTreeMap;

/// Digests, each until a time. Beyond the limit the oldest is dropped.
#[derive(Debug)]
pub(super) struct Remembered {
    pub(super) limit: usize,
    known: BTreeMap<[u8; 32], Known>,
    /// The same digests by their [`Known::number`]: the oldest first.
    order: BTreeMap<u64, [u8; 32]>,
    /// The same digests by the payment that used them last, if any.
    users: BTreeMap<ClaimKey, [u8; 32]>,
    inserted: u64,
}

#[derive(Debug)]
struct Known {
    until: TimestampNs,
    number: u64,
    user: Option<ClaimKey>,
}

impl Remembered {
    pub(super) fn of(limit: usize) -> Self {
        Remembered {
            limit,
            known: BTreeMap::new(),
            order: BTreeMap::new(),
            users: BTreeMap::new(),
            inserted: 0,
        }
    }

    pub(super) fn contains(&self, digest: &[u8; 32], now: TimestampNs) -> bool {
        self.known
            .get(digest)
            .is_some_and(|known| now < known.until)
    }

    /// Stores the digest, which this payment uses. A known one keeps its place in the order.
    pub(super) fn insert(
        &mut self,
        digest: [u8; 32],
        until: TimestampNs,
        user: Option<ClaimKey>,
        now: TimestampNs,
    ) {
        if let Some(known) = self.known.get_mut(&digest) {
            known.until = until;
        } else {
            self.make_room(now);
            self.inserted += 1;
            let number = self.inserted;
            let known = Known {
                until,
                number,
                user: None,
            };
            self.known.insert(digest, known);
            self.order.insert(number, digest);
        }
        if let Some(user) = user {
            self.used_by(&digest, user);
        }
    }

    /// Records that this payment was the last to use the digest, if it is known.
    pub(super) fn used_by(&mut self, digest: &[u8; 32], user: ClaimKey) {
        let Some(known) = self.known.get_mut(digest) else {
            return;
        };
        if let Some(before) = known.user.replace(user) {
            self.users.remove(&before);
        }
        if let Some(other) = self.users.insert(user, *digest)
            && other != *digest
            && let Some(other) = self.known.get_mut(&other)
        {
            other.user = None;
        }
    }

    /// Removes the digest that this payment used last. Returns it with its expiry.
    pub(super) fn take_used_by(&mut self, user: &ClaimKey) -> Option<([u8; 32], TimestampNs)> {
        let digest = *self.users.get(user)?;
        Some((digest, self.remove(&digest)?))
    }

    pub(super) fn len(&self) -> usize {
        self.known.len()
    }

    fn make_room(&mut self, now: TimestampNs) {
        if self.len() < self.limit {
            return;
        }
        let expired = self.known.iter().filter(|(_, known)| now >= known.until);
        let expired: Vec<_> = expired.map(|(digest, _)| *digest).collect();
        for digest in expired {
            self.remove(&digest);
        }
        while self.len() >= self.limit {
            let Some((_, oldest)) = self.order.pop_first() else {
                return;
            };
            self.remove(&oldest);
        }
    }

    fn remove(&mut self, digest: &[u8; 32]) -> Option<TimestampNs> {
        let known = self.known.remove(digest)?;
        self.order.remove(&known.number);
        if let Some(user) = known.user {
            self.users.remove(&user);
        }
        Some(known.until)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::types::Seconds;

    const NOW: TimestampNs = TimestampNs(1_800_000_000_000_000_000);

    fn digest(n: u8) -> [u8; 32] {
        [n; 32]
    }

    fn user(n: u8) -> Option<ClaimKey> {
        Some(ClaimKey([n; 16]))
    }

    #[test]
    fn memory_is_bounded_and_the_oldest_goes() {
        let (soon, late) = (NOW.plus(Seconds(1)), NOW.plus(Seconds(3_600)));
        let mut memory = Remembered::of(100);
        for n in 0..250 {
            // Every tenth expires soon.
            let until = if n % 10 == 0 { soon } else { late };
            memory.insert(digest(n), until, user(n), NOW);
            memory.insert(digest(n), until, user(n), NOW);
            assert!(memory.len() <= 100);
            assert_eq!(memory.order.len(), memory.len());
            assert_eq!(memory.users.len(), memory.len());
        }
        assert!(memory.contains(&digest(151), NOW) && !memory.contains(&digest(149), NOW));
        assert_eq!(memory.len(), 100);
        // An expired digest is dropped before one that is not.
        memory.insert(digest(250), late, None, soon);
        assert_eq!(memory.len(), 91);
        assert!(memory.contains(&digest(151), NOW) && !memory.contains(&digest(150), NOW));
    }

    #[test]
    fn a_digest_is_found_by_the_payment_that_used_it_last() {
        let mut memory = Remembered::of(2);
        memory.insert(digest(1), NOW.plus(Seconds(9)), user(1), NOW);
        memory.used_by(&digest(1), ClaimKey([2; 16]));
        memory.used_by(&digest(9), ClaimKey([9; 16]));
        assert_eq!(memory.take_used_by(&ClaimKey([1; 16])), None);
        assert_eq!(memory.take_used_by(&ClaimKey([9; 16])), None);
        // The same payment with another chain.
        memory.insert(digest(2), NOW.plus(Seconds(8)), user(2), NOW);
        let taken = memory.take_used_by(&ClaimKey([2; 16]));
        assert_eq!(taken, Some((digest(2), NOW.plus(Seconds(8)))));
        assert!(memory.contains(&digest(1), NOW) && !memory.contains(&digest(2), NOW));
        assert!(memory.users.is_empty());
        assert_eq!((memory.order.len(), memory.len()), (1, 1));
    }
}
