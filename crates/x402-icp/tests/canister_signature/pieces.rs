//! The pieces of canister signatures, and CBOR encoded by hand to change them.

use crate::support::*;
use candid::Principal;
use ic_certification::{HashTree, fork, labeled, leaf};
use ic_verify_bls_signature::PrivateKey as BlsKey;
use sha2::{Digest, Sha256};
use x402_icp::{
    signature::{SignatureError, verify},
    signer::Signer,
};

pub const TAG: &[u8] = &[0xd9, 0xd9, 0xf7];

/// The initial byte and length of a CBOR item.
pub fn head(major: u8, length: usize) -> Vec<u8> {
    match u8::try_from(length) {
        Ok(short @ ..24) => vec![major << 5 | short],
        Ok(byte) => vec![major << 5 | 24, byte],
        Err(_) => [
            &[major << 5 | 25][..],
            &u16::try_from(length).unwrap().to_be_bytes(),
        ]
        .concat(),
    }
}

pub fn bytes(bytes: &[u8]) -> Vec<u8> {
    [&head(2, bytes.len()), bytes].concat()
}

pub fn text(text: &str) -> Vec<u8> {
    [&head(3, text.len()), text.as_bytes()].concat()
}

/// A map with these keys, in this order.
pub fn map(entries: &[(&str, Vec<u8>)]) -> Vec<u8> {
    let entries = entries
        .iter()
        .flat_map(|(key, value)| [text(key), value.clone()]);
    [head(5, entries.clone().count() / 2)]
        .into_iter()
        .chain(entries)
        .collect::<Vec<_>>()
        .concat()
}

pub fn tagged(cbor: &[u8]) -> Vec<u8> {
    [TAG, cbor].concat()
}

pub fn tree(tree: &HashTree) -> Vec<u8> {
    cbor(tree)[TAG.len()..].to_vec()
}

pub fn signer() -> CanisterSigner {
    CanisterSigner::new(true)
}

pub fn subnet_key() -> BlsKey {
    signer().subnet.unwrap().0
}

pub fn subnet_id() -> Principal {
    Principal::self_authenticating(bls_der(&subnet_key()))
}

pub fn check(signature: &[u8]) -> Result<(), String> {
    let key = signer().public_key_der();
    let root_key = bls_der(&root_key());
    match verify(&key, MESSAGE, signature, &[], NOW_NS, spender(), &root_key) {
        Ok(payer) => {
            assert_eq!(payer, Principal::self_authenticating(&key));
            Ok(())
        }
        Err(SignatureError::CanisterSignature { at: 0, problem }) => Err(problem),
        Err(other) => panic!("{other:?}"),
    }
}

#[track_caller]
pub fn refused(signature: &[u8], because: &str) {
    let problem = check(signature).expect_err("this must be invalid");
    assert!(problem.contains(because), "{problem}");
}

/// The tree that the canister certifies.
pub fn sig_tree() -> HashTree {
    let path = |bytes: &[u8]| Sha256::digest(bytes).to_vec();
    let message = labeled(path(MESSAGE), leaf(""));
    labeled("sig", labeled(path(&signer().seed), message))
}

/// The tree that its subnet certifies.
pub fn state_tree(certified_data: &[u8]) -> HashTree {
    let data = labeled("certified_data", leaf(certified_data));
    labeled("canister", labeled(signer().canister.as_slice(), data))
}

/// A certificate's entries, signed.
pub fn certificate(state: &HashTree, key: &BlsKey) -> Vec<(&'static str, Vec<u8>)> {
    vec![
        ("signature", bytes(&sign_tree(state, key))),
        ("tree", tree(state)),
    ]
}

pub fn signature_entries(certificate: &[u8]) -> Vec<(&'static str, Vec<u8>)> {
    vec![
        ("certificate", bytes(certificate)),
        ("tree", tree(&sig_tree())),
    ]
}

pub fn signature(certificate: &[u8]) -> Vec<u8> {
    tagged(&map(&signature_entries(certificate)))
}

pub fn root_certificate() -> Vec<(&'static str, Vec<u8>)> {
    certificate(&state_tree(&sig_tree().digest()), &root_key())
}

/// A signature under a certificate that the root signed itself, with these bytes as the canister's tree.
pub fn with_sig_tree(sig_tree: &[u8]) -> Vec<u8> {
    let certificate = tagged(&map(&root_certificate()));
    tagged(&map(&[
        ("certificate", bytes(&certificate)),
        ("tree", sig_tree.to_vec()),
    ]))
}

/// A signature whose certificate is the subnet's, with a delegation that has this tree.
pub fn delegated(delegation: &HashTree) -> Vec<u8> {
    delegated_by(&tagged(&map(&certificate(delegation, &root_key()))))
}

pub fn delegated_by(delegation: &[u8]) -> Vec<u8> {
    let mut entries = certificate(&state_tree(&sig_tree().digest()), &subnet_key());
    entries.push((
        "delegation",
        map(&[
            ("subnet_id", bytes(subnet_id().as_slice())),
            ("certificate", bytes(delegation)),
        ]),
    ));
    signature(&tagged(&map(&entries)))
}

pub fn id(number: u8) -> Vec<u8> {
    vec![0, 0, 0, 0, 0, 0, 0, number, 1, 1]
}

pub fn range(first: u8, last: u8) -> Vec<u8> {
    [head(4, 2), bytes(&id(first)), bytes(&id(last))].concat()
}

pub fn ranges(ranges: &[Vec<u8>]) -> Vec<u8> {
    tagged(&[head(4, ranges.len()), ranges.concat()].concat())
}

/// The part of a delegation's tree that has the subnet's key; `more` is beside the key.
pub fn subnet_tree(more: Option<HashTree>) -> HashTree {
    let key = labeled("public_key", leaf(bls_der(&subnet_key())));
    let subnet = match more {
        Some(more) => fork(more, key),
        None => key,
    };
    labeled("subnet", labeled(subnet_id().as_slice(), subnet))
}

/// A delegation with the canister's ranges in their original place.
pub fn flat(ranges: Vec<u8>) -> HashTree {
    subnet_tree(Some(labeled("canister_ranges", leaf(ranges))))
}

/// A delegation with the canister's ranges in shards.
pub fn sharded(shards: HashTree) -> HashTree {
    let shards = labeled(subnet_id().as_slice(), shards);
    fork(labeled("canister_ranges", shards), subnet_tree(None))
}

pub fn shard(first: u8, ranges: Vec<u8>) -> HashTree {
    labeled(id(first), leaf(ranges))
}
