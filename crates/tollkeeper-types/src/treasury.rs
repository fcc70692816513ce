//! What the canister has and owes, withdrawals, refunds, and doubts that a controller resolves.

use crate::{AccountArg, InvalidArgument};
use candid::{CandidType, Nat, Principal};
use serde::Deserialize;
use serde_bytes::ByteBuf;

/// The outcome of a transfer in doubt.
#[derive(Clone, Debug, PartialEq, Eq, CandidType, Deserialize)]
#[allow(missing_docs)]
pub enum ResolvedOutcome {
    Moved { block_index: Nat },
    NotMoved,
}

/// A doubt and its outcome.
#[derive(Clone, Debug, PartialEq, Eq, CandidType, Deserialize)]
pub struct ResolveArgs {
    /// The payment's id.
    pub id: ByteBuf,
    /// The outcome of its transfer, or of its refund's.
    pub outcome: ResolvedOutcome,
}

/// The reason why a doubt is not resolved.
#[derive(Clone, Debug, PartialEq, Eq, CandidType, Deserialize)]
#[allow(missing_docs)]
pub enum ResolveError {
    Unauthorized,
    InvalidArgument(InvalidArgument),
    UnknownPayment,
    NotInDoubt,
    TooEarly { from: u64 },
    LogDecides { until: u64 },
    SettledPaymentsFull,
}

/// What the canister has and owes in one ledger.
#[derive(Clone, Debug, PartialEq, Eq, CandidType, Deserialize)]
pub struct Solvency {
    /// The ledger.
    pub ledger: Principal,
    /// The balance.
    pub balance: Option<Nat>,
    /// Refunds that are due, with fees.
    pub owed_refunds: Nat,
    /// Payments that are not delivered.
    pub held: Nat,
    /// Refunds that wait for a controller or are left to a merchant. They are not owed.
    pub waiting: Waiting,
    /// Whether the balance covers what is owed.
    pub solvent: Option<bool>,
    /// Invoices in this ledger. Their money is in accounts of their own, and in none of these sums.
    pub invoices: OpenInvoices,
}

/// Invoices for which something is left to do.
#[derive(Clone, Debug, PartialEq, Eq, CandidType, Deserialize)]
pub struct OpenInvoices {
    /// Those that wait for money, or whose money is being transferred to the merchant.
    pub open: u64,
    /// Returns of money that the canister is about to make.
    pub returns: u64,
}

/// Refunds that are not made before a controller decides.
#[derive(Clone, Debug, PartialEq, Eq, CandidType, Deserialize)]
pub struct Waiting {
    /// The number of refunds.
    pub refunds: u64,
    /// Their sum, without fees.
    pub amount: Nat,
}

/// A withdrawal.
#[derive(Clone, Debug, PartialEq, Eq, CandidType, Deserialize)]
pub struct WithdrawArgs {
    /// The ledger.
    pub ledger: Principal,
    /// The subaccount of the canister to take from.
    pub from_subaccount: Option<ByteBuf>,
    /// The recipient.
    pub to: AccountArg,
    /// The amount that arrives.
    pub amount: Nat,
    /// Identifies the withdrawal, so that it can be repeated.
    pub created_at_time: Option<u64>,
}

/// The reason why the withdrawal is not known to be made.
#[derive(Clone, Debug, PartialEq, Eq, CandidType, Deserialize)]
#[allow(missing_docs)]
pub enum WithdrawError {
    Unauthorized,
    InvalidArgument(InvalidArgument),
    UnknownLedger,
    InsufficientFree { available: Nat },
    InProgress { created_at_time: u64 },
    TooMany { limit: u32, from: u64 },
    NotMoved { problem: String },
    Unknown { created_at_time: u64 },
}

/// The reason why no refund is owed.
#[derive(Clone, Debug, PartialEq, Eq, CandidType, Deserialize)]
#[allow(missing_docs)]
pub enum RefundError {
    Unauthorized,
    InvalidArgument(InvalidArgument),
    UnknownPayment,
    NotRefundable,
}
