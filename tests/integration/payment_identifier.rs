//! The x402 extension `payment-identifier`: one identifier, one purchase.

use crate::support::{
    Payer, Request, Setup, Signed,
    flow::{ARTICLE, Sale},
    gateway::Answer,
    interface::PaymentIdentifier,
};
use candid::Nat;
use icrc_ledger_types::icrc2::transfer_from::TransferFromError;
use serde_json::json;
use test_ledger::testing::Fault;
use x402_icp::Code;

const PRICE: u128 = 30_000;
const ID: &str = "pay_7d5d747be160e280504c099d984bcfe0";

fn sell(setup: &Setup, policy: Option<PaymentIdentifier>) -> Sale<'_> {
    let mut route = setup.priced("GET", "/article", PRICE);
    route.payment_identifier = policy;
    let put = setup.route_put(route).expect("a good route");
    assert_eq!(put.payment_identifier, policy);
    setup.upload("GET", "/article", ARTICLE);
    setup.sale(Request::get("/article"))
}

/// The payment with the extension as a client sends it.
fn with_id(setup: &Setup, mut signed: Signed, id: &str) -> Signed {
    let mut extensions = setup
        .get("/article")
        .payment_required()
        .unwrap()
        .extensions
        .expect("an advertised extension");
    extensions["payment-identifier"]["info"]["id"] = json!(id);
    signed.payload.extensions = Some(extensions);
    signed
}

fn refused(answer: &Answer, status: u16, error: &str) {
    assert_eq!((answer.status, answer.upgraded), (status, true));
    let body: serde_json::Value = serde_json::from_slice(&answer.body).unwrap();
    assert_eq!(body, json!({ "error": error }));
    assert_eq!(answer.header("cache-control"), Some("private, no-store"));
    assert_eq!(answer.payment_response(), None);
    assert_eq!(answer.payment_required(), None);
}

#[test]
fn payment_identifier_is_advertised_where_the_route_says_so() {
    let setup = Setup::with_any_ledger();
    let schema = json!({
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "type": "object",
        "properties": {
            "required": { "type": "boolean" },
            "id": { "type": "string", "minLength": 16, "maxLength": 128, "pattern": "^[a-zA-Z0-9_-]+$" }
        },
        "required": ["required"]
    });
    for (policy, required) in [
        (PaymentIdentifier::Optional, false),
        (PaymentIdentifier::Required, true),
    ] {
        sell(&setup, Some(policy));
        let offers = setup.get("/article").payment_required().unwrap();
        let expected = json!({
            "payment-identifier": { "info": { "required": required }, "schema": schema }
        });
        assert_eq!(offers.extensions.as_ref(), expected.as_object());
    }
    sell(&setup, None);
    assert_eq!(
        setup.get("/article").payment_required().unwrap().extensions,
        None
    );
}

#[test]
fn same_identifier_and_same_payment_get_the_same_response() {
    let setup = Setup::with_any_ledger();
    let payer = setup.payer(160);
    let sale = sell(&setup, Some(PaymentIdentifier::Required));
    let signed = with_id(&setup, payer.sign(&sale.offer(), setup.now()), ID);
    let first = sale.present(signed.clone()).send().expect_settled();
    // Expired by now: the identifier is looked up before the payment is verified.
    setup.advance(3_600);
    let again = sale.present(signed).send().expect_settled();
    assert_eq!(
        again.answer.headers, first.answer.headers,
        "PAYMENT-RESPONSE included"
    );
    assert_eq!(
        (again.answer.body, again.block),
        (first.answer.body, first.block)
    );
    assert_eq!(setup.payments().len(), 1);
    setup.check_conservation();
}

#[test]
fn same_identifier_and_another_payment_are_a_conflict_and_cost_nothing() {
    let setup = Setup::with_any_ledger();
    let payer = setup.payer(161);
    let sale = sell(&setup, Some(PaymentIdentifier::Optional));
    let signed = with_id(&setup, payer.sign(&sale.offer(), setup.now()), ID);
    let first = sale.present(signed.clone()).send().expect_settled();
    let again = with_id(&setup, payer.sign(&sale.offer(), setup.now()), ID);
    let answer = sale.present(again).send().answer;
    refused(&answer, 409, "payment_identifier_conflict");
    // The same payment for another request.
    let other = Request::get("/article?page=2").payment(&signed.header());
    refused(&setup.send(&other), 409, "payment_identifier_conflict");
    assert_eq!(setup.payments().len(), 1);
    setup.check_conservation();
    // After an upgrade, too.
    setup.upgrade();
    let again = with_id(&setup, payer.sign(&sale.offer(), setup.now()), ID);
    refused(
        &sale.present(again).send().answer,
        409,
        "payment_identifier_conflict",
    );
    let again = sale.present(signed).send().expect_settled();
    assert_eq!(again.block, first.block);
}

