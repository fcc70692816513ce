//! The ledger as a canister: the measured facts of the ICRC ledger suite through its public interface. Runs
//! on our ledger, or on the wasm that `LEDGER_WASM` names.

#[path = "../support/mod.rs"]
mod support;

mod approve;
mod block_log;
mod information;
mod mint_and_burn;
mod transfer;
mod transfer_from;

use std::time::Duration;

use candid::{Nat, Principal};
use ic_certification::{HashTree, LookupResult};
use icrc_ledger_types::icrc::generic_value::ICRC3Value;
use icrc_ledger_types::icrc1::account::Account;
use icrc_ledger_types::icrc1::transfer::{Memo, TransferError};
use icrc_ledger_types::icrc2::approve::ApproveError;
use icrc_ledger_types::icrc2::transfer_from::TransferFromError;
use icrc_ledger_types::icrc3::archive::{GetArchivesArgs, GetArchivesResult};
use icrc_ledger_types::icrc3::blocks::ICRC3DataCertificate;
use pocket_ic::RejectCode;
use support::pocket::{
    FEE, FUNDS, Pocket, approve_arg, is_foreign, merchant, minter, payer, shop, transfer_arg,
    transfer_from_arg,
};

const DAY: Duration = Duration::from_secs(24 * 60 * 60);

/// Ends the server's own rounding: the next message runs exactly at the time returned.
fn jump(ledger: &Pocket, by: Duration) -> u64 {
    ledger.pic.advance_time(by);
    ledger.now()
}
