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

/// Why a signed receipt is for another payment than the proven one; `None` if it is for the same.
fn differs(signed: &SignedReceipt, proven: &VerifiedReceipt) -> Option<&'static str> {
    let receipt = &proven.receipt;
    let details = proven.details.as_ref();
    let same = [
        ("network", signed.network == receipt.network),
        ("transaction", signed.transaction == receipt.transaction),
        (
            "payer",
            details.is_none_or(|details| details.payer.to_string() == signed.payer),
        ),
        (
            "resourceUrl",
            details.is_none_or(|details| signed.resource_url.ends_with(&details.path)),
        ),
    ];
    same.into_iter()
        .find(|(_, same)| !same)
        .map(|(field, _)| field)
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
        if let Some(field) = differs(&signed, &proven) {
            return Err(disproved(format!(
                "its {field} is not that of the proven receipt"
            )));
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
