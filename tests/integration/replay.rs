//! A payment is valid once, for what it was signed for.

use crate::support::{Request, Setup, flow::ARTICLE};
use x402_icp::Code;

const PRICE: u128 = 30_000;

#[test]
fn replay_of_a_payload_delivers_again_and_charges_once() {
    let setup = Setup::with_any_ledger();
    let payer = setup.payer(60);
    let sale = setup.sell("/article", PRICE);
    let first = sale.pay(&payer).send().expect_settled();
    let second = sale.present(first.signed.clone()).send().expect_settled();
    assert_eq!(first.block, second.block);
    assert_eq!(
        first.answer.payment_response(),
        second.answer.payment_response()
    );
    assert_eq!(setup.payments().len(), 1);
}

#[test]
fn replay_after_the_retention_is_a_duplicate() {
    let setup = Setup::with_any_ledger();
    let payer = setup.payer(61);
    let sale = setup.sell("/article", PRICE);
    let first = sale.pay(&payer).send().expect_settled();
    setup.advance(604_800 - 60);
    sale.present(first.signed.clone()).send().expect_settled();
    setup.advance(65);
    sale.present(first.signed)
        .send()
        .expect_duplicate_of(first.block);
    assert_eq!(setup.payments().len(), 1);
}

#[test]
fn paid_request_with_another_query_or_body_is_a_duplicate() {
    let setup = Setup::with_any_ledger();
    let payer = setup.payer(62);
    let sale = setup.sell("/article", PRICE);
    let first = sale.pay(&payer).send().expect_settled();
    sale.url("/article?other=1")
        .present(first.signed.clone())
        .send()
        .expect_duplicate_of(first.block);
    setup
        .sale(Request::get("/article").body(b"other"))
        .present(first.signed)
        .send()
        .expect_duplicate_of(first.block);
}

#[test]
fn payment_for_one_parameter_is_not_good_for_another() {
    let setup = Setup::with_any_ledger();
    let payer = setup.payer(63);
    setup.sell("/data/{id}", PRICE);
    let first = setup
        .sale(Request::get("/data/1"))
        .pay(&payer)
        .send()
        .expect_settled();
    setup
        .sale(Request::get("/data/2"))
        .present(first.signed)
        .send()
        .expect_duplicate_of(first.block);
}

#[test]
fn payload_for_a_cheap_route_does_not_open_a_dear_one() {
    let setup = Setup::with_any_ledger();
    let payer = setup.payer(64);
    let cheap = setup.sell("/cheap", 1_000);
    let dear = setup.sell("/dear", 900_000);
    let (cheap_offer, dear_offer) = (cheap.offer(), dear.offer());
    let signed = payer.sign(&cheap_offer, setup.now());
    dear.present(signed.clone())
        .send()
        .expect_refused(Code::AmountMismatch);
    // Even if the client's copy of the offer is exchanged: the signature is over the cheap one.
    let swapped = signed.clone().accept(|offer| *offer = dear_offer);
    dear.present(swapped).send().expect_refused(Code::Signature);
    // Same price, other route: the offer id differs.
    let twin = setup.sell("/twin", 1_000);
    twin.present(signed.clone())
        .send()
        .expect_refused(Code::OfferMismatch);
    cheap.present(signed).send().expect_settled();
}

#[test]
fn payload_for_an_old_price_is_refused() {
    let setup = Setup::with_any_ledger();
    let payer = setup.payer(65);
    let sale = setup.sell("/article", PRICE);
    let cheap = payer.sign(&sale.offer(), setup.now());
    setup
        .route_put(setup.priced("GET", "/article", 2 * PRICE))
        .unwrap();
    sale.present(cheap.clone())
        .send()
        .expect_refused(Code::AmountMismatch);
    // Back at the old price it is still another offer: the revision is signed.
    setup
        .route_put(setup.priced("GET", "/article", PRICE))
        .unwrap();
    sale.present(cheap)
        .send()
        .expect_refused(Code::OfferMismatch);
    sale.pay(&payer).send().expect_settled();
}

