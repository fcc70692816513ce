//! What the canister has and owes, withdrawals and refunds.

use super::{Account, InvalidArgument};
use crate::{
    domain::{
        ledger::MAX_AMOUNT,
        validate::{self, InvalidArgument as Invalid},
    },
    service::{
        refund::RefundError as CannotRefund,
        treasury::Solvency as Known,
        withdraw::{WithdrawError as CannotWithdraw, WithdrawRequest},
    },
    types::{BlockIndex, TimestampNs},
};
use candid::{CandidType, Deserialize, Nat, Principal};
use serde_bytes::ByteBuf;

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

impl From<Known> for Solvency {
    fn from(known: Known) -> Self {
        Solvency {
            ledger: known.ledger,
            balance: known.balance.map(|balance| Nat::from(balance.0)),
            owed_refunds: Nat::from(known.owed_refunds.0),
            held: Nat::from(known.held.0),
            waiting: Waiting {
                refunds: known.waiting,
                amount: Nat::from(known.waiting_amount.0),
            },
            solvent: known.solvent,
        }
    }
}

/// What to take out.
#[derive(Clone, Debug, PartialEq, Eq, CandidType, Deserialize)]
pub struct WithdrawArgs {
    /// The ledger.
    pub ledger: Principal,
    /// Which account of the canister.
    pub from_subaccount: Option<ByteBuf>,
    /// To whom.
    pub to: Account,
    /// What arrives.
    pub amount: Nat,
    /// Makes it repeatable.
    pub created_at_time: Option<u64>,
}

impl WithdrawArgs {
    /// The request, if its fields are acceptable.
    pub fn check(self) -> Result<WithdrawRequest, Invalid> {
        let subaccount = self.from_subaccount.as_ref();
        let from_subaccount = subaccount
            .map(|bytes| validate::bytes32("from_subaccount", bytes))
            .transpose()?;
        let amount = validate::bounded_nat("amount", &self.amount, MAX_AMOUNT)?;
        Ok(WithdrawRequest {
            ledger: self.ledger,
            from_subaccount,
            to: self.to.check("to")?,
            amount: amount.into(),
            created_at: self.created_at_time.map(TimestampNs),
        })
    }
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

impl From<CannotWithdraw> for WithdrawError {
    fn from(error: CannotWithdraw) -> Self {
        match error {
            CannotWithdraw::Unauthorized(_) => WithdrawError::Unauthorized,
            CannotWithdraw::InvalidArgument(error) => error.into(),
            CannotWithdraw::UnknownLedger => WithdrawError::UnknownLedger,
            CannotWithdraw::InsufficientFree { available } => WithdrawError::InsufficientFree {
                available: Nat::from(available.0),
            },
            CannotWithdraw::InProgress { created_at } => WithdrawError::InProgress {
                created_at_time: created_at.0,
            },
            CannotWithdraw::TooMany { limit, from } => WithdrawError::TooMany {
                limit,
                from: from.0,
            },
            CannotWithdraw::NotMoved { problem } => WithdrawError::NotMoved { problem },
            CannotWithdraw::Unknown { created_at } => WithdrawError::Unknown {
                created_at_time: created_at.0,
            },
        }
    }
}

impl From<Invalid> for WithdrawError {
    fn from(error: Invalid) -> Self {
        WithdrawError::InvalidArgument(error.into())
    }
}

/// The block of a withdrawal.
pub fn block(block: BlockIndex) -> Nat {
    Nat::from(block.0)
}

/// Why a refund is not owed.
#[derive(Clone, Debug, PartialEq, Eq, CandidType, Deserialize)]
#[allow(missing_docs)]
pub enum RefundError {
    Unauthorized,
    UnknownPayment,
    NotRefundable,
}

impl From<CannotRefund> for RefundError {
    fn from(error: CannotRefund) -> Self {
        match error {
            CannotRefund::Unauthorized(_) => RefundError::Unauthorized,
            CannotRefund::UnknownPayment => RefundError::UnknownPayment,
            CannotRefund::NotRefundable => RefundError::NotRefundable,
        }
    }
}
