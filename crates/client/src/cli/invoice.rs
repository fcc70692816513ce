//! `invoice`: buying with a plain transfer.

mod problem;
mod shown;

use super::{
    Common,
    accounts::{canister_id, ledger_id, subaccount},
    content::Target,
    exit::Failure,
    journal::Kept,
    output::Output,
    pay::watch::watch,
    request::RequestArgs,
    signals::Situation,
    text,
};
use candid::Principal;
use clap::{Args, Subcommand};
use serde_json::json;
use shown::{about, left, object};
use std::{
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};
use tollkeeper_client::{Account, InvoiceLink, InvoiceOrder, Payer, Step, invoice_id};
use x402_icp::values::parse_account;

#[derive(Debug, Args)]
pub struct InvoiceCommand {
    #[command(subcommand)]
    command: Action,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// Makes an invoice for a resource: an account that anybody can pay with a plain transfer.
    Create(CreateArgs),
    /// Has the canister look for the money, and shows the invoice.
    Show(ShowArgs),
    /// Pays an invoice with a transfer from the identity's account, and gets what it buys. The same command goes on
    /// with the same transfer.
    Pay(Box<PayArgs>),
    /// Has the canister give back what is in the account of an invoice that has ended.
    Return(ReturnArgs),
}

#[derive(Debug, Args)]
struct CreateArgs {
    /// The resource.
    url: String,
    /// The token to pay with: a ledger's canister id, or the symbol of a known token.
    #[arg(long, default_value = "ckUSDC", value_parser = ledger_id, value_name = "ID|SYMBOL")]
    asset: Principal,
    /// The account that gets back, by itself, what buys nothing. It cannot be changed later. Without it, whoever knows
    /// the id names an account later (`invoice return`).
    #[arg(long, value_parser = account, value_name = "ACCOUNT")]
    refund_to: Option<Account>,
    /// The canister, if the host does not name it.
    #[arg(long, value_parser = canister_id, value_name = "CANISTER")]
    canister: Option<Principal>,
}

#[derive(Debug, Args)]
struct ShowArgs {
    /// The invoice's URL, or its id.
    #[arg(value_name = "URL|ID")]
    invoice: String,
    /// The canister: needed with an id, or if the host does not name it.
    #[arg(long, value_parser = canister_id, value_name = "CANISTER")]
    canister: Option<Principal>,
}

#[derive(Debug, Args)]
struct PayArgs {
    /// The invoice's URL.
    url: String,
    /// The canister, if the host does not name it.
    #[arg(long, value_parser = canister_id, value_name = "CANISTER")]
    canister: Option<Principal>,
    /// The most to send, without the fee of the own transfer [default: one US dollar of ckUSDC or ckUSDT].
    #[arg(long, value_name = "AMOUNT")]
    max_amount: Option<String>,
    /// The token to pay with: a ledger's canister id, or the symbol of a known token [default: ckUSDC or ckUSDT].
    #[arg(long, value_parser = ledger_id, value_name = "ID|SYMBOL")]
    asset: Option<Principal>,
    /// Pay from this subaccount, in hex.
    #[arg(long, value_parser = subaccount, value_name = "HEX")]
    subaccount: Option<[u8; 32]>,
    /// Write the content to a file instead of standard output, once it is complete.
    #[arg(short, long, value_name = "FILE")]
    output: Option<PathBuf>,
    /// How many seconds to wait until it is paid, sending the same transfer again if the ledger did not answer.
    #[arg(long, default_value_t = 120, value_parser = clap::value_parser!(u64).range(..=86_400), value_name = "SECONDS")]
    patience: u64,
}

#[derive(Debug, Args)]
struct ReturnArgs {
    /// The invoice's URL, or its id.
    #[arg(value_name = "URL|ID")]
    invoice: String,
    /// The account that gets the money. Needed unless one was named before.
    #[arg(long, value_parser = account, value_name = "ACCOUNT")]
    to: Option<Account>,
    /// The token to give back, if it is another one than the invoice's, or if the canister has forgotten the invoice.
    #[arg(long, value_parser = ledger_id, value_name = "ID|SYMBOL")]
    asset: Option<Principal>,
    /// The canister: needed with an id, or if the host does not name it.
    #[arg(long, value_parser = canister_id, value_name = "CANISTER")]
    canister: Option<Principal>,
}

fn account(text: &str) -> Result<Account, String> {
    parse_account(text).map_err(|e| format!("it {e}"))
}

/// The invoice that a URL or an id names.
fn link(named: &str, canister: Option<Principal>) -> Result<InvoiceLink, Failure> {
    match (invoice_id(named), canister) {
        (Some(id), Some(canister)) => Ok(InvoiceLink::new(canister, id)),
        (Some(_), None) => Err(Failure::usage("an id needs its canister: --canister")),
        (None, _) => InvoiceLink::parse(named, canister).map_err(|problem| {
            // The URL contains a secret, and is not repeated.
            Failure::usage(format!("the invoice: {problem}{}", hint(&problem)))
        }),
    }
}

fn hint(problem: &str) -> &'static str {
    match problem.contains("does not name") {
        true => ": name it with --canister",
        false => "",
    }
}

