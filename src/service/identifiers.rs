//! The identifiers that clients give to purchases (x402 extension `payment-identifier`).
//!
//! An identifier stands for one payment of one route by one payer: that of the exact authorization it came with first.
//! It is looked up before anything is verified. The same payment again is answered by settlement as any
//! repetition; another payment is a conflict, and nothing is done with it. It is bound when the payment is
//! journalled, in the same message, so that of two payments under one identifier only one is ever
//! processed. When its payment provably failed, or the retention is over, an identifier is free again.

use crate::{
    domain::{
        identifier::{self, Policy},
        payment::{Payment, State},
        request::{Credential, PaymentRequest, same_request},
        route::Route,
    },
    storage::{
        self,
        identifiers::{Bound, has_room},
    },
    types::{IdentifierKey, Seconds, TimestampNs},
};

/// How many of those that are due are looked at when a new one comes.
const SWEEP: usize = 4;

/// A payment is not processed because of its identifier.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Rejection {
    /// The route wants an identifier, and there is none.
    #[error("the payment has no identifier")]
    Missing,
    /// The extension is not as it should be.
    #[error("the payment identifier is malformed")]
    Malformed,
    /// The identifier stands for another payment, or for this one with another request.
    #[error("the payment identifier stands for another payment")]
    Conflict,
    /// No room for another one.
    #[error("too many payment identifiers")]
    Full,
}

/// Looks at the identifier of a payment for `route`. Gives the name to bind if the payment is a new one
/// that has an identifier.
pub fn check(
    route: &Route,
    request: &PaymentRequest,
    now: TimestampNs,
) -> Result<Option<IdentifierKey>, Rejection> {
    // A caller of `pay` gives an id in any case.
    let Credential::Signed(signed) = &request.credential else {
        return Ok(None);
    };
    let Some(policy) = route.payment_identifier.filter(|_| !route.is_free()) else {
        return Ok(None);
    };
    let ours = bound(request);
    let known = storage::payments::by_key(&ours.nonce)
        .filter(|known| known.authorization_digest == ours.authorization_digest);
    let id = match identifier::given(signed.payload.extensions.as_ref()) {
        Ok(Some(id)) => id,
        // Who has begun to pay gets the outcome, whatever the route wants by now.
        _ if known.is_some() => return Ok(None),
        Ok(None) if policy == Policy::Optional => return Ok(None),
        Ok(None) => return Err(Rejection::Missing),
        Err(identifier::Malformed) => return Err(Rejection::Malformed),
    };
    let payer = &signed.authorization.from.owner;
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

/// Lets the name of a payment that has just been journalled stand for it, if it has one.
pub(super) fn bind(request: &PaymentRequest, now: TimestampNs) {
    if let Some(key) = request.identifier {
        sweep(now);
        storage::identifiers::put(key, bound(request), now.plus(retention()));
    }
}

/// Lets go of the name of a payment that has just failed, unless another payment has it by now.
pub fn release(key: &IdentifierKey, ours: &Bound) {
    if storage::identifiers::get(key).as_ref() == Some(ours) {
        storage::identifiers::remove(key);
    }
}

/// What a name that this payment comes with stands for.
pub fn bound(request: &PaymentRequest) -> Bound {
    Bound {
        nonce: request.claim_key(),
        authorization_digest: request.authorization_digest(),
    }
}

/// Until when an identifier stands for this payment; none if it is free.
fn held_until(bound: &Bound, now: TimestampNs) -> Option<TimestampNs> {
    // A payment that is known no more has failed: failures are all that is ever forgotten.
    let Ok(payment) = storage::payments::find(&bound.nonce) else {
        // Nobody knows what became of it.
        return Some(now.plus(retention()));
    };
    let payment =
        payment.filter(|payment| payment.authorization_digest == bound.authorization_digest)?;
    let until = end_of(&payment)?.unwrap_or(now).plus(retention());
    (now <= until).then_some(until)
}

/// When the payment came to its end; `Some(None)` if it has not; none if it provably moved nothing.
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

/// Forgets some of those that stand for nothing any more.
fn sweep(now: TimestampNs) {
    for (key, bound) in storage::identifiers::due(now, SWEEP) {
        match held_until(&bound, now) {
            Some(until) => storage::identifiers::put(key, bound, until),
            None => storage::identifiers::remove(&key),
        }
    }
}
