//! Section G, local-ic only: rules of the production gateway that a PocketIC server's own gateway
//! does not follow. On another server these tests say so and check nothing.

use crate::http::{Response, To, get, send};
use crate::shared::live;

/// Says that a test does not apply, and whether.
fn another_server(test: &str) -> bool {
    if !live().ours {
        println!("skipped, this server is not local-ic: {test}");
    }
    !live().ours
}

fn preflight(to: To, path: &str) -> Response {
    let headers = [
        ("origin", "https://shop.example"),
        ("access-control-request-method", "POST"),
        ("access-control-request-headers", "payment-signature"),
    ];
    send("OPTIONS", to, path, &headers, b"").expect("an answer")
}

#[test]
fn local_ic_only_a_canisters_own_preflight_answer_is_used() {
    if another_server("own preflight") {
        return;
    }
    let response = preflight(To::Verified(live().web), "/cors/204");
    assert!((200..300).contains(&response.status), "{response:?}");
    let allowed = response.header("access-control-allow-headers");
    assert_eq!(allowed, Some("PAYMENT-SIGNATURE"));
    let origin = response.header("access-control-allow-origin");
    assert_eq!(origin, Some("https://shop.example"));
}

#[test]
fn local_ic_only_a_preflight_answer_with_a_body_is_replaced_and_remembered() {
    if another_server("replaced preflight") {
        return;
    }
    let to = To::Verified(live().forgetful);
    let response = preflight(to, "/cors/body");
    assert!((200..300).contains(&response.status), "{response:?}");
    let allowed = response
        .header("access-control-allow-headers")
        .unwrap_or_default();
    assert!(!allowed.to_uppercase().contains("PAYMENT-"), "{allowed}");
    assert_eq!(response.header("access-control-allow-origin"), Some("*"));
    // The canister is now known to have no preflight of its own.
    let again = preflight(to, "/cors/204");
    let allowed = again
        .header("access-control-allow-headers")
        .unwrap_or_default();
    assert!(!allowed.to_uppercase().contains("PAYMENT-"), "{allowed}");
}

#[test]
fn local_ic_only_a_canisters_own_cors_headers_are_kept() {
    if another_server("own CORS headers") {
        return;
    }
    let response = get(To::Verified(live().web), "/cors/402");
    assert_eq!(response.status, 402);
    assert_eq!(
        response.all("access-control-allow-origin"),
        ["https://shop.example"]
    );
    assert_eq!(
        response.all("access-control-expose-headers"),
        ["PAYMENT-REQUIRED"]
    );
    assert_eq!(response.all("vary"), ["Origin"]);
}

#[test]
fn local_ic_only_missing_cors_headers_are_filled_in() {
    if another_server("default CORS headers") {
        return;
    }
    let response = get(To::Verified(live().web), "/skip/200");
    assert_eq!(response.all("access-control-allow-origin"), ["*"]);
    let exposed = response.all("access-control-expose-headers").join(",");
    for name in [
        "accept-ranges",
        "content-length",
        "content-range",
        "x-request-id",
        "x-ic-canister-id",
    ] {
        assert!(exposed.to_lowercase().contains(name), "{exposed}");
    }
}
