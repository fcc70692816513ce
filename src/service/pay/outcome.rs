//! The answer to a request with a payment.

use crate::domain::{
    payment::{Payment, RefundCause, State},
    request::{PayOutcome, Resource},
};

/// The answer after the ledger was called or a delivery was tried. While the resource is owed, the client is told to
/// repeat the request.
pub fn outcome(payment: Payment, resource: Option<Resource>) -> PayOutcome {
    let (payment_id, payer) = (payment.id, payment.from);
    match (payment.receipt(), resource, payment.state) {
        (Some(receipt), Some(resource), _) => PayOutcome::Paid { receipt, resource },
        (_, _, State::Failed { failure, .. }) => PayOutcome::Failed {
            code: failure.kind.code(),
            message: failure.message,
            payment_id,
            payer,
        },
        // A payment that waits for a controller and cannot be delivered changes only when the controller acts.
        (_, _, state) if state.is_owed() && !state.waits_for_controller() => {
            PayOutcome::Pending { payment_id, payer }
        }
        (receipt, _, state) => PayOutcome::Duplicate {
            payment_id,
            payer,
            receipt,
            note: note(&state),
        },
    }
}

/// The reason why nothing is delivered, for a reader, if work failed or a transfer paid nothing.
pub fn note(state: &State) -> Option<&'static str> {
    match state {
        State::Refunding {
            cause: RefundCause::NotDone,
            problem,
            ..
        } => Some(match problem.waits() {
            true => "the work that was paid for failed; the merchant decides about the refund",
            false => "the work that was paid for failed; the payment is refunded",
        }),
        State::Refunding {
            cause: RefundCause::PaysNoOffer,
            problem,
            ..
        } => Some(match problem.waits() {
            true => "the transfer pays no present offer; the merchant decides about the refund",
            false => "the transfer pays no present offer; it is refunded less the ledger's fee",
        }),
        _ => None,
    }
}
