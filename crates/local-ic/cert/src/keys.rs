//! Keys of a subnet and of its nodes, derived from a seed so that every run has the same root key.

use candid::Principal;
use ic_verify_bls_signature::PrivateKey as BlsKey;
use sha2::{Digest, Sha256};

/// `SubjectPublicKeyInfo` of a BLS12-381 key with the IC's object identifiers, before the 96 key bytes.
const BLS_DER_PREFIX: &[u8; 37] = b"\x30\x81\x82\x30\x1d\x06\x0d\x2b\x06\x01\x04\x01\x82\xdc\x7c\x05\x03\x01\x02\x01\x06\x0c\x2b\x06\x01\x04\x01\x82\xdc\x7c\x05\x03\x02\x01\x03\x61\x00";

/// Wraps a raw 96-byte BLS public key into DER, the form in which root keys are given to clients.
pub fn bls_public_key_der(raw: &[u8; 96]) -> Vec<u8> {
    [&BLS_DER_PREFIX[..], raw].concat()
}

/// The raw 96 bytes of a DER encoded BLS public key, or `None` if it is something else.
pub(crate) fn bls_public_key_raw(der: &[u8]) -> Option<&[u8]> {
    der.strip_prefix(&BLS_DER_PREFIX[..])
        .filter(|raw| raw.len() == 96)
}

/// A subnet's threshold key (held in one piece here) and its nodes' keys.
pub struct SubnetKeys {
    id: Principal,
    public_key_der: Vec<u8>,
    bls: BlsKey,
    nodes: Vec<NodeKey>,
}

/// A node's identity: signs the answers to queries.
pub struct NodeKey {
    /// Self-authenticating principal of the key.
    pub id: Principal,
    /// RFC 8410 DER.
    pub public_key_der: Vec<u8>,
    key: ic_ed25519::PrivateKey,
}

impl SubnetKeys {
    /// Derives the keys of a subnet of `nodes` nodes. Equal seeds give equal keys.
    pub fn derive(seed: &[u8; 32], nodes: u32) -> Self {
        let bls = bls_key(seed);
        let public_key_der = bls_public_key_der(&bls.public_key().serialize());
        let nodes = (0..nodes)
            .map(|index| {
                let key = ic_ed25519::PrivateKey::deserialize_raw_32(&expand(seed, "node", index));
                let public_key_der = key.public_key().serialize_rfc8410_der();
                NodeKey {
                    id: Principal::self_authenticating(&public_key_der),
                    public_key_der,
                    key,
                }
            })
            .collect();
        Self {
            id: Principal::self_authenticating(&public_key_der),
            public_key_der,
            bls,
            nodes,
        }
    }

    /// The subnet id: the self-authenticating principal of the public key.
    pub fn id(&self) -> Principal {
        self.id
    }

    /// DER encoded BLS public key, 133 bytes.
    pub fn public_key_der(&self) -> &[u8] {
        &self.public_key_der
    }

    /// The nodes, at least one.
    pub fn nodes(&self) -> &[NodeKey] {
        &self.nodes
    }

    /// Signs with the subnet's threshold key.
    pub(crate) fn sign(&self, message: &[u8]) -> Vec<u8> {
        self.bls.sign(message).serialize().to_vec()
    }
}

impl NodeKey {
    /// Signs with the node's Ed25519 key.
    pub(crate) fn sign(&self, message: &[u8]) -> Vec<u8> {
        self.key.sign_message(message).to_vec()
    }
}

fn bls_key(seed: &[u8; 32]) -> BlsKey {
    let mut scalar = expand(seed, "bls", 0);
    // The group order is a little below 2^255; clearing the two top bits keeps every hash below it.
    scalar[0] &= 0x3f;
    BlsKey::deserialize(&scalar).expect("BUG: a 254-bit number is below the group order")
}

fn expand(seed: &[u8; 32], purpose: &str, index: u32) -> [u8; 32] {
    let mut hasher = Sha256::new();
    hasher.update(b"local-ic key");
    hasher.update(seed);
    hasher.update(purpose.as_bytes());
    hasher.update(index.to_be_bytes());
    hasher.finalize().into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn should_derive_equal_keys_from_equal_seeds_only() {
        let one = SubnetKeys::derive(&[1; 32], 4);
        let again = SubnetKeys::derive(&[1; 32], 4);
        let other = SubnetKeys::derive(&[2; 32], 4);
        assert_eq!(one.public_key_der(), again.public_key_der());
        assert_eq!(one.nodes()[3].id, again.nodes()[3].id);
        assert_ne!(one.id(), other.id());
        assert_ne!(one.nodes()[0].id, one.nodes()[1].id);
    }

    #[test]
    fn should_encode_the_public_key_as_the_ic_does() {
        let keys = SubnetKeys::derive(&[7; 32], 1);
        assert_eq!(keys.public_key_der().len(), 133);
        let raw = bls_public_key_raw(keys.public_key_der()).expect("BUG: our own encoding");
        let signature = keys.sign(b"message");
        assert_eq!(
            ic_verify_bls_signature::verify_bls_signature(&signature, b"message", raw),
            Ok(())
        );
        assert_eq!(
            ic_verify_bls_signature::verify_bls_signature(&signature, b"massage", raw),
            Err(())
        );
    }
}
