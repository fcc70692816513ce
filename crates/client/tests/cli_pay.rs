//! The command against a shop on a live network: how it pays, and how it reports the result.

mod cli_support;
#[path = "cli_support/market.rs"]
mod market;
mod support;

use cli_support::{Act, Cli, object, words};
use market::{Market, account, refs};
use std::{fs, time::Duration};
use support::{CONTENT, FEE, FUNDS, PRICE, Shop};

#[test]
fn the_command_pays_and_says_how_it_ended() {
    let shop = Shop::open();
    let cli = Cli::on("pays", &shop.replica);
    let (report, ledger, canister) = (
        shop.url("/report"),
        shop.ledger.to_text(),
        shop.canister.to_text(),
    );
    let pay = |more: &[&str]| {
        let args = ["pay", &report, "--asset", &ledger, "--max-amount", "0.03"];
        cli.json(&[&args, more].concat())
    };
    let fails = |(status, value): (i32, serde_json::Value), code: i32, kind: &str| {
        assert_eq!(
            (status, &value["error"]["kind"]),
            (code, &kind.into()),
            "{value}"
        );
    };
    fails(pay(&[]), 4, "insufficient_funds");
    shop.fund(account(), FUNDS);
    fails(pay(&[]), 4, "insufficient_allowance");
    fails(cli.json(&["pay", &report]), 3, "no_acceptable_offer");
    fails(cli.json(&["pay", "http://localhost:1/"]), 7, "unreachable");
    // The shop's error text is shown.
    for (path, said) in [("/nothing", "not_found"), ("/o/%FF", "malformed_url")] {
        for verb in ["pay", "quote"] {
            let (status, value) = cli.json(&[verb, &shop.url(path)]);
            let message = value["error"]["message"].as_str().unwrap_or_default();
            assert_eq!(status, 1, "{value}");
            assert!(
                message.contains(&format!("({{\"error\":\"{said}\"}})")),
                "{value}"
            );
        }
    }

    let approve = [
        "approve",
        "0.08",
        "--spender",
        &canister,
        "--ledger",
        &ledger,
    ];
    let (status, approved) = cli.json(&approve);
    assert_eq!(
        (status, &approved["amount"]),
        (0, &"80000".into()),
        "{approved}"
    );
    let (status, paid) = pay(&["--check"]);
    assert_eq!((status, &paid["checked"]), (0, &true.into()), "{paid}");
    assert_eq!(
        (&paid["content"]["text"], &paid["proof"]),
        (&"the report".into(), &"receipt".into())
    );
    let id = paid["paymentId"].as_str().unwrap();
    let (_, held) = cli.json(&["balance", "--ledger", &ledger, "--spender", &canister]);
    assert_eq!(held["balance"], (FUNDS - PRICE - 2 * FEE).to_string());
    assert_eq!(held["allowance"], (80_000 - PRICE - FEE).to_string());

    let (status, receipt) = cli.json(&["receipt", id, "--canister", &canister, "--check"]);
    assert_eq!(
        (status, &receipt["receipt"]["paymentId"]),
        (0, &id.into()),
        "{receipt}"
    );
    let none = "0".repeat(64);
    fails(
        cli.json(&["receipt", &none, "--canister", &canister]),
        1,
        "no_receipt",
    );

    // Text for readers; only the content on standard output.
    let args = [
        "pay",
        &report,
        "--asset",
        &ledger,
        "--max-amount",
        "0.03",
        "--approve",
    ];
    let output = cli.run(&[&args[..], &["-o", "bought.txt"]].concat());
    assert!(
        output.status.success() && output.stdout.is_empty(),
        "{output:?}"
    );
    assert_eq!(fs::read(cli.path("bought.txt")).unwrap(), CONTENT);
    assert!(words(&output).contains("paid 30000 units"), "{output:?}");
    let output = cli.run(&[&args[..], &["-o", "-"]].concat());
    assert_eq!(output.stdout, CONTENT);
    assert_eq!(cli.run(&["pay", &shop.url("/about")]).stdout, b"about us");
    let (status, free) = cli.json(&["pay", &shop.url("/about")]);
    assert_eq!((status, &free["paid"]), (0, &false.into()), "{free}");
    fails(cli.json(&["pay", &shop.url("/nothing")]), 1, "http_status");
}

#[test]
fn an_unreachable_seller_or_network_does_not_call_an_old_payment_unpaid() {
    let market = Market::open("away", vec![Act::HangUp]);
    let url = market.url("/report");
    let (status, value) = market.json(&market.pay(&url, &["--patience", "0"]));
    assert_eq!(status, 6, "{value}");
    let id = value["error"]["paymentId"].clone();
    let away = Cli {
        folder: market.cli.folder.clone(),
        last: [
            "--identity",
            "key.pem",
            "--network",
            "local",
            "--replica",
            "http://127.0.0.1:9",
        ]
        .map(String::from)
        .to_vec(),
    };
    let args = market.pay(&url, &["--patience", "0"]);
    for args in [refs(&args), vec!["pay", "--resume", id.as_str().unwrap()]] {
        let (status, value) = away.json(&args);
        assert_eq!((status, &value["error"]["paymentId"]), (6, &id), "{value}");
    }
    // Another request has no such payment.
    let other = market.url("/report?page=2");
    let (status, value) = away.json(&["pay", &other]);
    assert_eq!(
        (status, &value["error"]["kind"]),
        (7, &"unreachable".into()),
        "{value}"
    );
}

#[test]
fn a_wait_for_another_process_ends_with_the_patience() {
    let market = Market::open("turn", vec![Act::Silent(Duration::from_secs(40))]);
    let url = market.url("/report");
    let mut first = market.cli.start(&refs(&market.pay(&url, &[])));
    cli_support::wait_for("payment", || !market.gateway.paid().is_empty());
    let (status, value) = market.json(&market.pay(&url, &["--patience", "1"]));
    assert_eq!(
        (status, &value["error"]["kind"]),
        (6, &"in_progress".into()),
        "{value}"
    );
    // Interrupted while it waits for the lock: it has sent nothing.
    let waiting = market.cli.start(&refs(&market.pay(&url, &[])));
    std::thread::sleep(Duration::from_millis(700));
    cli_support::signal(&waiting, "INT");
    let (status, value) = object(&waiting.wait_with_output().unwrap());
    assert_eq!(
        (status, &value["error"]["kind"]),
        (130, &"interrupted".into()),
        "{value}"
    );
    first.kill().unwrap();
    first.wait().unwrap();
    let (status, value) = market.json(&market.pay(&url, &[]));
    assert_eq!(status, 0, "{value}");
    assert_eq!(market.blocks(), 1);
}

#[test]
fn a_purchase_is_named_by_the_user() {
    // If a seller accepts no identifiers, a well-formed one is ignored.
    let market = Market::open("identifier", vec![]);
    let url = market.url("/report");
    let (status, value) = market.json(&market.pay(&url, &["--id", "my-own-purchase_0001"]));
    assert_eq!(status, 0, "{value}");
    for id in [
        "short",
        "fifteen-letters",
        "sixteen letters!",
        "ümlaut-ümlaut-ümlaut",
        "",
    ] {
        let (status, value) = market.json(&market.pay(&url, &["--id", id]));
        assert_eq!(
            (status, &value["error"]["kind"]),
            (2, &"usage".into()),
            "{id}: {value}"
        );
    }
    assert_eq!(market.blocks(), 1);
}
