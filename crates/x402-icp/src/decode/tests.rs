use super::*;
use crate::{
    values::to_base64,
    wire::{ExactIcrc2Payload, encode_header},
};
use proptest::prelude::*;
use serde_json::{Value, json};

mod tolerance;

fn payment() -> Value {
    json!({
        "x402Version": 2,
        "resource": {"url": "/report"},
        "accepted": {
            "scheme": "exact", "network": "icp:1", "amount": "10000",
            "asset": "xevnm-gaaaa-aaaar-qafnq-cai", "payTo": "aaaaa-aa", "maxTimeoutSeconds": 60,
            "extra": {
                "assetTransferMethod": "icrc2", "symbol": "ckUSDC", "decimals": 6, "fee": "10000",
                "spender": "be2us-64aaa-aaaaa-qaabq-cai", "offer": "000102030405060708090a0b0c0d0e0f",
            },
        },
        "payload": {
            "from": "aaaaa-aa", "nonce": "00".repeat(32),
            "validAfter": "1700000000", "validBefore": "1700000060",
            "publicKey": "AA==", "signature": "AA==",
            "delegations": [{"pubkey": "AA==", "expiration": "1", "targets": ["aaaaa-aa"], "signature": "AA=="}],
        },
    })
}

fn header(value: &Value) -> String {
    encode_header(value)
}

fn error(value: &Value) -> DecodeError {
    decode_payment(header(value).as_bytes()).expect_err("must be refused")
}

fn raw(text: &str) -> DecodeError {
    decode_payment(to_base64(text.as_bytes()).as_bytes()).expect_err("must be refused")
}

#[test]
fn a_payment_is_read_to_its_values() {
    let decoded = decode_payment(header(&payment()).as_bytes()).unwrap();
    assert_eq!(decoded.payload.accepted.amount, "10000");
    assert_eq!(decoded.authorization.valid_before, 1_700_000_060);
    assert_eq!(decoded.authorization.delegations[0].expiration, 1);
    assert_eq!(
        decoded.authorization.delegations[0]
            .targets
            .as_ref()
            .unwrap()
            .len(),
        1
    );
}

#[test]
fn what_other_clients_add_is_ignored() {
    let mut value = payment();
    value["extensions"] = json!({"payment-identifier": {"info": {"id": "x"}}});
    value["unknown"] = json!([1, 2.5, null, true]);
    value["accepted"]["unknown"] = json!({});
    value["accepted"]["extra"]["unknown"] = json!(null);
    value["accepted"]["extra"]["paymentFlow"] = json!(null);
    value["payload"]["delegations"] = json!(null);
    let decoded = decode_payment(header(&value).as_bytes()).unwrap();
    assert!(decoded.authorization.delegations.is_empty());
    assert!(decoded.payload.extensions.is_some());
}

#[test]
fn the_header_is_limited_before_it_is_read() {
    let long = vec![b'!'; MAX_HEADER_BYTES + 1];
    assert_eq!(
        decode_payment(&long),
        Err(DecodeError::TooLong {
            field: "PAYMENT-SIGNATURE".into(),
            limit: MAX_HEADER_BYTES,
            actual: MAX_HEADER_BYTES + 1,
        })
    );
    // One byte less is accepted, and found not to be base64.
    assert!(matches!(
        decode_payment(&long[1..]),
        Err(DecodeError::NotBase64 { .. })
    ));
}

#[test]
fn only_padded_standard_base64_is_read() {
    let mut value = payment();
    value["resource"]["url"] = json!("/report/1");
    let good = header(&value);
    let unpadded = good.trim_end_matches('=');
    assert_ne!(good, unpadded, "the fixture must need padding");
    for bad in [
        unpadded.to_string(),
        format!("{good}\n"),
        format!(" {good}"),
        good.replace('=', ""),
    ] {
        assert!(matches!(
            decode_payment(bad.as_bytes()),
            Err(DecodeError::NotBase64 { .. })
        ));
    }
    // ">>>" and "???" are "+" and "/" in standard base64, "-" and "_" in the URL alphabet.
    let mut value = payment();
    value["resource"]["url"] = json!("?>?>?>???>>>");
    let standard = header(&value);
    let url = standard.replace('+', "-").replace('/', "_");
    assert_ne!(standard, url);
    assert!(decode_payment(standard.as_bytes()).is_ok());
    assert!(matches!(
        decode_payment(url.as_bytes()),
        Err(DecodeError::NotBase64 { .. })
    ));
}

