//! Recording of signed payments before they are sent.
//!
//! A payment whose outcome is not known is a claim on the payer's money. Another request for the same resource has to
//! send that payment, and no new one. Every payment is therefore recorded under the key of its request before it leaves
//! the process, and only a proven end removes it.

mod disk;
mod file;
mod invoices;
mod memory;

pub use file::{FileJournal, remove_payment, save_payment};
pub use memory::MemoryJournal;

use crate::{invoice::InvoicePayment, payment::SignedPayment};
use sha2::{Digest, Sha256};
use std::{
    any::Any,
    fmt,
    path::PathBuf,
    time::{SystemTime, UNIX_EPOCH},
};
use x402_icp::{Account, PaymentId};

/// The least time for which the ids of ended payments stay known, in seconds.
pub const ENDED_KNOWN_SECONDS: u64 = 24 * 3_600;
/// A payment that ended this long before an unresolved payment's `validAfter` can still be in a block that is read, in
/// seconds: the log is read from a little before it, and clocks differ.
const SEARCH_MARGIN_SECONDS: u64 = 900;

/// The key of one purchase: the same request by the same payer on the same network has the same key.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RequestKey([u8; 32]);

impl RequestKey {
    /// SHA-256 over the payer's account, the network id, the method, the URL without its fragment and the SHA-256 of
    /// the body, a line each.
    pub fn new(payer: &Account, network: &str, method: &str, url: &str, body: &[u8]) -> Self {
        // The URL as it is sent: `http://Shop` and `http://shop/` are one request.
        let url = match reqwest::Url::parse(url) {
            Ok(mut parsed) => {
                parsed.set_fragment(None);
                parsed.to_string()
            }
            Err(_) => url.to_string(),
        };
        let body = hex::encode(Sha256::digest(body));
        let text = format!("{payer}\n{network}\n{method}\n{url}\n{body}");
        RequestKey(Sha256::digest(text).into())
    }

    /// The key of an invoice, whoever pays it.
    pub(crate) fn of_invoice(account: &Account) -> Self {
        RequestKey(Sha256::digest(format!("invoice\n{account}")).into())
    }
}

impl fmt::Display for RequestKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&hex::encode(self.0))
    }
}

impl fmt::Debug for RequestKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "RequestKey({self})")
    }
}

/// The reason why a payment is no longer recorded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// The resource arrived completely, with a receipt that matches the payment.
    Delivered,
    /// The collecting canister and the ledger prove that it moved no money and never will; of a transfer the ledger
    /// alone.
    Dead,
    /// The user ended the record.
    Forgotten,
}

impl End {
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            End::Delivered => "delivered",
            End::Dead => "dead",
            End::Forgotten => "forgotten",
        }
    }
}

/// A recorded payment.
#[derive(Clone, Debug, PartialEq)]
pub struct Entry {
    /// The payment.
    pub payment: SignedPayment,
    /// Its file, if it has one.
    pub file: Option<PathBuf>,
}

/// The reason why a journal operation failed. Nothing is sent then.
#[derive(Debug, thiserror::Error)]
pub enum JournalError {
    /// A file or folder cannot be used.
    #[error("{}: {problem}", path.display())]
    Io {
        /// The file or folder.
        path: PathBuf,
        /// The reason.
        problem: std::io::Error,
    },
    /// A file with the name of a payment has other content. It may have been a payment, so it is not ignored.
    #[error("{} contains no payment that can be decoded: {problem}; move it away if it is not yours", path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// The reason.
        problem: String,
    },
    /// Another payment for the same request is recorded and not resolved.
    #[error("payment {} for the same request is not resolved", .0.payment_id)]
    Unresolved(Box<SignedPayment>),
    /// The same payment is recorded for another request.
    #[error("payment {0} was made for another request")]
    OtherRequest(String),
    /// Another block is recorded for the same transfer.
    #[error("block {recorded} is recorded for transfer {id}, not block {named}")]
    OtherBlock {
        /// The payment's id.
        id: String,
        /// The recorded block.
        recorded: u64,
        /// The other one.
        named: u64,
    },
    /// The payment's id is malformed.
    #[error("{0:?} is not a payment id")]
    NotAnId(String),
}

/// Holds the lock of a request key until it is dropped.
pub type Lock = Box<dyn Any + Send>;

/// Records payments. An implementation must be durable: a payment is found after a crash once `record` has returned.
///
/// The calls block for as long as a file operation takes.
pub trait Journal: Send + Sync + fmt::Debug {
    /// Takes the lock of a request key, exclusive among all users of the same journal, including other processes.
    /// `None` if another user holds it. The lock ends when it is dropped, and when the process ends.
    fn try_lock(&self, key: &RequestKey) -> Result<Option<Lock>, JournalError>;

