//! `receipt`.

use super::{Common, accounts::canister_id, exit::Failure, output::Output};
use candid::Principal;
use clap::Args;
use serde_json::json;
use tollkeeper_client::{PaymentId, Receipt};

#[derive(Debug, Args)]
pub struct ReceiptArgs {
    /// The receipt's URL, or the payment's id.
    #[arg(value_name = "URL|ID")]
    receipt: String,
    /// The canister that was paid through, when the receipt is named by id.
    #[arg(long, value_parser = canister_id, value_name = "CANISTER")]
    canister: Option<Principal>,
    /// Look the block up on the ledger and compare it with the receipt.
    #[arg(long)]
    check: bool,
}

/// Shows a receipt.
pub async fn run(args: &ReceiptArgs, common: &Common, output: &Output) -> Result<(), Failure> {
    output.busy("asking for the receipt");
    let is_url = args.receipt.starts_with("http://") || args.receipt.starts_with("https://");
    let receipt = if is_url {
        Receipt::fetch(&args.receipt).await?
    } else {
        let id: PaymentId = args
            .receipt
            .parse()
            .map_err(|e| Failure::usage(format!("neither a URL nor a payment's id: it {e}")))?;
        let canister = args
            .canister
            .ok_or_else(|| Failure::usage("a payment's id needs --canister"))?;
        let identity = common.identity()?;
        let network = common.network(&identity).await?;
        Receipt::of_canister(&network, canister, id).await?
    };
    let checked = match args.check {
        false => None,
        true => {
            let identity = common.identity()?;
            let network = common.network(&identity).await?;
            output.busy("asking the ledger");
            Some(receipt.check(&network, args.canister).await?)
        }
    };
    let mut lines = describe(&receipt);
    if checked.is_some() {
        lines.push("the ledger's block bears it out".into());
    }
    output.result(
        json!({"ok": true, "receipt": receipt, "checked": checked.is_some()}),
        &lines,
    )
}

/// A receipt in words.
fn describe(receipt: &Receipt) -> Vec<String> {
    vec![
        format!("payment  {}", receipt.payment_id),
        format!("for      {} {}", receipt.method, receipt.path),
        format!(
            "amount   {} units of {} (and {} fee)",
            receipt.amount, receipt.asset, receipt.fee
        ),
        format!("payer    {}", receipt.payer),
        format!("paid to  {}", receipt.pay_to),
        format!("block    {} on {}", receipt.transaction, receipt.network),
    ]
}
