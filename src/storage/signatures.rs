//! What is known of expensive signatures. Heap only and bounded; an upgrade forgets it, and the next payments are
//! verified anew.

use crate::domain::expensive::ExpensiveSignatures;
use std::cell::RefCell;

thread_local! {
    static EXPENSIVE: RefCell<ExpensiveSignatures> = RefCell::default();
}

/// Runs `use_it` with what is known.
pub fn with<T>(use_it: impl FnOnce(&mut ExpensiveSignatures) -> T) -> T {
    EXPENSIVE.with_borrow_mut(use_it)
}
