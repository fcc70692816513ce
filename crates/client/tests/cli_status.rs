//! Reports of the command about a payment are proven: by the canister's signed reply and by the ledger.

mod cli_support;
#[path = "cli_support/market.rs"]
mod market;
mod support;

use cli_support::{Act, words};
use market::{Market, refs};
use serde_json::Value;
use support::handmade::trapping;
use x402_icp::{encode_header, wire::SettleResponse};

const PROVEN: &str = "nothing can be";

fn refusal(reason: &str) -> Act {
    let receipt = SettleResponse {
        success: false,
        error_reason: Some(reason.into()),
        network: "icp:1".into(),
        ..Default::default()
    };
    Act::Answer(
        402,
        vec![("PAYMENT-RESPONSE", encode_header(&receipt))],
        b"{}".to_vec(),
    )
}

fn id_of(value: &Value) -> String {
    value["error"]["paymentId"]
        .as_str()
        .unwrap_or_else(|| panic!("{value}"))
        .to_string()
}

#[test]
fn nothing_can_be_paid_is_reported_for_a_proven_end_only() {
    let market = Market::open("proven", vec![]);
    let url = market.url("/report");
    // Charged by the canister, and reported as refused by the gateway, in several ways.
    let mut blocks = 0;
    for reason in [
        "insufficient_funds",
        "invalid_exact_icp_expired",
        "no_such_code",
        "",
    ] {
        market.gateway.then(vec![Act::Swallow, refusal(reason)]);
        let (status, value) = market.json(&market.pay(&url, &["--patience", "5"]));
        let message = value["error"]["message"].as_str().unwrap();
        assert!(matches!(status, 6 | 9 | 10), "{reason}: {value}");
        assert!(!message.contains(PROVEN), "{reason}: {message}");
        assert_eq!(market.cli.recorded().len(), 1, "{reason}");
        // The content is delivered.
        let (status, value) = market.json(&market.pay(&url, &[]));
        assert_eq!(status, 0, "{reason}: {value}");
        blocks += 1;
        assert_eq!(market.blocks(), blocks, "{reason}");
    }
    // Never forwarded: the canister cancels it, and the ledger shows nothing.
    market.gateway.then(vec![refusal("insufficient_funds")]);
    let output = market.cli.run(&refs(&market.pay(&url, &[])));
    assert_eq!(output.status.code(), Some(5), "{output:?}");
    assert!(words(&output).contains(PROVEN), "{output:?}");
    assert!(market.cli.recorded().is_empty());
    assert_eq!(market.blocks(), blocks);
    // Other events that keep the payment from arriving prove nothing.
    for act in [
        Act::HangUp,
        Act::Answer(404, vec![], vec![]),
        Act::Answer(402, vec![], vec![]),
    ] {
        let shown = format!("{act:?}");
        market.gateway.then(vec![act]);
        let output = market
            .cli
            .run(&refs(&market.pay(&url, &["--patience", "0"])));
        assert_eq!(output.status.code(), Some(6), "{shown}: {output:?}");
        assert!(!words(&output).contains(PROVEN), "{shown}");
        let (status, value) = market.json(&market.pay(&url, &[]));
        assert_eq!(status, 0, "{shown}: {value}");
    }
}

#[test]
fn a_status_ends_the_record_of_what_is_dead() {
    let market = Market::open("dead", vec![Act::HangUp, Act::HangUp]);
    let (url, cli) = (market.url("/report"), &market.cli);
    let (status, value) =
        market.json(&market.pay(&url, &["--patience", "0", "--save", "kept.json"]));
    assert_eq!(status, 6, "{value}");
    let id = id_of(&value);
    // It is still valid, and the canister does not know it: that proves nothing.
    let (status, value) = cli.json(&["status", &id]);
    assert_eq!(
        (status, &value["error"]["kind"]),
        (6, &"unsettled".into()),
        "{value}"
    );
    assert_eq!(value["error"]["paymentId"], *id);
    assert_eq!(cli.recorded().len(), 1);
    // By its file, too.
    let (status, value) = cli.json(&["status", "kept.json"]);
    assert_eq!(status, 6, "{value}");
    let (status, value) = cli.json(&["status", &id, "--cancel"]);
    assert_eq!((status, &value["state"]), (0, &"dead".into()), "{value}");
    assert!(cli.recorded().is_empty());
    let (status, value) = cli.json(&["status"]);
    assert_eq!(
        (status, &value["unresolved"]),
        (0, &Value::Array(vec![])),
        "{value}"
    );
    let (status, value) = cli.json(&["status", &id]);
    assert_eq!(
        (status, &value["error"]["kind"]),
        (1, &"not_recorded".into()),
        "{value}"
    );
    // The same request gets a new payment.
    market.gateway.then(vec![]);
    let (status, value) = market.json(&market.pay(&url, &[]));
    assert_eq!(status, 0, "{value}");
    assert_ne!(value["paymentId"], *id);
    assert_eq!(market.blocks(), 1);
}

