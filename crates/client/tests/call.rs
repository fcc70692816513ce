//! The command buys by a call of `pay`, from a shop on a live network.

mod cli_support;
#[path = "cli_support/market.rs"]
mod market;
mod support;

use candid::Principal;
use cli_support::{Act, forward, header, object, port_of, signal, wait_for, words};
use icrc_ledger_types::icrc2::transfer_from::TransferFromError;
use market::{Market, account, refs};
use serde_json::Value;
use std::{collections::BTreeSet, sync::Arc, time::Duration};
use support::{CONTENT, FEE, FUNDS, PRICE};
use test_ledger::testing::{Answer, Effect, Fault, Hold};
use tokio::runtime::Runtime;
use tollkeeper_client::{By, FileJournal, Identity, Outcome, PayError, Quote, Request, Resolution};
use x402_icp::{decode::decode_header, encode_header, wire::PAYMENT_REQUIRED};

impl Market {
    /// Arguments to pay for a URL by call.
    fn by_call(&self, url: &str, more: &[&str]) -> Vec<String> {
        let mut args = self.pay(url, &["--by", "call"]);
        args.extend(more.iter().map(|text| text.to_string()));
        args
    }

    fn spent(&self) -> u128 {
        FUNDS - self.shop.balance(account())
    }
}

fn kind(value: &Value) -> &str {
    value["error"]["kind"].as_str().unwrap_or_default()
}

#[test]
fn the_command_buys_by_call_if_it_is_told_to() {
    let market = Market::open("by-call", vec![]);
    let (url, ledger) = (market.url("/report"), market.shop.ledger.to_text());
    let plain = ["pay", &url, "--asset", &ledger, "--max-amount", "30000"];
    let (status, value) = market.cli.json(&[&plain[..], &["--by", "call"]].concat());
    assert_eq!(
        (status, kind(&value)),
        (4, "insufficient_allowance"),
        "{value}"
    );
    let quote = ["quote", &url, "--asset", &ledger, "--max-amount", "30000"];
    let (_, quoted) = market.cli.json(&[&quote[..], &["--by", "call"]].concat());
    assert_eq!(quoted["offers"][0]["by"], "call", "{quoted}");
    assert_eq!(market.spent(), 0);

    let ended = market
        .cli
        .run(&refs(&market.by_call(&url, &["--check", "--json"])));
    let (status, paid) = object(&ended);
    assert_eq!((status, &paid["checked"]), (0, &true.into()), "{paid}");
    assert_eq!(
        (&paid["by"], &paid["proof"]),
        (&"call".into(), &"receipt".into())
    );
    assert_eq!(
        paid["content"]["text"].as_str().unwrap().as_bytes(),
        CONTENT
    );
    assert_eq!(market.spent(), PRICE + 2 * FEE);
    assert_eq!((market.blocks(), market.gateway.paid().len()), (1, 0));
    let said = words(&ended);
    let order = ["approving ", "is recorded in", "calling pay of canister"];
    let places = order.map(|text| said.find(text).unwrap_or_else(|| panic!("{text}: {said}")));
    assert!(places.is_sorted(), "{said}");
    assert!(market.cli.recorded().is_empty());
    // The canister and the block know it by the id that was recorded.
    let (id, canister) = (
        paid["paymentId"].as_str().unwrap(),
        market.shop.canister.to_text(),
    );
    let (status, state) = market.cli.json(&["status", id, "--canister", &canister]);
    assert_eq!(
        (status, &state["state"]),
        (0, &"delivered".into()),
        "{state}"
    );
    // For readers the choice is explained, too.
    let told = words(&market.cli.run(&refs(&market.by_call(&url, &[]))));
    assert!(
        told.contains("by call: the only acceptable offer"),
        "{told}"
    );
    assert_eq!(market.blocks(), 2);
}

