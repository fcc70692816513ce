//! Large catalogues: no change of one thing may cost so much that it cannot be made any more.

use crate::support::{
    Answer, Request, Setup,
    interface::{InvalidArgument, PageArgs, Route, RouteError},
    setup::{FEE, controller, stranger},
};
use candid::Principal;
use x402_icp::Code;

const PRICE: u128 = 30_000;
/// An update may execute 40 billion instructions, one cycle each. A hundredth of it leaves room for the
/// largest catalogue.
const LITTLE: u128 = 400_000_000;

/// The cycles that something takes.
fn cost<T>(setup: &Setup, run: impl FnOnce() -> T) -> (u128, T) {
    let before = setup.pic.cycle_balance(setup.canister);
    let result = run();
    let cycles = before - setup.pic.cycle_balance(setup.canister);
    (cycles, result)
}

fn offered_fee(setup: &Setup, path: &str) -> String {
    let mut offers = setup.sale(Request::get(path)).offers();
    offers.remove(0).extra.fee
}

#[test]
fn overlapping_templates_by_the_hundred_do_not_make_the_canister_unmanageable() {
    // Each of the one kind matches paths under each prefix of the other.
    const EACH: usize = 120;
    let setup = Setup::new();
    let payer = setup.payer(95);
    let (module, ()) = cost(&setup, || setup.upgrade());
    for n in 0..EACH {
        for path in [format!("/a/{{x}}/s{n}"), format!("/a/b{n}/{{y}}")] {
            setup
                .route_put(setup.priced("GET", &path, PRICE))
                .expect("a good route");
        }
    }
    setup.upload("GET", "/a/{x}/s0", b"of the first kind");
    setup.upload("GET", "/a/b0/{y}", b"of the second kind");
    let about = setup.sell("/about", PRICE);
    assert_eq!(setup.get("/a/1/s0").status, 402);
    assert_eq!(setup.get("/a/b0/1").status, 402);
    assert_eq!(setup.get("/a/b1/1").status, 404, "without content");
    assert_eq!(setup.get("/a").status, 404);

    let (cycles, put) = cost(&setup, || {
        setup.route_put(setup.priced("GET", "/a/{x}", PRICE))
    });
    put.expect("a good route");
    assert!(cycles < LITTLE, "one more template took {cycles}");

    let (cycles, added) = cost(&setup, || -> Result<(), RouteError> {
        setup.update(
            controller(),
            "operator_add",
            (Principal::self_authenticating([9]),),
        )
    });
    added.expect("a good operator");
    assert!(cycles < LITTLE, "operator_add took {cycles}");

    // The fee is learnt, and all offers made anew, in the callback of a payment.
    let paying = about.pay(&payer);
    setup.ledger.set_fee(&setup, FEE + 1);
    let (cycles, refused) = cost(&setup, || paying.send());
    assert!(cycles < 2 * LITTLE, "a changed fee took {cycles}");
    refused.expect_failed(Code::OfferMismatch);
    for path in ["/about", "/a/1/s0", "/a/b0/1"] {
        assert_eq!(offered_fee(&setup, path), (FEE + 1).to_string(), "{path}");
    }
    about.pay(&payer).send().expect_settled();

    let (cycles, ()) = cost(&setup, || setup.upgrade());
    assert!(
        cycles < module + LITTLE,
        "an upgrade took {cycles}, without routes {module}"
    );
    assert_eq!(offered_fee(&setup, "/a/b0/1"), (FEE + 1).to_string());
    let page: Result<Vec<Route>, InvalidArgument> =
        setup.query(stranger(), "routes", (PageArgs::default(),));
    assert!(!page.expect("a good page").is_empty());
    let gone: Answer = setup.get("/a/c/d");
    assert_eq!(gone.status, 404);
    setup.check_books();
}
