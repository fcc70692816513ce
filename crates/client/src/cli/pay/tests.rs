use super::*;
use tollkeeper_client::SignedPayment;

fn payment() -> Box<SignedPayment> {
    serde_json::from_value(json!({
        "method": "GET", "url": "http://shop/", "headers": [], "body": "", "paymentId": "p1",
        "payment": {
            "x402Version": 2,
            "accepted": {
                "scheme": "exact", "network": "icp:1", "amount": "1", "asset": "a", "payTo": "b",
                "maxTimeoutSeconds": 60, "extra": {},
            },
            "payload": {
                "from": "x", "nonce": "", "validAfter": "1", "validBefore": "2", "publicKey": "",
                "signature": "",
            },
        },
    }))
    .unwrap()
}

fn not_delivered(status: u16) -> PayError {
    let receipt = json!({"success": true, "transaction": "7", "network": "icp:1"});
    PayError::NotDelivered {
        payment: payment(),
        status,
        receipt: serde_json::from_value(receipt).unwrap(),
        problems: vec![],
    }
}

#[test]
fn a_payment_is_forgotten_only_if_no_money_moved() {
    let used = PayError::Used {
        payment: payment(),
        reason: "duplicate_settlement".into(),
        message: None,
        block: None,
    };
    let unsettled = PayError::Unsettled {
        payment: payment(),
        reason: "HTTP 503".into(),
    };
    let refused = PayError::Refused {
        code: None,
        reason: "no".into(),
        message: None,
    };
    for (name, error, detail) in [
        ("used", used, Some("kept")),
        ("gone", not_delivered(410), Some("kept")),
        ("owed", not_delivered(404), Some("resume")),
        ("unsettled", unsettled, Some("resume")),
        ("refused", refused, None),
    ] {
        let file = std::env::temp_dir().join(format!(
            "tollkeeper-test-{}-{name}.json",
            std::process::id()
        ));
        std::fs::write(&file, "{}").unwrap();
        let failure = not_bought(error, &file);
        let exists = file.exists();
        let _ = std::fs::remove_file(&file);
        assert_eq!(exists, detail.is_some(), "{name}");
        for key in ["kept", "resume"] {
            assert_eq!(
                failure.details.contains_key(key),
                detail == Some(key),
                "{name} {key}"
            );
        }
    }
}

#[test]
fn a_kept_payment_that_could_not_be_sent_is_unknown() {
    let unreachable = || Failure::new(exit::UNREACHABLE, "unreachable", "no replica");
    let failure = not_sent(unreachable(), Some(Path::new("kept.json")));
    assert_eq!(
        (failure.status, failure.kind.as_str()),
        (exit::UNSETTLED, "unsettled")
    );
    assert_eq!(failure.details["resume"], json!("kept.json"));
    assert_eq!(not_sent(unreachable(), None).status, exit::UNREACHABLE);
}

#[test]
fn a_receipt_that_could_not_be_checked_was_paid_for() {
    let failure = not_checked(Failure::new(exit::UNREACHABLE, "ledger", "no ledger"));
    assert_eq!(
        (failure.status, failure.kind.as_str()),
        (exit::RECEIPT, "not_checked")
    );
    let disproved = not_checked(Failure::new(exit::RECEIPT, "disproved", "another amount"));
    assert_eq!(disproved.kind, "disproved");
}
