//! Limits of the canister.

use crate::support::{
    Setup,
    interface::{LimitsArg, RouteError},
    setup::free,
};
use candid::Nat;
use x402_icp::Code;

const PRICE: u128 = 30_000;

#[test]
fn no_payment_is_taken_below_the_cycles_floor() {
    let setup = Setup::with_any_ledger();
    let payer = setup.payer(160);
    let sale = setup.sell("/article", PRICE);
    let paid_before = sale.pay(&payer).send().expect_settled();
    setup.set_limits(LimitsArg {
        cycles_floor: Some(Nat::from(1_000_000_000_000_000_u64)),
        ..LimitsArg::default()
    });
    sale.pay(&payer)
        .send()
        .expect_refused(Code::LedgerUnavailable);
    // A payment that was made is still delivered.
    sale.present(paid_before.signed).send().expect_settled();
    assert_eq!(setup.settled().len(), 1);
}

#[test]
fn below_the_cycles_floor_offers_stay_up_and_payments_under_way_come_to_their_end() {
    use test_ledger::testing::Fault;
    let setup = Setup::new();
    let payer = setup.payer(162);
    let sale = setup.sell("/article", PRICE);
    setup.ledger.fault(&setup, 1, &Fault::lost_after_transfer());
    let pending = sale.pay(&payer).send().expect_pending();
    setup.set_limits(LimitsArg {
        cycles_floor: Some(Nat::from(1_000_000_000_000_000_u64)),
        ..LimitsArg::default()
    });
    let unpaid = setup.get("/article");
    assert_eq!((unpaid.status, unpaid.upgraded), (402, false));
    sale.pay(&payer)
        .send()
        .expect_refused(Code::LedgerUnavailable);
    // By itself, without a request.
    for _ in 0..40 {
        setup.advance(5);
    }
    assert!(setup.payment(pending.id.0).unwrap().status.is_paid());
    sale.present(pending).send().expect_settled();
    assert_eq!(setup.ledger.pulled_by(&setup, setup.canister).len(), 1);
}

#[test]
fn no_payment_is_accepted_at_the_limit_of_settled_payments() {
    let setup = Setup::with_any_ledger();
    let payer = setup.payer(161);
    let sale = setup.sell("/article", PRICE);
    setup.set_limits(LimitsArg {
        max_payments: Some(2),
        ..LimitsArg::default()
    });
    for _ in 0..2 {
        sale.pay(&payer).send().expect_settled();
    }
    sale.pay(&payer)
        .send()
        .expect_refused(Code::LedgerUnavailable);
    assert_eq!(setup.settled().len(), 2);
}

#[test]
fn routes_and_content_are_limited() {
    let setup = Setup::with_any_ledger();
    setup.set_limits(LimitsArg {
        max_routes: Some(2),
        ..LimitsArg::default()
    });
    setup.route_put(free("GET", "/1")).unwrap();
    setup.route_put(free("GET", "/2")).unwrap();
    assert_eq!(
        setup.route_put(free("GET", "/3")),
        Err(RouteError::TooManyRoutes { limit: 2 })
    );
    // A route can still be changed.
    setup.route_put(free("GET", "/2")).unwrap();
    setup.route_remove("GET", "/1").unwrap();
    setup.route_put(free("GET", "/3")).unwrap();
}

#[test]
fn many_routes_stay_proven_after_an_upgrade() {
    let setup = Setup::with_any_ledger();
    for number in 0..60 {
        setup
            .route_put(setup.priced("GET", &format!("/shelf/{number}"), 100 + number))
            .unwrap();
        setup.upload("GET", &format!("/shelf/{number}"), b"content");
    }
    setup.upgrade();
    for number in [0_u128, 17, 59] {
        let answer = setup.get(&format!("/shelf/{number}"));
        let offers = answer.payment_required().unwrap();
        assert_eq!(offers.accepts[0].amount, (100 + number).to_string());
    }
    assert_eq!(setup.get("/shelf/60").status, 404);
}
