//! What the canister remembers, in stable memory.

use candid::Principal;
use ic_stable_structures::{
    DefaultMemoryImpl, StableBTreeMap, StableCell,
    memory_manager::{MemoryId, MemoryManager, VirtualMemory},
};
use std::cell::RefCell;

type Memory = VirtualMemory<DefaultMemoryImpl>;

thread_local! {
    static MANAGER: RefCell<MemoryManager<DefaultMemoryImpl>> =
        RefCell::new(MemoryManager::init(DefaultMemoryImpl::default()));
    static TOLLKEEPER: RefCell<StableCell<Principal, Memory>> =
        RefCell::new(StableCell::init(memory(0), Principal::anonymous()));
    /// Ids of payments that were used. Each row was paid for.
    static USED: RefCell<StableBTreeMap<Vec<u8>, (), Memory>> =
        RefCell::new(StableBTreeMap::init(memory(1)));
    /// Numbers of events that told of a sale.
    static SALES: RefCell<StableBTreeMap<u64, (), Memory>> =
        RefCell::new(StableBTreeMap::init(memory(2)));
}

fn memory(id: u8) -> Memory {
    MANAGER.with_borrow(|manager| manager.get(MemoryId::new(id)))
}

pub fn set_tollkeeper(id: Principal) {
    TOLLKEEPER.with_borrow_mut(|cell| cell.set(id));
}

pub fn tollkeeper() -> Principal {
    TOLLKEEPER.with_borrow(|cell| *cell.get())
}

/// Marks a payment as used. Returns whether it was not before.
pub fn use_up(payment_id: &[u8]) -> bool {
    USED.with_borrow_mut(|used| used.insert(payment_id.to_vec(), ()).is_none())
}

pub fn note_sale(event_id: u64) {
    SALES.with_borrow_mut(|sales| sales.insert(event_id, ()));
}

pub fn sales() -> u64 {
    SALES.with_borrow(|sales| sales.len())
}
