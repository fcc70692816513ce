//! Verification of signatures and delegation chains (section 6).
//!
//! ```text
//!  publicKey ──signs──▶ delegation 0 ──its key signs──▶ delegation 1 … ──the last key signs──▶ message
//!      │
//!      └── self-authenticating principal = the payer
//! ```
//! [`verify`] does three things, the cheapest first: [`check_chain`] checks forms, times, targets and the cost of the
//! chain, [`verify_message`] the signature over the message by the last key, and [`verify_delegations`] the chain. A
//! canister that has verified the same chain before ([`Chain::digest`]) may remember it until [`Chain::expiration`] and
//! leave out the last step.

use crate::{
    authorization::{MAX_DELEGATIONS, MAX_TARGETS},
    delegation::SignedDelegation,
    key::{self, Failure, KeyKind},
};
use candid::Principal;
use sha2::{Digest, Sha256};

/// The highest cost of a chain ([`Chain::cost`]): a canister's key and two P-256 keys after it.
pub const MAX_CHAIN_COST: u64 = 515_000_000;

/// The reason why a signature does not prove that the payer agreed. `at` counts the keys of the chain: 0 is
/// `publicKey`, 1 the key of the first delegation.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SignatureError {
    /// The key's DER is of no supported kind, or not in canonical form.
    #[error(
        "key {at} is not an Ed25519, secp256k1, P-256 or canister signature key in canonical DER"
    )]
    UnsupportedKey {
        /// The index of the key.
        at: usize,
    },
    /// The DER frame is valid, but the point is not on the curve.
    #[error("key {at} is not a valid point")]
    InvalidKey {
        /// The index of the key.
        at: usize,
    },
    /// A canister's key after the first place in the chain, where only key pairs are allowed.
    #[error("key {at} is a canister's, which only the first may be")]
    CanisterKeyNotFirst {
        /// The index of the key.
        at: usize,
    },
    /// Too many delegations.
    #[error("the chain has {actual} delegations, at most {limit} are allowed")]
    ChainTooLong {
        /// The most allowed.
        limit: usize,
        /// The actual number.
        actual: usize,
    },
    /// The signatures of the chain cost too much together.
    #[error("the signatures of the chain cost {actual} instructions, at most {limit} are allowed")]
    ChainTooExpensive {
        /// The most allowed.
        limit: u64,
        /// Their assumed cost.
        actual: u64,
    },
    /// The same key twice in the chain.
    #[error("key {at} is in the chain twice")]
    DelegationLoop {
        /// The index of the second occurrence.
        at: usize,
    },
    /// A delegation has expired.
    #[error("delegation {index} has expired")]
    DelegationExpired {
        /// The index of the delegation.
        index: usize,
    },
    /// A delegation does not include this canister in its targets.
    #[error("delegation {index} is not valid for this canister")]
    TargetMismatch {
        /// The index of the delegation.
        index: usize,
    },
    /// A delegation has too many targets.
    #[error("delegation {index} has more than {limit} targets")]
    TooManyTargets {
        /// The index of the delegation.
        index: usize,
        /// The most allowed.
        limit: usize,
    },
    /// A signature has a length that its key cannot make.
    #[error("the signature by key {at} is {actual} bytes long, 64 are required")]
    SignatureLength {
        /// The index of the key.
        at: usize,
        /// The actual length.
        actual: usize,
    },
    /// A signature was not made by its key over its message.
    #[error("the signature by key {at} is invalid")]
    Mismatch {
        /// The index of the key.
        at: usize,
    },
    /// A canister signature is invalid.
    #[error("the canister signature by key {at} is invalid: {problem}")]
    CanisterSignature {
        /// The index of the key.
        at: usize,
        /// The verifier's message.
        problem: String,
    },
    /// The caller's root key is not a DER-encoded BLS12-381 key.
    #[error("the root key is not a DER-encoded BLS12-381 key")]
    RootKey,
}

/// A chain with valid form, times and targets, whose signatures are not verified yet.
#[derive(Clone, Debug)]
pub struct Chain<'a> {
    keys: Vec<(KeyKind, &'a [u8])>,
    delegations: &'a [SignedDelegation],
}

impl Chain<'_> {
    /// The principal of the first key: the payer, if the signatures are valid.
    pub fn payer(&self) -> Principal {
        self.keys
            .first()
            .map_or(Principal::anonymous(), |(_, der)| {
                Principal::self_authenticating(der)
            })
    }

    /// The time at which the first delegation of the chain expires, in nanoseconds; `None` without delegations.
    pub fn expiration(&self) -> Option<u64> {
        self.delegations.iter().map(|d| d.expiration).min()
    }

    /// The kinds of keys that have to be verified, in order.
    pub fn kinds(&self) -> impl Iterator<Item = KeyKind> + '_ {
        self.keys.iter().map(|(kind, _)| *kind)
    }

    /// The assumed cost of verifying all signatures, in wasm instructions.
    pub fn cost(&self) -> u64 {
        self.kinds().map(KeyKind::cost).sum()
    }

    /// SHA-256 over everything that [`verify_delegations`] depends on: its result is the same for two chains with the
    /// same digest.
    pub fn digest(&self, root_key_der: &[u8]) -> [u8; 32] {
        let mut hash = Sha256::new();
        let mut part = |bytes: &[u8]| {
            hash.update((bytes.len() as u64).to_be_bytes());
            hash.update(bytes);
        };
        part(root_key_der);
        part(self.keys.first().map_or(&[], |(_, der)| der));
        for delegation in self.delegations {
            part(&delegation.message());
            part(&delegation.pubkey);
            part(&delegation.signature);
        }
        hash.finalize().into()
    }
}

