//! The work that a payment bought of another canister: the target is called, and what its answer proves is recorded.
//!
//! A settled payment is worked on when its request is there: the one that paid, or the same one again. The state
//! `Working` is the lock, and is recorded before the call with the payment id, which the target gets as well. After a
//! trap or an upgrade in between it is not known whether the target acted. What fails is repeated or refunded by the
//! timer ([`step`]), as `domain::work` says.

use super::{fulfil::deliver, guard::Guard, means};
use crate::{
    domain::{
        payment::{Event, Payment, RefundCause, State, WorkProblem},
        request::Resource,
        settlement::CallOutcome,
        work::{self, Next, Work},
    },
    runtime::Runtime,
    service::{refund, schedule},
    storage::{
        self,
        payments::{Change, backoff},
    },
    types::{ClaimKey, Seconds},
};

/// A call that cannot be made now is tried again after this.
const TURN: Seconds = Seconds(60);

/// Calls the target for a payment that is settled, or whose work may be tried again. Returns the payment in its new
/// state, and the resource if the work is done. If the call cannot be made now, nothing changes.
pub async fn run<R: Runtime>(
    runtime: &R,
    key: &ClaimKey,
    payment: Payment,
) -> (Payment, Option<Resource>) {
    let Some(work) = storage::works::get(&payment.id) else {
        // The payment had lapsed, and nothing was kept for it.
        return deliver(runtime, key, payment);
    };
    if !means::can_work(runtime, &work) {
        return (payment, None);
    }
    let forward = work.forward;
    let idempotent = forward.idempotent;
    let called = Change::Event(Event::WorkCalled { idempotent });
    let Ok(payment) = storage::payments::record(key, called, runtime.now()) else {
        // Another message is at work.
        return (payment, None);
    };
    let argument = work.request.argument(&forward, &payment);
    let guard = Guard::of_work(runtime, *key);
    let outcome = runtime
        .call(forward.canister, forward.mode.method(), argument)
        .await;
    // A trap from here to `defuse` undoes the changes, and the guard records that the work may have been done.
    let recorded = record_end(runtime, key, payment, &work, &outcome);
    guard.defuse();
    schedule::arm(runtime);
    recorded
}

/// Records the end of the call that `payment` is in.
fn record_end<R: Runtime>(
    runtime: &R,
    key: &ClaimKey,
    payment: Payment,
    work: &Work,
    outcome: &CallOutcome,
) -> (Payment, Option<Resource>) {
    let now = runtime.now();
    let known = || storage::payments::by_key(key);
    match work::judge(outcome) {
        Ok(answer) => {
            let done = Change::Event(Event::Delivered);
            let Ok(payment) = storage::payments::record(key, done, now) else {
                // The payment is being refunded, because the answer came too late.
                return (known().unwrap_or(payment), None);
            };
            let retention = storage::config::read().limits.retention;
            let mime_type = work.mime_type.clone();
            let stored = storage::answers::put(&payment.id, answer, mime_type, retention, now);
            (payment, Some(stored.into()))
        }
        Err(problem) => match known() {
            // No other message has ended this try, or begun another one.
            Some(known) if known.state == payment.state => {
                let failed = Change::Event(Event::WorkFailed(problem));
                let recorded = storage::payments::record(key, failed, now);
                (settle_undone(runtime, key, recorded.unwrap_or(known)), None)
            }
            known => (known.unwrap_or(payment), None),
        },
    }
}

/// Takes the next step of work that is due, when no request waits.
pub async fn step<R: Runtime>(runtime: &R, key: &ClaimKey) {
    let now = runtime.now();
    let Some(payment) = storage::payments::by_key(key) else {
        // The row cannot be read.
        storage::payments::postpone(key, now.plus(Seconds::DAY));
        return;
    };
    match payment.state {
        State::Working { .. } if storage::payments::is_due(key, now) => {
            let silent = Change::Event(Event::WorkFailed(WorkProblem::NoAnswer));
            // It is working, which is the state that this event needs.
            let _ = storage::payments::record(key, silent, now);
        }
        State::Undone { .. } => {
            let payment = settle_undone(runtime, key, payment);
            if let Some(Next::Call { at }) = next(runtime, &payment)
                && at <= now
            {
                // Unless the call is made, it is due again.
                storage::payments::postpone(key, now.plus(TURN));
                run(runtime, key, payment).await;
            }
        }
        _ => {}
    }
}

/// Makes the payer's refund due if it is time for it, else plans the next step.
fn settle_undone<R: Runtime>(runtime: &R, key: &ClaimKey, payment: Payment) -> Payment {
    let now = runtime.now();
    match next(runtime, &payment) {
        Some(Next::Refund { at }) if at <= now => {
            let due = refund_due(runtime, &payment);
            let recorded = storage::payments::record(key, Change::Event(due), now);
            recorded.unwrap_or(payment)
        }
        Some(Next::Refund { at } | Next::Call { at }) => {
            storage::payments::postpone(key, at);
            payment
        }
        None => payment,
    }
}

/// The event for a payment whose work is given up. A payer can have any request refused on purpose.
fn refund_due<R: Runtime>(runtime: &R, payment: &Payment) -> Event {
    let cause = RefundCause::NotDone;
    match payment.state {
        State::Undone {
            problem: WorkProblem::Refused,
            ..
        } => refund::due_if_here(runtime, payment, cause),
        _ => refund::due(runtime, payment, cause),
    }
}

/// What happens next to a payment whose work was not done; `None` for other payments.
fn next<R: Runtime>(runtime: &R, payment: &Payment) -> Option<Next> {
    let State::Undone {
        since,
        attempts,
        problem,
        ..
    } = payment.state
    else {
        return None;
    };
    match storage::works::get(&payment.id) {
        Some(work) => {
            let pause = backoff(attempts);
            let forward = &work.forward;
            let now = runtime.now();
            Some(work::next(forward, problem, attempts, since, pause, now))
        }
        // Without the request nothing can be tried.
        None => Some(Next::Refund { at: since }),
    }
}
