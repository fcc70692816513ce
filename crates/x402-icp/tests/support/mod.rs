//! Shared parts of this crate's tests: a payment to sign, and canisters that sign as Internet Identity does.

#![allow(
    dead_code,
    unused_imports,
    reason = "each test binary uses its own part"
)]

mod forged;

use candid::Principal;
pub use forged::Forged;
use ic_certification::{Certificate, Delegation, HashTree, fork, labeled, leaf};
use ic_verify_bls_signature::PrivateKey as BlsKey;
use serde::Serialize;
use sha2::{Digest, Sha256};
use x402_icp::{
    Nonce, Terms,
    authorization::authorize,
    delegation::SignedDelegation,
    signer::{Signer, SignerError},
    wire::{
        ExactIcrc2Extra, ExactIcrc2Payload, PaymentPayload, PaymentRequirements, ResourceInfo,
        X402_VERSION,
    },
};

/// The time of the tests in seconds.
pub const NOW: u64 = 1_767_225_600;
pub const NOW_NS: u64 = NOW * 1_000_000_000;

pub fn spender() -> Principal {
    Principal::from_slice(&[0, 0, 0, 0, 0, 0x10, 0, 1, 1, 1])
}

pub fn offer(network: &str) -> PaymentRequirements {
    PaymentRequirements {
        scheme: "exact".into(),
        network: network.into(),
        amount: "10000".into(),
        asset: "xevnm-gaaaa-aaaar-qafnq-cai".into(),
        pay_to: "k2t6j-2nvnp-4zjm3-25dtz-6xhaa-c7boj-5gayf-oj3xs-i43lp-teztq-6ae-6cc627i.1".into(),
        max_timeout_seconds: 60,
        extra: ExactIcrc2Extra {
            asset_transfer_method: "icrc2".into(),
            symbol: "ckUSDC".into(),
            decimals: 6,
            fee: "10000".into(),
            spender: spender().to_text(),
            offer: x402_icp::offer::offer_id(spender(), "GET", "/report", 1),
            method: Some("GET".into()),
            route: Some("/report".into()),
            revision: Some(1),
            payment_flow: None,
        },
    }
}

pub fn pay(offer: &PaymentRequirements, signer: &dyn Signer) -> PaymentPayload {
    let payload: ExactIcrc2Payload = authorize(
        &Terms::from(offer),
        None,
        Nonce(std::array::from_fn(|i| i as u8)),
        NOW - 30,
        NOW + 30,
        signer,
    )
    .expect("test keys sign");
    PaymentPayload {
        x402_version: X402_VERSION,
        resource: Some(ResourceInfo {
            url: "https://shop.example/report".into(),
            ..Default::default()
        }),
        accepted: offer.clone(),
        payload,
        extensions: None,
    }
}

pub fn ed25519(seed: u8) -> ic_ed25519::PrivateKey {
    ic_ed25519::PrivateKey::deserialize_raw_32(&[seed; 32])
}

pub fn secp256k1(seed: u8) -> ic_secp256k1::PrivateKey {
    ic_secp256k1::PrivateKey::deserialize_sec1(&[seed; 32]).expect("below the order")
}

pub fn p256(seed: u8) -> ic_secp256r1::PrivateKey {
    ic_secp256r1::PrivateKey::deserialize_sec1(&[seed; 32]).expect("below the order")
}

/// The message that test keys sign.
pub const MESSAGE: &[u8] = b"a message";

/// The parts of a proof: key, signature of [`MESSAGE`] and chain.
#[derive(Clone)]
pub struct Proof {
    pub public_key: Vec<u8>,
    pub signature: Vec<u8>,
    pub delegations: Vec<SignedDelegation>,
}

impl Proof {
    pub fn by(signer: &dyn Signer) -> Self {
        Proof {
            public_key: signer.public_key_der(),
            signature: signer.sign(MESSAGE).expect("test keys sign"),
            delegations: signer.delegations(),
        }
    }
}

/// A root of trust of its own, as a local replica has.
pub fn root_key() -> BlsKey {
    BlsKey::deserialize(&[5; 32]).expect("a BLS key")
}

