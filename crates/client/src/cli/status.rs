//! `status` and `forget`: recorded payments and their outcomes.

mod elsewhere;

use super::{
    Common,
    accounts::{amount_text, canister_id},
    exit::{Failure, OTHER, UNSETTLED, USAGE},
    journal::{self, Kept},
    output::Output,
    time,
};
use candid::Principal;
use clap::Args;
use serde_json::{Value, json};
use std::{
    path::{Path, PathBuf},
    sync::Arc,
};
use tollkeeper_client::{
    End, Entry, InvoicePayment, Journal, Payer, PaymentId, Resolution, SignedPayment, plain_text,
};
use x402_icp::values::parse_principal;

#[derive(Debug, Args)]
pub struct StatusArgs {
    /// A payment: its id, or a file that contains it. Without one the unresolved payments are listed.
    #[arg(value_name = "ID|FILE")]
    payment: Option<String>,
    /// The canister that collects, for a payment that is not recorded here.
    #[arg(long, value_parser = canister_id, requires = "payment", value_name = "CANISTER")]
    canister: Option<Principal>,
    /// If the canister does not know the payment yet, cancel it there: it can never be charged then.
    #[arg(long, requires = "payment", conflicts_with = "canister")]
    cancel: bool,
}

#[derive(Debug, Args)]
pub struct ForgetArgs {
    /// The payment's id.
    #[arg(value_name = "ID")]
    payment: String,
}

/// Finds a recorded payment by its id.
pub fn recorded(kept: &Kept, id: PaymentId) -> Result<Option<Entry>, Failure> {
    let mut entries = kept.entries()?.into_iter();
    Ok(entries.find(|entry| entry.payment.is(id)))
}

/// The failure for an id that is not recorded.
pub fn not_recorded(id: PaymentId) -> Failure {
    Failure::new(
        OTHER,
        "not_recorded",
        format!("payment {id} is not among the unresolved ones (tollkeeper status lists them)"),
    )
}

/// The purchase of a payment, as text.
fn about(payment: &SignedPayment) -> String {
    let accepted = &payment.payment.accepted;
    let price = match (payment.amount(), parse_principal(&accepted.asset)) {
        (Some(amount), Ok(ledger)) => amount_text(amount, ledger),
        _ => plain_text(&accepted.amount),
    };
    let until = match (payment.valid_before(), payment.block()) {
        (Some(end), _) if payment.is_call() => {
            format!(", by a call that may begin until {}", time::utc(end))
        }
        (Some(end), _) => format!(", good until {}", time::utc(end)),
        (None, Some(block)) => format!(", transferred in block {block}"),
        (None, None) => match payment.repeated_until() {
            Some(end) => format!(
                ", by a transfer whose block is not known; the same one can be sent until {}",
                time::utc(end)
            ),
            None => String::new(),
        },
    };
    format!(
        "{} {} for {price}{until}",
        plain_text(&payment.method),
        plain_text(&payment.url)
    )
}

fn object(payment: &SignedPayment, file: Option<&Path>) -> Value {
    let accepted = &payment.payment.accepted;
    json!({
        "paymentId": payment.shown_id(),
        "file": file.map(|file| file.display().to_string()),
        "method": payment.method,
        "url": payment.url,
        "network": accepted.network,
        "asset": accepted.asset,
        "amount": accepted.amount,
        "payTo": accepted.pay_to,
        "payer": payment.payment.payload.from(),
        "spender": payment.spender().map(|spender| spender.to_text()),
        "validBefore": payment.valid_before(),
        "by": payment.paid_by().as_str(),
        "transfer": payment.is_transfer().then(|| json!({
            "memo": payment.payment_id,
            "block": payment.block().map(|block| block.to_string()),
            "madeAt": payment.transfer_made_at(),
            "repeatedUntil": payment.repeated_until(),
        })),
    })
}

/// Lists the unresolved payments, or checks one.
pub async fn run(args: &StatusArgs, common: &Common, output: &Output) -> Result<(), Failure> {
    common.check()?;
    let Some(named) = &args.payment else {
        return list(&Kept::open(&common.payments()?)?, output);
    };
    let file = Path::new(named);
    let id: Option<PaymentId> = named.parse().ok();
    let kept = Kept::open(&common.payments()?)?;
    let (payment, file) = match id {
        Some(id) if std::fs::symlink_metadata(file).is_err() => {
            match (recorded(&kept, id)?, args.canister) {
                (Some(entry), _) => (entry.payment, entry.file),
                (None, Some(canister)) => {
                    return elsewhere::ask(id, canister, common, output).await;
                }
                (None, None) => {
                    let failure = not_recorded(id);
                    let message = format!(
                        "{}; name the canister that collects: --canister",
                        failure.message
                    );
                    return Err(Failure { message, ..failure });
                }
            }
        }
        _ => {
            let payment = journal::read(file)?;
            if let Some(id) = payment.id() {
                kept.is_copy(file, id);
            }
            (payment, Some(file.to_path_buf()))
        }
    };
    if args.canister.is_some() && args.canister != payment.spender() {
        let collects = payment.spender().map_or_else(String::new, |s| s.to_text());
        return Err(Failure::new(
            USAGE,
            "usage",
            format!("the recorded payment is collected by {collects}: leave --canister out"),
        ));
    }
    let identity = common.identity()?;
    let network = common.network(&identity).await?;
    let shown = output.clone();
    let payer = Payer::new(identity, network)?
        .with_journal(Arc::new(kept.clone()))
        .with_watcher(move |step| shown.step(step));
    let resolution = match args.cancel {
        true => payer.resolve(&payment).await,
        false => payer.status(&payment).await,
    };
    report(&payment, file.as_deref(), resolution, output)
}

