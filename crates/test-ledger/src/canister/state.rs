//! The canister's state: the books in stable memory, the faults on the heap. No borrow leaves this module,
//! so none crosses an await.

use std::cell::RefCell;
use std::rc::Rc;

use ic_stable_structures::DefaultMemoryImpl;

use crate::domain::{Books, Config, TimestampNs};
use crate::faults::FaultBook;
use crate::storage::Ledger;
use crate::tip;

thread_local! {
    static LEDGER: RefCell<Ledger> = RefCell::new(Ledger::open(DefaultMemoryImpl::default()));
    static FAULTS: RefCell<FaultBook> = RefCell::new(FaultBook::default());
}

pub fn read<T>(f: impl FnOnce(&Ledger) -> T) -> T {
    LEDGER.with_borrow(f)
}

/// Changes the books and certifies the tip that results.
pub fn mutate<T>(f: impl FnOnce(&mut Ledger) -> T) -> T {
    LEDGER.with_borrow_mut(|ledger| {
        let before = ledger.tip();
        let result = f(ledger);
        if ledger.tip() != before {
            certify(ledger);
        }
        result
    })
}

/// Certifies the tip of the block log.
pub fn certify(ledger: &Ledger) {
    ic_cdk::api::certified_data_set(tip::root_hash(ledger.tip()));
}

pub fn faults<T>(f: impl FnOnce(&mut FaultBook) -> T) -> T {
    FAULTS.with_borrow_mut(f)
}

pub fn config() -> Rc<Config> {
    read(Ledger::config)
}

/// The ledger's clock: the subnet's, unless a test has moved it.
pub fn now() -> TimestampNs {
    faults(|faults| faults.clock(ic_cdk::api::time()))
}

/// Traps unless the test interface was opened when the ledger was installed.
pub fn require_test_interface() {
    if !config().test_faults {
        ic_cdk::api::trap("the test interface is off: install with test_faults = opt true");
    }
}