#[test]
fn payload_for_another_canister_is_refused() {
    let setup = Setup::with_any_ledger();
    let payer = setup.payer(66);
    let sale = setup.sell("/article", PRICE);
    let twin = setup.another_canister();
    let put: Result<crate::support::interface::Route, crate::support::interface::RouteError> =
        setup.update_at(
            twin,
            crate::support::setup::operator(),
            "route_put",
            (setup.priced("GET", "/article", PRICE),),
        );
    put.unwrap();
    setup.upload_at(twin, "GET", "/article", ARTICLE);
    setup.ledger.approve(&setup, payer.account, twin, 1_000_000);
    let elsewhere = setup.sale_of(twin, Request::get("/article"));
    let signed = payer.sign(&sale.offer(), setup.now());
    let answer = elsewhere.present(signed.clone()).send().answer;
    let error = answer.payment_required().unwrap().error;
    assert_eq!(error.as_deref(), Some(Code::SpenderMismatch.as_str()));
    let there = elsewhere.offer();
    let swapped = signed.accept(|offer| *offer = there);
    let answer = elsewhere.present(swapped).send().answer;
    let error = answer.payment_required().unwrap().error;
    assert_eq!(error.as_deref(), Some(Code::Signature.as_str()));
    assert!(setup.ledger.pulled_by(&setup, twin).is_empty());
}

#[test]
fn payload_for_another_ledger_is_refused() {
    let setup = Setup::new();
    let payer = setup.payer(67);
    let other = setup.another_ledger("OTHER");
    let sale = setup.sell("/article", PRICE);
    let mut route = setup.priced("GET", "/elsewhere", PRICE);
    route.prices[0].ledger = other.0;
    setup.route_put(route).unwrap();
    setup.upload("GET", "/elsewhere", ARTICLE);
    let signed = payer.sign(&sale.offer(), setup.now());
    let elsewhere = setup.sale(Request::get("/elsewhere"));
    elsewhere
        .present(signed)
        .send()
        .expect_refused(Code::AssetMismatch);
    assert!(other.pulled_by(&setup, setup.canister).is_empty());
}

#[test]
fn other_signature_for_a_settled_payment_is_refused() {
    // Payment ids are public. A stranger who knows one, and even everything that was signed, does not have the
    // signature and gets nothing.
    let setup = Setup::with_any_ledger();
    let payer = setup.payer(68);
    let sale = setup.sell("/article", PRICE);
    let settled = sale.pay(&payer).send().expect_settled();
    let stolen = settled.signed.tamper(|payload| {
        payload.signature = x402_icp::values::to_base64(&[3; 64]);
    });
    sale.present(stolen).send().expect_refused(Code::NonceUsed);
}

#[test]
fn payment_whose_route_is_free_by_now_is_still_answered() {
    let setup = Setup::new();
    let payer = setup.payer(69);
    let sale = setup.sell("/article", PRICE);
    setup.ledger.fault(
        &setup,
        1,
        &test_ledger::testing::Fault::lost_after_transfer(),
    );
    let signed = sale.pay(&payer).send().expect_pending();
    setup
        .route_put(crate::support::setup::free("GET", "/article"))
        .unwrap();
    assert_eq!(setup.get("/article").body, ARTICLE);
    let settled = sale.present(signed).send().expect_settled();
    assert!(setup.receipt(settled.signed.id.0).is_some());
    // An unknown payment is ignored there.
    let mut offer = settled.signed.payload.accepted.clone();
    offer.extra.offer = "00".repeat(16);
    let unknown = payer.sign(&offer, setup.now());
    let answer = setup.send(&Request::get("/article").payment(&unknown.header()));
    assert_eq!((answer.status, answer.upgraded), (200, false));
    setup.check_conservation();
}

#[test]
fn payment_whose_route_is_off_sale_by_now_is_still_answered() {
    let setup = Setup::with_any_ledger();
    let payer = setup.payer(70);
    let sale = setup.sell("/article", PRICE);
    let settled = sale.pay(&payer).send().expect_settled();
    let mut route = setup.priced("GET", "/article", PRICE);
    route.on_sale = false;
    setup.route_put(route).unwrap();
    assert_eq!(setup.get("/article").status, 404);
    sale.present(settled.signed).send().expect_settled();
}
