//! The records and variants of `canister.did`, and their conversion to and from domain values.
//!
//! The types themselves are those of the crate `tollkeeper-types`, which callers use, too.

mod convert;
mod invoices;
mod payments;
mod resolve;
mod treasury;

pub use convert::{account, draft, init_changes, offer, route, route_key};
pub use invoices::{account_identifier, invoice_id, invoice_price, return_account};
pub use payments::{payment_record, public_payment, public_receipt};
pub use resolve::resolution;
pub use tollkeeper_types::*;
pub use treasury::{block, withdrawal};