#[test]
fn what_a_call_cannot_say_is_refused_before_anything_is_paid() {
    let market = Market::open("call-request", vec![]);
    let url = market.url("/report");
    let with_query = format!("{url}?x=1");
    for (url, more, part) in [
        (&url, &["-H", "Authorization: secret"][..], "headers"),
        (&with_query, &[], "a query"),
        (&url, &["--id", "0123456789abcdef"], "a payment identifier"),
    ] {
        let (status, value) = market.json(&market.by_call(url, more));
        assert_eq!((status, kind(&value)), (3, "not_by_call"), "{value}");
        let message = value["error"]["message"].as_str().unwrap();
        assert!(
            message.contains(part) && !message.contains("secret"),
            "{message}"
        );
    }
    assert_eq!(market.spent(), 0);
    assert!(market.cli.recorded().is_empty());
}

#[test]
fn a_gateway_that_changes_an_offer_by_call_gets_nothing_recorded() {
    let market = Market::open("call-gateway", vec![]);
    let url = market.url("/report");
    let asked = format!(
        "GET /report HTTP/1.1\r\nhost: {}.localhost\r\n\r\n",
        market.shop.canister
    );
    let unpaid = forward(asked.as_bytes(), port_of(&market.shop.replica)).unwrap();
    let required = header(&unpaid, PAYMENT_REQUIRED).unwrap();
    let honest: Value = decode_header(PAYMENT_REQUIRED, required.as_bytes()).unwrap();
    for (member, forged) in [
        (
            "payTo",
            Principal::self_authenticating([9; 32]).to_text().into(),
        ),
        ("amount", (PRICE - 1).to_string().into()),
        ("maxTimeoutSeconds", Value::from(10)),
    ] {
        let mut required = honest.clone();
        for offer in required["accepts"].as_array_mut().unwrap() {
            offer[member] = forged.clone();
        }
        let headers = vec![(PAYMENT_REQUIRED, encode_header(&required))];
        market
            .gateway
            .unpaid(Some(Act::Answer(402, headers, b"{}".to_vec())));
        let (status, value) = market.json(&market.by_call(&url, &[]));
        assert_eq!(
            (status, kind(&value)),
            (3, "unconfirmed"),
            "{member}: {value}"
        );
    }
    // Nothing was approved either.
    assert_eq!(market.spent(), 0);
    assert!(market.cli.recorded().is_empty());
}

#[test]
fn whatever_the_ledger_does_one_purchase_by_call_is_one_block() {
    let market = Market::open("call-ledger", vec![]);
    let url = market.url("/report");
    let args = market.by_call(&url, &["--patience", "0"]);
    let fault = |effect, answer| Fault {
        effect,
        hold: Hold::No,
        answer,
    };
    // The ledger refuses: the canister says so, and the ledger's log agrees.
    let refused = Answer::TransferFromError(TransferFromError::InsufficientFunds {
        balance: 0u8.into(),
    });
    market.shop.misbehave(&fault(Effect::None, refused));
    let (status, value) = market.json(&args);
    assert_eq!((status, kind(&value)), (5, "refused"), "{value}");
    assert!(market.cli.recorded().is_empty());
    // The ledger's answer is lost, with and without the transfer.
    for effect in [Effect::None, Effect::BeforeHold] {
        market
            .shop
            .misbehave(&fault(effect, Answer::Trap("lost".into())));
        let (status, value) = market.json(&args);
        assert_eq!((status, kind(&value)), (6, "unsettled"), "{value}");
        assert_eq!(market.cli.recorded().len(), 1);
    }
    let listed = market.cli.json(&["status"]).1;
    let open = &listed["unresolved"][0];
    assert_eq!(open["by"], "call", "{listed}");
    let id = open["paymentId"].as_str().unwrap();
    // By its id, from the record.
    let (status, value) = market
        .cli
        .json(&["pay", "--resume", id, "--patience", "60", "--check"]);
    assert_eq!((status, &value["proof"]), (0, &"receipt".into()), "{value}");
    assert_eq!(value["paymentId"], id);
    assert_eq!(market.blocks(), 1);
    assert!(market.cli.recorded().is_empty());
}

