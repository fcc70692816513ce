//! How far the block logs of ledgers were read for unknown payments, on the heap: an upgrade forgets it,
//! and the logs are read again. Besides, which blocks a controller named.

use crate::{
    domain::capacity::{MAX_LAPSED, MAX_OPEN},
    types::{BlockIndex, ClaimKey, TimestampNs},
};
use candid::Principal;
use std::{
    cell::RefCell,
    collections::{BTreeMap, BTreeSet, btree_map::Entry},
};

/// What the search for one payment has come to.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Progress {
    /// The transfer is in no block below this one, but for the doubtful ones; `None` before the first reading.
    pub cursor: Option<u64>,
    /// Blocks below the cursor that might be the transfer and cannot be read well enough to tell.
    pub doubtful: Vec<u64>,
    /// Whether the cursor passed blocks of a log that ended before one that the ledger had named.
    pub short: bool,
    /// How often the log was looked at.
    pub searches: u16,
    /// How many readings told nothing that began when no ledger took the transfer any more.
    pub failed: u16,
}

/// What the search for one refund has come to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RefundProgress {
    /// `created_at_time` of the transfer that is looked for.
    pub created_at: TimestampNs,
    /// How far it has come.
    pub progress: Progress,
}

#[derive(Default)]
struct Heap {
    progress: BTreeMap<ClaimKey, Progress>,
    refunds: BTreeMap<ClaimKey, RefundProgress>,
    reading: BTreeMap<Principal, TimestampNs>,
    said: BTreeSet<(Principal, BlockIndex)>,
}

thread_local! {
    static HEAP: RefCell<Heap> = RefCell::default();
}

/// How far the search for this payment has come.
pub fn progress(key: &ClaimKey) -> Progress {
    HEAP.with_borrow(|heap| heap.progress.get(key).cloned().unwrap_or_default())
}

/// Notes how far it has come.
pub fn note(key: ClaimKey, progress: Progress) {
    HEAP.with_borrow_mut(|heap| {
        // Payments that end otherwise leave their progress behind; reading again costs little.
        if heap.progress.len() as u64 > 2 * (MAX_OPEN + MAX_LAPSED) {
            heap.progress.clear();
        }
        heap.progress.insert(key, progress);
    });
}

/// The search for this payment is over.
pub fn forget(key: &ClaimKey) {
    HEAP.with_borrow_mut(|heap| heap.progress.remove(key));
}

/// How far the search for the refund of this payment has come, if it is not over.
pub fn refund_progress(key: &ClaimKey) -> Option<RefundProgress> {
    HEAP.with_borrow(|heap| heap.refunds.get(key).cloned())
}

/// Notes how far it has come, or that it is over.
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

/// A controller said that this block shows a transfer.
pub fn note_said(ledger: &Principal, block: BlockIndex) {
    HEAP.with_borrow_mut(|heap| {
        if heap.said.len() as u64 > 2 * MAX_OPEN {
            heap.said.clear();
        }
        heap.said.insert((*ledger, block));
    });
}

/// Whether a controller said so since the last upgrade.
pub fn was_said(ledger: &Principal, block: BlockIndex) -> bool {
    HEAP.with_borrow(|heap| heap.said.contains(&(*ledger, block)))
}

/// One reading of a ledger's log at a time; over when dropped.
#[derive(Debug)]
#[must_use = "the reading is over when this is dropped"]
pub struct Reading(Principal);

impl Reading {
    /// Begins to read this ledger's log; `None` if it is being read.
    pub fn begin(ledger: Principal, now: TimestampNs) -> Option<Self> {
        HEAP.with_borrow_mut(|heap| match heap.reading.entry(ledger) {
            Entry::Occupied(_) => None,
            Entry::Vacant(entry) => {
                entry.insert(now);
                Some(Reading(ledger))
            }
        })
    }

    /// Since when this ledger's log is being read, if it is.
    pub fn since(ledger: &Principal) -> Option<TimestampNs> {
        HEAP.with_borrow(|heap| heap.reading.get(ledger).copied())
    }
}

impl Drop for Reading {
    fn drop(&mut self) {
        HEAP.with_borrow_mut(|heap| heap.reading.remove(&self.0));
    }
}
