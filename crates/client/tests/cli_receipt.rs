//! `receipt --check` compares every field, and names the proof of each.

mod cli_support;
#[path = "cli_support/market.rs"]
mod market;
mod support;

use cli_support::{Act, Cli, read_request};
use market::Market;
use serde_json::{Value, json};
use std::{
    io::Write,
    net::TcpListener,
    sync::{Arc, Mutex},
};

/// The payer's identity is compared with the block, which names an account identifier.
#[test]
fn a_receipt_of_a_payment_in_the_icp_ledger_is_borne_out_by_its_block() {
    let shop = support::Shop::open_with_icp_log();
    let market = Market::of(shop, "receipt-icp", vec![]);
    let [receipt, _] = two_receipts(&market);
    let mut public = receipt.clone();
    for hidden in ["payer", "method", "path"] {
        public[hidden] = json!("");
    }
    let canister = market.shop.canister.to_text();
    for told in [receipt, public] {
        let (url, _) = site(told.clone());
        let check = ["receipt", &url, "--canister", &canister, "--check"];
        let (status, value) = market.cli.json(&check);
        assert_eq!((status, &value["checked"]), (0, &true.into()), "{value}");
    }
}

/// A site that answers every request with a receipt, which can be changed.
fn site(receipt: Value) -> (String, Arc<Mutex<Value>>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let id = receipt["paymentId"].as_str().unwrap();
    let url = format!(
        "http://{}/x402/receipts/{id}",
        listener.local_addr().unwrap()
    );
    let answer = Arc::new(Mutex::new(receipt));
    let served = answer.clone();
    std::thread::spawn(move || {
        for mut stream in listener.incoming().flatten() {
            read_request(&mut stream);
            let body = served.lock().unwrap().to_string();
            let head = format!(
                "HTTP/1.1 200 OK\r\ncontent-length: {}\r\nconnection: close\r\n\r\n{body}",
                body.len()
            );
            let _ = stream.write_all(head.as_bytes());
        }
    });
    (url, answer)
}

/// Pays twice; the receipts of both.
fn two_receipts(market: &Market) -> [Value; 2] {
    let canister = market.shop.canister.to_text();
    [1, 2].map(|page| {
        let url = market.url(&format!("/report?page={page}"));
        let (status, paid) = market.json(&market.pay(&url, &[]));
        assert_eq!(status, 0, "{paid}");
        let id = paid["paymentId"].as_str().unwrap();
        let (status, shown) = market.cli.json(&["receipt", id, "--canister", &canister]);
        assert_eq!((status, &shown["checked"]), (0, &false.into()), "{shown}");
        shown["receipt"].clone()
    })
}

#[test]
fn every_field_is_compared_and_its_proof_is_named() {
    let market = Market::open("receipt", vec![]);
    let (cli, canister, ledger) = (
        &market.cli,
        market.shop.canister.to_text(),
        market.shop.ledger.to_text(),
    );
    let [receipt, other] = two_receipts(&market);
    let (url, answer) = site(receipt.clone());
    let check = ["receipt", &url, "--canister", &canister, "--check"];
    let (status, value) = cli.json(&check);
    assert_eq!((status, &value["checked"]), (0, &true.into()), "{value}");
    for (field, _) in receipt.as_object().unwrap() {
        assert!(value["proven"][field].is_string(), "{field}: {value}");
    }
    let text = String::from_utf8(cli.run(&check).stdout).unwrap();
    assert_eq!(
        text.matches("proven by").count(),
        text.lines().count(),
        "{text}"
    );

    let stranger = "2vxsx-fae";
    let lies = [
        ("paymentId", other["paymentId"].clone()),
        ("paymentId", json!("0".repeat(64))),
        ("network", json!("icp:1")),
        ("asset", json!("xevnm-gaaaa-aaaar-qafnq-cai")),
        ("asset", json!(canister)),
        ("transaction", other["transaction"].clone()),
        ("transaction", json!("0")),
        ("transaction", json!("99999999999999999999999999")),
        ("transaction", json!("none")),
        ("payer", json!(stranger)),
        ("payTo", json!(stranger)),
        ("amount", json!("1")),
        ("amount", json!("030000")),
        ("fee", json!("1")),
        ("method", json!("POST")),
        ("path", json!("/other")),
        ("settledAt", json!("1")),
    ];
    for (field, lie) in lies {
        let mut told = receipt.clone();
        told[field] = lie.clone();
        *answer.lock().unwrap() = told;
        let (status, value) = cli.json(&check);
        assert_ne!(status, 0, "{field} {lie}: {value}");
        assert_eq!(value["ok"], false, "{field} {lie}: {value}");
        let output = cli.run(&check);
        let text = String::from_utf8(output.stdout).unwrap();
        assert!(!text.contains("proven"), "{field}: {text}");
    }
    // A complete and true receipt, of another payment than requested.
    *answer.lock().unwrap() = other;
    let (status, value) = cli.json(&check);
    assert_eq!(
        (status, &value["error"]["field"]),
        (8, &"paymentId".into()),
        "{value}"
    );
    // A true receipt that is not the expected one.
    *answer.lock().unwrap() = receipt.clone();
    for (more, field) in [
        (["--ledger", "ckUSDC"], "asset"),
        (["--payer", stranger], "payer"),
    ] {
        let (status, value) = cli.json(&[&check[..], &more].concat());
        assert_eq!(
            (status, &value["error"]["field"]),
            (8, &field.into()),
            "{value}"
        );
    }
    let (status, value) = cli.json(&[&check[..], &["--ledger", &ledger]].concat());
    assert_eq!(status, 0, "{value}");
    // Another payer's key: the payment is not theirs.
    cli.write("other.pem", &cli_support::pem(2));
    let mut last = cli.last.clone();
    last[1] = "other.pem".into();
    let stranger = Cli {
        folder: cli.folder.clone(),
        last,
    };
    let (status, value) = stranger.json(&check);
    assert_eq!(
        (status, &value["error"]["field"]),
        (8, &"payer".into()),
        "{value}"
    );
    // No key is needed.
    let nobody = Cli {
        folder: cli.folder.clone(),
        last: cli.last[2..].to_vec(),
    };
    let (status, value) = nobody.json(&check);
    assert_eq!(status, 0, "{value}");
    // To others the canister does not tell the purchase.
    assert_eq!(value["proven"]["path"], Value::Null, "{value}");
    assert!(value["proven"]["settledAt"].is_string(), "{value}");
    // The receipt's owner is not known, or the canister has no receipt.
    let (status, value) = cli.json(&["receipt", &url, "--check"]);
    assert_eq!(
        (status, &value["error"]["kind"]),
        (8, &"not_checked".into()),
        "{value}"
    );
    let (status, value) = cli.json(&["receipt", &url, "--check", "--canister", &ledger]);
    assert_ne!(status, 0, "{value}");
}

