//! An invoice as it is shown.

use crate::cli::{
    accounts::{amount_text, symbol},
    time,
};
use serde_json::{Value, json};
use tollkeeper_client::{Amount, Invoice, InvoiceLink, InvoiceStatus};

fn amount(nat: &candid::Nat) -> Amount {
    Amount(u128::try_from(&nat.0).unwrap_or(u128::MAX))
}

fn seconds(nanoseconds: u64) -> String {
    time::utc(nanoseconds / 1_000_000_000)
}

/// What is in the account of an invoice that has ended.
pub fn left(link: &InvoiceLink, invoice: &Invoice) -> Option<String> {
    let open = matches!(
        invoice.status,
        InvoiceStatus::Open | InvoiceStatus::Collecting
    );
    let balance = amount(&invoice.balance);
    if open || balance.0 == 0 {
        return None;
    }
    let named = invoice.returned.as_ref().map(|known| known.to);
    let how = match named.or(invoice.refund_to) {
        Some(to) => format!("it goes back to {to}"),
        None => format!(
            "tollkeeper invoice return {} --to ACCOUNT gives it back",
            link.url().unwrap_or("URL")
        ),
    };
    let money = amount_text(balance, invoice.ledger);
    Some(format!(
        "{money} more is in the account of the invoice: {how}"
    ))
}

/// The invoice for a reader. Symbol and decimals are taken from known tokens only.
pub fn about(link: &InvoiceLink, invoice: &Invoice) -> Vec<String> {
    let ledger = invoice.ledger;
    let mut lines = vec![
        format!("status:  {}", invoice.status.as_str()),
        format!("send:    {}", amount_text(amount(&invoice.amount), ledger)),
        format!("account: {}", link.account()),
    ];
    if invoice.account_identifier.is_some() {
        let identifier = x402_icp::account::identifier(&link.account());
        lines.push(format!(
            "         {} (as account identifier)",
            hex::encode(identifier)
        ));
    }
    lines.push(format!("before:  {}", seconds(invoice.expires_at)));
    lines.push(format!(
        "arrived: {}",
        amount_text(amount(&invoice.balance), ledger)
    ));
    if let InvoiceStatus::Paid { block_index, .. } = &invoice.status {
        lines.push(format!("paid:    in block {}", block_index.0));
    }
    if let Some(url) = link.url() {
        lines.push(format!("url:     {url}"));
    }
    lines.push(format!("id:      {}", hex::encode(link.id())));
    lines.extend(left(link, invoice));
    lines
}

/// The invoice for a program.
pub fn object(link: &InvoiceLink, invoice: &Invoice) -> Value {
    let returned = invoice.returned.as_ref().map(|known| {
        json!({
            "to": known.to.to_string(),
            "pending": known.pending,
            "amount": known.made.as_ref().map(|made| made.amount.0.to_string()),
            "block": known.made.as_ref().map(|made| made.block_index.0.to_string()),
        })
    });
    let block = match &invoice.status {
        InvoiceStatus::Paid { block_index, .. } => Some(block_index.0.to_string()),
        _ => None,
    };
    json!({
        "ok": true,
        "status": invoice.status.as_str(),
        "id": hex::encode(link.id()),
        "url": link.url(),
        "canister": link.canister().to_text(),
        "path": invoice.path,
        "asset": invoice.ledger.to_text(),
        "symbol": symbol(invoice.ledger),
        "amount": invoice.amount.0.to_string(),
        "price": invoice.price.0.to_string(),
        "account": link.account().to_string(),
        "payTo": invoice.pay_to.to_string(),
        "refundTo": invoice.refund_to.map(|to| to.to_string()),
        "expiresAt": invoice.expires_at.to_string(),
        "balance": invoice.balance.0.to_string(),
        "block": block,
        "returned": returned,
    })
}
