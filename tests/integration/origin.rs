//! The origin under which clients reach the canister, and the URLs in 402s.

use crate::support::{
    Request, Setup,
    interface::{AdminAudit, PageArgs, PaymentsError, RouteError},
    setup::{controller, stranger},
};

const PRICE: u128 = 30_000;

fn set(setup: &Setup, origin: Option<&str>) -> Result<(), RouteError> {
    setup.update(controller(), "origin_set", (origin.map(str::to_string),))
}

fn origin(setup: &Setup) -> Option<String> {
    setup.query(stranger(), "origin", ())
}

/// The URL in the 402 of a query and in that of an update. The gateway verifies both.
fn urls(setup: &Setup, path: &str) -> (String, String) {
    let url = |request: Request| {
        let answer = setup.send(&request);
        assert_eq!(answer.status, 402);
        answer.payment_required().unwrap().resource.url
    };
    (
        url(Request::get(path)),
        url(Request::get(path).payment("garbage")),
    )
}

#[test]
fn urls_follow_the_origin_at_once_and_stay_right_behind_a_port_and_on_a_custom_domain() {
    let setup = Setup::with_any_ledger();
    setup.sell("/article", PRICE);
    setup.sell("/data/{id}", PRICE);
    assert_eq!(origin(&setup), None);
    // Not the mainnet: host and port are unknown, so the URL is relative to the request.
    let both = |url: &str| (url.to_string(), url.to_string());
    assert_eq!(urls(&setup, "/article"), both("/article"));
    for own in [
        "https://shop.example",
        "http://localhost:4943",
        "http://[::1]:8000",
    ] {
        set(&setup, Some(own)).unwrap();
        assert_eq!(origin(&setup).as_deref(), Some(own));
        assert_eq!(urls(&setup, "/article"), both(&format!("{own}/article")));
        assert_eq!(urls(&setup, "/data/7"), both(&format!("{own}/data/{{id}}")));
    }
    setup.upgrade();
    assert_eq!(origin(&setup).as_deref(), Some("http://[::1]:8000"));
    assert_eq!(
        urls(&setup, "/article"),
        both("http://[::1]:8000/article"),
        "after an upgrade"
    );
    set(&setup, None).unwrap();
    assert_eq!(origin(&setup), None);
    assert_eq!(urls(&setup, "/article"), both("/article"));
}

#[test]
fn only_an_origin_is_one() {
    let setup = Setup::with_any_ledger();
    set(&setup, Some("https://shop.example")).unwrap();
    for wrong in [
        "https://shop.example/",
        "https://user@shop.example",
        "ftp://shop.example",
        "https://Shop.example",
        "https://shop.example:443",
        "https://shop.example\r\nx: y",
        &format!("https://{}", "a.".repeat(200)),
    ] {
        let refused = set(&setup, Some(wrong));
        assert!(
            matches!(&refused, Err(RouteError::InvalidArgument(e)) if e.field == "origin"),
            "{wrong}: {refused:?}"
        );
    }
    assert_eq!(origin(&setup).as_deref(), Some("https://shop.example"));
}

#[test]
fn a_new_origin_is_in_the_audit_log_and_a_payment_for_the_old_one_is_still_good() {
    let setup = Setup::new();
    let payer = setup.payer(170);
    let sale = setup.sell("/article", PRICE);
    let signed = payer.sign(&sale.offer(), setup.now());
    set(&setup, Some("https://shop.example")).unwrap();
    sale.present(signed).send().expect_settled();
    let page = PageArgs {
        after: None,
        limit: None,
    };
    let log: Result<Vec<AdminAudit>, PaymentsError> =
        setup.query(controller(), "audit_admin", (page,));
    let log = log.unwrap();
    let last = log.last().unwrap();
    assert_eq!(
        (last.action.as_str(), last.subject.as_str()),
        ("origin_set", "https://shop.example")
    );
    assert_eq!(last.caller, controller());
    setup.check_conservation();
}

#[test]
fn an_argument_that_is_missing_or_mistyped_does_not_take_the_origin_back() {
    let setup = Setup::with_any_ledger();
    set(&setup, Some("https://shop.example")).unwrap();
    for argument in [
        candid::encode_args(()).unwrap(),
        candid::encode_one(7_u64).unwrap(),
        candid::encode_one(Some(7_u64)).unwrap(),
        candid::encode_one(vec!["https://shop.example"]).unwrap(),
        b"garbage".to_vec(),
    ] {
        let reply = setup.raw_update(controller(), "origin_set", argument.clone());
        assert!(reply.is_err(), "{argument:?}");
    }
    assert_eq!(origin(&setup).as_deref(), Some("https://shop.example"));
}

#[test]
fn boundary_nodes_find_the_custom_domain_of_a_canister() {
    let setup = Setup::with_any_ledger();
    setup.publish_free("/.well-known/ic-domains", b"shop.example\n");
    let answer = setup.get("/.well-known/ic-domains");
    assert_eq!((answer.status, answer.upgraded), (200, false));
    assert_eq!(answer.body, b"shop.example\n");
}