#[test]
fn what_is_not_json_is_named() {
    assert!(matches!(
        decode_payment(to_base64(b"{\"a\":\"\xff\"}").as_bytes()),
        Err(DecodeError::NotUtf8 { .. })
    ));
    for text in [
        "",
        "{",
        "{}{}",
        "nope",
        "{\"a\":}",
        "{'a':1}",
        "[1,]",
        "{\"a\":1e999}",
        "\u{feff}{}",
    ] {
        assert!(
            matches!(raw(text), DecodeError::NotJson { .. }),
            "{text:?}: {:?}",
            raw(text)
        );
    }
    for text in ["[]", "null", "1", "\"{}\""] {
        assert!(
            matches!(raw(text), DecodeError::WrongType { .. }),
            "{text:?}"
        );
    }
}

#[test]
fn duplicate_keys_are_refused_wherever_they_stand() {
    let text = header_text();
    for (from, to) in [
        (
            "\"amount\":\"10000\"",
            "\"amount\":\"10000\",\"amount\":\"1\"",
        ),
        (
            "\"url\":\"/report\"",
            "\"url\":\"/report\",\"u\":{\"x\":1,\"x\":1}",
        ),
        ("\"nonce\":", "\"nonc\\u0065\":\"\",\"nonce\":"),
    ] {
        let doubled = text.replacen(from, to, 1);
        assert_ne!(text, doubled);
        assert!(
            matches!(raw(&doubled), DecodeError::DuplicateKey { .. }),
            "{to}"
        );
    }
}

fn header_text() -> String {
    serde_json::to_string(&payment()).unwrap()
}

#[test]
fn nesting_is_limited() {
    let nested = |levels: usize| {
        // The object around it is one level, too.
        format!(
            "{{\"extensions\":{}{}}}",
            "[".repeat(levels - 1),
            "]".repeat(levels - 1)
        )
    };
    assert!(matches!(
        raw(&nested(MAX_JSON_DEPTH)),
        DecodeError::WrongType { .. }
    ));
    let too_deep = DecodeError::TooDeep {
        field: "PAYMENT-SIGNATURE".into(),
        limit: MAX_JSON_DEPTH,
    };
    assert_eq!(raw(&nested(MAX_JSON_DEPTH + 1)), too_deep);
    assert_eq!(raw(&"[".repeat(12_000)), too_deep);
    assert_eq!(raw(&"{\"a\":".repeat(2_000)), too_deep);
}

#[test]
fn long_arrays_are_no_trouble_within_the_header() {
    let text = format!("{{\"a\":[{}0]}}", "0,".repeat(6_000));
    assert!(matches!(raw(&text), DecodeError::WrongType { .. }));
}

