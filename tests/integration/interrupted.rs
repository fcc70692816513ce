//! Upgrades that interrupt every flow at every await, one by one: nothing is lost, nothing is done twice.
//!
//! An upgrade after each number of rounds is before, between and after the canister's calls.

use crate::support::{
    Request, Setup, Signed,
    flow::ARTICLE,
    interface::PaymentStatus,
    setup::{controller, merchant},
};
use serde_bytes::ByteBuf;
use test_ledger::testing::Fault;

const PRICE: u128 = 30_000;
const RETENTION: u64 = 604_800;

/// Upgrades after each number of rounds, until the payment is complete before the upgrade.
///
/// `repeat`: the second request with the payment is interrupted, not the first.
fn interrupt(seed: u8, stop: bool, before: impl Fn(&Setup), repeat: bool) {
    let setup = Setup::new();
    let payer = setup.payer(seed);
    let sale = setup.sell("/article", PRICE);
    let mut paid = 0;
    for rounds in 0..8 {
        before(&setup);
        let paying = sale.pay(&payer);
        if repeat {
            paying.request().send(&setup.pic, setup.canister);
        }
        let call = setup.submit(&paying.request());
        for _ in 0..rounds {
            setup.pic.tick();
        }
        if stop {
            setup.upgrade();
        } else {
            setup.upgrade_by_force();
        }
        // The response arrives, or not; the money is accounted for.
        let _ = setup.pic.await_call(call);
        setup.check_conservation();
        setup.upload("GET", "/article", ARTICLE);
        let settled = sale.present(paying.signed).send().expect_settled();
        paid += 1;
        sale.present(settled.signed).send().expect_settled();
        let pulled = setup.ledger.pulled_by(&setup, setup.canister);
        assert_eq!(pulled.len(), paid, "after {rounds} rounds");
        assert_eq!(setup.payments().len(), paid);
    }
}

#[test]
fn upgrade_at_any_moment_of_a_payment_loses_nothing() {
    interrupt(95, false, |_| {}, false);
}

#[test]
fn stop_and_upgrade_at_any_moment_of_a_payment_loses_nothing() {
    interrupt(96, true, |_| {}, false);
}

#[test]
fn upgrade_at_any_moment_of_a_repetition_loses_nothing() {
    let lost = |setup: &Setup| setup.ledger.fault(setup, 1, &Fault::lost_after_transfer());
    interrupt(97, false, lost, true);
}

#[test]
fn upgrade_at_any_moment_of_a_repetition_that_moves_the_money_loses_nothing() {
    let nothing = |setup: &Setup| setup.ledger.fault(setup, 1, &Fault::trap());
    interrupt(98, false, nothing, true);
}

/// Lets time pass until the payment is in one of the wanted states.
fn until(setup: &Setup, id: [u8; 32], step: u64, done: impl Fn(&PaymentStatus) -> bool) {
    for _ in 0..60 {
        if done(&setup.payment(id).unwrap().status) {
            return;
        }
        setup.advance(step);
        for _ in 0..6 {
            setup.pic.tick();
        }
    }
    panic!("{:?}", setup.payment(id).unwrap().status);
}

/// A payment that the canister settled while no request waited, with money in the treasury.
fn settled(seed: u8) -> (Setup, Signed) {
    let setup = Setup::new();
    let payer = setup.payer(seed);
    let sale = setup.sell("/article", PRICE);
    setup.ledger.fault(&setup, 1, &Fault::lost_after_transfer());
    let signed = sale.pay(&payer).send().expect_pending();
    until(&setup, signed.id.0, 40, |status| {
        matches!(status, PaymentStatus::Settled { .. })
    });
    (setup, signed)
}

/// The reply would arrive in the heap of other code, and could be taken for another payment's.
#[test]
fn an_upgrade_is_refused_while_calls_are_in_flight() {
    let setup = Setup::new();
    let payer = setup.payer(94);
    let sale = setup.sell("/article", PRICE);
    setup.advance(60);
    setup.try_upgrade(None).expect("nothing is in flight");
    let refused = || {
        let reject = setup.try_upgrade(None).unwrap_err();
        let text = "calls are in flight: stop the canister, upgrade it, start it";
        assert!(reject.reject_message.contains(text), "{reject}");
    };
    let held = Fault::delayed_after_transfer();
    setup.ledger.fault(&setup, 1, &held);
    let paying = sale.pay(&payer);
    let call = setup.under_way(&paying.request());
    refused();
    setup.ledger.release(&setup);
    setup.collect(call);
    sale.present(paying.signed).send().expect_settled();
    setup.try_upgrade(None).expect("nothing is in flight");
    setup.check_conservation();
}

