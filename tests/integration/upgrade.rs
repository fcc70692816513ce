//! Upgrades keep everything that was promised.

use crate::support::{
    Answer, Request, Setup,
    flow::ARTICLE,
    interface::{PageArgs, Route},
    setup::{controller, stranger},
};
use candid::Principal;
use pocket_ic::common::rest::BlobCompression;
use test_ledger::testing::Fault;
use x402_icp::Code;

const PRICE: u128 = 30_000;

#[test]
fn upgrade_before_between_and_after_payments_keeps_everything() {
    let setup = Setup::with_any_ledger();
    let payer = setup.payer(90);
    setup.publish_free("/about", b"about us");
    setup.sell("/data/{id}", PRICE);
    let sale = setup.sell("/article", PRICE);
    let offer = sale.offer();
    let signed_before = payer.sign(&offer, setup.now());

    setup.upgrade();
    assert_eq!(sale.offer(), offer, "the certified 402 is the same");
    assert_eq!(setup.get("/about").body, b"about us");
    let first = sale.present(signed_before).send().expect_settled();

    setup.upgrade();
    assert_eq!(sale.offer(), offer);
    assert_eq!(
        setup.receipt(first.signed.id.0).unwrap().block_index,
        candid::Nat::from(first.block)
    );
    let again = sale.present(first.signed.clone()).send().expect_settled();
    assert_eq!(again.block, first.block);
    let second = sale.pay(&payer).send().expect_settled();
    setup
        .sale(Request::get("/data/7"))
        .pay(&payer)
        .send()
        .expect_settled();

    let payments = setup.payments();
    let routes = routes(&setup);
    setup.upgrade();
    assert_eq!(setup.payments(), payments);
    assert_eq!(self::routes(&setup), routes);
    assert_eq!(
        setup.config().operators,
        vec![crate::support::setup::operator()]
    );
    let again = sale.present(second.signed).send().expect_settled();
    assert_eq!(again.block, second.block);
    assert_eq!(setup.get("/missing").status, 404);
    setup.check_conservation();
}

fn routes(setup: &Setup) -> Vec<Route> {
    let page: Result<Vec<Route>, crate::support::interface::InvalidArgument> =
        setup.query(stranger(), "routes", (PageArgs::default(),));
    page.expect("a good page")
}

/// The wasm loads the golden state that the unit tests wrote natively (`src/service/pay/tests/golden.rs`).
#[test]
fn golden_state_is_loaded_by_the_wasm() {
    let setup = Setup::new();
    let golden = concat!("tests/golden/", env!("CARGO_PKG_VERSION"), ".bin.gz");
    let golden = std::fs::read(golden).expect("this version has a snapshot");
    setup
        .pic
        .set_stable_memory(setup.canister, golden, BlobCompression::Gzip);
    setup.upgrade();
    let origin: Option<String> = setup.query(stranger(), "origin", ());
    assert_eq!(origin.as_deref(), Some("https://shop.example"));
    assert_eq!(routes(&setup).len(), 5);
    let mut statuses: Vec<String> = setup
        .payments()
        .iter()
        .map(|payment| format!("{:?}", payment.status))
        .map(|status| status.split(' ').next().unwrap_or_default().to_string())
        .collect();
    statuses.sort();
    let counts = statuses.chunk_by(|a, b| a == b);
    let counts: Vec<(&str, usize)> = counts.map(|of| (of[0].as_str(), of.len())).collect();
    let expected = [
        ("Delivered", 4),
        ("Failed", 1),
        ("Refunded", 1),
        ("Refunding", 3),
        ("Settled", 2),
        ("Unknown", 3),
    ];
    assert_eq!(counts, expected);
}

#[test]
fn upgrade_while_the_outcome_is_unknown_forgets_nothing() {
    let setup = Setup::new();
    let payer = setup.payer(91);
    let sale = setup.sell("/article", PRICE);
    setup.ledger.fault(&setup, 1, &Fault::lost_after_transfer());
    let signed = sale.pay(&payer).send().expect_pending();
    setup.upgrade();
    sale.present(signed).send().expect_settled();
    assert_eq!(setup.ledger.pulled_by(&setup, setup.canister).len(), 1);
}

