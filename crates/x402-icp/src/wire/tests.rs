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
