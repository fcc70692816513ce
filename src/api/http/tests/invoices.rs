//! Invoices over HTTP.

use super::super::{
    HttpRequest, HttpResponse, HttpUpdateRequest, certify_all, http_request, http_request_update,
    invoice_page::utc,
    invoices::{Place, place},
    wants_update,
};
use crate::{
    domain::{
        invoice::InvoiceId,
        route::{Price, RouteDraft, tests::draft},
    },
    runtime::scripted::{ScriptedRuntime, run},
    service::{catalogue, content},
    storage::{self, config::tests::config, ledgers::tests::ledger},
    types::{Amount, Method, RouteKey, Seconds, TimestampNs},
};
use candid::{Nat, Principal};
use icrc_ledger_types::icrc1::transfer::TransferError;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

const NOW: TimestampNs = TimestampNs(1_800_000_000_000_000_000);

fn digits(n: u8) -> String {
    hex::encode([n; 32])
}

/// A shop that sells `/a` by invoice, in a ledger whose symbol is as bad as can be.
fn shop() -> ScriptedRuntime {
    storage::config::write(&config()).unwrap();
    let mut known = ledger(0);
    known.symbol = "<b>&'\"".into();
    storage::ledgers::put(&known).unwrap();
    let runtime = ScriptedRuntime::new(NOW);
    runtime.will_name_fee(Nat::from(10u8));
    let wanted = RouteDraft {
        prices: vec![Price {
            ledger: known.id,
            amount: Amount(1_500_000),
        }],
        offers_invoices: true,
        ..draft("/a")
    };
    catalogue::put(&runtime, wanted).unwrap();
    let sha256 = Sha256::digest(b"goods").into();
    let key = RouteKey::new(Method::Get, "/a");
    let upload = content::begin(&runtime, key, 5, sha256).unwrap();
    content::chunk(&runtime, upload, 0, b"goods").unwrap();
    content::commit(&runtime, upload).unwrap();
    certify_all(&runtime);
    runtime
}

fn request(method: &str, url: &str, accept: &str, body: &[u8]) -> HttpUpdateRequest {
    HttpUpdateRequest {
        method: method.into(),
        url: url.into(),
        headers: vec![("Accept".into(), accept.into())],
        body: body.to_vec(),
    }
}

fn sent(runtime: &ScriptedRuntime, request: HttpUpdateRequest) -> HttpResponse {
    // No query answers: nothing of an invoice is certified.
    assert!(wants_update(&request), "{} {}", request.method, request.url);
    let query = HttpRequest {
        method: request.method.clone(),
        url: request.url.clone(),
        headers: request.headers.clone(),
        body: request.body.clone(),
        certificate_version: Some(2),
    };
    assert_eq!(http_request(runtime, query).upgrade, Some(true));
    run(http_request_update(runtime, request))
}

fn posted(runtime: &ScriptedRuntime, body: &Value) -> HttpResponse {
    let body = body.to_string();
    sent(
        runtime,
        request("POST", "/x402/invoices", "*/*", body.as_bytes()),
    )
}

fn read(response: &HttpResponse) -> Value {
    serde_json::from_slice(&response.body).expect("JSON")
}

fn header<'a>(response: &'a HttpResponse, name: &str) -> Option<&'a str> {
    let found = response.headers.iter().find(|(known, _)| known == name);
    found.map(|(_, value)| value.as_str())
}

fn wanted(n: u8) -> Value {
    json!({ "id": digits(n), "path": "/a", "ledger": ledger(0).id.to_text() })
}