#[test]
fn upgrade_after_a_stop_during_a_ledger_call_loses_nothing() {
    // Stop, upgrade, start: the stop waits for the reply, at most as long as the canister does.
    let setup = Setup::new();
    let payer = setup.payer(92);
    let sale = setup.sell("/article", PRICE);
    let paying = sale.pay(&payer);
    setup
        .ledger
        .fault(&setup, 1, &Fault::delayed_after_transfer());
    let call = setup.under_way(&paying.request());
    setup.advance(90);
    let answer = setup.collect(call);
    let outcome = answer.payment_response().unwrap();
    assert_eq!(
        outcome.error_reason.as_deref(),
        Some(Code::SettlementPending.as_str())
    );
    setup
        .pic
        .stop_canister(setup.canister, Some(controller()))
        .unwrap();
    setup.upgrade();
    setup
        .pic
        .start_canister(setup.canister, Some(controller()))
        .unwrap();
    setup.ledger.release(&setup);
    let settled = sale.present(paying.signed).send().expect_settled();
    assert_eq!(settled.answer.body, ARTICLE);
    assert_eq!(setup.ledger.pulled_by(&setup, setup.canister).len(), 1);
}

#[test]
fn stop_and_start_between_payments_changes_nothing() {
    let setup = Setup::with_any_ledger();
    let payer = setup.payer(93);
    let sale = setup.sell("/article", PRICE);
    let first = sale.pay(&payer).send().expect_settled();
    setup
        .pic
        .stop_canister(setup.canister, Some(controller()))
        .unwrap();
    setup
        .pic
        .start_canister(setup.canister, Some(controller()))
        .unwrap();
    assert_eq!(
        sale.present(first.signed.clone())
            .send()
            .expect_settled()
            .block,
        first.block
    );
    sale.pay(&payer).send().expect_settled();
}

#[test]
fn unfinished_upload_survives_an_upgrade_or_is_refused_cleanly() {
    use crate::support::interface::{ContentBegin, ContentChunk, ContentError};
    use serde_bytes::ByteBuf;
    use sha2::{Digest, Sha256};
    let setup = Setup::with_any_ledger();
    setup
        .route_put(setup.priced("GET", "/article", PRICE))
        .unwrap();
    let begin = ContentBegin {
        method: "GET".into(),
        path: "/article".into(),
        bytes: ARTICLE.len() as u64,
        sha256: ByteBuf::from(Sha256::digest(ARTICLE).to_vec()),
    };
    let operator = crate::support::setup::operator();
    let upload: Result<u64, ContentError> = setup.update(operator, "content_begin", (begin,));
    setup.upgrade();
    let chunk = ContentChunk {
        upload: upload.unwrap(),
        offset: 0,
        bytes: ByteBuf::from(ARTICLE.to_vec()),
    };
    let taken: Result<(), ContentError> = setup.update(operator, "content_chunk", (chunk,));
    assert!(
        matches!(taken, Ok(()) | Err(ContentError::UnknownUpload)),
        "{taken:?}"
    );
    let payer = setup.payer(94);
    setup.upload("GET", "/article", ARTICLE);
    setup
        .sale(Request::get("/article"))
        .pay(&payer)
        .send()
        .expect_settled();
}

#[test]
fn canister_stops_while_nothing_is_under_way_and_answers_no_one() {
    let setup = Setup::with_any_ledger();
    setup.sell("/article", PRICE);
    setup
        .pic
        .stop_canister(setup.canister, Some(controller()))
        .unwrap();
    let reply = setup.pic.query_call(
        setup.canister,
        Principal::anonymous(),
        "config",
        candid::encode_args(()).unwrap(),
    );
    assert!(reply.is_err());
    setup
        .pic
        .start_canister(setup.canister, Some(controller()))
        .unwrap();
    let answer: Answer = setup.get("/article");
    assert_eq!(answer.status, 402);
}
