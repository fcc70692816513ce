//! `pay`.

use super::{
    Common,
    accounts::{canister_id, decimals, ledger_id, subaccount},
    exit::{self, Failure},
    journal,
    output::Output,
};
use candid::Principal;
use clap::Args;
use serde_json::{Value, json};
use std::{
    path::{Path, PathBuf},
    time::Duration,
};
use tollkeeper_client::{
    KNOWN_TOKENS, Network, Paid, PayError, Payer, Quote, Receipt, Request, Response, SpendControls,
    parse_units,
};

#[derive(Debug, Args)]
pub struct PayArgs {
    /// The resource.
    #[arg(required_unless_present = "resume")]
    url: Option<String>,
    /// The HTTP method [default: GET, with --data POST].
    #[arg(short = 'X', long)]
    method: Option<String>,
    /// A request header, `Name: value`; may be repeated.
    #[arg(short = 'H', long = "header", value_name = "HEADER")]
    headers: Vec<String>,
    /// The request body; @FILE reads it from a file.
    #[arg(short, long)]
    data: Option<String>,
    /// The most to pay, the ledger's fee not counted [default: one US dollar of ckUSDC or ckUSDT].
    #[arg(long, value_name = "AMOUNT")]
    max_amount: Option<String>,
    /// The ledger --max-amount is for: a canister id, or the symbol of a known token [default: ckUSDC
    /// and ckUSDT].
    #[arg(long, value_parser = ledger_id, requires = "max_amount", value_name = "ID|SYMBOL")]
    asset: Option<Principal>,
    /// Accept only offers collected by this canister, whoever serves the resource.
    #[arg(long, value_parser = canister_id, value_name = "CANISTER")]
    spender: Option<Principal>,
    /// Approve the collecting canister if it may not collect enough yet: for AMOUNT, or for exactly this
    /// payment; for one hour.
    #[arg(long, num_args = 0..=1, value_name = "AMOUNT")]
    approve: Option<Option<String>>,
    /// Pay from this subaccount, in hex.
    #[arg(long, value_parser = subaccount, value_name = "HEX")]
    subaccount: Option<[u8; 32]>,
    /// Write the content to a file instead of standard output.
    #[arg(short, long, value_name = "FILE")]
    output: Option<PathBuf>,
    /// How many seconds to wait for an outcome that is not known yet, sending the same payment again.
    #[arg(long, default_value_t = 120, value_name = "SECONDS")]
    patience: u64,
    /// Where to keep the payment until its outcome is known and the content is written; by default in
    /// `tollkeeper-<payment id>.json` here.
    #[arg(long, value_name = "FILE")]
    save: Option<PathBuf>,
    /// Send a kept payment again instead of making a new one.
    #[arg(long, value_name = "FILE", conflicts_with_all = ["url", "method", "headers", "data", "max_amount", "approve"])]
    resume: Option<PathBuf>,
    /// Look the payment's block up on the ledger afterwards.
    #[arg(long)]
    check: bool,
}

/// Gets a resource, paying if need be.
pub async fn run(args: &PayArgs, common: &Common, output: &Output) -> Result<(), Failure> {
    // What can be wrong with the command line is found before anybody is asked for anything.
    let request = args
        .url
        .as_deref()
        .map(|url| args.request(url))
        .transpose()?;
    let identity = common.identity()?;
    let network = common.network(&identity).await;
    let network = network.map_err(|failure| not_sent(failure, args.resume.as_deref()))?;
    let controls = args.controls(&network).await;
    let mut payer = Payer::new(identity, network.clone())?
        .with_spend_controls(controls.map_err(|failure| not_sent(failure, args.resume.as_deref()))?)
        .with_patience(Duration::from_secs(args.patience))
        .with_watcher(output.watcher());
    if let Some(subaccount) = args.subaccount {
        payer = payer.with_subaccount(subaccount);
    }
    if let Some(spender) = args.spender {
        payer = payer.with_spender(spender);
    }
    if let Some(amount) = &args.approve {
        let amount = match amount {
            Some(text) => Some(args.units(&network, text).await?),
            None => None,
        };
        payer = payer.with_approval(amount);
    }
    let (payment, file) = match (&request, &args.resume) {
        (_, Some(file)) => (journal::read(file)?, file.clone()),
        (None, None) => return Err(Failure::usage("say what to pay for: a URL")),
        (Some(request), None) => match payer.quote(request).await? {
            Quote::Free(response) => return free(args, output, response),
            Quote::Priced(priced) => {
                let offer = payer.fund(&priced).await?;
                let payment = payer.sign(&priced, &offer)?;
                let file = journal::write(&payment, args.save.as_deref())?;
                (payment, file)
            }
        },
    };
    match payer.send(&payment).await {
        Ok(paid) => {
            // The goods are safe only when they are written; until then the payment can fetch them again.
            let checked = delivered(args, &payer, output, *paid)
                .await
                .map_err(|failure| journal::resumable(failure, &file))?;
            journal::remove(&file);
            checked
        }
        Err(error) => Err(not_bought(error, &file)),
    }
}

