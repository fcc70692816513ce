//! The journal: every order is written down before it is paid, and keeps its terms until its end is proven.

use crate::policy::Policy;
use candid::{CandidType, Decode, Encode, Nat, Principal};
use ic_stable_structures::{
    DefaultMemoryImpl, StableBTreeMap, StableCell,
    memory_manager::{MemoryId, MemoryManager, VirtualMemory},
};
use serde::Deserialize;
use serde_bytes::ByteBuf;
use std::cell::RefCell;
use tollkeeper_types::PayArgs;

/// The most orders that are kept.
pub const MAX_ORDERS: u64 = 1_000;
const DAY: u64 = 86_400_000_000_000;
/// An order that ended is kept for so long: longer than a seller answers repetitions, unless it said otherwise.
pub const KEPT: u64 = 8 * DAY;

/// Where an order stands.
#[derive(Clone, Debug, PartialEq, Eq, CandidType, Deserialize)]
pub enum State {
    /// Written down; the allowance is not known to be given.
    Planned,
    /// The allowance is given. The seller may have taken the money.
    Open,
    /// Paid.
    Bought {
        /// The id of the payment.
        payment_id: ByteBuf,
    },
    /// Not paid, for this reason.
    Failed(String),
}

/// An order with its terms, which are the same in each try.
#[derive(Clone, Debug, PartialEq, Eq, CandidType, Deserialize)]
pub struct Purchase {
    /// The Tollkeeper.
    pub seller: Principal,
    /// The argument of `pay`.
    pub args: PayArgs,
    /// What it costs at most, fees included.
    pub total: Nat,
    /// When it was written down.
    pub opened_at: u64,
    /// Where it stands.
    pub state: State,
}

impl Purchase {
    fn has_ended(&self) -> bool {
        matches!(self.state, State::Bought { .. } | State::Failed(_))
    }
}

type Memory = VirtualMemory<DefaultMemoryImpl>;

thread_local! {
    static MANAGER: RefCell<MemoryManager<DefaultMemoryImpl>> =
        RefCell::new(MemoryManager::init(DefaultMemoryImpl::default()));
    static POLICY: RefCell<StableCell<Vec<u8>, Memory>> =
        RefCell::new(StableCell::init(memory(0), Vec::new()));
    static ORDERS: RefCell<StableBTreeMap<[u8; 32], Vec<u8>, Memory>> =
        RefCell::new(StableBTreeMap::init(memory(1)));
}

fn memory(id: u8) -> Memory {
    MANAGER.with_borrow(|manager| manager.get(MemoryId::new(id)))
}

pub fn set_policy(policy: &Policy) {
    let bytes = Encode!(policy).expect("a policy is Candid");
    POLICY.with_borrow_mut(|cell| drop(cell.set(bytes)));
}

pub fn policy() -> Policy {
    POLICY.with_borrow(|cell| Decode!(cell.get(), Policy).expect("init stores a policy"))
}

fn read(bytes: &[u8]) -> Purchase {
    Decode!(bytes, Purchase).expect("the journal holds orders")
}

pub fn get(id: &[u8; 32]) -> Option<Purchase> {
    ORDERS
        .with_borrow(|orders| orders.get(id))
        .map(|bytes| read(&bytes))
}

pub fn put(id: [u8; 32], purchase: &Purchase) {
    let bytes = Encode!(purchase).expect("an order is Candid");
    ORDERS.with_borrow_mut(|orders| drop(orders.insert(id, bytes)));
}

pub fn is_full() -> bool {
    ORDERS.with_borrow(|orders| orders.len()) >= MAX_ORDERS
}

/// All orders, by id.
pub fn all() -> Vec<([u8; 32], Purchase)> {
    ORDERS.with_borrow(|orders| {
        let all = orders.iter();
        all.map(|entry| (*entry.key(), read(&entry.value())))
            .collect()
    })
}

/// What the orders of the last 24 hours in this ledger cost at most.
pub fn spent(ledger: &Principal, now: u64) -> Nat {
    let of_today = all().into_iter().map(|(_, purchase)| purchase);
    of_today
        .filter(|purchase| purchase.args.ledger == *ledger && now < purchase.opened_at + DAY)
        .fold(Nat::from(0u8), |sum, purchase| sum + purchase.total)
}

/// What the seller may still take for orders in this ledger that have not ended. An approval replaces the one before,
/// so it has to cover all of them.
pub fn open(seller: &Principal, ledger: &Principal) -> Nat {
    all()
        .into_iter()
        .map(|(_, purchase)| purchase)
        .filter(|p| p.seller == *seller && p.args.ledger == *ledger && !p.has_ended())
        .fold(Nat::from(0u8), |sum, p| sum + p.args.amount + p.args.fee)
}

/// Removes orders that ended and began before this time. Returns how many.
pub fn forget(before: u64) -> u64 {
    let old = all().into_iter();
    let old = old.filter(|(_, purchase)| purchase.has_ended() && purchase.opened_at < before);
    let old: Vec<[u8; 32]> = old.map(|(id, _)| id).collect();
    ORDERS.with_borrow_mut(|orders| old.iter().for_each(|id| drop(orders.remove(id))));
    old.len() as u64
}
