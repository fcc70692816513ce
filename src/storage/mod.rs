//! Stable state. No other module has thread-local variables, memory ids or stable encodings.
//!
//! Every table is a stable structure and the source of truth. Heap caches beside the tables are small, documented as
//! such, and rebuilt from the tables on first use after an upgrade. Functions here take the time as an argument and
//! never call other canisters, so nothing is borrowed across an await.

pub mod accounts;
pub mod answers;
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
pub mod invoices;
pub mod ledgers;
pub mod liabilities;
pub mod lookups;
pub mod memory;
pub mod notifications;
pub mod offers;
pub mod payments;
pub mod quarantine;
pub mod receipt_signatures;
pub mod recovery;
pub mod responses;
pub mod routes;
pub mod signatures;
pub mod tokens;
pub mod uploads;
pub mod withdrawals;
pub mod works;
