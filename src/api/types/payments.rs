//! Payments and the audit log, and their conversion to records of `canister.did`.

use crate::{
    domain::{
        payment::{
            Doubt, FailureKind, Payment as StoredPayment, Receipt as StoredReceipt, RefundCause,
            RefundProblem, State, WorkProblem,
        },
        rail::TxRef,
    },
    service::{
        payments::{Page, PageError},
        recover,
    },
    storage::audit::{AdminEntry, PaymentEntry, Transition},
};
use candid::Nat;
use serde_bytes::ByteBuf;
use tollkeeper_types::{
    AdminAudit, PageArgs, Payment, PaymentAudit, PaymentStatus, PaymentTransition, PaymentsError,
    Receipt, RecheckError, WorkState,
};

impl From<State> for PaymentStatus {
    fn from(state: State) -> Self {
        match state {
            State::Reserved | State::Settling { .. } => PaymentStatus::Settling,
            State::Settled { tx, at } => PaymentStatus::Settled {
                block_index: number(tx),
                settled_at: at.0,
                work: None,
            },
            State::Working {
                tx,
                settled_at,
                since,
                attempt,
            } => PaymentStatus::Settled {
                block_index: number(tx),
                settled_at: settled_at.0,
                work: Some(WorkState {
                    since: since.0,
                    attempts: attempt,
                    problem: None,
                }),
            },
            State::Undone {
                tx,
                settled_at,
                since,
                attempts,
                problem,
            } => PaymentStatus::Settled {
                block_index: number(tx),
                settled_at: settled_at.0,
                work: Some(WorkState {
                    since: since.0,
                    attempts,
                    problem: Some(problem.text().into()),
                }),
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
                cause,
                problem,
            } => PaymentStatus::Refunding {
                block_index: number(tx),
                settled_at: settled_at.0,
                since: since.0,
                attempts,
                cause: cause.text().into(),
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

/// The payment, with its number in the list that it was read from.
pub fn payment_record(sequence: Option<u64>, payment: StoredPayment) -> Payment {
    Payment {
        id: ByteBuf::from(payment.id.0.to_vec()),
        sequence,
        rail: payment.rail.name().into(),
        refund_amount: Nat::from(payment.refund_amount().0),
        network: payment.network,
        ledger: payment.ledger,
        payer: Some(payment.from),
        pay_to: payment.to,
        amount: Nat::from(payment.amount.0),
        fee: Nat::from(payment.fee.0),
        method: Some(payment.purchase.request().method.to_string()),
        path: Some(payment.purchase.request().path.clone()),
        created_at: payment.created_at.0,
        status: payment.state.into(),
    }
}

/// A payment for callers who know only the id: not who paid for what.
pub fn public_payment(payment: Payment) -> Payment {
    Payment {
        payer: None,
        method: None,
        path: None,
        ..payment
    }
}

/// A receipt for callers who know only the id: not who paid for what.
pub fn public_receipt(receipt: Receipt) -> Receipt {
    Receipt {
        payer: None,
        method: None,
        path: None,
        ..receipt
    }
}

/// The number of the block that proves that money moved.
fn number(tx: TxRef) -> Nat {
    let TxRef::Block(block) = tx;
    Nat::from(block.0)
}

impl From<StoredReceipt> for Receipt {
    fn from(receipt: StoredReceipt) -> Self {
        Receipt {
            payment_id: ByteBuf::from(receipt.payment_id.0.to_vec()),
            network: receipt.network,
            ledger: receipt.ledger,
            block_index: number(receipt.tx),
            payer: Some(receipt.payer),
            pay_to: receipt.pay_to,
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
    let known = all.get(usize::from(number));
    known.map_or_else(
        || format!("number {number}, of a newer version"),
        |value| text(*value).into(),
    )
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
            Transition::WorkCalled => PaymentTransition::WorkCalled,
            Transition::WorkFailed(n) => PaymentTransition::WorkFailed {
                problem: named(&WorkProblem::ALL, n, WorkProblem::text),
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
