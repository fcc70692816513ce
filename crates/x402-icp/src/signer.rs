//! The client's side of a key.

use crate::delegation::{SignedDelegation, delegation_message};
use candid::Principal;

/// A signer could not sign, for instance because a hardware key was unplugged or a session ended.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the key could not sign: {0}")]
pub struct SignerError(pub String);

/// Something that signs messages for a principal.
pub trait Signer {
    /// DER of the key whose self-authenticating principal pays: the first of the chain.
    fn public_key_der(&self) -> Vec<u8>;

    /// The chain from that key to the one that signs; empty if the key itself signs.
    fn delegations(&self) -> Vec<SignedDelegation> {
        Vec::new()
    }

    /// Signs the message. The signer does the hashing, if the curve needs it.
    fn sign(&self, message: &[u8]) -> Result<Vec<u8>, SignerError>;
}

impl Signer for ic_ed25519::PrivateKey {
    fn public_key_der(&self) -> Vec<u8> {
        self.public_key().serialize_rfc8410_der()
    }

    fn sign(&self, message: &[u8]) -> Result<Vec<u8>, SignerError> {
        Ok(self.sign_message(message).to_vec())
    }
}

impl Signer for ic_secp256k1::PrivateKey {
    fn public_key_der(&self) -> Vec<u8> {
        self.public_key().serialize_der()
    }

    fn sign(&self, message: &[u8]) -> Result<Vec<u8>, SignerError> {
        Ok(self.sign_message_with_ecdsa(message).to_vec())
    }
}

impl Signer for ic_secp256r1::PrivateKey {
    fn public_key_der(&self) -> Vec<u8> {
        self.public_key().serialize_der()
    }

    fn sign(&self, message: &[u8]) -> Result<Vec<u8>, SignerError> {
        Ok(self.sign_message(message).to_vec())
    }
}

/// A session key that signs in the place of another.
#[derive(Clone, Debug)]
pub struct Delegated<S> {
    root_public_key_der: Vec<u8>,
    chain: Vec<SignedDelegation>,
    session: S,
}

impl<S: Signer> Delegated<S> {
    /// Combines a session key with a chain that was made elsewhere, for instance by Internet Identity.
    pub fn new(root_public_key_der: Vec<u8>, chain: Vec<SignedDelegation>, session: S) -> Self {
        Delegated {
            root_public_key_der,
            chain,
            session,
        }
    }

    /// Lets `session` sign for `root` until `expiration` (nanoseconds), for `targets` only if given.
    pub fn grant<R: Signer + ?Sized>(
        root: &R,
        session: S,
        expiration: u64,
        targets: Option<Vec<Principal>>,
    ) -> Result<Self, SignerError> {
        let pubkey = session.public_key_der();
        let signature = root.sign(&delegation_message(&pubkey, expiration, targets.as_deref()))?;
        let mut chain = root.delegations();
        chain.push(SignedDelegation {
            pubkey,
            expiration,
            targets,
            signature,
        });
        Ok(Delegated::new(root.public_key_der(), chain, session))
    }
}

impl<S: Signer> Signer for Delegated<S> {
    fn public_key_der(&self) -> Vec<u8> {
        self.root_public_key_der.clone()
    }

    fn delegations(&self) -> Vec<SignedDelegation> {
        self.chain.clone()
    }

    fn sign(&self, message: &[u8]) -> Result<Vec<u8>, SignerError> {
        self.session.sign(message)
    }
}
