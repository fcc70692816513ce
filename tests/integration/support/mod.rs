//! Set-up and flows of the integration tests. Everything uses the PocketIC protocol, so the tests run the same on any
//! server with that protocol (`POCKET_IC_BIN`).

pub mod canister_signer;
pub mod conservation;
pub mod environment;
pub mod flow;
pub mod gateway;
pub mod interface;
pub mod ledger;
pub mod management;
pub mod mistyped;
pub mod payer;
pub mod receipts;
pub mod setup;
pub mod transfer;

pub use canister_signer::CanisterSigner;
pub use gateway::{Answer, Request};
pub use payer::{Payer, Signed};
pub use setup::Setup;
