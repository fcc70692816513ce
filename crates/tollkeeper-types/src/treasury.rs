//! What the canister has and owes, withdrawals, refunds and doubts that a controller ends.

use crate::{AccountArg, InvalidArgument};
use candid::{CandidType, Nat, Principal};
use serde::Deserialize;
use serde_bytes::ByteBuf;

/// What became of the transfer that is in doubt.
#[derive(Clone, Debug, PartialEq, Eq, CandidType, Deserialize)]
#[allow(missing_docs)]
pub enum ResolvedOutcome {
    Moved { block_index: Nat },
    NotMoved,
}

/// Which doubt ends how.
#[derive(Clone, Debug, PartialEq, Eq, CandidType, Deserialize)]
pub struct ResolveArgs {
    /// The payment's id.
    pub id: ByteBuf,
    /// What became of its transfer, or of its refund's.
    pub outcome: ResolvedOutcome,
}

/// Why a doubt is not resolved.
#[derive(Clone, Debug, PartialEq, Eq, CandidType, Deserialize)]
#[allow(missing_docs)]
pub enum ResolveError {
    Unauthorized,
    InvalidArgument(InvalidArgument),
    UnknownPayment,
    NotInDoubt,
    TooEarly { from: u64 },
    LogDecides { until: u64 },
    BooksFull,
}

/// What the canister has and owes in one ledger.
#[derive(Clone, Debug, PartialEq, Eq, CandidType, Deserialize)]
pub struct Solvency {
    /// The ledger.
    pub ledger: Principal,
    /// What it has.
    pub balance: Option<Nat>,
    /// Refunds that are due, with fees.
    pub owed_refunds: Nat,
    /// Payments that are not delivered.
    pub held: Nat,
    /// Refunds that wait for a controller or are left to a merchant: they are not owed.
    pub waiting: Waiting,
    /// Whether it can pay what it owes.
    pub solvent: Option<bool>,
}

/// Refunds that nobody makes before a controller has said something.
#[derive(Clone, Debug, PartialEq, Eq, CandidType, Deserialize)]
pub struct Waiting {
    /// How many.
    pub refunds: u64,
    /// What they come to, without fees.
    pub amount: Nat,
}

/// What to take out.
#[derive(Clone, Debug, PartialEq, Eq, CandidType, Deserialize)]
pub struct WithdrawArgs {
    /// The ledger.
    pub ledger: Principal,
    /// Which account of the canister.
    pub from_subaccount: Option<ByteBuf>,
    /// To whom.
    pub to: AccountArg,
    /// What arrives.
    pub amount: Nat,
    /// Makes it repeatable.
    pub created_at_time: Option<u64>,
}

/// Why nothing is known to be taken out.
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

/// Why a refund is not owed.
#[derive(Clone, Debug, PartialEq, Eq, CandidType, Deserialize)]
#[allow(missing_docs)]
pub enum RefundError {
    Unauthorized,
    UnknownPayment,
    NotRefundable,
}
