//! The command pays by its own transfer, against a shop on a live network.

mod cli_support;
#[path = "cli_support/market.rs"]
mod market;
mod support;

use candid::Principal;
use cli_support::{Act, forward, header, object, port_of, words};
use icrc_ledger_types::icrc1::transfer::TransferError;
use market::{Market, account, refs};
use serde_json::Value;
use std::fs;
use support::{CONTENT, FEE, FUNDS, PRICE, Shop};
use test_ledger::testing::{Answer, Effect, Fault, Hold};
use x402_icp::{decode::decode_header, encode_header, wire::PAYMENT_REQUIRED};

/// A shop that offers `/report` to be paid by transfer, too.
fn market(name: &str, script: Vec<Act>) -> Market {
    let market = Market::open(name, script);
    market.shop.offer_transfers("/report");
    market
}

impl Market {
    /// Arguments to pay for the report by transfer.
    fn by_transfer(&self, url: &str, more: &[&str]) -> Vec<String> {
        let ledger = self.shop.ledger.to_text();
        let args = [
            "pay",
            url,
            "--asset",
            &ledger,
            "--max-amount",
            "30000",
            "--by",
            "transfer",
        ];
        args.iter().chain(more).map(|a| a.to_string()).collect()
    }

    fn spent(&self) -> u128 {
        FUNDS - self.shop.balance(account())
    }
}

fn kind(value: &Value) -> &str {
    value["error"]["kind"].as_str().unwrap_or_default()
}

#[test]
fn the_command_pays_by_transfer_if_it_is_told_to() {
    let market = market("by-transfer", vec![]);
    let (url, ledger) = (market.url("/report"), market.shop.ledger.to_text());
    let canister = market.shop.canister.to_text();
    // Without the option the allowance is asked for, and nothing moves.
    let plain = ["pay", &url, "--asset", &ledger, "--max-amount", "30000"];
    let (status, value) = market.cli.json(&plain);
    assert_eq!(
        (status, kind(&value)),
        (4, "insufficient_allowance"),
        "{value}"
    );
    let quote = ["quote", &url, "--asset", &ledger, "--max-amount", "30000"];
    let (_, quoted) = market.cli.json(&quote);
    assert_eq!(quoted["offers"][0]["by"], "allowance", "{quoted}");
    let problem = quoted["refused"][0]["problem"].as_str().unwrap();
    assert!(problem.contains("--by transfer"), "{problem}");
    let (_, quoted) = market
        .cli
        .json(&[&quote[..], &["--by", "transfer"]].concat());
    assert_eq!(quoted["offers"][0]["by"], "transfer", "{quoted}");
    assert_eq!(market.spent(), 0);

    let ended = market
        .cli
        .run(&refs(&market.by_transfer(&url, &["--check", "--json"])));
    let (status, paid) = object(&ended);
    assert_eq!((status, &paid["checked"]), (0, &true.into()), "{paid}");
    assert_eq!(
        (&paid["by"], &paid["proof"]),
        (&"transfer".into(), &"receipt".into())
    );
    assert_eq!(
        paid["content"]["text"].as_str().unwrap().as_bytes(),
        CONTENT
    );
    assert_eq!(market.spent(), PRICE + FEE);
    let said = words(&ended);
    let order = ["is recorded in", "transferring ", "transferred in block"];
    let places = order.map(|text| said.find(text).unwrap_or_else(|| panic!("{text}: {said}")));
    assert!(places.is_sorted(), "{said}");
    assert!(market.cli.recorded().is_empty());
    // Its receipt is found by the id that the command gave, and proven by the payer's own block.
    let id = paid["paymentId"].as_str().unwrap();
    let receipt = ["receipt", id, "--canister", &canister, "--check"];
    let (status, receipt) = market.cli.json(&receipt);
    assert_eq!(
        (status, &receipt["checked"]),
        (0, &true.into()),
        "{receipt}"
    );
    let (status, state) = market.cli.json(&["status", id, "--canister", &canister]);
    assert_eq!(
        (status, &state["state"]),
        (0, &"delivered".into()),
        "{state}"
    );
    // For readers the choice is explained, too.
    let told = words(&market.cli.run(&refs(&market.by_transfer(&url, &[]))));
    assert!(
        told.contains("by transfer: the only acceptable offer"),
        "{told}"
    );
    assert_eq!(market.blocks(), 2);
}

#[test]
fn a_gateway_that_changes_the_recipient_gets_nothing() {
    let market = market("transfer-gateway", vec![]);
    let url = market.url("/report");
    let asked = format!(
        "GET /report HTTP/1.1\r\nhost: {}.localhost\r\n\r\n",
        market.shop.canister
    );
    let unpaid = forward(asked.as_bytes(), port_of(&market.shop.replica)).unwrap();
    let required = header(&unpaid, PAYMENT_REQUIRED).unwrap();
    let honest: Value = decode_header(PAYMENT_REQUIRED, required.as_bytes()).unwrap();
    for (member, forged) in [
        ("payTo", Principal::self_authenticating([9; 32]).to_text()),
        ("amount", (PRICE - 1).to_string()),
    ] {
        let mut required = honest.clone();
        for offer in required["accepts"].as_array_mut().unwrap() {
            offer[member] = forged.clone().into();
        }
        let headers = vec![(PAYMENT_REQUIRED, encode_header(&required))];
        let forged = Act::Answer(402, headers, b"{}".to_vec());
        market.gateway.unpaid(Some(forged));
        let (status, value) = market.json(&market.by_transfer(&url, &[]));
        assert_eq!((status, kind(&value)), (3, "unconfirmed"), "{value}");
    }
    assert_eq!(market.spent(), 0);
    assert!(market.cli.recorded().is_empty());
    market.gateway.unpaid(None);
    assert_eq!(market.json(&market.by_transfer(&url, &[])).0, 0);
}

