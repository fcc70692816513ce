//! What the work of another canister adds to a payment.

use super::super::{
    ARTICLE, Bench, PRICE,
    support::{
        Request, environment,
        interface::{Forward, ForwardMode, OnFailure, RouteArgs},
        setup::{CYCLES, controller},
    },
};
use std::collections::BTreeMap;

/// A payment for a route with a target, less one for stored content of the same size.
pub fn work(figures: &mut BTreeMap<&str, u64>) {
    let bench = Bench::new();
    let setup = &bench.setup;
    let subnet = setup.pic.get_subnet(setup.ledger.0).expect("it is there");
    let seller = setup
        .pic
        .create_canister_on_subnet(Some(controller()), None, subnet);
    setup.pic.add_cycles(seller, CYCLES);
    let wasm = environment::test_seller_wasm();
    setup
        .pic
        .install_canister(seller, wasm, vec![], Some(controller()));
    let body = ARTICLE;
    setup.sell_at("POST", "/stored", PRICE);
    setup
        .route_put(RouteArgs {
            forward: Some(Forward {
                canister: seller,
                mode: ForwardMode::Serve,
                idempotent: false,
                on_failure: OnFailure::Refund,
            }),
            ..setup.priced("POST", "/worked", PRICE)
        })
        .expect("a good route");
    let payer = setup.payer(1);
    let pay = |path: &str| {
        let sale = setup.sale(Request::new("POST", path).body(body));
        let measured = bench.measure(&sale.pay(&payer).request());
        assert_eq!(measured.status, 200);
        measured
    };
    // The first payments touch fresh memory; the second are the ordinary ones.
    for path in ["/stored", "/worked"] {
        pay(path);
    }
    let (stored, worked) = (pay("/stored"), pay("/worked"));
    figures.insert(
        "forward.cycles",
        worked.cycles.saturating_sub(stored.cycles),
    );
    figures.insert(
        "forward.update_instructions",
        worked.updates.saturating_sub(stored.updates),
    );
}
