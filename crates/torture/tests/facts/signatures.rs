//! Section B: threshold signatures verify, and cost what they cost.

use crate::support::*;
use candid::{CandidType, Encode, Principal};
use ic_management_canister_types::{
    EcdsaCurve, EcdsaKeyId, EcdsaPublicKeyArgs, EcdsaPublicKeyResult, SchnorrAlgorithm,
    SchnorrKeyId, SchnorrPublicKeyArgs, SchnorrPublicKeyResult, SignWithEcdsaArgs,
    SignWithEcdsaResult, SignWithSchnorrArgs, SignWithSchnorrResult,
};
use pocket_ic::PocketIc;
use torture::program::{CallSpec, Op, call, say};

const PRICE: u128 = 26_153_846_153;
const KEYS: [&str; 3] = ["key_1", "test_key_1", "dfx_test_key"];

fn with_keys() -> PocketIc {
    builder()
        .with_ii_subnet()
        .with_fiduciary_subnet()
        .with_application_subnet()
        .build()
}

fn management(method: &str, args: &impl CandidType) -> CallSpec {
    call(
        Principal::management_canister(),
        method,
        Encode!(args).expect("encodes"),
    )
}

fn ask<T: for<'a> serde::Deserialize<'a> + CandidType>(canister: &Canister, call: CallSpec) -> T {
    let answer = forwarded(&canister.run(&[call.forward().op()])).expect("a reply");
    candid::decode_one(&answer).expect("decodes")
}

fn ecdsa_key(name: &str) -> EcdsaKeyId {
    EcdsaKeyId {
        curve: EcdsaCurve::Secp256k1,
        name: name.into(),
    }
}

fn ecdsa(name: &str, message_hash: Vec<u8>, path: &[&[u8]]) -> CallSpec {
    let args = SignWithEcdsaArgs {
        message_hash,
        derivation_path: path.iter().map(|part| part.to_vec()).collect(),
        key_id: ecdsa_key(name),
    };
    management("sign_with_ecdsa", &args)
}

fn ecdsa_public_key(canister: &Canister, name: &str, path: &[&[u8]]) -> Vec<u8> {
    let args = EcdsaPublicKeyArgs {
        canister_id: None,
        derivation_path: path.iter().map(|part| part.to_vec()).collect(),
        key_id: ecdsa_key(name),
    };
    let result: EcdsaPublicKeyResult = ask(canister, management("ecdsa_public_key", &args));
    result.public_key
}

#[test]
fn ecdsa_signatures_verify_against_their_public_key() {
    let pic = with_keys();
    let canister = Canister::torture_on(&pic, 0);
    let hash = [42; 32];
    let paths: [&[&[u8]]; 2] = [&[], &[b"purpose", &[0, 0, 0, 1]]];
    for name in KEYS {
        for path in paths {
            let call = ecdsa(name, hash.to_vec(), path).cycles(PRICE);
            let signed: SignWithEcdsaResult = ask(&canister, call);
            assert_eq!(signed.signature.len(), 64);
            let key = ecdsa_public_key(&canister, name, path);
            let key = ic_secp256k1::PublicKey::deserialize_sec1(&key).expect("a key");
            assert!(key.verify_ecdsa_signature_prehashed(&hash, &signed.signature));
            assert!(!key.verify_ecdsa_signature_prehashed(&[43; 32], &signed.signature));
        }
    }
}

#[test]
fn keys_differ_by_name_path_and_canister() {
    let pic = with_keys();
    let (one, two) = (Canister::torture_on(&pic, 0), Canister::torture_on(&pic, 0));
    let keys = [
        ecdsa_public_key(&one, "key_1", &[]),
        ecdsa_public_key(&one, "test_key_1", &[]),
        ecdsa_public_key(&one, "key_1", &[b"path"]),
        ecdsa_public_key(&two, "key_1", &[]),
    ];
    for (i, key) in keys.iter().enumerate() {
        assert!(!keys[..i].contains(key), "key {i}");
    }
    assert_eq!(keys[0], ecdsa_public_key(&one, "key_1", &[]));
}

fn schnorr(algorithm: SchnorrAlgorithm, name: &str, message: &[u8]) -> CallSpec {
    let args = SignWithSchnorrArgs {
        message: message.to_vec(),
        derivation_path: vec![b"purpose".to_vec()],
        key_id: SchnorrKeyId {
            algorithm,
            name: name.into(),
        },
        aux: None,
    };
    management("sign_with_schnorr", &args)
}