#[test]
fn an_invoice_is_made_shown_paid_and_fetched_over_http() {
    let runtime = shop();
    let made = posted(&runtime, &wanted(7));
    assert_eq!(made.status_code, 201, "{:?}", read(&made));
    let url = format!("/x402/invoices/{}", digits(7));
    assert_eq!(header(&made, "location"), Some(&*url));
    let account = InvoiceId([7; 32]).account(Principal::from_slice(&ScriptedRuntime::CANISTER));
    let json = read(&made);
    assert_eq!(json["account"], account.to_string());
    assert_eq!(
        (&json["amount"], &json["price"]),
        (&json!("1500010"), &json!("1500000"))
    );
    assert_eq!(json["expiresAt"], "2027-01-15T09:00:00Z");
    assert_eq!(json["status"], "open");
    // Not paid: no offers, so that no client signs anything.
    runtime.will_reply(Nat::from(0u8));
    let content = format!("{url}/content");
    let unpaid = sent(&runtime, request("GET", &content, "*/*", b""));
    assert_eq!(
        (unpaid.status_code, header(&unpaid, "PAYMENT-REQUIRED")),
        (402, None)
    );
    runtime.now.set(NOW.plus(Seconds(5)));
    runtime.will_reply(Nat::from(1_500_010u32));
    runtime.will_reply(Ok::<Nat, TransferError>(Nat::from(4u8)));
    let paid = sent(&runtime, request("GET", &url, "application/json", b""));
    let json = read(&paid);
    assert_eq!(
        (&json["status"], &json["transaction"]),
        (&json!("paid"), &json!("4"))
    );
    assert_eq!(json["content"], content.as_str());
    for _ in 0..2 {
        let bought = sent(&runtime, request("GET", &content, "*/*", b""));
        assert_eq!((bought.status_code, &bought.body[..]), (200, &b"goods"[..]));
        assert!(header(&bought, "PAYMENT-RESPONSE").is_some());
    }
    let head = sent(&runtime, request("HEAD", &url, "*/*", b""));
    assert_eq!((head.status_code, head.body.len()), (200, 0));
    assert_eq!(header(&head, "referrer-policy"), Some("no-referrer"));
}

#[test]
fn attack_a_page_shows_texts_as_texts_and_loads_nothing() {
    let runtime = shop();
    posted(&runtime, &wanted(7));
    runtime.will_reply(Nat::from(3u8));
    let url = format!("/x402/invoices/{}", digits(7));
    let page = sent(&runtime, request("GET", &url, "text/html", b""));
    let text = String::from_utf8(page.body.clone()).unwrap();
    assert!(text.contains("1.50001 &lt;b&gt;&amp;&#39;&quot;"), "{text}");
    assert!(!text.contains("<b>&"), "{text}");
    assert!(text.contains("http-equiv=\"refresh\"") && text.contains("<svg "));
    assert!(text.contains("2027-01-15 09:00:00 UTC") && !text.contains("<script"));
    let policy = header(&page, "content-security-policy").unwrap();
    assert!(policy.starts_with("default-src 'none';"));
    assert_eq!(header(&page, "cache-control"), Some("private, no-store"));
    assert!(text.len() < 20_000, "{}", text.len());
}

