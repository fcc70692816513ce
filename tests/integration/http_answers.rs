//! Status, headers and bodies for requests without a payment.

use crate::support::{
    Request, Setup,
    interface::{Route, RouteError},
    setup::{controller, free},
};
use candid::Principal;
use icrc_ledger_types::icrc1::account::Account;

const PRICE: u128 = 30_000;

fn shop() -> Setup {
    let setup = Setup::with_any_ledger();
    setup.sell("/article", PRICE);
    setup.publish_free("/about", b"about us");
    setup
}

#[test]
fn unpaid_get_is_a_402_from_a_query() {
    let setup = shop();
    let answer = setup.get("/article");
    assert!(!answer.upgraded);
    assert_eq!((answer.status, answer.body.as_slice()), (402, &b"{}"[..]));
    assert_eq!(answer.header("cache-control"), Some("private, no-store"));
    assert_eq!(answer.header("content-type"), Some("application/json"));
    assert_eq!(answer.header("access-control-allow-origin"), Some("*"));
    let exposed = answer.header("access-control-expose-headers").unwrap();
    for name in ["PAYMENT-REQUIRED", "PAYMENT-RESPONSE", "X-PAYMENT-RESPONSE"] {
        assert!(exposed.contains(name), "{name}");
    }
    let offers = answer.payment_required().unwrap();
    assert_eq!(offers.x402_version, 2);
    assert!(
        offers.resource.url.ends_with("/article"),
        "{}",
        offers.resource.url
    );
    assert_eq!(offers.resource.mime_type.as_deref(), Some("text/plain"));
    assert_eq!(offers.resource.description.as_deref(), Some("a page"));
    assert_eq!(offers.extensions, None);
}

#[test]
fn largest_challenge_fits_into_the_header_budget() {
    // The largest price that a ledger of any decimals accepts.
    const PRICE: u64 = 1_000_000_000_000_000_000;
    let setup = Setup::new();
    let mut prices = vec![setup.priced("GET", "/x", PRICE.into()).prices.remove(0)];
    for symbol in ["A", "B", "C", "D", "E", "F", "G"] {
        let ledger = setup.another_ledger(symbol);
        prices.push(crate::support::interface::Price {
            ledger: ledger.0,
            amount: candid::Nat::from(PRICE),
        });
    }
    let route = crate::support::interface::RouteArgs {
        prices,
        description: "d".repeat(256),
        mime_type: format!("text/{}", "m".repeat(100)),
        payment_identifier: Some(crate::support::interface::PaymentIdentifier::Required),
        pay_to: Some(
            Account {
                owner: Principal::self_authenticating([9; 32]),
                subaccount: Some([255; 32]),
            }
            .into(),
        ),
        ..free("GET", &format!("/{}", "p".repeat(200)))
    };
    let put: Result<Route, RouteError> = setup.update(controller(), "route_put", (route.clone(),));
    put.expect("eight prices are allowed");
    setup.upload("GET", &route.path, b"x");
    let answer = setup.get(&route.path);
    assert_eq!(answer.payment_required().unwrap().accepts.len(), 8);
    let challenge = answer.header("payment-required").unwrap().len();
    assert!(challenge < 10_240, "{challenge} bytes of PAYMENT-REQUIRED");
    let total: usize = answer
        .headers
        .iter()
        .map(|(name, value)| name.len() + value.len() + 4)
        .sum();
    assert!(total < 16_384, "{total} bytes of headers");
}

#[test]
fn free_get_is_a_200_from_a_query() {
    let setup = shop();
    for url in ["/about", "/about?utm=1", "//about", "/%61bout"] {
        let answer = setup.get(url);
        assert!(!answer.upgraded, "{url}");
        assert_eq!(
            (answer.status, answer.body.as_slice()),
            (200, &b"about us"[..]),
            "{url}"
        );
        assert_eq!(answer.header("content-type"), Some("text/plain"));
        assert_eq!(answer.header("access-control-allow-origin"), Some("*"));
    }
}

#[test]
fn unknown_paths_are_404_from_a_query() {
    let setup = shop();
    for url in [
        "/",
        "/missing",
        "/article/",
        "/article/x",
        "/about/..",
        "/a/b/c/d/e/f/g/h",
        "/?x",
        "/caf%C3%A9",
        "/x402/other",
        "/x402",
        "https://example.com/missing",
        "/%2e%2e/etc/passwd",
        "//",
        "/articl%65x",
        "/\u{e9}",
    ] {
        let answer = setup.get(url);
        assert_eq!((answer.status, answer.upgraded), (404, false), "{url}");
        assert_eq!(answer.header("cache-control"), Some("private, no-store"));
    }
    let post = setup.send(&Request::new("POST", "/missing").body(b"{\"a\":1}"));
    assert_eq!((post.status, post.upgraded), (404, false));
}

