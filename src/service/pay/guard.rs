//! Protection against handlers that end early.

use crate::{
    domain::payment::{Doubt, Event, WorkProblem},
    runtime::Runtime,
    service::schedule,
    storage::{self, payments::Change},
    types::ClaimKey,
};

/// Records when dropped, unless defused, that the outcome of a call is not known.
///
/// When a callback traps, the system undoes it. It then drops the handler's future in a cleanup message of its own,
/// whose changes stay. A trap after the ledger moved money therefore leaves the payment unknown, and the next request
/// for it calls the ledger again. `drop` must not panic, because that would undo its own changes.
#[must_use = "a guard that is dropped at once records a doubt"]
pub struct Guard<'a, R: Runtime> {
    runtime: &'a R,
    key: Option<ClaimKey>,
    /// The event that is recorded.
    event: Event,
}

impl<'a, R: Runtime> Guard<'a, R> {
    /// Guards the payment with this claim key, which is being settled.
    pub fn new(runtime: &'a R, key: ClaimKey) -> Self {
        Guard {
            runtime,
            key: Some(key),
            event: Event::InDoubt(Doubt::Trapped),
        }
    }

    /// Guards the payment with this claim key, whose work is being done.
    pub fn of_work(runtime: &'a R, key: ClaimKey) -> Self {
        Guard {
            event: Event::WorkFailed(WorkProblem::Trapped),
            ..Guard::new(runtime, key)
        }
    }

    /// The outcome is recorded.
    pub fn defuse(mut self) {
        self.key = None;
    }
}

impl<R: Runtime> Drop for Guard<'_, R> {
    fn drop(&mut self) {
        if let Some(key) = self.key.take() {
            let change = Change::Event(self.event.clone());
            // A failure cannot be handled here, and the payment stays as it is.
            let _ = storage::payments::record(&key, change, self.runtime.now());
            schedule::arm(self.runtime);
        }
    }
}
