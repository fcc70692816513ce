use super::*;
use serde_json::json;
use x402_icp::{encode_header, values::to_base64};

fn payment() -> SignedPayment {
    serde_json::from_value(json!({
        "method": "GET", "url": "http://shop/report", "headers": [], "body": "", "header": "",
        "paymentId": "07".repeat(32),
        "payment": {
            "x402Version": 2,
            "accepted": {
                "scheme": "exact", "network": "icp:1", "amount": "10000", "asset": "a", "payTo": "b",
                "maxTimeoutSeconds": 60, "extra": {},
            },
            "payload": {
                "from": "payer", "nonce": "", "validAfter": "1", "validBefore": "2", "publicKey": "", "signature": "",
            },
        },
    }))
    .unwrap()
}

fn response(status: u16, headers: &[(&str, String)]) -> Response {
    Response {
        url: "http://shop/report".into(),
        status,
        headers: headers
            .iter()
            .map(|(n, v)| (n.to_string(), v.clone()))
            .collect(),
        body: b"body".to_vec(),
    }
}

/// The verdict on a response that arrived completely.
fn judge(response: Response, payment: &SignedPayment) -> Verdict {
    let cut = None;
    super::judge(Answer { response, cut }, payment, 0)
}

fn receipt(value: serde_json::Value) -> (&'static str, String) {
    ("payment-response", encode_header(&value))
}

fn settled() -> serde_json::Value {
    json!({"success": true, "transaction": "5", "network": "icp:1", "amount": "10000", "payer": "payer"})
}

fn failed(reason: &str) -> serde_json::Value {
    json!({"success": false, "errorReason": reason, "transaction": "", "network": "icp:1"})
}

fn required(error: Option<&str>) -> (&'static str, String) {
    let mut value = json!({"x402Version": 2, "resource": {"url": "/"}, "accepts": []});
    if let Some(error) = error {
        value["error"] = json!(error);
    }
    ("payment-required", encode_header(&value))
}

#[test]
fn a_receipt_with_the_content_is_paid() {
    let Verdict::Paid(paid) = judge(response(200, &[receipt(settled())]), &payment()) else {
        panic!("must be paid");
    };
    assert!(paid.problems.is_empty());
    assert_eq!(paid.receipt.unwrap().transaction, "5");
}

/// Receipts with a missing or wrong member, with the words of the problem.
fn wrong_receipts() -> Vec<(serde_json::Value, &'static str)> {
    let with = |key: &str, value: serde_json::Value| {
        let mut receipt = settled();
        receipt[key] = value;
        receipt
    };
    vec![
        (with("network", json!("icp:2")), "network"),
        (with("network", json!(null)), "network"),
        (with("amount", json!("1")), "amount"),
        (with("amount", json!(10_000)), "no amount"),
        (with("amount", json!(null)), "no amount"),
        (with("payer", json!("x")), "payer"),
        (with("payer", json!(null)), "no payer"),
        (with("transaction", json!("")), "no transaction"),
        (with("transaction", json!(5)), "no transaction"),
        (with("transaction", json!("0xab")), "not a block"),
        (
            with("extra", json!({"paymentId": "08".repeat(32)})),
            "payment",
        ),
        (with("extra", json!({"paymentId": 7})), "no payment"),
    ]
}

#[test]
fn a_receipt_that_does_not_match_ends_nothing() {
    for (value, words) in wrong_receipts() {
        match judge(response(200, &[receipt(value.clone())]), &payment()) {
            Verdict::Paid(paid) => {
                assert!(!paid.proven, "{value}");
                assert_eq!(paid.problems.len(), 1, "{value}");
                assert!(paid.problems[0].contains(words), "{:?}", paid.problems);
            }
            other => panic!("{value}: {other:?}"),
        }
        // It does not mean either that the seller owes the resource.
        let verdict = judge(response(410, &[receipt(value.clone())]), &payment());
        assert!(
            matches!(verdict, Verdict::Unclear(_)),
            "{value}: {verdict:?}"
        );
    }
    let id = json!({"paymentId": "07".repeat(32)});
    for extra in [
        json!(null),
        json!({}),
        json!([]),
        json!({"paymentId": null}),
        id,
    ] {
        let mut value = settled();
        value["extra"] = extra;
        value["extensions"] = json!([]);
        match judge(response(200, &[receipt(value)]), &payment()) {
            Verdict::Paid(paid) => assert!(paid.proven, "{:?}", paid.problems),
            other => panic!("{other:?}"),
        }
    }
}

