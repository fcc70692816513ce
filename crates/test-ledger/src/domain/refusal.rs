//! Why a request is refused.

use thiserror::Error;

use super::{TimestampNs, Tokens};

/// A request so wrong that the ledger traps instead of answering: what the standard's error types have no
/// variant for.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum Violation {
    #[error("the memo field size of {bytes} bytes is above the allowed limit of {limit} bytes")]
    MemoTooLong { bytes: usize, limit: u16 },
    #[error("self approval is not allowed")]
    SelfApproval,
    #[error("the minting account cannot delegate mints")]
    MinterDelegates,
    #[error("the total supply would exceed 2^128 - 1")]
    SupplyOverflow,
}

/// Refusals that come from `created_at_time`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TimeRefusal {
    TooOld,
    CreatedInFuture { ledger_time: TimestampNs },
    Duplicate { duplicate_of: u64 },
}

/// Why a transfer, mint or burn did not happen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TransferRefusal {
    Violation(Violation),
    BadFee { expected_fee: Tokens },
    BadBurn { min_burn_amount: Tokens },
    Time(TimeRefusal),
    InsufficientAllowance { allowance: Tokens },
    InsufficientFunds { balance: Tokens },
}

/// Why an approval did not happen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ApproveRefusal {
    Violation(Violation),
    BadFee { expected_fee: Tokens },
    Time(TimeRefusal),
    Expired { ledger_time: TimestampNs },
    AllowanceChanged { current_allowance: Tokens },
    InsufficientFunds { balance: Tokens },
}

impl From<Violation> for TransferRefusal {
    fn from(violation: Violation) -> Self {
        Self::Violation(violation)
    }
}

impl From<Violation> for ApproveRefusal {
    fn from(violation: Violation) -> Self {
        Self::Violation(violation)
    }
}

impl From<TimeRefusal> for TransferRefusal {
    fn from(refusal: TimeRefusal) -> Self {
        Self::Time(refusal)
    }
}

impl From<TimeRefusal> for ApproveRefusal {
    fn from(refusal: TimeRefusal) -> Self {
        Self::Time(refusal)
    }
}
