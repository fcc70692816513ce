use super::*;
use serde_json::json;
use x402_icp::{encode_header, values::to_base64};

fn payment() -> SignedPayment {
    serde_json::from_value(json!({
        "method": "GET", "url": "http://shop/report", "headers": [], "body": "",
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
fn a_receipt_with_the_goods_is_paid() {
    let Verdict::Paid(paid) = judge(response(200, &[receipt(settled())]), &payment()) else {
        panic!("must be paid");
    };
    assert!(paid.problems.is_empty());
    assert_eq!(paid.receipt.unwrap().transaction, "5");
}

#[test]
fn what_a_receipt_gets_wrong_is_told() {
    for (key, wrong) in [
        ("network", "icp:2"),
        ("amount", "1"),
        ("payer", "x"),
        ("transaction", ""),
    ] {
        let mut value = settled();
        value[key] = json!(wrong);
        match judge(response(200, &[receipt(value)]), &payment()) {
            Verdict::Paid(paid) => assert_eq!(paid.problems.len(), 1, "{key}"),
            other => panic!("{key}: {other:?}"),
        }
    }
}

#[test]
fn goods_without_a_readable_receipt_are_still_delivered() {
    let garbled = ("payment-response", "???".to_string());
    for headers in [&[][..], &[garbled]] {
        match judge(response(200, headers), &payment()) {
            Verdict::Paid(paid) => assert_eq!(paid.receipt, None),
            other => panic!("{other:?}"),
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
fn a_receipt_without_the_goods_is_a_debt() {
    for (status, expected) in [(404, false), (402, false), (503, false), (410, true)] {
        match judge(response(status, &[receipt(settled())]), &payment()) {
            Verdict::Owed {
                error:
                    PayError::NotDelivered {
                        receipt,
                        problems,
                        status: told,
                        ..
                    },
                gone,
            } => {
                assert_eq!((told, gone), (status, expected));
                assert_eq!(receipt.transaction, "5");
                assert!(problems.is_empty());
            }
            other => panic!("{status}: {other:?}"),
        }
    }
    let mut wrong = settled();
    wrong["amount"] = json!("1");
    match judge(response(410, &[receipt(wrong)]), &payment()) {
        Verdict::Owed { error, .. } => assert!(error.to_string().contains("amount"), "{error}"),
        other => panic!("{other:?}"),
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
            matches!(verdict, Verdict::Again(_)),
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
fn the_serving_canister_is_found_where_it_can_be() {
    let shop = "xevnm-gaaaa-aaaar-qafnq-cai";
    let other = (
        "x-ic-canister-id",
        "ryjl3-tyaaa-aaaaa-aaaba-cai".to_string(),
    );
    for (url, headers, expected) in [
        (format!("https://{shop}.icp0.io/a"), vec![], Some(shop)),
        (
            format!("https://{shop}.raw.icp0.io/a"),
            vec![other.clone()],
            Some(shop),
        ),
        (format!("http://{shop}.localhost:8000/"), vec![], Some(shop)),
        (
            format!("http://localhost/?canisterId={shop}"),
            vec![other.clone()],
            Some(shop),
        ),
        (
            "https://shop.example/".into(),
            vec![other],
            Some("ryjl3-tyaaa-aaaaa-aaaba-cai"),
        ),
        ("https://shop.example/".into(), vec![], None),
        (
            "http://127.0.0.1:8000/".into(),
            vec![("x-ic-canister-id", "?".into())],
            None,
        ),
    ] {
        let request = Request::get(&url).unwrap();
        let found = serving_canister(&request, &response(402, &headers));
        assert_eq!(
            found.map(|id| id.to_text()),
            expected.map(String::from),
            "{url}"
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