fn schnorr_public_key(canister: &Canister, algorithm: SchnorrAlgorithm, name: &str) -> Vec<u8> {
    let args = SchnorrPublicKeyArgs {
        canister_id: None,
        derivation_path: vec![b"purpose".to_vec()],
        key_id: SchnorrKeyId {
            algorithm,
            name: name.into(),
        },
    };
    let result: SchnorrPublicKeyResult = ask(canister, management("schnorr_public_key", &args));
    result.public_key
}

#[test]
fn schnorr_signatures_verify_against_their_public_key() {
    let pic = with_keys();
    let canister = Canister::torture_on(&pic, 0);
    let message = b"a message of any length";
    for name in KEYS {
        let algorithm = SchnorrAlgorithm::Ed25519;
        let signed: SignWithSchnorrResult =
            ask(&canister, schnorr(algorithm, name, message).cycles(PRICE));
        let key = schnorr_public_key(&canister, algorithm, name);
        let key = ic_ed25519::PublicKey::deserialize_raw(&key).expect("a key");
        assert!(key.verify_signature(message, &signed.signature).is_ok());
        assert!(key.verify_signature(b"another", &signed.signature).is_err());

        let algorithm = SchnorrAlgorithm::Bip340secp256k1;
        let signed: SignWithSchnorrResult =
            ask(&canister, schnorr(algorithm, name, message).cycles(PRICE));
        let key = schnorr_public_key(&canister, algorithm, name);
        let key = ic_secp256k1::PublicKey::deserialize_sec1(&key).expect("a key");
        assert!(key.verify_bip340_signature(message, &signed.signature));
        assert!(!key.verify_bip340_signature(b"another", &signed.signature));
    }
}

/// Rounds taken, refund, and the answer's length or its reject.
fn outcome(canister: &Canister, call: CallSpec) -> (u64, u128, Result<u32, (u32, String)>) {
    let start = now(canister.pic);
    let answer = canister.run(&[call
        .on_reply(vec![Op::CyclesRefunded, Op::ArgSize, Op::Reply])
        .on_reject(vec![
            Op::CyclesRefunded,
            say("!"),
            Op::RejectCode,
            Op::RejectMessage,
            Op::Reply,
        ])
        .op()]);
    let result = forwarded(&answer[16..]).map(|size| u32_at(&size, 0));
    (now(canister.pic) - start, u128_at(&answer, 0), result)
}

#[test]
fn a_signature_takes_three_rounds_and_its_price() {
    let pic = with_keys();
    let canister = Canister::torture_on(&pic, 0);
    let calls = [
        ecdsa("key_1", vec![1; 32], &[]),
        schnorr(SchnorrAlgorithm::Ed25519, "key_1", b"m"),
        schnorr(SchnorrAlgorithm::Bip340secp256k1, "key_1", b"m"),
    ];
    for call in calls {
        let (rounds, refund, reply) = outcome(&canister, call.cycles(2 * PRICE));
        assert_eq!(refund, PRICE, "the excess comes back");
        assert_eq!(reply, Ok(82), "bytes of the reply");
        assert_eq!(rounds, 3);
    }
}

#[test]
fn signing_without_cycles_is_4() {
    let pic = with_keys();
    let canister = Canister::torture_on(&pic, 0);
    let (_, refund, reply) = outcome(&canister, ecdsa("key_1", vec![1; 32], &[]));
    assert_eq!(refund, 0);
    let expected =
        "sign_with_ecdsa request sent with 0 cycles, but 26_153_846_153 cycles are required.";
    assert_eq!(reply, Err((4, expected.into())));
}

#[test]
fn unknown_keys_and_short_hashes_are_3_and_refunded() {
    let pic = with_keys();
    let canister = Canister::torture_on(&pic, 0);
    let (rounds, refund, reply) = outcome(&canister, ecdsa("nope", vec![1; 32], &[]).cycles(PRICE));
    let (code, text) = reply.expect_err("unknown");
    assert_eq!((rounds, refund, code), (1, PRICE, 3));
    let start = "Unable to route management canister request sign_with_ecdsa: \
                 ChainKeyError(\"Requested unknown or disabled threshold key: ";
    assert!(text.starts_with(start), "{text}");
    let (_, refund, reply) = outcome(&canister, ecdsa("key_1", vec![1; 31], &[]).cycles(PRICE));
    let (code, _) = reply.expect_err("31 bytes");
    assert_eq!((refund, code), (PRICE, 3));
}
