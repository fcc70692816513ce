//! Retention of stored responses.
//!
//! A payment that settles while no request waits is undelivered. Until `settled_at` plus the retention, the same
//! request gets the response. After that the payer is refunded, at once or when a controller agrees (see
//! [`refund::due`]). Until that controller agrees, the response is still owed and kept. A delivered response can be
//! fetched again for the retention. Released content is kept for both.

use crate::{
    domain::payment::RefundCause,
    runtime::Runtime,
    service::refund,
    storage::{
        self,
        payments::{Change, Lane},
    },
};

/// The most items of each kind in one call of [`sweep`].
const STEP: usize = 20;
/// The most answers of forward targets.
const ANSWERS: usize = 100;

/// Does a bounded part of what is due: payments that were not fetched become due for refund, and content that no
/// payment needs any more is removed.
pub fn sweep<R: Runtime>(runtime: &R) {
    let now = runtime.now();
    let retention = storage::config::read().limits.retention;
    for key in storage::payments::due(Lane::Undelivered, now, STEP) {
        let Some(payment) = storage::payments::by_key(&key) else {
            continue;
        };
        let due = refund::due(runtime, &payment, RefundCause::NotFetched);
        // Each of them is settled, which is the state that this event needs.
        let _ = storage::payments::record(&key, Change::Event(due), now);
    }
    storage::answers::sweep(now, retention, ANSWERS);
    // A payment that cannot be read may need any of them.
    if storage::quarantine::is_empty() {
        storage::responses::sweep(now, retention, STEP, storage::payments::awaits);
    }
}
