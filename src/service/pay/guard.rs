//! Protection against handlers that end early.

use crate::{
    domain::payment::{Doubt, Event},
    runtime::Runtime,
    service::schedule,
    storage::{self, payments::Change},
    types::ClaimKey,
};

/// Marks the payment unknown when dropped, unless defused.
///
/// When a callback traps, the system undoes it. It then drops the handler's future in a cleanup message of its own,
/// whose changes stay. A trap after the ledger moved money therefore leaves the payment unknown, and the next request
/// for it calls the ledger again. `drop` must not panic, because that would undo its own changes.
#[must_use = "a guard that is dropped at once marks the payment unknown"]
pub struct Guard<'a, R: Runtime> {
    runtime: &'a R,
    key: Option<ClaimKey>,
}

impl<'a, R: Runtime> Guard<'a, R> {
    /// Guards the payment with this claim key, which is being settled.
    pub fn new(runtime: &'a R, key: ClaimKey) -> Self {
        Guard {
            runtime,
            key: Some(key),
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
            let change = Change::Event(Event::InDoubt(Doubt::Trapped));
            // A failure cannot be handled here, and the open payment stays.
            let _ = storage::payments::record(&key, change, self.runtime.now());
            schedule::arm(self.runtime);
        }
    }
}
