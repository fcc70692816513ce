//! The settlement of a decoded payment: [`settle`].
//!
//! | step | file |
//! |---|---|
//! | 1. If the claim key is known, the request is a repetition, and is answered from the record. | `known` |
//! | 2. Verify. A payment that fails here changes no table and causes no call. The heap keeps the costs of expensive signatures, and digests of valid and of invalid ones (`domain::expensive`). | `verify` |
//! | 3. Record the payment as open: this reserves the claim key and fixes `created_at_time`. | `verify` |
//! | 4. Call the ledger, once: `icrc2_transfer_from` with the payment id as memo. | `transfer` |
//! | 5. Judge the answer (`domain::settlement`) and record the result. | `transfer` |
//! | 6. Deliver what was bought, have the work done that was bought, or return the reason why not. | `fulfil`, `work`, `outcome` |
//!
//! A payment by the payer's own transfer is recorded when its block was read (`prove`): nothing is called that moves
//! money, so steps 2 to 5 are one.
//!
//! A payment by invoice is opened by `collect`, when its money is there, and goes through steps 4 to 6.
//!
//! If the handler ends between 4 and 5, `guard` leaves the payment unknown, never lost.

pub mod collect;
mod fulfil;
mod guard;
mod known;
mod means;
mod outcome;
mod prove;
mod transfer;
mod verify;
pub mod work;

use crate::{
    domain::request::{Credential, PayOutcome, PaymentRequest},
    runtime::Runtime,
    service::schedule,
    storage::quarantine::Unreadable,
};
use fulfil::deliver;
use known::answer_from_record;
pub use known::may_retry;
use means::can_call_ledger;
use outcome::outcome;
pub use transfer::call_again;
use transfer::{retry, transfer};
use verify::{open, unavailable};

/// Processes a payment: verifies, settles and records it.
pub async fn settle<R: Runtime>(runtime: &R, request: PaymentRequest) -> PayOutcome {
    // The timer is lost if the canister is frozen when it fires, so each payment sets it again for overdue work.
    schedule::catch_up(runtime);
    let key = request.claim_key();
    let digest = request.authorization_digest();
    let known = known::payment(&key, runtime.now());
    if let (Credential::Transfer(proved), Ok(None)) = (&request.credential, &known) {
        return prove::prove(runtime, &key, &request, proved, digest).await;
    }
    let begun = match known {
        Ok(Some(payment)) => match known::decide(&payment, &request, digest, runtime.now()) {
            known::Decision::Final(outcome) => return *outcome,
            known::Decision::Deliver => {
                let (payment, resource) = deliver(runtime, &key, payment);
                return outcome(payment, resource);
            }
            known::Decision::Work => {
                let (payment, resource) = work::run(runtime, &key, payment).await;
                return outcome(payment, resource);
            }
            known::Decision::CallAgain if !can_call_ledger(runtime, &payment.ledger) => {
                return outcome(payment, None);
            }
            known::Decision::CallAgain => retry(runtime, &key).map_err(unavailable),
            known::Decision::OtherAuthorization => open(runtime, &key, &request, digest, true),
        },
        Ok(None) => open(runtime, &key, &request, digest, false),
        // The key of an unreadable payment stays used, whatever its outcome was.
        Err(Unreadable) => open(runtime, &key, &request, digest, true),
    };
    match begun {
        Ok(call) => {
            let (payment, resource) = transfer(runtime, key, call, true).await;
            if resource.is_some() {
                return outcome(payment, resource);
            }
            answer_from_record(runtime, &key, payment, &request, digest).await
        }
        Err(refusal) => PayOutcome::Refused(refusal),
    }
}

#[cfg(test)]
pub(crate) mod tests;