#[test]
fn whatever_is_lost_on_the_way_one_purchase_is_one_transfer() {
    one_purchase_is_one_transfer(Shop::open(), "transfer-lost");
}

#[test]
fn whatever_is_lost_one_purchase_is_one_transfer_in_the_icp_ledger() {
    one_purchase_is_one_transfer(Shop::open_with_icp_log(), "transfer-lost-icp");
}

fn one_purchase_is_one_transfer(shop: Shop, name: &str) {
    let lost = |effect| Fault {
        effect,
        hold: Hold::No,
        answer: Answer::Trap("lost".into()),
    };
    let market = Market::of(
        shop,
        name,
        vec![
            Act::HangUp,
            Act::Swallow,
            Act::Answer(500, vec![], vec![]),
            Act::HideReceipt,
        ],
    );
    market.shop.offer_transfers("/report");
    let url = market.url("/report");
    let args = market.by_transfer(&url, &["--patience", "0"]);
    // The ledger's answer is lost, with and without the transfer.
    for effect in [Effect::None, Effect::BeforeHold] {
        market.shop.misbehave_at("icrc1_transfer", 1, &lost(effect));
        let (status, value) = market.json(&args);
        assert_eq!((status, kind(&value)), (6, "unsettled"), "{value}");
    }
    // An error in answer to a repetition proves nothing: the log does.
    let error = TransferError::InsufficientFunds {
        balance: 0u8.into(),
    };
    let refused = Fault {
        effect: Effect::None,
        hold: Hold::No,
        answer: Answer::TransferError(error),
    };
    market.shop.misbehave_at("icrc1_transfer", 1, &refused);
    // The block is known from here on, and the proof is lost in every way.
    for _ in 0..3 {
        let (status, value) = market.json(&args);
        assert_eq!((status, kind(&value)), (6, "unsettled"), "{value}");
        assert_eq!(market.cli.recorded().len(), 1);
    }
    let listed = market.cli.json(&["status"]).1;
    let transfer = &listed["unresolved"][0]["transfer"];
    assert!(transfer["block"].is_string(), "{listed}");
    // The content without a receipt: canister and ledger are asked.
    let (status, value) = market.json(&args);
    assert_eq!((status, &value["proof"]), (0, &"ledger".into()), "{value}");
    assert_eq!((market.spent(), market.blocks()), (PRICE + FEE, 1));
    assert_eq!(market.gateway.paid().len(), 4);
    assert!(market.gateway.paid().windows(2).all(|two| two[0] == two[1]));
    assert!(market.cli.recorded().is_empty());
}

#[test]
fn a_transfer_that_came_too_late_for_its_price_is_kept_and_explained() {
    let market = market("transfer-late", vec![Act::HangUp]);
    let url = market.url("/report");
    let args = market.by_transfer(&url, &["--patience", "0"]);
    let (status, value) = market.json(&args);
    assert_eq!(status, 6, "{value}");
    // The price rises before the proof arrives.
    market
        .shop
        .publish_for("/report", Some(2 * PRICE), CONTENT, None);
    // At first it is taken for one that buys nothing; later the canister knows it.
    for expected in [(10, "proof_refused"), (9, "payment_used")] {
        let (status, value) = market.json(&args);
        assert_eq!((status, kind(&value)), expected, "{value}");
        let message = value["error"]["message"].as_str().unwrap();
        for text in [
            "the transfer for one that buys nothing",
            "tollkeeper status",
            "tollkeeper forget",
        ] {
            assert!(message.contains(text), "{message}");
        }
    }
    assert_eq!((market.spent(), market.blocks()), (PRICE + FEE, 1));
    let listed = market.cli.json(&["status"]).1;
    let id = listed["unresolved"][0]["paymentId"].as_str().unwrap();
    // The money went to the merchant's own account, so a controller decides about the refund.
    let (status, state) = market.cli.json(&["status", id]);
    assert_eq!(
        (status, &state["state"]),
        (0, &"refunding".into()),
        "{state}"
    );
    let (status, _) = market.cli.json(&["forget", id]);
    assert_eq!(status, 0);
    assert!(market.cli.recorded().is_empty());
    let left = fs::read_dir(market.cli.payments()).unwrap();
    let notes = left.filter(|file| {
        let name = file.as_ref().unwrap().file_name();
        name.to_str().unwrap().ends_with(".block.json")
    });
    assert_eq!(notes.count(), 0);
}
