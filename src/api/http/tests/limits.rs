//! Query, `inspect_message` and update agree: what is offered can be paid for, and what cannot be is refused at once.

use super::prover::{Prover, free, priced};
use crate::api::http::{
    decide,
    site::{Site, SiteRoute},
    size::{MAX_ARGUMENT_BYTES, TooLarge},
    types::HttpUpdateRequest,
    update::admissible,
};
use proptest::prelude::*;
use x402_icp::decode::MAX_HEADER_BYTES;

fn site() -> Site {
    let mut site = Site::default();
    let both = |path: &str| -> Vec<SiteRoute> { vec![priced("GET", path), priced("POST", path)] };
    site.set_path("/paid", both("/paid"));
    site.set_path("/free", vec![free("GET")]);
    site.set_path("/data/{id}", both("/data/{id}"));
    site.set_path("/data/{id}/of/{day}", both("/data/{id}/of/{day}"));
    site.set_path("/book/{page}", vec![priced("GET", "/book/{page}")]);
    site
}

/// Lengths around every limit.
fn length() -> impl Strategy<Value = usize> {
    prop_oneof![
        4 => Just(0_usize),
        4 => 1_usize..300,
        1 => 4_000_usize..4_200,
        2 => 16_000_usize..17_000,
        2 => 48_000_usize..66_000,
        1 => 66_000_usize..200_000,
    ]
}

prop_compose! {
    fn request()(
        method in prop::sample::select(&["GET", "POST", "HEAD", "DELETE", "get", "OPTIONS"][..]),
        path in "/(paid|free|book|data)(/([a-c.+]|%2F|%20|%C3%A9|%ff|%3C|%7B|%){1,5}){0,2}/?",
        tail in prop::sample::select(&[0_usize, 1, 240, 250, 256, 300][..]),
        query in length(),
        headers in prop::collection::vec((0_usize..200, length()), 0..3),
        many in prop::sample::select(&[0_usize, 10, 3_000, 5_000][..]),
        body in length(),
    ) -> HttpUpdateRequest {
        let mut url = format!("{path}{}", "t".repeat(tail));
        if query > 0 {
            url.push('?');
            url.push_str(&"q".repeat(query));
        }
        let long = headers.into_iter().map(|(name, value)| ("n".repeat(name), "v".repeat(value)));
        let short = (0..many).map(|number| (format!("x-{number}"), "value".to_string()));
        HttpUpdateRequest {
            method: method.into(),
            url,
            headers: long.chain(short).collect(),
            body: vec![7; body],
        }
    }
}

/// The certified status, if the query responds.
fn query(site: &Site, request: &HttpUpdateRequest) -> Option<u16> {
    let HttpUpdateRequest {
        method,
        url,
        headers,
        body,
    } = request;
    decide(site, method, url, headers, body.len()).map(|(found, _)| found.answer().status)
}

/// The response to a gateway's client without a payment, and whether `inspect_message` accepted the update if there was
/// one.
fn answered(site: &Site, request: &HttpUpdateRequest) -> Option<u16> {
    if let Some(status) = query(site, request) {
        return Some(status);
    }
    let length = candid::encode_one(request).unwrap().len();
    (length <= MAX_ARGUMENT_BYTES).then(|| match admissible(site, request) {
        Ok(url) => site.answer(&request.method, &url.path).status,
        Err(refusal) => refusal.status_code,
    })
}

