//! How ledgers write `Ok`. Heap only, at most one short entry a ledger; learnt again after an upgrade.

use crate::domain::settlement::OkShape;
use candid::Principal;
use std::{cell::RefCell, collections::BTreeMap, rc::Rc};

thread_local! {
    static SHAPES: RefCell<BTreeMap<Principal, Rc<OkShape>>> = RefCell::default();
}

/// How this ledger wrote `Ok` last.
pub fn get(ledger: &Principal) -> Option<Rc<OkShape>> {
    SHAPES.with_borrow(|shapes| shapes.get(ledger).cloned())
}

/// Remembers how a registered ledger writes `Ok`.
pub fn put(ledger: Principal, shape: OkShape) {
    SHAPES.with_borrow_mut(|shapes| shapes.insert(ledger, Rc::new(shape)));
}
