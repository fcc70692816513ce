//! Payments are recorded before they are sent: whatever happens then, one request is paid for once.

mod cli_support;
#[path = "cli_support/market.rs"]
mod market;
mod support;

use cli_support::{Act, object, recorded_in, signal, wait_for, words};
use market::{Market, account, refs};
use std::{path::PathBuf, time::Duration};
use support::{FEE, FUNDS, PRICE};
use test_ledger::testing::Fault;

#[test]
fn whatever_the_seller_does_the_same_command_sends_the_same_payment() {
    let market = Market::open("record", vec![]);
    let url = market.url("/report");
    let answer = |status| Act::Answer(status, vec![], b"no".to_vec());
    let mut paid = 0;
    for (index, act) in [
        Act::HangUp,
        Act::Swallow,
        answer(500),
        answer(404),
        answer(302),
        Act::Answer(
            200,
            vec![("PAYMENT-RESPONSE", "???".into())],
            b"goods?".to_vec(),
        ),
    ]
    .into_iter()
    .enumerate()
    {
        let shown = format!("{index}: {act:?}");
        market.gateway.then(vec![act]);
        let before = market.gateway.paid().len();
        let args = market.pay(&url, &["--patience", "0"]);
        let (status, first) = market.json(&args);
        assert!(matches!(status, 6 | 8), "{shown}: {first}");
        let id = first["error"]["paymentId"]
            .as_str()
            .unwrap_or_else(|| panic!("{shown}: {first}"));
        assert_eq!(first["error"]["resume"], id, "{shown}: {first}");
        let file = first["error"]["file"].as_str().unwrap();
        assert_eq!(market.cli.recorded(), [PathBuf::from(file)], "{shown}");
        let (_, listed) = market.cli.json(&["status"]);
        assert_eq!(
            listed["unresolved"][0]["paymentId"], id,
            "{shown}: {listed}"
        );
        // Another process with the same request.
        let (status, second) = market.json(&args);
        assert_eq!(
            (status, &second["paymentId"]),
            (0, &id.into()),
            "{shown}: {second}"
        );
        let sent = &market.gateway.paid()[before..];
        assert!(
            sent.len() >= 2 && sent.iter().all(|payment| *payment == sent[0]),
            "{shown}"
        );
        paid += 1;
        assert_eq!(market.blocks(), paid, "{shown}");
        assert_eq!(market.cli.recorded(), Vec::<PathBuf>::new(), "{shown}");
    }
}

#[test]
fn the_record_is_named_before_anything_is_sent() {
    let market = Market::open("named", vec![Act::Silent(Duration::from_secs(30))]);
    let url = market.url("/report");
    let child = market.cli.start(&refs(&market.pay(&url, &[])));
    wait_for("payment", || !market.gateway.paid().is_empty());
    let files = market.cli.recorded();
    assert_eq!(files.len(), 1);
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        let mode = |path: &PathBuf| std::fs::metadata(path).unwrap().permissions().mode() & 0o777;
        assert_eq!(mode(&files[0]), 0o600);
        assert_eq!(mode(&market.cli.payments()), 0o700);
    }
    signal(&child, "KILL");
    let output = child.wait_with_output().unwrap();
    // Killed without a message: the file was named before.
    let text = words(&output);
    assert!(text.contains(files[0].to_str().unwrap()), "{text}");
    assert!(text.contains("approving"), "{text}");
    // The next run names the payment that it continues with.
    let output = market.cli.run(&refs(&market.pay(&url, &[])));
    assert!(output.status.success(), "{output:?}");
    assert!(words(&output).contains("resuming payment"), "{output:?}");
    assert_eq!(market.blocks(), 1);
}

#[test]
fn a_signal_tells_what_is_known_and_how_to_go_on() {
    for (name, act) in [
        ("INT", Act::Silent(Duration::from_secs(30))),
        ("TERM", Act::Swallow),
    ] {
        let market = Market::open(&format!("signal-{name}"), vec![act.clone(), act]);
        let url = market.url("/report");
        let child = market
            .cli
            .start(&refs(&market.pay(&url, &["-o", "bought"])));
        wait_for("payment", || !market.gateway.paid().is_empty());
        signal(&child, name);
        let output = child.wait_with_output().unwrap();
        let (status, value) = object(&output);
        assert_eq!(
            (status, &value["error"]["kind"]),
            (6, &"interrupted".into()),
            "{value}"
        );
        let id = value["error"]["paymentId"].as_str().unwrap();
        let message = value["error"]["message"].as_str().unwrap();
        let file = market.cli.recorded()[0].display().to_string();
        assert!(
            message.contains(&file) && message.contains(&format!("--resume {id}")),
            "{message}"
        );
        assert!(!market.cli.path("bought").exists());
        market.gateway.then(vec![]);
        let (status, resumed) = market.cli.json(&["pay", "--resume", id, "-o", "bought"]);
        assert_eq!(
            (status, &resumed["paymentId"]),
            (0, &id.into()),
            "{resumed}"
        );
        assert_eq!(market.cli.read("bought"), "the report");
        assert_eq!(market.blocks(), 1);
        assert!(market.cli.recorded().is_empty());
    }
}