#[test]
fn a_call_that_never_arrived_is_dead_after_its_time() {
    const SECONDS: u32 = 10;
    let market = Market::open("call-late", vec![]);
    market
        .shop
        .publish_for("/report", Some(PRICE), CONTENT, Some(SECONDS));
    let runtime = Runtime::new().unwrap();
    runtime.block_on(never_arrived(&market, SECONDS));
    // The journal knows neither, and nothing else was charged.
    assert!(market.cli.recorded().is_empty());
    assert_eq!(market.blocks(), 1);
}

async fn never_arrived(market: &Market, seconds: u32) {
    let identity = Identity::from_pem(&cli_support::pem(1)).unwrap();
    let journal = Arc::new(FileJournal::open(market.cli.payments()).unwrap());
    let payer = market.shop.payer(identity).await;
    let payer = payer
        .with_ways(By::Call)
        .with_journal(journal.clone())
        .with_approval(None);
    let request = Request::get(&market.shop.url("/report")).unwrap();
    let Quote::Priced(priced) = payer.quote(&request).await.unwrap() else {
        panic!("it has a price");
    };
    let offer = payer.fund(&priced).await.unwrap();
    let payment = payer.sign(&priced, &offer).unwrap();
    // The process ends between the record and the call.
    payer.journal().record(&payment).unwrap();
    let early = payer.resolve(&payment).await;
    assert!(matches!(early, Resolution::Unknown { .. }), "{early:?}");
    tokio::time::sleep(Duration::from_secs(u64::from(seconds) + 3)).await;
    // It can begin nothing any more, so the request gets another payment.
    let outcome = payer.pay(&request).await;
    let Ok(Outcome::Paid(paid)) = outcome else {
        panic!("{outcome:?}");
    };
    assert!(paid.proven);
    assert_ne!(paid.payment.payment_id, payment.payment_id);
    assert_eq!(payer.unresolved().unwrap(), []);
    // Presented again from a copy, it is refused for good.
    let outcome = payer.send(&payment).await;
    assert!(
        matches!(outcome, Err(PayError::Refused { .. })),
        "{outcome:?}"
    );
}

/// The ledger makes the transfer, and answers after this many seconds.
fn slow(seconds: u64) -> Fault {
    Fault {
        effect: Effect::BeforeHold,
        hold: Hold::Nanos(seconds * 1_000_000_000),
        answer: Answer::Honest,
    }
}

#[test]
fn two_commands_at_once_call_once_and_both_get_it() {
    let market = Market::open("call-at-once", vec![]);
    let url = market.url("/report");
    market.shop.misbehave(&slow(6));
    let args = market.by_call(&url, &[]);
    let children: Vec<_> = (0..3).map(|_| market.cli.start(&refs(&args))).collect();
    let mut ids = BTreeSet::new();
    for child in children {
        let (status, value) = object(&child.wait_with_output().unwrap());
        assert_eq!(
            (status, &value["content"]["text"]),
            (0, &"the report".into()),
            "{value}"
        );
        ids.insert(value["paymentId"].to_string());
    }
    assert_eq!((market.blocks(), ids.len()), (1, 1));
    assert_eq!(market.spent(), PRICE + 2 * FEE);
    assert!(market.cli.recorded().is_empty());
}

#[test]
fn a_signal_during_a_call_loses_nothing() {
    let market = Market::open("call-signal", vec![]);
    let url = market.url("/report");
    market.shop.misbehave(&slow(6));
    let child = market.cli.start(&refs(&market.by_call(&url, &[])));
    wait_for("record", || !market.cli.recorded().is_empty());
    wait_for("transfer", || market.blocks() == 1);
    signal(&child, "TERM");
    let (status, value) = object(&child.wait_with_output().unwrap());
    assert_eq!((status, kind(&value)), (6, "interrupted"), "{value}");
    let id = value["error"]["paymentId"].as_str().unwrap();
    let (status, resumed) = market.json(&market.by_call(&url, &[]));
    assert_eq!(
        (status, &resumed["paymentId"]),
        (0, &id.into()),
        "{resumed}"
    );
    assert_eq!(market.blocks(), 1);
    assert!(market.cli.recorded().is_empty());
}