#[test]
fn content_without_a_readable_receipt_is_handed_over_and_ends_nothing() {
    let garbled = ("payment-response", "???".to_string());
    let silent = receipt(json!({"transaction": "5"}));
    for headers in [&[][..], &[garbled], &[silent]] {
        match judge(response(200, headers), &payment()) {
            Verdict::Paid(paid) => {
                assert_eq!((&paid.receipt, paid.proven), (&None, false));
                assert_eq!(paid.response.body, b"body");
            }
            other => panic!("{other:?}"),
        }
    }
}

#[test]
fn a_body_that_is_cut_keeps_the_receipt_of_its_headers() {
    for (cut, expected) in [
        (HttpError::NoAnswer("broken".into()), false),
        (HttpError::TooLong { limit: 1 }, true),
    ] {
        let answer = |headers: &[(&str, String)]| Answer {
            response: response(200, headers),
            cut: Some(cut.clone()),
        };
        match super::judge(answer(&[receipt(settled())]), &payment(), 0) {
            Verdict::Owed {
                error: PayError::NotDelivered { receipt, .. },
                gone,
            } => assert_eq!((receipt.transaction.as_str(), gone), ("5", expected)),
            other => panic!("{other:?}"),
        }
        match (super::judge(answer(&[]), &payment(), 0), expected) {
            (Verdict::Again(..), false) | (Verdict::Unclear(_), true) => {}
            (other, _) => panic!("{other:?}"),
        }
    }
}

#[test]
fn refusals_are_final_and_keep_their_code() {
    for headers in [
        [receipt(failed("insufficient_funds"))],
        [required(Some("insufficient_funds"))],
    ] {
        match judge(response(402, &headers), &payment()) {
            Verdict::Final(PayError::Refused { code, .. }) => {
                assert_eq!(code, Some(Code::InsufficientFunds));
            }
            other => panic!("{other:?}"),
        }
    }
}

#[test]
fn a_402_that_names_no_fault_refuses_nothing() {
    let words = "PAYMENT-SIGNATURE header is required";
    for headers in [&[required(None)][..], &[required(Some(words))], &[]] {
        let verdict = judge(response(402, headers), &payment());
        assert!(matches!(verdict, Verdict::Unclear(_)), "{verdict:?}");
    }
}

#[test]
fn a_payment_used_before_is_not_a_refusal() {
    for used in ["duplicate_settlement", "invalid_exact_icp_nonce_used"] {
        let with = |transaction: &str| {
            let mut value = failed(used);
            value["transaction"] = json!(transaction);
            receipt(value)
        };
        for (header, expected) in [
            (with("5"), Some("5")),
            (with(""), None),
            (with(&"0a".repeat(32)), None),
            (required(Some(used)), None),
        ] {
            match judge(response(402, &[header]), &payment()) {
                Verdict::Final(PayError::Used {
                    payment: kept,
                    reason,
                    block,
                    ..
                }) => {
                    assert_eq!((*kept, &*reason), (payment(), used));
                    assert_eq!(block.as_deref(), expected);
                }
                other => panic!("{used}: {other:?}"),
            }
        }
    }
}

