//! The installation argument of the standard ICRC ledger (`LedgerArg` of its `ledger.did`), so that either
//! wasm can be installed with the same argument.
//!
//! Read and obeyed: minting account, initial balances, fee, decimals, symbol, name, metadata, memo length.
//! Accepted and without effect: `archive_options` (blocks are never archived) and everything the standard
//! argument may hold beyond the fields below (Candid skips it). Refused with a message: a fee collector and
//! switching ICRC-2 off. Two fields are ours, `test_faults` and `test_icp`; the standard
//! ledger skips them.

use candid::{CandidType, Nat, Principal};
use icrc_ledger_types::icrc::generic_metadata_value::MetadataValue;
use icrc_ledger_types::icrc1::account::Account;
use serde::Deserialize;

/// One line of `icrc1_metadata`.
pub type MetadataEntry = (String, MetadataValue);

#[derive(CandidType, Deserialize, Clone, Debug, PartialEq)]
pub enum LedgerArg {
    Init(InitArgs),
    Upgrade(Option<UpgradeArgs>),
}

#[derive(CandidType, Deserialize, Clone, Debug, PartialEq)]
pub struct InitArgs {
    pub minting_account: Account,
    /// Must be null.
    pub fee_collector_account: Option<Account>,
    pub transfer_fee: Nat,
    /// Default 8.
    pub decimals: Option<u8>,
    /// Bytes; default 32.
    pub max_memo_length: Option<u16>,
    pub token_symbol: String,
    pub token_name: String,
    pub metadata: Vec<MetadataEntry>,
    pub initial_balances: Vec<(Account, Nat)>,
    /// If given, ICRC-2 must be on.
    pub feature_flags: Option<FeatureFlags>,
    /// Without effect.
    pub archive_options: ArchiveOptions,
    /// Opens the `test_*` methods; default false.
    pub test_faults: Option<bool>,
    /// The ICP ledger's `query_blocks` in place of ICRC-3; default false.
    pub test_icp: Option<bool>,
}

#[derive(CandidType, Deserialize, Clone, Debug, PartialEq)]
pub struct FeatureFlags {
    pub icrc2: bool,
}

#[derive(CandidType, Deserialize, Clone, Debug, PartialEq)]
pub struct ArchiveOptions {
    pub num_blocks_to_archive: u64,
    pub max_transactions_per_response: Option<u64>,
    pub trigger_threshold: u64,
    pub max_message_size_bytes: Option<u64>,
    pub cycles_for_archive_creation: Option<u64>,
    pub node_max_memory_size_bytes: Option<u64>,
    pub controller_id: Principal,
    pub more_controller_ids: Option<Vec<Principal>>,
}

#[derive(CandidType, Deserialize, Clone, Debug, Default, PartialEq)]
pub struct UpgradeArgs {
    pub metadata: Option<Vec<MetadataEntry>>,
    pub token_symbol: Option<String>,
    pub token_name: Option<String>,
    pub transfer_fee: Option<Nat>,
    /// `Unset` or null.
    pub change_fee_collector: Option<ChangeFeeCollector>,
    pub max_memo_length: Option<u16>,
    pub feature_flags: Option<FeatureFlags>,
    /// Without effect.
    pub change_archive_options: Option<ChangeArchiveOptions>,
}

#[derive(CandidType, Deserialize, Clone, Debug, PartialEq)]
pub enum ChangeFeeCollector {
    Unset,
    SetTo(Account),
}

#[derive(CandidType, Deserialize, Clone, Debug, PartialEq)]
pub struct ChangeArchiveOptions {
    pub num_blocks_to_archive: Option<u64>,
    pub max_transactions_per_response: Option<u64>,
    pub trigger_threshold: Option<u64>,
    pub max_message_size_bytes: Option<u64>,
    pub cycles_for_archive_creation: Option<u64>,
    pub node_max_memory_size_bytes: Option<u64>,
    pub controller_id: Option<Principal>,
    pub more_controller_ids: Option<Vec<Principal>>,
}
