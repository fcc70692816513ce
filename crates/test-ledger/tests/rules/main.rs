//! The rules, natively: each measured fact of the ICRC ledger suite is a test here, and again on wasm in
//! `canister.rs`.

#[path = "../support/mod.rs"]
mod support;

mod approve;
mod dedup_index;
mod mint_and_burn;
mod transfer;
mod transfer_from;

use candid::Nat;
use support::native::{Native, account, minter, sub};
use test_ledger::domain::rules::CheckOrder;
use test_ledger::domain::{
    ApproveRefusal, PERMITTED_DRIFT_NS, TRANSACTION_WINDOW_NS, TimeRefusal, TransferRefusal,
    Violation,
};

const FEE: u128 = 10_000;
const NOW: u64 = 1_700_000_000_000_000_000;
const ALICE: u8 = 1;
const BOB: u8 = 2;
const CAROL: u8 = 3;

fn ledger() -> Native {
    Native::new(FEE, NOW, &[(account(ALICE), 1_000_000)])
}
