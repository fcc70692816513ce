//! Progress of searches in the ledgers' block logs. Heap only: after an upgrade the logs are read again. Also the
//! blocks that a controller named.

use crate::{
    domain::capacity::{MAX_LAPSED, MAX_OPEN},
    types::{BlockIndex, ClaimKey, TimestampNs},
};
use candid::Principal;
use std::{
    cell::RefCell,
    collections::{BTreeMap, BTreeSet, btree_map::Entry},
};

/// The progress of the search for one payment.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Progress {
    /// The transfer is in no block below this one, except for the doubtful ones; `None` before the first search.
    pub cursor: Option<u64>,
    /// Blocks below the cursor that might be the transfer and cannot be read well enough to tell.
    pub doubtful: Vec<u64>,
    /// Whether the cursor passed blocks while the log ended before a block that the ledger had named.
    pub short: bool,
    /// The number of searches so far.
    pub searches: u16,
    /// The searches without a result that began after the ledger could no longer make the transfer.
    pub failed: u16,
}

/// The progress of the search for one refund.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RefundProgress {
    /// `created_at_time` of the transfer that is searched for.
    pub created_at: TimestampNs,
    pub progress: Progress,
}

#[derive(Default)]
struct Heap {
    progress: BTreeMap<ClaimKey, Progress>,
    refunds: BTreeMap<ClaimKey, RefundProgress>,
    reading: BTreeMap<Principal, TimestampNs>,
    resolved: BTreeSet<(Principal, BlockIndex)>,
}

thread_local! {
    static HEAP: RefCell<Heap> = RefCell::default();
}

pub fn progress(key: &ClaimKey) -> Progress {
    HEAP.with_borrow(|heap| heap.progress.get(key).cloned().unwrap_or_default())
}

pub fn note(key: ClaimKey, progress: Progress) {
    HEAP.with_borrow_mut(|heap| {
        // A payment that ends in another way leaves its entry behind. Reading the log again costs little.
        if heap.progress.len() as u64 > 2 * (MAX_OPEN + MAX_LAPSED) {
            heap.progress.clear();
        }
        heap.progress.insert(key, progress);
    });
}

/// Drops the progress of a search that is over.
pub fn forget(key: &ClaimKey) {
    HEAP.with_borrow_mut(|heap| heap.progress.remove(key));
}

/// The progress of the search for the refund of this payment, if it is not over.
pub fn refund_progress(key: &ClaimKey) -> Option<RefundProgress> {
    HEAP.with_borrow(|heap| heap.refunds.get(key).cloned())
}

/// Stores the progress; `None` if the search is over.
pub fn note_refund(key: &ClaimKey, progress: Option<RefundProgress>) {
    HEAP.with_borrow_mut(|heap| match progress {
        Some(progress) => {
            if heap.refunds.len() as u64 > 2 * MAX_OPEN {
                heap.refunds.clear();
            }
            heap.refunds.insert(*key, progress);
        }
        None => drop(heap.refunds.remove(key)),
    });
}

/// Records that a controller named this block as that of a transfer.
pub fn note_resolved(ledger: &Principal, block: BlockIndex) {
    HEAP.with_borrow_mut(|heap| {
        if heap.resolved.len() as u64 > 2 * MAX_OPEN {
            heap.resolved.clear();
        }
        heap.resolved.insert((*ledger, block));
    });
}

/// Whether a controller named this block since the last upgrade.
pub fn was_resolved(ledger: &Principal, block: BlockIndex) -> bool {
    HEAP.with_borrow(|heap| heap.resolved.contains(&(*ledger, block)))
}

/// A search in a ledger's log. There is one at a time for each ledger. It ends when the value is dropped.
#[derive(Debug)]
#[must_use = "the search ends when this is dropped"]
pub struct Reading(Principal);

impl Reading {
    /// Begins a search in this ledger's log; `None` if one is running.
    pub fn begin(ledger: Principal, now: TimestampNs) -> Option<Self> {
        HEAP.with_borrow_mut(|heap| match heap.reading.entry(ledger) {
            Entry::Occupied(_) => None,
            Entry::Vacant(entry) => {
                entry.insert(now);
                Some(Reading(ledger))
            }
        })
    }

    /// The time at which the running search in this ledger's log began.
    pub fn since(ledger: &Principal) -> Option<TimestampNs> {
        HEAP.with_borrow(|heap| heap.reading.get(ledger).copied())
    }
}

impl Drop for Reading {
    fn drop(&mut self) {
        HEAP.with_borrow_mut(|heap| heap.reading.remove(&self.0));
    }
}
