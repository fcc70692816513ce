//! One paid request from the query to the delivery, with a scripted system.

use super::prover::Prover;
use crate::{
    api::http::{
        certify_all, http_request, http_request_update, response::MAX_MESSAGE_BYTES, types::*,
    },
    domain::payment::State,
    runtime::{Runtime, scripted::run},
    service::pay::tests::{Shop, id, shop},
    storage,
};
use base64::{Engine, engine::general_purpose::STANDARD as BASE64};
use candid::Nat;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use x402_icp::{decode::decode_header, encode_header, wire::PaymentRequired};

/// A shop with certified responses.
pub(super) fn certified() -> Shop {
    let shop = shop();
    storage::liabilities::set_canister(shop.runtime.canister_id());
    let certify = |_: &_, data: &[u8; 32]| Prover::default().certificate(*data);
    shop.runtime.certify.replace(Some(Box::new(certify)));
    certify_all(&shop.runtime);
    shop
}

fn query(shop: &Shop, headers: Vec<HeaderField>) -> HttpResponse {
    let request = HttpRequest {
        method: "GET".into(),
        url: "/a".into(),
        headers,
        body: vec![],
        certificate_version: Some(2),
    };
    http_request(&shop.runtime, request)
}

/// The JSON in a header.
fn decoded<T: DeserializeOwned>(response: &HttpResponse, name: &str) -> T {
    let value = response
        .header(name)
        .unwrap_or_else(|| panic!("no header {name}"));
    decode_header(name, value.as_bytes()).unwrap()
}

#[test]
fn a_request_is_offered_paid_and_delivered_through_the_http_entry() {
    let shop = certified();
    let offered = query(&shop, vec![]);
    assert_eq!(offered.status_code, 402);
    assert!(Prover::default().accepts("GET", "/a", b"", &offered));
    let offers: PaymentRequired = decoded(&offered, "PAYMENT-REQUIRED");

    let request = shop.request(1, 1);
    assert_eq!(offers.accepts[0], request.signed().payload.accepted);
    let signed = vec![(
        "PAYMENT-SIGNATURE".to_string(),
        encode_header(&request.signed().payload),
    )];
    assert_eq!(query(&shop, signed.clone()).upgrade, Some(true));

    shop.will(Ok(Nat::from(7u8)));
    let pay = || present(&shop, signed.clone());
    let delivered = pay();
    assert_eq!(
        (delivered.status_code, delivered.body.as_slice()),
        (200, &b"goods"[..])
    );
    let settled: Value = decoded(&delivered, "PAYMENT-RESPONSE");
    assert_eq!(settled["success"], true);
    assert!(matches!(shop.state(&request), State::Delivered { .. }));
    assert_eq!(shop.asked(0).memo.unwrap().0.as_slice(), id(&request).0);

    // The same request again: the same bytes, and no second call.
    assert_eq!(pay(), delivered);
    assert_eq!(shop.runtime.made(), 1);
}

/// A payment's response to `GET /a` by an update.
fn present(shop: &Shop, headers: Vec<HeaderField>) -> HttpResponse {
    let request = HttpUpdateRequest {
        method: "GET".into(),
        url: "/a".into(),
        headers,
        body: vec![],
    };
    run(http_request_update(&shop.runtime, request))
}

fn body(response: &HttpResponse) -> Value {
    serde_json::from_slice(&response.body).unwrap()
}

#[test]
fn a_refusal_says_why_in_its_body() {
    let shop = certified();
    let signature = |value: String| ("PAYMENT-SIGNATURE".to_string(), value);

    let mut wrong = shop.request(1, 1).signed().payload.clone();
    wrong.accepted.amount = "1".into();
    let refused = present(&shop, vec![signature(encode_header(&wrong))]);
    let offers: PaymentRequired = decoded(&refused, "PAYMENT-REQUIRED");
    let expected = json!({
        "error": "invalid_exact_icp_amount_mismatch",
        "message": "amount is not that of any offer",
    });
    assert_eq!((refused.status_code, body(&refused)), (402, expected));
    assert_eq!(offers.error.as_deref(), body(&refused)["error"].as_str());

    // The message names a key of the payment, which is a stranger's text.
    let key = "\u{1}\"<\u{fc}".repeat(300);
    let twice = format!(r#"{{{0}:1,{0}:2}}"#, json!(key));
    let refused = present(&shop, vec![signature(BASE64.encode(twice))]);
    let body_of = body(&refused);
    assert_eq!(body_of["error"], "invalid_exact_icp_payload");
    let message = body_of["message"].as_str().unwrap();
    assert!(
        message.len() > 500 && message.len() <= MAX_MESSAGE_BYTES,
        "{message}"
    );
    assert!(refused.body.len() < 6 * MAX_MESSAGE_BYTES + 100);

    let twice = vec![signature("e30=".into()), signature("e30=".into())];
    let message = "there are several payment headers";
    assert_eq!(body(&present(&shop, twice))["message"], message);

    // What the ledger said stands in the body, too, and an open outcome has no message.
    let request = shop.request(1, 2);
    let signed = vec![signature(encode_header(&request.signed().payload))];
    shop.will_reject(4);
    let pending = present(&shop, signed);
    assert_eq!(body(&pending), json!({ "error": "settlement_pending" }));
    assert_eq!(pending.header("PAYMENT-REQUIRED"), None);
}
