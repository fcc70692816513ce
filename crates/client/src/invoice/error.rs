//! Why an invoice was not paid, or nothing was delivered for it.

use crate::{error::PayError, plain_text::plain_text};
use candid::Principal;
use tollkeeper_types::InvoiceError;
use x402_icp::{Account, Amount};

/// What is known of the transfer that paid for an invoice which bought nothing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Sent {
    /// None was made here.
    Nothing,
    /// It is in this block of the ledger.
    Block(u64),
    /// Not known, with the reason. It stays recorded.
    Unknown(String),
}

/// The reason why an invoice was not paid, or nothing was delivered for it.
#[derive(Debug, thiserror::Error)]
pub enum InvoiceProblem {
    /// The account is not the one of this canister and this id. Nothing was sent.
    #[error(
        "the invoice shows the account {}, which is not its own ({own}): nothing was sent to it",
        plain_text(named)
    )]
    WrongAccount {
        /// The invoice's account.
        own: Account,
        /// The account that was named.
        named: String,
    },
    /// The canister answers with an error.
    #[error("canister {canister}: {}", describe(problem))]
    Refused {
        /// The canister.
        canister: Principal,
        /// Its error.
        problem: InvoiceError,
    },
    /// The canister does not answer. Nothing was sent.
    #[error("canister {canister} does not answer: {}", plain_text(problem))]
    Silent {
        /// The canister.
        canister: Principal,
        /// The problem.
        problem: String,
    },
    /// The amount is above the limit, or the ledger is not one of the payer's. Nothing was sent.
    #[error("the invoice is for {amount} units of {ledger}, {}", match limit {
        Some(limit) => format!("and at most {limit} may be paid"),
        None => "a token that this payer does not pay with".into(),
    })]
    OverLimit {
        /// The ledger.
        ledger: Principal,
        /// The amount to send, in atomic units.
        amount: Amount,
        /// The most that may be sent.
        limit: Option<Amount>,
    },
    /// It expires, or has expired. Nothing was sent.
    #[error("the invoice expires too soon to be paid, or has expired: nothing was sent")]
    Expired {
        /// When it expires, in nanoseconds since 1970-01-01.
        at: u64,
    },
    /// It has ended, and has bought nothing. What is in its account goes back.
    #[error("the invoice has ended ({status}) and bought nothing{}", told(sent))]
    Ended {
        /// How.
        status: &'static str,
        /// What is known of the payer's own transfer.
        sent: Sent,
        /// The account that gets everything back, if one was named.
        to: Option<Account>,
    },
    /// A transfer of another payer or network is recorded for it here. Nothing was sent.
    #[error("a transfer for this invoice is recorded that {0}: nothing was sent")]
    OtherPayer(String),
    /// A transfer was made for it from here before, whose record has ended, and its canister asks for money again.
    /// Nothing was sent.
    #[error(
        "this invoice was paid from here before, and its canister says that it is open: nothing was sent to it again"
    )]
    SentBefore,
    /// **The outcome is not known**, or the invoice is not paid yet. The same call goes on with the same transfer.
    #[error("the invoice is not known to be paid yet ({}); paying it again goes on with the same transfer", plain_text(.0))]
    Unsettled(String),
    /// **Paid and not delivered**: the merchant has the money, and what was bought did not come.
    #[error(
        "the invoice is paid in block {block}, but what it bought did not come: {}",
        plain_text(problem)
    )]
    NotDelivered {
        /// The block of the transfer to the merchant.
        block: String,
        /// The problem.
        problem: String,
    },
    /// The arguments are malformed.
    #[error("{0}")]
    Malformed(String),
    /// The ledger refused the transfer, which was not made; or nothing could be recorded; or another call is at work.
    #[error(transparent)]
    Pay(#[from] PayError),
}

fn told(sent: &Sent) -> String {
    match sent {
        Sent::Nothing => "; nothing was sent from here".into(),
        Sent::Block(block) => {
            format!("; the transfer in block {block} came too late or was too small")
        }
        Sent::Unknown(reason) => {
            format!(
                "; whether the transfer was made is not known: {}",
                plain_text(reason)
            )
        }
    }
}

/// An error of the canister, for a reader.
fn describe(problem: &InvoiceError) -> String {
    match problem {
        InvoiceError::InvalidArgument(problem) => {
            plain_text(&format!("{} {}", problem.field, problem.problem))
        }
        InvoiceError::UnknownInvoice => {
            "it knows no invoice with this id, or has forgotten it".into()
        }
        InvoiceError::UnknownLedger => "it does not know the ledger".into(),
        InvoiceError::NotSold => {
            "it sells nothing by invoice under this path, in this ledger and at this price".into()
        }
        InvoiceError::IdUsed => "the id was used for something else".into(),
        InvoiceError::TooManyInvoices { limit } => {
            format!("{limit} invoices are open, which is the limit")
        }
        InvoiceError::TooManyRequests { limit } => {
            format!("too many requests at present ({limit} in a row); try again in a minute")
        }
        InvoiceError::NotEnded { .. } => {
            "the invoice can still be paid, or is being paid for: nothing goes back yet".into()
        }
        InvoiceError::OtherAccount { account } => {
            format!("everything goes back to {account}, which was named before")
        }
        InvoiceError::NothingToReturn { balance, fee } => format!(
            "there is nothing to give back: {} units are in the account, and the ledger's fee is {}",
            balance.0, fee.0
        ),
        InvoiceError::InProgress => {
            "another message is at work on this invoice; try again in a minute".into()
        }
        InvoiceError::LedgerUnavailable { problem } => plain_text(problem),
        InvoiceError::Unknown => {
            "it is not known whether the money moved; the canister finds out by itself".into()
        }
    }
}

/// The name of an error of the canister, for programs.
pub(crate) fn name(problem: &InvoiceError) -> &'static str {
    match problem {
        InvoiceError::InvalidArgument(_) => "invalid_argument",
        InvoiceError::UnknownInvoice => "unknown_invoice",
        InvoiceError::UnknownLedger => "unknown_ledger",
        InvoiceError::NotSold => "not_sold",
        InvoiceError::IdUsed => "id_used",
        InvoiceError::TooManyInvoices { .. } => "too_many_invoices",
        InvoiceError::TooManyRequests { .. } => "too_many_requests",
        InvoiceError::NotEnded { .. } => "not_ended",
        InvoiceError::OtherAccount { .. } => "other_account",
        InvoiceError::NothingToReturn { .. } => "nothing_to_return",
        InvoiceError::InProgress => "in_progress",
        InvoiceError::LedgerUnavailable { .. } => "ledger",
        InvoiceError::Unknown => "unknown",
    }
}

impl InvoiceProblem {
    /// A name for programs.
    pub fn kind(&self) -> &'static str {
        match self {
            InvoiceProblem::WrongAccount { .. } => "wrong_account",
            InvoiceProblem::Refused { problem, .. } => name(problem),
            InvoiceProblem::Silent { .. } => "unreachable",
            InvoiceProblem::OverLimit { .. } => "over_limit",
            InvoiceProblem::Expired { .. } => "expired",
            InvoiceProblem::Ended { .. } => "ended",
            InvoiceProblem::OtherPayer(_) => "other_payer",
            InvoiceProblem::SentBefore => "sent_before",
            InvoiceProblem::Unsettled(_) => "unsettled",
            InvoiceProblem::NotDelivered { .. } => "not_delivered",
            InvoiceProblem::Malformed(_) => "malformed",
            InvoiceProblem::Pay(_) => "payment",
        }
    }
}
