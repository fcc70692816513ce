//! `receipt verify --keys`: signed receipts.

use super::verify::verified;
use crate::cli::{
    exit::{Failure, RECEIPT},
    output::Output,
    time::utc,
};
use candid::Principal;
use serde_json::{Value, json};
use tollkeeper_client::{VerifiedReceipt, plain_text};
use x402_icp::{
    decode::decode_json,
    jws::{self, Keys, SignedReceipt},
};

/// What a file holds: a JWS, and if it is a receipt with its proof, everything.
struct File {
    jws: String,
    is_whole: bool,
}

fn disproved(problem: impl std::fmt::Display) -> Failure {
    let message = format!(
        "the signed receipt is not verified: {}",
        plain_text(&problem.to_string())
    );
    Failure::new(RECEIPT, "disproved", message)
}

/// The JWS in a file: alone, as the extension transmits it, or in a receipt with its proof.
fn read(bytes: &[u8]) -> Result<File, Failure> {
    let text = std::str::from_utf8(bytes).map_err(disproved)?.trim();
    if !text.starts_with('{') {
        return Ok(File {
            jws: text.into(),
            is_whole: false,
        });
    }
    let file: Value = decode_json("receipt", text.as_bytes()).map_err(disproved)?;
    let is_whole = file.get("receipt").is_some();
    let artifact = if is_whole {
        &file["signedReceipt"]
    } else {
        &file
    };
    let signature = artifact["signature"].as_str();
    match signature.filter(|_| artifact["format"] == "jws") {
        Some(jws) => Ok(File {
            jws: jws.into(),
            is_whole,
        }),
        None => Err(disproved("the file has none")),
    }
}

/// Why a signed receipt is not shown to be for the proven payment; `None` if it is. Without the details it is not: other
/// ledgers have a block of the same number, too.
fn differs(signed: &SignedReceipt, proven: &VerifiedReceipt) -> Option<String> {
    let receipt = &proven.receipt;
    let Some(details) = &proven.details else {
        return Some("its payer and purchase are not in the proven receipt".into());
    };
    let same = [
        ("network", signed.network == receipt.network),
        ("transaction", signed.transaction == receipt.transaction),
        ("payer", details.payer.to_string() == signed.payer),
        ("resourceUrl", path(&signed.resource_url) == details.path),
    ];
    let other = same.into_iter().find(|(_, same)| !same);
    other.map(|(field, _)| format!("its {field} is not that of the proven receipt"))
}

/// What follows the host in a URL.
fn path(url: &str) -> &str {
    let rest = url.split_once("://").map_or(url, |(_, rest)| rest);
    rest.find('/').map_or("", |at| &rest[at..])
}

/// Verifies the signed receipt in a file by these keys, and the proof if there is one, too.
pub fn run(
    file: &[u8],
    keys: &[u8],
    root_key: &[u8],
    canister: Option<Principal>,
    output: &Output,
) -> Result<(), Failure> {
    let found = read(file)?;
    let keys = Keys::read(keys).map_err(disproved)?;
    let signed = jws::verify(&found.jws, &keys).map_err(disproved)?;
    if found.is_whole {
        let proven = verified(file, root_key, canister)?;
        if let Some(problem) = differs(&signed, &proven) {
            return Err(disproved(problem));
        }
    } else if canister.is_some() {
        let message = "a signed receipt names no canister: leave --canister out";
        return Err(Failure::usage(message));
    }
    let result = json!({
        "ok": true,
        "verified": true,
        "proven": found.is_whole,
        "signedReceipt": signed,
    });
    let mut lines = vec![
        format!("verified: signed by a key of {}", plain_text(site(&signed))),
        format!("for      {}", plain_text(&signed.resource_url)),
        format!("payer    {}", plain_text(&signed.payer)),
        format!(
            "block    {} on {}",
            plain_text(&signed.transaction),
            plain_text(&signed.network)
        ),
        format!("issued   {}", utc(signed.issued_at)),
    ];
    if found.is_whole {
        lines.push("its proof is of the same payment".into());
    }
    output.result(result, &lines)
}

fn site(signed: &SignedReceipt) -> &str {
    let url = &signed.resource_url;
    let host = url.split_once("://").map_or(&**url, |(_, host)| host);
    host.split('/').next().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use tollkeeper_client::verify_receipt;

    /// A proof that is verified, and what its seller would sign.
    fn receipts(with_details: bool) -> (SignedReceipt, VerifiedReceipt) {
        let vectors = include_str!("../../../../x402-icp/tests/receipts.json");
        let vectors: Value = serde_json::from_str(vectors).unwrap();
        let root_key = hex::decode(vectors["rootKey"].as_str().unwrap()).unwrap();
        let proof = &vectors["good"][usize::from(with_details)]["proof"];
        let details = &vectors["good"][1]["proof"]["details"];
        let text = |value: &Value| value.as_str().unwrap().to_string();
        let signed = SignedReceipt {
            version: jws::VERSION,
            network: text(&proof["receipt"]["network"]),
            resource_url: format!("https://shop.example{}", text(&details["path"])),
            payer: text(&details["payer"]),
            issued_at: 1_800_000_000,
            transaction: text(&proof["receipt"]["transaction"]),
        };
        let proven = verify_receipt(proof.to_string().as_bytes(), &root_key, None);
        (signed, proven.unwrap())
    }

    /// Another payer's proof, of which the details were removed, may name a block of the same number.
    #[test]
    fn a_proof_without_its_payer_vouches_for_no_signed_receipt() {
        let (signed, proven) = receipts(true);
        assert_eq!(differs(&signed, &proven), None);
        let (signed, proven) = receipts(false);
        assert!(differs(&signed, &proven).is_some());
    }

    #[test]
    fn a_signed_receipt_for_a_longer_path_is_for_another_payment() {
        let (mut signed, proven) = receipts(true);
        signed.resource_url = signed.resource_url.replace("/report/", "/other/report/");
        let problem = differs(&signed, &proven).unwrap();
        assert!(problem.contains("resourceUrl"), "{problem}");
    }
}
