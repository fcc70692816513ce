//! Payments, receipts, lists of them, the audit log and cancellations.

use crate::{Account, InvalidArgument};
use candid::{CandidType, Nat, Principal};
use serde::Deserialize;
use serde_bytes::ByteBuf;

/// The state of a payment.
#[derive(Clone, Debug, PartialEq, Eq, CandidType, Deserialize)]
#[allow(missing_docs)]
pub enum PaymentStatus {
    Settling,
    Settled {
        block_index: Nat,
        settled_at: u64,
        /// The state of the work, if a canister does it and was called.
        work: Option<WorkState>,
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
        cause: String,
        problem: String,
    },
    Refunded {
        block_index: Nat,
        settled_at: u64,
        refund_block_index: Nat,
        refunded_at: u64,
    },
}

/// The state of the work of a forward target.
#[derive(Clone, Debug, PartialEq, Eq, CandidType, Deserialize)]
pub struct WorkState {
    /// The time of the last call, or of its end.
    pub since: u64,
    /// The number of calls so far.
    pub attempts: u16,
    /// The reason why it is not done; none while the target is called.
    pub problem: Option<String>,
}

/// A payment.
#[derive(Clone, Debug, PartialEq, Eq, CandidType, Deserialize)]
pub struct Payment {
    /// SHA-256 of the signed message.
    pub id: ByteBuf,
    /// Its number in the list that it was read from.
    pub sequence: Option<u64>,
    /// CAIP-2 network id.
    pub network: String,
    /// The ledger.
    pub ledger: Principal,
    /// The account that pays. `None` if the caller may not know it.
    pub payer: Option<Account>,
    /// The account that is paid.
    pub pay_to: Account,
    /// The amount that the merchant receives.
    pub amount: Nat,
    /// The fee that the ledger takes in addition.
    pub fee: Nat,
    /// The method of the request; `None` as in `payer`.
    pub method: Option<String>,
    /// The path of the request; `None` as in `payer`.
    pub path: Option<String>,
    /// `created_at_time` of the transfer; of a transfer of the payer's own the time of its block.
    pub created_at: u64,
    /// The asset transfer method "icrc2" or "icrc1", or "invoice".
    pub rail: String,
    /// What a refund returns.
    pub refund_amount: Nat,
    /// The state.
    pub status: PaymentStatus,
}

/// The receipt of a settled payment.
#[derive(Clone, Debug, PartialEq, Eq, CandidType, Deserialize)]
pub struct Receipt {
    /// The payment's id.
    pub payment_id: ByteBuf,
    /// CAIP-2 network id.
    pub network: String,
    /// The ledger.
    pub ledger: Principal,
    /// The block that shows the transfer.
    pub block_index: Nat,
    /// The account that paid. `None` if the caller may not know it.
    pub payer: Option<Account>,
    /// The account that was paid.
    pub pay_to: Account,
    /// The amount that the merchant received.
    pub amount: Nat,
    /// The fee that the ledger took in addition.
    pub fee: Nat,
    /// The method of the request; `None` as in `payer`.
    pub method: Option<String>,
    /// The path of the request; `None` as in `payer`.
    pub path: Option<String>,
    /// The time of the settlement.
    pub settled_at: u64,
}

/// A page of a list.
#[derive(Clone, Debug, Default, PartialEq, Eq, CandidType, Deserialize)]
pub struct PageArgs {
    /// The number of the last item of the previous page.
    pub after: Option<u64>,
    /// The most items, up to 100.
    pub limit: Option<u32>,
}

/// The reason why no page is returned.
#[derive(Clone, Debug, PartialEq, Eq, CandidType, Deserialize)]
#[allow(missing_docs)]
pub enum PaymentsError {
    Unauthorized,
    InvalidArgument(InvalidArgument),
}

/// The reason why a payment is not checked.
#[derive(Clone, Debug, PartialEq, Eq, CandidType, Deserialize)]
#[allow(missing_docs)]
pub enum RecheckError {
    Unauthorized,
    InvalidArgument(InvalidArgument),
    UnknownPayment,
}

/// A transition of a payment.
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
    WorkCalled,
    WorkFailed { problem: String },
}

/// An entry of the audit log about a payment.
#[derive(Clone, Debug, PartialEq, Eq, CandidType, Deserialize)]
pub struct PaymentAudit {
    /// The number of the entry, from 1.
    pub number: u64,
    /// The time.
    pub at: u64,
    /// The first 16 bytes of the payment id.
    pub payment: ByteBuf,
    /// The transition.
    pub transition: PaymentTransition,
}

/// An entry of the audit log about an administrative action.
#[derive(Clone, Debug, PartialEq, Eq, CandidType, Deserialize)]
pub struct AdminAudit {
    /// The number of the entry, from 1.
    pub number: u64,
    /// The time.
    pub at: u64,
    /// The caller.
    pub caller: Principal,
    /// The action.
    pub action: String,
    /// The object of the action.
    pub subject: String,
}

/// The authorization to cancel.
#[derive(Clone, Debug, PartialEq, Eq, CandidType, Deserialize)]
pub struct CancelArgs {
    /// 32 bytes.
    pub nonce: ByteBuf,
    /// The end of its validity, in seconds.
    pub valid_before_seconds: u64,
}

/// The reason why an authorization is not cancelled.
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
    /// The block of the payment, if the money moved, including refunded payments.
    pub fn block(&self) -> Option<&Nat> {
        match self {
            PaymentStatus::Settled { block_index, .. }
            | PaymentStatus::Delivered { block_index, .. }
            | PaymentStatus::Refunding { block_index, .. }
            | PaymentStatus::Refunded { block_index, .. } => Some(block_index),
            _ => None,
        }
    }

    /// Whether the money moved and is the merchant's, or is about to be refunded.
    pub fn is_paid(&self) -> bool {
        self.block().is_some() && !matches!(self, PaymentStatus::Refunded { .. })
    }
}
