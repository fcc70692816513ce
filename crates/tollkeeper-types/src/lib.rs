//! The Candid types of Tollkeeper's interface, `canister.did`, for the canister itself and its callers.
//!
//! Amounts are in atomic token units, times in nanoseconds since 1970 unless the name says seconds. A test of the
//! canister compares these types with `canister.did`.

#![deny(missing_docs)]

mod account;
mod call;
mod catalogue;
mod http;
mod invoices;
mod notify;
mod payments;
mod serve;
mod settings;
mod signing;
mod treasury;
mod wallets;

pub use account::{Account as AccountArg, InvalidArgument};
pub use call::*;
pub use catalogue::*;
pub use http::*;
pub use icrc_ledger_types::icrc1::account::Account;
pub use invoices::*;
pub use notify::*;
pub use payments::*;
pub use serve::*;
pub use settings::*;
pub use signing::*;
pub use treasury::*;
pub use wallets::*;
