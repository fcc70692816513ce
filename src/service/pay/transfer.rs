//! Asking the ledger for a payment's transfer, and booking what its answer proves.

use super::{fulfil, guard::Guard, known, means::can_call_ledger};
use crate::{
    domain::{
        payment::{Doubt, Event, Payment},
        request::Resource,
        settlement::{self, CallOutcome, Plan},
        verdict::Verdict,
    },
    runtime::Runtime,
    service::{fees, schedule},
    storage::{
        self,
        payments::{Change, RecordError},
    },
    types::{BlockIndex, ClaimKey},
};

/// A payment for which the ledger is about to be asked.
pub struct LedgerCall {
    /// The payment.
    pub payment: Payment,
    /// The highest block that is known: the transfer's is above it, if this try makes it.
    pub known_block: Option<BlockIndex>,
}

/// Journals that the ledger is about to be asked again.
pub fn retry<R: Runtime>(runtime: &R, key: &ClaimKey) -> Result<LedgerCall, RecordError> {
    let change = Change::Event(Event::Retried);
    let payment = storage::payments::record(key, change, runtime.now())?;
    Ok(LedgerCall {
        known_block: storage::claims::highest_block(&payment.ledger),
        payment,
    })
}

/// Asks the ledger once more for a payment that is unknown, for nobody who waits: if the money moved, the
/// payment is settled, and what was bought waits for its payer.
///
/// The caller makes sure that the ledger may be asked at all ([`known::may_retry`]). A call that cannot be made now is
/// put off. Returns the payment as it is
/// then.
pub async fn call_again<R: Runtime>(runtime: &R, key: ClaimKey) -> Result<Payment, RecordError> {
    if let Some(payment) = storage::payments::by_key(&key)
        && !can_call_ledger(runtime, &payment.ledger)
    {
        storage::payments::postpone(&key, runtime.now().plus(known::RETRY_PAUSE));
        return Ok(payment);
    }
    let call = retry(runtime, &key)?;
    Ok(transfer(runtime, key, call, false).await.0)
}

/// Asks the ledger and books the answer. `waits`: whether a request waits to be answered with what was bought.
/// Returns the payment as it is then, and what was bought if it is delivered.
pub async fn transfer<R: Runtime>(
    runtime: &R,
    key: ClaimKey,
    call: LedgerCall,
    waits: bool,
) -> (Payment, Option<Resource>) {
    let LedgerCall {
        payment,
        known_block,
    } = call;
    let Plan::Pull { argument } = settlement::plan(&payment);
    let ledger = payment.ledger;
    let guard = Guard::new(runtime, key);
    let outcome = runtime.call(ledger, settlement::METHOD, argument).await;
    // From here on a trap would undo what follows; the guard then says so in the journal.
    let recorded = record_answer(runtime, &key, payment, &outcome, known_block, waits);
    guard.defuse();
    if recorded.0.state.moved().is_some() {
        storage::signatures::with(|expensive| expensive.paid(&key, runtime.now()));
    }
    if !recorded.0.state.is_final() {
        schedule::arm(runtime);
    }
    // All is booked; what comes now decides about later offers. What was paid for does not wait for it.
    if recorded.0.state.moved().is_none() {
        fees::renew(runtime, &ledger).await;
    }
    recorded
}

/// Books the end of a call, and gives what was bought if this message delivers it.
fn record_answer<R: Runtime>(
    runtime: &R,
    key: &ClaimKey,
    payment: Payment,
    outcome: &CallOutcome,
    known_block: Option<BlockIndex>,
    waits: bool,
) -> (Payment, Option<Resource>) {
    let judgement = settlement::judge(outcome, known_block);
    fees::note(runtime, &payment.ledger, &judgement);
    let (verdict, now) = (judgement.verdict, runtime.now());
    let resource = match &verdict {
        Verdict::Moved(_) if waits => fulfil::resource(&payment),
        _ => None,
    };
    let named = verdict.block();
    let change = match &resource {
        Some(_) => Change::Both(verdict.into(), Event::Delivered),
        None => Change::Event(verdict.into()),
    };
    match storage::payments::record(key, change, now) {
        Ok(payment) => {
            if resource.is_some() {
                fulfil::note_delivery(&payment, now);
            }
            (payment, resource)
        }
        // The block is another transfer's, the settled payments are at their limit, or another message has decided:
        // what is known is that nothing is certain.
        Err(error) => {
            if let Some(block) = named {
                storage::claims::acknowledge(&payment.ledger, block);
            }
            let doubt = match error {
                RecordError::Claimed => Doubt::ImplausibleBlock,
                _ => Doubt::Trapped,
            };
            let doubt = Change::Event(Event::InDoubt(doubt));
            let recorded = storage::payments::record(key, doubt, now).ok();
            let known = || storage::payments::by_key(key);
            (recorded.or_else(known).unwrap_or(payment), None)
        }
    }
}
