//! When this canister has to be woken: the one timer is set for the first thing that is due.

use crate::{
    runtime::Runtime,
    storage,
    types::{Seconds, TimestampNs},
};

/// What is due so soon can be done with what is due now.
pub const SHARED: Seconds = Seconds(3_600);

/// Asks to be woken when something is due, if anything is. To be called whenever a payment is left in a
/// state that is not final and no request waits for.
pub fn arm<R: Runtime>(runtime: &R) {
    // Sweeping is not urgent, and what is overdue may have to wait for a payment.
    let no_sooner = runtime.now().plus(SHARED);
    let sweep = next_sweep().map(|at| at.max(no_sooner));
    let next = [storage::payments::next_due(), sweep];
    runtime.wake(next.into_iter().flatten().min());
}

/// Asks to be woken if something is overdue: the timer may have been lost. What is only due later, as every
/// payment that is settling, needs no timer that was not armed before, so that payments which go well
/// never arm one.
pub fn catch_up<R: Runtime>(runtime: &R) {
    if storage::payments::next_due().is_some_and(|due| due <= runtime.now()) {
        arm(runtime);
    }
}

/// When content has to be removed that is kept for nobody any more, if any is kept. What is due for payments is in
/// the schedule of [`storage::payments`].
pub fn next_sweep() -> Option<TimestampNs> {
    storage::responses::next_sweep(storage::config::read().limits.retention)
}
