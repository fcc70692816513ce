//! What is left of a payment when its handler does not come to an end.

use crate::{
    domain::payment::{Doubt, Event},
    runtime::Runtime,
    service::schedule,
    storage::{self, payments::Change},
    types::ClaimKey,
};

/// Marks the payment unknown when dropped, unless defused.
///
/// When a callback traps, the system undoes it and then drops the handler's future in a cleanup message
/// of its own, whose changes stay. So a trap after the ledger moved money leaves the payment unknown, and
/// the next request for it asks the ledger again. `drop` must not panic: it would undo itself.
#[must_use = "a guard that is dropped at once marks the payment unknown"]
pub struct Guard<'a, R: Runtime> {
    runtime: &'a R,
    key: Option<ClaimKey>,
}

impl<'a, R: Runtime> Guard<'a, R> {
    /// Watches over the payment with this nonce, which is being settled.
    pub fn new(runtime: &'a R, key: ClaimKey) -> Self {
        Guard {
            runtime,
            key: Some(key),
        }
    }

    /// The outcome is booked.
    pub fn defuse(mut self) {
        self.key = None;
    }
}

impl<R: Runtime> Drop for Guard<'_, R> {
    fn drop(&mut self) {
        if let Some(key) = self.key.take() {
            let change = Change::Event(Event::InDoubt(Doubt::Trapped));
            // Nothing can be done about a failure here, and the journal entry is still there.
            let _ = storage::payments::record(&key, change, self.runtime.now());
            schedule::arm(self.runtime);
        }
    }
}
