//! The canister's Candid interface as a client sees it.

pub use tollkeeper_types::*;