#[test]
fn odd_urls_are_answered_by_updates_without_a_trap() {
    let setup = shop();
    for (url, status) in [("/http_expr/x", 404), ("/%3C*%3E", 404), ("/%3C$%3E", 404)] {
        let answer = setup.send(&Request::get(url));
        assert_eq!((answer.status, answer.upgraded), (status, true), "{url:?}");
    }
}

#[test]
fn urls_that_cannot_be_read_are_refused_by_an_update() {
    let setup = shop();
    for (url, status) in [
        (String::new(), 400),
        ("/%ff".into(), 400),
        ("/a b".into(), 400),
        ("/x".repeat(2_000), 414),
        (format!("/{}", "y".repeat(5_000)), 414),
        (format!("/?{}", "z".repeat(5_000)), 414),
    ] {
        for request in [Request::get(&url), Request::get(&url).payment("e30=")] {
            let answer = setup.send(&request);
            assert_eq!((answer.status, answer.upgraded), (status, true), "{url:?}");
        }
    }
}

#[test]
fn head_is_get_without_a_body() {
    let setup = shop();
    for url in ["/article", "/about", "/missing"] {
        let (get, head) = (setup.get(url), setup.send(&Request::new("HEAD", url)));
        assert_eq!(
            (get.status, head.upgraded, head.body.len()),
            (head.status, false, 0),
            "{url}"
        );
        for (name, _) in &get.headers {
            if !name.to_lowercase().starts_with("ic-certificate") {
                assert_eq!(get.header(name), head.header(name), "{url} {name}");
            }
        }
    }
}

#[test]
fn preflight_is_right_the_first_time_on_every_path() {
    for url in ["/article", "/about", "/missing", "/", "/data/1"] {
        // A new canister each: a gateway remembers a canister whose first response was wrong.
        let setup = shop();
        setup.sell("/data/{id}", PRICE);
        let request = Request::new("OPTIONS", url)
            .header("origin", "https://shop.example")
            .header("access-control-request-method", "GET")
            .header(
                "access-control-request-headers",
                "access-control-expose-headers,payment-signature",
            );
        let answer = setup.send(&request);
        assert_eq!(
            (answer.status, answer.upgraded, answer.body.len()),
            (204, false, 0),
            "{url}"
        );
        assert_eq!(answer.header("access-control-allow-origin"), Some("*"));
        let allowed = answer
            .header("access-control-allow-headers")
            .unwrap()
            .to_lowercase();
        for name in [
            "payment-signature",
            "access-control-expose-headers",
            "content-type",
            "sign-in-with-x",
        ] {
            assert!(allowed.split(", ").any(|one| one == name), "{name}");
        }
        assert!(
            answer
                .header("access-control-allow-methods")
                .unwrap()
                .contains("POST")
        );
    }
}

#[test]
fn other_methods_are_405_with_allow() {
    let setup = shop();
    for method in ["POST", "PUT", "PATCH", "DELETE"] {
        let answer = setup.send(&Request::new(method, "/article"));
        assert_eq!((answer.status, answer.upgraded), (405, false), "{method}");
        assert_eq!(answer.header("allow"), Some("GET, HEAD, OPTIONS"));
        let answer = setup.send(&Request::new(method, "/article").body(b"x"));
        assert_eq!(
            (answer.status, answer.upgraded),
            (405, true),
            "{method} with a body"
        );
        assert_eq!(answer.header("allow"), Some("GET, HEAD, OPTIONS"));
    }
    for method in ["PROPFIND", "get", ""] {
        let request = Request::new(method, "/article");
        assert_eq!(
            request.query(&setup.pic, setup.canister).upgrade,
            Some(true)
        );
        assert_eq!(
            request.update(&setup.pic, setup.canister).status,
            405,
            "{method:?}"
        );
    }
}

#[test]
fn route_without_content_is_not_there() {
    let setup = Setup::with_any_ledger();
    setup
        .route_put(setup.priced("GET", "/soon", PRICE))
        .unwrap();
    setup.route_put(free("GET", "/later")).unwrap();
    assert_eq!(setup.get("/soon").status, 404);
    assert_eq!(setup.get("/later").status, 404);
}

#[test]
fn update_calls_that_could_be_queries_are_not_taken() {
    let setup = shop();
    for request in [
        Request::get("/article"),
        Request::get("/missing"),
        Request::get("/missing").payment("garbage"),
        Request::get("/about").payment("garbage"),
        Request::new("OPTIONS", "/article"),
    ] {
        let reply = setup.raw_update(
            crate::support::setup::stranger(),
            "http_request_update",
            request.update_argument(),
        );
        assert!(reply.is_err(), "{request:?} would cost the canister cycles");
    }
}

#[test]
fn x_payment_of_version_1_is_no_payment_and_told_so() {
    let setup = shop();
    let answer = setup.send(&Request::get("/article").header("X-PAYMENT", "e30="));
    assert_eq!((answer.status, answer.upgraded), (402, true));
    let error = answer.payment_required().unwrap().error;
    assert_eq!(error.as_deref(), Some("invalid_x402_version"));
}
