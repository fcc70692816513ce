use super::*;
use crate::signer::Signer;
use proptest::prelude::*;

fn keys() -> [(KeyKind, Box<dyn Signer>); 3] {
    [
        (
            KeyKind::Ed25519,
            Box::new(ic_ed25519::PrivateKey::deserialize_raw_32(&[1; 32])),
        ),
        (
            KeyKind::Secp256k1,
            Box::new(ic_secp256k1::PrivateKey::deserialize_sec1(&[2; 32]).unwrap()),
        ),
        (
            KeyKind::P256,
            Box::new(ic_secp256r1::PrivateKey::deserialize_sec1(&[3; 32]).unwrap()),
        ),
    ]
}

fn canister_key(id: &[u8], seed: &[u8]) -> Vec<u8> {
    let raw = [&[id.len() as u8], id, seed].concat();
    let mut der = vec![0x30, 17 + raw.len() as u8];
    der.extend_from_slice(CANISTER_ALGORITHM);
    der.extend_from_slice(&[0x03, 1 + raw.len() as u8, 0x00]);
    der.extend_from_slice(&raw);
    der
}

#[test]
fn the_kind_is_read_from_the_whole_frame() {
    for (expected, key) in keys() {
        let der = key.public_key_der();
        assert_eq!(kind(&der), Some(expected));
        assert_eq!(kind(&der[..der.len() - 1]), None);
        assert_eq!(kind(&[&der[..], &[0]].concat()), None);
    }
    assert_eq!(kind(b""), None);
    assert_eq!(
        kind(crate::network::MAINNET_ROOT_KEY_DER),
        None,
        "BLS keys do not pay"
    );
}

#[test]
fn compressed_points_are_another_encoding_and_refused() {
    let key = ic_secp256k1::PrivateKey::deserialize_sec1(&[2; 32])
        .unwrap()
        .public_key();
    let compressed = key.serialize_sec1(true);
    let mut der = vec![0x30, 0x36];
    der.extend_from_slice(&SECP256K1_FRAME[2..20]);
    der.extend_from_slice(&[0x03, 0x22, 0x00]);
    der.extend_from_slice(&compressed);
    assert!(
        ic_secp256k1::PublicKey::deserialize_der(&der).is_ok(),
        "the library would accept it"
    );
    assert_eq!(kind(&der), None);
}

#[test]
fn canister_keys_have_one_encoding() {
    let good = canister_key(&[0, 0, 0, 0, 0, 0, 0, 7, 1, 1], &[9; 32]);
    assert_eq!(kind(&good), Some(KeyKind::Canister));
    assert_eq!(kind(&canister_key(&[1], &[])), Some(KeyKind::Canister));
    assert_eq!(
        kind(&canister_key(&[1; 30], &[])),
        None,
        "a principal has at most 29 bytes"
    );
    for at in 0..20 {
        let mut bad = good.clone();
        bad[at] ^= 0x40;
        assert_eq!(kind(&bad), None, "byte {at}");
    }
    for length in 0..good.len() {
        assert_eq!(kind(&good[..length]), None);
    }
}

#[test]
fn points_off_the_curve_are_refused() {
    for (kind, key) in keys() {
        let mut der = key.public_key_der();
        let last = der.len() - 1;
        let signature = key.sign(b"m").unwrap();
        // Half of all byte strings are Ed25519 points, so the test searches one that is not. Points of the other curves
        // are never valid after one coordinate has changed.
        let refused = (0..=255).any(|byte| {
            der[last] = byte;
            matches!(verify(kind, &der, b"m", &signature, &[]), Err(Failure::Key))
        });
        assert!(refused, "{kind:?}");
    }
}

#[test]
fn the_high_s_is_refused_on_secp256k1_and_taken_on_p256() {
    let keys = keys();
    let order = |kind| match kind {
        KeyKind::Secp256k1 => "fffffffffffffffffffffffffffffffebaaedce6af48a03bbfd25e8cd0364141",
        _ => "ffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632551",
    };
    for (kind, key) in &keys[1..] {
        let order = hex::decode(order(*kind)).unwrap();
        let signature = key.sign(b"message").unwrap();
        let mut other = signature.clone();
        // s' = n - s, byte by byte with borrow.
        let mut borrow = 0i16;
        for i in (0..32).rev() {
            let difference = i16::from(order[i]) - i16::from(signature[32 + i]) - borrow;
            borrow = i16::from(difference < 0);
            other[32 + i] = difference.rem_euclid(256) as u8;
        }
        let holds = |s: &[u8]| verify(*kind, &key.public_key_der(), b"message", s, &[]).is_ok();
        assert!(holds(&signature));
        assert_eq!(holds(&other), *kind == KeyKind::P256);
    }
}

#[test]
fn signatures_have_64_bytes() {
    for (kind, key) in keys() {
        let signature = key.sign(b"m").unwrap();
        let der = key.public_key_der();
        for bad in [&signature[..63], &[&signature[..], &[0]].concat(), &[]] {
            assert!(matches!(
                verify(kind, &der, b"m", bad, &[]),
                Err(Failure::SignatureLength(n)) if n == bad.len()
            ));
        }
        assert!(matches!(
            verify(kind, &der, b"m", &[0; 64], &[]),
            Err(Failure::Mismatch)
        ));
        assert!(matches!(
            verify(kind, &der, b"m", &[0xff; 64], &[]),
            Err(Failure::Mismatch)
        ));
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn no_der_panics(der in prop::collection::vec(any::<u8>(), 0..200), at: prop::sample::Index, byte: u8) {
        let _ = kind(&der);
        for (expected, key) in keys() {
            let mut der = key.public_key_der();
            let at = at.index(der.len());
            der[at] = byte;
            if kind(&der) == Some(expected) {
                let _ = verify(expected, &der, b"m", &[1; 64], &[]);
            }
        }
    }

    #[test]
    fn canister_keys_never_panic_the_verifier(raw in prop::collection::vec(any::<u8>(), 0..80), signature in prop::collection::vec(any::<u8>(), 0..200)) {
        let mut der = vec![0x30, 17 + raw.len() as u8];
        der.extend_from_slice(CANISTER_ALGORITHM);
        der.extend_from_slice(&[0x03, 1 + raw.len() as u8, 0x00]);
        der.extend_from_slice(&raw);
        if kind(&der) == Some(KeyKind::Canister) {
            let root = crate::network::MAINNET_ROOT_KEY_DER;
            let tagged = [&[0xd9, 0xd9, 0xf7], &signature[..]].concat();
            prop_assert!(verify(KeyKind::Canister, &der, b"m", &tagged, root).is_err());
        }
    }
}
