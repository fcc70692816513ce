//! What was bought is kept until its payer has had time to fetch it.
//!
//! A payment that settles while no request waits is owed: until `settled_at` and the retention, the same
//! request gets what was bought; after that the payer gets the money back, at once or when a controller agrees (see
//! [`refund::due`]). Until that controller agrees, what was bought is owed and kept still. What was delivered is
//! delivered again for the retention. Content that no route delivers any more is kept for both.

use crate::{
    domain::payment::RefundCause,
    runtime::Runtime,
    service::refund,
    storage::{
        self,
        payments::{Change, Lane},
    },
};

/// How much one call of [`sweep`] does of each kind.
const STEP: usize = 20;

/// Does a small step of what is due: payments that nobody fetched are to be refunded, and content is
/// removed that nobody can ask for any more.
pub fn sweep<R: Runtime>(runtime: &R) {
    let now = runtime.now();
    let retention = storage::config::read().limits.retention;
    for key in storage::payments::due(Lane::Undelivered, now, STEP) {
        let Some(payment) = storage::payments::by_key(&key) else {
            continue;
        };
        let due = refund::due(runtime, &payment, RefundCause::NotFetched);
        // Each of them was settled a moment ago, which is the one state this event fits.
        let _ = storage::payments::record(&key, Change::Event(due), now);
    }
    // A payment that cannot be read may wait for any of them.
    if storage::quarantine::is_empty() {
        storage::responses::sweep(now, retention, STEP, storage::payments::awaits);
    }
}
