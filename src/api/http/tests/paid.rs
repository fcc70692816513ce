//! One paid request from the query to the delivery, with a scripted system.

use super::prover::Prover;
use crate::{
    api::http::{certify_all, http_request, http_request_update, types::*},
    domain::payment::State,
    service::pay::tests::{Shop, id, shop},
};
use candid::Nat;
use serde::de::DeserializeOwned;
use x402_icp::{decode::decode_header, encode_header, wire::PaymentRequired};

/// A shop with certified responses.
fn certified() -> Shop {
    let shop = shop();
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
fn a_request_is_offered_paid_and_delivered_through_the_http_door() {
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
    let pay = || {
        let request = HttpUpdateRequest {
            method: "GET".into(),
            url: "/a".into(),
            headers: signed.clone(),
            body: vec![],
        };
        crate::runtime::scripted::run(http_request_update(&shop.runtime, request))
    };
    let delivered = pay();
    assert_eq!(
        (delivered.status_code, delivered.body.as_slice()),
        (200, &b"goods"[..])
    );
    let settled: serde_json::Value = decoded(&delivered, "PAYMENT-RESPONSE");
    assert_eq!(settled["success"], true);
    assert!(matches!(shop.state(&request), State::Delivered { .. }));
    assert_eq!(shop.asked(0).memo.unwrap().0.as_slice(), id(&request).0);

    // The same request again: the same bytes, and no second call.
    assert_eq!(pay(), delivered);
    assert_eq!(shop.runtime.made(), 1);
}
