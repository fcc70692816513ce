//! The transfer that pays an invoice, as it is recorded.

use super::{InvoiceLink, invoice_id};
use crate::ledger::Wanted;
use candid::Principal;
use icrc_ledger_types::icrc1::transfer::{Memo, TransferArg};
use serde::{Deserialize, Serialize};
use std::fmt;
use x402_icp::{
    Account, Amount,
    values::{parse_account, parse_nanoseconds, parse_principal},
};

/// How long a ledger finds a repetition of a transfer, in nanoseconds.
const WINDOW: u64 = 24 * 3_600 * 1_000_000_000;
/// How much longer a ledger may take it, and how far before its time the log is read: clocks differ.
const DRIFT: u64 = 600 * 1_000_000_000;

/// A transfer that pays an invoice, recorded before it is sent. It is fixed: every time the same one is sent.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct InvoicePayment {
    /// The invoice's URL.
    pub url: Option<String>,
    /// The canister.
    pub canister: String,
    /// The invoice's id, in hex: a secret.
    pub id: String,
    /// The network, as CAIP-2 id.
    pub network: String,
    /// The ledger.
    pub ledger: String,
    /// The payer's account.
    pub from: String,
    /// Atomic units.
    pub amount: String,
    /// The ledger's fee, in atomic units.
    pub fee: String,
    /// The memo, 32 bytes in hex.
    pub memo: String,
    /// Nanoseconds since 1970-01-01.
    pub created_at_time: String,
}

impl fmt::Debug for InvoicePayment {
    /// Without the id.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "InvoicePayment({} of {} by {})",
            self.amount, self.ledger, self.from
        )
    }
}

/// The values in the texts of a record.
pub(crate) struct Read {
    pub link: InvoiceLink,
    pub ledger: Principal,
    pub from: Account,
    pub amount: Amount,
    pub fee: Amount,
    pub memo: [u8; 32],
    pub created_at: u64,
}

impl InvoicePayment {
    pub(crate) fn new(
        link: &InvoiceLink,
        network: &str,
        ledger: Principal,
        from: Account,
        (amount, fee): (Amount, Amount),
        created_at: u64,
    ) -> Self {
        InvoicePayment {
            url: link.url().map(String::from),
            canister: link.canister().to_text(),
            id: hex::encode(link.id()),
            network: network.into(),
            ledger: ledger.to_text(),
            from: from.to_string(),
            amount: amount.to_string(),
            fee: fee.to_string(),
            memo: hex::encode(rand::random::<[u8; 32]>()),
            created_at_time: created_at.to_string(),
        }
    }

    /// The account that it pays to; `None` if canister or id cannot be decoded.
    pub fn account(&self) -> Option<Account> {
        let canister = parse_principal(&self.canister).ok()?;
        Some(InvoiceLink::new(canister, invoice_id(&self.id)?).account())
    }

    /// The values; the error names what cannot be decoded.
    pub(crate) fn read(&self) -> Result<Read, &'static str> {
        let canister = parse_principal(&self.canister).map_err(|_| "canister")?;
        Ok(Read {
            link: InvoiceLink::new(canister, invoice_id(&self.id).ok_or("id")?),
            ledger: parse_principal(&self.ledger).map_err(|_| "ledger")?,
            from: parse_account(&self.from).map_err(|_| "payer")?,
            amount: self.amount.parse().map_err(|_| "amount")?,
            fee: self.fee.parse().map_err(|_| "fee")?,
            memo: invoice_id(&self.memo).ok_or("memo")?,
            created_at: parse_nanoseconds(&self.created_at_time).map_err(|_| "time")?,
        })
    }
}

impl Read {
    /// The argument of the transfer.
    pub fn argument(&self) -> TransferArg {
        TransferArg {
            from_subaccount: self.from.subaccount,
            to: self.link.account(),
            fee: Some(self.fee.0.into()),
            created_at_time: Some(self.created_at),
            memo: Some(Memo::from(self.memo.to_vec())),
            amount: self.amount.0.into(),
        }
    }

    /// What the ledger's block must show.
    pub fn wanted(&self) -> Wanted {
        Wanted {
            from: self.from,
            to: self.link.account(),
            amount: self.amount,
            memo: self.memo,
            since: self.created_at.saturating_sub(DRIFT),
        }
    }

    /// Until when the same transfer is sent again, in nanoseconds since 1970-01-01.
    pub fn repeated_until(&self) -> u64 {
        self.created_at.saturating_add(WINDOW)
    }

    /// From when on no ledger makes it any more.
    pub fn impossible_from(&self) -> u64 {
        self.repeated_until().saturating_add(DRIFT)
    }
}
