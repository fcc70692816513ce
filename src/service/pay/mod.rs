//! Settlement: from a decoded payment to money moved and booked.
//!
//! 1. Is the nonce known? Then this is a repetition, and [`known`] answers it.
//! 2. Verify (`domain::verify`). Nothing is stored and nobody is called for a payment that fails here.
//! 3. Journal the payment: this reserves the nonce and fixes `created_at_time`.
//! 4. One `icrc2_transfer_from`, with the payment id as memo.
//! 5. Judge the answer (`domain::settlement`), book it, answer.
//!
//! Between 4 and 5 anything can happen; [`guard`] leaves the payment unknown, never lost.

mod guard;
mod known;

use crate::{
    domain::{
        capacity,
        config::Config,
        payment::{Doubt, Event, Payment, Receipt, State},
        settlement::{self, CallOutcome, Verdict},
        verify::{NonceState, Refusal, Sale, VerifiedPayment, verify},
    },
    runtime::Runtime,
    service::catalogue,
    storage::{
        self,
        payments::{Change, NewPayment, RecordError},
    },
    types::{Account, BlockIndex, Fingerprint, NonceKey, PaymentId, Proof, RouteKey, TimestampNs},
};
use candid::Principal;
use guard::Guard;
pub use known::may_ask;
use sha2::{Digest, Sha256};
use x402_icp::{Code, decode::DecodedPayment};

/// A payment and the request it comes with.
#[derive(Clone, Debug)]
pub struct PaymentRequest {
    /// The route that the request matched: method and template.
    pub route: RouteKey,
    /// The path of the request; goes into the books, at most
    /// [`MAX_PATH_BYTES`](crate::domain::template::MAX_PATH_BYTES) long.
    pub path: String,
    /// The payment.
    pub payment: DecodedPayment,
    /// SHA-256 over everything of the request that the answer depends on.
    pub fingerprint: [u8; 32],
    /// Whether there is something to deliver. If not, the ledger is not asked again for a payment whose
    /// outcome is unknown: that could make a transfer for nothing.
    pub deliverable: bool,
}

/// How a payment ended, as far as this request goes.
#[derive(Clone, Debug, PartialEq)]
pub enum PayOutcome {
    /// Paid, now or before by the same proof with the same request: deliver.
    Paid {
        /// Proof of it.
        receipt: Receipt,
    },
    /// Verification failed. Nothing was stored, nothing moved.
    Refused(Refusal),
    /// The ledger provably moved nothing.
    Failed {
        /// Why, for a machine.
        code: Code,
        /// Why, for a reader.
        message: String,
        /// Which payment.
        payment_id: PaymentId,
        /// Who would have paid.
        payer: Account,
    },
    /// The outcome is not known yet. The same request again learns it; a new payment might pay twice.
    Pending {
        /// Which payment.
        payment_id: PaymentId,
        /// Who pays.
        payer: Account,
    },
    /// The payment was used before, for another request or too long ago.
    Duplicate {
        /// Which payment.
        payment_id: PaymentId,
        /// Who paid.
        payer: Account,
        /// What it was used for, if it is settled: who repeats it has its proof.
        receipt: Option<Receipt>,
    },
}

/// Takes a payment: verifies, settles and books it.
pub async fn settle<R: Runtime>(runtime: &R, request: PaymentRequest) -> PayOutcome {
    let key = nonce_key(&request.payment);
    let proof = proof(&request.payment);
    let begun = match known::payment(&key, runtime.now()) {
        Some(payment) => match known::answer(&payment, &request, proof, runtime.now()) {
            known::Answer::Final(outcome) => return *outcome,
            known::Answer::Deliver => return outcome(delivered(runtime, &key, payment)),
            known::Answer::AskAgain => begin(runtime, &key, Change::Event(Event::Retried)),
            known::Answer::OtherProof => open(runtime, &key, &request, proof, true),
        },
        None => open(runtime, &key, &request, proof, false),
    };
    match begun {
        Ok(payment) => outcome(ask(runtime, key, payment, request.deliverable).await),
        Err(refusal) => PayOutcome::Refused(refusal),
    }
}

/// Verifies the payment and journals that the ledger is about to be asked for it.
fn open<R: Runtime>(
    runtime: &R,
    key: &NonceKey,
    request: &PaymentRequest,
    proof: Proof,
    nonce_used: bool,
) -> Result<Payment, Refusal> {
    let new = admit(runtime, request, proof, nonce_used)?;
    begin(runtime, key, Change::Open(Box::new(new)))
}

/// The payment, now that the present message delivers what was bought, for the first time or again.
fn delivered<R: Runtime>(runtime: &R, key: &NonceKey, payment: Payment) -> Payment {
    if matches!(payment.state, State::Delivered { .. }) {
        return payment;
    }
    let change = Change::Event(Event::Delivered);
    storage::payments::record(key, change, runtime.now()).unwrap_or(payment)
}

/// Asks the ledger once more for a payment that is unknown, for nobody who waits: if the money moved, the
/// payment is settled, and what was bought waits for its payer.
///
/// The caller makes sure that the ledger may be asked at all ([`known::may_ask`]). Returns the payment as it is then.
pub async fn ask_again<R: Runtime>(runtime: &R, key: NonceKey) -> Result<Payment, RecordError> {
    let change = Change::Event(Event::Retried);
    let payment = storage::payments::record(&key, change, runtime.now())?;
    Ok(ask(runtime, key, payment, false).await)
}

