//! Stable state: the only place with thread-local variables, memory ids and stable encodings.
//!
//! Every table is a stable structure and the truth; heap caches beside them are small, rebuilt from them
//! on first use after an upgrade, and say so. Functions here take the time as an argument and never call
//! other canisters, so nothing is borrowed across an await.

pub mod accounts;
pub mod audit;
pub mod balance;
pub mod cancellations;
pub mod changes;
pub mod claims;
pub mod codec;
pub mod config;
pub mod content;
pub mod counters;
pub mod fees;
pub mod identifiers;
pub mod ledgers;
pub mod liabilities;
pub mod memory;
pub mod offers;
pub mod payments;
pub mod quarantine;
pub mod recovery;
pub mod responses;
pub mod routes;
pub mod signatures;
pub mod uploads;
pub mod withdrawals;