    /// Records a payment that is about to be sent; durable on return. Does nothing if it is recorded already.
    ///
    /// Fails if another payment of the same request is unresolved, or if this one was recorded for another request.
    fn record(&self, payment: &SignedPayment) -> Result<Entry, JournalError>;

    /// Records the block of a recorded transfer; durable on return. From then on the payment is found with it. Does
    /// nothing if no transfer of this id is recorded. Fails if another block is.
    fn record_block(&self, id: PaymentId, block: u64) -> Result<(), JournalError>;

    /// Ends a payment: it is not found any more, and its id stays known ([`Journal::ended`]).
    fn release(&self, id: PaymentId, end: End) -> Result<(), JournalError>;

    /// All unresolved payments, in no particular order.
    fn unresolved(&self) -> Result<Vec<Entry>, JournalError>;

    /// The ids of the payments that ended within the last 24 hours, or since an unresolved payment was signed. They
    /// explain blocks that are read when an unresolved payment is checked.
    fn ended(&self) -> Result<Vec<PaymentId>, JournalError>;

    /// Records the transfer that pays an invoice before it is sent; durable on return. Returns its file, if it has one.
    /// Fails if one is recorded for the same invoice.
    fn record_invoice(&self, payment: &InvoicePayment) -> Result<Option<PathBuf>, JournalError>;

    /// The recorded transfers for invoices, with their files.
    fn invoices(&self) -> Result<Vec<(InvoicePayment, Option<PathBuf>)>, JournalError>;

    /// Ends the record of the transfer for the invoice with this account; does nothing if there is none. `moved`: the
    /// money may have moved, so the account stays known ([`Journal::was_sent_to`]).
    fn release_invoice(&self, account: &Account, moved: bool) -> Result<(), JournalError>;

    /// Whether a transfer to the invoice with this account was recorded whose money may have moved, and the record has
    /// ended. Known for a year at least.
    fn was_sent_to(&self, account: &Account) -> Result<bool, JournalError>;

    /// The unresolved payment of a request.
    fn find(&self, key: &RequestKey) -> Result<Option<Entry>, JournalError> {
        let of_request = |entry: &Entry| entry.payment.keys().contains(key);
        Ok(self.unresolved()?.into_iter().find(of_request))
    }

    /// The unresolved payment with this id, its own or the canister's.
    fn with_id(&self, id: PaymentId) -> Result<Option<Entry>, JournalError> {
        let mut unresolved = self.unresolved()?.into_iter();
        Ok(unresolved.find(|entry| entry.payment.is(id)))
    }

    /// Removes a payment on the user's command. Returns whether it was recorded.
    fn forget(&self, id: PaymentId) -> Result<bool, JournalError> {
        match self.with_id(id)?.and_then(|entry| entry.payment.id()) {
            Some(id) => self.release(id, End::Forgotten).map(|()| true),
            None => Ok(false),
        }
    }
}

/// Whether a payment may be recorded beside the recorded ones; the entry if it is recorded already.
fn admit(payment: &SignedPayment, recorded: Vec<Entry>) -> Result<Option<Entry>, JournalError> {
    let keys = payment.keys();
    for entry in recorded {
        let same_request = entry.payment.keys().iter().any(|key| keys.contains(key));
        match (entry.payment.payment_id == payment.payment_id, same_request) {
            (true, true) => return Ok(Some(entry)),
            (true, false) => return Err(JournalError::OtherRequest(payment.payment_id.clone())),
            (false, true) => return Err(JournalError::Unresolved(Box::new(entry.payment))),
            (false, false) => {}
        }
    }
    Ok(None)
}

/// The time from which ended payments have to be known, in seconds since 1970-01-01.
fn known_since<'a>(unresolved: impl IntoIterator<Item = &'a SignedPayment>) -> u64 {
    unresolved
        .into_iter()
        .filter_map(SignedPayment::valid_after)
        .map(|signed| signed.saturating_sub(SEARCH_MARGIN_SECONDS))
        .fold(now().saturating_sub(ENDED_KNOWN_SECONDS), u64::min)
}

/// The recorded transfer with a block; `None` if the block is recorded already, or it is no transfer.
fn place(payment: &SignedPayment, block: u64) -> Result<Option<SignedPayment>, JournalError> {
    match payment.block() {
        Some(recorded) if recorded != block => Err(JournalError::OtherBlock {
            id: payment.payment_id.clone(),
            recorded,
            named: block,
        }),
        None if payment.has_no_block() => Ok(Some(payment.clone().with_block(block))),
        _ => Ok(None),
    }
}

fn id_of(payment: &SignedPayment) -> Result<PaymentId, JournalError> {
    payment
        .id()
        .ok_or_else(|| JournalError::NotAnId(payment.payment_id.clone()))
}

/// Unix time in seconds.
pub(crate) fn now() -> u64 {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default()
        .as_secs()
}

#[cfg(test)]
mod tests;
