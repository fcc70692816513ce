//! Threshold keys, here held by one party: the same master keys PocketIC uses, so that keys derived
//! offline from them fit.

use ic_management_canister_types::{
    EcdsaPublicKeyResult, SchnorrAlgorithm, SchnorrAux, SchnorrPublicKeyResult,
    SignWithEcdsaResult, SignWithSchnorrResult,
};

use crate::errors::{ErrorCode, UserError};
use crate::fees::grouped;
use crate::management::{Handled, ManagementRequest, encode};
use crate::message::{Origin, Payload};
use crate::replica::Replica;
use crate::types::{Cycles, Principal};

/// The key names that exist, each for all algorithms.
const KEY_NAMES: [&str; 3] = ["key_1", "test_key_1", "dfx_test_key"];

/// All master keys derive from this seed by their names.
const MASTER_SEED: [u8; 32] = [42; 32];

/// A signature scheme.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Algorithm {
    Ecdsa,
    Bip340,
    Ed25519,
}

/// A master key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeyId {
    pub algorithm: Algorithm,
    pub name: String,
}

impl std::fmt::Display for KeyId {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let algorithm = match self.algorithm {
            Algorithm::Ecdsa => "ecdsa:Secp256k1",
            Algorithm::Bip340 => "schnorr:Bip340Secp256k1",
            Algorithm::Ed25519 => "schnorr:Ed25519",
        };
        write!(f, "{algorithm}:{}", self.name)
    }
}

fn schnorr_key(id: &ic_management_canister_types::SchnorrKeyId) -> KeyId {
    KeyId {
        algorithm: match id.algorithm {
            SchnorrAlgorithm::Bip340secp256k1 => Algorithm::Bip340,
            SchnorrAlgorithm::Ed25519 => Algorithm::Ed25519,
        },
        name: id.name.clone(),
    }
}

/// The key a request needs, `None` if it needs none.
pub fn key_of(request: &ManagementRequest) -> Option<KeyId> {
    let ecdsa = |name: &String| KeyId {
        algorithm: Algorithm::Ecdsa,
        name: name.clone(),
    };
    match request {
        ManagementRequest::EcdsaPublicKey(args) => Some(ecdsa(&args.key_id.name)),
        ManagementRequest::SignWithEcdsa(args) => Some(ecdsa(&args.key_id.name)),
        ManagementRequest::SchnorrPublicKey(args) => Some(schnorr_key(&args.key_id)),
        ManagementRequest::SignWithSchnorr(args) => Some(schnorr_key(&args.key_id)),
        _ => None,
    }
}

/// The text for a key that no subnet holds.
pub fn unknown_key(method: &str, key: &KeyId) -> String {
    let existing: Vec<String> = KEY_NAMES
        .iter()
        .map(|name| {
            let (algorithm, name) = (key.algorithm, name.to_string());
            KeyId { algorithm, name }.to_string()
        })
        .collect();
    format!(
        "Unable to route management canister request {method}: ChainKeyError(\"Requested unknown or disabled threshold key: {key}, existing keys: [{}]\")",
        existing.join(", ")
    )
}

/// The secret of a secp256k1 master key, the same for ECDSA and BIP-340.
fn secp256k1_master(name: &str) -> Option<ic_secp256k1::PrivateKey> {
    let index = ic_secp256k1::DerivationIndex(name.as_bytes().to_vec());
    let path = ic_secp256k1::DerivationPath::new(vec![index]);
    KEY_NAMES.contains(&name).then(|| {
        ic_secp256k1::PrivateKey::generate_from_seed(&MASTER_SEED)
            .derive_subkey(&path)
            .0
    })
}

fn ed25519_master(name: &str) -> Option<ic_ed25519::DerivedPrivateKey> {
    let index = ic_ed25519::DerivationIndex(name.as_bytes().to_vec());
    let path = ic_ed25519::DerivationPath::new(vec![index]);
    KEY_NAMES.contains(&name).then(|| {
        ic_ed25519::PrivateKey::generate_from_seed(&MASTER_SEED)
            .derive_subkey(&path)
            .0
    })
}

/// A key of one canister, with its chain code.
enum DerivedKey {
    Secp256k1(ic_secp256k1::PrivateKey, [u8; 32]),
    Ed25519(Box<ic_ed25519::DerivedPrivateKey>, [u8; 32]),
}

fn derive(key: &KeyId, canister: Principal, path: &[Vec<u8>]) -> Option<DerivedKey> {
    let id = canister.as_slice();
    match key.algorithm {
        Algorithm::Ecdsa | Algorithm::Bip340 => {
            let path = ic_secp256k1::DerivationPath::from_canister_id_and_path(id, path);
            let (key, chain_code) = secp256k1_master(&key.name)?.derive_subkey(&path);
            Some(DerivedKey::Secp256k1(key, chain_code))
        }
        Algorithm::Ed25519 => {
            let path = ic_ed25519::DerivationPath::from_canister_id_and_path(id, path);
            let (key, chain_code) = ed25519_master(&key.name)?.derive_subkey(&path);
            Some(DerivedKey::Ed25519(Box::new(key), chain_code))
        }
    }
}

fn public_key(key: &DerivedKey) -> (Vec<u8>, Vec<u8>) {
    match key {
        DerivedKey::Secp256k1(key, chain_code) => {
            (key.public_key().serialize_sec1(true), chain_code.to_vec())
        }
        DerivedKey::Ed25519(key, chain_code) => (
            key.public_key().serialize_raw().to_vec(),
            chain_code.to_vec(),
        ),
    }
}

fn refused(text: String) -> UserError {
    UserError::new(ErrorCode::CanisterRejectedMessage, text)
}

