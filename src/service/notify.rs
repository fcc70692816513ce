//! Telling a merchant's canister what happened to payments.
//!
//! Controllers name the canister ([`set`]). Events are queued in the same write as the payment's new state
//! (`storage::notifications`), and the timer's work sends them: each until the canister has answered, with growing
//! pauses, for a week at most. The canister's answer is not read. Nothing here waits for a payment, no payment waits
//! for it, and the calls leave the cycles of [`RESERVED_CALLS`] payments alone.

use crate::{
    domain::{
        notification::EventKind,
        payment::{Payment, State},
        rail::TxRef,
        roles::Unauthorized,
        settlement::CallOutcome,
        validate,
    },
    runtime::{Runtime, with_spare},
    service::{admin::AdminError, role, schedule},
    storage::{
        self,
        notifications::{self, Queued, Status},
    },
    types::Seconds,
};
use candid::{Nat, Principal};
use serde_bytes::ByteBuf;
use tollkeeper_types::{PaymentEvent, PaymentEventKind};

/// The method that the canister has.
pub const METHOD: &str = "x402_notify";
/// The most events that are being sent at one time.
const MAX_AT_ONCE: u32 = 8;
/// The cycles of so many calls, above the floor, are left to payments.
const RESERVED_CALLS: u128 = 16;
/// The longest argument, in bytes.
const MAX_ARGUMENT_BYTES: usize = 1_024;
/// The pause while there are too few cycles.
const LOW_CYCLES_PAUSE: Seconds = Seconds(300);
/// The pause while [`MAX_AT_ONCE`] events are being sent.
const BUSY_PAUSE: Seconds = Seconds(30);

/// Sets the canister that is told of events from now on; `None`: none, and those that wait are forgotten. For
/// controllers.
pub fn set<R: Runtime>(runtime: &R, target: Option<Principal>) -> Result<(), AdminError> {
    let caller = runtime.caller();
    role(runtime, &caller).may_administer()?;
    if let Some(target) = target {
        let is_ledger = |id: &Principal| storage::ledgers::get(id).is_some();
        validate::target("target", target, runtime.canister_id(), is_ledger)?;
    }
    notifications::set_target(target);
    let subject = target.map_or("none".to_string(), |target| target.to_text());
    storage::audit::admin(caller, "notify_set", &subject, runtime.now());
    schedule::announce(runtime);
    Ok(())
}

/// Where the notifications stand. For controllers and operators.
pub fn status<R: Runtime>(runtime: &R) -> Result<Status, Unauthorized> {
    role(runtime, &runtime.caller()).may_operate()?;
    Ok(notifications::status())
}

/// The events to send now. Drops those that are too old.
pub fn due<R: Runtime>(runtime: &R) -> Vec<u64> {
    let now = runtime.now();
    let Some(target) = notifications::target() else {
        return vec![];
    };
    notifications::drop_old(now);
    if notifications::next_due().is_none_or(|due| due > now) {
        return vec![];
    }
    if !can_afford(runtime, &target) {
        notifications::pause(now.plus(LOW_CYCLES_PAUSE));
        return vec![];
    }
    let free = MAX_AT_ONCE.saturating_sub(runtime.calls_to(&target));
    if free == 0 {
        notifications::pause(now.plus(BUSY_PAUSE));
    }
    notifications::take_due(now, free as usize)
}

/// Whether calls to the canister leave enough cycles for payments.
fn can_afford<R: Runtime>(runtime: &R, target: &Principal) -> bool {
    let call = with_spare(runtime.call_cost(METHOD, MAX_ARGUMENT_BYTES)).0;
    let calls = RESERVED_CALLS + u128::from(MAX_AT_ONCE);
    let floor = storage::config::read().limits.cycles_floor.0;
    let needed = floor.saturating_add(call.saturating_mul(calls));
    runtime.liquid_cycles().0 >= needed && runtime.can_call(target, METHOD, MAX_ARGUMENT_BYTES)
}

/// Sends an event, and records whether the canister has taken it. An answer that does not come in time counts as a
/// failure: the event is sent again.
pub async fn send<R: Runtime>(runtime: &R, number: u64) {
    let (Some(target), Some(queued)) = (notifications::target(), notifications::get(number)) else {
        return;
    };
    let payment = storage::payments::page(queued.payment, 1).pop();
    let argument = payment.and_then(|(_, payment)| argument(number, &queued, &payment));
    let outcome = match argument {
        Some(argument) => runtime.call(target, METHOD, argument).await,
        // The payment's row cannot be read. A later version may.
        None => CallOutcome::NotSent(String::new()),
    };
    match outcome {
        // Another canister is told now, and has not got the event.
        _ if notifications::target() != Some(target) => {
            notifications::failed(number, runtime.now())
        }
        CallOutcome::Reply(_) => notifications::sent(number),
        CallOutcome::NotSent(_) | CallOutcome::Rejected { .. } => {
            notifications::failed(number, runtime.now());
        }
    }
}

fn argument(number: u64, queued: &Queued, payment: &Payment) -> Option<Vec<u8>> {
    let (TxRef::Block(block), _) = payment.state.moved()?;
    let kind = match (queued.kind, &payment.state) {
        (EventKind::Settled, _) => PaymentEventKind::Settled,
        (EventKind::Delivered, _) => PaymentEventKind::Delivered,
        (
            EventKind::Refunded,
            State::Refunded {
                refund_tx: TxRef::Block(block),
                ..
            },
        ) => PaymentEventKind::Refunded {
            block_index: Nat::from(block.0),
        },
        (EventKind::Refunded, _) => return None,
    };
    let request = payment.purchase.request();
    let event = PaymentEvent {
        event_id: number,
        kind,
        at: queued.at.0,
        payment_id: ByteBuf::from(payment.id.0.to_vec()),
        ledger: payment.ledger,
        block_index: Nat::from(block.0),
        payer: payment.from,
        pay_to: payment.to,
        amount: Nat::from(payment.amount.0),
        fee: Nat::from(payment.fee.0),
        method: request.method.to_string(),
        path: request.path.clone(),
    };
    candid::encode_one(event).ok()
}

#[cfg(test)]
mod tests;
