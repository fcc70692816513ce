//! Identities of three curves, delegations, and two that lie.

use candid::Principal;
use ic_agent::agent::EnvelopeContent;
use ic_agent::identity::{
    BasicIdentity, DelegatedIdentity, Delegation, Prime256v1Identity, Secp256k1Identity,
    SignedDelegation,
};
use ic_agent::{Identity, Signature};
use std::time::{Duration, SystemTime};

pub fn basic(seed: u8) -> BasicIdentity {
    BasicIdentity::from_raw_key(&[seed; 32])
}

pub fn secp256k1(seed: u8) -> Secp256k1Identity {
    let key = k256::SecretKey::from_slice(&[seed; 32]).expect("a key");
    Secp256k1Identity::from_private_key(key)
}

pub fn prime256v1(seed: u8) -> Prime256v1Identity {
    let key = p256::SecretKey::from_slice(&[seed; 32]).expect("a key");
    Prime256v1Identity::from_private_key(key)
}

pub fn nanos_from_now(seconds: u64) -> u64 {
    let now = SystemTime::now()
        .duration_since(SystemTime::UNIX_EPOCH)
        .expect("after 1970");
    (now + Duration::from_secs(seconds)).as_nanos() as u64
}

/// `to` may sign for `owner` for five minutes, at these targets.
pub fn delegated(
    owner: &impl Identity,
    to: impl Identity + 'static,
    targets: Option<Vec<Principal>>,
) -> DelegatedIdentity {
    let delegation = Delegation {
        pubkey: to.public_key().expect("a key"),
        expiration: nanos_from_now(300),
        targets,
        permissions: None,
    };
    let signature = owner.sign_delegation(&delegation).expect("signs");
    let signed = SignedDelegation {
        delegation,
        signature: signature.signature.expect("a signature"),
    };
    let from = owner.public_key().expect("a key");
    DelegatedIdentity::new(from, Box::new(to), vec![signed]).expect("a chain")
}

/// Signs a request other than the one it sends.
pub struct Forger(pub BasicIdentity);

impl Identity for Forger {
    fn sender(&self) -> Result<Principal, String> {
        self.0.sender()
    }
    fn public_key(&self) -> Option<Vec<u8>> {
        self.0.public_key()
    }
    fn sign(&self, content: &EnvelopeContent) -> Result<Signature, String> {
        let mut signature = self.0.sign(content)?;
        if let Some(bytes) = &mut signature.signature {
            bytes[0] ^= 1;
        }
        Ok(signature)
    }
}

/// Claims to be somebody else than its key says.
pub struct Impostor(pub BasicIdentity);

impl Identity for Impostor {
    fn sender(&self) -> Result<Principal, String> {
        basic(99).sender()
    }
    fn public_key(&self) -> Option<Vec<u8>> {
        self.0.public_key()
    }
    fn sign(&self, content: &EnvelopeContent) -> Result<Signature, String> {
        self.0.sign(content)
    }
}
