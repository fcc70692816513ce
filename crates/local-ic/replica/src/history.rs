//! The history of changes `canister_info` reports.

use std::collections::VecDeque;

use ic_management_canister_types::{Change, ChangeDetails, ChangeOrigin};

const KEPT_CHANGES: usize = 20;
/// Accounted bytes of one change and of each controller it lists (measured: 190 for a new canister with one controller).
const CHANGE_BYTES: u64 = 160;
const CONTROLLER_BYTES: u64 = 30;

/// The latest changes of a canister.
#[derive(Clone, Debug, Default)]
pub struct History {
    total: u64,
    changes: VecDeque<Change>,
}

impl History {
    pub fn push(&mut self, time: u64, version: u64, origin: ChangeOrigin, details: ChangeDetails) {
        self.total += 1;
        self.changes.push_back(Change {
            timestamp_nanos: time,
            canister_version: version,
            origin,
            details: Some(details),
        });
        if self.changes.len() > KEPT_CHANGES {
            self.changes.pop_front();
        }
    }

    /// How many changes there were since creation.
    pub fn total(&self) -> u64 {
        self.total
    }

    /// The newest `count` changes, oldest first.
    pub fn newest(&self, count: u64) -> Vec<Change> {
        let count = usize::try_from(count).unwrap_or(usize::MAX);
        let skip = self.changes.len().saturating_sub(count);
        self.changes.iter().skip(skip).cloned().collect()
    }

    /// Bytes the canister pays for.
    pub fn bytes(&self) -> u64 {
        self.changes
            .iter()
            .map(|change| {
                let controllers = match &change.details {
                    Some(ChangeDetails::Creation(record)) => record.controllers.len(),
                    Some(ChangeDetails::ControllersChange(record)) => record.controllers.len(),
                    _ => 0,
                };
                CHANGE_BYTES + CONTROLLER_BYTES * controllers as u64
            })
            .sum()
    }
}
