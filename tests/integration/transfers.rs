//! Payments by a transfer of the payer's own (`icrc1`), on any ledger with a block log.

use crate::support::{
    Setup,
    flow::ARTICLE,
    gateway::{Answer, Request},
    interface::{AccountArg, PaymentStatus, RouteArgs, RouteError},
    setup::{FEE, controller, merchant},
    transfer::{self, Offer, id, payer, transfer},
};
use candid::{Nat, Principal};
use icrc_ledger_types::icrc1::account::Account;
use serde_json::Value;
use x402_icp::Code;

const PRICE: u128 = 30_000;

/// A shop that sells `GET /a` by transfer.
fn shop() -> Setup {
    shop_of(Setup::with_any_ledger())
}

fn shop_of(setup: Setup) -> Setup {
    setup.sell("/a", PRICE);
    put(&setup, PRICE);
    setup
}

fn put(setup: &Setup, price: u128) {
    let args = RouteArgs {
        transfers: Some(true),
        ..setup.priced("GET", "/a", price)
    };
    assert!(setup.route_put(args).expect("a good route").transfers);
}

fn offer(setup: &Setup) -> Offer {
    transfer::offer(setup, "/a")
}

fn proof(from: Account, offer: &Offer, secret: u8, block: u64) -> Request {
    transfer::proof("/a", from, offer, secret, block)
}

#[track_caller]
fn delivered(answer: &Answer) -> u64 {
    assert_eq!(answer.status, 200, "{:?}", answer.payment_response());
    assert_eq!(answer.body, ARTICLE);
    let response = answer.payment_response().expect("an outcome");
    response.transaction.parse().expect("a block")
}

fn error(answer: &Answer) -> String {
    assert_eq!(answer.status, 402);
    assert!(
        !answer
            .body
            .windows(ARTICLE.len())
            .any(|body| body == ARTICLE)
    );
    let body: Value = serde_json::from_slice(&answer.body).expect("JSON");
    body["error"].as_str().unwrap_or_default().to_string()
}

#[test]
fn a_transfer_buys_once_and_survives_an_upgrade() {
    let setup = shop();
    let (payer, offer) = (payer(&setup, 70), offer(&setup));
    let block = transfer(&setup, payer, &offer, 1, PRICE);
    let request = proof(payer, &offer, 1, block);
    let answer = setup.send(&request);
    assert_eq!(delivered(&answer), block);
    let payment_id = id(&offer, 1, block);
    let response = answer.payment_response().unwrap();
    assert_eq!(response.extra.unwrap()["paymentId"], payment_id.to_string());
    let payment = setup.payment(payment_id.0).expect("it is recorded");
    assert_eq!(payment.rail, "icrc1");
    assert_eq!(payment.payer, Some(payer));
    assert_eq!(setup.ledger.balance(&setup, merchant()), PRICE);
    setup.check_conservation();
    assert_eq!(delivered(&setup.send(&request)), block);
    setup.upgrade();
    assert_eq!(delivered(&setup.send(&request)), block);
    // The block buys nothing else.
    let mut other = request;
    other.url = "/a?b".into();
    assert_eq!(
        error(&setup.send(&other)),
        Code::DuplicateSettlement.as_str()
    );
    assert_eq!(setup.payments().len(), 1);
    setup.check_conservation();
}

#[test]
fn a_block_of_the_public_ledger_is_nobody_elses() {
    let setup = shop();
    let (payer, offer) = (payer(&setup, 71), offer(&setup));
    let block = transfer(&setup, payer, &offer, 1, PRICE);
    // A wrong secret, another sender, the blocks before (a mint and an approval, say), one that does not exist.
    let stranger = Account::from(Principal::self_authenticating([9; 32]));
    let mut attempts = vec![
        proof(payer, &offer, 2, block),
        proof(stranger, &offer, 1, block),
        proof(payer, &offer, 1, block + 1),
        proof(payer, &offer, 1, u64::MAX),
    ];
    attempts.extend((0..block).map(|earlier| proof(payer, &offer, 1, earlier)));
    for attempt in attempts {
        assert_eq!(error(&setup.send(&attempt)), Code::Transfer.as_str());
    }
    assert!(setup.payments().is_empty());
    assert_eq!(
        delivered(&setup.send(&proof(payer, &offer, 1, block))),
        block
    );
    setup.check_conservation();
}

#[test]
fn a_transfer_that_is_claimed_twice_in_parallel_is_paid_and_delivered_as_one() {
    let setup = shop();
    let (payer, offer) = (payer(&setup, 72), offer(&setup));
    let block = transfer(&setup, payer, &offer, 1, PRICE);
    let request = proof(payer, &offer, 1, block);
    let calls: Vec<_> = (0..4).map(|_| setup.submit(&request)).collect();
    for call in calls {
        assert_eq!(delivered(&setup.collect(call)), block);
    }
    assert_eq!(setup.payments().len(), 1);
    setup.check_conservation();
}

