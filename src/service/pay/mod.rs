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

mod answer;
mod fulfil;
mod guard;
mod known;
mod means;
mod transfer;
mod verify;

use crate::{
    domain::request::{PayOutcome, PaymentRequest, claim_key, proof},
    runtime::Runtime,
    service::schedule,
    storage::quarantine::Unreadable,
};
use answer::{answer_as_it_stands, outcome};
use fulfil::deliver;
pub use known::may_ask;
use means::can_ask;
pub use transfer::ask_again;
use transfer::{ask, retry};
use verify::{open, unavailable};

/// Takes a payment: verifies, settles and books it.
pub async fn settle<R: Runtime>(runtime: &R, request: PaymentRequest) -> PayOutcome {
    // A timer is lost when the canister is frozen at its time: who comes next sees to what is due.
    schedule::catch_up(runtime);
    let key = claim_key(&request.payment);
    let proof = proof(&request.payment);
    let known = known::payment(&key, runtime.now());
    let begun = match known {
        Ok(Some(payment)) => match known::answer(&payment, &request, proof, runtime.now()) {
            known::Answer::Final(outcome) => return *outcome,
            known::Answer::Deliver => {
                let (payment, goods) = deliver(runtime, &key, payment);
                return outcome(payment, goods);
            }
            known::Answer::AskAgain if !can_ask(runtime, &payment.ledger) => {
                return outcome(payment, None);
            }
            known::Answer::AskAgain => retry(runtime, &key).map_err(unavailable),
            known::Answer::OtherProof => open(runtime, &key, &request, proof, true),
        },
        Ok(None) => open(runtime, &key, &request, proof, false),
        // Whatever became of it: nobody pays with this key again.
        Err(Unreadable) => open(runtime, &key, &request, proof, true),
    };
    match begun {
        Ok(asked) => {
            let (payment, goods) = ask(runtime, key, asked, true).await;
            if goods.is_some() {
                return outcome(payment, goods);
            }
            answer_as_it_stands(runtime, &key, payment, &request, proof)
        }
        Err(refusal) => PayOutcome::Refused(refusal),
    }
}

#[cfg(test)]
pub(crate) mod tests;
