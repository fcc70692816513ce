//! Invoices: bought with a plain transfer to an account of the invoice's own (`docs/invoices.md`).
//!
//! | file | what |
//! |---|---|
//! | here | what names an invoice, and what is checked of what its canister says |
//! | `record` | the transfer that pays, recorded before it leaves |
//! | `create` | an invoice is made, looked at and given back |
//!
//! `payer/invoice.rs` makes the transfer, once.

mod create;
mod error;
mod record;

pub use create::InvoiceOrder;
pub use error::{InvoiceProblem, Sent};
pub use record::InvoicePayment;
pub(crate) use record::Read as Transfer;
pub use tollkeeper_types::{Invoice, InvoiceError, InvoiceReturn, InvoiceStatus, Returned};

use crate::http::Response;
use crate::serving::{is_canister, names_canister, serving_canister};
use candid::{Nat, Principal};
use reqwest::Url;
use std::fmt;
use x402_icp::{Account, Amount, invoice};

/// The path below which a canister has its invoices.
const PATH: &str = "/x402/invoices/";

/// An invoice: its canister, its id, and its URL if that is known. The id is a secret, and is not in the debug output.
#[derive(Clone, PartialEq, Eq)]
pub struct InvoiceLink {
    canister: Principal,
    id: [u8; 32],
    url: Option<Url>,
}

impl fmt::Debug for InvoiceLink {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "InvoiceLink({})", self.account())
    }
}

/// The canister that serves a URL: the one of its host, or the one that the user names for another domain.
fn canister_of(url: &str, named: Option<Principal>) -> Result<Principal, String> {
    match (serving_canister(url), named) {
        (Some(served), Some(named)) if served != named => {
            Err(format!("canister {served} serves this URL, not {named}"))
        }
        (Some(canister), _) | (None, Some(canister)) if is_canister(canister) => Ok(canister),
        (None, None) => Err("its host does not name the canister".into()),
        (Some(other), _) | (None, Some(other)) => Err(format!("{other} is not a canister")),
    }
}

impl InvoiceLink {
    /// The invoice with this id, without a URL.
    pub fn new(canister: Principal, id: [u8; 32]) -> Self {
        let url = None;
        InvoiceLink { canister, id, url }
    }

    /// The invoice with this id, at the place of another URL of its canister. `canister`: for a domain that does not
    /// name it. Errors are messages for the user.
    pub fn beside(url: &str, canister: Option<Principal>, id: [u8; 32]) -> Result<Self, String> {
        let canister = canister_of(url, canister)?;
        let mut place = Url::parse(url).map_err(|e| e.to_string())?;
        place.set_path(&format!("{PATH}{}", hex::encode(id)));
        place.set_fragment(None);
        // A bare gateway reads the canister from there.
        let query = names_canister(url).then(|| format!("canisterId={canister}"));
        place.set_query(query.as_deref());
        Ok(InvoiceLink {
            canister,
            id,
            url: Some(place),
        })
    }

    /// The invoice of a URL, `…/x402/invoices/<id>`. `canister`: for a domain that does not name it.
    pub fn parse(url: &str, canister: Option<Principal>) -> Result<Self, String> {
        let parsed = Url::parse(url).map_err(|e| e.to_string())?;
        if !matches!(parsed.scheme(), "http" | "https") || !parsed.username().is_empty() {
            return Err("it is not a URL with http:// or https:// alone".into());
        }
        let digits = parsed.path().strip_prefix(PATH).unwrap_or_default();
        let digits = digits.strip_suffix("/content").unwrap_or(digits);
        let id = invoice_id(digits)
            .ok_or_else(|| format!("it is not the URL of an invoice, …{PATH}<id>"))?;
        Self::beside(url, canister, id)
    }

    /// The canister.
    pub fn canister(&self) -> Principal {
        self.canister
    }

    /// The id. It is a secret: who knows it gets what was bought, and may name the account that money goes back to.
    pub fn id(&self) -> &[u8; 32] {
        &self.id
    }

    /// The account that the invoice is paid to, computed from canister and id.
    pub fn account(&self) -> Account {
        invoice::account(self.canister, &self.id)
    }

    /// The URL of its page, which contains the id.
    pub fn url(&self) -> Option<&str> {
        self.url.as_ref().map(Url::as_str)
    }

    /// The URL of what it buys.
    pub(crate) fn content_url(&self) -> Option<String> {
        let mut url = self.url.clone()?;
        url.set_path(&format!("{PATH}{}/content", hex::encode(self.id)));
        Some(url.into())
    }

    /// The account, if the canister names the same one. A transfer to any other account cannot be taken back.
    pub fn check(&self, invoice: &Invoice) -> Result<Account, InvoiceProblem> {
        let account = self.account();
        let wrong = |named: &str| {
            Err(InvoiceProblem::WrongAccount {
                own: account,
                named: named.into(),
            })
        };
        let identifier = hex::encode(x402_icp::account::identifier(&account));
        match &invoice.account_identifier {
            _ if invoice.account != account => wrong(&invoice.account_text),
            _ if invoice.account_text != account.to_string() => wrong(&invoice.account_text),
            Some(named) if *named != identifier => wrong(named),
            _ => Ok(account),
        }
    }
}

/// The id in 64 hexadecimal digits in lower case, as URLs have it.
pub fn invoice_id(digits: &str) -> Option<[u8; 32]> {
    let mut id = [0; 32];
    hex::decode_to_slice(digits, &mut id).ok()?;
    (hex::encode(id) == digits).then_some(id)
}

/// An invoice that is paid, with what it bought.
#[derive(Clone, Debug, PartialEq)]
pub struct PaidInvoice {
    /// The invoice, by the word of its canister.
    pub invoice: Invoice,
    /// The block of the transfer to the merchant.
    pub block: String,
    /// What it bought.
    pub response: Response,
}

/// How far an invoice has come, for a payer.
pub(crate) enum Standing {
    Open,
    Collecting,
    /// The merchant was paid in this block.
    Paid(Nat),
    /// It ended, and bought nothing.
    Ended,
}

pub(crate) fn standing(status: &InvoiceStatus) -> Standing {
    match status {
        InvoiceStatus::Open => Standing::Open,
        InvoiceStatus::Collecting => Standing::Collecting,
        InvoiceStatus::Paid { block_index, .. } => Standing::Paid(block_index.clone()),
        InvoiceStatus::Expired
        | InvoiceStatus::Short
        | InvoiceStatus::NotSold
        | InvoiceStatus::NoRoom
        | InvoiceStatus::Refused => Standing::Ended,
    }
}

/// An amount of the canister's; the largest one if it is larger.
pub(crate) fn amount(nat: &Nat) -> Amount {
    Amount(u128::try_from(&nat.0).unwrap_or(u128::MAX))
}

#[cfg(test)]
mod tests;