#[test]
fn a_block_older_than_the_limit_buys_nothing_and_is_owed() {
    let setup = shop();
    let (payer, offer) = (payer(&setup, 73), offer(&setup));
    let block = transfer(&setup, payer, &offer, 1, PRICE);
    setup.advance(u64::from(offer.extra.max_proof_age_seconds) + 60);
    let answer = setup.send(&proof(payer, &offer, 1, block));
    assert_eq!(error(&answer), Code::OfferMismatch.as_str());
    let payment = setup.payment(id(&offer, 1, block).0).expect("recorded");
    assert!(
        matches!(payment.status, PaymentStatus::Refunding { .. }),
        "{:?}",
        payment.status
    );
    setup.check_conservation();
}

/// Money that came into the canister and buys nothing goes back by itself, less the fee that sending it costs.
#[test]
fn an_underpaid_transfer_and_one_for_an_old_price_are_refunded_and_an_overpaid_one_buys() {
    let setup = shop();
    let own = Account::from(setup.canister);
    let done: Result<(), RouteError> =
        setup.update(controller(), "pay_to_set", (AccountArg::from(own),));
    done.expect("a controller may");
    let (payer, offer) = (payer(&setup, 74), offer(&setup));
    let short = transfer(&setup, payer, &offer, 1, PRICE - 1);
    let more = transfer(&setup, payer, &offer, 2, PRICE + 1);
    let old = transfer(&setup, payer, &offer, 3, PRICE);
    let dust = transfer(&setup, payer, &offer, 4, FEE);
    let answer = setup.send(&proof(payer, &offer, 1, short));
    assert_eq!(error(&answer), Code::OfferMismatch.as_str());
    assert_eq!(
        answer.payment_required(),
        None,
        "the client must not pay again"
    );
    assert_eq!(delivered(&setup.send(&proof(payer, &offer, 2, more))), more);
    let answer = setup.send(&proof(payer, &offer, 4, dust));
    assert_eq!(error(&answer), Code::AmountMismatch.as_str());
    put(&setup, 2 * PRICE);
    let answer = setup.send(&proof(payer, &offer, 3, old));
    assert_eq!(error(&answer), Code::OfferMismatch.as_str());
    for _ in 0..20 {
        setup.advance(1);
        setup.pic.tick();
    }
    for (secret, block, amount) in [(1, short, PRICE - 1), (3, old, PRICE)] {
        let payment = setup.payment(id(&offer, secret, block).0).unwrap();
        assert!(
            matches!(payment.status, PaymentStatus::Refunded { .. }),
            "{:?}",
            payment.status
        );
        assert_eq!(payment.refund_amount, Nat::from(amount - FEE));
        // A repetition delivers nothing.
        let again = setup.send(&proof(payer, &offer, secret, block));
        assert_eq!(error(&again), Code::DuplicateSettlement.as_str());
    }
    setup.check_conservation();
}

/// The payer comes again with the same proof, and is not told to pay again.
#[test]
fn a_ledger_that_does_not_answer_leaves_the_proof_good() {
    let setup = shop_of(Setup::new());
    let (payer, offer) = (payer(&setup, 75), offer(&setup));
    let block = transfer(&setup, payer, &offer, 1, PRICE);
    let request = proof(payer, &offer, 1, block);
    setup
        .pic
        .stop_canister(setup.ledger.0, Some(controller()))
        .expect("stopped");
    let answer = setup.send(&request);
    assert_eq!(error(&answer), Code::SettlementPending.as_str());
    assert_eq!(
        answer.payment_required(),
        None,
        "the client must not pay again"
    );
    setup
        .pic
        .start_canister(setup.ledger.0, Some(controller()))
        .expect("started");
    assert_eq!(delivered(&setup.send(&request)), block);
    setup.check_conservation();
}

#[test]
fn a_block_that_was_archived_is_found() {
    let setup = shop_of(Setup::new());
    let (payer, offer) = (payer(&setup, 76), offer(&setup));
    let block = transfer(&setup, payer, &offer, 1, PRICE);
    setup.ledger.archive(&setup, block + 1);
    assert_eq!(
        delivered(&setup.send(&proof(payer, &offer, 1, block))),
        block
    );
    setup.check_conservation();
}

/// Its blocks name account identifiers, and archives do not number them.
#[test]
fn a_transfer_in_a_ledger_with_the_icp_interface_buys_from_ledger_and_archive() {
    let setup = shop_of(Setup::with_icp_ledger());
    let (payer, offer) = (payer(&setup, 78), offer(&setup));
    let first = transfer(&setup, payer, &offer, 1, PRICE);
    let stranger = Account::from(Principal::self_authenticating([9; 32]));
    for wrong in [
        proof(payer, &offer, 2, first),
        proof(stranger, &offer, 1, first),
        proof(payer, &offer, 1, first - 1),
        proof(payer, &offer, 1, first + 1),
    ] {
        assert_eq!(error(&setup.send(&wrong)), Code::Transfer.as_str());
    }
    let request = proof(payer, &offer, 1, first);
    assert_eq!(delivered(&setup.send(&request)), first);
    let second = transfer(&setup, payer, &offer, 2, PRICE);
    setup.ledger.archive(&setup, second + 1);
    let request = proof(payer, &offer, 2, second);
    assert_eq!(delivered(&setup.send(&request)), second);
    let payment = setup.payment(id(&offer, 2, second).0).expect("recorded");
    assert_eq!(
        (payment.rail.as_str(), payment.payer),
        ("icrc1", Some(payer))
    );
    setup.check_conservation();
    assert_eq!(setup.ledger.balance(&setup, merchant()), 2 * PRICE);
}