#[test]
fn upgrade_at_any_moment_of_a_refund_pays_it_once() {
    for rounds in 0..14 {
        let (setup, signed) = settled(99);
        let payment = setup.payment(signed.id.0).unwrap();
        let payer = payment.payer.expect("controllers know who paid");
        let balance = || setup.ledger.balance(&setup, payer);
        let paid = balance();
        setup.ledger.mint(&setup, setup.canister.into(), 10 * PRICE);
        // The last moment at which it would be delivered has passed.
        setup.advance(RETENTION + 1);
        for _ in 0..rounds {
            setup.pic.tick();
        }
        setup.upgrade_by_force();
        let refunded = |status: &PaymentStatus| matches!(status, PaymentStatus::Refunded { .. });
        until(&setup, signed.id.0, 3_600, refunded);
        assert_eq!(balance(), paid + PRICE, "after {rounds} rounds");
        // No resource for a payer who was refunded, and no refund for one who has the resource.
        let sale = setup.sale(Request::get("/article"));
        let answer = sale.present(signed).send().answer;
        let body = br#"{"error":"duplicate_settlement"}"#;
        assert_eq!((answer.status, answer.body.as_slice()), (402, &body[..]));
        setup.advance(86_400);
        assert_eq!(balance(), paid + PRICE);
        assert_eq!(setup.ledger.balance(&setup, merchant()), PRICE);
    }
}

#[test]
fn upgrade_at_any_moment_of_what_operators_ask_for_loses_nothing() {
    let setup = Setup::new();
    let payer = setup.payer(101);
    let sale = setup.sell("/article", PRICE);
    for rounds in 0..14 {
        setup.ledger.fault(&setup, 1, &Fault::lost_after_transfer());
        let signed = sale.pay(&payer).send().expect_pending();
        let id = ByteBuf::from(signed.id.0);
        for (method, argument) in [
            ("ledger_add", candid::encode_one(setup.ledger.0)),
            ("solvency", candid::encode_args(())),
            ("payment_recheck", candid::encode_one(id)),
        ] {
            let call = setup
                .pic
                .submit_call(setup.canister, controller(), method, argument.unwrap())
                .expect("the request is accepted");
            for _ in 0..rounds {
                setup.pic.tick();
            }
            setup.upgrade_by_force();
            // The response arrives, or not.
            let _ = setup.pic.await_call(call);
        }
        sale.present(signed).send().expect_settled();
        let pulled = setup.ledger.pulled_by(&setup, setup.canister);
        assert_eq!(pulled.len(), rounds + 1, "after {rounds} rounds");
        setup.check_conservation();
    }
}

#[test]
fn what_the_canister_settled_by_itself_is_delivered_until_the_retention_is_over() {
    let (setup, signed) = settled(100);
    let PaymentStatus::Settled { settled_at, .. } = setup.payment(signed.id.0).unwrap().status
    else {
        panic!("settled");
    };
    setup.route_remove("GET", "/article").unwrap();
    let end = settled_at / 1_000_000_000 + RETENTION;
    setup.advance(end - setup.now() - 30);
    let sale = setup.sale(Request::get("/article"));
    let settled = sale.present(signed).send().expect_settled();
    let delivered = |status: &PaymentStatus| matches!(status, PaymentStatus::Delivered { .. });
    assert!(delivered(
        &setup.payment(settled.signed.id.0).unwrap().status
    ));
    // It is kept for as long again, and no refund follows.
    setup.advance(RETENTION - 60);
    sale.present(settled.signed.clone()).send().expect_settled();
    setup.advance(RETENTION);
    assert!(delivered(
        &setup.payment(settled.signed.id.0).unwrap().status
    ));
    setup.check_conservation();
}