/// Verifies a signature over `message` and returns the signer.
///
/// The signer is the self-authenticating principal of `public_key_der`. `now_ns` is in nanoseconds; `canister_id` must
/// be among the targets of every delegation that has any; `root_key_der` is the trust anchor of canister signatures.
pub fn verify(
    public_key_der: &[u8],
    message: &[u8],
    signature: &[u8],
    delegations: &[SignedDelegation],
    now_ns: u64,
    canister_id: Principal,
    root_key_der: &[u8],
) -> Result<Principal, SignatureError> {
    let chain = check_chain(public_key_der, delegations, now_ns, canister_id)?;
    verify_message(&chain, message, signature, root_key_der)?;
    verify_delegations(&chain, root_key_der)?;
    Ok(chain.payer())
}

/// Does all checks of a chain that need no cryptography.
pub fn check_chain<'a>(
    public_key_der: &'a [u8],
    delegations: &'a [SignedDelegation],
    now_ns: u64,
    canister_id: Principal,
) -> Result<Chain<'a>, SignatureError> {
    if delegations.len() > MAX_DELEGATIONS {
        return Err(SignatureError::ChainTooLong {
            limit: MAX_DELEGATIONS,
            actual: delegations.len(),
        });
    }
    for (index, delegation) in delegations.iter().enumerate() {
        if delegation.expiration <= now_ns {
            return Err(SignatureError::DelegationExpired { index });
        }
        match &delegation.targets {
            None => {}
            Some(targets) if targets.len() > MAX_TARGETS => {
                return Err(SignatureError::TooManyTargets {
                    index,
                    limit: MAX_TARGETS,
                });
            }
            Some(targets) if targets.contains(&canister_id) => {}
            Some(_) => return Err(SignatureError::TargetMismatch { index }),
        }
    }
    let mut keys: Vec<(KeyKind, &[u8])> = Vec::with_capacity(1 + delegations.len());
    let ders = std::iter::once(public_key_der).chain(delegations.iter().map(|d| &d.pubkey[..]));
    for (at, der) in ders.enumerate() {
        let kind = key::kind(der).ok_or(SignatureError::UnsupportedKey { at })?;
        if kind == KeyKind::Canister && at > 0 {
            return Err(SignatureError::CanisterKeyNotFirst { at });
        }
        if keys.iter().any(|(_, earlier)| *earlier == der) {
            return Err(SignatureError::DelegationLoop { at });
        }
        keys.push((kind, der));
    }
    let chain = Chain { keys, delegations };
    match chain.cost() {
        actual if actual > MAX_CHAIN_COST => Err(SignatureError::ChainTooExpensive {
            limit: MAX_CHAIN_COST,
            actual,
        }),
        _ => Ok(chain),
    }
}

/// Checks that the last key of the chain signed the message.
pub fn verify_message(
    chain: &Chain<'_>,
    message: &[u8],
    signature: &[u8],
    root_key_der: &[u8],
) -> Result<(), SignatureError> {
    verify_by(
        chain,
        chain.delegations.len(),
        message,
        signature,
        root_key_der,
    )
}

/// Checks that each key of the chain signed the delegation to the next, from the last to the first.
pub fn verify_delegations(chain: &Chain<'_>, root_key_der: &[u8]) -> Result<(), SignatureError> {
    for (at, delegation) in chain.delegations.iter().enumerate().rev() {
        let message = delegation.message();
        verify_by(chain, at, &message, &delegation.signature, root_key_der)?;
    }
    Ok(())
}

fn verify_by(
    chain: &Chain<'_>,
    at: usize,
    message: &[u8],
    signature: &[u8],
    root_key_der: &[u8],
) -> Result<(), SignatureError> {
    let Some((kind, der)) = chain.keys.get(at) else {
        return Err(SignatureError::UnsupportedKey { at });
    };
    key::verify(*kind, der, message, signature, root_key_der).map_err(|failure| match failure {
        Failure::Key => SignatureError::InvalidKey { at },
        Failure::RootKey => SignatureError::RootKey,
        Failure::SignatureLength(actual) => SignatureError::SignatureLength { at, actual },
        Failure::Mismatch => SignatureError::Mismatch { at },
        Failure::CanisterSignature(problem) => SignatureError::CanisterSignature { at, problem },
    })
}
