//! Large catalogues: no single change may cost so much that it fails.

use crate::support::{
    Answer, Request, Setup,
    interface::{InvalidArgument, PageArgs, Route, RouteError},
    setup::{FEE, controller, stranger},
};
use candid::Principal;
use ic_stable_structures::{
    Memory, VectorMemory,
    memory_manager::{MemoryId, MemoryManager},
};
use pocket_ic::common::rest::BlobCompression;
use tollkeeper::{
    domain::route::{ContentMeta, Price, Route as StoredRoute},
    storage,
    types::{Amount, Method, RouteKey, Seconds},
};
use x402_icp::Code;

const PRICE: u128 = 30_000;
/// An update may execute 40 billion instructions, one cycle each. A hundredth of it leaves room for the largest
/// catalogue.
const LITTLE: u128 = 400_000_000;

/// The cycles that `run` takes.
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
    // Each of one kind matches paths under each prefix of the other.
    const EACH: usize = 100;
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

    // The fee is found, and all offers rebuilt, in the callback of a payment.
    let paying = about.pay(&payer);
    setup.ledger.set_fee(&setup, FEE + 1);
    let (cycles, refused) = cost(&setup, || paying.send());
    assert!(cycles < 2 * LITTLE, "a changed fee took {cycles}");
    refused.expect_failed(Code::OfferMismatch);
    for _ in 0..5 {
        setup.advance(1);
    }
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
    setup.check_conservation();
}

/// Puts routes into the canister's tables directly: a message for each would take an hour.
fn put_routes(setup: &Setup, routes: impl Iterator<Item = StoredRoute>) {
    let tables = || (0..=29).map(MemoryId::new);
    let image = VectorMemory::default();
    *image.borrow_mut() = setup.pic.get_stable_memory(setup.canister);
    let copy = |from: &dyn Memory, to: &dyn Memory| {
        let mut bytes = vec![0; from.size() as usize * 65_536];
        from.read(0, &mut bytes);
        to.grow(from.size().saturating_sub(to.size()));
        to.write(0, &bytes);
    };
    let manager = MemoryManager::init(image.clone());
    for table in tables() {
        copy(&manager.get(table), &storage::memory::get(table));
    }
    routes.for_each(storage::routes::put);
    for table in tables() {
        copy(&storage::memory::get(table), &manager.get(table));
    }
    let image = image.borrow().clone();
    setup
        .pic
        .set_stable_memory(setup.canister, image, BlobCompression::NoCompression);
}

#[test]
fn largest_catalogue_survives_an_upgrade_and_a_new_fee() {
    let setup = Setup::new();
    let payer = setup.payer(96);
    let about = setup.sell("/about", PRICE);
    let ledger = setup.ledger.0;
    let routes = (0..9_999).map(|n| StoredRoute {
        key: RouteKey::new(
            Method::Get,
            match n % 10 {
                0 => format!("/a/{{x}}/s{n}"),
                1 => format!("/a/b{n}/{{y}}"),
                _ => format!("/shelf/number-{n}"),
            },
        ),
        description: format!("what is on shelf {n}"),
        mime_type: "text/html; charset=utf-8".into(),
        prices: vec![Price {
            ledger,
            amount: Amount(n),
        }],
        own_pay_to: None,
        max_timeout: Seconds(300),
        on_sale: true,
        payment_identifier: None,
        forward: None,
        offers_transfers: false,
        offers_invoices: false,
        price_revision: 1,
        content: Some(ContentMeta {
            blob: 1,
            bytes: 1,
            sha256: [1; 32],
        }),
    });
    put_routes(&setup, routes);
    // The limits of an upgrade and of an update are the system's: a message that exceeds them fails.
    setup.upgrade();
    assert_eq!(offered_fee(&setup, "/shelf/number-9998"), FEE.to_string());
    let paying = about.pay(&payer);
    setup.ledger.set_fee(&setup, FEE + 1);
    paying.send().expect_failed(Code::OfferMismatch);
    // The rest is certified in steps, each in a message and a round of its own.
    for _ in 0..100 {
        setup.advance(1);
    }
    for path in [
        "/about",
        "/a/b11/x",
        "/shelf/number-2",
        "/shelf/number-9998",
    ] {
        assert_eq!(offered_fee(&setup, path), (FEE + 1).to_string(), "{path}");
    }
    about.pay(&payer).send().expect_settled();
    let mut dearer = setup.priced("GET", "/about", PRICE + 1);
    dearer.description = "dearer".into();
    let (cycles, put) = cost(&setup, || setup.route_put(dearer));
    put.expect("a good route");
    assert!(cycles < LITTLE, "a change of one route took {cycles}");
    setup.check_conservation();
}
