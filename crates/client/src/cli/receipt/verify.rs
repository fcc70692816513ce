//! `receipt verify`.

use crate::cli::{
    accounts::canister_id,
    exit::{Failure, OTHER, RECEIPT},
    output::Output,
    text,
    time::utc,
};
use candid::Principal;
use clap::Args;
use serde_json::{Value, json};
use std::{
    io::Read,
    path::{Path, PathBuf},
};
use tollkeeper_client::{MAX_RECEIPT_BYTES, VerifiedReceipt, plain_text, verify_receipt};
use x402_icp::{
    network::MAINNET_ROOT_KEY_DER,
    receipt::{DetailFields, ReceiptFields},
};

#[derive(Debug, Args)]
pub struct VerifyArgs {
    /// The file with the receipt, as `receipt --save` wrote it or the query `receipt_proof` returned it; `-` reads
    /// standard input.
    #[arg(value_name = "FILE")]
    file: PathBuf,
    /// The root key of the network in hexadecimal digits (DER, 133 bytes) [default: the mainnet's].
    #[arg(long, value_parser = root_key, value_name = "HEX")]
    root_key: Option<RootKey>,
    /// The canister that the receipt has to be from. Anybody can write a canister whose receipts are lies.
    #[arg(long, value_parser = canister_id, value_name = "CANISTER")]
    canister: Option<Principal>,
    /// Verify the signed receipt in the file by these keys: the DID document of the seller's site (did.json), or a JWK.
    /// The file may be a JWS alone, too.
    #[arg(long, value_name = "FILE")]
    keys: Option<PathBuf>,
}

/// A root key, DER-encoded.
#[derive(Clone, Debug)]
struct RootKey(Vec<u8>);

fn root_key(digits: &str) -> Result<RootKey, String> {
    let key = hex::decode(digits).map_err(|_| "it is not hexadecimal".to_string())?;
    match key.len() == MAINNET_ROOT_KEY_DER.len() {
        true => Ok(RootKey(key)),
        false => Err(format!(
            "it has {} bytes, a root key has {}",
            key.len(),
            MAINNET_ROOT_KEY_DER.len()
        )),
    }
}

pub fn run(args: &VerifyArgs, output: &Output) -> Result<(), Failure> {
    let json = read(&args.file)?;
    let root_key = args.root_key.as_ref();
    let root_key = root_key.map_or(&MAINNET_ROOT_KEY_DER[..], |key| &key.0);
    if let Some(keys) = &args.keys {
        let keys = read(keys)?;
        return super::signed::run(&json, &keys, root_key, args.canister, output);
    }
    let (result, lines) = shown(&verified(&json, root_key, args.canister)?);
    output.result(result, &lines)
}

/// The verified receipt of a file.
pub fn verified(
    json: &[u8],
    root_key: &[u8],
    canister: Option<Principal>,
) -> Result<VerifiedReceipt, Failure> {
    verify_receipt(json, root_key, canister).map_err(|error| {
        let message = format!("the receipt is not verified: {error}");
        Failure::new(RECEIPT, "disproved", message)
    })
}

/// A verified receipt as an object and as text.
pub fn shown(verified: &VerifiedReceipt) -> (Value, Vec<String>) {
    let result = json!({
        "ok": true,
        "verified": true,
        "receipt": ReceiptFields::from(&verified.receipt),
        "details": verified.details.as_ref().map(DetailFields::from),
        "index": verified.index.to_string(),
        "certifiedAt": verified.certified_at.to_string(),
        "claimedStatus": verified.claimed_status,
    });
    (result, describe(verified))
}

fn read(file: &Path) -> Result<Vec<u8>, Failure> {
    let mut json = vec![];
    // One byte more than is verified, so that a larger file is refused as such.
    let most = MAX_RECEIPT_BYTES as u64 + 1;
    let done = match file.as_os_str() == "-" {
        true => std::io::stdin().take(most).read_to_end(&mut json),
        false => std::fs::File::open(file).and_then(|file| file.take(most).read_to_end(&mut json)),
    };
    match done {
        Ok(_) => Ok(json),
        Err(error) => {
            let message = format!("{}: {error}", text::path(file));
            Err(Failure::new(OTHER, "file", message))
        }
    }
}

fn describe(verified: &VerifiedReceipt) -> Vec<String> {
    let receipt = &verified.receipt;
    let mut lines = vec![
        format!(
            "verified: canister {} has settled this payment",
            receipt.canister
        ),
        format!("payment  {}", receipt.payment_id),
        format!(
            "amount   {} units of {} (and {} fee), {} with {} decimals",
            receipt.amount,
            receipt.asset,
            receipt.fee,
            plain_text(&receipt.symbol),
            receipt.decimals
        ),
        format!("paid to  {}", receipt.pay_to),
        format!(
            "block    {} on {}",
            plain_text(&receipt.transaction),
            receipt.network
        ),
        format!("settled  {}", utc(receipt.settled_at / 1_000_000_000)),
    ];
    match &verified.details {
        Some(details) => lines.extend([
            format!("payer    {}", details.payer),
            format!(
                "for      {} {}",
                plain_text(&details.method),
                plain_text(&details.path)
            ),
            format!("offer    {}", hex::encode(details.offer)),
        ]),
        None => lines.push("payer and purchase are not in the file".into()),
    }
    lines.push(format!(
        "not proven: the payment is {} now",
        plain_text(&verified.claimed_status)
    ));
    lines
}
