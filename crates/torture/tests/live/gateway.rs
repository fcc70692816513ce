//! Section F: what the gateway verifies, forwards and adds.

use crate::http::{Response, To, get, send};
use crate::shared::live;
use crate::support::assert_contains;

fn assert_error(response: &Response, status: u16, words: &str) {
    assert_eq!(response.status, status, "{}", response.text());
    assert_contains(&response.text(), words);
    let kind = response.header("content-type").expect("a type");
    assert!(kind.starts_with("text/html"), "{kind}");
}

const NOT_VERIFIED: &str = "response verification error";

#[test]
fn certified_responses_pass() {
    let response = get(To::Verified(live().web), "/certified");
    assert_eq!(response.status, 200);
    assert_eq!(response.text(), "this body is certified");
    assert_eq!(response.header("x-certified"), Some("yes"));
}

#[test]
fn a_query_string_does_not_break_a_certificate() {
    let response = get(To::Verified(live().web), "/certified?some=query");
    assert_eq!(response.status, 200, "{}", response.text());
}

#[test]
fn tampered_responses_are_503() {
    let response = get(To::Verified(live().web), "/tampered");
    assert_error(&response, 503, NOT_VERIFIED);
    assert_contains(&response.text(), "Internet Computer - Error: ");
}

#[test]
fn uncertified_responses_are_503() {
    let response = get(To::Verified(live().web), "/bare");
    assert_error(&response, 503, NOT_VERIFIED);
}

#[test]
fn errors_are_html_whatever_is_accepted() {
    let accept = [("accept", "application/json")];
    let response = send("GET", To::Verified(live().web), "/bare", &accept, b"");
    assert_error(&response.expect("an answer"), 503, NOT_VERIFIED);
}

#[test]
fn nothing_is_verified_on_the_raw_domain() {
    for (path, body) in [
        ("/certified", "this body is certified"),
        ("/tampered", "this body was changed"),
        ("/bare", "uncertified"),
    ] {
        let response = get(To::Raw(live().web), path);
        assert_eq!(response.status, 200, "{path}");
        assert_eq!(response.text(), body);
    }
}

#[test]
fn skipped_certification_passes_with_any_status() {
    for status in [200, 402, 404, 999] {
        let response = get(To::Verified(live().web), &format!("/skip/{status}"));
        assert_eq!(response.status, status, "{}", response.text());
        assert_contains(&response.text(), "method: GET");
    }
}

#[test]
fn traps_are_503_canister_error() {
    for to in [To::Verified(live().web), To::Raw(live().web)] {
        assert_error(&get(to, "/trap"), 503, "canister error");
    }
}

#[test]
fn canisters_without_http_are_503_canister_error() {
    for id in [live().silent, live().empty] {
        assert_error(&get(To::Verified(id), "/"), 503, "canister error");
    }
}

#[test]
fn unknown_canisters_are_404() {
    let response = get(To::Verified(live().deleted), "/");
    assert_error(&response, 404, "canister not found");
}

#[test]
fn without_a_canister_id_it_redirects_to_the_dashboard() {
    let response = get(To::Nobody, "/");
    assert_eq!(response.status, 307);
    let location = response.header("location").expect("a location");
    assert_contains(location, "dashboard.internetcomputer.org");
}

#[test]
fn the_canister_id_may_be_a_query_parameter() {
    let path = format!("/certified?canisterId={}", live().web);
    let response = get(To::Nobody, &path);
    assert_eq!(response.status, 200, "{}", response.text());
    assert_eq!(response.text(), "this body is certified");
}

#[test]
fn upgrades_become_updates_with_their_own_status() {
    let body = b"some body";
    for (status, to) in [
        (200, To::Verified(live().web)),
        (402, To::Verified(live().web)),
        (201, To::Raw(live().web)),
    ] {
        let path = format!("/upgrade/{status}");
        let response = send("POST", to, &path, &[], body).expect("an answer");
        assert_eq!(response.status, status, "{}", response.text());
        let text = response.text();
        assert_contains(&text, "method: POST");
        assert_contains(&text, "body-bytes: 9");
        assert_contains(&text, "version: None");
    }
}

