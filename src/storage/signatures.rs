//! Results of verifying expensive signatures. Heap only and bounded. After an upgrade they are verified again.

use crate::domain::expensive::ExpensiveSignatures;
use std::cell::RefCell;

thread_local! {
    static EXPENSIVE: RefCell<ExpensiveSignatures> = RefCell::default();
}

pub fn with<T>(use_it: impl FnOnce(&mut ExpensiveSignatures) -> T) -> T {
    EXPENSIVE.with_borrow_mut(use_it)
}
