//! The terms that the command agrees to: offers, limits, and approvals, which give power over money.

mod cli_support;
#[path = "cli_support/market.rs"]
mod market;
mod support;

use cli_support::{Act, Cli, object, words};
use market::{Market, account};
use serde_json::{Value, json};
use support::{FEE, FUNDS, PRICE};
use x402_icp::{decode::decode_header, encode_header};

const CKUSDC: &str = "xevnm-gaaaa-aaaar-qafnq-cai";

/// The amount that the shop's canister may collect, and the end of the allowance.
fn allowance(market: &Market, spender: &str) -> (u128, Option<u64>) {
    let ledger = market.shop.ledger.to_text();
    let args = ["balance", "--ledger", &ledger, "--spender", spender];
    let (status, value) = market.cli.json(&args);
    assert_eq!(status, 0, "{value}");
    let amount = value["allowance"].as_str().unwrap().parse().unwrap();
    let until = value["allowanceExpiresAt"].as_str();
    (amount, until.map(|text| text.parse().unwrap()))
}

fn approve(market: &Market, amount: &str, spender: &str, more: &[&str]) -> (i32, Value) {
    let ledger = market.shop.ledger.to_text();
    let args = ["approve", amount, "--spender", spender, "--ledger", &ledger];
    market.cli.json(&[&args[..], more].concat())
}

#[test]
fn only_canisters_are_approved() {
    let market = Market::open("keys-approved", vec![]);
    let key = account().owner.to_text();
    for spender in [&key, "2vxsx-fae", "aaaaa-aa"] {
        let (status, value) = approve(&market, "0.05", spender, &[]);
        assert_eq!(
            (status, &value["error"]["kind"]),
            (2, &"usage".into()),
            "{value}"
        );
    }
    assert_eq!(market.shop.balance(account()), FUNDS);
    // An earlier approval can be revoked, whatever its spender is.
    let (status, value) = approve(&market, "0", "2vxsx-fae", &[]);
    assert_eq!((status, &value["amount"]), (0, &"0".into()), "{value}");
}

#[test]
fn an_approval_is_shown_and_lowers_nothing_unasked() {
    let market = Market::open("lowers", vec![]);
    let canister = market.shop.canister.to_text();
    let ledger = market.shop.ledger.to_text();
    let output = market.cli.run(&[
        "approve",
        "0.08",
        "--spender",
        &canister,
        "--ledger",
        &ledger,
        "--hours",
        "48",
    ]);
    assert!(output.status.success(), "{output:?}");
    let text = words(&output);
    for part in ["approving 80000", &canister, "until 20"] {
        assert!(text.contains(part), "{text}");
    }
    let (stands, long) = allowance(&market, &canister);
    assert_eq!(stands, 80_000);
    for less in ["0.02", "79999", "1"] {
        let (status, value) = approve(&market, less, &canister, &[]);
        assert_eq!(
            (status, &value["error"]["kind"]),
            (2, &"would_lower".into()),
            "{value}"
        );
        assert_eq!(value["error"]["allowance"], "80000");
        assert_eq!(allowance(&market, &canister), (80_000, long));
    }
    // More for a shorter time: the amount grows, and the time is not shortened.
    let (status, value) = approve(&market, "0.09", &canister, &["--hours", "1"]);
    assert_eq!(status, 0, "{value}");
    assert_eq!(allowance(&market, &canister), (90_000, long));
    let (status, value) = approve(&market, "0.01", &canister, &["--lower", "--hours", "1"]);
    assert_eq!(status, 0, "{value}");
    let (stands, short) = allowance(&market, &canister);
    assert!(stands == 10_000 && short < long);
    let (status, value) = approve(&market, "0", &canister, &[]);
    assert_eq!((status, allowance(&market, &canister).0), (0, 0), "{value}");
    let (status, value) = approve(&market, "0.01", &canister, &["--hours", "4294967295"]);
    assert_eq!(status, 2, "{value}");
}