/// Reports what is proven. A dead payment is no longer recorded.
fn report(
    payment: &SignedPayment,
    file: Option<&Path>,
    resolution: Resolution,
    output: &Output,
) -> Result<(), Failure> {
    let id = &payment.shown_id();
    let mut object = object(payment, file);
    object["ok"] = json!(true);
    let mut lines = vec![format!("payment {id}: {}", about(payment))];
    match resolution {
        Resolution::Dead { reason } => {
            object["state"] = json!("dead");
            object["reason"] = json!(reason);
            lines.push(format!("  {}", plain_text(&reason)));
            lines.push(
                match payment.is_transfer() {
                    true => "  nothing was paid, and nothing can be: the ledger proves it",
                    false => {
                        "  nothing was paid, and nothing can be: the canister and the ledger prove it"
                    }
                }
                .into(),
            );
            lines.push("  it is no longer recorded".into());
        }
        Resolution::Paid {
            block,
            state,
            refund_block,
        } => {
            object["state"] = json!(state);
            object["block"] = json!(block);
            object["refundBlock"] = json!(refund_block);
            lines.push(format!(
                "  paid in block {block} of ledger {}: the block is this payment's",
                plain_text(&payment.payment.accepted.asset)
            ));
            lines.push(match state.as_str() {
                "transferred" => {
                    "  the canister does not know it: the proof has not been presented, or was refused".into()
                }
                _ => format!(
                    "  {} according to the canister's reply, which its subnet signs",
                    plain_text(&state)
                ),
            });
            if let Some(block) = refund_block {
                lines.push(format!(
                    "  refunded in block {} according to the canister; check the account's balance",
                    plain_text(&block)
                ));
            }
            lines.push(format!(
                "  fetch what was bought: tollkeeper pay --resume {id}\n  end the record: tollkeeper forget {id}"
            ));
        }
        Resolution::Unknown { reason } => {
            let message = format!(
                "payment {id} ({}) stays recorded: {}",
                about(payment),
                plain_text(&reason)
            );
            let mut failure = Failure::new(UNSETTLED, "unsettled", message);
            if let Value::Object(details) = object {
                failure.details = details;
                failure.details.remove("ok");
            }
            return Err(failure.with("reason", json!(reason)));
        }
        _ => {
            return Err(Failure::new(
                UNSETTLED,
                "unsettled",
                format!("the kind of the outcome of payment {id} is unknown to this version"),
            ));
        }
    }
    output.result(object, &lines)
}

fn list(kept: &Kept, output: &Output) -> Result<(), Failure> {
    let mut entries = kept.entries()?;
    entries.sort_by_key(|entry| entry.payment.valid_before());
    let objects: Vec<Value> = entries
        .iter()
        .map(|entry| object(&entry.payment, entry.file.as_deref()))
        .collect();
    let mut lines: Vec<String> = entries
        .iter()
        .map(|entry| format!("{}  {}", entry.payment.shown_id(), about(&entry.payment)))
        .collect();
    let invoices = kept.invoices().map_err(journal::failure)?;
    lines.extend(invoices.iter().map(|(payment, _)| {
        let url = payment.url.as_deref().unwrap_or("URL");
        format!(
            "a transfer of {} units of ledger {} for an invoice; go on with: tollkeeper invoice pay {}",
            plain_text(&payment.amount),
            plain_text(&payment.ledger),
            plain_text(url)
        )
    }));
    let invoices: Vec<Value> = invoices.iter().map(transfer_object).collect();
    if lines.is_empty() {
        lines.push("no payment is unresolved".into());
    }
    let object = json!({"ok": true, "unresolved": objects, "invoices": invoices});
    output.result(object, &lines)
}

/// A recorded transfer for an invoice.
fn transfer_object((payment, file): &(InvoicePayment, Option<PathBuf>)) -> Value {
    json!({
        "url": payment.url,
        "file": file.as_ref().map(|file| file.display().to_string()),
        "network": payment.network,
        "asset": payment.ledger,
        "amount": payment.amount,
        "payer": payment.from,
        "memo": payment.memo,
        "createdAtTime": payment.created_at_time,
    })
}

/// Ends the record of a payment on the user's command.
pub fn forget(args: &ForgetArgs, common: &Common, output: &Output) -> Result<(), Failure> {
    common.check()?;
    let id: PaymentId = args
        .payment
        .parse()
        .map_err(|e| Failure::usage(format!("{:?} is not a payment id: it {e}", args.payment)))?;
    let kept = Kept::open(&common.payments()?)?;
    let entry = recorded(&kept, id)?.ok_or_else(|| not_recorded(id))?;
    let recorded_id = entry.payment.id().unwrap_or(id);
    kept.release(recorded_id, End::Forgotten)
        .map_err(journal::failure)?;
    let mut object = object(&entry.payment, entry.file.as_deref());
    object["ok"] = json!(true);
    object["forgotten"] = json!(true);
    let until = entry
        .payment
        .valid_before()
        .map_or_else(String::new, |end| format!(" until {}", time::utc(end)));
    let fate = match (entry.payment.is_transfer(), entry.payment.block()) {
        (true, Some(block)) => format!("its money is in block {block} of the ledger"),
        (true, None) => "if it was sent, its money may have moved".into(),
        (false, _) if entry.payment.is_call() => {
            format!(
                "if it was called, it may begin{until}; what has begun may be charged for a day, or was"
            )
        }
        (false, _) => format!("if it was sent, it may be charged{until}, or was"),
    };
    let lines = [
        format!("forgotten: payment {id}, {}", about(&entry.payment)),
        format!("{fate}; from now on the same request gets a new payment"),
    ];
    output.result(object, &lines)
}