/// Nothing was sent. Of a payment that was kept nobody knows more than before: it may have moved its money.
fn not_sent(failure: Failure, resumed: Option<&Path>) -> Failure {
    match resumed {
        Some(file) if failure.status == exit::UNREACHABLE => {
            let unsettled = Failure::new(exit::UNSETTLED, "unsettled", failure.message);
            journal::resumable(unsettled, file)
        }
        _ => failure,
    }
}

/// Whatever kept the receipt from being checked: the money has moved, and nobody is to pay again.
fn not_checked(failure: Failure) -> Failure {
    match failure.status {
        exit::RECEIPT => failure,
        _ => {
            let message = format!("paid, but the receipt was not checked: {}", failure.message);
            Failure::new(exit::RECEIPT, "not_checked", message)
        }
    }
}

/// The payment is forgotten only if its money has not moved and never will.
fn not_bought(error: PayError, file: &Path) -> Failure {
    match &error {
        PayError::Unsettled { .. } => journal::resumable(error.into(), file),
        // To send these again brings nothing, but they prove what was signed.
        PayError::Used { .. } | PayError::NotDelivered { status: 410, .. } => {
            journal::kept(error.into(), file)
        }
        PayError::NotDelivered { .. } => journal::resumable(error.into(), file),
        _ => {
            journal::remove(file);
            error.into()
        }
    }
}

impl PayArgs {
    fn request(&self, url: &str) -> Result<Request, Failure> {
        let body = match self.data.as_deref() {
            None => Vec::new(),
            Some(data) => match data.strip_prefix('@') {
                Some(file) => {
                    std::fs::read(file).map_err(|e| Failure::usage(format!("{file}: {e}")))?
                }
                None => data.as_bytes().to_vec(),
            },
        };
        let default = if self.data.is_some() { "POST" } else { "GET" };
        let method = self.method.as_deref().unwrap_or(default);
        let mut request = Request::new(method, url, body).map_err(Failure::usage)?;
        for header in &self.headers {
            let (name, value) = header.split_once(':').ok_or_else(|| {
                Failure::usage(format!("{header:?} is no header: write Name: value"))
            })?;
            request = request.with_header(name.trim(), value.trim());
        }
        Ok(request)
    }

    async fn controls(&self, network: &Network) -> Result<SpendControls, Failure> {
        let Some(max) = &self.max_amount else {
            return Ok(SpendControls::default());
        };
        let ledgers = match self.asset {
            Some(ledger) => vec![ledger],
            None => KNOWN_TOKENS
                .iter()
                .filter(|t| t.usd)
                .map(|t| t.principal())
                .collect(),
        };
        let mut controls = SpendControls::none();
        for ledger in ledgers {
            let decimals = decimals(network, ledger).await?;
            controls = controls.allow(ledger, parse_units(max, decimals).map_err(Failure::usage)?);
        }
        Ok(controls)
    }

    /// An amount of the token that is paid with; dollars where none was named.
    async fn units(
        &self,
        network: &Network,
        text: &str,
    ) -> Result<tollkeeper_client::Amount, Failure> {
        let decimals = match self.asset {
            Some(ledger) => decimals(network, ledger).await?,
            None => 6,
        };
        parse_units(text, decimals).map_err(Failure::usage)
    }
}