pub fn bls_der(key: &BlsKey) -> Vec<u8> {
    let mainnet = x402_icp::network::MAINNET_ROOT_KEY_DER;
    [&mainnet[..37], &key.public_key().serialize()[..]].concat()
}

/// A canister that signs, as Internet Identity does for its users.
pub struct CanisterSigner {
    pub canister: Principal,
    pub seed: Vec<u8>,
    /// Signs the certificates.
    pub root: BlsKey,
    /// Signs in the place of the root if present, as on a network of several subnets. Includes the canisters that the
    /// root's certificate assigns to it.
    pub subnet: Option<(BlsKey, (Principal, Principal))>,
}

impl CanisterSigner {
    pub fn new(subnet: bool) -> Self {
        let canister = Principal::from_slice(&[0, 0, 0, 0, 0, 0, 0, 7, 1, 1]);
        let last = Principal::from_slice(&[0, 0, 0, 0, 0, 0x0f, 0xff, 0xff, 1, 1]);
        let first = Principal::from_slice(&[0, 0, 0, 0, 0, 0, 0, 0, 1, 1]);
        let subnet = subnet.then(|| {
            let key = BlsKey::deserialize(&[6; 32]).expect("a BLS key");
            (key, (first, last))
        });
        CanisterSigner {
            canister,
            seed: b"user 1".to_vec(),
            root: root_key(),
            subnet,
        }
    }
}

impl Signer for CanisterSigner {
    fn public_key_der(&self) -> Vec<u8> {
        let id = self.canister.as_slice();
        let raw = [&[id.len() as u8], id, &self.seed].concat();
        let mut der = vec![0x30, 17 + raw.len() as u8];
        der.extend_from_slice(b"\x30\x0c\x06\x0a\x2b\x06\x01\x04\x01\x83\xb8\x43\x01\x02\x03");
        der.extend_from_slice(&[1 + raw.len() as u8, 0]);
        der.extend_from_slice(&raw);
        der
    }

    fn sign(&self, message: &[u8]) -> Result<Vec<u8>, SignerError> {
        let path = |bytes: &[u8]| Sha256::digest(bytes).to_vec();
        let tree = labeled(
            "sig",
            labeled(path(&self.seed), labeled(path(message), leaf(""))),
        );
        let certified = labeled(
            "canister",
            labeled(
                self.canister.as_slice(),
                labeled("certified_data", leaf(tree.digest().to_vec())),
            ),
        );
        let certificate = certificate(certified, &self.root, self.subnet.as_ref());
        #[derive(Serialize)]
        struct CanisterSignature {
            #[serde(with = "serde_bytes")]
            certificate: Vec<u8>,
            tree: HashTree,
        }
        Ok(cbor(&CanisterSignature { certificate, tree }))
    }
}

fn certificate(
    tree: HashTree,
    root: &BlsKey,
    subnet: Option<&(BlsKey, (Principal, Principal))>,
) -> Vec<u8> {
    let (key, delegation) = match subnet {
        None => (root, None),
        Some((key, ranges)) => {
            let id = Principal::self_authenticating(bls_der(key));
            let tree = labeled(
                "subnet",
                labeled(
                    id.as_slice(),
                    fork(
                        labeled("canister_ranges", leaf(cbor(&[ranges]))),
                        labeled("public_key", leaf(bls_der(key))),
                    ),
                ),
            );
            let delegation = Delegation {
                subnet_id: id.as_slice().to_vec(),
                certificate: certificate(tree, root, None),
            };
            (key, Some(delegation))
        }
    };
    cbor(&Certificate {
        signature: sign_tree(&tree, key),
        tree,
        delegation,
    })
}

/// The signature of a certificate over its tree.
pub fn sign_tree(tree: &HashTree, key: &BlsKey) -> Vec<u8> {
    let message = [b"\x0dic-state-root", &tree.digest()[..]].concat();
    key.sign(&message).serialize().to_vec()
}

/// CBOR with the self-describing tag.
pub fn cbor<T: Serialize>(value: &T) -> Vec<u8> {
    let mut serializer = serde_cbor::Serializer::new(Vec::new());
    serializer.self_describe().expect("writes to memory");
    value.serialize(&mut serializer).expect("writes to memory");
    serializer.into_inner()
}
