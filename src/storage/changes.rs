//! What changed about routes since the certified answers were last brought up to date.
//!
//! Heap only: an upgrade certifies everything again.

use crate::storage::offers;
use std::{cell::RefCell, collections::BTreeSet};

/// What has to be certified again.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Changes {
    /// Settings or ledgers changed: any route may be concerned.
    pub everything: bool,
    /// Path templates at which some route was put, removed or given content.
    pub paths: BTreeSet<String>,
}

thread_local! {
    static CHANGES: RefCell<Changes> = RefCell::default();
}

/// Takes what changed since the last call.
pub fn take() -> Changes {
    CHANGES.take()
}

/// Notes a change that any route may depend on.
pub(super) fn note_everything() {
    offers::clear();
    CHANGES.with_borrow_mut(|changes| changes.everything = true);
}

/// Notes a change of the routes at a path.
pub(super) fn note_path(path: &str) {
    offers::clear();
    CHANGES.with_borrow_mut(|changes| changes.paths.insert(path.to_string()));
}
