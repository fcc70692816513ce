//! From a decoded payment to money moved, booked and paid out in what was bought: [`settle`].
//!
//! | step | file |
//! |---|---|
//! | 1. Is the claim key known? Then this is a repetition, and is answered from the record. | `known` |
//! | 2. Verify. No table changes and nobody is called for a payment that fails here. The heap keeps what expensive signatures took, and digests of those that hold and of those that do not (`domain::expensive`). | `verify` |
//! | 3. Journal: this reserves the claim key and fixes `created_at_time`. | `verify` |
//! | 4. Ask the ledger, once: `icrc2_transfer_from` with the payment id as memo. | `transfer` |
//! | 5. Judge the answer (`domain::settlement`) and book it. | `transfer` |
//! | 6. Deliver what was bought, or say why not. | `fulfil`, `answer` |
//!
//! Between 4 and 5 anything can happen; `guard` leaves the payment unknown, never lost.

mod fulfil;
mod guard;
mod known;
mod means;
mod outcome;
mod transfer;
mod verify;

use crate::{
    domain::request::{PayOutcome, PaymentRequest},
    runtime::Runtime,
    service::schedule,
    storage::quarantine::Unreadable,
};
use fulfil::deliver;
pub use known::may_retry;
use means::can_call_ledger;
use outcome::{answer_as_it_stands, outcome};
pub use transfer::call_again;
use transfer::{retry, transfer};
use verify::{open, unavailable};

/// Takes a payment: verifies, settles and books it.
pub async fn settle<R: Runtime>(runtime: &R, request: PaymentRequest) -> PayOutcome {
    // A timer is lost when the canister is frozen at its time: who comes next sees to what is due.
    schedule::catch_up(runtime);
    let key = request.claim_key();
    let digest = request.authorization_digest();
    let known = known::payment(&key, runtime.now());
    let begun = match known {
        Ok(Some(payment)) => match known::decide(&payment, &request, digest, runtime.now()) {
            known::Decision::Final(outcome) => return *outcome,
            known::Decision::Deliver => {
                let (payment, resource) = deliver(runtime, &key, payment);
                return outcome(payment, resource);
            }
            known::Decision::CallAgain if !can_call_ledger(runtime, &payment.ledger) => {
                return outcome(payment, None);
            }
            known::Decision::CallAgain => retry(runtime, &key).map_err(unavailable),
            known::Decision::OtherAuthorization => open(runtime, &key, &request, digest, true),
        },
        Ok(None) => open(runtime, &key, &request, digest, false),
        // Whatever became of it: nobody pays with this key again.
        Err(Unreadable) => open(runtime, &key, &request, digest, true),
    };
    match begun {
        Ok(call) => {
            let (payment, resource) = transfer(runtime, key, call, true).await;
            if resource.is_some() {
                return outcome(payment, resource);
            }
            answer_as_it_stands(runtime, &key, payment, &request, digest)
        }
        Err(refusal) => PayOutcome::Refused(refusal),
    }
}

#[cfg(test)]
pub(crate) mod tests;
