//! Receipts that the canister signs with a threshold key, and the DID document that names the key.

use crate::support::{
    Setup,
    interface::*,
    setup::{controller, merchant, operator, stranger},
};
use candid::Principal;
use serde_bytes::ByteBuf;
use serde_json::Value;
use x402_icp::jws::{self, DID_PATH, Keys};

const PRICE: u128 = 30_000;
/// The network's key for development, and the price of its signature.
const KEY: &str = "dfx_test_key";
const SIGNATURE: u128 = 26_153_846_153;

fn switch(setup: &Setup, caller: Principal, key: Option<&str>) -> Result<(), ReceiptSigningError> {
    let args = key.map(|key_name| ReceiptSigningArgs {
        key_name: key_name.into(),
        per_day: 100,
    });
    setup.update(caller, "receipt_signing_set", (args,))
}

fn sign(setup: &Setup, caller: Principal, id: &ByteBuf) -> Result<String, ReceiptSignError> {
    setup.update(caller, "receipt_sign", (id.clone(),))
}

fn proof(setup: &Setup, caller: Principal, id: &ByteBuf) -> Value {
    let json: Option<String> = setup.query(caller, "receipt_proof", (id.clone(),));
    serde_json::from_str(&json.unwrap()).unwrap()
}

#[test]
fn a_payer_gets_a_receipt_signed_by_the_key_of_the_certified_did_document() {
    let setup = Setup::with_threshold_keys();
    assert_eq!(setup.get(DID_PATH).status, 404);
    let payer = setup.payer(150);
    let sale = setup.sell("/article", PRICE);
    let paid = || {
        let settled = sale.pay(&payer).send().expect_settled();
        (ByteBuf::from(settled.signed.id.0.to_vec()), settled.block)
    };
    let (id, block) = paid();
    let me = payer.account.owner;
    assert!(
        setup
            .raw_update(me, "receipt_sign", candid::encode_one(&id).unwrap())
            .is_err()
    );
    switch(&setup, controller(), Some(KEY)).unwrap();
    // Strangers cost nothing: their messages are dropped.
    for caller in [stranger(), Principal::anonymous()] {
        let argument = candid::encode_one(&id).unwrap();
        assert!(setup.raw_update(caller, "receipt_sign", argument).is_err());
    }
    let before = setup.pic.cycle_balance(setup.canister);
    let jws = sign(&setup, me, &id).unwrap();
    let spent = before - setup.pic.cycle_balance(setup.canister);
    assert!(
        (SIGNATURE..SIGNATURE + 100_000_000).contains(&spent),
        "{spent}"
    );
    // The gateway verifies the document, as every answer of a query.
    let document = setup.get(DID_PATH);
    assert!(!document.upgraded && document.status == 200);
    assert_eq!(document.header("content-type"), Some("application/json"));
    let keys = Keys::read(&document.body).unwrap();
    let receipt = jws::verify(&jws, &keys).unwrap();
    assert_eq!(
        receipt.resource_url,
        format!("http://{}.localhost/article", setup.canister)
    );
    assert_eq!(receipt.payer, payer.account.to_string());
    assert_eq!(receipt.transaction, block.to_string());
    assert_eq!(receipt.network, setup.config().network);
    // Once: the next answers are from the store, before and after an upgrade, and for the merchant.
    let before = setup.pic.cycle_balance(setup.canister);
    for caller in [me, merchant().owner, operator()] {
        assert_eq!(sign(&setup, caller, &id), Ok(jws.clone()));
    }
    setup.upgrade();
    assert_eq!(sign(&setup, me, &id), Ok(jws.clone()));
    assert_eq!(setup.get(DID_PATH).body, document.body);
    let spent = before - setup.pic.cycle_balance(setup.canister);
    assert!(spent < SIGNATURE, "{spent}");
    // It names the payer, so it is shown to those who may know it.
    assert_eq!(proof(&setup, me, &id)["signedReceipt"]["signature"], jws);
    let public = setup.get(&format!("/x402/receipts/{}", hex::encode(&id)));
    let public: Value = serde_json::from_slice(&public.body).unwrap();
    for unsigned in [proof(&setup, stranger(), &id), public] {
        assert_eq!(unsigned["signedReceipt"], Value::Null);
    }
    // Off: what was signed stays, and nothing more is.
    switch(&setup, controller(), None).unwrap();
    let (other, _) = paid();
    assert_eq!(sign(&setup, me, &id), Ok(jws));
    let argument = candid::encode_one(&other).unwrap();
    assert!(setup.raw_update(me, "receipt_sign", argument).is_err());
    let status: ReceiptSigning = setup.query(stranger(), "receipt_signing", ());
    assert_eq!((status.setting, status.signed), (None, 1));
}

#[test]
fn a_key_that_the_system_does_not_have_is_refused_and_changes_nothing() {
    let setup = Setup::with_threshold_keys();
    let refused = switch(&setup, controller(), Some("no_such_key"));
    assert!(
        matches!(refused, Err(ReceiptSigningError::NoKey(_))),
        "{refused:?}"
    );
    let refused = switch(&setup, controller(), Some("key 1"));
    assert!(
        matches!(refused, Err(ReceiptSigningError::InvalidArgument(_))),
        "{refused:?}"
    );
    for caller in [operator(), stranger()] {
        let argument = candid::encode_one(None::<ReceiptSigningArgs>).unwrap();
        assert!(
            setup
                .raw_update(caller, "receipt_signing_set", argument)
                .is_err()
        );
    }
    let status: ReceiptSigning = setup.query(stranger(), "receipt_signing", ());
    assert_eq!((status.setting, status.signed), (None, 0));
    assert_eq!(setup.get(DID_PATH).status, 404);
}

/// The keys there speak for the canister. Operators put routes.
#[test]
fn an_operator_cannot_replace_the_did_document() {
    let setup = Setup::with_any_ledger();
    let route = crate::support::setup::free("GET", DID_PATH);
    let refused: Result<Route, RouteError> = setup.update(operator(), "route_put", (route,));
    assert!(
        matches!(refused, Err(RouteError::InvalidArgument(_))),
        "{refused:?}"
    );
}
