//! `receipt verify --keys` verifies signed receipts offline.

mod cli_support;

use cli_support::Cli;
use serde_json::{Value, json};

fn vectors() -> Value {
    serde_json::from_str(include_str!("../../x402-icp/tests/jws.json")).unwrap()
}

fn verify(cli: &Cli, file: &str, keys: &str, more: &[&str]) -> (i32, Value) {
    cli.json(&[&["receipt", "verify", file, "--keys", keys], more].concat())
}

fn offline(name: &str) -> Cli {
    let cli = Cli {
        last: vec![],
        ..Cli::new(name)
    };
    let vectors = vectors();
    cli.write("did.json", &vectors["didDocument"].to_string());
    cli.write("key.json", &vectors["jwk"].to_string());
    cli
}

#[test]
fn a_signed_receipt_is_verified_by_a_did_document_or_a_jwk() {
    let (cli, vectors) = (offline("signed"), vectors());
    let good = &vectors["good"][0];
    cli.write(
        "receipt.jws",
        &format!("{}\n", good["jws"].as_str().unwrap()),
    );
    let artifact = json!({"format": "jws", "signature": good["jws"]});
    cli.write("artifact.json", &artifact.to_string());
    for file in ["receipt.jws", "artifact.json"] {
        for keys in ["did.json", "key.json"] {
            let (status, value) = verify(&cli, file, keys, &[]);
            assert_eq!((status, &value["verified"]), (0, &true.into()), "{value}");
            assert_eq!(value["signedReceipt"], good["receipt"]);
        }
    }
    let output = cli.run(&["receipt", "verify", "receipt.jws", "--keys", "did.json"]);
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(text.contains("signed by a key of shop.example"), "{text}");
    let other = ["--canister", "aaaaa-aa"];
    assert_ne!(verify(&cli, "receipt.jws", "did.json", &other).0, 0);
}

#[test]
fn a_jws_by_another_key_with_another_alg_or_with_one_changed_field_is_refused() {
    let (cli, vectors) = (offline("forged"), vectors());
    for bad in vectors["bad"].as_array().unwrap() {
        cli.write("bad.jws", bad["jws"].as_str().unwrap());
        let (status, value) = verify(&cli, "bad.jws", "did.json", &[]);
        let kind = &value["error"]["kind"];
        assert_eq!((status, kind), (8, &"disproved".into()), "{bad}: {value}");
    }
    let good = vectors["good"][0]["jws"].as_str().unwrap();
    cli.write("good.jws", good);
    cli.write("receipt.json", "{\"receipt\":{}}");
    for (file, keys) in [
        ("good.jws", "good.jws"),
        ("did.json", "did.json"),
        ("receipt.json", "did.json"),
    ] {
        let (status, value) = verify(&cli, file, keys, &[]);
        assert_eq!(status, 8, "{file} {keys}: {value}");
    }
    assert_eq!(verify(&cli, "good.jws", "missing.json", &[]).0, 1);
}

/// A proof and a signature of different payments are two receipts.
#[test]
fn a_signed_receipt_of_another_payment_than_the_proven_one_is_refused() {
    let (cli, vectors) = (offline("mixed"), vectors());
    let proofs = include_str!("../../x402-icp/tests/receipts.json");
    let proofs: Value = serde_json::from_str(proofs).unwrap();
    let mut proof = proofs["good"][1]["proof"].clone();
    proof["signedReceipt"] = json!({"format": "jws", "signature": vectors["good"][0]["jws"]});
    cli.write("receipt.json", &proof.to_string());
    let root_key = ["--root-key", proofs["rootKey"].as_str().unwrap()];
    let (status, value) = verify(&cli, "receipt.json", "did.json", &root_key);
    assert_eq!(status, 8, "{value}");
    let message = value["error"]["message"].as_str().unwrap();
    assert!(
        message.contains("is not that of the proven receipt"),
        "{value}"
    );
    // The proof alone is good.
    let args = ["receipt", "verify", "receipt.json"];
    assert_eq!(cli.json(&[&args[..], &root_key].concat()).0, 0);
}
