//! Between the standards' Candid types and the domain's.

use candid::{CandidType, Nat, Principal};
use icrc_ledger_types::icrc1::account::{Account, Subaccount};
use icrc_ledger_types::icrc1::transfer::{Memo, TransferArg, TransferError};
use icrc_ledger_types::icrc2::approve::{ApproveArgs, ApproveError};
use icrc_ledger_types::icrc2::transfer_from::{TransferFromArgs, TransferFromError};
use serde::Deserialize;

use crate::domain::{
    ApproveRefusal, ApproveRequest, TimeRefusal, TransferRefusal, TransferRequest, Violation,
};

/// A line of `icrc1_supported_standards` and `icrc10_supported_standards`.
#[derive(CandidType, Deserialize, Clone, Debug, PartialEq, Eq)]
pub struct StandardRecord {
    pub name: String,
    pub url: String,
}

pub fn transfer_request(caller: Principal, arg: TransferArg) -> TransferRequest {
    TransferRequest {
        from: account(caller, arg.from_subaccount),
        to: arg.to,
        spender: None,
        amount: arg.amount,
        fee: arg.fee,
        memo: arg.memo.map(memo),
        created_at_time: arg.created_at_time,
    }
}

pub fn transfer_from_request(caller: Principal, arg: TransferFromArgs) -> TransferRequest {
    TransferRequest {
        from: arg.from,
        to: arg.to,
        spender: Some(account(caller, arg.spender_subaccount)),
        amount: arg.amount,
        fee: arg.fee,
        memo: arg.memo.map(memo),
        created_at_time: arg.created_at_time,
    }
}

pub fn approve_request(caller: Principal, arg: ApproveArgs) -> ApproveRequest {
    ApproveRequest {
        from: account(caller, arg.from_subaccount),
        spender: arg.spender,
        amount: arg.amount,
        expected_allowance: arg.expected_allowance,
        expires_at: arg.expires_at,
        fee: arg.fee,
        memo: arg.memo.map(memo),
        created_at_time: arg.created_at_time,
    }
}

/// The standard's error, or the violation the ledger traps with.
pub fn transfer_from_error(refusal: TransferRefusal) -> Result<TransferFromError, Violation> {
    use TransferFromError as Error;
    Ok(match refusal {
        TransferRefusal::Violation(violation) => return Err(violation),
        TransferRefusal::BadFee { expected_fee } => Error::BadFee {
            expected_fee: expected_fee.into(),
        },
        TransferRefusal::BadBurn { min_burn_amount } => Error::BadBurn {
            min_burn_amount: min_burn_amount.into(),
        },
        TransferRefusal::Time(TimeRefusal::TooOld) => Error::TooOld,
        TransferRefusal::Time(TimeRefusal::CreatedInFuture { ledger_time }) => {
            Error::CreatedInFuture { ledger_time }
        }
        TransferRefusal::Time(TimeRefusal::Duplicate { duplicate_of }) => Error::Duplicate {
            duplicate_of: duplicate_of.into(),
        },
        TransferRefusal::InsufficientAllowance { allowance } => Error::InsufficientAllowance {
            allowance: allowance.into(),
        },
        TransferRefusal::InsufficientFunds { balance } => Error::InsufficientFunds {
            balance: balance.into(),
        },
    })
}

/// As [`transfer_from_error`], for a transfer by the owner.
pub fn transfer_error(refusal: TransferRefusal) -> Result<TransferError, Violation> {
    use TransferError as Error;
    Ok(match transfer_from_error(refusal)? {
        TransferFromError::BadFee { expected_fee } => Error::BadFee { expected_fee },
        TransferFromError::BadBurn { min_burn_amount } => Error::BadBurn { min_burn_amount },
        TransferFromError::InsufficientFunds { balance } => Error::InsufficientFunds { balance },
        TransferFromError::InsufficientAllowance { .. } => {
            unreachable!("BUG: an owner's transfer asked for an allowance")
        }
        TransferFromError::TooOld => Error::TooOld,
        TransferFromError::CreatedInFuture { ledger_time } => {
            Error::CreatedInFuture { ledger_time }
        }
        TransferFromError::Duplicate { duplicate_of } => Error::Duplicate { duplicate_of },
        TransferFromError::TemporarilyUnavailable => Error::TemporarilyUnavailable,
        TransferFromError::GenericError {
            error_code,
            message,
        } => Error::GenericError {
            error_code,
            message,
        },
    })
}

/// The standard's error, or the violation the ledger traps with.
pub fn approve_error(refusal: ApproveRefusal) -> Result<ApproveError, Violation> {
    use ApproveError as Error;
    Ok(match refusal {
        ApproveRefusal::Violation(violation) => return Err(violation),
        ApproveRefusal::BadFee { expected_fee } => Error::BadFee {
            expected_fee: expected_fee.into(),
        },
        ApproveRefusal::Time(TimeRefusal::TooOld) => Error::TooOld,
        ApproveRefusal::Time(TimeRefusal::CreatedInFuture { ledger_time }) => {
            Error::CreatedInFuture { ledger_time }
        }
        ApproveRefusal::Time(TimeRefusal::Duplicate { duplicate_of }) => Error::Duplicate {
            duplicate_of: duplicate_of.into(),
        },
        ApproveRefusal::Expired { ledger_time } => Error::Expired { ledger_time },
        ApproveRefusal::AllowanceChanged { current_allowance } => Error::AllowanceChanged {
            current_allowance: current_allowance.into(),
        },
        ApproveRefusal::InsufficientFunds { balance } => Error::InsufficientFunds {
            balance: balance.into(),
        },
    })
}

/// The answer of an update method; traps where the ledger has no error to answer with.
pub fn answer<R, E>(
    result: Result<u64, R>,
    error: impl FnOnce(R) -> Result<E, Violation>,
) -> Result<Nat, E> {
    result.map(Nat::from).map_err(|refusal| {
        error(refusal).unwrap_or_else(|violation| ic_cdk::api::trap(violation.to_string()))
    })
}

fn account(owner: Principal, subaccount: Option<Subaccount>) -> Account {
    Account { owner, subaccount }
}

fn memo(memo: Memo) -> Vec<u8> {
    memo.0.into_vec()
}
