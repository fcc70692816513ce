//! What can go wrong on the way to a paid resource.

use crate::{http::HttpError, offer::RefusedOffer, payment::SignedPayment};
use candid::Principal;
use icrc_ledger_types::icrc2::approve::ApproveError;
use x402_icp::{Amount, Code, signer::SignerError, wire::SettleResponse};

/// Why a resource was not bought. No money has moved, unless it is [`PayError::Unsettled`] or
/// [`PayError::Used`] (it may have) or [`PayError::NotDelivered`] (the seller says that it has).
#[derive(Debug, thiserror::Error)]
pub enum PayError {
    /// The seller could not be reached; no payment was sent. (A stored payment, which may have been sent
    /// before, is [`PayError::Unsettled`] instead.)
    #[error("the seller cannot be reached: {0}")]
    Unreachable(HttpError),
    /// The 402 cannot be read.
    #[error("the seller's offer cannot be read: {0}")]
    UnreadableOffer(String),
    /// No offer may be accepted.
    #[error("no offer is acceptable{}", list(.0))]
    NoAcceptableOffer(Vec<RefusedOffer>),
    /// The payer's account does not hold enough.
    #[error(
        "the account holds {balance} units of {asset}, {needed} are needed with the ledger's fees"
    )]
    InsufficientFunds {
        /// The ledger.
        asset: Principal,
        /// Atomic units, fees included.
        needed: Amount,
        /// Atomic units.
        balance: Amount,
    },
    /// The canister that collects the payment may not take enough.
    #[error(
        "{spender} may take {allowance} units of {asset}, {needed} are needed with the ledger's fee: \
         approve it first (--approve)"
    )]
    NeedsApproval {
        /// The ledger.
        asset: Principal,
        /// Who collects.
        spender: Principal,
        /// Atomic units, the fee included.
        needed: Amount,
        /// Atomic units.
        allowance: Amount,
    },
    /// The ledger did not answer as hoped.
    #[error(transparent)]
    Ledger(#[from] LedgerError),
    /// The key did not sign.
    #[error(transparent)]
    Signer(#[from] SignerError),
    /// The seller refused the payment, and says why. The collecting canister has confirmed that the payment
    /// moved no money and never will.
    #[error("the payment was refused: {reason}{}", explain(.message))]
    Refused {
        /// The reason as a code of the binding, if it is one.
        code: Option<Code>,
        /// The reason as sent.
        reason: String,
        /// The seller's words.
        message: Option<String>,
    },
    /// **The outcome is not known**: the money may have moved. Send the same payment again later
    /// ([`crate::Payer::send`]); a new one might pay twice.
    #[error("the outcome of payment {} is not known yet ({reason}); send the same payment again, not a new one", payment.payment_id)]
    Unsettled {
        /// What to send again.
        payment: Box<SignedPayment>,
        /// What the last attempt met.
        reason: String,
    },
    /// **The payment was used before**, for another request or too long ago to be answered again: its
    /// money has moved or may have.
    #[error(
        "payment {} was used before ({reason}{}){}; its money has moved or may have, so look before paying anew",
        payment.payment_id,
        explain(.message),
        at_block(.block)
    )]
    Used {
        /// The payment.
        payment: Box<SignedPayment>,
        /// The reason as sent: `duplicate_settlement` or `invalid_exact_icp_nonce_used`.
        reason: String,
        /// The seller's words.
        message: Option<String>,
        /// The ledger's block that settled it, if the seller names one.
        block: Option<String>,
    },
    /// **Paid and not delivered**: the seller says that the payment is settled, and does not hand the
    /// resource over. Unless it is gone (410), the same payment may fetch it later ([`crate::Payer::send`]).
    #[error(
        "payment {} is settled{}, but the resource was not delivered (HTTP {status}){}",
        payment.payment_id,
        at_block(&Some(receipt.transaction.clone())),
        warn(.problems)
    )]
    NotDelivered {
        /// The payment.
        payment: Box<SignedPayment>,
        /// The status of the answer that came with the receipt.
        status: u16,
        /// The seller's receipt.
        receipt: Box<SettleResponse>,
        /// What in the receipt is not what was agreed; empty if all is well.
        problems: Vec<String>,
    },
}

/// A call to a ledger failed.
#[derive(Debug, thiserror::Error)]
pub enum LedgerError {
    /// The call or its reply.
    #[error("{method} of ledger {ledger} failed: {problem}")]
    Call {
        /// The ledger.
        ledger: Principal,
        /// The method.
        method: &'static str,
        /// What went wrong.
        problem: String,
    },
    /// The ledger refused the approval.
    #[error("ledger {ledger} refused the approval: {problem}")]
    Approve {
        /// The ledger.
        ledger: Principal,
        /// Why.
        problem: ApproveError,
    },
    /// A number too large to be money.
    #[error("{method} of ledger {ledger} answered a number above 2^128")]
    TooLarge {
        /// The ledger.
        ledger: Principal,
        /// The method.
        method: &'static str,
    },
    /// The ledger has no such block.
    #[error("ledger {ledger} has no block {index}")]
    NoBlock {
        /// The ledger.
        ledger: Principal,
        /// The block's index.
        index: String,
    },
}

fn list(refused: &[RefusedOffer]) -> String {
    match refused {
        [] => ": there is none".into(),
        _ => refused.iter().map(|offer| format!("\n  {offer}")).collect(),
    }
}

fn explain(message: &Option<String>) -> String {
    message
        .as_ref()
        .map(|message| format!(" ({message})"))
        .unwrap_or_default()
}

fn at_block(block: &Option<String>) -> String {
    match block.as_deref() {
        None | Some("") => String::new(),
        Some(block) => format!(" in block {block}"),
    }
}

fn warn(problems: &[String]) -> String {
    problems
        .iter()
        .map(|problem| format!("\n  warning: {problem}"))
        .collect()
}