#[test]
fn every_field_is_required_and_named() {
    let fields = [
        "x402Version",
        "accepted",
        "accepted.scheme",
        "accepted.network",
        "accepted.amount",
        "accepted.asset",
        "accepted.payTo",
        "accepted.maxTimeoutSeconds",
        "accepted.extra",
        "accepted.extra.assetTransferMethod",
        "accepted.extra.symbol",
        "accepted.extra.decimals",
        "accepted.extra.fee",
        "accepted.extra.spender",
        "accepted.extra.offer",
        "payload",
        "payload.from",
        "payload.nonce",
        "payload.validAfter",
        "payload.validBefore",
        "payload.publicKey",
        "payload.signature",
    ];
    for path in fields {
        let pointer = format!("/{}", path.replace('.', "/"));
        let (parent, key) = pointer.rsplit_once('/').unwrap();

        let mut missing = payment();
        missing
            .pointer_mut(parent)
            .unwrap()
            .as_object_mut()
            .unwrap()
            .remove(key)
            .unwrap();
        let e = error(&missing);
        assert!(
            matches!(e, DecodeError::WrongType { .. }) && e.to_string().contains(key),
            "{path}: {e}"
        );

        // null, and an array of another type, match no field.
        for wrong in [Value::Null, json!([[]])] {
            let mut value = payment();
            *value.pointer_mut(&pointer).unwrap() = wrong;
            let e = error(&value);
            assert!(matches!(e, DecodeError::WrongType { .. }), "{path}: {e}");
            assert!(e.field().starts_with(path), "{path}: {e}");
        }
    }
}

#[test]
fn numbers_do_not_stand_for_texts_nor_texts_for_numbers() {
    for (pointer, value) in [
        ("/accepted/amount", json!(10000)),
        ("/accepted/maxTimeoutSeconds", json!("60")),
        ("/accepted/maxTimeoutSeconds", json!(-1)),
        ("/accepted/maxTimeoutSeconds", json!(1u64 << 40)),
        ("/accepted/extra/decimals", json!(256)),
        ("/payload/validAfter", json!(1_700_000_000)),
        ("/payload/delegations", json!({})),
        ("/payload/delegations/0/expiration", json!(1)),
    ] {
        let mut payment = payment();
        *payment.pointer_mut(pointer).unwrap() = value;
        assert!(
            matches!(error(&payment), DecodeError::WrongType { .. }),
            "{pointer}"
        );
    }
}

#[test]
fn every_value_is_checked_and_its_field_and_limit_named() {
    let cases: Vec<(&str, Value, Option<u128>)> = vec![
        ("payload.from", json!("nobody"), None),
        ("payload.from", json!("a".repeat(500)), Some(136)),
        ("payload.nonce", json!("00"), Some(64)),
        ("payload.nonce", json!("AA".repeat(32)), None),
        ("payload.validAfter", json!("-1"), None),
        (
            "payload.validBefore",
            json!("18446744073709551616"),
            Some(u128::from(u64::MAX)),
        ),
        ("payload.publicKey", json!("AA"), None),
        ("payload.publicKey", json!(to_base64(&[0; 257])), Some(256)),
        ("payload.signature", json!("?"), None),
        ("payload.signature", json!("A".repeat(11_000)), Some(8_192)),
        ("payload.delegations[0].pubkey", json!("A==="), None),
        ("payload.delegations[0].expiration", json!("0x1"), None),
        ("payload.delegations[0].targets", json!(["x"]), None),
        ("payload.delegations[0].signature", json!("AB=="), None),
    ];
    for (path, wrong, limit) in cases {
        let pointer = format!("/{}", path.replace("[0]", "/0").replace('.', "/"));
        let mut value = payment();
        *value.pointer_mut(&pointer).unwrap() = wrong;
        let e = error(&value);
        assert!(matches!(e, DecodeError::Invalid { .. }), "{path}: {e}");
        assert_eq!(e.field(), path);
        assert_eq!(e.limit(), limit, "{e}");
    }
}

#[test]
fn a_delegation_with_unknown_restrictions_is_refused() {
    let mut value = payment();
    value["payload"]["delegations"][0]["permissions"] = json!("queries");
    let e = error(&value);
    assert!(matches!(e, DecodeError::WrongType { .. }), "{e}");
    assert!(e.to_string().contains("permissions"), "{e}");
}

#[test]
fn a_list_is_no_object() {
    for (pointer, field) in [
        ("/accepted", "accepted"),
        ("/accepted/extra", "accepted.extra"),
        ("/payload", "payload"),
        ("/payload/delegations/0", "payload.delegations[0]"),
    ] {
        let mut value = payment();
        let place = value.pointer_mut(pointer).unwrap();
        let members = place.as_object().unwrap().values().cloned().collect();
        *place = Value::Array(members);
        let e = error(&value);
        assert!(matches!(e, DecodeError::WrongType { .. }), "{e}");
        assert_eq!(e.field(), field);
    }
}

