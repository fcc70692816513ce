//! Settlement: from a decoded payment to money moved and booked.
//!
//! 1. Is the nonce known? Then this is a repetition, and [`known`] answers it.
//! 2. Verify (`domain::verify`). No table changes and nobody is called for a payment that fails here. The heap keeps
//!    what expensive signatures took, and digests of those that hold and of those that do not (`domain::expensive`).
//! 3. Journal the payment: this reserves the nonce and fixes `created_at_time`.
//! 4. One `icrc2_transfer_from`, with the payment id as memo.
//! 5. Judge the answer (`domain::settlement`), book it, answer.
//!
//! Between 4 and 5 anything can happen; [`guard`] leaves the payment unknown, never lost.

mod conclusion;
mod guard;
mod known;
mod means;

use crate::{
    domain::{
        combination::ROUTE_BY_ICRC2,
        config::Config,
        fulfilment::Fulfilment,
        payment::{Event, Payment, State},
        request::{Goods, PayOutcome, PaymentRequest, claim_key, proof},
        settlement,
        verify::{NonceState, Refusal, Sale, VerifiedPayment, verify},
    },
    runtime::Runtime,
    service::{catalogue, fees, identifiers, schedule},
    storage::{
        self,
        payments::{Change, NewPayment, RecordError},
        quarantine::Unreadable,
    },
    types::{BlockIndex, ClaimKey, Fingerprint, MerchantId, Proof, TimestampNs},
};
use candid::Principal;
use conclusion::{answer_as_it_stands, conclude, deliver, outcome};
use guard::Guard;
pub use known::may_ask;
use means::can_ask;
use x402_icp::Code;

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
                return deliver(runtime, &key, payment);
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

/// A payment for which the ledger is about to be asked.
struct Asked {
    payment: Payment,
    /// The highest block that is known: the transfer's is above it, if this try makes it.
    known_block: Option<BlockIndex>,
}

/// Verifies the payment and journals that the ledger is about to be asked for it.
fn open<R: Runtime>(
    runtime: &R,
    key: &ClaimKey,
    request: &PaymentRequest,
    proof: Proof,
    nonce_used: bool,
) -> Result<Asked, Refusal> {
    let new = admit(runtime, request, proof, nonce_used)?;
    let known_block = new.known_block;
    let change = Change::Open(Box::new(new));
    let payment = storage::payments::record(key, change, runtime.now()).map_err(unavailable)?;
    identifiers::bind(request, runtime.now());
    Ok(Asked {
        payment,
        known_block,
    })
}

/// Journals that the ledger is about to be asked again.
fn retry<R: Runtime>(runtime: &R, key: &ClaimKey) -> Result<Asked, RecordError> {
    let change = Change::Event(Event::Retried);
    let payment = storage::payments::record(key, change, runtime.now())?;
    Ok(Asked {
        known_block: storage::claims::highest_block(&payment.ledger),
        payment,
    })
}

fn unavailable(error: RecordError) -> Refusal {
    Refusal::new(Code::LedgerUnavailable, error.to_string())
}

/// Asks the ledger once more for a payment that is unknown, for nobody who waits: if the money moved, the
/// payment is settled, and what was bought waits for its payer.
///
/// The caller makes sure that the ledger may be asked at all ([`may_ask`]). A call that cannot be made now is
/// put off. Returns the payment as it is
/// then.
pub async fn ask_again<R: Runtime>(runtime: &R, key: ClaimKey) -> Result<Payment, RecordError> {
    if let Some(payment) = storage::payments::by_key(&key)
        && !can_ask(runtime, &payment.ledger)
    {
        storage::payments::postpone(&key, runtime.now().plus(known::RETRY_PAUSE));
        return Ok(payment);
    }
    let asked = retry(runtime, &key)?;
    Ok(ask(runtime, key, asked, false).await.0)
}

