//! `receipt`.

mod signed;
mod verify;

use super::{
    Common,
    accounts::{canister_id, ledger_id},
    exit::{Failure, OTHER, RECEIPT},
    output::Output,
    text,
};
use candid::Principal;
use clap::{Args, Subcommand};
use serde_json::{Map, Value, json};
use std::{
    io::Write,
    path::{Path, PathBuf},
};
use tollkeeper_client::{
    Account, CheckedField, Expected, Party, PaymentId, ProvenBy, Receipt, plain_text,
    serving_canister,
};
use verify::VerifyArgs;
use x402_icp::values::parse_account;

#[derive(Debug, Args)]
#[command(args_conflicts_with_subcommands = true, subcommand_negates_reqs = true)]
pub struct ReceiptArgs {
    #[command(subcommand)]
    command: Option<ReceiptCommand>,
    /// The receipt's URL, or the payment's id.
    #[arg(value_name = "URL|ID", required = true)]
    receipt: Option<String>,
    /// The canister that collected the payment: needed if the receipt is named by id, or by a URL whose host does not
    /// name the canister.
    #[arg(long, value_parser = canister_id, value_name = "CANISTER")]
    canister: Option<Principal>,
    /// Compare every field with the canister's own receipt, with the ledger's block, and with the expected values: the
    /// given payment id, --ledger, and --payer or the identity.
    #[arg(long)]
    check: bool,
    /// Write the receipt with its proof to a new file, for `receipt verify`. The canister is queried for it, and the
    /// proof is verified first.
    #[arg(long, conflicts_with = "check", value_name = "FILE")]
    save: Option<PathBuf>,
    /// The expected ledger: a canister id, or the symbol of a known token [default: the one that the canister names].
    #[arg(long, value_parser = ledger_id, requires = "check", value_name = "ID|SYMBOL")]
    ledger: Option<Principal>,
    /// The expected payer [default: any account of the identity, if there is one].
    #[arg(long, value_parser = account, requires = "check", value_name = "ACCOUNT")]
    payer: Option<Account>,
}

#[derive(Debug, Subcommand)]
enum ReceiptCommand {
    /// Verifies a receipt with its proof offline, with the root key of the network alone.
    Verify(VerifyArgs),
}

fn account(text: &str) -> Result<Account, String> {
    parse_account(text).map_err(|e| format!("it {e}"))
}

/// The payment id in the URL of a receipt, `…/x402/receipts/<payment id>`.
fn id_in(url: &str) -> Option<PaymentId> {
    let url = reqwest::Url::parse(url).ok()?;
    let mut segments = url.path_segments()?.rev();
    let id = segments.next()?.parse().ok()?;
    (segments.next() == Some("receipts")).then_some(id)
}

pub async fn run(args: &ReceiptArgs, common: &Common, output: &Output) -> Result<(), Failure> {
    if let Some(ReceiptCommand::Verify(args)) = &args.command {
        return verify::run(args, output);
    }
    common.check()?;
    output.busy("requesting the receipt");
    let named = args.receipt.as_deref().unwrap_or_default();
    let is_url = named.starts_with("http://") || named.starts_with("https://");
    let (asked, canister) = match is_url {
        true => (
            id_in(named),
            args.canister.or_else(|| serving_canister(named)),
        ),
        false => {
            let id: PaymentId = named
                .parse()
                .map_err(|e| Failure::usage(format!("neither a URL nor a payment's id: it {e}")))?;
            let canister = args
                .canister
                .ok_or_else(|| Failure::usage("a payment's id needs --canister"))?;
            (Some(id), Some(canister))
        }
    };
    // Any caller can do this, unless the payer must be the identity.
    let identity = common.identity_or_any()?;
    let own = common.identity_file().is_some();
    if let Some(file) = &args.save {
        let (Some(id), Some(canister)) = (asked, canister) else {
            let message =
                "the URL does not name payment and canister: give the payment's id, and --canister";
            return Err(Failure::usage(message));
        };
        let network = common.network(&identity).await?;
        let proof = Receipt::proof_of_canister(&network, canister, id).await?;
        let root_key = network.agent().read_root_key();
        let verified = verify::verified(proof.as_bytes(), &root_key, Some(canister))?;
        if verified.receipt.payment_id != id {
            let message =
                format!("canister {canister} answered with the receipt of another payment");
            return Err(Failure::new(RECEIPT, "disproved", message));
        }
        save(file, &proof)?;
        let (mut result, mut lines) = verify::shown(&verified);
        result["file"] = text::path(file).into();
        lines.push(format!("saved in {}", text::path(file)));
        return output.result(result, &lines);
    }
    let receipt = match (is_url, asked, canister) {
        (false, Some(id), Some(canister)) => {
            let network = common.network(&identity).await?;
            Receipt::of_canister(&network, canister, id).await?
        }
        _ => Receipt::fetch(named).await?,
    };
    if !args.check {
        let lines = describe(&receipt);
        return output.result(
            json!({"ok": true, "receipt": receipt, "checked": false}),
            &lines,
        );
    }
    let canister = canister.ok_or_else(|| {
        Failure::new(
            RECEIPT,
            "not_checked",
            "the receipt cannot be checked: its URL does not say which canister serves it. \
             Name the canister that you paid through: --canister",
        )
    })?;
    let network = common.network(&identity).await?;
    output.busy("querying the canister and the ledger");
    // If the receipt does not name the payer, the block does.
    let mine = (args.payer.is_none() && own).then(|| identity.principal());
    if let Some(payer) = mine.filter(|_| !receipt.payer.is_empty()) {
        paid_by(&receipt.payer, payer)?;
    }
    let mut expected = Expected::default();
    expected.id = asked;
    expected.spender = Some(canister);
    expected.payer = args.payer;
    expected.asset = args.ledger;
    let checked = receipt.check(&network, &expected).await?;
    // Else the block is from the payer that the receipt names.
    if let Some(payer) = mine.filter(|_| receipt.payer.is_empty()) {
        paid_from(&checked.block.from, payer)?;
    }
    let by_canister = |field: &CheckedField| field.proven_by == ProvenBy::Canister;
    if !checked.fields.iter().any(by_canister) {
        // The block alone proves little, because the sender of the receipt chose the ledger.
        let message = format!(
            "the receipt was not checked: canister {canister} has none for this payment, or did not answer"
        );
        return Err(Failure::new(RECEIPT, "not_checked", message));
    }
    let proof = |field: &CheckedField| match field.proven_by {
        ProvenBy::Block => Some(format!(
            "block {} of ledger {}",
            receipt.transaction, receipt.asset
        )),
        ProvenBy::Canister => Some(format!("canister {canister}, whose subnet signs")),
        ProvenBy::Nothing => None,
    };
    let proven: Map<String, Value> = checked
        .fields
        .iter()
        .map(|field| (field.field.into(), json!(proof(field))))
        .collect();
    let lines: Vec<String> = checked
        .fields
        .iter()
        .map(|field| {
            let proof = match proof(field) {
                Some(proof) => format!("proven by {proof}"),
                None => "not proven: only the sender of the receipt claims it".into(),
            };
            format!(
                "{:<12} {} ({})",
                field.field,
                plain_text(&field.value),
                plain_text(&proof)
            )
        })
        .collect();
    output.result(
        json!({"ok": true, "receipt": receipt, "checked": true, "proven": proven}),
        &lines,
    )
}