#[test]
fn two_at_once_pay_once_and_both_get_it() {
    // The first request is held until all three have begun: one that begins after the end of another is a purchase of
    // its own.
    let held = Act::Silent(Duration::from_secs(8));
    let market = Market::open("at-once", vec![held]);
    let url = market.url("/report");
    // The reply of the ledger is lost, so that the first one has to send again.
    market.shop.misbehave(&Fault::lost_after_transfer());
    let args = market.pay(&url, &[]);
    let children: Vec<_> = (0..3).map(|_| market.cli.start(&refs(&args))).collect();
    let results: Vec<_> = children
        .into_iter()
        .map(|child| object(&child.wait_with_output().unwrap()))
        .collect();
    for (status, value) in &results {
        assert_eq!(
            (*status, &value["content"]["text"]),
            (0, &"the report".into()),
            "{value}"
        );
    }
    // A run that waited for another's purchase gets what that one bought.
    let distinct: std::collections::BTreeSet<_> = market.gateway.paid().into_iter().collect();
    assert_eq!((market.blocks(), distinct.len()), (1, 1));
    let spent = FUNDS - market.shop.balance(account());
    assert!(spent <= 3 * (PRICE + FEE) + 3 * FEE);
    assert!(market.cli.recorded().is_empty());
    // Nothing but the ids of ended payments is left in the folder.
    for entry in std::fs::read_dir(market.cli.payments()).unwrap() {
        let name = entry.unwrap().file_name().into_string().unwrap();
        assert!(
            name.ends_with(".ended.json") || name.ends_with(".lock"),
            "{name}"
        );
    }
}

#[test]
fn other_requests_get_payments_of_their_own() {
    let market = Market::open("keys", vec![Act::HangUp, Act::HangUp, Act::HangUp]);
    let urls = ["/report", "/report?page=2", "/report?page=1"].map(|path| market.url(path));
    let (ledger, canister) = (market.shop.ledger.to_text(), market.shop.canister.to_text());
    let (status, approved) = market.cli.json(&[
        "approve",
        "0.5",
        "--spender",
        &canister,
        "--ledger",
        &ledger,
    ]);
    assert_eq!(status, 0, "{approved}");
    let mut ids = Vec::new();
    for url in &urls {
        let (status, value) = market.json(&market.pay(url, &["--patience", "0"]));
        assert_eq!(status, 6, "{value}");
        ids.push(value["error"]["paymentId"].clone());
    }
    assert_eq!(market.cli.recorded().len(), 3);
    // In another order, and with a fragment, each gets its own again.
    for index in [2, 0, 1] {
        let url = format!("{}#part", urls[index]);
        let (status, value) = market.json(&market.pay(&url, &[]));
        assert_eq!((status, &value["paymentId"]), (0, &ids[index]), "{value}");
    }
    assert_eq!(market.blocks(), 3);
}

#[test]
fn the_folder_of_payments_can_be_chosen() {
    let market = Market::open("folder", vec![Act::HangUp, Act::HangUp, Act::HangUp]);
    let url = market.url("/report");
    let args = market.pay(&url, &["--patience", "0", "--json"]);
    let run = |name: &str, value: PathBuf, more: &[&str]| {
        let args = [&refs(&args)[..], more].concat();
        object(&market.cli.command(&args).env(name, value).output().unwrap()).0
    };
    let there = market.cli.path("there");
    assert_eq!(run("TOLLKEEPER_PAYMENTS", there.clone(), &[]), 6);
    assert_eq!(recorded_in(&there).len(), 1);
    // Another journal does not contain it; its owner chose that.
    let state = market.cli.path("state");
    assert_eq!(run("XDG_STATE_HOME", state.clone(), &[]), 6);
    assert_eq!(recorded_in(&state.join("tollkeeper/payments")).len(), 1);
    assert_eq!(
        run("XDG_STATE_HOME", state, &["--payments", "here/and/below"]),
        6
    );
    assert_eq!(recorded_in(&market.cli.path("here/and/below")).len(), 1);
}
