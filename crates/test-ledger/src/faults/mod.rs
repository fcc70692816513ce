//! Misbehaviour on request: what can be asked for, and the queue of what is to come. Nothing in here acts;
//! `canister::play` does.

mod book;
mod reply;

use candid::{CandidType, Nat};
use icrc_ledger_types::icrc1::transfer::TransferError;
use icrc_ledger_types::icrc2::approve::ApproveError;
use icrc_ledger_types::icrc2::transfer_from::TransferFromError;
use serde::Deserialize;
use serde_bytes::ByteBuf;
use thiserror::Error;

pub use book::FaultBook;
#[cfg(any(target_family = "wasm", test))]
pub(crate) use reply::encode;
pub use reply::{Reply, reply};

/// Longest `Answer::Text`, bytes: what still fits a reply of 2 MiB with its Candid frame.
pub const MAX_TEXT_BYTES: u32 = 2_097_000;
/// Largest `Answer::NatOfDigits`.
pub const MAX_DIGITS: u32 = 100_000;

/// The methods that can misbehave.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Method {
    Transfer,
    Approve,
    TransferFrom,
    BalanceOf,
    Fee,
    Allowance,
    Symbol,
    Decimals,
    SupportedStandards,
    GetBlocks,
    QueryBlocks,
    ArchivedBlocks,
}

impl Method {
    pub const ALL: [Self; 12] = [
        Self::Transfer,
        Self::Approve,
        Self::TransferFrom,
        Self::BalanceOf,
        Self::Fee,
        Self::Allowance,
        Self::Symbol,
        Self::Decimals,
        Self::SupportedStandards,
        Self::GetBlocks,
        Self::QueryBlocks,
        Self::ArchivedBlocks,
    ];

    /// The method's name in the ledger's interface.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Transfer => "icrc1_transfer",
            Self::Approve => "icrc2_approve",
            Self::TransferFrom => "icrc2_transfer_from",
            Self::BalanceOf => "icrc1_balance_of",
            Self::Fee => "icrc1_fee",
            Self::Allowance => "icrc2_allowance",
            Self::Symbol => "icrc1_symbol",
            Self::Decimals => "icrc1_decimals",
            Self::SupportedStandards => "icrc1_supported_standards",
            Self::GetBlocks => "icrc3_get_blocks",
            Self::QueryBlocks => "query_blocks",
            Self::ArchivedBlocks => "get_blocks",
        }
    }

    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|method| method.name() == name)
    }

    /// Updates can change the books, wait, and use a fault up; queries can do none of these.
    pub const fn is_update(self) -> bool {
        matches!(self, Self::Transfer | Self::Approve | Self::TransferFrom)
    }

    const fn answers_nat(self) -> bool {
        matches!(self, Self::BalanceOf | Self::Fee | Self::Allowance)
    }
}

/// What really happens to the books, and when.
#[derive(CandidType, Deserialize, Clone, Copy, Debug, PartialEq, Eq)]
pub enum Effect {
    None,
    BeforeHold,
    AfterHold,
}

/// How long the reply is held back.
#[derive(CandidType, Deserialize, Clone, Copy, Debug, PartialEq, Eq)]
pub enum Hold {
    No,
    /// Until `test_release`.
    UntilRelease,
    /// That many round trips to `raw_rand`, two rounds each on a PocketIC server.
    Polls(u32),
    /// Until the subnet's time has moved by this much.
    Nanos(u64),
}

/// What the caller is told.
#[derive(CandidType, Deserialize, Clone, Debug, PartialEq)]
pub enum Answer {
    /// The truth.
    Honest,
    TransferError(TransferError),
    ApproveError(ApproveError),
    TransferFromError(TransferFromError),
    /// `Ok` with this block index.
    Index(Nat),
    /// `Ok` with the index of the block that was the newest before the call.
    RepeatIndex,
    /// This value, from a query that answers a number; as the amount of an allowance.
    Nat(Nat),
    /// As `Index` or `Nat`, a number of that many decimal digits.
    NatOfDigits(u32),
    /// A Candid text of that many bytes.
    Text(u32),
    /// These bytes, whatever they are.
    Bytes(ByteBuf),
    Reject(String),
    /// A trap. The books are committed before it.
    Trap(String),
}