#[test]
fn attack_bodies_that_are_no_invoice_are_refused_and_make_none() {
    let runtime = shop();
    let bad = |change: fn(&mut Value)| {
        let mut body = wanted(9);
        change(&mut body);
        body
    };
    for (body, status, error) in [
        (json!(null), 400, "malformed_json"),
        (json!([]), 400, "malformed_json"),
        (bad(|body| body["more"] = json!(1)), 400, "malformed_json"),
        (bad(|body| body["path"] = json!(1)), 400, "malformed_json"),
        (
            bad(|body| body["id"] = json!("ab")),
            400,
            "invalid_argument",
        ),
        (
            bad(|body| body["id"] = json!("AB".repeat(32))),
            400,
            "invalid_argument",
        ),
        (
            bad(|body| body["ledger"] = json!("x")),
            400,
            "invalid_argument",
        ),
        (
            bad(|body| body["method"] = json!("POST")),
            400,
            "invalid_argument",
        ),
        (
            bad(|body| body["price"] = json!("-1")),
            400,
            "invalid_argument",
        ),
        (
            bad(|body| body["price"] = json!("9".repeat(60))),
            400,
            "invalid_argument",
        ),
        (
            bad(|body| body["refundTo"] = json!("nobody")),
            400,
            "invalid_argument",
        ),
        // Other texts of the same values.
        (
            bad(|body| body["price"] = json!("+1500000")),
            400,
            "invalid_argument",
        ),
        (
            bad(|body| body["price"] = json!("01500000")),
            400,
            "invalid_argument",
        ),
        (
            bad(|body| body["refundTo"] = json!("2VXSX-FAE")),
            400,
            "invalid_argument",
        ),
        (
            bad(|body| body["path"] = json!("/a b")),
            400,
            "invalid_argument",
        ),
        (bad(|body| body["path"] = json!("/b")), 404, "not_sold"),
        (bad(|body| body["price"] = json!("1")), 404, "not_sold"),
        (
            bad(|body| body["ledger"] = json!("aaaaa-aa")),
            404,
            "not_sold",
        ),
    ] {
        let refused = posted(&runtime, &body);
        assert_eq!(
            (refused.status_code, read(&refused)["error"].as_str()),
            (status, Some(error)),
            "{body}"
        );
        assert_eq!(storage::invoices::get(&InvoiceId([9; 32])), None);
    }
    // A key that stands twice.
    let twice = format!("{{\"path\":\"/b\",{}", &wanted(9).to_string()[1..]);
    let refused = sent(
        &runtime,
        request("POST", "/x402/invoices", "*/*", twice.as_bytes()),
    );
    assert_eq!(refused.status_code, 400);
    posted(&runtime, &wanted(9));
    let other = bad(|body| body["refundTo"] = json!("2vxsx-fae"));
    assert_eq!(
        posted(&runtime, &other).status_code,
        400,
        "the anonymous principal"
    );
    let other = bad(|body| body["refundTo"] = json!(Principal::from_slice(&[4; 29]).to_text()));
    assert_eq!(posted(&runtime, &other).status_code, 409);
    assert_eq!(runtime.made(), 0, "no ledger was asked");
}

#[test]
fn other_paths_and_methods_are_answered_without_a_ledger() {
    let runtime = shop();
    let id = digits(1);
    for (method, url, status) in [
        ("GET", format!("/x402/invoices/{id}"), 404),
        ("GET", format!("/x402/invoices/{id}/content"), 404),
        ("HEAD", format!("/x402/invoices/{id}"), 404),
        ("POST", format!("/x402/invoices/{id}"), 405),
        ("HEAD", format!("/x402/invoices/{id}/content"), 405),
        ("GET", "/x402/invoices".into(), 405),
        (
            "GET",
            format!("/x402/invoices/{}", id.to_uppercase().replace('1', "A")),
            404,
        ),
        ("GET", format!("/x402/invoices/{id}/"), 404),
    ] {
        let answer = sent(&runtime, request(method, &url, "*/*", b""));
        assert_eq!(answer.status_code, status, "{method} {url}");
    }
    assert_eq!(runtime.made(), 0);
    assert_eq!(place("/x402/invoices/é"), None);
    assert_eq!(place("/x402/invoicesx"), None);
    assert_eq!(place("/x402/invoices"), Some(Place::All));
}

#[test]
fn times_are_those_of_the_calendar() {
    for (seconds, text) in [
        (0, "1970-01-01 00:00:00"),
        (951_782_399, "2000-02-28 23:59:59"),
        (951_782_400, "2000-02-29 00:00:00"),
        (951_868_800, "2000-03-01 00:00:00"),
        (4_107_542_400, "2100-03-01 00:00:00"),
        (1_798_761_599, "2026-12-31 23:59:59"),
    ] {
        assert_eq!(utc(TimestampNs::from_seconds(seconds), " ", ""), text);
    }
}

/// That of the ledger canister's own documentation for the anonymous principal.
#[test]
fn account_identifiers_are_those_of_the_icp_ledger() {
    let icp = Principal::from_text("ryjl3-tyaaa-aaaaa-aaaba-cai").unwrap();
    let anonymous = Principal::anonymous().into();
    let identifier = crate::api::types::account_identifier(&icp, &anonymous);
    let known = "1c7a48ba6a562aa9eaa2481a9049cdf0433b9738c992d698c31d8abf89cadc79";
    assert_eq!(identifier.as_deref(), Some(known));
    assert_eq!(
        crate::api::types::account_identifier(&ledger(0).id, &anonymous),
        None
    );
}