/// Which nonce the payment uses.
fn nonce_key(payment: &DecodedPayment) -> NonceKey {
    NonceKey::new(
        &payment.authorization.from.owner,
        &payment.authorization.nonce,
    )
}

/// What only the payer, and whom the payer sent it to, can know of the authorization: its signature.
///
/// Of a signature of 64 bytes only the first half counts (`R`, or `r`), which is another one in each
/// signature. The second half has two good forms on some curves, and who changes the one into the other
/// must not be able to make the payer's own repetition look like somebody else's.
fn proof(payment: &DecodedPayment) -> Proof {
    let authorization = &payment.authorization;
    let signature = match authorization.signature.as_slice() {
        both if both.len() == 64 => &both[..32],
        whole => whole,
    };
    let hash: [u8; 32] = Sha256::new()
        .chain_update(authorization.valid_after.to_be_bytes())
        .chain_update(authorization.valid_before.to_be_bytes())
        .chain_update(signature)
        .finalize()
        .into();
    Proof::from(hash)
}

/// Steps 2 to 7 of the verification, against what is stored.
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
        root_key: &root_key,
    };
    let nonce_state = |key: &NonceKey| {
        if nonce_used {
            NonceState::Used
        } else if storage::cancellations::contains(key) {
            NonceState::Cancelled
        } else {
            NonceState::Free
        }
    };
    let capacity = |payer: &Principal, ledger: &Principal| {
        let load = storage::payments::load(payer, ledger);
        capacity::check(
            &config.limits,
            runtime.cycles_balance(),
            &load,
            runtime.now(),
        )
    };
    let verified = verify(&request.payment, &sale, nonce_state, capacity)?;
    Ok(NewPayment {
        known_block: storage::payments::highest_block(&verified.offer.price.ledger),
        payment: new_payment(&verified, &config, request, proof),
        route: request.route.clone(),
        valid_before: Some(request.payment.authorization.valid_before),
    })
}

fn new_payment(
    verified: &VerifiedPayment<'_>,
    config: &Config,
    request: &PaymentRequest,
    proof: Proof,
) -> Payment {
    Payment {
        id: verified.id,
        network: config.network.clone(),
        ledger: verified.offer.price.ledger,
        from: verified.from,
        to: verified.offer.pay_to,
        amount: verified.offer.price.amount,
        fee: verified.offer.ledger.fee,
        request: RouteKey::new(request.route.method, request.path.clone()),
        fingerprint: Fingerprint::from(request.fingerprint),
        proof,
        created_at: TimestampNs::from_seconds(request.payment.authorization.valid_after),
        response: None,
        state: State::Reserved,
    }
}

/// Journals that the ledger is about to be asked.
fn begin<R: Runtime>(runtime: &R, key: &NonceKey, change: Change) -> Result<Payment, Refusal> {
    storage::payments::record(key, change, runtime.now())
        .map_err(|error| Refusal::new(Code::LedgerUnavailable, error.to_string()))
}

/// Asks the ledger and books the answer. `deliver`: a request waits to be answered with what was bought.
/// Returns the payment as it is then.
async fn ask<R: Runtime>(runtime: &R, key: NonceKey, payment: Payment, deliver: bool) -> Payment {
    let known_block = storage::payments::highest_block(&payment.ledger);
    let argument = settlement::argument(&payment);
    let guard = Guard::new(runtime, key);
    let outcome = runtime
        .call(payment.ledger, settlement::METHOD, argument)
        .await;
    // From here on a trap would undo what follows; the guard then says so in the journal.
    let payment = conclude(runtime, &key, payment, &outcome, known_block, deliver);
    guard.defuse();
    payment
}

fn conclude<R: Runtime>(
    runtime: &R,
    key: &NonceKey,
    asked: Payment,
    outcome: &CallOutcome,
    known_block: Option<BlockIndex>,
    deliver: bool,
) -> Payment {
    let shape = storage::shapes::get(&asked.ledger);
    let Verdict { event, fee } = settlement::judge(outcome, known_block, shape.as_deref());
    if shape.is_none()
        && let Some(shape) = settlement::ok_shape(outcome)
    {
        storage::shapes::put(asked.ledger, shape);
    }
    if let Some(fee) = fee {
        storage::ledgers::learn_fee(&asked.ledger, fee, runtime.now());
    }
    let change = match event {
        Event::Moved { .. } if deliver => Change::Both(event, Event::Delivered),
        event => Change::Event(event),
    };
    let now = runtime.now();
    storage::payments::record(key, change, now)
        .or_else(|_| {
            // The books are full, or something else spoke first: what is known is that nothing is certain.
            storage::payments::record(key, Change::Event(Event::InDoubt(Doubt::Trapped)), now)
        })
        .unwrap_or(asked)
}

/// What a request gets that asked the ledger or delivers.
fn outcome(payment: Payment) -> PayOutcome {
    match (payment.receipt(), payment.state) {
        (Some(receipt), _) => PayOutcome::Paid { receipt },
        (_, State::Failed { failure, .. }) => PayOutcome::Failed {
            code: failure.kind.code(),
            message: failure.message,
            payment_id: payment.id,
            payer: payment.from,
        },
        _ => PayOutcome::Pending {
            payment_id: payment.id,
            payer: payment.from,
        },
    }
}

#[cfg(test)]
mod tests;
