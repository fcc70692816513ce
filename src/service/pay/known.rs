//! Repetitions: payments whose claim key is in use, and answers from the record.

use super::{
    fulfil::{self, deliver},
    outcome::{note, outcome},
    work,
};
use crate::{
    domain::{
        fulfilment::Fulfilment,
        payment::{Doubt, Event, Payment, State},
        request::{PayOutcome, PaymentRequest, same_request},
        window::DEDUP_WINDOW,
    },
    runtime::Runtime,
    storage::{self, payments::Change, quarantine::Unreadable},
    types::{AuthorizationDigest, ClaimKey, Seconds, TimestampNs},
};

/// The tries that may follow each other without a pause.
pub const EAGER_TRIES: u16 = 3;

/// The pause between later tries of one payment.
pub const RETRY_PAUSE: Seconds = Seconds(5);

/// The treatment of a repetition.
#[derive(Debug, PartialEq)]
pub enum Decision {
    /// The outcome is decided.
    Final(Box<PayOutcome>),
    /// Deliver what was bought, for the first time or again.
    Deliver,
    /// Have the work done that was bought.
    Work,
    /// Call the ledger again with the same transfer.
    CallAgain,
    /// Another authorization uses the nonce. Verification refuses the request.
    OtherAuthorization,
}

/// The payment that uses this key, with an error if its row cannot be read. A payment whose reply can no longer arrive
/// becomes unknown.
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

/// Whether the transfer of an unknown payment may be sent to the ledger again. The ledger must still recognise a
/// duplicate, and the window that the payer signed must not be over.
pub fn may_retry(payment: &Payment, valid_before: u64, now: TimestampNs) -> bool {
    now <= payment.created_at.plus(DEDUP_WINDOW) && now.seconds() < valid_before
}

/// Decides how to treat a request whose claim key `payment` uses.
pub fn decide(
    payment: &Payment,
    request: &PaymentRequest,
    digest: AuthorizationDigest,
    now: TimestampNs,
) -> Decision {
    // Ids are public. Only a request with the signature is answered as the payer's.
    if payment.authorization_digest != digest {
        return Decision::OtherAuthorization;
    }
    match same_request(payment, request) {
        true => of_state(payment, Some(request.valid_before()), now),
        false => Decision::Final(Box::new(duplicate(payment))),
    }
}

fn duplicate(payment: &Payment) -> PayOutcome {
    PayOutcome::Duplicate {
        payment_id: payment.id,
        payer: payment.from,
        receipt: payment.receipt(),
        note: note(&payment.state),
    }
}

/// As [`decide`], for whoever has the right to what the payment buys. `valid_before`: the second from which on the
/// request has the ledger called no more; `None` if it never does.
pub fn of_state(payment: &Payment, valid_before: Option<u64>, now: TimestampNs) -> Decision {
    let (payment_id, payer) = (payment.id, payment.from);
    let retention = || storage::config::read().limits.retention;
    let outcome = match &payment.state {
        State::Settled { .. } => {
            return match payment.fulfilment {
                Fulfilment::Stored(_) | Fulfilment::Nothing => Decision::Deliver,
                Fulfilment::Forward => Decision::Work,
            };
        }
        // Another message calls the target, or the timer is to call it again.
        State::Working { .. } | State::Undone { .. } => PayOutcome::Pending { payment_id, payer },
        State::Delivered { at, .. } if now <= at.plus(retention()) => return Decision::Deliver,
        // The money was not returned, and no controller has agreed to return it.
        state if state.waits_for_controller() && fulfil::resource(payment).is_some() => {
            return Decision::Deliver;
        }
        state if state.moved().is_some() => duplicate(payment),
        State::Unknown {
            since, attempts, ..
        } if fulfil::is_kept(payment)
            && (*attempts < EAGER_TRIES || now >= since.plus(RETRY_PAUSE))
            && valid_before.is_some_and(|before| may_retry(payment, before, now)) =>
        {
            return Decision::CallAgain;
        }
        // One authorization has one outcome. A payer who signed a new authorization after a failure is not charged
        // twice because somebody repeats the first one.
        State::Failed { failure, .. } => PayOutcome::Failed {
            code: failure.kind.code(),
            message: failure.message.clone(),
            payment_id,
            payer,
        },
        _ => PayOutcome::Pending { payment_id, payer },
    };
    Decision::Final(Box::new(outcome))
}

/// Answers a request whose own try did not deliver. Its money may have moved for work that is to be done now, or another
/// message may have found out meanwhile that the money moved. What is owed is then delivered now, as to a repetition.
pub async fn answer_from_record<R: Runtime>(
    runtime: &R,
    key: &ClaimKey,
    payment: Payment,
    request: &PaymentRequest,
    digest: AuthorizationDigest,
) -> PayOutcome {
    let payment = storage::payments::by_key(key).unwrap_or(payment);
    if payment.state.moved().is_none() {
        return outcome(payment, None);
    }
    match decide(&payment, request, digest, runtime.now()) {
        Decision::Deliver => {
            let (payment, resource) = deliver(runtime, key, payment);
            outcome(payment, resource)
        }
        Decision::Work => {
            let (payment, resource) = work::run(runtime, key, payment).await;
            outcome(payment, resource)
        }
        Decision::Final(outcome) => *outcome,
        Decision::CallAgain | Decision::OtherAuthorization => outcome(payment, None),
    }
}
