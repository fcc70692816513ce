//! Expensive signatures: limits on verifying them, and memory of their results.
//!
//! A chain behind a canister's key costs a hundred times as much to verify as an ordinary payment. Presenting one needs
//! neither money nor a key. Therefore:
//!
//! - Verifications of more than [`EXPENSIVE`] instructions use a [budget]: of a minute, and of a day. Without budget
//!   they have to wait, before any cryptography. Payments with other keys use no budget. What the last verification of
//!   a payment used is returned when its money moved.
//! - A verified chain is remembered until it expires: the next payment of the same session costs only the signature of
//!   its session key. Chains that have paid are stored apart from those that have not, so that chains without money
//!   displace none that paid.
//! - An expensive proof that failed is remembered for a while, and refused without cryptography.
//!
//! The memories are bounded. They hold digests of everything that the verification depends on.

pub mod budget;
mod memory;

use crate::types::{ClaimKey, Cycles, Seconds, TimestampNs};
use budget::{BUDGET, Budget, Exhausted, MINUTE};
use memory::Remembered;
use sha2::{Digest, Sha256};
use x402_icp::signature::{Chain, SignatureError, verify_delegations, verify_message};

/// Instructions above which the verification of a proof is expensive: one P-256 key is not, two are.
pub const EXPENSIVE: u64 = 26_000_000;
/// The most verified chains that are remembered and have paid, and the same number that have not. The oldest is dropped
/// for a new one.
pub const MAX_VERIFIED: usize = 10_000;
/// How long a failed proof is remembered.
pub const FAILED_FOR: Seconds = Seconds(600);
/// The most failed proofs that are remembered. The budget allows no more of them in [`FAILED_FOR`].
pub const MAX_FAILED: usize = 2_200;
const _: () = assert!(
    (BUDGET / EXPENSIVE) * (FAILED_FOR.0 / MINUTE.0 + 1) as u64 <= MAX_FAILED as u64,
    "every failure is remembered for the whole time"
);

/// The reason why a proof is not accepted.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Unproved {
    #[error(transparent)]
    Signature(#[from] SignatureError),
    /// It failed a while ago.
    #[error("the same signature was found invalid a short while ago")]
    FailedBefore,
    /// There is no budget left to verify it.
    #[error(transparent)]
    Exhausted(#[from] Exhausted),
}

/// The data that the signature of a payment is verified against, except the chain.
#[derive(Clone, Copy, Debug)]
pub struct Proved<'a> {
    pub message: &'a [u8],
    /// The signature by the last key of the chain.
    pub signature: &'a [u8],
    /// The trust anchor of canister signatures.
    pub root_key: &'a [u8],
}

/// Known results of expensive verifications, and the remaining budget.
#[derive(Debug)]
pub struct ExpensiveSignatures {
    budget: Budget,
    /// Verified chains without a payment that moved money.
    verified: Remembered,
    /// Verified chains with a payment that moved money.
    paid: Remembered,
    failed: Remembered,
}

impl Default for ExpensiveSignatures {
    fn default() -> Self {
        ExpensiveSignatures {
            budget: Budget::default(),
            verified: Remembered::of(MAX_VERIFIED),
            paid: Remembered::of(MAX_VERIFIED),
            failed: Remembered::of(MAX_FAILED),
        }
    }
}

impl ExpensiveSignatures {
    /// Checks that the last key of `chain` signed the message, and each key the delegation to the next. `spare`: the
    /// liquid cycles above the floor.
    ///
    /// [`x402_icp::signature::check_chain`] has accepted the chain at this time for this canister: times and targets
    /// are checked again for each payment, whatever is remembered.
    pub fn check(
        &mut self,
        chain: &Chain<'_>,
        proved: Proved<'_>,
        payment: ClaimKey,
        spare: Cycles,
        now: TimestampNs,
    ) -> Result<(), Unproved> {
        let Proved {
            message,
            signature,
            root_key,
        } = proved;
        if chain.cost() <= EXPENSIVE {
            verify_message(chain, message, signature, root_key)?;
            verify_delegations(chain, root_key)?;
            return Ok(());
        }
        let id = chain.digest(root_key);
        if self.paid.contains(&id, now) {
            verify_message(chain, message, signature, root_key)?;
            return Ok(());
        }
        if self.verified.contains(&id, now) {
            verify_message(chain, message, signature, root_key)?;
            self.verified.used_by(&id, payment);
            return Ok(());
        }
        // Without delegations the chain proves nothing by itself: the signature over the message is the expensive part.
        let direct = chain.expiration().is_none();
        let proof = if direct {
            digest(&[&id, &Sha256::digest(message), signature])
        } else {
            id
        };
        if self.failed.contains(&proof, now) {
            return Err(Unproved::FailedBefore);
        }
        self.budget.take(chain.cost(), spare, now)?;
        if let Err(error) = verify_message(chain, message, signature, root_key) {
            if direct {
                self.failed.insert(proof, now.plus(FAILED_FOR), None, now);
            } else {
                // The delegations were not verified, and one session key is not expensive.
                self.budget.give_back_last();
            }
            return Err(error.into());
        }
        if let Err(error) = verify_delegations(chain, root_key) {
            self.failed.insert(proof, now.plus(FAILED_FOR), None, now);
            return Err(error.into());
        }
        if let Some(until) = chain.expiration() {
            let until = TimestampNs(until);
            self.verified.insert(id, until, Some(payment), now);
        }
        self.budget.last_is_of(payment);
        Ok(())
    }

    /// Records that the money of this payment moved: returns the budget of its last verification, and moves its chain
    /// to those that have paid.
    pub fn paid(&mut self, payment: &ClaimKey, now: TimestampNs) {
        self.budget.give_back(payment);
        if let Some((chain, until)) = self.verified.take_used_by(payment) {
            self.paid.insert(chain, until, None, now);
        }
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
