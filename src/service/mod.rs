//! The operations of the canister. Each function is one operation, for all callers and interfaces.

pub mod access;
pub mod admin;
mod block_lookup;
pub mod cancel;
pub mod catalogue;
pub mod content;
pub mod fees;
pub mod identifiers;
pub mod invoice;
pub mod ledgers;
pub mod lifecycle;
pub mod log_search;
pub mod notify;
pub mod pay;
pub mod payments;
pub mod payout;
pub mod purchase;
pub mod receipt_sign;
pub mod recover;
pub mod refund;
pub mod retention;
pub mod schedule;
pub mod treasury;
pub mod withdraw;

use crate::{domain::roles::Role, runtime::Runtime, storage};
use candid::Principal;

/// The role of `caller` in this canister.
pub fn role<R: Runtime>(runtime: &R, caller: &Principal) -> Role {
    if runtime.is_controller(caller) {
        Role::Controller
    } else if storage::config::read().is_operator(caller) {
        Role::Operator
    } else {
        Role::Other
    }
}