#[test]
fn unfunded_payment_of_a_stranger_does_not_bind_my_identifier() {
    let setup = Setup::new();
    let payer = setup.payer(162);
    let stranger = Payer::ed25519(167);
    let sale = sell(&setup, Some(PaymentIdentifier::Required));
    // It is open and its outcome is unknown: its identifier is bound.
    setup.ledger.fault(&setup, 1, &Fault::trap());
    let theirs = with_id(&setup, stranger.sign(&sale.offer(), setup.now()), ID);
    let theirs = sale.present(theirs).send().expect_pending();
    let again = with_id(&setup, stranger.sign(&sale.offer(), setup.now()), ID);
    let answer = sale.present(again).send().answer;
    refused(&answer, 409, "payment_identifier_conflict");
    // Another payer's purchase is another one, and is made once.
    let mine = with_id(&setup, payer.sign(&sale.offer(), setup.now()), ID);
    let first = sale.present(mine.clone()).send().expect_settled();
    let again = sale.present(mine).send().expect_settled();
    assert_eq!(again.block, first.block);
    let again = with_id(&setup, payer.sign(&sale.offer(), setup.now()), ID);
    let answer = sale.present(again).send().answer;
    refused(&answer, 409, "payment_identifier_conflict");
    // A stranger who saw the payment cannot replace it by one in the payer's name without the payer's signature.
    let mut forged = with_id(&setup, stranger.sign(&sale.offer(), setup.now()), ID);
    forged.payload.payload.from = payer.account.to_string();
    let answer = sale.present(forged).send().answer;
    refused(&answer, 409, "payment_identifier_conflict");
    let paid = setup.payments().into_iter();
    let paid = paid.filter(|payment| payment.payer == Some(payer.account));
    assert_eq!(paid.count(), 1);
    assert_ne!(theirs.id, first.signed.id);
}

#[test]
fn required_identifier_that_is_missing_or_malformed_is_a_400() {
    let setup = Setup::with_any_ledger();
    let payer = setup.payer(163);
    let sale = sell(&setup, Some(PaymentIdentifier::Required));
    let signed = payer.sign(&sale.offer(), setup.now());
    let answer = sale.present(signed.clone()).send().answer;
    refused(&answer, 400, "payment_identifier_required");
    let mut echo = signed.clone();
    echo.payload.extensions = setup.get("/article").payment_required().unwrap().extensions;
    let answer = sale.present(echo).send().answer;
    refused(&answer, 400, "payment_identifier_required");
    for id in ["", "short", "pay 7d5d747be160e280", &"a".repeat(129)] {
        let malformed = with_id(&setup, signed.clone(), id);
        let answer = sale.present(malformed).send().answer;
        refused(&answer, 400, "payment_identifier_malformed");
    }
    assert!(setup.payments().is_empty());
    setup.check_conservation();
    let named = with_id(&setup, signed, ID);
    sale.present(named).send().expect_settled();
}

#[test]
fn identifier_of_a_payment_in_doubt_is_pending_and_processed_once() {
    let setup = Setup::new();
    let payer = setup.payer(164);
    let sale = sell(&setup, Some(PaymentIdentifier::Required));
    setup.ledger.fault(&setup, 1, &Fault::lost_after_transfer());
    let signed = with_id(&setup, payer.sign(&sale.offer(), setup.now()), ID);
    let signed = sale.present(signed).send().expect_pending();
    // A client that signs a new payment with the same identifier does not pay twice.
    let again = with_id(&setup, payer.sign(&sale.offer(), setup.now()), ID);
    let answer = sale.present(again).send().answer;
    refused(&answer, 409, "payment_identifier_conflict");
    sale.present(signed).send().expect_settled();
    assert_eq!(setup.payments().len(), 1);
    setup.check_conservation();
}

#[test]
fn identifier_of_a_payment_that_failed_is_free_again() {
    let setup = Setup::new();
    let payer = setup.payer(165);
    let sale = sell(&setup, Some(PaymentIdentifier::Required));
    let before = setup.ledger.blocks(&setup).len();
    let balance = Nat::from(1_u8);
    let failure = TransferFromError::InsufficientFunds { balance };
    let fault = Fault::transfer_from_error(failure);
    setup.ledger.fault(&setup, 1, &fault);
    let first = with_id(&setup, payer.sign(&sale.offer(), setup.now()), ID);
    sale.present(first.clone())
        .send()
        .expect_failed(Code::InsufficientFunds);
    let second = with_id(&setup, payer.sign(&sale.offer(), setup.now()), ID);
    sale.present(second).send().expect_settled();
    let answer = sale.present(first).send().answer;
    refused(&answer, 409, "payment_identifier_conflict");
    assert_eq!(setup.ledger.blocks(&setup).len(), before + 1);
    setup.check_conservation();
}

#[test]
fn identifiers_are_ignored_where_the_route_has_no_policy() {
    let setup = Setup::with_any_ledger();
    let payer = setup.payer(166);
    let sale = sell(&setup, None);
    for extensions in [
        json!({ "payment-identifier": { "info": { "required": true, "id": ID } } }),
        json!({ "payment-identifier": { "info": { "required": true, "id": ID } } }),
        json!({ "payment-identifier": "nonsense" }),
    ] {
        let mut signed = payer.sign(&sale.offer(), setup.now());
        signed.payload.extensions = extensions.as_object().cloned();
        sale.present(signed).send().expect_settled();
    }
    assert_eq!(setup.payments().len(), 3);
}
