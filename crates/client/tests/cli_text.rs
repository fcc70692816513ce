//! Text of sellers, files and ledgers neither controls a terminal nor imitates the command's output.

mod cli_support;

use cli_support::{Act, Cli, Gateway};
use serde_json::json;
use std::process::Output;
use x402_icp::encode_header;

/// Colours, a clipboard write, a C1 control, a title, bidi and a line that imitates the command's.
const HOSTILE: &str = "x\u{1b}[31m\u{1b}]52;c;eA==\u{7}\u{9b}2J\u{1b}]0;t\u{7}\u{202e}\u{2028}\r\ntollkeeper: paid\npaid 1";

fn is_plain(output: &Output) {
    for bytes in [&output.stdout, &output.stderr] {
        let text = String::from_utf8_lossy(bytes);
        let hostile = |c: char| {
            (c.is_control() && c != '\n')
                || matches!(c, '\u{202a}'..='\u{202e}' | '\u{2028}' | '\u{2029}')
        };
        assert!(!text.chars().any(hostile), "{text:?}");
        assert!(
            !text.lines().any(|line| line.starts_with("paid 1")),
            "{text:?}"
        );
        assert!(
            !text.lines().any(|line| line == "tollkeeper: paid"),
            "{text:?}"
        );
    }
}

#[test]
fn strangers_text_drives_no_terminal() {
    let cli = Cli::new("text");
    let gateway = Gateway::open(9, vec![]);
    let url = format!("http://127.0.0.1:{}/x", gateway.port);
    let priced = |accepts: serde_json::Value| {
        let required = json!({
            "x402Version": 2, "error": HOSTILE, "accepts": accepts,
            "resource": {"url": HOSTILE, "description": HOSTILE}, "extensions": {HOSTILE: {"info": HOSTILE}},
        });
        Act::Answer(
            402,
            vec![("PAYMENT-REQUIRED", encode_header(&required))],
            HOSTILE.into(),
        )
    };
    let offer = |field: &str| {
        let mut offer = json!({
            "scheme": "exact", "network": "icp:1", "amount": "1", "asset": "xevnm-gaaaa-aaaar-qafnq-cai",
            "payTo": "aaaaa-aa", "maxTimeoutSeconds": 60,
            "extra": {"assetTransferMethod": "icrc2", "symbol": "ckUSDC", "decimals": 6, "fee": "10000",
                "spender": "ryjl3-tyaaa-aaaaa-aaaba-cai", "offer": "00", "method": "GET", "route": "/x", "revision": 1},
        });
        match field.strip_prefix("extra.") {
            Some(field) => offer["extra"][field] = json!(HOSTILE),
            None => offer[field] = json!(HOSTILE),
        }
        offer
    };
    let fields = [
        "scheme",
        "network",
        "amount",
        "asset",
        "payTo",
        "maxTimeoutSeconds",
        "extra.symbol",
        "extra.fee",
        "extra.spender",
        "extra.offer",
        "extra.method",
        "extra.route",
        "extra.assetTransferMethod",
        "extra.paymentFlow",
    ];
    let mut acts: Vec<Act> = fields
        .iter()
        .map(|field| priced(json!([offer(field)])))
        .collect();
    acts.push(priced(json!([HOSTILE, {HOSTILE: HOSTILE}])));
    acts.push(priced(json!(HOSTILE)));
    acts.push(Act::Answer(
        402,
        vec![("PAYMENT-REQUIRED", "?\u{9b}?".into())],
        HOSTILE.into(),
    ));
    acts.push(Act::Answer(
        404,
        vec![("content-type", "text/\u{9b}31m".into())],
        HOSTILE.into(),
    ));
    acts.push(Act::Answer(
        302,
        vec![(
            "location",
            "http://127.0.0.1:9/%1b%5d?\u{9b}\u{202e}".into(),
        )],
        vec![],
    ));
    for act in acts {
        gateway.unpaid(Some(act.clone()));
        for command in ["pay", "quote"] {
            for json in [&[][..], &["--json"]] {
                let output = cli.run(&[&[command, &url], json].concat());
                assert_ne!(output.status.code(), Some(0), "{act:?}: {output:?}");
                is_plain(&output);
            }
        }
    }
}

#[test]
fn files_and_arguments_are_text_of_strangers_too() {
    let cli = Cli::new("text-files");
    cli.write("odd.json", HOSTILE);
    cli.write(
        "payment.json",
        &json!({"method": HOSTILE, "url": HOSTILE}).to_string(),
    );
    cli.write("odd.pem", HOSTILE);
    let odd = format!("http://a/{HOSTILE}");
    for args in [
        &["pay", "--resume", "odd.json"][..],
        &["pay", "--resume", "payment.json"],
        &["pay", "--resume", HOSTILE],
        &["status", "odd.json"],
        &["status", HOSTILE],
        &["forget", HOSTILE],
        &["receipt", HOSTILE],
        &["pay", &odd, "-X", HOSTILE],
        &["pay", HOSTILE],
        &["pay", "http://127.0.0.1:9/", "-o", HOSTILE],
        &["balance", "--replica", HOSTILE],
        &["balance", "--ledger", HOSTILE],
    ] {
        for json in [&[][..], &["--json"]] {
            let output = cli.run(&[args, json].concat());
            assert_ne!(output.status.code(), Some(0), "{args:?}");
            is_plain(&output);
        }
    }
}

#[test]
fn content_goes_through_a_pipe_byte_for_byte() {
    let cli = Cli::new("text-content");
    let gateway = Gateway::open(9, vec![]);
    let url = format!("http://127.0.0.1:{}/x", gateway.port);
    for body in [HOSTILE.as_bytes(), b"\x89PNG\0\xff", b""] {
        gateway.unpaid(Some(Act::Answer(200, vec![], body.to_vec())));
        for more in [&[][..], &["-o", "-"], &["-o", "/dev/stdout"]] {
            let output = cli.run(&[&["pay", &url], more].concat());
            assert!(output.status.success(), "{output:?}");
            assert_eq!(output.stdout, body);
        }
        let (status, value) = cli.json(&["pay", &url]);
        assert_eq!(status, 0);
        let content = &value["content"];
        match std::str::from_utf8(body) {
            Ok(text) => assert_eq!(content["text"], text),
            Err(_) => assert_eq!(content["base64"], x402_icp::values::to_base64(body)),
        }
    }
}