/// Writes a new file.
fn save(file: &Path, proof: &str) -> Result<(), Failure> {
    let mut new = std::fs::OpenOptions::new();
    let written = new
        .write(true)
        .create_new(true)
        .open(file)
        .and_then(|mut file| file.write_all(proof.as_bytes()));
    written.map_err(|error| Failure::new(OTHER, "file", format!("{}: {error}", text::path(file))))
}

/// A receipt with another payer proves nothing about the user's payment.
fn paid_by(account: &str, payer: Principal) -> Result<(), Failure> {
    match parse_account(account) {
        Ok(account) if account.owner == payer => Ok(()),
        _ => {
            let message = format!(
                "the receipt is another one: payer is {}, not an account of {payer} (--payer names another)",
                plain_text(account)
            );
            Err(Failure::new(RECEIPT, "disproved", message).with("field", json!("payer")))
        }
    }
}

/// The same of the payer in a block. A block of the ICP ledger does not show the owner of an account with a subaccount.
fn paid_from(party: &Party, payer: Principal) -> Result<(), Failure> {
    match party {
        Party::Identifier(_) if party.is_of(&payer) => Ok(()),
        _ => paid_by(&party.to_string(), payer),
    }
}

/// A receipt as text. All values are the sender's.
fn describe(receipt: &Receipt) -> Vec<String> {
    let text = |text: &str| match text {
        "" => "(not given)".into(),
        said => plain_text(said),
    };
    vec![
        "by the word of its sender (--check compares it with the canister and the ledger):".into(),
        format!("payment  {}", text(&receipt.payment_id)),
        format!("for      {} {}", text(&receipt.method), text(&receipt.path)),
        format!(
            "amount   {} units of {} (and {} fee)",
            text(&receipt.amount),
            text(&receipt.asset),
            text(&receipt.fee)
        ),
        format!("payer    {}", text(&receipt.payer)),
        format!("paid to  {}", text(&receipt.pay_to)),
        format!(
            "block    {} on {}",
            text(&receipt.transaction),
            text(&receipt.network)
        ),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A receipt in the ICP ledger was called another payer's.
    #[test]
    fn a_block_of_the_icp_ledger_is_the_identitys_if_it_names_its_account() {
        let (own, other) = (Principal::from_slice(&[1]), Principal::from_slice(&[2]));
        let account = Account::from(own);
        let named = Party::Identifier(x402_icp::account::identifier(&account));
        for party in [named, account.into()] {
            assert!(paid_from(&party, own).is_ok());
            let failure = paid_from(&party, other).unwrap_err();
            assert!(failure.message.contains("--payer names another"));
        }
        let part = Account {
            subaccount: Some([7; 32]),
            ..account
        };
        assert!(paid_from(&part.into(), own).is_ok());
    }

    #[test]
    fn what_a_receipt_does_not_say_is_not_left_blank() {
        let receipt: Receipt = serde_json::from_value(json!({
            "paymentId": "07".repeat(32), "network": "icp:1", "asset": "a", "transaction": "5", "payer": "",
            "payTo": "", "amount": "1", "fee": "", "method": "", "path": "", "settledAt": "",
        }))
        .unwrap();
        let lines = describe(&receipt).join("\n");
        for line in [
            "for      (not given) (not given)",
            "amount   1 units of a (and (not given) fee)",
            "payer    (not given)",
            "paid to  (not given)",
            "block    5 on icp:1",
        ] {
            assert!(lines.contains(line), "{lines}");
        }
    }
}
