//! What the canister has and owes, withdrawals and refunds.

use super::convert::account;
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
use candid::Nat;
use tollkeeper_types::{OpenInvoices, RefundError, Solvency, Waiting, WithdrawArgs, WithdrawError};

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
            invoices: OpenInvoices {
                open: known.open_invoices,
                returns: known.open_returns,
            },
        }
    }
}

/// The withdrawal, if its fields are valid.
pub fn withdrawal(args: WithdrawArgs) -> Result<WithdrawRequest, Invalid> {
    let subaccount = args.from_subaccount.as_ref();
    let from_subaccount = subaccount
        .map(|bytes| validate::bytes32("from_subaccount", bytes))
        .transpose()?;
    let amount = validate::bounded_nat("amount", &args.amount, MAX_AMOUNT)?;
    Ok(WithdrawRequest {
        ledger: args.ledger,
        from_subaccount,
        to: account("to", &args.to)?,
        amount: amount.into(),
        created_at: args.created_at_time.map(TimestampNs),
    })
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

pub fn block(block: BlockIndex) -> Nat {
    Nat::from(block.0)
}

impl From<Invalid> for RefundError {
    fn from(error: Invalid) -> Self {
        RefundError::InvalidArgument(error.into())
    }
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