#[test]
fn an_approval_on_the_way_stays_within_the_limit() {
    let market = Market::open("cap", vec![]);
    let (url, canister) = (market.url("/report"), market.shop.canister.to_text());
    let ledger = market.shop.ledger.to_text();
    for amount in ["50.0", "40001", "1.0"] {
        let args = [
            "pay",
            &url,
            "--asset",
            &ledger,
            "--max-amount",
            "0.03",
            "--approve",
            amount,
        ];
        let (status, value) = market.cli.json(&args);
        assert_eq!(
            (status, &value["error"]["kind"]),
            (4, &"approval_over_limit".into()),
            "{value}"
        );
    }
    assert_eq!(allowance(&market, &canister).0, 0);
    assert_eq!(market.shop.balance(account()), FUNDS);
    // Within it, and shown before it is made; an existing approval is not lowered.
    let (status, _) = approve(&market, "0.2", &canister, &[]);
    assert_eq!(status, 0);
    let (status, value) = market.json(&market.pay(&url, &[]));
    assert_eq!(status, 0, "{value}");
    assert_eq!(allowance(&market, &canister).0, 200_000 - PRICE - FEE);
}

#[test]
fn two_approvals_at_once_do_not_refuse_one_another() {
    let market = Market::open("two-approvals", vec![]);
    let (canister, ledger) = (market.shop.canister.to_text(), market.shop.ledger.to_text());
    let children: Vec<_> = ["0.05", "0.06", "0.07"]
        .map(|amount| {
            market.cli.start(&[
                "approve",
                amount,
                "--spender",
                &canister,
                "--ledger",
                &ledger,
                "--lower",
            ])
        })
        .into_iter()
        .collect();
    for child in children {
        let (status, value) = object(&child.wait_with_output().unwrap());
        assert_eq!(status, 0, "{value}");
    }
    assert!(allowance(&market, &canister).0 >= 50_000);
}

/// The shop's own 402, with other offers beside it.
fn with_offers(market: &Market, change: impl Fn(&mut Value)) -> Act {
    let request = format!(
        "GET /report HTTP/1.1\r\nhost: {}.localhost\r\n\r\n",
        market.shop.canister
    );
    let answer = cli_support::forward(
        request.as_bytes(),
        cli_support::port_of(&market.shop.replica),
    )
    .unwrap();
    let header = cli_support::header(&answer, "payment-required").unwrap();
    let mut required: Value = decode_header("PAYMENT-REQUIRED", header.as_bytes()).unwrap();
    change(&mut required);
    Act::Answer(
        402,
        vec![("PAYMENT-REQUIRED", encode_header(&required))],
        vec![],
    )
}

