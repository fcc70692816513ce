//! Delegations of the Interface Specification ("Authentication"): one key lets another sign in its place, until a time,
//! for some canisters.

use crate::{values::to_base64, wire::DelegationText};
use candid::Principal;
use ic_representation_independent_hash::{Value, representation_independent_hash};

const DOMAIN: &[u8] = b"\x1aic-request-auth-delegation";

/// A delegation and the signature by the key before it in the chain.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SignedDelegation {
    /// DER of the key that may sign.
    pub pubkey: Vec<u8>,
    /// Nanoseconds since 1970-01-01; not valid from this nanosecond on.
    pub expiration: u64,
    /// Canisters that accept it; `None` means all, an empty list none.
    pub targets: Option<Vec<Principal>>,
    /// Over [`delegation_message`], by the delegating key.
    pub signature: Vec<u8>,
}

/// The message that the delegating key signs.
pub fn delegation_message(
    pubkey: &[u8],
    expiration: u64,
    targets: Option<&[Principal]>,
) -> Vec<u8> {
    let mut map = vec![
        ("pubkey".to_string(), Value::Bytes(pubkey.to_vec())),
        ("expiration".to_string(), Value::Number(expiration)),
    ];
    if let Some(targets) = targets {
        let targets = targets
            .iter()
            .map(|target| Value::Bytes(target.as_slice().to_vec()))
            .collect();
        map.push(("targets".to_string(), Value::Array(targets)));
    }
    [DOMAIN, &representation_independent_hash(&map)].concat()
}

impl SignedDelegation {
    /// The message that the delegating key signed.
    pub fn message(&self) -> Vec<u8> {
        delegation_message(&self.pubkey, self.expiration, self.targets.as_deref())
    }
}

impl From<&SignedDelegation> for DelegationText {
    fn from(delegation: &SignedDelegation) -> Self {
        DelegationText {
            pubkey: to_base64(&delegation.pubkey),
            expiration: delegation.expiration.to_string(),
            targets: delegation
                .targets
                .as_ref()
                .map(|targets| targets.iter().map(Principal::to_text).collect()),
            signature: to_base64(&delegation.signature),
        }
    }
}
