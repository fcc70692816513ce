//! A payment whose nonce is known already.

use crate::{
    domain::{
        payment::{Doubt, Event, Payment, State},
        request::{PayOutcome, PaymentRequest, same_request},
        window::DEDUP_WINDOW,
    },
    storage::{self, payments::Change, quarantine::Unreadable},
    types::{AuthorizationDigest, ClaimKey, Seconds, TimestampNs},
};

/// So many tries follow each other without a pause.
pub const EAGER_TRIES: u16 = 3;

/// How long the ledger is left alone between later tries of one payment.
pub const RETRY_PAUSE: Seconds = Seconds(5);

/// What to do with the repetition.
#[derive(Debug, PartialEq)]
pub enum Decision {
    /// Decision so.
    Final(Box<PayOutcome>),
    /// Deliver what was bought, for the first time or again.
    Deliver,
    /// Ask the ledger the same thing again.
    CallAgain,
    /// It is no repetition: another authorization uses the nonce. Verification will say so.
    OtherAuthorization,
}

/// The payment that uses this key, unless it cannot be read. One that has been settling for so long that its answer can come no
/// more is unknown from now on.
pub fn payment(key: &ClaimKey, now: TimestampNs) -> Result<Option<Payment>, Unreadable> {
    let Some(payment) = storage::payments::find(key)? else {
        return Ok(None);
    };
    if matches!(payment.state, State::Settling { .. }) && storage::payments::is_due(key, now) {
        let change = Change::Event(Event::InDoubt(Doubt::NoAnswer));
        return Ok(storage::payments::record(key, change, now).ok());
    }
    Ok(Some(payment))
}

/// Whether the ledger may be asked again for the transfer of an unknown payment: it would know a
/// duplicate, and the window that the payer signed is not over, even if an earlier try may have been made
/// in it.
pub fn may_retry(payment: &Payment, valid_before: u64, now: TimestampNs) -> bool {
    now <= payment.created_at.plus(DEDUP_WINDOW) && now.seconds() < valid_before
}

/// Decides what a request gets whose nonce `payment` uses.
pub fn decide(
    payment: &Payment,
    request: &PaymentRequest,
    digest: AuthorizationDigest,
    now: TimestampNs,
) -> Decision {
    // Ids are public; only who has the signature too is answered as the payer.
    if payment.authorization_digest != digest {
        return Decision::OtherAuthorization;
    }
    let (payment_id, payer) = (payment.id, payment.from);
    let duplicate = || PayOutcome::Duplicate {
        payment_id,
        payer,
        receipt: payment.receipt(),
    };
    let retention = || storage::config::read().limits.retention;
    let outcome = if !same_request(payment, request) {
        duplicate()
    } else {
        match &payment.state {
            State::Settled { .. } => return Decision::Deliver,
            State::Delivered { at, .. } if now <= at.plus(retention()) => return Decision::Deliver,
            // The money was not given back, and nobody has agreed to it.
            state if state.waits_for_controller() && super::fulfil::resource(payment).is_some() => {
                return Decision::Deliver;
            }
            state if state.moved().is_some() => duplicate(),
            State::Unknown {
                since, attempts, ..
            } if super::fulfil::bought(payment).is_some()
                && (*attempts < EAGER_TRIES || now >= since.plus(RETRY_PAUSE))
                && may_retry(payment, request.valid_before(), now) =>
            {
                return Decision::CallAgain;
            }
            // One authorization, one outcome: a payer who signed anew after a failure is not charged for
            // both because somebody repeats the first.
            State::Failed { failure, .. } => PayOutcome::Failed {
                code: failure.kind.code(),
                message: failure.message.clone(),
                payment_id,
                payer,
            },
            _ => PayOutcome::Pending { payment_id, payer },
        }
    };
    Decision::Final(Box::new(outcome))
}
