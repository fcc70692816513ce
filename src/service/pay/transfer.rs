//! Calling the ledger for a payment's transfer, and recording what its answer proves.

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

/// A payment for which the ledger is about to be called.
pub struct LedgerCall {
    pub payment: Payment,
    /// The highest known block. If this try makes the transfer, its block is above that.
    pub known_block: Option<BlockIndex>,
}

/// Records that the ledger is about to be called again.
pub fn retry<R: Runtime>(runtime: &R, key: &ClaimKey) -> Result<LedgerCall, RecordError> {
    let change = Change::Event(Event::Retried);
    let payment = storage::payments::record(key, change, runtime.now())?;
    Ok(LedgerCall {
        known_block: storage::claims::highest_block(&payment.ledger),
        payment,
    })
}

/// Calls the ledger again for an unknown payment while no request waits. If the money moved, the payment is settled,
/// and the payer can fetch what was bought.
///
/// The caller has checked that the ledger may be called ([`known::may_retry`]). A call that cannot be made now is
/// postponed. Returns the payment in its new state.
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

/// Calls the ledger and records the answer. `waits`: whether a request waits for the resource. Returns the payment in
/// its new state, and the resource if it is delivered.
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
    // No payment by the payer's own transfer is ever open.
    let Plan::Pull { method, argument } = settlement::plan(&payment) else {
        return (payment, None);
    };
    let ledger = payment.ledger;
    let guard = Guard::new(runtime, key);
    let outcome = runtime.call(ledger, method, argument).await;
    // A trap from here to `defuse` undoes the changes, and the guard marks the payment unknown.
    let recorded = record_answer(runtime, &key, payment, &outcome, known_block, waits);
    guard.defuse();
    if recorded.0.state.moved().is_some() {
        storage::signatures::with(|expensive| expensive.paid(&key, runtime.now()));
    }
    if !recorded.0.state.is_final() {
        schedule::arm(runtime);
    } else {
        schedule::announce(runtime);
    }
    // The outcome is recorded. The fee query concerns later offers only, so a delivery does not wait for it.
    if recorded.0.state.moved().is_none() {
        fees::renew(runtime, &ledger).await;
    }
    recorded
}

/// Records the end of a call. Returns the resource if this message delivers it.
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
        // The block shows another transfer, the settled payments are at their limit, or another message changed the
        // payment. Record the outcome as unknown.
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