fn check_path(path: &[Vec<u8>]) -> Result<(), UserError> {
    const MAX_DEPTH: usize = 255;
    if path.len() > MAX_DEPTH {
        return Err(refused(format!(
            "the derivation path has {} elements, at most {MAX_DEPTH} are allowed",
            path.len()
        )));
    }
    Ok(())
}

impl Replica {
    /// The subnet that signs with a key, `None` if the key does not exist.
    pub(crate) fn signing_subnet(&self, key: &KeyId) -> Option<usize> {
        self.configs
            .iter()
            .position(|subnet| subnet.kind.has_threshold_keys())
            .filter(|_| KEY_NAMES.contains(&key.name.as_str()))
    }

    pub(crate) fn threshold_keys(
        &mut self,
        subnet: usize,
        caller: Principal,
        origin: &Origin,
        request: &ManagementRequest,
        cycles: Cycles,
    ) -> Result<Handled, UserError> {
        let key = key_of(request).ok_or_else(|| refused("no key is named".to_string()))?;
        let derived = |canister: Principal, path: &[Vec<u8>]| {
            check_path(path)?;
            derive(&key, canister, path).ok_or_else(|| refused(format!("unknown key {key}")))
        };
        match request {
            ManagementRequest::EcdsaPublicKey(args) => {
                let key = derived(args.canister_id.unwrap_or(caller), &args.derivation_path)?;
                let (public_key, chain_code) = public_key(&key);
                Handled::reply(
                    EcdsaPublicKeyResult {
                        public_key,
                        chain_code,
                    },
                    cycles,
                )
            }
            ManagementRequest::SchnorrPublicKey(args) => {
                let key = derived(args.canister_id.unwrap_or(caller), &args.derivation_path)?;
                let (public_key, chain_code) = public_key(&key);
                Handled::reply(
                    SchnorrPublicKeyResult {
                        public_key,
                        chain_code,
                    },
                    cycles,
                )
            }
            ManagementRequest::SignWithEcdsa(args) => {
                let refund = self.pay_signature("sign_with_ecdsa", subnet, caller, cycles)?;
                let DerivedKey::Secp256k1(key, _) = derived(caller, &args.derivation_path)? else {
                    return Err(refused("the key is not for ECDSA".to_string()));
                };
                let signature = key.sign_digest_with_ecdsa(&args.message_hash).to_vec();
                let reply = Payload::Reply(encode(SignWithEcdsaResult { signature })?);
                self.respond_later(subnet, 1, origin, reply, refund);
                Ok(Handled::Later)
            }
            ManagementRequest::SignWithSchnorr(args) => {
                let refund = self.pay_signature("sign_with_schnorr", subnet, caller, cycles)?;
                let signature = match (derived(caller, &args.derivation_path)?, &args.aux) {
                    (DerivedKey::Ed25519(key, _), None) => key.sign_message(&args.message),
                    (DerivedKey::Ed25519(..), Some(_)) => {
                        return Err(refused(
                            "ed25519 does not support aux parameters".to_string(),
                        ));
                    }
                    (DerivedKey::Secp256k1(key, _), None) => {
                        key.sign_message_with_bip340_no_rng(&args.message)
                    }
                    (DerivedKey::Secp256k1(key, _), Some(SchnorrAux::Bip341(aux))) => key
                        .sign_message_with_bip341_no_rng(&args.message, &aux.merkle_root_hash)
                        .map_err(|_| {
                            refused(format!(
                                "merkle_root_hash has {} bytes, 0 or 32 are allowed",
                                aux.merkle_root_hash.len()
                            ))
                        })?,
                };
                let signature = signature.to_vec();
                let reply = Payload::Reply(encode(SignWithSchnorrResult { signature })?);
                self.respond_later(subnet, 1, origin, reply, refund);
                Ok(Handled::Later)
            }
            _ => Err(refused("not a threshold key request".to_string())),
        }
    }

    /// Takes the price of a signature off the attached cycles. Callers on system subnets pay nothing.
    fn pay_signature(
        &self,
        method: &str,
        subnet: usize,
        caller: Principal,
        cycles: Cycles,
    ) -> Result<Cycles, UserError> {
        let price = self.subnet_index(caller).map_or(0, |home| {
            self.subnets[home]
                .prices
                .signature(self.subnets[subnet].size)
        });
        cycles.checked_sub(price).ok_or_else(|| {
            refused(format!(
                "{method} request sent with {} cycles, but {} cycles are required.",
                grouped(cycles),
                grouped(price)
            ))
        })
    }
}

#[cfg(test)]
mod tests {
    use ic_ed25519::PocketIcMasterPublicKeyId as EdKey;
    use ic_secp256k1::PocketIcMasterPublicKeyId as EcKey;

    use super::*;

    #[test]
    fn master_keys_should_be_those_of_pocketic() {
        let ec = [
            EcKey::EcdsaKey1,
            EcKey::EcdsaTestKey1,
            EcKey::EcdsaDfxTestKey,
        ];
        let ed = [EdKey::Key1, EdKey::TestKey1, EdKey::DfxTestKey];
        for ((name, ec), ed) in KEY_NAMES.iter().zip(ec).zip(ed) {
            let master = secp256k1_master(name)
                .expect("the name is known")
                .public_key();
            assert_eq!(master, ic_secp256k1::PublicKey::pocketic_key(ec), "{name}");
            let master = ed25519_master(name)
                .expect("the name is known")
                .public_key();
            assert_eq!(master, ic_ed25519::PublicKey::pocketic_key(ed), "{name}");
        }
        assert!(secp256k1_master("other").is_none());
    }
}
