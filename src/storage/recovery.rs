//! How far the block logs of ledgers were read for unknown payments, on the heap: an upgrade forgets it,
//! and the logs are read again.

use crate::{domain::capacity::MAX_OPEN, types::NonceKey};
use candid::Principal;
use std::{
    cell::RefCell,
    collections::{BTreeMap, BTreeSet},
};

/// What the search for one payment has come to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Progress {
    /// The transfer is in no block below this one; `None` before the first reading.
    pub cursor: Option<u64>,
    /// How often the log was looked at.
    pub searches: u16,
}

#[derive(Default)]
struct Heap {
    progress: BTreeMap<NonceKey, Progress>,
    reading: BTreeSet<Principal>,
}

thread_local! {
    static HEAP: RefCell<Heap> = RefCell::default();
}

/// How far the search for this payment has come.
pub fn progress(key: &NonceKey) -> Progress {
    let none = Progress {
        cursor: None,
        searches: 0,
    };
    HEAP.with_borrow(|heap| heap.progress.get(key).copied().unwrap_or(none))
}

/// Notes how far it has come.
pub fn note(key: NonceKey, progress: Progress) {
    HEAP.with_borrow_mut(|heap| {
        // Payments that end otherwise leave their progress behind; reading again costs little.
        if heap.progress.len() as u64 > 2 * MAX_OPEN {
            heap.progress.clear();
        }
        heap.progress.insert(key, progress);
    });
}

/// The search for this payment is over.
pub fn forget(key: &NonceKey) {
    HEAP.with_borrow_mut(|heap| heap.progress.remove(key));
}

/// One reading of a ledger's log at a time; over when dropped.
#[derive(Debug)]
#[must_use = "the reading is over when this is dropped"]
pub struct Reading(Principal);

impl Reading {
    /// Begins to read this ledger's log; `None` if it is being read.
    pub fn begin(ledger: Principal) -> Option<Self> {
        let begun = HEAP.with_borrow_mut(|heap| heap.reading.insert(ledger));
        begun.then_some(Reading(ledger))
    }
}

impl Drop for Reading {
    fn drop(&mut self) {
        HEAP.with_borrow_mut(|heap| heap.reading.remove(&self.0));
    }
}