/// One misbehaviour: what is done, how long the caller waits, what the caller is told.
#[derive(CandidType, Deserialize, Clone, Debug, PartialEq)]
pub struct Fault {
    pub effect: Effect,
    pub hold: Hold,
    pub answer: Answer,
}

/// Counters of one method.
#[derive(CandidType, Deserialize, Clone, Debug, PartialEq, Eq)]
pub struct FaultStatus {
    pub method: String,
    /// Calls seen (updates only).
    pub calls: u64,
    /// Calls that met a fault (updates only).
    pub faults_hit: u64,
    /// Replies being held back now.
    pub held: u32,
    /// Calls that faults are still queued for; 1 for a query with a standing fault.
    pub queued: u32,
}

/// A fault that cannot be played.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum FaultError {
    #[error("method: `{0}` takes no faults")]
    UnknownMethod(String),
    #[error("calls: must be at least 1")]
    NoCalls,
    #[error("effect, hold: `{0}` is a query: effect must be None and hold No")]
    QueryCannotWait(&'static str),
    #[error("answer: Honest needs an effect, or there is nothing to be honest about")]
    HonestWithoutEffect,
    #[error("answer: {answer} does not fit the type of `{method}`")]
    WrongAnswer {
        method: &'static str,
        answer: &'static str,
    },
    #[error("answer: {value} is above the limit of {limit}")]
    TooLarge { value: u32, limit: u32 },
}

impl Fault {
    /// Checks that `method` can misbehave in this way.
    pub fn check(&self, method: Method) -> Result<(), FaultError> {
        let name = method.name();
        let idle = self.effect == Effect::None && self.hold == Hold::No;
        if !method.is_update() && !idle {
            return Err(FaultError::QueryCannotWait(name));
        }
        let fits = match &self.answer {
            Answer::Honest if self.effect == Effect::None => {
                return Err(FaultError::HonestWithoutEffect);
            }
            Answer::Text(value) if *value > MAX_TEXT_BYTES => {
                return Err(FaultError::TooLarge {
                    value: *value,
                    limit: MAX_TEXT_BYTES,
                });
            }
            Answer::NatOfDigits(value) if *value > MAX_DIGITS => {
                return Err(FaultError::TooLarge {
                    value: *value,
                    limit: MAX_DIGITS,
                });
            }
            Answer::Honest
            | Answer::Text(_)
            | Answer::Bytes(_)
            | Answer::Reject(_)
            | Answer::Trap(_) => true,
            Answer::TransferError(_) => method == Method::Transfer,
            Answer::ApproveError(_) => method == Method::Approve,
            Answer::TransferFromError(_) => method == Method::TransferFrom,
            Answer::Index(_) | Answer::RepeatIndex => method.is_update(),
            Answer::Nat(_) => method.answers_nat(),
            Answer::NatOfDigits(_) => method.is_update() || method.answers_nat(),
        };
        if fits {
            Ok(())
        } else {
            Err(FaultError::WrongAnswer {
                method: name,
                answer: self.answer.name(),
            })
        }
    }
}

impl Answer {
    const fn name(&self) -> &'static str {
        match self {
            Self::Honest => "Honest",
            Self::TransferError(_) => "TransferError",
            Self::ApproveError(_) => "ApproveError",
            Self::TransferFromError(_) => "TransferFromError",
            Self::Index(_) => "Index",
            Self::RepeatIndex => "RepeatIndex",
            Self::Nat(_) => "Nat",
            Self::NatOfDigits(_) => "NatOfDigits",
            Self::Text(_) => "Text",
            Self::Bytes(_) => "Bytes",
            Self::Reject(_) => "Reject",
            Self::Trap(_) => "Trap",
        }
    }
}
