//! The DID document of signed receipts.

use super::{paid::certified, prover::Prover};
use crate::{
    api::{
        endpoints,
        http::{certify_changes, http_request, types::*},
        inspect, signing,
    },
    domain::receipt_key::Signing,
    service::pay::tests::Shop,
    storage::receipt_signatures::sign_with,
};
use candid::{Encode, Principal};
use serde_bytes::ByteBuf;
use serde_json::Value;
use x402_icp::jws::DID_PATH;

/// The document as a gateway hands it on.
fn document(shop: &Shop) -> Option<Value> {
    let request = HttpRequest {
        method: "GET".into(),
        url: DID_PATH.into(),
        headers: vec![],
        body: vec![],
        certificate_version: Some(2),
    };
    let response = http_request(&shop.runtime, request);
    assert!(Prover::default().accepts("GET", DID_PATH, b"", &response));
    (response.status_code == 200).then(|| serde_json::from_slice(&response.body).unwrap())
}

fn key(name: &str) -> Signing {
    Signing {
        key_name: name.into(),
        per_day: 1,
    }
}

#[test]
fn the_document_is_certified_and_follows_keys_and_origin() {
    let shop = certified();
    assert_eq!(document(&shop), None);
    for (name, public) in [("key_1", [1; 32]), ("key_2", [2; 32])] {
        sign_with(&key(name), public).unwrap();
        certify_changes(&shop.runtime);
    }
    let first = document(&shop).unwrap();
    let did = format!(
        "did:web:{}.icp0.io",
        Principal::from_slice(&crate::runtime::scripted::ScriptedRuntime::CANISTER)
    );
    assert_eq!(first["id"], did);
    assert_eq!(first["assertionMethod"][1], format!("{did}#key_2"));
    assert_eq!(
        first["verificationMethod"][0]["publicKeyJwk"]["crv"],
        "Ed25519"
    );
    let setting = signing::receipt_signing().setting.unwrap();
    assert_eq!((&*setting.key_name, setting.per_day), ("key_2", 1));
    shop.runtime.caller.set(shop.runtime.controller);
    let origin = Some("https://shop.example:8443".to_string());
    endpoints::origin_set(&shop.runtime, origin).unwrap();
    let second = document(&shop).unwrap();
    assert_eq!(second["id"], "did:web:shop.example%3A8443");
}

#[test]
fn messages_of_who_has_nothing_to_sign_are_dropped() {
    let shop = certified();
    sign_with(&key("key_1"), [1; 32]).unwrap();
    shop.runtime.caller.set(Principal::from_slice(&[44; 29]));
    for argument in [
        Encode!(&ByteBuf::from([7; 32])).unwrap(),
        Encode!(&ByteBuf::from([7; 31])).unwrap(),
        Encode!(&"text").unwrap(),
        vec![],
    ] {
        let taken = inspect::accept(&shop.runtime, "receipt_sign", argument.len(), || {
            argument.clone()
        });
        assert!(!taken);
    }
}
