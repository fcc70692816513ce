//! Pure rules: arguments in, results out. No clock, no storage, no calls.

pub mod blocklog;
pub mod capacity;
pub mod challenge;
pub mod config;
pub mod expensive;
pub mod identifier;
pub mod ledger;
pub mod liability;
pub mod offer;
pub mod origin;
pub mod outgoing;
pub mod payment;
pub mod purchase;
pub mod roles;
pub mod route;
pub mod settlement;
pub mod template;
pub mod upload;
pub mod validate;
pub mod verify;
pub mod window;
pub mod withdrawal;
