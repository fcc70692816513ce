//! Payment identifiers (x402 extension `payment-identifier`).
//!
//! An identifier is bound to one payment of one route by one payer: that of the first authorization that came with it.
//! It is looked up before anything is verified. The same payment again is answered as any repetition; another payment
//! is a conflict and is not processed. The identifier is bound in the message that records the payment as open, so only
//! one of two payments under one identifier is ever processed. It is free again when its payment provably failed, or
//! the retention is over.

use crate::{
    domain::{
        identifier::{self, Policy},
        payment::{Payment, State},
        request::{PaymentRequest, same_request},
        route::Route,
    },
    storage::{
        self,
        identifiers::{Bound, has_room},
    },
    types::{IdentifierKey, Seconds, TimestampNs},
};

/// The most due identifiers that are checked when a new one is added.
const SWEEP: usize = 4;

#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Rejection {
    /// The route requires an identifier.
    #[error("the payment has no identifier")]
    Missing,
    #[error("the payment identifier is malformed")]
    Malformed,
    /// The identifier is bound to another payment, or to this one with another request.
    #[error("the payment identifier is in use by another payment")]
    Conflict,
    #[error("too many payment identifiers")]
    Full,
}

/// Checks the identifier of a payment for `route`. Returns the key to bind if the payment is a new one that has an
/// identifier.
pub fn check(
    route: &Route,
    request: &PaymentRequest,
    now: TimestampNs,
) -> Result<Option<IdentifierKey>, Rejection> {
    // A caller of `pay` always gives an identifier.
    let Some((payer, extensions)) = request.credential.extensions() else {
        return Ok(None);
    };
    let Some(policy) = route.payment_identifier.filter(|_| !route.is_free()) else {
        return Ok(None);
    };
    let ours = bound(request);
    let known = storage::payments::by_key(&ours.nonce)
        .filter(|known| known.authorization_digest == ours.authorization_digest);
    let id = match identifier::given(extensions) {
        Ok(Some(id)) => id,
        // A known payment gets its outcome, whatever the route requires by now.
        _ if known.is_some() => return Ok(None),
        Ok(None) if policy == Policy::Optional => return Ok(None),
        Ok(None) => return Err(Rejection::Missing),
        Err(identifier::Malformed) => return Err(Rejection::Malformed),
    };
    let key = identifier::key(&route.key, payer, id);
    match storage::identifiers::get(&key) {
        Some(other) if other != ours && held_until(&other, now).is_some() => {
            return Err(Rejection::Conflict);
        }
        Some(same)
            if same == ours
                && known
                    .as_ref()
                    .is_some_and(|known| !same_request(known, request)) =>
        {
            return Err(Rejection::Conflict);
        }
        Some(_) => {}
        None if known.is_none() && !has_room() => {
            sweep(now);
            if !has_room() {
                return Err(Rejection::Full);
            }
        }
        None => {}
    }
    Ok(known.is_none().then_some(key))
}

/// Whether the identifier that is to be bound to this payment is bound to another one by now.
pub(super) fn is_taken(request: &PaymentRequest, now: TimestampNs) -> bool {
    let bound_to = request
        .identifier
        .and_then(|key| storage::identifiers::get(&key));
    bound_to.is_some_and(|other| other != bound(request) && held_until(&other, now).is_some())
}

/// Binds the identifier of a payment that was just opened to it, if it has one.
pub(super) fn bind(request: &PaymentRequest, now: TimestampNs) {
    if let Some(key) = request.identifier {
        sweep(now);
        storage::identifiers::put(key, bound(request), now.plus(retention()));
    }
}

/// Removes the identifier of a payment that just failed, unless it is bound to another payment by now.
pub fn release(key: &IdentifierKey, ours: &Bound) {
    if storage::identifiers::get(key).as_ref() == Some(ours) {
        storage::identifiers::remove(key);
    }
}

/// The binding of this payment's identifier.
pub fn bound(request: &PaymentRequest) -> Bound {
    Bound {
        nonce: request.claim_key(),
        authorization_digest: request.authorization_digest(),
    }
}

/// The time until which an identifier stays bound to this payment; `None` if it is free.
fn held_until(bound: &Bound, now: TimestampNs) -> Option<TimestampNs> {
    // An unknown key means that the payment failed: only failures are ever removed.
    let Ok(payment) = storage::payments::find(&bound.nonce) else {
        // The row cannot be read, so the outcome is not known.
        return Some(now.plus(retention()));
    };
    let payment =
        payment.filter(|payment| payment.authorization_digest == bound.authorization_digest)?;
    let until = end_of(&payment)?.unwrap_or(now).plus(retention());
    (now <= until).then_some(until)
}

/// The time at which the payment ended; `Some(None)` if it has not; `None` if it provably moved nothing.
fn end_of(payment: &Payment) -> Option<Option<TimestampNs>> {
    match &payment.state {
        State::Failed { .. } => None,
        State::Delivered { at, .. } | State::Refunded { at, .. } => Some(Some(*at)),
        _ => Some(None),
    }
}

fn retention() -> Seconds {
    storage::config::read().limits.retention
}

/// Removes some identifiers whose payments no longer need them.
fn sweep(now: TimestampNs) {
    for (key, bound) in storage::identifiers::due(now, SWEEP) {
        match held_until(&bound, now) {
            Some(until) => storage::identifiers::put(key, bound, until),
            None => storage::identifiers::remove(&key),
        }
    }
}
