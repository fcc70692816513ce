//! A payment whose nonce is known already.

use crate::{
    domain::payment::{Payment, State},
    service::pay::{PayOutcome, PaymentRequest},
    types::{Fingerprint, Proof, RouteKey, Seconds, TimestampNs},
};

/// For how long the answer to a settled payment is repeated.
pub const REDELIVERY: Seconds = Seconds::DAY;

/// For how long the same transfer may be asked for again.
///
/// Ledgers drop duplicates for 24 hours. Later they refuse the transfer as too old, so asking would do no
/// harm, but it would not help either; ten minutes are left for clocks that differ.
pub const DEDUP_WINDOW: Seconds = Seconds(86_400 - 600);

/// So many tries follow each other without a pause.
pub const EAGER_TRIES: u16 = 3;

/// How long the ledger is left alone between later tries of one payment.
pub const RETRY_PAUSE: Seconds = Seconds(5);

/// What to do with the repetition.
#[derive(Debug, PartialEq)]
pub enum Answer {
    /// Answer so.
    Final(Box<PayOutcome>),
    /// Ask the ledger the same thing again.
    AskAgain,
    /// It is no repetition: another authorization uses the nonce. Verification will say so.
    OtherProof,
}

/// Decides what a request gets whose nonce `payment` uses.
pub fn answer(
    payment: &Payment,
    request: &PaymentRequest,
    proof: Proof,
    now: TimestampNs,
) -> Answer {
    // Ids are public; only who has the signature too is answered as the payer.
    if payment.proof != proof {
        return Answer::OtherProof;
    }
    let (payment_id, payer) = (payment.id, payment.from);
    let outcome = if !same_request(payment, request) {
        PayOutcome::Duplicate {
            payment_id,
            payer,
            receipt: payment.receipt(),
        }
    } else {
        match (&payment.state, payment.receipt()) {
            (State::Settled { at, .. }, Some(receipt)) if now <= at.plus(REDELIVERY) => {
                PayOutcome::Paid { receipt }
            }
            (State::Settled { .. }, _) => PayOutcome::Duplicate {
                payment_id,
                payer,
                receipt: payment.receipt(),
            },
            // The proof is the same, so this is the window that the payer signed: no transfer is asked
            // for after it, even if an earlier try may have made it.
            (
                State::Unknown {
                    since, attempts, ..
                },
                _,
            ) if request.deliverable
                && (*attempts < EAGER_TRIES || now >= since.plus(RETRY_PAUSE))
                && now <= payment.created_at.plus(DEDUP_WINDOW)
                && now.seconds() < request.payment.authorization.valid_before =>
            {
                return Answer::AskAgain;
            }
            // One authorization, one outcome: a payer who signed anew after a failure is not charged for
            // both because somebody repeats the first.
            (State::Failed { failure, .. }, _) => PayOutcome::Failed {
                code: failure.kind.code(),
                message: failure.message.clone(),
                payment_id,
                payer,
            },
            _ => PayOutcome::Pending { payment_id, payer },
        }
    };
    Answer::Final(Box::new(outcome))
}

fn same_request(payment: &Payment, request: &PaymentRequest) -> bool {
    payment.fingerprint == Fingerprint::from(request.fingerprint)
        && payment.request == RouteKey::new(request.route.method, request.path.clone())
}
