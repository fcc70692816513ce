//! Payments and the audit log, and how they become records of `canister.did`.

use super::{Account, InvalidArgument};
use crate::{
    domain::{
        payment::{
            Doubt, FailureKind, Payment as BookedPayment, Receipt as BookedReceipt, RefundCause,
            RefundProblem, State,
        },
        rail::TxRef,
    },
    service::{
        payments::{Page, PageError},
        recover,
    },
    storage::audit::{AdminEntry, PaymentEntry, Transition},
};
use candid::{CandidType, Deserialize, Nat, Principal};
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

impl From<State> for PaymentStatus {
    fn from(state: State) -> Self {
        match state {
            State::Reserved | State::Settling { .. } => PaymentStatus::Settling,
            State::Settled { tx, at } => PaymentStatus::Settled {
                block_index: number(tx),
                settled_at: at.0,
            },
            State::Delivered { tx, settled_at, at } => PaymentStatus::Delivered {
                block_index: number(tx),
                settled_at: settled_at.0,
                delivered_at: at.0,
            },
            State::Refunding {
                tx,
                settled_at,
                since,
                attempts,
                problem,
                ..
            } => PaymentStatus::Refunding {
                block_index: number(tx),
                settled_at: settled_at.0,
                since: since.0,
                attempts,
                problem: problem.text().into(),
            },
            State::Refunded {
                tx,
                settled_at,
                refund_tx,
                at,
            } => PaymentStatus::Refunded {
                block_index: number(tx),
                settled_at: settled_at.0,
                refund_block_index: number(refund_tx),
                refunded_at: at.0,
            },
            State::Failed { failure, at } => PaymentStatus::Failed {
                code: failure.kind.code().as_str().into(),
                message: failure.message,
                failed_at: at.0,
            },
            State::Unknown { doubt, since, .. } => PaymentStatus::Unknown {
                reason: doubt.text().into(),
                since: since.0,
            },
        }
    }
}

impl From<recover::RecheckError> for RecheckError {
    fn from(error: recover::RecheckError) -> Self {
        match error {
            recover::RecheckError::Unauthorized(_) => RecheckError::Unauthorized,
            recover::RecheckError::UnknownPayment => RecheckError::UnknownPayment,
        }
    }
}

impl Payment {
    /// The payment, with its number in the list it was read from.
    pub fn new(sequence: Option<u64>, payment: BookedPayment) -> Self {
        Payment {
            id: ByteBuf::from(payment.id.0.to_vec()),
            sequence,
            network: payment.network,
            ledger: payment.ledger,
            payer: Some(payment.from.into()),
            pay_to: payment.to.into(),
            amount: Nat::from(payment.amount.0),
            fee: Nat::from(payment.fee.0),
            method: Some(payment.purchase.request().method.to_string()),
            path: Some(payment.purchase.request().path.clone()),
            created_at: payment.created_at.0,
            status: payment.state.into(),
        }
    }

    /// For whoever knows the id: not who paid for what.
    pub fn public(self) -> Self {
        Payment {
            payer: None,
            method: None,
            path: None,
            ..self
        }
    }
}

impl Receipt {
    /// For whoever knows the id: not who paid for what.
    pub fn public(self) -> Self {
        Receipt {
            payer: None,
            method: None,
            path: None,
            ..self
        }
    }
}

/// The number of the block that proves that money moved.
fn number(tx: TxRef) -> Nat {
    let TxRef::Block(block) = tx;
    Nat::from(block.0)
}

impl From<BookedReceipt> for Receipt {
    fn from(receipt: BookedReceipt) -> Self {
        Receipt {
            payment_id: ByteBuf::from(receipt.payment_id.0.to_vec()),
            network: receipt.network,
            ledger: receipt.ledger,
            block_index: number(receipt.tx),
            payer: Some(receipt.payer.into()),
            pay_to: receipt.pay_to.into(),
            amount: Nat::from(receipt.amount.0),
            fee: Nat::from(receipt.fee.0),
            method: Some(receipt.request.method.to_string()),
            path: Some(receipt.request.path),
            settled_at: receipt.settled_at.0,
        }
    }
}

impl From<PageArgs> for Page {
    fn from(page: PageArgs) -> Self {
        Page {
            after: page.after,
            limit: page.limit,
        }
    }
}

impl From<PageError> for PaymentsError {
    fn from(error: PageError) -> Self {
        match error {
            PageError::Unauthorized(_) => PaymentsError::Unauthorized,
            PageError::InvalidArgument(error) => PaymentsError::InvalidArgument(error.into()),
        }
    }
}

/// The text of the value with this number in storage.
fn named<T: Copy>(all: &[T], number: u8, text: fn(T) -> &'static str) -> String {
    all.get(usize::from(number))
        .map_or("", |value| text(*value))
        .into()
}

impl From<Transition> for PaymentTransition {
    fn from(transition: Transition) -> Self {
        match transition {
            Transition::Opened => PaymentTransition::Opened,
            Transition::Retried => PaymentTransition::Retried,
            Transition::Settled(block) => PaymentTransition::Settled {
                block_index: Nat::from(block),
            },
            Transition::Delivered(block) => PaymentTransition::Delivered {
                block_index: Nat::from(block),
            },
            Transition::Failed(n) => PaymentTransition::Failed {
                code: named(&FailureKind::ALL, n, |kind| kind.code().as_str()),
            },
            Transition::Unknown(n) => PaymentTransition::Unknown {
                reason: named(&Doubt::ALL, n, Doubt::text),
            },
            Transition::RefundDue(n) => PaymentTransition::RefundDue {
                cause: named(&RefundCause::ALL, n, RefundCause::text),
            },
            Transition::RefundTried => PaymentTransition::RefundTried,
            Transition::RefundFailed(n) => PaymentTransition::RefundFailed {
                problem: named(&RefundProblem::ALL, n, RefundProblem::text),
            },
            Transition::Refunded(block) => PaymentTransition::Refunded {
                block_index: Nat::from(block),
            },
        }
    }
}

impl From<PaymentEntry> for PaymentAudit {
    fn from(entry: PaymentEntry) -> Self {
        PaymentAudit {
            number: entry.number,
            at: entry.at.0,
            payment: ByteBuf::from(entry.payment.to_vec()),
            transition: entry.transition.into(),
        }
    }
}

impl From<AdminEntry> for AdminAudit {
    fn from(entry: AdminEntry) -> Self {
        AdminAudit {
            number: entry.number,
            at: entry.at.0,
            caller: entry.caller,
            action: entry.action,
            subject: entry.subject,
        }
    }
}
