//! Section F: sizes, streams and broken responses.

use crate::http::{To, get, send};
use crate::shared::live;
use crate::support::assert_contains;

#[test]
fn query_bodies_of_3_mb_pass() {
    // 3 MiB is the limit of a query reply as a whole.
    let response = get(To::Verified(live().web), "/big/3000000");
    assert_eq!(response.status, 200);
    assert_eq!(response.body.len(), 3_000_000);
}

#[test]
fn update_replies_over_2_mb_are_503_canister_error() {
    let response = get(To::Verified(live().web), "/upgrade/big/2200000");
    assert_eq!(response.status, 503);
    assert_contains(&response.text(), "canister error");
    let response = get(To::Verified(live().web), "/upgrade/big/1900000");
    assert_eq!((response.status, response.body.len()), (200, 1_900_000));
}

#[test]
fn update_bodies_of_3_mb_are_503_upstream_error() {
    let body = vec![b'x'; 3_000_000];
    let to = To::Verified(live().web);
    let response = send("POST", to, "/upgrade/200", &[], &body).expect("an answer");
    assert_eq!(response.status, 503);
    assert_contains(&response.text(), "upstream error");
}

#[test]
fn bodies_of_11_mb_are_413() {
    let body = vec![b'x'; 11_000_000];
    let to = To::Verified(live().web);
    // The server may also close the connection under a client that is still sending.
    if let Some(response) = send("POST", to, "/skip/200", &[], &body) {
        assert_eq!(response.status, 413);
    }
}

#[test]
fn streamed_bodies_are_put_together() {
    let response = get(To::Verified(live().web), "/stream");
    assert_eq!(response.status, 200, "{}", response.text());
    assert_eq!(response.text(), "part 0;part 1;part 2;part 3;");
}

#[test]
fn invalid_header_names_are_503_upstream_error() {
    let response = get(To::Verified(live().web), "/bad-header");
    assert_eq!(response.status, 503);
    assert_contains(&response.text(), "upstream error");
}

#[test]
fn a_wrong_content_length_gets_no_answer() {
    let answer = send("GET", To::Verified(live().web), "/length", &[], b"");
    assert!(answer.is_none(), "{answer:?}");
}

#[test]
fn request_headers_of_240_kb_pass() {
    let long = "h".repeat(24_000);
    let names: Vec<String> = (0..10).map(|i| format!("x-long-{i}")).collect();
    let headers: Vec<(&str, &str)> = names
        .iter()
        .map(|name| (name.as_str(), long.as_str()))
        .collect();
    let to = To::Verified(live().web);
    let response = send("GET", to, "/skip/200", &headers, b"").expect("an answer");
    assert_eq!(response.status, 200);
    assert!(response.body.len() > 240_000);
}
