//! `canister_status` with the fields that every server answers with. The `pocket-ic` crate's own record wants the
//! newest ones too, so that it cannot read the answer of an older server.

use candid::{CandidType, Nat, Principal};
use ic_management_canister_types::{
    CanisterIdRecord, CanisterStatusType, LogVisibility, QueryStats,
};
use pocket_ic::common::rest::RawEffectivePrincipal;
use pocket_ic::{PocketIc, RejectResponse};
use serde::Deserialize;

#[derive(CandidType, Deserialize, Debug)]
pub struct Status {
    pub status: CanisterStatusType,
    pub settings: Settings,
    pub module_hash: Option<Vec<u8>>,
    pub memory_size: Nat,
    pub memory_metrics: MemoryMetrics,
    pub cycles: Nat,
    pub reserved_cycles: Nat,
    pub idle_cycles_burned_per_day: Nat,
    pub query_stats: QueryStats,
}

#[derive(CandidType, Deserialize, Debug)]
pub struct Settings {
    pub controllers: Vec<Principal>,
    pub compute_allocation: Nat,
    pub memory_allocation: Nat,
    pub freezing_threshold: Nat,
    pub reserved_cycles_limit: Nat,
    pub log_visibility: LogVisibility,
    pub wasm_memory_limit: Nat,
    pub wasm_memory_threshold: Nat,
}

#[derive(CandidType, Deserialize, Debug)]
pub struct MemoryMetrics {
    pub wasm_memory_size: Nat,
    pub stable_memory_size: Nat,
    pub global_memory_size: Nat,
    pub wasm_binary_size: Nat,
    pub custom_sections_size: Nat,
    pub canister_history_size: Nat,
    pub wasm_chunk_store_size: Nat,
    pub snapshots_size: Nat,
}

/// The status of a canister, asked for by `sender` or anonymously.
pub fn status_of(
    pic: &PocketIc,
    canister_id: Principal,
    sender: Option<Principal>,
) -> Result<Status, RejectResponse> {
    let reply = pic.update_call_with_effective_principal(
        Principal::management_canister(),
        RawEffectivePrincipal::CanisterId(canister_id.as_slice().to_vec()),
        sender.unwrap_or(Principal::anonymous()),
        "canister_status",
        candid::encode_one(CanisterIdRecord { canister_id }).expect("encodes"),
    )?;
    Ok(candid::decode_one(&reply).expect("a status"))
}
