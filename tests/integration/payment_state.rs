//! `GET /x402/payments/<payment id>`: the state of a payment, for everybody who knows its id.

use crate::support::{Request, Setup, gateway::Answer};
use serde_json::{Value, json};
use test_ledger::testing::Fault;

const PRICE: u128 = 30_000;

fn ask(setup: &Setup, id: &str) -> Answer {
    let answer = setup.get(&format!("/x402/payments/{id}"));
    assert!(answer.upgraded, "one node's response is not enough");
    assert_eq!(answer.header("cache-control"), Some("private, no-store"));
    assert_eq!(answer.header("content-type"), Some("application/json"));
    assert_eq!(answer.header("access-control-allow-origin"), Some("*"));
    answer
}

fn state(setup: &Setup, id: &str) -> Value {
    let answer = ask(setup, id);
    assert_eq!(answer.status, 200);
    serde_json::from_slice(&answer.body).expect("JSON")
}

fn expected(setup: &Setup, id: &str, status: &str) -> Value {
    json!({
        "paymentId": id,
        "status": status,
        "network": setup.config().network,
        "asset": setup.ledger.0.to_text(),
        "amount": PRICE.to_string(),
    })
}

#[test]
fn unknown_payments_are_404s() {
    let setup = Setup::with_any_ledger();
    setup.sell("/article", PRICE);
    for id in [
        "00".repeat(32),
        "AB".repeat(32),
        "zz".repeat(32),
        "00".repeat(31),
        "00".repeat(33),
        format!("{}/", "00".repeat(32)),
        format!("0x{}", "00".repeat(31)),
        "%00".repeat(32),
        String::new(),
    ] {
        assert_eq!(ask(&setup, &id).status, 404, "{id}");
    }
}

#[test]
fn payment_that_is_unknown_says_so_until_it_is_settled() {
    let setup = Setup::new();
    let payer = setup.payer(150);
    let sale = setup.sell("/article", PRICE);
    setup.ledger.fault(&setup, 1, &Fault::lost_after_transfer());
    let signed = sale.pay(&payer).send().expect_pending();
    let id = signed.id.to_string();
    assert_eq!(state(&setup, &id), expected(&setup, &id, "unknown"));
    let settled = sale.present(signed).send().expect_settled();
    let mut delivered = expected(&setup, &id, "delivered");
    delivered["transaction"] = json!(settled.block.to_string());
    assert_eq!(state(&setup, &id), delivered);
    let url = format!("/x402/payments/{id}");
    let head = setup.send(&Request::new("HEAD", &url));
    assert_eq!((head.status, head.body.len()), (200, 0));
    let post = setup.send(&Request::new("POST", &url));
    assert_eq!(post.status, 404);
    let preflight = setup.send(&Request::new("OPTIONS", &url));
    assert_eq!((preflight.status, preflight.upgraded), (204, false));
}

#[test]
fn payment_that_failed_says_why() {
    let setup = Setup::with_any_ledger();
    let payer = setup.payer(151);
    let sale = setup.sell("/article", 1_000_000_000_000_000);
    let outcome = sale.pay(&payer).send();
    let id = outcome.signed.id.to_string();
    outcome.expect_failed(x402_icp::Code::InsufficientAllowance);
    let mut failed = expected(&setup, &id, "failed");
    failed["amount"] = json!("1000000000000000");
    failed["error"] = json!("insufficient_allowance");
    assert_eq!(state(&setup, &id), failed);
}

#[test]
fn payment_state_tells_no_secrets() {
    let setup = Setup::with_any_ledger();
    let payer = setup.payer(152);
    let sale = setup.sell("/article", PRICE);
    let settled = sale.pay(&payer).send().expect_settled();
    let answer = ask(&setup, &settled.signed.id.to_string());
    let text = String::from_utf8(answer.body.clone()).unwrap();
    let payload = &settled.signed.payload.payload;
    for secret in [
        &payload.signature,
        &payload.nonce,
        &payload.public_key,
        &payload.from,
        "/article",
        "proof",
        "fingerprint",
    ] {
        assert!(!text.contains(secret), "{secret} in {text}");
    }
    let json: Value = serde_json::from_slice(&answer.body).unwrap();
    let keys: Vec<&str> = json
        .as_object()
        .unwrap()
        .keys()
        .map(String::as_str)
        .collect();
    let mut known = vec![
        "paymentId",
        "status",
        "network",
        "asset",
        "amount",
        "transaction",
    ];
    known.sort_unstable();
    let mut keys = keys;
    keys.sort_unstable();
    assert_eq!(keys, known);
}
