use super::*;
use crate::{decode::decode_header, values::parse_base64};

fn offer() -> PaymentRequirements {
    PaymentRequirements {
        scheme: "exact".into(),
        network: "icp:1".into(),
        amount: "10000".into(),
        asset: "xevnm-gaaaa-aaaar-qafnq-cai".into(),
        pay_to: "aaaaa-aa".into(),
        max_timeout_seconds: 60,
        extra: ExactIcrc2Extra {
            asset_transfer_method: "icrc2".into(),
            symbol: "ckUSDC".into(),
            decimals: 6,
            fee: "10000".into(),
            spender: "be2us-64aaa-aaaaa-qaabq-cai".into(),
            offer: "000102030405060708090a0b0c0d0e0f".into(),
            method: Some("GET".into()),
            route: Some("/report".into()),
            revision: Some(1),
            payment_flow: None,
        },
    }
}

#[test]
fn the_402_has_the_field_names_of_x402_and_no_nulls() {
    let required = PaymentRequired {
        x402_version: X402_VERSION,
        error: None,
        resource: ResourceInfo {
            url: "/report".into(),
            ..Default::default()
        },
        accepts: vec![offer()],
        extensions: None,
    };
    assert_eq!(
        serde_json::to_string(&required).unwrap(),
        r#"{"x402Version":2,"resource":{"url":"/report"},"accepts":[{"scheme":"exact","network":"icp:1","amount":"10000","asset":"xevnm-gaaaa-aaaar-qafnq-cai","payTo":"aaaaa-aa","maxTimeoutSeconds":60,"extra":{"assetTransferMethod":"icrc2","symbol":"ckUSDC","decimals":6,"fee":"10000","spender":"be2us-64aaa-aaaaa-qaabq-cai","offer":"000102030405060708090a0b0c0d0e0f","method":"GET","route":"/report","revision":1}}]}"#
    );
}

#[test]
fn a_receipt_always_has_success_transaction_and_network() {
    let failed = SettleResponse {
        network: "icp:1".into(),
        ..Default::default()
    };
    assert_eq!(
        serde_json::to_string(&failed).unwrap(),
        r#"{"success":false,"transaction":"","network":"icp:1"}"#
    );
}

#[test]
fn headers_are_padded_standard_base64_of_compact_json() {
    let header = encode_header(&offer());
    let json = parse_base64(header.as_bytes(), 10_000).unwrap();
    assert_eq!(json, serde_json::to_vec(&offer()).unwrap());
    assert_eq!(
        decode_header::<PaymentRequirements>("test", header.as_bytes()),
        Ok(offer())
    );
}

#[test]
fn foreign_offers_are_kept_as_they_are() {
    let json = r#"{"x402Version":2,"resource":{"url":"https://a.b/c","unknown":1},"accepts":[
        {"scheme":"upto","network":"eip155:8453","amount":"1","asset":"0x0","payTo":"0x1","maxTimeoutSeconds":5,"extra":{"name":"USDC","nested":{"a":[null]}}}],
        "extensions":{"bazaar":{"info":{},"schema":{}}}}"#;
    let required: PaymentRequired<Value> = serde_json::from_str(json).unwrap();
    let extra = serde_json::to_string(&required.accepts[0].extra).unwrap();
    assert_eq!(extra, r#"{"name":"USDC","nested":{"a":[null]}}"#);
    assert!(required.extensions.unwrap().contains_key("bazaar"));
}

#[test]
fn a_402_of_a_careless_server_is_read() {
    let offer = serde_json::to_value(offer()).unwrap();
    let read = |changes: Value| -> PaymentRequired<Value> {
        let mut required = serde_json::json!({"x402Version": 2, "accepts": [offer]});
        for (key, value) in changes.as_object().unwrap() {
            required[key] = value.clone();
        }
        serde_json::from_value(required).unwrap()
    };
    let plain = read(serde_json::json!({}));
    assert_eq!((plain.resource.url.as_str(), plain.extensions), ("", None));
    for extensions in ["[]", "null", "\"\"", "[{\"a\":1}]", "false"] {
        let extensions: Value = serde_json::from_str(extensions).unwrap();
        let required = read(serde_json::json!({"extensions": extensions}));
        assert_eq!(required.extensions, None);
    }
    for resource in ["null", "[]", "\"/report\"", "{}", "{\"url\":null}"] {
        let resource: Value = serde_json::from_str(resource).unwrap();
        let required = read(serde_json::json!({"resource": resource}));
        assert_eq!(required.resource, ResourceInfo::default());
    }
    let named =
        read(serde_json::json!({"x402Version": 2.0, "resource": {"url": "/a", "tags": {}}}));
    assert_eq!(named.resource.url, "/a");
}

#[test]
fn numbers_of_offers_are_read_by_value() {
    let text = serde_json::to_string(&offer()).unwrap();
    for (from, to) in [
        ("\"maxTimeoutSeconds\":60", "\"maxTimeoutSeconds\":60.0"),
        ("\"decimals\":6", "\"decimals\":6.0"),
        ("\"revision\":1", "\"revision\":1.0"),
        ("\"revision\":1", "\"revision\":10e-1"),
    ] {
        let other = text.replacen(from, to, 1);
        assert_ne!(other, text);
        let read: PaymentRequirements = serde_json::from_str(&other).unwrap();
        assert_eq!(read, offer(), "{to}");
    }
    for bad in ["60.5", "\"60\"", "null", "-60", "1e12"] {
        let other = text.replacen(":60", &format!(":{bad}"), 1);
        assert!(
            serde_json::from_str::<PaymentRequirements>(&other).is_err(),
            "{bad}"
        );
    }
}

#[test]
fn a_receipt_without_transaction_names_none() {
    for text in [
        r#"{"success":true}"#,
        r#"{"success":true,"transaction":null,"network":null}"#,
        r#"{"success":true,"transaction":7,"network":[]}"#,
        r#"{"success":true,"extensions":[],"payer":1,"amount":10000,"errorReason":{}}"#,
    ] {
        let receipt: SettleResponse = serde_json::from_str(text).unwrap();
        let expected = SettleResponse {
            success: true,
            ..Default::default()
        };
        assert_eq!(receipt, expected, "{text}");
    }
    for text in ["{}", r#"{"success":1}"#, r#"{"success":"true"}"#, "[]"] {
        assert!(
            serde_json::from_str::<SettleResponse>(text).is_err(),
            "{text}"
        );
    }
}