fn paid(mut request: HttpUpdateRequest) -> HttpUpdateRequest {
    let payment = "A".repeat(MAX_HEADER_BYTES);
    request.headers.push(("Payment-Signature".into(), payment));
    request
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, ..ProptestConfig::default() })]

    /// Every request that is answered with offers is accepted with the longest payment header, too.
    #[test]
    fn what_is_offered_can_be_paid_for(request in request()) {
        let site = site();
        // HEAD shows the offers of GET and buys nothing.
        if answered(&site, &request) != Some(402) || request.method == "HEAD" {
            return Ok(());
        }
        let paid = paid(request);
        prop_assert_eq!(query(&site, &paid), None, "a payment is an update's");
        let length = candid::encode_one(&paid).unwrap().len();
        prop_assert!(length <= MAX_ARGUMENT_BYTES, "the filter drops {} bytes", length);
        let url = admissible(&site, &paid).expect("the update takes it");
        prop_assert!(url.path.len() <= 256);
        prop_assert!(site.route(&paid.method, &url.path).is_some_and(|route| route.priced));
    }

    /// Every request gets a response, except a large one whose URL no verifier can parse, and a large HEAD or OPTIONS
    /// with a body for an unknown path.
    #[test]
    fn what_is_too_large_is_refused_at_once(request in request()) {
        let site = site();
        let HttpUpdateRequest { method, url, headers, body } = &request;
        let status = answered(&site, &request);
        let too_large = super::super::size::check(method, url, headers, body.len());
        match (status, too_large) {
            (None, Err(_)) => {
                let url = super::super::url::RequestUrl::parse(url);
                let nothing_there = |path: &str| site.answer("GET", path).status == 404;
                prop_assert!(
                    url.as_ref().map_or(true, |url| !url.plain)
                        || url.is_ok_and(|url| nothing_there(&url.path))
                            && matches!(method.as_str(), "HEAD" | "OPTIONS")
                );
            }
            (status, Ok(())) => prop_assert!(status.is_some()),
            (Some(status), Err(_)) => prop_assert!(matches!(status, 204 | 400 | 404 | 413 | 414 | 431), "{}", status),
        }
    }
}

#[test]
fn refusals_of_what_is_too_large_are_proven_wherever_something_may_be_sold() {
    let (site, prover) = (site(), Prover::default());
    for path in [
        "/paid",
        "/free",
        "/data/7",
        "/data/7/x",
        "/x402/payments/7",
        "/book/1",
        "/book/1/2",
    ] {
        for (too_large, status) in TooLarge::ALL.into_iter().zip([413, 431]) {
            let found = site.refusal(path, too_large).expect("a node that refuses");
            let response = prover.prove(&site, &found, path);
            assert_eq!(response.status_code, status);
            for (method, body) in [("GET", &b""[..]), ("POST", &[7; 70_000]), ("HEAD", b"")] {
                assert!(
                    prover.accepts(method, path, body, &response),
                    "{method} {path}"
                );
                let paid = prover.accepts_with(method, path, &["e30="], body, &response);
                assert!(paid, "{method} {path} with a payment");
            }
        }
    }
}

#[test]
fn what_is_too_large_for_nothing_gets_the_404_that_everything_gets() {
    let (site, prover) = (site(), Prover::default());
    for path in ["/nothing", "/", "/data", "/data/", "/book"] {
        assert!(site.refusal(path, TooLarge::Body).is_none(), "{path}");
        let body = [7; 70_000];
        let response = prover.serve(&site, "POST", path, &body).expect("a proof");
        assert_eq!(response.status_code, 404);
        assert!(prover.accepts("POST", path, &body, &response), "{path}");
    }
}

#[test]
fn bodies_of_every_size_are_payable_or_refused() {
    let site = site();
    let post = |body: usize| HttpUpdateRequest {
        method: "POST".into(),
        url: "/paid".into(),
        headers: vec![("host".into(), "shop.example".into())],
        body: vec![7; body],
    };
    for body in [0, 60_000, 63_500, 64_000, 65_000, 65_500] {
        assert_eq!(answered(&site, &post(body)), Some(402), "{body}");
        assert!(admissible(&site, &paid(post(body))).is_ok(), "{body}");
    }
    for body in [65_536, 70_000, 80_000, 100_000, 1_000_000, 1_900_000] {
        assert_eq!(query(&site, &post(body)), Some(413), "{body}");
        assert_eq!(query(&site, &paid(post(body))), Some(413), "{body}");
        let refusal = admissible(&site, &post(body)).expect_err("the same from the update");
        assert_eq!(refusal.status_code, 413);
    }
}
