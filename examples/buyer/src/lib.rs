//! Example: a canister that buys from Tollkeepers for its controllers, within a policy.
//!
//! - The policy names sellers, and caps for each payment and each day ([`policy`]).
//! - An order is written down with all its terms before the first call ([`journal`]). If an answer is lost, the same
//!   order is given again with the same id and the same terms, and is paid once.
//! - The seller gets an allowance for what is ordered, for an hour, and not more.
//!
//! One order is made at a time.

pub mod journal;
pub mod policy;

#[cfg(any(target_family = "wasm", test))]
mod canister;

use candid::{CandidType, Nat, Principal};
use journal::State;
use serde::Deserialize;
use serde_bytes::ByteBuf;

/// What to buy.
#[derive(Clone, Debug, PartialEq, Eq, CandidType, Deserialize)]
pub struct Order {
    /// 32 bytes that name the order.
    pub id: ByteBuf,
    /// The Tollkeeper.
    pub seller: Principal,
    /// The HTTP method.
    pub method: String,
    /// The path.
    pub path: String,
}

/// The reason why nothing was bought.
#[derive(Clone, Debug, PartialEq, Eq, CandidType, Deserialize)]
pub enum BuyError {
    /// The caller is no controller.
    Unauthorized,
    /// Another order is being made.
    Busy,
    /// The id has not 32 bytes, or is that of an order for something else.
    BadId,
    /// The policy does not allow it, or the seller has no such offer. Nothing was paid.
    NotAllowed(String),
    /// Nothing was paid, and this id buys nothing any more.
    Failed(String),
    /// It is not known yet whether this was paid: give the same order again.
    Unknown(String),
    /// The journal is full.
    JournalFull,
}

/// An order in the journal.
#[derive(Clone, Debug, PartialEq, Eq, CandidType, Deserialize)]
#[allow(missing_docs)]
pub struct Entry {
    pub id: ByteBuf,
    pub seller: Principal,
    pub method: String,
    pub path: String,
    pub total: Nat,
    pub opened_at: u64,
    pub state: State,
}