fn free(args: &PayArgs, output: &Output, response: Response) -> Result<(), Failure> {
    if !(200..300).contains(&response.status) {
        let failure = Failure::new(
            exit::OTHER,
            "http_status",
            format!("{} answered HTTP {}", response.url, response.status),
        );
        return Err(failure.with("httpStatus", json!(response.status)));
    }
    output.say("free of charge");
    let object = json!({"ok": true, "paid": false, "httpStatus": response.status});
    content(args, output, &response, object)
}

/// Hands the goods over; what it returns is whether the receipt holds.
async fn delivered(
    args: &PayArgs,
    payer: &Payer,
    output: &Output,
    paid: Paid,
) -> Result<Result<(), Failure>, Failure> {
    let accepted = &paid.payment.payment.accepted;
    let block = paid
        .receipt
        .as_ref()
        .map(|receipt| receipt.transaction.clone());
    let symbol = accepted.extra["symbol"].as_str().unwrap_or("units");
    output.say(format!(
        "paid {} units of {} ({symbol}) to {}, block {}, payment {}",
        accepted.amount,
        accepted.asset,
        accepted.pay_to,
        block.as_deref().unwrap_or("unknown"),
        paid.payment.payment_id,
    ));
    for problem in &paid.problems {
        output.say(format!("warning: {problem}"));
    }
    let mut object = json!({
        "ok": true,
        "paid": true,
        "httpStatus": paid.response.status,
        "paymentId": paid.payment.payment_id,
        "network": accepted.network,
        "asset": accepted.asset,
        "amount": accepted.amount,
        "payTo": accepted.pay_to,
        "payer": paid.payment.payment.payload.from,
        "block": block,
        "receipt": paid.receipt,
        "problems": paid.problems,
    });
    let checked = match args.check {
        true => check(payer, &paid)
            .await
            .map(|()| object["checked"] = json!(true))
            .map_err(not_checked),
        false => Ok(()),
    };
    // The content was paid for: it is printed whatever the ledger says about the receipt.
    content(args, output, &paid.response, object)?;
    if args.check && checked.is_ok() {
        output.say("the ledger's block bears the receipt out");
    }
    Ok(checked)
}

/// Compares what the seller says happened with the ledger's block.
async fn check(payer: &Payer, paid: &Paid) -> Result<(), Failure> {
    let accepted = &paid.payment.payment.accepted;
    let receipt = paid.receipt.as_ref().ok_or_else(|| {
        Failure::new(
            exit::RECEIPT,
            "no_receipt",
            "the seller sent no receipt to check",
        )
    })?;
    let text = |key: &str| accepted.extra[key].as_str().unwrap_or_default().to_string();
    let claimed = Receipt {
        payment_id: paid.payment.payment_id.clone(),
        network: accepted.network.clone(),
        asset: accepted.asset.clone(),
        transaction: receipt.transaction.clone(),
        payer: paid.payment.payment.payload.from.clone(),
        pay_to: accepted.pay_to.clone(),
        amount: accepted.amount.clone(),
        fee: text("fee"),
        method: paid.payment.method.clone(),
        path: String::new(),
        settled_at: String::new(),
    };
    let spender = canister_id(&text("spender")).ok();
    claimed.check(payer.network(), spender).await?;
    Ok(())
}

/// Hands the content over: to a file, to standard output, or inside the JSON object.
fn content(
    args: &PayArgs,
    output: &Output,
    response: &Response,
    mut object: Value,
) -> Result<(), Failure> {
    let mut about = json!({
        "bytes": response.body.len(),
        "mimeType": response.header("content-type"),
    });
    if let Some(file) = &args.output {
        std::fs::write(file, &response.body)
            .map_err(|e| Failure::new(exit::OTHER, "output", format!("{}: {e}", file.display())))?;
        output.say(format!(
            "{} bytes written to {}",
            response.body.len(),
            file.display()
        ));
        about["file"] = json!(file.display().to_string());
    } else if !output.json() {
        return output.bytes(&response.body);
    } else {
        match std::str::from_utf8(&response.body) {
            Ok(text) => about["text"] = json!(text),
            Err(_) => about["base64"] = json!(x402_icp::values::to_base64(&response.body)),
        }
    }
    object["content"] = about;
    output.result(object, &[])
}

#[cfg(test)]
mod tests;