#[test]
fn errors_do_not_repeat_what_was_sent() {
    for (pointer, field) in [
        ("/payload", "payload"),
        ("/payload/delegations", "payload.delegations"),
        ("/payload/delegations/0", "payload.delegations[0]"),
        ("/accepted/maxTimeoutSeconds", "accepted.maxTimeoutSeconds"),
        ("/accepted/extra/decimals", "accepted.extra.decimals"),
    ] {
        let mut value = payment();
        *value.pointer_mut(pointer).unwrap() = json!("c2lnbmF0dXJl, expected ");
        let e = error(&value);
        assert_eq!(e.field(), field);
        assert!(!e.to_string().contains("c2lnbmF0dXJl"), "{e}");
    }
}

#[test]
fn the_chain_is_limited() {
    let mut value = payment();
    let one = value["payload"]["delegations"][0].clone();
    value["payload"]["delegations"] = json!(vec![one; 21]);
    assert_eq!(
        error(&value),
        DecodeError::TooMany {
            field: "payload.delegations".into(),
            limit: 20,
            actual: 21,
        }
    );
}

/// A payment is decoded as any header, except for members that are `null`.
#[test]
fn payments_are_read_as_other_headers_are() {
    for pointer in [
        "",
        "/resource",
        "/payload/delegations",
        "/payload/delegations/0/targets",
    ] {
        let mut value = payment();
        value["extensions"] = json!({"a": [1]});
        value["resource"]["tags"] = json!(["x", "y"]);
        if !pointer.is_empty() {
            *value.pointer_mut(pointer).unwrap() = Value::Null;
        }
        let text = header(&value);
        let derived: PaymentPayload = decode_header("test", text.as_bytes()).unwrap();
        assert_eq!(decode_payment_payload(text.as_bytes()), Ok(derived));
    }
}

proptest! {
    #[test]
    fn garbage_never_panics(bytes in prop::collection::vec(any::<u8>(), 0..2_000)) {
        prop_assert!(decode_payment(&bytes).is_err());
        prop_assert!(decode_payment(to_base64(&bytes).as_bytes()).is_err());
    }

    #[test]
    fn one_changed_byte_never_panics(at: prop::sample::Index, byte: u8) {
        let mut bytes = header_text().into_bytes();
        let at = at.index(bytes.len());
        bytes[at] = byte;
        // Some changes give another well-formed payment; encoding it must give the same text.
        if let Ok(decoded) = decode_payment(to_base64(&bytes).as_bytes()) {
            let again = decode_payment(encode_header(&decoded.payload).as_bytes());
            prop_assert_eq!(again, Ok(decoded));
        }
    }

    #[test]
    fn any_texts_survive_the_header(from in "\\PC{0,40}", nonce in "\\PC{0,40}", delegated: bool) {
        let payload = ExactIcrc2Payload {
            from, nonce,
            valid_after: "1".into(), valid_before: "2".into(),
            public_key: String::new(), signature: String::new(),
            delegations: delegated.then(Vec::new),
        };
        prop_assert_eq!(decode_header("test", encode_header(&payload).as_bytes()), Ok(payload));
    }
}

#[test]
fn a_key_twice_among_many_is_found() {
    let keys = |last: &str| {
        let keys: Vec<String> = (0..100).map(|n| format!("\"k{n}\":0")).collect();
        format!("{{{},\"{last}\":0}}", keys.join(","))
    };
    for last in ["k0", "k31", "k32", "k33", "k99", "\\u006b40"] {
        assert!(
            matches!(raw(&keys(last)), DecodeError::DuplicateKey { .. }),
            "{last}"
        );
    }
    assert!(matches!(raw(&keys("k100")), DecodeError::WrongType { .. }));
}
