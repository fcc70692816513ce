//! What the request gets that brought a payment.

use super::{fulfil::deliver, known};
use crate::{
    domain::{
        payment::{Payment, State},
        request::{PayOutcome, PaymentRequest, Resource},
    },
    runtime::Runtime,
    storage,
    types::{AuthorizationDigest, ClaimKey},
};

/// What a request gets that asked the ledger or delivers. While what was bought is owed, it is to come again.
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
        // What waits for a controller and cannot be delivered does not come by itself.
        (_, _, state) if state.is_owed() && !state.waits_for_controller() => {
            PayOutcome::Pending { payment_id, payer }
        }
        (receipt, _, _) => PayOutcome::Duplicate {
            payment_id,
            payer,
            receipt,
        },
    }
}

/// Answers a request whose own try did not deliver. Another message may have learnt meanwhile that the money moved:
/// what is owed is delivered now, as to a repetition.
pub fn answer_as_it_stands<R: Runtime>(
    runtime: &R,
    key: &ClaimKey,
    asked: Payment,
    request: &PaymentRequest,
    digest: AuthorizationDigest,
) -> PayOutcome {
    let payment = storage::payments::by_key(key).unwrap_or(asked);
    if payment.state.moved().is_none() {
        return outcome(payment, None);
    }
    match known::decide(&payment, request, digest, runtime.now()) {
        known::Decision::Deliver => {
            let (payment, resource) = deliver(runtime, key, payment);
            outcome(payment, resource)
        }
        known::Decision::Final(outcome) => *outcome,
        known::Decision::CallAgain | known::Decision::OtherAuthorization => outcome(payment, None),
    }
}