#[test]
fn a_receipt_without_the_content_is_a_debt() {
    for (status, expected) in [(404, false), (402, false), (503, false), (410, true)] {
        match judge(response(status, &[receipt(settled())]), &payment()) {
            Verdict::Owed {
                error:
                    PayError::NotDelivered {
                        receipt,
                        status: told,
                        ..
                    },
                gone,
            } => {
                assert_eq!((told, gone), (status, expected));
                assert_eq!(receipt.transaction, "5");
            }
            other => panic!("{status}: {other:?}"),
        }
    }
}

#[test]
fn what_is_not_known_is_asked_again() {
    let pending = receipt(failed("settlement_pending"));
    for (status, headers) in [
        (402, vec![pending.clone()]),
        (402, vec![required(Some("settlement_pending"))]),
        (200, vec![pending]),
        (503, vec![]),
        (500, vec![]),
        (429, vec![]),
    ] {
        let verdict = judge(response(status, &headers), &payment());
        assert!(
            matches!(verdict, Verdict::Again(..)),
            "{status}: {verdict:?}"
        );
    }
}

#[test]
fn answers_that_say_nothing_about_the_money_prove_nothing() {
    for status in [301, 400, 404, 409, 413] {
        let verdict = judge(response(status, &[]), &payment());
        assert!(
            matches!(verdict, Verdict::Unclear(_)),
            "{status}: {verdict:?}"
        );
    }
}

#[test]
fn what_a_seller_says_of_an_error_is_shown() {
    let said = |kind: &str, body: &str| {
        let mut answer = response(413, &[("content-type", kind.into())]);
        answer.body = body.into();
        match judge(answer, &payment()) {
            Verdict::Unclear(reason) => reason,
            other => panic!("{other:?}"),
        }
    };
    for (kind, body, shown) in [
        (
            "application/json",
            r#"{"error":"body_too_large","limit":65536}"#,
            r#": {"error":"body_too_large","limit":65536}"#,
        ),
        (
            "text/plain",
            " too\x1b[31m long \n",
            ": too\u{FFFD}[31m long",
        ),
        ("text/html", "<h1>no</h1>", ""),
        ("application/json", "{}", ""),
        ("text/plain", "", ""),
    ] {
        let expected = format!("HTTP 413 without a receipt{shown}");
        assert_eq!(said(kind, body), expected, "{kind}");
    }
}

#[test]
fn a_broken_rule_of_payment_identifiers_is_a_refusal() {
    let verdict = |status: u16, body: &str| {
        let mut answer = response(status, &[]);
        answer.body = body.into();
        judge(answer, &payment())
    };
    for (status, rule) in [
        (409, "payment_identifier_conflict"),
        (400, "payment_identifier_required"),
        (400, "payment_identifier_malformed"),
    ] {
        match verdict(status, &format!("{{\"error\":{rule:?}}}")) {
            Verdict::Final(PayError::Refused { reason, .. }) => assert_eq!(reason, rule),
            other => panic!("{other:?}"),
        }
    }
    for (status, body) in [
        (404, r#"{"error":"payment_identifier_conflict"}"#),
        (409, r#"{"error":"conflict"}"#),
        (409, r#"{"error":7}"#),
        (409, "payment_identifier_conflict"),
    ] {
        let verdict = verdict(status, body);
        assert!(
            matches!(verdict, Verdict::Unclear(_)),
            "{status} {body}: {verdict:?}"
        );
    }
}

#[test]
fn a_stored_payment_is_sent_as_it_was() {
    let mut payment = payment();
    let text = serde_json::to_string(&payment).unwrap();
    assert_eq!(
        serde_json::from_str::<SignedPayment>(&text).unwrap(),
        payment
    );
    assert!(payment.request().unwrap().body.is_empty());
    let stored = text.replace(
        "\"body\":\"\"",
        &format!("\"body\":\"{}\"", to_base64(b"hello")),
    );
    payment = serde_json::from_str(&stored).unwrap();
    assert_eq!(payment.request().unwrap().body, b"hello");
    payment = serde_json::from_str(&text.replace("\"body\":\"\"", "\"body\":\"?\"")).unwrap();
    assert_eq!(payment.request(), None);
}
