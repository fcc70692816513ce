//! Errors of a purchase.

use crate::{
    http::HttpError, journal::JournalError, offer::RefusedOffer, payment::SignedPayment,
    plain_text::plain_text,
};
use candid::Principal;
use icrc_ledger_types::{icrc1::transfer::TransferError, icrc2::approve::ApproveError};
use x402_icp::{Amount, Code, signer::SignerError, wire::SettleResponse};

/// The reason why a resource was not bought. No money has moved, except for [`PayError::Unsettled`] and
/// [`PayError::Used`] (it may have), [`PayError::ProofRefused`] (it has) and [`PayError::NotDelivered`] (the seller says
/// that it has).
///
/// Texts of strangers are kept unchanged in the fields, and made safe ([`plain_text`]) in the message.
#[derive(Debug, thiserror::Error)]
pub enum PayError {
    /// The seller could not be reached; no payment was sent. (A stored payment, which may have been sent before, is
    /// [`PayError::Unsettled`] instead.)
    #[error("the seller cannot be reached: {0}")]
    Unreachable(HttpError),
    /// The 402 cannot be decoded.
    #[error("the seller's offer cannot be decoded: {}", plain_text(.0))]
    UnreadableOffer(String),
    /// The price was found after a redirect to another origin or another request. To pay there, send the request there.
    #[error(
        "the price was found at {}, {}: to pay there, send the request there",
        plain_text(url),
        plain_text(problem)
    )]
    Redirected {
        /// The URL with the price.
        url: String,
        /// The difference.
        problem: String,
    },
    /// Another call or process is paying for the same request. This call paid nothing.
    #[error("another call or process is paying for the same request")]
    InProgress,
    /// Too many payments to this canister are unresolved. This call paid nothing.
    #[error("{limit} payments to {spender} are not resolved: resolve or forget some first")]
    TooManyUnresolved {
        /// The collecting canister.
        spender: Principal,
        /// The limit.
        limit: usize,
    },
    /// The journal cannot be read or written, so this call sent no payment. It may contain one that was sent before.
    #[error("no payment was sent, because the record of payments cannot be used: {0}")]
    Journal(#[from] JournalError),
    /// The payment's header would be longer than any canister accepts. Nothing was signed.
    #[error(
        "the payment would be {actual} bytes long, at most {limit} are read: the offer is too long"
    )]
    TooLong {
        /// The most bytes.
        limit: usize,
        /// The actual length.
        actual: usize,
    },
    /// The identity's delegation does not allow this payment. Nothing was signed.
    #[error("the identity's delegation cannot pay: {0}")]
    Delegation(String),
    /// The network was opened with another identity. Its calls would move that one's money.
    #[error(
        "the network speaks for {caller}, and {payer} pays: open the network with the payer's identity"
    )]
    OtherIdentity {
        /// The identity that the network's calls are made with.
        caller: Principal,
        /// The payer's.
        payer: Principal,
    },
    /// Signing takes so long that the payment would expire. The signed payment was discarded.
    #[error(
        "signing took so long that too little of the {seconds} s are left that the seller allows"
    )]
    SlowSigner {
        /// The offer's `maxTimeoutSeconds`.
        seconds: u32,
    },
    /// The ledger's fee is not the offer's.
    #[error(
        "the fee of {asset} is {ledger} units, the offer says {offered}: the collecting canister was asked to look, \
         which it does once in five minutes at most; try again then"
    )]
    FeeMismatch {
        /// The ledger.
        asset: Principal,
        /// The offered fee, in atomic units.
        offered: Amount,
        /// The ledger's fee, in atomic units.
        ledger: Amount,
    },
    /// The canister does not confirm the offer that came over HTTP, so no transfer and no call was made. A gateway could
    /// have put another recipient into it, and a transfer cannot be taken back.
    #[error(
        "canister {canister} does not confirm the offer, so nothing was paid: {}",
        plain_text(problem)
    )]
    Unconfirmed {
        /// The canister.
        canister: Principal,
        /// The problem.
        problem: String,
    },
    /// The request has a part that a call cannot send: the method `pay` takes a method and a path. Nothing was paid.
    #[error(
        "a call of `pay` says method and path only, and this request has {part}: pay by allowance"
    )]
    NotByCall {
        /// The part: a body, a query, headers or a payment identifier.
        part: &'static str,
    },
    /// The requested approval is above the limit for one payment and its fee.
    #[error("an approval of {asked} units of {asset} is above the limit of {limit}")]
    ApprovalOverLimit {
        /// The ledger.
        asset: Principal,
        /// Atomic units.
        asked: Amount,
        /// The most that may be paid at once, and the ledger's fee.
        limit: Amount,
    },
    /// Only the canister whose host was typed, or one that the user names, gets an allowance.
    #[error("no allowance is given to {spender}: {problem}")]
    NoApproval {
        /// The spender that would get it.
        spender: Principal,
        /// The reason.
        problem: &'static str,
    },
    /// No offer is acceptable.
    #[error("no offer is acceptable{}", list(.0))]
    NoAcceptableOffer(Vec<RefusedOffer>),
    /// The balance of the payer's account is too small.
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
    /// The allowance of the collecting canister is too small.
    #[error(
        "{spender} may take {allowance} units of {asset}{}, {needed} are needed with the ledger's fee{}: \
         approve it first (--approve)",
        .ends_in.map(|seconds| format!(" for {seconds} s more")).unwrap_or_default(),
        .ends_in.map(|_| " for longer").unwrap_or_default()
    )]
    NeedsApproval {
        /// The ledger.
        asset: Principal,
        /// The collecting canister.
        spender: Principal,
        /// Atomic units, the fee included.
        needed: Amount,
        /// Atomic units.
        allowance: Amount,
        /// The seconds until the allowance ends, if that is before the payment's end.
        ends_in: Option<u64>,
    },
    /// A call to the ledger failed.
    #[error(transparent)]
    Ledger(#[from] LedgerError),
    /// The key did not sign.
    #[error(transparent)]
    Signer(#[from] SignerError),
    /// The seller refused the payment, and names the reason. The collecting canister has confirmed that the payment
    /// moved no money and never will.
    #[error("the payment was refused: {}{}", plain_text(reason), explain(.message))]
    Refused {
        /// The reason as a code of the binding, if it is one.
        code: Option<Code>,
        /// The reason as sent.
        reason: String,
        /// The seller's message.
        message: Option<String>,
    },
    /// **The outcome is not known**: the money may have moved. Send the same payment again later
    /// ([`crate::Payer::send`]); a new one might pay twice.
    #[error(
        "the outcome of payment {} is not known yet ({}); send the same payment again, not a new one",
        payment.shown_id(),
        plain_text(reason)
    )]
    Unsettled {
        /// The payment to send again.
        payment: Box<SignedPayment>,
        /// The result of the last attempt.
        reason: String,
    },
    /// **The payment was used before**, for another request or too long ago to be answered again: its money has moved
    /// or may have.
    #[error(
        "payment {} was used before ({}{}){}; its money has moved or may have, so check before you pay again",
        payment.shown_id(),
        plain_text(reason),
        explain(.message),
        at_block(.block)
    )]
    Used {
        /// The payment.
        payment: Box<SignedPayment>,
        /// The reason as sent: `duplicate_settlement` or `invalid_exact_icp_nonce_used`.
        reason: String,
        /// The seller's message.
        message: Option<String>,
        /// The ledger's block that settled it, if the seller names one.
        block: Option<String>,
    },
    /// **The proof of a transfer was refused**: the payer's own transfer is in the block, and the seller does not deliver
    /// for it. No other transfer is made for this request: the payment stays recorded, and may be presented again. A
    /// transfer that the canister has taken for one that pays nothing is refunded ([`crate::Payer::status`]).
    #[error(
        "payment {}: the transfer is in block {block} of ledger {}, and its proof was refused ({}{}); the money has moved",
        payment.shown_id(),
        plain_text(&payment.payment.accepted.asset),
        plain_text(reason),
        explain(.message)
    )]
    ProofRefused {
        /// The payment.
        payment: Box<SignedPayment>,
        /// The block of the transfer.
        block: u64,
        /// The reason as sent.
        reason: String,
        /// The seller's message.
        message: Option<String>,
    },
    /// **Paid and not delivered**: the seller says that the payment is settled, and does not deliver the resource.
    /// Unless it is gone (410), the same payment may fetch it later ([`crate::Payer::send`]).
    #[error(
        "payment {} is settled{}, but the resource was not delivered (HTTP {status})",
        payment.shown_id(),
        at_block(&Some(receipt.transaction.clone()))
    )]
    NotDelivered {
        /// The payment.
        payment: Box<SignedPayment>,
        /// The status of the response that came with the receipt.
        status: u16,
        /// The seller's receipt, which matches the payment; or the answer of canister and ledger instead.
        receipt: Box<SettleResponse>,
    },
}

/// A call to a ledger failed.
#[derive(Debug, thiserror::Error)]
pub enum LedgerError {
    /// The call or its reply.
    #[error("{method} of ledger {ledger} failed: {}", plain_text(problem))]
    Call {
        /// The ledger.
        ledger: Principal,
        /// The method.
        method: &'static str,
        /// The problem.
        problem: String,
    },
    /// The ledger refused the approval.
    #[error("ledger {ledger} refused the approval: {}", plain_text(&problem.to_string()))]
    Approve {
        /// The ledger.
        ledger: Principal,
        /// The reason.
        problem: ApproveError,
    },
    /// The ledger refused the transfer: it was not made.
    #[error("ledger {ledger} refused the transfer: {}", plain_text(&problem.to_string()))]
    Transfer {
        /// The ledger.
        ledger: Principal,
        /// The reason.
        problem: TransferError,
    },
    /// A number above 2^128.
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
        .map(|message| format!(" ({})", plain_text(message)))
        .unwrap_or_default()
}

fn at_block(block: &Option<String>) -> String {
    match block.as_deref() {
        None | Some("") => String::new(),
        Some(block) => format!(" in block {}", plain_text(block)),
    }
}
