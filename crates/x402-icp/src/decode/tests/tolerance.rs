//! Tolerance of decoders: strict in what is signed, tolerant in the rest.

use super::*;

/// The valid payment with one member replaced.
fn with(pointer: &str, value: Value) -> Value {
    let mut payment = payment();
    let (parent, key) = pointer.rsplit_once('/').unwrap();
    payment.pointer_mut(parent).unwrap()[key] = value;
    payment
}

fn read(value: &Value) -> Result<DecodedPayment, DecodeError> {
    decode_payment(to_base64(value.to_string().as_bytes()).as_bytes())
}

#[test]
fn numbers_are_read_by_value() {
    let good = read(&payment()).unwrap();
    for (pointer, value) in [
        ("/accepted/maxTimeoutSeconds", json!(60.0)),
        ("/accepted/extra/decimals", json!(6.0)),
        ("/x402Version", json!(2.0)),
    ] {
        assert_eq!(read(&with(pointer, value)).as_ref(), Ok(&good), "{pointer}");
    }
    let text = payment().to_string();
    for (from, to) in [
        ("\"maxTimeoutSeconds\":60", "\"maxTimeoutSeconds\":6e1"),
        ("\"maxTimeoutSeconds\":60", "\"maxTimeoutSeconds\":600E-1"),
        ("\"decimals\":6", "\"decimals\":6.000"),
    ] {
        let other = text.replacen(from, to, 1);
        assert_ne!(other, text);
        let decoded = decode_payment(to_base64(other.as_bytes()).as_bytes());
        assert_eq!(decoded.as_ref(), Ok(&good), "{to}");
    }
    for value in [
        json!(60.5),
        json!(-60.0),
        json!(1e10),
        json!("60"),
        json!(true),
    ] {
        let refused = read(&with("/accepted/maxTimeoutSeconds", value.clone()));
        assert!(refused.is_err(), "{value}");
    }
}

#[test]
fn null_is_absent_wherever_it_stands() {
    let good = read(&payment()).unwrap();
    for pointer in [
        "/accepted/extra/paymentFlow",
        "/accepted/extra/unheard",
        "/accepted/unheard",
        "/payload/unheard",
        "/payload/delegations/0/permissions",
        "/extensions",
        "/unheard",
    ] {
        let payment = with(pointer, Value::Null);
        assert_eq!(read(&payment).as_ref(), Ok(&good), "{pointer}");
    }
    assert_eq!(
        read(&with("/resource", Value::Null))
            .unwrap()
            .payload
            .resource,
        None
    );
    for (pointer, field) in [
        ("/payload/nonce", "payload.nonce"),
        ("/accepted/amount", "accepted.amount"),
        ("/accepted", "accepted"),
    ] {
        let refused = read(&with(pointer, Value::Null)).unwrap_err();
        assert_eq!(refused.field(), field);
        assert!(refused.to_string().contains("is missing"), "{refused}");
    }
}

#[test]
fn what_is_not_signed_may_be_odd() {
    let good = read(&payment()).unwrap();
    for extensions in [
        json!([]),
        json!({}),
        json!("none"),
        json!(0),
        json!(false),
        json!([1]),
    ] {
        let read = read(&with("/extensions", extensions.clone())).unwrap();
        assert!(
            read.payload.extensions.is_none_or(|map| map.is_empty()),
            "{extensions}"
        );
        assert_eq!(read.authorization, good.authorization);
    }
    for resource in [
        json!([]),
        json!("/report"),
        json!({}),
        json!({"url": 7}),
        json!(1),
    ] {
        let read = read(&with("/resource", resource.clone())).unwrap();
        assert_eq!(read.payload.resource, None, "{resource}");
    }
    let tagged = json!({"url": "/report", "tags": "one", "description": ["x"], "iconUrl": 1});
    let read = read(&with("/resource", tagged))
        .unwrap()
        .payload
        .resource
        .unwrap();
    assert_eq!(
        (read.url.as_str(), read.tags, read.icon_url),
        ("/report", None, None)
    );
    for pointer in ["method", "route", "revision", "paymentFlow"] {
        let odd = with(&format!("/accepted/extra/{pointer}"), json!([{}]));
        assert_eq!(
            self::read(&odd).unwrap().authorization,
            good.authorization,
            "{pointer}"
        );
    }
}

#[test]
fn what_is_signed_may_not_be_odd() {
    for pointer in [
        "/accepted/scheme",
        "/accepted/network",
        "/accepted/asset",
        "/accepted/amount",
        "/accepted/payTo",
        "/accepted/extra/spender",
        "/accepted/extra/offer",
        "/payload/from",
        "/payload/nonce",
        "/payload/validAfter",
        "/payload/validBefore",
    ] {
        for odd in [json!(null), json!(7), json!([]), json!({}), json!(true)] {
            let refused = read(&with(pointer, odd.clone())).expect_err(pointer);
            assert_eq!(refused.code(), Code::InvalidPayload, "{pointer} {odd}");
        }
    }
}

#[test]
fn a_payment_of_another_version_is_named_as_one() {
    let of_version_1 = |version: Value| {
        json!({
            "x402Version": version, "scheme": "exact", "network": "base-sepolia",
            "payload": {"signature": "0x00", "authorization": {"from": "0x0", "value": "10000"}},
        })
    };
    for (version, number) in [(json!(1), 1), (json!(1.0), 1), (json!(3), 3), (json!(0), 0)] {
        let refused = read(&of_version_1(version)).unwrap_err();
        assert_eq!(refused, DecodeError::Version { version: number });
        assert_eq!(refused.code(), Code::InvalidX402Version);
        assert_eq!(refused.field(), "x402Version");
    }
    // Payments of version 2 with a missing member, or without a version, are not of another version.
    for version in [
        json!(2),
        json!(2.0),
        json!("1"),
        json!(null),
        json!(1.5),
        json!(-1),
    ] {
        let refused = read(&of_version_1(version.clone())).unwrap_err();
        assert_eq!(refused.code(), Code::InvalidPayload, "{version}");
    }
    // If the rest can be decoded, verification decides, which looks for a repetition before it checks the version.
    let odd = read(&with("/x402Version", json!(1))).unwrap();
    assert_eq!(odd.payload.x402_version, 1);
}