#[test]
fn a_saved_receipt_is_verified_offline_and_after_one_change_refused() {
    let market = Market::open("saved", vec![]);
    let (cli, canister) = (&market.cli, market.shop.canister.to_text());
    let [receipt, _] = two_receipts(&market);
    let id = receipt["paymentId"].as_str().unwrap();
    let ask = [
        "receipt",
        id,
        "--canister",
        &canister,
        "--save",
        "receipt.json",
    ];
    let (status, value) = cli.json(&ask);
    assert_eq!((status, &value["verified"]), (0, &true.into()), "{value}");
    assert_eq!(value["details"]["path"], "/report", "{value}");
    let (status, value) = cli.json(&ask);
    assert_eq!(
        (status, &value["error"]["kind"]),
        (1, &"file".into()),
        "nothing is overwritten: {value}"
    );
    let offline = |file: &str| {
        let root_key = hex::encode(market.shop.pic.root_key().unwrap());
        let verify = ["receipt", "verify", file, "--root-key", &root_key];
        let nobody = Cli {
            folder: cli.folder.clone(),
            last: vec![],
        };
        nobody.json(&[&verify[..], &["--canister", &canister]].concat())
    };
    let (status, value) = offline("receipt.json");
    assert_eq!(
        (status, &value["receipt"]["transaction"]),
        (0, &receipt["transaction"]),
        "{value}"
    );
    let saved = std::fs::read_to_string(cli.folder.join("receipt.json")).unwrap();
    cli.write(
        "changed.json",
        &saved.replace("\"amount\":\"", "\"amount\":\"1"),
    );
    let (status, value) = offline("changed.json");
    assert_eq!(
        (status, &value["error"]["kind"]),
        (8, &"disproved".into()),
        "{value}"
    );
    // A canister without the receipt, and a URL that names no canister.
    let ledger = market.shop.ledger.to_text();
    for (named, more) in [
        (id, Some(&*ledger)),
        ("https://shop.example/x402/receipts/7", None),
    ] {
        let mut args = vec!["receipt", named, "--save", "none.json"];
        args.extend(more.iter().flat_map(|canister| ["--canister", canister]));
        assert_ne!(cli.json(&args).0, 0, "{named}");
    }
    assert!(!cli.folder.join("none.json").exists());
}

#[test]
fn an_unchecked_receipt_is_reported_as_a_claim() {
    let market = Market::open("word", vec![]);
    let [receipt, _] = two_receipts(&market);
    let (url, answer) = site(receipt.clone());
    let text = String::from_utf8(market.cli.run(&["receipt", &url]).stdout).unwrap();
    assert!(
        text.contains("by the word of") && !text.contains("proven"),
        "{text}"
    );
    // Invalid receipts.
    for odd in [
        json!({}),
        json!([]),
        json!("receipt"),
        json!({"paymentId": 7}),
    ] {
        *answer.lock().unwrap() = odd.clone();
        let (status, value) = market.cli.json(&["receipt", &url]);
        assert_eq!((status, &value["ok"]), (8, &false.into()), "{odd}: {value}");
    }
}

#[test]
fn a_purchase_is_checked_against_the_ledger() {
    let market = Market::open("checked", vec![]);
    let url = market.url("/report");
    let (status, value) = market.json(&market.pay(&url, &["--check", "-o", "f"]));
    assert_eq!((status, &value["checked"]), (0, &true.into()), "{value}");
    // A receipt that names another block is detected, and the content is written nevertheless.
    let forged = x402_icp::encode_header(&json!({
        "success": true, "network": value["network"], "amount": value["amount"], "payer": value["payer"],
        "transaction": "0",
    }));
    let act = Act::Answer(200, vec![("PAYMENT-RESPONSE", forged)], b"content".to_vec());
    market.gateway.then(vec![act]);
    let (status, value) = market.json(&market.pay(&url, &["--check"]));
    assert_eq!((status, &value["ok"]), (8, &false.into()), "{value}");
    assert_eq!(value["content"]["text"], "content", "{value}");
    let resume = value["error"]["resume"].clone();
    assert_eq!(
        market.cli.recorded().len(),
        1,
        "it may not have been paid: {value}"
    );
    // The same command continues with it, and the shop's receipt is true.
    let (status, value) = market.json(&market.pay(&url, &["--check"]));
    assert_eq!((status, &value["checked"]), (0, &true.into()), "{value}");
    assert_eq!(value["paymentId"], resume);
    assert!(market.cli.recorded().is_empty());
    assert_eq!(market.blocks(), 2);
}
