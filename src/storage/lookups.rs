//! Blocks that are read because requests name them. Heap only. An upgrade forgets them.

use crate::domain::lookups::Lookups;
use std::cell::RefCell;

thread_local! {
    static LOOKUPS: RefCell<Lookups> = RefCell::default();
}

pub fn with<T>(use_it: impl FnOnce(&mut Lookups) -> T) -> T {
    LOOKUPS.with_borrow_mut(use_it)
}
