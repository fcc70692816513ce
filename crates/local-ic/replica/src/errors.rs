//! Error codes and their texts (facts D of crates/torture/README.md).
//!
//! A text is what the ingress sender reads. A calling canister reads the same text, for most codes
//! with `IC0nnn: ` before it; [`UserError::for_caller`] decides.

use thiserror::Error;

macro_rules! error_codes {
    ($($name:ident = $number:literal,)*) => {
        /// The error codes of the HTTPS interface that this replica produces; `as u32` is the number.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        #[repr(u32)]
        pub enum ErrorCode {
            $($name = $number,)*
        }

        impl ErrorCode {
            /// The code with this number.
            pub fn from_number(number: u32) -> Option<Self> {
                match number {
                    $($number => Some(Self::$name),)*
                    _ => None,
                }
            }
        }
    };
}

error_codes! {
    SubnetOversubscribed = 101,
    CanisterIdAlreadyExists = 205,
    StopCanisterRequestTimeout = 206,
    CanisterOutOfCycles = 207,
    CanisterInstallCodeRateLimited = 209,
    CanisterNotFound = 301,
    SubnetNotFound = 404,
    InsufficientCyclesForCreateCanister = 403,
    CanisterNotHostedBySubnet = 405,
    CanisterRejectedMessage = 406,
    UnknownManagementMessage = 407,
    InvalidManagementPayload = 408,
    CanisterTrapped = 502,
    CanisterCalledTrap = 503,
    CanisterContractViolation = 504,
    CanisterInvalidWasm = 505,
    CanisterDidNotReply = 506,
    CanisterStopped = 508,
    CanisterStopping = 509,
    CanisterNotStopped = 510,
    CanisterStoppingCancelled = 511,
    CanisterInvalidController = 512,
    CanisterNonEmpty = 514,
    InsufficientCyclesInCall = 520,
    CanisterInstructionLimitExceeded = 522,
    QueryCallGraphTooDeep = 525,
    CompositeQueryCalledInReplicatedMode = 527,
    CanisterMethodNotFound = 536,
    CanisterWasmModuleNotFound = 537,
    CanisterWasmMemoryLimitExceeded = 539,
    DeadlineExpired = 601,
}

impl ErrorCode {
    /// The reject code (1..=6) this error code belongs to.
    pub fn reject_code(self) -> u32 {
        self as u32 / 100
    }
}

/// Why a request was refused or failed, as its sender sees it.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("IC{error_code:04}: {message}")]
pub struct UserError {
    /// 1..=6.
    pub reject_code: u32,
    /// Number of the [`ErrorCode`].
    pub error_code: u32,
    pub message: String,
    /// Whether the rejection is part of the certified state; refusals at submission and query errors are not.
    pub certified: bool,
}

impl UserError {
    /// An error that is not certified (yet).
    pub fn new(code: ErrorCode, message: impl Into<String>) -> Self {
        Self {
            reject_code: code.reject_code(),
            error_code: code as u32,
            message: message.into(),
            certified: false,
        }
    }

    /// The same error as it stands in the certified ingress history.
    pub fn certified(mut self) -> Self {
        self.certified = true;
        self
    }

    /// Code and text as a calling canister sees this error.
    pub fn for_caller(&self) -> (u32, String) {
        const VERBATIM: [u32; 5] = [
            ErrorCode::DeadlineExpired as u32,
            ErrorCode::CanisterNotFound as u32,
            ErrorCode::CanisterRejectedMessage as u32,
            ErrorCode::CanisterStopped as u32,
            ErrorCode::CanisterStopping as u32,
        ];
        if self.error_code == ErrorCode::CanisterDidNotReply as u32 {
            return (self.reject_code, "No response".to_string());
        }
        if VERBATIM.contains(&self.error_code) {
            (self.reject_code, self.message.clone())
        } else {
            (
                self.reject_code,
                format!("IC{:04}: {}", self.error_code, self.message),
            )
        }
    }
}

/// Why a request from outside was not taken.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum RequestError {
    /// The boundary cannot route or accept it at all: HTTP 400.
    #[error("{0}")]
    Bad(String),
    /// The replica refuses it with a reject code.
    #[error(transparent)]
    Refused(#[from] UserError),
}
