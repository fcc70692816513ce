//! The ledger's rules, without a canister around them: what a transaction is, which ones are refused and in
//! which order, and what an accepted one does to the books. Everything here runs natively.

pub mod block;
pub mod books;
pub mod config;
pub mod icp;
pub mod refusal;
pub mod rules;
pub mod transaction;

pub use block::{Block, Tip};
pub use books::{Allowance, Books};
pub use config::{Config, ConfigError};
pub use refusal::{ApproveRefusal, TimeRefusal, TransferRefusal, Violation};
pub use rules::{ApproveRequest, PERMITTED_DRIFT_NS, TRANSACTION_WINDOW_NS, TransferRequest};
pub use transaction::{Operation, Transaction};

/// Atomic units of the token.
pub type Tokens = u128;
/// Nanoseconds since 1970-01-01.
pub type TimestampNs = u64;
/// SHA-256, here always of an ICRC-3 value.
pub type Hash = [u8; 32];
