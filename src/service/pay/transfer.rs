//! Asking the ledger for a payment's transfer, and booking what its answer proves.

use super::{fulfil, guard::Guard, known, means::can_ask};
use crate::{
    domain::{
        payment::{Doubt, Event, Payment},
        rail::TxRef,
        request::Goods,
        settlement::{self, CallOutcome},
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
pub struct Asked {
    /// The payment.
    pub payment: Payment,
    /// The highest block that is known: the transfer's is above it, if this try makes it.
    pub known_block: Option<BlockIndex>,
}

/// Journals that the ledger is about to be asked again.
pub fn retry<R: Runtime>(runtime: &R, key: &ClaimKey) -> Result<Asked, RecordError> {
    let change = Change::Event(Event::Retried);
    let payment = storage::payments::record(key, change, runtime.now())?;
    Ok(Asked {
        known_block: storage::claims::highest_block(&payment.ledger),
        payment,
    })
}

/// Asks the ledger once more for a payment that is unknown, for nobody who waits: if the money moved, the
/// payment is settled, and what was bought waits for its payer.
///
/// The caller makes sure that the ledger may be asked at all ([`known::may_ask`]). A call that cannot be made now is
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

/// Asks the ledger and books the answer. `waits`: whether a request waits to be answered with what was bought.
/// Returns the payment as it is then, and what was bought if it is delivered.
pub async fn ask<R: Runtime>(
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

/// Books the end of a call, and gives what was bought if this message delivers it.
fn conclude<R: Runtime>(
    runtime: &R,
    key: &ClaimKey,
    asked: Payment,
    outcome: &CallOutcome,
    known_block: Option<BlockIndex>,
    waits: bool,
) -> (Payment, Option<Goods>) {
    let verdict = settlement::judge(outcome, known_block);
    fees::note(runtime, &asked.ledger, &verdict);
    let (event, now) = (verdict.event, runtime.now());
    let goods = match &event {
        Event::Moved { .. } if waits => fulfil::goods(&asked),
        _ => None,
    };
    let named = match event {
        Event::Moved {
            tx: TxRef::Block(block),
        } => Some(block),
        _ => None,
    };
    let change = match &goods {
        Some(_) => Change::Both(event, Event::Delivered),
        None => Change::Event(event),
    };
    match storage::payments::record(key, change, now) {
        Ok(payment) => {
            if goods.is_some() {
                fulfil::note_delivery(&payment, now);
            }
            (payment, goods)
        }
        // The block is another transfer's, the books are full, or something else spoke first: what is known is
        // that nothing is certain.
        Err(error) => {
            if let Some(block) = named {
                storage::claims::acknowledge(&asked.ledger, block);
            }
            let doubt = match error {
                RecordError::Claimed => Doubt::ImplausibleBlock,
                _ => Doubt::Trapped,
            };
            let doubt = Change::Event(Event::InDoubt(doubt));
            let payment = storage::payments::record(key, doubt, now).ok();
            let known = || storage::payments::by_key(key);
            (payment.or_else(known).unwrap_or(asked), None)
        }
    }
}