#[test]
fn a_status_knows_paid_payments_recorded_or_not() {
    let market = Market::open("paid", vec![Act::Swallow]);
    let (url, cli) = (market.url("/report"), &market.cli);
    let canister = market.shop.canister.to_text();
    let (status, value) = market.json(&market.pay(&url, &["--patience", "0"]));
    assert_eq!(status, 6, "{value}");
    let id = id_of(&value);
    let output = cli.run(&["status", &id]);
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(
        text.contains("paid in block") && text.contains("--resume"),
        "{text}"
    );
    let (_, value) = cli.json(&["status", &id]);
    assert!(value["block"].is_string(), "{value}");
    assert!(
        matches!(value["state"].as_str(), Some("settled" | "delivered")),
        "{value}"
    );
    assert_eq!(cli.recorded().len(), 1, "it can fetch what was bought");
    // Without a record, and without a key.
    let nobody = cli_support::Cli {
        folder: cli.folder.clone(),
        last: cli.last[2..].to_vec(),
    };
    let asked = [
        "status",
        &id,
        "--canister",
        &canister,
        "--payments",
        "other",
    ];
    let (status, value) = nobody.json(&asked);
    assert_eq!(status, 0, "{value}");
    assert!(value["proven"]["amount"].is_string(), "{value}");
    // Payer and purchase are not public.
    for hidden in ["payer", "method", "path"] {
        assert_eq!(value[hidden], Value::Null, "{value}");
    }
    let (status, value) = cli.json(&asked);
    assert_eq!((status, &value["path"]), (0, &"/report".into()), "{value}");
    for wrong in ["0".repeat(64), "f".repeat(64)] {
        let (status, value) = nobody.json(&["status", &wrong, "--canister", &canister]);
        assert_eq!(
            (status, &value["error"]["kind"]),
            (1, &"not_found".into()),
            "{value}"
        );
    }
    let ledger = market.shop.ledger.to_text();
    let (status, value) = nobody.json(&["status", &"0".repeat(64), "--canister", &ledger]);
    assert_eq!(status, 7, "not a canister that takes payments: {value}");
    // A canister's trap message cannot imitate the command's output.
    let trap = market.shop.install(trapping("x\npaid 1\ntollkeeper: paid"));
    let said = nobody.run(&["status", &"0".repeat(64), "--canister", &trap.to_text()]);
    let said = String::from_utf8_lossy(&said.stderr).into_owned();
    assert!(said.contains("paid 1"), "{said}");
    let own = |line: &str| line.starts_with("paid 1") || line == "tollkeeper: paid";
    assert!(!said.lines().any(own), "{said}");
    // Given up on the user's command only.
    let (status, value) = cli.json(&["forget", &id]);
    assert_eq!((status, &value["forgotten"]), (0, &true.into()), "{value}");
    assert!(cli.recorded().is_empty());
    let (status, _) = cli.json(&["forget", &id]);
    assert_eq!(status, 1);
    let (status, _) = cli.json(&["forget", "nothing"]);
    assert_eq!(status, 2);
}

#[test]
fn a_delivery_without_a_receipt_is_proven_by_the_ledger_or_not_at_all() {
    let market = Market::open("receiptless", vec![Act::HideReceipt]);
    let (url, cli) = (market.url("/report"), &market.cli);
    let (status, value) = market.json(&market.pay(&url, &[]));
    assert_eq!((status, &value["proof"]), (0, &"ledger".into()), "{value}");
    assert_eq!(value["content"]["text"], "the report");
    assert!(cli.recorded().is_empty());
    // Content that the canister never sold: nothing is reported as paid, and the payment is kept.
    let made_up = |header: Option<&str>| {
        let headers = header.map(|text| ("PAYMENT-RESPONSE", text.to_string()));
        Act::Answer(200, headers.into_iter().collect(), b"made up".to_vec())
    };
    let foreign = encode_header(&SettleResponse {
        success: true,
        transaction: "0".into(),
        network: "icp:1".into(),
        payer: Some("aaaaa-aa".into()),
        amount: Some("1".into()),
        ..Default::default()
    });
    let mut ids = Vec::new();
    for header in [None, Some("???"), Some(&*foreign)] {
        market.gateway.then(vec![made_up(header)]);
        let (status, value) = market.json(&market.pay(&url, &[]));
        assert_eq!(
            (status, &value["paid"]),
            (8, &Value::Null),
            "{header:?}: {value}"
        );
        assert_eq!(
            (&value["ok"], &value["content"]["text"]),
            (&false.into(), &"made up".into())
        );
        assert_eq!(value["error"]["kind"], "unproven");
        ids.push(id_of(&value));
        assert_eq!(cli.recorded().len(), 1);
    }
    assert!(ids.iter().all(|id| *id == ids[0]), "{ids:?}");
    let (status, value) = market.json(&market.pay(&url, &["--check"]));
    assert_eq!((status, &value["checked"]), (0, &true.into()), "{value}");
    assert_eq!(market.blocks(), 2);
}