/// Steps 2 to 8 of the verification, against what is stored.
fn admit<R: Runtime>(
    runtime: &R,
    request: &PaymentRequest,
    proof: Proof,
    nonce_used: bool,
) -> Result<NewPayment, Refusal> {
    let config = storage::config::read();
    let route = storage::routes::get(&request.route)
        .ok_or_else(|| Refusal::new(Code::OfferMismatch, "nothing is for sale under this path"))?;
    let offers = catalogue::all_offers(&route, &config, runtime.canister_id());
    let root_key = runtime.root_key();
    let sale = Sale {
        route: &route,
        offers: &offers,
        network: &config.network,
        spender: runtime.canister_id(),
        now: runtime.now(),
        spare: means::spare(runtime, &config.limits),
        root_key: &root_key,
    };
    let nonce_state = |key: &ClaimKey| {
        if nonce_used {
            NonceState::Used
        } else if storage::cancellations::contains(key) {
            NonceState::Cancelled
        } else {
            NonceState::Free
        }
    };
    let capacity = |payer: &Principal, ledger: &Principal| {
        means::capacity(runtime, &config.limits, payer, ledger)
    };
    let verified = storage::signatures::with(|expensive| {
        verify(&request.payment, &sale, nonce_state, expensive, capacity)
    })?;
    // Verification refuses a route without content; so does this.
    let content = route
        .content
        .ok_or_else(|| Refusal::new(Code::OfferMismatch, "nothing is for sale under this path"))?;
    let response = storage::responses::number(&content, &route.mime_type);
    Ok(NewPayment {
        known_block: storage::claims::highest_block(&verified.offer.price.ledger),
        payment: new_payment(
            &verified,
            &config,
            request,
            proof,
            Fulfilment::Stored(response),
        ),
        valid_before: request.payment.authorization.valid_before,
    })
}

fn new_payment(
    verified: &VerifiedPayment<'_>,
    config: &Config,
    request: &PaymentRequest,
    proof: Proof,
    fulfilment: Fulfilment,
) -> Payment {
    Payment {
        id: verified.id,
        scheme: ROUTE_BY_ICRC2.scheme,
        rail: ROUTE_BY_ICRC2.rail,
        merchant: MerchantId::DEPLOYER,
        network: config.network.clone(),
        ledger: verified.offer.price.ledger,
        from: verified.from,
        to: verified.offer.pay_to,
        amount: verified.offer.price.amount,
        fee: verified.offer.ledger.fee,
        purchase: request.purchase.clone(),
        fingerprint: Fingerprint::from(request.fingerprint),
        proof,
        created_at: TimestampNs::from_seconds(request.payment.authorization.valid_after),
        fulfilment,
        state: State::Reserved,
    }
}

/// Asks the ledger and books the answer. `waits`: whether a request waits to be answered with what was bought. Returns the payment as it is then, and what was bought if it is delivered.
async fn ask<R: Runtime>(
    runtime: &R,
    key: ClaimKey,
    asked: Asked,
    waits: bool,
) -> (Payment, Option<Goods>) {
    let Asked {
        payment,
        known_block,
    } = asked;
    let argument = settlement::argument(&payment);
    let ledger = payment.ledger;
    let guard = Guard::new(runtime, key);
    let outcome = runtime
        .call(payment.ledger, settlement::METHOD, argument)
        .await;
    // From here on a trap would undo what follows; the guard then says so in the journal.
    let concluded = conclude(runtime, &key, payment, &outcome, known_block, waits);
    guard.defuse();
    if concluded.0.state.moved().is_some() {
        storage::signatures::with(|expensive| expensive.paid(&key, runtime.now()));
    }
    if !concluded.0.state.is_final() {
        schedule::arm(runtime);
    }
    // All is booked; what comes now decides about later offers. What was paid for does not wait for it.
    if concluded.0.state.moved().is_none() {
        fees::renew(runtime, &ledger).await;
    }
    concluded
}

#[cfg(test)]
pub(crate) mod tests;
