//! Payments, receipts, lists of them, the audit log and cancellations.

use crate::{Account, InvalidArgument};
use candid::{CandidType, Nat, Principal};
use serde::Deserialize;
use serde_bytes::ByteBuf;

/// Where a payment stands.
#[derive(Clone, Debug, PartialEq, Eq, CandidType, Deserialize)]
#[allow(missing_docs)]
pub enum PaymentStatus {
    Settling,
    Settled {
        block_index: Nat,
        settled_at: u64,
    },
    Failed {
        code: String,
        message: String,
        failed_at: u64,
    },
    Unknown {
        reason: String,
        since: u64,
    },
    Delivered {
        block_index: Nat,
        settled_at: u64,
        delivered_at: u64,
    },
    Refunding {
        block_index: Nat,
        settled_at: u64,
        since: u64,
        attempts: u16,
        problem: String,
    },
    Refunded {
        block_index: Nat,
        settled_at: u64,
        refund_block_index: Nat,
        refunded_at: u64,
    },
}

/// A payment.
#[derive(Clone, Debug, PartialEq, Eq, CandidType, Deserialize)]
pub struct Payment {
    /// SHA-256 of the signed message.
    pub id: ByteBuf,
    /// Its number in the list it was read from.
    pub sequence: Option<u64>,
    /// CAIP-2 network id.
    pub network: String,
    /// The ledger.
    pub ledger: Principal,
    /// Who pays. None for whom it does not concern.
    pub payer: Option<Account>,
    /// Who is paid.
    pub pay_to: Account,
    /// What the merchant gets.
    pub amount: Nat,
    /// What the ledger gets on top.
    pub fee: Nat,
    /// The request's method; as `payer`.
    pub method: Option<String>,
    /// The request's path; as `payer`.
    pub path: Option<String>,
    /// When it was journalled.
    pub created_at: u64,
    /// Where it stands.
    pub status: PaymentStatus,
}

/// Proof of a settled payment.
#[derive(Clone, Debug, PartialEq, Eq, CandidType, Deserialize)]
pub struct Receipt {
    /// Which payment.
    pub payment_id: ByteBuf,
    /// CAIP-2 network id.
    pub network: String,
    /// The ledger.
    pub ledger: Principal,
    /// The block that shows the transfer.
    pub block_index: Nat,
    /// Who paid. None for whom it does not concern.
    pub payer: Option<Account>,
    /// Who was paid.
    pub pay_to: Account,
    /// What the merchant got.
    pub amount: Nat,
    /// What the ledger got on top.
    pub fee: Nat,
    /// The request's method; as `payer`.
    pub method: Option<String>,
    /// The request's path; as `payer`.
    pub path: Option<String>,
    /// When it settled.
    pub settled_at: u64,
}

/// Which page of a list.
#[derive(Clone, Debug, Default, PartialEq, Eq, CandidType, Deserialize)]
pub struct PageArgs {
    /// The number of the last item of the page before.
    pub after: Option<u64>,
    /// How many items at most, up to 100.
    pub limit: Option<u32>,
}

/// Why a page is not given.
#[derive(Clone, Debug, PartialEq, Eq, CandidType, Deserialize)]
#[allow(missing_docs)]
pub enum PaymentsError {
    Unauthorized,
    InvalidArgument(InvalidArgument),
}

/// Why a payment is not looked at.
#[derive(Clone, Debug, PartialEq, Eq, CandidType, Deserialize)]
#[allow(missing_docs)]
pub enum RecheckError {
    Unauthorized,
    InvalidArgument(InvalidArgument),
    UnknownPayment,
}

/// What happened to a payment.
#[derive(Clone, Debug, PartialEq, Eq, CandidType, Deserialize)]
#[allow(missing_docs)]
pub enum PaymentTransition {
    Opened,
    Retried,
    Settled { block_index: Nat },
    Delivered { block_index: Nat },
    Failed { code: String },
    Unknown { reason: String },
    RefundDue { cause: String },
    RefundTried,
    RefundFailed { problem: String },
    Refunded { block_index: Nat },
}

/// An entry of the audit log about a payment.
#[derive(Clone, Debug, PartialEq, Eq, CandidType, Deserialize)]
pub struct PaymentAudit {
    /// Its number, from 1.
    pub number: u64,
    /// When.
    pub at: u64,
    /// The first 16 bytes of the payment id.
    pub payment: ByteBuf,
    /// What happened.
    pub transition: PaymentTransition,
}

/// An entry of the audit log about an administrative action.
#[derive(Clone, Debug, PartialEq, Eq, CandidType, Deserialize)]
pub struct AdminAudit {
    /// Its number, from 1.
    pub number: u64,
    /// When.
    pub at: u64,
    /// Who.
    pub caller: Principal,
    /// What.
    pub action: String,
    /// On what.
    pub subject: String,
}

/// Which authorization to cancel.
#[derive(Clone, Debug, PartialEq, Eq, CandidType, Deserialize)]
pub struct CancelArgs {
    /// 32 bytes.
    pub nonce: ByteBuf,
    /// When it would end.
    pub valid_before_seconds: u64,
}

/// Why an authorization is not cancelled.
#[derive(Clone, Debug, PartialEq, Eq, CandidType, Deserialize)]
#[allow(missing_docs)]
pub enum CancelError {
    InvalidArgument(InvalidArgument),
    Expired { now_seconds: u64 },
    TooFarAhead { limit_seconds: u64 },
    AnonymousCaller,
    AlreadyUsed { payment_id: ByteBuf },
    TooManyCancellations { limit: u32 },
}

impl PaymentStatus {
    /// The block of the payment, if the money moved, whatever came after.
    pub fn block(&self) -> Option<&Nat> {
        match self {
            PaymentStatus::Settled { block_index, .. }
            | PaymentStatus::Delivered { block_index, .. }
            | PaymentStatus::Refunding { block_index, .. }
            | PaymentStatus::Refunded { block_index, .. } => Some(block_index),
            _ => None,
        }
    }

    /// Whether the money moved and is the merchant's, or about to be given back.
    pub fn is_paid(&self) -> bool {
        self.block().is_some() && !matches!(self, PaymentStatus::Refunded { .. })
    }
}
