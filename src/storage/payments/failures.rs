//! The latest failures, for payers who ask for the reason.

use super::{
    MAX_FAILURES, MAX_FORGOTTEN_AT_ONCE,
    rows::FailureRow,
    tables::{Tables, failure, half},
};
use crate::{
    storage::codec::Stored,
    types::{ClaimKey, TimestampNs},
};

impl Tables {
    pub(super) fn remember_failure(
        &mut self,
        key: [u8; 16],
        id: [u8; 16],
        number: u64,
        row: FailureRow,
        now: TimestampNs,
    ) {
        let earlier = self.failures.insert(key, Stored::Row(row));
        if let Some(earlier) = earlier.and_then(Stored::row) {
            self.failures_by_number.remove(&earlier.number());
        }
        self.failed_ids.insert(id, key);
        self.failures_by_number.insert(number, key);
        // Hundreds of thousands may expire at the same time, and a message has instructions for a few.
        for _ in 0..MAX_FORGOTTEN_AT_ONCE {
            if self.failures_by_number.len() <= MAX_FAILURES || self.oldest_failure_is_valid(now) {
                return;
            }
            self.forget_failure();
        }
    }

    /// Removes the oldest failure. An unreadable one stays, and only loses its place in the order.
    pub fn forget_failure(&mut self) {
        let Some((_, oldest)) = self.failures_by_number.pop_first() else {
            return;
        };
        let row = self.failures.get(&oldest);
        if let Some(row) = row.and_then(|row| failure(ClaimKey(oldest), row).ok()) {
            self.failures.remove(&oldest);
            self.failed_ids.remove(&half(&row.id()));
        }
    }

    /// Whether the failure that would be removed next belongs to a valid authorization.
    pub fn oldest_failure_is_valid(&self, now: TimestampNs) -> bool {
        let oldest = self.failures_by_number.first_key_value();
        let row = oldest.and_then(|(_, key)| failure(ClaimKey(key), self.failures.get(&key)?).ok());
        row.is_some_and(|row| row.is_valid(now))
    }
}
