use super::*;
use crate::Code;
use proptest::prelude::*;

fn terms() -> Terms {
    Terms {
        scheme: "exact".into(),
        network: "icp:1".into(),
        asset: "xevnm-gaaaa-aaaar-qafnq-cai".into(),
        amount: "10000".into(),
        pay_to: "aaaaa-aa".into(),
        max_timeout_seconds: "60".into(),
        asset_transfer_method: "icrc2".into(),
        symbol: "ckUSDC".into(),
        decimals: "6".into(),
        fee: "10000".into(),
        spender: "be2us-64aaa-aaaaa-qaabq-cai".into(),
        offer: "000102030405060708090a0b0c0d0e0f".into(),
        payment_flow: "authorization".into(),
    }
}

fn key() -> ic_ed25519::PrivateKey {
    ic_ed25519::PrivateKey::deserialize_raw_32(&[7; 32])
}

fn signed() -> ExactIcrc2Payload {
    authorize(&terms(), None, Nonce([0xab; 32]), 1_000, 1_060, &key()).unwrap()
}

#[test]
fn the_message_is_the_hash_of_the_interface_specification_behind_a_prefix() {
    let payload = signed();
    // Computed by hand from the definition of hash-of-map, without the crate.
    let hash = |text: &str| -> [u8; 32] { Sha256::digest(text).into() };
    let mut pairs = [
        ("scheme", "exact"),
        ("network", "icp:1"),
        ("asset", "xevnm-gaaaa-aaaar-qafnq-cai"),
        ("amount", "10000"),
        ("payTo", "aaaaa-aa"),
        ("maxTimeoutSeconds", "60"),
        ("assetTransferMethod", "icrc2"),
        ("symbol", "ckUSDC"),
        ("decimals", "6"),
        ("fee", "10000"),
        ("spender", "be2us-64aaa-aaaaa-qaabq-cai"),
        ("offer", "000102030405060708090a0b0c0d0e0f"),
        ("paymentFlow", "authorization"),
        ("from", &payload.from),
        ("nonce", &"ab".repeat(32)),
        ("validAfter", "1000"),
        ("validBefore", "1060"),
    ]
    .map(|(key, text)| [hash(key), hash(text)].concat());
    pairs.sort();
    let map_hash: [u8; 32] = Sha256::digest(pairs.concat()).into();
    let message = signed_message(&terms(), &payload);
    assert_eq!(message, [b"\x10x402-icp-exact-2", &map_hash[..]].concat());
    assert_eq!(message.len(), 49);
    let digest: [u8; 32] = Sha256::digest(&message).into();
    assert_eq!(payment_id(&message), PaymentId(digest));
}

#[test]
fn every_signed_text_changes_the_message_and_nothing_else_does() {
    let payload = signed();
    let message = signed_message(&terms(), &payload);
    let changes: [fn(&mut Terms, &mut ExactIcrc2Payload); 17] = [
        |t, _| t.scheme.push('x'),
        |t, _| t.network.push('x'),
        |t, _| t.asset.push('x'),
        |t, _| t.amount.push('0'),
        |t, _| t.pay_to.push('x'),
        |t, _| t.max_timeout_seconds.push('0'),
        |t, _| t.asset_transfer_method.push('x'),
        |t, _| t.symbol.push('x'),
        |t, _| t.decimals.push('0'),
        |t, _| t.fee.push('0'),
        |t, _| t.spender.push('x'),
        |t, _| t.offer.push('x'),
        |t, _| t.payment_flow.push('x'),
        |_, p| p.from.push('x'),
        |_, p| p.nonce.make_ascii_uppercase(),
        |_, p| p.valid_after.insert(0, '0'),
        |_, p| p.valid_before.push('0'),
    ];
    for (i, change) in changes.iter().enumerate() {
        let (mut terms, mut payload) = (terms(), payload.clone());
        change(&mut terms, &mut payload);
        assert_ne!(signed_message(&terms, &payload), message, "change {i}");
    }
    let mut other_proof = payload;
    other_proof.signature.clear();
    other_proof.public_key.clear();
    assert_eq!(signed_message(&terms(), &other_proof), message);
}

