//! What becomes of a payment when the ledger has answered, and what the request gets that waits for it.

use super::known;
use crate::{
    domain::{
        payment::{Doubt, Event, Payment, RefundCause, State},
        rail::TxRef,
        request::{Goods, PayOutcome, PaymentRequest},
        settlement::{self, CallOutcome},
    },
    runtime::Runtime,
    service::{fees, refund},
    storage::{
        self,
        payments::{Change, RecordError},
        responses::Response,
    },
    types::{BlockIndex, ClaimKey, Proof, TimestampNs},
};

/// Books the end of a call, and gives what was bought if this message delivers it.
pub fn conclude<R: Runtime>(
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
        Event::Moved { .. } if waits => goods(&asked),
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
                note_delivery(&payment, now);
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

fn note_delivery(payment: &Payment, now: TimestampNs) {
    storage::responses::note_delivery(payment.fulfilment.response(), now);
}

/// What the payment bought, if it is still kept.
pub fn bought(payment: &Payment) -> Option<Response> {
    storage::responses::get(payment.fulfilment.response())
}

/// What the payment bought, if it is still there.
pub fn goods(payment: &Payment) -> Option<Goods> {
    let Response { content, mime_type } = bought(payment)?;
    let body = storage::content::read(&content)?;
    Some(Goods { mime_type, body })
}

/// Answers with what was bought, for the first time or again. What is owed and cannot be delivered is to be paid
/// back: for money that went to a stranger's account the payer waits for a controller ([`refund::due`]).
pub fn deliver<R: Runtime>(runtime: &R, key: &ClaimKey, payment: Payment) -> PayOutcome {
    let goods = goods(&payment);
    if matches!(payment.state, State::Delivered { .. }) {
        return outcome(payment, goods);
    }
    let (event, now) = match goods {
        Some(_) => (Event::Delivered, runtime.now()),
        None => {
            let due = refund::due(runtime, &payment, RefundCause::NotDeliverable);
            (due, runtime.now())
        }
    };
    match storage::payments::record(key, Change::Event(event), now) {
        Ok(payment) => {
            if goods.is_some() {
                note_delivery(&payment, now);
            }
            outcome(payment, goods)
        }
        Err(_) => outcome(payment, None),
    }
}

/// What a request gets that asked the ledger or delivers. While what was bought is owed, it is to come again.
pub fn outcome(payment: Payment, goods: Option<Goods>) -> PayOutcome {
    let (payment_id, payer) = (payment.id, payment.from);
    match (payment.receipt(), goods, payment.state) {
        (Some(receipt), Some(goods), _) => PayOutcome::Paid { receipt, goods },
        (_, _, State::Failed { failure, .. }) => PayOutcome::Failed {
            code: failure.kind.code(),
            message: failure.message,
            payment_id,
            payer,
        },
        // What waits for a controller and cannot be delivered does not come by itself.
        (_, _, state) if state.is_owed() && !state.waits_for_controller() => {
            PayOutcome::Pending { payment_id, payer }
        }
        (receipt, _, _) => PayOutcome::Duplicate {
            payment_id,
            payer,
            receipt,
        },
    }
}

/// Answers a request whose own try did not deliver. Another message may have learnt meanwhile that the money moved:
/// what is owed is delivered now, as to a repetition.
pub fn answer_as_it_stands<R: Runtime>(
    runtime: &R,
    key: &ClaimKey,
    asked: Payment,
    request: &PaymentRequest,
    proof: Proof,
) -> PayOutcome {
    let payment = storage::payments::by_key(key).unwrap_or(asked);
    if payment.state.moved().is_none() {
        return outcome(payment, None);
    }
    match known::answer(&payment, request, proof, runtime.now()) {
        known::Answer::Deliver => deliver(runtime, key, payment),
        known::Answer::Final(outcome) => *outcome,
        known::Answer::AskAgain | known::Answer::OtherProof => outcome(payment, None),
    }
}