#[test]
fn a_quote_shows_every_offer_and_pays_nothing() {
    let market = Market::open("quote", vec![]);
    let url = market.url("/report");
    let ledger = market.shop.ledger.to_text();
    let act = with_offers(&market, |required| {
        let good = required["accepts"][0].clone();
        let mut dear = good.clone();
        dear["amount"] = json!("9000000");
        let mut elsewhere = good.clone();
        elsewhere["network"] = json!("eip155:8453\u{1b}[31m");
        required["accepts"] = json!([dear, null, elsewhere, {"scheme": "exact"}, good]);
    });
    market.gateway.unpaid(Some(act));
    let args = ["quote", &url, "--asset", &ledger, "--max-amount", "0.03"];
    // No identity is needed.
    let nobody = Cli {
        folder: market.cli.folder.clone(),
        last: market.cli.last[2..].to_vec(),
    };
    let (status, value) = nobody.json(&args);
    assert_eq!(status, 0, "{value}");
    assert_eq!(value["offers"].as_array().unwrap().len(), 1);
    assert_eq!(value["offers"][0]["total"], (PRICE + FEE).to_string());
    assert_eq!(value["offers"][0]["taken"], true);
    let refused: Vec<u64> = value["refused"]
        .as_array()
        .unwrap()
        .iter()
        .map(|refused| refused["index"].as_u64().unwrap())
        .collect();
    assert_eq!(refused, [0, 1, 2, 3]);
    let text = String::from_utf8(nobody.run(&args).stdout).unwrap();
    assert!(
        text.contains("would be taken") && text.contains("40000"),
        "{text}"
    );
    assert_eq!(text.matches("not acceptable").count(), 4, "{text}");
    assert!(!text.contains('\u{1b}'), "{text:?}");
    // Of two ledgers the one that the user names first, at any price; of one ledger the cheapest.
    let act = with_offers(&market, |required| {
        let own = required["accepts"][0].clone();
        let mut cheap = own.clone();
        cheap["amount"] = json!("29999");
        let mut other = own.clone();
        other["asset"] = json!(CKUSDC);
        other["amount"] = json!("5");
        required["accepts"] = json!([own, other, cheap]);
    });
    market.gateway.unpaid(Some(act));
    let own = (ledger.as_str(), "29999");
    let other = (CKUSDC, "5");
    for [first, second] in [[own, other], [other, own]] {
        let args = [
            "quote",
            &url,
            "--max-amount",
            "30000",
            "--asset",
            first.0,
            "--asset",
            second.0,
        ];
        let (status, value) = nobody.json(&args);
        assert_eq!(status, 0, "{value}");
        let best = &value["offers"][0];
        assert_eq!(
            (&best["asset"], &best["amount"]),
            (&first.0.into(), &first.1.into()),
            "{value}"
        );
        // There is no ckUSDC ledger on this network, so it is shown and not taken.
        for offer in value["offers"].as_array().unwrap() {
            let is_cheapest = offer["asset"] == *ledger && offer["amount"] == "29999";
            assert_eq!(offer["taken"], is_cheapest, "{value}");
            assert_eq!(
                offer["problem"].is_null(),
                offer["asset"] == *ledger,
                "{value}"
            );
        }
        assert_eq!(value["offers"].as_array().unwrap().len(), 3);
    }
    // A fee other than the ledger's is reported, and not accepted.
    let act = with_offers(&market, |required| {
        required["accepts"][0]["extra"]["fee"] = json!("1");
    });
    market.gateway.unpaid(Some(act));
    let (status, value) = nobody.json(&args);
    assert_eq!(
        (status, &value["offers"][0]["taken"]),
        (0, &false.into()),
        "{value}"
    );
    assert_eq!(value["offers"][0]["fee"], FEE.to_string());
    let (status, value) = market.json(&market.pay(&url, &[]));
    assert_eq!(
        (status, &value["error"]["kind"]),
        (3, &"fee_mismatch".into()),
        "{value}"
    );
    // No acceptable one, a free one, and none.
    let act = with_offers(&market, |required| {
        let good = required["accepts"][0].clone();
        required["accepts"] = json!([good, good, null, 1, "x"]);
    });
    market.gateway.unpaid(Some(act));
    let (status, value) = nobody.json(&["quote", &url]);
    assert_eq!(
        (status, &value["error"]["kind"]),
        (3, &"no_acceptable_offer".into()),
        "{value}"
    );
    assert_eq!(value["error"]["refused"].as_array().unwrap().len(), 5);
    market.gateway.unpaid(None);
    let (status, value) = nobody.json(&["quote", &market.url("/about")]);
    assert_eq!((status, &value["free"]), (0, &true.into()), "{value}");
    let (status, value) = nobody.json(&["quote", &market.url("/nothing")]);
    assert_eq!(
        (status, &value["error"]["kind"]),
        (1, &"http_status".into()),
        "{value}"
    );
    assert_eq!(market.shop.balance(account()), FUNDS);
    assert!(market.cli.recorded().is_empty());
}

#[test]
fn nobody_but_the_serving_canister_is_paid_unless_named() {
    let market = Market::open("spender", vec![]);
    let (canister, ledger) = (market.shop.canister.to_text(), market.shop.ledger.to_text());
    let port = market.gateway.port;
    let limit = ["--asset", &ledger, "--max-amount", "0.03"];
    // The host names another canister than the one in the parameter, or none.
    for url in [
        format!("http://{ledger}.localhost:{port}/report?canisterId={canister}"),
        format!("http://127.0.0.1:{port}/report?canisterId={ledger}"),
        format!("http://127.0.0.1:{port}/report"),
    ] {
        let act = with_offers(&market, |_| {});
        market.gateway.unpaid(Some(act));
        let (status, value) = market
            .cli
            .json(&[&["pay", &url, "--approve"], &limit[..]].concat());
        assert_eq!(
            (status, &value["error"]["kind"]),
            (3, &"no_acceptable_offer".into()),
            "{url}: {value}"
        );
    }
    assert_eq!(market.shop.balance(account()), FUNDS);
    assert_eq!(allowance(&market, &canister).0, 0);
    // Named, it is accepted.
    let url = format!("http://127.0.0.1:{port}/report");
    let named = ["quote", &url, "--spender", &canister];
    let (status, value) = market.cli.json(&[&named, &limit[..]].concat());
    assert_eq!(
        (status, &value["offers"][0]["spender"]),
        (0, &canister.into()),
        "{value}"
    );
}