/// Runs one of the commands for invoices.
pub async fn run(
    command: &InvoiceCommand,
    common: &Common,
    output: &Output,
    situation: &Situation,
) -> Result<(), Failure> {
    common.check()?;
    match &command.command {
        Action::Create(args) => create(args, common, output).await,
        Action::Show(args) => show(args, common, output).await,
        Action::Pay(args) => pay(args, common, output, situation).await,
        Action::Return(args) => give_back(args, common, output).await,
    }
}

async fn create(args: &CreateArgs, common: &Common, output: &Output) -> Result<(), Failure> {
    let identity = common.identity_or_any()?;
    let network = common.network(&identity).await?;
    output.busy("making an invoice");
    let order = InvoiceOrder {
        url: args.url.clone(),
        canister: args.canister,
        ledger: args.asset,
        price: None,
        refund_to: args.refund_to,
    };
    let (link, invoice) = network.create_invoice(&order).await?;
    let mut lines = about(&link, &invoice);
    lines.push(
        "the id is a secret: who knows it, or the URL, gets what is bought and can say where money goes back to; \
         without it you cannot"
            .into(),
    );
    output.result(object(&link, &invoice), &lines)
}

async fn show(args: &ShowArgs, common: &Common, output: &Output) -> Result<(), Failure> {
    let link = link(&args.invoice, args.canister)?;
    let identity = common.identity_or_any()?;
    let network = common.network(&identity).await?;
    output.busy("asking the canister");
    let invoice = network.check_invoice(&link).await?;
    output.result(object(&link, &invoice), &about(&link, &invoice))
}

async fn pay(
    args: &PayArgs,
    common: &Common,
    output: &Output,
    situation: &Situation,
) -> Result<(), Failure> {
    let link = InvoiceLink::parse(&args.url, args.canister)
        .map_err(|problem| Failure::usage(format!("the invoice: {problem}{}", hint(&problem))))?;
    let limits = RequestArgs {
        assets: args.asset.into_iter().collect(),
        max_amounts: args.max_amount.iter().cloned().collect(),
        ..RequestArgs::default()
    };
    limits.check()?;
    let identity = common.identity()?;
    let folder = common.payments()?;
    let kept = Kept::open(&folder)?;
    let key = common.identity_file();
    let named: Vec<_> = key
        .iter()
        .map(|file| ("the payer's key", file.clone()))
        .collect();
    let target = Target::open(args.output.as_deref(), &named, &folder, output)?;
    situation.update(|known| known.part = target.part().map(Path::to_path_buf));
    let network = common.network(&identity).await?;
    let controls = limits.controls(&network).await?;
    let (shown, known, url) = (output.clone(), situation.clone(), args.url.clone());
    let mut payer = Payer::new(identity, network)?
        .with_journal(Arc::new(kept))
        .with_spend_controls(controls)
        .with_patience(Duration::from_secs(args.patience))
        .with_watcher(move |step| told(step, &url, &shown, &known));
    if let Some(subaccount) = args.subaccount {
        payer = payer.with_subaccount(subaccount);
    }
    let paid = payer.pay_invoice(&link).await?;
    situation.update(|known| known.invoice = None);
    let left = left(&link, &paid.invoice);
    output.say(format!(
        "paid: the merchant has the money, in block {}",
        paid.block
    ));
    if let Some(left) = &left {
        output.say(left);
    }
    let mut shown = object(&link, &paid.invoice);
    shown["paid"] = json!(true);
    let keep: Vec<&Path> = key.iter().map(PathBuf::as_path).collect();
    target.write(&paid.response, &keep, output, shown)
}

/// Prints what the user has to know before the next step.
fn told(step: &Step, url: &str, output: &Output, situation: &Situation) {
    match step {
        Step::InvoiceRecorded { path, again } => {
            let file = path.clone().unwrap_or_default();
            output.note(format!(
                "{} in {}",
                match again {
                    false => "the transfer is recorded",
                    true => "going on with the transfer that is recorded",
                },
                text::path(&file)
            ));
            situation.update(|known| known.invoice = Some((url.into(), file)));
        }
        other => watch(other, output, situation),
    }
}

async fn give_back(args: &ReturnArgs, common: &Common, output: &Output) -> Result<(), Failure> {
    let link = link(&args.invoice, args.canister)?;
    let identity = common.identity_or_any()?;
    let kept = Kept::open(&common.payments()?)?;
    let network = common.network(&identity).await?;
    let shown = output.clone();
    let payer = Payer::new(identity, network)?
        .with_journal(Arc::new(kept))
        .with_watcher(move |step| shown.step(step));
    output.busy("giving back");
    let returned = payer.return_invoice(&link, args.asset, args.to).await?;
    let object = json!({
        "ok": true,
        "to": returned.to.to_string(),
        "amount": returned.amount.0.to_string(),
        "block": returned.block_index.0.to_string(),
    });
    let line = format!(
        "{} units went to {} in block {}",
        returned.amount.0, returned.to, returned.block_index.0
    );
    output.result(object, &[line])
}