#[test]
fn texts_cannot_move_from_one_field_to_the_next() {
    let payload = signed();
    let (mut a, mut b) = (terms(), terms());
    (a.amount, a.asset) = ("12".into(), "3x".into());
    (b.amount, b.asset) = ("1".into(), "23x".into());
    assert_ne!(signed_message(&a, &payload), signed_message(&b, &payload));
    (b.amount, b.asset) = (a.asset.clone(), a.amount.clone());
    assert_ne!(signed_message(&a, &payload), signed_message(&b, &payload));
}

#[test]
fn the_default_payer_is_the_keys_own_account() {
    let authorization = signed().parse().unwrap();
    let der = key().public_key().serialize_rfc8410_der();
    assert_eq!(
        authorization.from,
        Account::from(candid::Principal::self_authenticating(&der))
    );
    assert_eq!(authorization.public_key, der);
    let subaccount = Account {
        subaccount: Some([9; 32]),
        ..authorization.from
    };
    let payload = authorize(&terms(), Some(subaccount), Nonce([1; 32]), 1, 2, &key()).unwrap();
    assert_eq!(payload.parse().unwrap().from, subaccount);
}

#[test]
fn the_window_is_open_at_its_start_and_closed_at_its_end() {
    let authorization = |after, before| Authorization {
        valid_after: after,
        valid_before: before,
        ..signed().parse().unwrap()
    };
    let second = 1_000_000_000;
    let a = authorization(100, 160);
    assert_eq!(a.check_window(100 * second - 1, 60), Err(Code::NotYetValid));
    assert_eq!(a.check_window(100 * second, 60), Ok(()));
    assert_eq!(a.check_window(160 * second - 1, 60), Ok(()));
    assert_eq!(a.check_window(160 * second, 60), Err(Code::Expired));
    // The length may exceed the limit by 60 seconds.
    assert_eq!(
        authorization(100, 220).check_window(150 * second, 60),
        Ok(())
    );
    assert_eq!(
        authorization(100, 221).check_window(150 * second, 60),
        Err(Code::WindowTooLong)
    );
    assert_eq!(
        authorization(0, u64::MAX).check_window(150 * second, u32::MAX),
        Err(Code::WindowTooLong)
    );
    // An empty or reversed window is never valid.
    assert_eq!(
        authorization(160, 160).check_window(160 * second, 60),
        Err(Code::Expired)
    );
    assert_eq!(
        authorization(160, 100).check_window(130 * second, 60),
        Err(Code::NotYetValid)
    );
    assert_eq!(
        authorization(160, 100).check_window(170 * second, 60),
        Err(Code::Expired)
    );
}

proptest! {
    #[test]
    fn what_is_authorized_is_parsed_back(
        nonce: [u8; 32], after: u64, before: u64, subaccount: Option<[u8; 32]>, seed: [u8; 32],
    ) {
        let key = ic_ed25519::PrivateKey::deserialize_raw_32(&seed);
        let owner = candid::Principal::self_authenticating(key.public_key_der());
        let from = Account { owner, subaccount };
        let payload = authorize(&terms(), Some(from), Nonce(nonce), after, before, &key).unwrap();
        let parsed = payload.parse().unwrap();
        prop_assert_eq!(parsed.from, from);
        prop_assert_eq!(parsed.nonce, Nonce(nonce));
        prop_assert_eq!((parsed.valid_after, parsed.valid_before), (after, before));
        prop_assert_eq!(parsed.signature.len(), 64);
        prop_assert!(parsed.delegations.is_empty());
    }

    #[test]
    fn no_time_makes_the_window_check_panic(after: u64, before: u64, now: u64, max: u32) {
        let authorization = Authorization { valid_after: after, valid_before: before, ..signed().parse().unwrap() };
        if authorization.check_window(now, max).is_ok() {
            prop_assert!(after <= now / 1_000_000_000 && now / 1_000_000_000 < before);
            prop_assert!(before - after <= u64::from(max) + CLOCK_SKEW_SECONDS);
        }
    }
}

#[test]
fn the_known_hashes_of_texts_are_right() {
    for text in [
        "exact",
        "icrc2",
        "authorization",
        "300",
        "6",
        "8",
        "",
        "ckUSDC",
    ] {
        assert_eq!(text_hash(text), <[u8; 32]>::from(Sha256::digest(text)));
    }
}