#[test]
fn the_canister_sees_the_request_as_it_was_sent() {
    let headers = [
        ("User-Agent", "torture"),
        ("X-First", "1"),
        ("Accept", "*/*"),
        ("x-double", "a"),
        ("X-Double", "b"),
        ("x-request-id", "not for the canister"),
        ("PAYMENT-SIGNATURE", "abc="),
        ("accept-encoding", "gzip"),
    ];
    let to = To::Verified(live().web);
    let response = send("GET", to, "/skip/200?a=1&b=%20x", &headers, b"").expect("an answer");
    let text = response.text();
    assert_contains(&text, "url: /skip/200?a=1&b=%20x");
    assert_contains(&text, "version: Some(2)");
    let seen: Vec<&str> = text
        .lines()
        .filter_map(|line| line.strip_prefix("header "))
        .collect();
    assert!(seen[0].starts_with("host: "), "{seen:?}");
    assert_eq!(
        seen[1..7],
        [
            "user-agent: torture",
            "x-first: 1",
            "accept: */*",
            "x-double: a",
            "x-double: b",
            "payment-signature: abc=",
        ],
        "{seen:?}"
    );
    assert!(
        seen.contains(&"accept-encoding: gzip, identity"),
        "{seen:?}"
    );
    assert!(!text.contains("not for the canister"));
}

#[test]
fn a_post_is_seen_with_its_body() {
    let to = To::Verified(live().web);
    let headers = [("content-type", "application/json")];
    let response = send("POST", to, "/skip/200", &headers, b"{\"a\":1}").expect("an answer");
    let text = response.text();
    assert_contains(&text, "method: POST");
    assert_contains(&text, "body-bytes: 7");
    assert_contains(&text, "header content-type: application/json");
    assert_contains(&text, "header content-length: 7");
}

#[test]
fn response_headers_are_lower_case_and_the_gateways_own_are_added() {
    let response = get(To::Verified(live().web), "/skip/200");
    for (name, _) in &response.headers {
        assert_eq!(*name, name.to_lowercase());
    }
    assert_eq!(response.header("x-mixed-case"), Some("kept"));
    assert_eq!(response.header("access-control-allow-origin"), Some("*"));
    let id = live().web.to_text();
    assert_eq!(response.header("x-ic-canister-id"), Some(id.as_str()));
    for name in [
        "access-control-expose-headers",
        "x-request-id",
        "date",
        "vary",
    ] {
        assert!(response.header(name).is_some(), "{name}: {response:?}");
    }
    assert!(response.header("strict-transport-security").is_some());
}

#[test]
fn a_canister_cannot_forge_its_id_and_keeps_its_cookies() {
    let response = get(To::Verified(live().web), "/headers");
    let id = live().web.to_text();
    assert_eq!(response.all("x-ic-canister-id"), [id.as_str()]);
    assert_eq!(response.all("set-cookie"), ["a=1", "b=2"]);
    assert_eq!(response.all("server"), ["torture"]);
}

#[test]
fn head_is_forwarded_and_answered_without_a_body() {
    let to = To::Verified(live().web);
    let response = send("HEAD", to, "/skip/200", &[], b"").expect("an answer");
    assert_eq!(response.status, 200);
    assert_eq!(response.body, b"");
    assert_eq!(response.header("x-mixed-case"), Some("kept"));
}

#[test]
fn other_methods_are_forwarded_or_405() {
    let to = To::Verified(live().web);
    for method in ["PUT", "DELETE", "PATCH"] {
        let response = send(method, to, "/skip/200", &[], b"x").expect("an answer");
        assert_contains(&response.text(), &format!("method: {method}"));
    }
    let response = send("PROPFIND", to, "/skip/200", &[], b"").expect("an answer");
    assert_eq!(response.status, 405);
}
