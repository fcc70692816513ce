//! Cancelled authorizations, kept until they expire.
//!
//! None is dropped before it expires, however many there are: the authorization could still be presented, and a payer's
//! cancellation cannot be told from one of a throw-away key. The limit of each principal shrinks as the table fills.
//! Filling the table therefore needs more and more keys and messages, and expiry makes room again within hours
//! ([`crate::storage::config`] has the longest timeout).

use crate::{
    storable_row,
    storage::{codec::StoredPrincipal, memory},
    types::{ClaimKey, TimestampNs},
};
use candid::Principal;
use ic_stable_structures::StableBTreeMap;
use minicbor::{Decode, Encode};
use std::{cell::RefCell, collections::BTreeMap};

pub const MAX_CANCELLATIONS: u32 = 100_000;
pub const MAX_PER_PRINCIPAL: u32 = 200;
/// The limit of one principal while the table has fewer rows than the first number.
const SHARES: [(u64, u32); 4] = [
    (50_000, MAX_PER_PRINCIPAL),
    (75_000, 20),
    (90_000, 5),
    (MAX_CANCELLATIONS as u64, 1),
];
/// The most expired cancellations that are dropped when one is added.
const SWEEP: usize = 8;

#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode)]
struct CancellationRow {
    #[n(0)]
    payer: StoredPrincipal,
    /// `validBefore` of the authorization.
    #[n(1)]
    valid_before_seconds: u64,
}

storable_row!(CancellationRow, max 48);

struct Tables {
    by_key: StableBTreeMap<[u8; 16], CancellationRow, memory::Memory>,
    by_expiry: StableBTreeMap<(u64, [u8; 16]), (), memory::Memory>,
    /// Cancellations of each principal; at most [`MAX_CANCELLATIONS`] in all.
    per_payer: BTreeMap<Principal, u32>,
}

thread_local! {
    static TABLES: RefCell<Tables> = RefCell::new({
        let by_key: StableBTreeMap<_, CancellationRow, _> =
            StableBTreeMap::init(memory::get(memory::CANCELLATIONS));
        let mut per_payer = BTreeMap::new();
        for row in by_key.values() {
            *per_payer.entry(row.payer.0).or_default() += 1;
        }
        Tables {
            by_key,
            by_expiry: StableBTreeMap::init(memory::get(memory::CANCELLATIONS_BY_EXPIRY)),
            per_payer,
        }
    });
}

/// The table is full, or the principal has reached its limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TooManyCancellations {
    pub limit: u32,
}

pub fn load() {
    TABLES.with_borrow(|_| ());
}

pub fn contains(key: &ClaimKey) -> bool {
    TABLES.with_borrow(|tables| tables.by_key.contains_key(&key.0))
}

/// Cancels a nonce until `valid_before_seconds`. Cancelling again can move that time later, never earlier.
pub fn insert(
    key: ClaimKey,
    payer: Principal,
    valid_before_seconds: u64,
    now: TimestampNs,
) -> Result<(), TooManyCancellations> {
    TABLES.with_borrow_mut(|tables| {
        tables.drop_expired(now);
        let known = tables.by_key.get(&key.0);
        if known.is_some_and(|known| known.valid_before_seconds >= valid_before_seconds) {
            return Ok(());
        }
        // Prolonging a cancellation adds no row.
        if known.is_none() {
            let Some(limit) = share(tables.by_key.len()) else {
                return Err(TooManyCancellations {
                    limit: MAX_CANCELLATIONS,
                });
            };
            if tables.per_payer.get(&payer).copied().unwrap_or_default() >= limit {
                return Err(TooManyCancellations { limit });
            }
        }
        tables.remove(key.0);
        let row = CancellationRow {
            payer: StoredPrincipal(payer),
            valid_before_seconds,
        };
        tables.by_key.insert(key.0, row);
        tables.by_expiry.insert((valid_before_seconds, key.0), ());
        *tables.per_payer.entry(payer).or_default() += 1;
        Ok(())
    })
}

