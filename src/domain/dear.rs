//! Dear signatures: what may be verified at all, and what is known already.
//!
//! A chain behind a canister's key costs a hundredfold of what an ordinary payment costs, and nobody has to own
//! money, or even a key, to present one. So
//!
//! - verifications of more than [`DEAR`] instructions take from a budget; without it they have to wait, before any
//!   cryptography. Payments with cheap keys never touch it. What a payment took is given back when its money moved;
//! - a chain that was verified is remembered until it expires: the next payment of the same session costs the
//!   signature of its session key;
//! - what failed dearly is remembered for a while, and refused without cryptography.
//!
//! Both memories are bounded, and hold digests of everything that the verification depends on.

use crate::types::{NonceKey, Seconds, TimestampNs};
use sha2::{Digest, Sha256};
use std::collections::{BTreeMap, VecDeque};
use x402_icp::signature::{
    Chain, MAX_CHAIN_COST, SignatureError, verify_delegations, verify_message,
};

/// Instructions above which the verification of a proof is dear.
pub const DEAR: u64 = 60_000_000;
/// How many instructions dear verifications may take in any [`MINUTE`]: ten of the dearest.
pub const BUDGET: u64 = 10 * MAX_CHAIN_COST;
/// How long what was taken from the budget is gone.
pub const MINUTE: Seconds = Seconds(60);
/// The most verified chains that are remembered; the oldest makes room.
pub const MAX_VERIFIED: usize = 10_000;
/// How long a proof is remembered that failed.
pub const FAILED_FOR: Seconds = Seconds(600);
/// The most failed proofs that are remembered. The budget allows no more of them in [`FAILED_FOR`].
pub const MAX_FAILED: usize = 1_000;
const _: () = assert!(
    (BUDGET / DEAR) * (FAILED_FOR.0 / MINUTE.0 + 1) as u64 <= MAX_FAILED as u64,
    "every failure is remembered for its time"
);

/// Why a proof is not taken.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Unproved {
    /// It does not hold.
    #[error(transparent)]
    Signature(#[from] SignatureError),
    /// It was found not to hold a while ago.
    #[error("the same proof was found not to hold a short while ago")]
    FailedBefore,
    /// There is no budget left to find out.
    #[error(
        "the signature is expensive to verify and the budget of 5,150 million instructions a minute is used up; \
         send the same payment again in a minute"
    )]
    Busy,
}

/// What the signature of a payment is checked against, the chain aside.
#[derive(Clone, Copy, Debug)]
pub struct Proved<'a> {
    /// The message.
    pub message: &'a [u8],
    /// The signature by the last key of the chain.
    pub signature: &'a [u8],
    /// The trust anchor of canister signatures.
    pub root_key: &'a [u8],
}

/// What is known of dear signatures, and what is left of the budget.
#[derive(Debug)]
pub struct DearSignatures {
    taken: VecDeque<Taken>,
    verified: Remembered,
    failed: Remembered,
}

/// One verification that took from the budget.
#[derive(Debug)]
struct Taken {
    at: TimestampNs,
    cost: u64,
    /// The payment that was verified, if its proof holds.
    by: Option<NonceKey>,
}

impl Default for DearSignatures {
    fn default() -> Self {
        DearSignatures {
            taken: VecDeque::new(),
            verified: Remembered::of(MAX_VERIFIED),
            failed: Remembered::of(MAX_FAILED),
        }
    }
}

impl DearSignatures {
    /// Checks that the last key of `chain` signed the message, and each key the delegation to the next.
    ///
    /// The chain is one that [`x402_icp::signature::check_chain`] let pass at this time for this canister: times
    /// and targets are looked at anew for each payment, whatever is remembered.
    pub fn check(
        &mut self,
        chain: &Chain<'_>,
        proved: Proved<'_>,
        payment: NonceKey,
        now: TimestampNs,
    ) -> Result<(), Unproved> {
        let Proved {
            message,
            signature,
            root_key,
        } = proved;
        if chain.cost() <= DEAR {
            verify_message(chain, message, signature, root_key)?;
            verify_delegations(chain, root_key)?;
            return Ok(());
        }
        let id = chain.digest(root_key);
        if self.verified.contains(&id, now) {
            verify_message(chain, message, signature, root_key)?;
            return Ok(());
        }
        // Without delegations the chain proves nothing of itself: the signature over the message is what is dear.
        let direct = chain.expiration().is_none();
        let dear = if direct {
            digest(&[&id, &Sha256::digest(message), signature])
        } else {
            id
        };
        if self.failed.contains(&dear, now) {
            return Err(Unproved::FailedBefore);
        }
        if !self.take(chain.cost(), now) {
            return Err(Unproved::Busy);
        }
        if let Err(error) = verify_message(chain, message, signature, root_key) {
            if direct {
                self.failed.insert(dear, now.plus(FAILED_FOR), now);
            } else {
                // The dear part was not begun.
                self.taken.pop_back();
            }
            return Err(error.into());
        }
        if let Err(error) = verify_delegations(chain, root_key) {
            self.failed.insert(dear, now.plus(FAILED_FOR), now);
            return Err(error.into());
        }
        if let Some(until) = chain.expiration() {
            self.verified.insert(id, TimestampNs(until), now);
        }
        if let Some(taken) = self.taken.back_mut() {
            taken.by = Some(payment);
        }
        Ok(())
    }

    /// Gives back what the verification of this payment took: its money moved.
    pub fn paid(&mut self, payment: &NonceKey) {
        self.taken
            .retain(|taken| taken.by.as_ref() != Some(payment));
    }

    /// Takes from the budget; `false` if too little is left of it.
    fn take(&mut self, cost: u64, now: TimestampNs) -> bool {
        for taken in &mut self.taken {
            // Should the clock go back, nothing is gone for longer than a minute.
            taken.at = taken.at.min(now);
        }
        self.taken.retain(|taken| now < taken.at.plus(MINUTE));
        let gone: u64 = self.taken.iter().map(|taken| taken.cost).sum();
        let enough = gone.saturating_add(cost) <= BUDGET;
        if enough {
            self.taken.push_back(Taken {
                at: now,
                cost,
                by: None,
            });
        }
        enough
    }
}

/// Digests, each until a time.
#[derive(Debug)]
struct Remembered {
    limit: usize,
    until: BTreeMap<[u8; 32], TimestampNs>,
    /// The same digests, the oldest first.
    order: VecDeque<[u8; 32]>,
}

impl Remembered {
    fn of(limit: usize) -> Self {
        Remembered {
            limit,
            until: BTreeMap::new(),
            order: VecDeque::new(),
        }
    }

    fn contains(&self, digest: &[u8; 32], now: TimestampNs) -> bool {
        self.until.get(digest).is_some_and(|until| now < *until)
    }

    fn insert(&mut self, digest: [u8; 32], until: TimestampNs, now: TimestampNs) {
        if self.until.insert(digest, until).is_some() {
            return;
        }
        if self.order.len() >= self.limit {
            self.until.retain(|_, until| now < *until);
            self.order.retain(|known| self.until.contains_key(known));
        }
        while self.order.len() >= self.limit {
            let oldest = self.order.pop_front();
            oldest.and_then(|oldest| self.until.remove(&oldest));
        }
        self.order.push_back(digest);
    }
}

/// SHA-256 over parts, each with its length.
fn digest(parts: &[&[u8]]) -> [u8; 32] {
    let mut hash = Sha256::new();
    for part in parts {
        hash.update((part.len() as u64).to_be_bytes());
        hash.update(part);
    }
    hash.finalize().into()
}

#[cfg(test)]
pub(crate) mod tests;
