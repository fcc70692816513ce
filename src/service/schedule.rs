//! The wake-up time: the one timer is set for the first thing that is due.

use crate::{
    runtime::Runtime,
    storage,
    types::{Seconds, TimestampNs},
};

/// Work that is due within this time is done together with what is due now.
pub const SHARED: Seconds = Seconds(3_600);

/// Sets the timer if anything is due. Call it whenever a payment is left in a state that is not final and no request
/// waits for it.
pub fn arm<R: Runtime>(runtime: &R) {
    // Sweeping is not urgent, and overdue work may have to wait for a payment.
    let no_sooner = runtime.now().plus(SHARED);
    let sweep = next_sweep().map(|at| at.max(no_sooner));
    let next = [
        storage::payments::next_due(),
        storage::notifications::next_due(),
        storage::invoices::next_due(),
        sweep,
        next_answer(runtime),
    ];
    runtime.wake(next.into_iter().flatten().min());
}

/// The time at which the next answers of forward targets are removed: those of an hour together, and in small steps.
fn next_answer<R: Runtime>(runtime: &R) -> Option<TimestampNs> {
    let retention = storage::config::read().limits.retention;
    let over = storage::answers::next_sweep(retention)?;
    Some(over.plus(SHARED).max(runtime.now().plus(Seconds(5))))
}

/// Sets the timer if something is overdue, because the timer may have been lost. Work that is due later needs no timer
/// that was not set before. Payments that succeed therefore never set one.
pub fn catch_up<R: Runtime>(runtime: &R) {
    let next = [
        storage::payments::next_due(),
        storage::notifications::next_due(),
        storage::invoices::next_due(),
    ];
    if next.into_iter().flatten().any(|due| due <= runtime.now()) {
        arm(runtime);
    }
}

/// Sets the timer if a merchant's canister is to be told of something.
pub fn announce<R: Runtime>(runtime: &R) {
    if storage::notifications::next_due().is_some() {
        arm(runtime);
    }
}

/// The time at which released content has to be removed, if there is any. What is due for payments is in the schedule
/// of [`storage::payments`].
pub fn next_sweep() -> Option<TimestampNs> {
    storage::responses::next_sweep(storage::config::read().limits.retention)
}