/// The limit of one principal when the table has `all` rows; `None` if it is full.
fn share(all: u64) -> Option<u32> {
    let mut shares = SHARES.iter();
    let (_, share) = shares.find(|(below, _)| all < *below)?;
    Some(*share)
}

impl Tables {
    /// Drops up to [`SWEEP`] cancellations of authorizations that have expired.
    fn drop_expired(&mut self, now: TimestampNs) {
        let expired: Vec<[u8; 16]> = self
            .by_expiry
            .keys_range(..=(now.seconds(), [u8::MAX; 16]))
            .take(SWEEP)
            .map(|(_, key)| key)
            .collect();
        for key in expired {
            self.remove(key);
        }
    }

    fn remove(&mut self, key: [u8; 16]) {
        let Some(row) = self.by_key.remove(&key) else {
            return;
        };
        self.by_expiry.remove(&(row.valid_before_seconds, key));
        let left = self
            .per_payer
            .get(&row.payer.0)
            .copied()
            .unwrap_or_default()
            .saturating_sub(1);
        if left == 0 {
            self.per_payer.remove(&row.payer.0);
        } else {
            self.per_payer.insert(row.payer.0, left);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(n: u32) -> ClaimKey {
        let mut bytes = [0; 16];
        bytes[..4].copy_from_slice(&n.to_be_bytes());
        ClaimKey(bytes)
    }

    const NOW: TimestampNs = TimestampNs(1_000_000_000_000);

    #[test]
    fn each_principal_has_its_own_limit_and_expiry_makes_room() {
        let (a, b) = (Principal::from_slice(&[1]), Principal::from_slice(&[2]));
        for n in 0..MAX_PER_PRINCIPAL {
            insert(key(n), a, 1_100, NOW).unwrap();
        }
        assert_eq!(
            insert(key(1_000), a, 1_100, NOW),
            Err(TooManyCancellations {
                limit: MAX_PER_PRINCIPAL
            })
        );
        assert_eq!(insert(key(5), a, 1_050, NOW), Ok(()), "known already");
        assert_eq!(insert(key(5), a, 1_101, NOW), Ok(()), "known already");
        assert!(contains(&key(5)));
        insert(key(1_000), b, 1_100, NOW).unwrap();
        assert!(contains(&key(0)) && contains(&key(1_000)));

        let later = TimestampNs(1_100_000_000_000);
        insert(key(1_001), a, 1_200, later).unwrap();
        assert!(contains(&key(1_001)));
        TABLES.with_borrow(|tables| {
            assert_eq!(
                tables.by_key.len(),
                u64::from(MAX_PER_PRINCIPAL) + 2 - SWEEP as u64
            );
            assert_eq!(tables.by_key.len(), tables.by_expiry.len());
        });
    }

    #[test]
    fn throw_away_keys_do_not_keep_a_payer_from_cancelling() {
        // The cancellations that so many keys can make, and whether another payer can make one then.
        let taken = |keys: u64| {
            let mut all = 0;
            for _ in 0..keys {
                let mut mine = 0;
                while share(all).is_some_and(|share| mine < share) {
                    (all, mine) = (all + 1, mine + 1);
                }
            }
            (all, share(all).is_some())
        };
        assert_eq!(taken(250), (50_000, true));
        assert!(taken(500).0 < 60_000);
        assert!(taken(10_000).1, "ten thousand keys are not enough");
        assert_eq!(taken(100_000), (u64::from(MAX_CANCELLATIONS), false));
    }

    #[test]
    fn cancelling_again_prolongs() {
        let payer = Principal::from_slice(&[1]);
        insert(key(1), payer, 1_100, NOW).unwrap();
        insert(key(1), payer, 1_300, NOW).unwrap();
        // The sweep of 1,100 leaves it.
        insert(key(2), payer, 1_400, TimestampNs(1_200_000_000_000)).unwrap();
        assert!(contains(&key(1)));
        TABLES.with_borrow(|tables| assert_eq!(tables.per_payer.get(&payer), Some(&2)));
    }
}
