//! Cancelled authorizations, kept until they would have expired anyway.

use crate::{
    storable_row,
    storage::{codec::StoredPrincipal, memory},
    types::{NonceKey, TimestampNs},
};
use candid::Principal;
use ic_stable_structures::StableBTreeMap;
use minicbor::{Decode, Encode};
use std::{cell::RefCell, collections::BTreeMap};

/// The most cancellations in all.
pub const MAX_CANCELLATIONS: u32 = 100_000;
/// The most cancellations of one principal.
pub const MAX_PER_PRINCIPAL: u32 = 200;
/// How many expired ones are dropped at most when a new one comes.
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
    by_nonce: StableBTreeMap<[u8; 16], CancellationRow, memory::Memory>,
    by_expiry: StableBTreeMap<(u64, [u8; 16]), (), memory::Memory>,
    /// How many each principal has; at most [`MAX_CANCELLATIONS`] in all.
    per_payer: BTreeMap<Principal, u32>,
}

thread_local! {
    static TABLES: RefCell<Tables> = RefCell::new({
        let by_nonce: StableBTreeMap<_, CancellationRow, _> =
            StableBTreeMap::init(memory::get(memory::CANCELLATIONS));
        let mut per_payer = BTreeMap::new();
        for row in by_nonce.values() {
            *per_payer.entry(row.payer.0).or_default() += 1;
        }
        Tables {
            by_nonce,
            by_expiry: StableBTreeMap::init(memory::get(memory::CANCELLATIONS_BY_EXPIRY)),
            per_payer,
        }
    });
}

/// There is no room for another cancellation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TooManyCancellations {
    /// The limit that was reached.
    pub limit: u32,
}

/// Whether this nonce is cancelled.
pub fn contains(key: &NonceKey) -> bool {
    TABLES.with_borrow(|tables| tables.by_nonce.contains_key(&key.0))
}

/// Cancels a nonce until `valid_before_seconds`; cancelling again prolongs it, never shortens it.
pub fn insert(
    key: NonceKey,
    payer: Principal,
    valid_before_seconds: u64,
    now: TimestampNs,
) -> Result<(), TooManyCancellations> {
    TABLES.with_borrow_mut(|tables| {
        tables.drop_expired(now);
        if let Some(known) = tables.by_nonce.get(&key.0) {
            if known.valid_before_seconds >= valid_before_seconds {
                return Ok(());
            }
            tables.remove(key.0);
        }
        let mine = tables.per_payer.get(&payer).copied().unwrap_or_default();
        if mine >= MAX_PER_PRINCIPAL {
            return Err(TooManyCancellations {
                limit: MAX_PER_PRINCIPAL,
            });
        }
        if tables.by_nonce.len() >= u64::from(MAX_CANCELLATIONS) {
            return Err(TooManyCancellations {
                limit: MAX_CANCELLATIONS,
            });
        }
        let row = CancellationRow {
            payer: StoredPrincipal(payer),
            valid_before_seconds,
        };
        tables.by_nonce.insert(key.0, row);
        tables.by_expiry.insert((valid_before_seconds, key.0), ());
        tables.per_payer.insert(payer, mine + 1);
        Ok(())
    })
}

impl Tables {
    /// Drops a few of those whose authorization cannot be used any more.
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
        let Some(row) = self.by_nonce.remove(&key) else {
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

    fn key(n: u32) -> NonceKey {
        let mut bytes = [0; 16];
        bytes[..4].copy_from_slice(&n.to_be_bytes());
        NonceKey(bytes)
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
        insert(key(1_000), b, 1_100, NOW).unwrap();
        assert!(contains(&key(0)) && contains(&key(1_000)));

        let later = TimestampNs(1_100_000_000_000);
        insert(key(1_001), a, 1_200, later).unwrap();
        assert!(contains(&key(1_001)));
        TABLES.with_borrow(|tables| {
            assert_eq!(
                tables.by_nonce.len(),
                u64::from(MAX_PER_PRINCIPAL) + 2 - SWEEP as u64
            );
            assert_eq!(tables.by_nonce.len(), tables.by_expiry.len());
        });
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
