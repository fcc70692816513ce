//! The list of memory ids. An id is never reused, not even after its table was removed.

use ic_stable_structures::{
    DefaultMemoryImpl,
    memory_manager::{MemoryId, MemoryManager, VirtualMemory},
};
use std::cell::RefCell;

/// A table's memory within stable memory.
pub type Memory = VirtualMemory<DefaultMemoryImpl>;

/// Settings: [`super::config`].
pub const CONFIG: MemoryId = MemoryId::new(0);
/// Numbers that only grow: [`super::counters`].
pub const COUNTERS: MemoryId = MemoryId::new(1);
/// Ledgers by index: [`super::ledgers`].
pub const LEDGERS: MemoryId = MemoryId::new(2);
/// Routes by path and method: [`super::routes`].
pub const ROUTES: MemoryId = MemoryId::new(3);
/// Pieces of content by blob and offset: [`super::content`].
pub const CONTENT: MemoryId = MemoryId::new(4);
/// Unfinished uploads by id: [`super::uploads`].
pub const UPLOADS: MemoryId = MemoryId::new(5);
/// Payments that are being settled or unknown, by claim key: [`super::payments`].
pub const OPEN_PAYMENTS: MemoryId = MemoryId::new(6);
/// Offsets of settled payments by sequence: [`super::payments`].
pub const SETTLED_INDEX: MemoryId = MemoryId::new(7);
/// Settled payments: [`super::payments`].
pub const SETTLED_DATA: MemoryId = MemoryId::new(8);
/// Sequence of a settled payment by claim key: [`super::payments`].
pub const SETTLED_BY_KEY: MemoryId = MemoryId::new(9);
/// Sequence of a settled payment by the first half of its id: [`super::payments`].
pub const SETTLED_BY_ID: MemoryId = MemoryId::new(10);
/// The latest failures by claim key: [`super::payments`].
pub const FAILURES: MemoryId = MemoryId::new(11);
/// The failures by number: [`super::payments`].
pub const FAILURES_BY_NUMBER: MemoryId = MemoryId::new(12);
/// Cancelled nonces: [`super::cancellations`].
pub const CANCELLATIONS: MemoryId = MemoryId::new(13);
/// Cancelled nonces by expiry: [`super::cancellations`].
pub const CANCELLATIONS_BY_EXPIRY: MemoryId = MemoryId::new(14);
/// Ring of transitions of payments: [`super::audit`].
pub const AUDIT_PAYMENTS: MemoryId = MemoryId::new(15);
/// Ring of administrative actions: [`super::audit`].
pub const AUDIT_ADMIN: MemoryId = MemoryId::new(16);

/// The number and the required length of each ledger's log: [`super::claims`].
pub const LOGS: MemoryId = MemoryId::new(17);
/// Deliveries of settled payments that were not delivered at once, by sequence: [`super::payments`].
pub const DELIVERIES: MemoryId = MemoryId::new(18);
/// Stored responses, by number: [`super::responses`].
pub const RESPONSES: MemoryId = MemoryId::new(19);

/// What is owed out of each account of the canister: [`super::liabilities`].
pub const OWED: MemoryId = MemoryId::new(22);
/// Refunds by claim key: [`super::liabilities`].
pub const REFUNDS: MemoryId = MemoryId::new(23);
/// Withdrawals by ledger and time: [`super::withdrawals`].
pub const WITHDRAWALS: MemoryId = MemoryId::new(24);
/// The payment of each payment identifier: [`super::identifiers`].
pub const IDENTIFIERS: MemoryId = MemoryId::new(25);
/// Payment identifiers by the time at which they are checked: [`super::identifiers`].
pub const IDENTIFIERS_BY_DUE: MemoryId = MemoryId::new(26);
/// Claimants of blocks, by ledger and block: [`super::claims`].
pub const CLAIMS: MemoryId = MemoryId::new(27);
/// Accounts that were paid, by number: [`super::accounts`].
pub const ACCOUNTS: MemoryId = MemoryId::new(28);
/// The log of receipts: [`super::payments`].
pub const RECEIPTS: MemoryId = MemoryId::new(29);
/// Symbols and decimals of tokens that were paid in, by number: [`super::tokens`].
pub const TOKENS: MemoryId = MemoryId::new(30);

/// The work that payments bought of other canisters, by payment id: [`super::works`].
pub const WORKS: MemoryId = MemoryId::new(32);
/// Answers of other canisters, by payment id: [`super::answers`].
pub const ANSWERS: MemoryId = MemoryId::new(33);
/// Answers by the time from which they are kept: [`super::answers`].
pub const ANSWERS_BY_TIME: MemoryId = MemoryId::new(34);
/// The bytes of all answers: [`super::answers`].
pub const ANSWER_BYTES: MemoryId = MemoryId::new(35);
/// Events that a merchant's canister is to be told of, by number: [`super::notifications`].
pub const NOTIFICATIONS: MemoryId = MemoryId::new(36);
/// The canister that is told, and counts: [`super::notifications`].
pub const NOTIFICATION_SETTINGS: MemoryId = MemoryId::new(37);

/// Invoices by a hash of the id: [`super::invoices`].
pub const INVOICES: MemoryId = MemoryId::new(40);
/// What is given back of invoices, by a hash of id and ledger: [`super::invoices`].
pub const RETURNS: MemoryId = MemoryId::new(41);

/// The keys of signed receipts, and which of them signs: [`super::receipt_signatures`].
pub const RECEIPT_KEYS: MemoryId = MemoryId::new(43);
/// Signed receipts, by payment id: [`super::receipt_signatures`].
pub const RECEIPT_SIGNATURES: MemoryId = MemoryId::new(44);

/// 1 MiB per bucket: at most 32 GiB in all, and little waste for many small tables.
const BUCKET_PAGES: u16 = 16;

thread_local! {
    static WHOLE: DefaultMemoryImpl = DefaultMemoryImpl::default();
    static MANAGER: RefCell<MemoryManager<DefaultMemoryImpl>> = RefCell::new(
        MemoryManager::init_with_bucket_size(WHOLE.with(Clone::clone), BUCKET_PAGES),
    );
}

/// All of stable memory, byte by byte.
#[cfg(test)]
pub(crate) fn whole() -> DefaultMemoryImpl {
    WHOLE.with(Clone::clone)
}

pub fn get(id: MemoryId) -> Memory {
    MANAGER.with_borrow(|manager| manager.get(id))
}
