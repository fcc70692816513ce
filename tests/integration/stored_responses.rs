//! What was bought is delivered, however often, whatever happens to the route.

use crate::support::{
    Answer, Request, Setup,
    flow::ARTICLE,
    interface::{ContentBegin, ContentError, LimitsArg, PaymentStatus},
    setup::{free, operator},
};
use candid::Principal;
use serde_bytes::ByteBuf;
use sha2::{Digest, Sha256};
use test_ledger::testing::Fault;

const PRICE: u128 = 30_000;
const DAY: u64 = 86_400;

#[test]
fn repetition_is_the_first_answer_whatever_became_of_the_route() {
    let setup = Setup::with_any_ledger();
    let payer = setup.payer(120);
    let sale = setup.sell("/article", PRICE);
    let first = sale.pay(&payer).send().expect_settled();
    let again = || {
        let settled = sale.present(first.signed.clone()).send().expect_settled();
        assert_eq!(settled.block, first.block);
        let same = |answer: &Answer| {
            let names = ["content-type", "payment-response", "cache-control"];
            names.map(|name| answer.header(name).map(str::to_string))
        };
        assert_eq!(same(&settled.answer), same(&first.answer));
    };
    setup.upload("GET", "/article", b"a newer article");
    again();
    let mut other = setup.priced("GET", "/article", 2 * PRICE);
    other.mime_type = "text/html".into();
    setup.route_put(other.clone()).unwrap();
    again();
    other.on_sale = false;
    setup.route_put(other).unwrap();
    again();
    setup.route_remove("GET", "/article").unwrap();
    again();
    setup.upgrade();
    again();
    setup.route_put(free("GET", "/article")).unwrap();
    setup.upload("GET", "/article", b"free for all");
    again();
    assert_eq!(setup.get("/article").body, b"free for all");
    // No other payer gets it, and nothing is charged.
    let offer = &first.signed.payload.accepted;
    let stranger = payer.sign(offer, setup.now());
    let answer = sale.present(stranger).send().answer;
    assert_eq!(answer.body, b"free for all");
    assert_eq!(setup.ledger.pulled_by(&setup, setup.canister).len(), 1);
    setup.check_conservation();
}

#[test]
fn route_is_removed_while_a_payment_for_it_is_unknown_and_the_payer_gets_the_resource() {
    let setup = Setup::new();
    let payer = setup.payer(121);
    let sale = setup.sell("/article", PRICE);
    setup.ledger.fault(&setup, 1, &Fault::lost_after_transfer());
    let signed = sale.pay(&payer).send().expect_pending();
    setup.route_remove("GET", "/article").unwrap();
    assert_eq!(setup.get("/article").status, 404);
    let settled = sale.present(signed).send().expect_settled();
    assert!(matches!(
        setup.payment(settled.signed.id.0).unwrap().status,
        PaymentStatus::Delivered { .. }
    ));
}

#[test]
fn retention_can_be_set_and_ends_on_the_second() {
    let setup = Setup::with_any_ledger();
    setup.set_limits(LimitsArg {
        retention_seconds: Some(DAY as u32),
        ..LimitsArg::default()
    });
    let payer = setup.payer(122);
    let sale = setup.sell("/article", PRICE);
    let first = sale.pay(&payer).send().expect_settled();
    let PaymentStatus::Delivered { delivered_at, .. } =
        setup.payment(first.signed.id.0).unwrap().status
    else {
        panic!("delivered");
    };
    let end = delivered_at / 1_000_000_000 + DAY;
    setup.advance(end - setup.now() - 30);
    sale.present(first.signed.clone()).send().expect_settled();
    setup.advance(31);
    sale.present(first.signed)
        .send()
        .expect_duplicate_of(first.block);
}

#[test]
fn content_kept_for_payers_counts_until_the_retention_is_over() {
    let setup = Setup::with_any_ledger();
    setup.set_limits(LimitsArg {
        max_content_total_bytes: Some(2 * ARTICLE.len() as u64),
        ..LimitsArg::default()
    });
    let payer = setup.payer(123);
    let sale = setup.sell("/article", PRICE);
    // No payment is for it: replacing it keeps nothing.
    setup.upload("GET", "/article", ARTICLE);
    setup.upload("GET", "/article", ARTICLE);
    let first = sale.pay(&payer).send().expect_settled();
    setup.upload("GET", "/article", b"new article");
    let begin = || -> Result<u64, ContentError> {
        let args = ContentBegin {
            method: "GET".into(),
            path: "/article".into(),
            bytes: ARTICLE.len() as u64,
            sha256: ByteBuf::from(Sha256::digest(ARTICLE).to_vec()),
        };
        setup.update(operator(), "content_begin", (args,))
    };
    assert!(matches!(begin(), Err(ContentError::StorageFull { .. })));
    sale.present(first.signed).send().expect_settled();
}

#[test]
fn a_hundred_payments_of_one_payer_in_flight_at_once_all_settle() {
    let setup = Setup::with_any_ledger();
    let payer = setup.payer(124);
    let sale = setup.sell("/article", PRICE);
    let offer = sale.offer();
    let signed: Vec<_> = (0..100).map(|_| payer.sign(&offer, setup.now())).collect();
    let calls: Vec<_> = signed
        .iter()
        .enumerate()
        .map(|(n, signed)| {
            let request = Request::get("/article").payment(&signed.header());
            let sender = Principal::self_authenticating([n as u8, 7]);
            setup.submit_as(sender, &request)
        })
        .collect();
    for call in calls {
        let answer = setup.collect(call);
        assert_eq!((answer.status, answer.body.as_slice()), (200, ARTICLE));
    }
    assert_eq!(setup.ledger.pulled_by(&setup, setup.canister).len(), 100);
    for signed in signed {
        assert!(matches!(
            setup.payment(signed.id.0).unwrap().status,
            PaymentStatus::Delivered { .. }
        ));
    }
    setup.check_conservation();
}
