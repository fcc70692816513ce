//! What is known of dear signatures. Heap only and bounded; an upgrade forgets it, and the next payments are
//! verified anew.

use crate::domain::dear::DearSignatures;
use std::cell::RefCell;

thread_local! {
    static DEAR: RefCell<DearSignatures> = RefCell::default();
}

/// Runs `use_it` with what is known.
pub fn with<T>(use_it: impl FnOnce(&mut DearSignatures) -> T) -> T {
    DEAR.with_borrow_mut(use_it)
}
