//! Section B: canister_status, defaults and settings.

use crate::support::*;
use candid::{Nat, Principal};
use ic_management_canister_types::{CanisterSettings, CanisterStatusType, LogVisibility};
use pocket_ic::{ErrorCode, RejectCode};
use sha2::{Digest, Sha256};

fn nat(value: u64) -> Nat {
    Nat::from(value)
}

#[test]
fn defaults_of_a_new_canister() {
    let pic = one_subnet();
    let canister = Canister::empty(&pic);
    let status = status_of(&pic, canister.id, None).expect("a status");
    assert_eq!(status.status, CanisterStatusType::Running);
    assert_eq!(status.module_hash, None);
    let settings = status.settings;
    assert_eq!(settings.controllers, [Principal::anonymous()]);
    assert_eq!(settings.freezing_threshold, nat(2_592_000));
    assert_eq!(settings.reserved_cycles_limit, nat(5_000_000_000_000));
    assert_eq!(settings.wasm_memory_limit, nat(3_221_225_472));
    assert_eq!(settings.wasm_memory_threshold, nat(0));
    assert_eq!(settings.compute_allocation, nat(0));
    assert_eq!(settings.memory_allocation, nat(0));
    assert_eq!(settings.log_visibility, LogVisibility::Controllers);
    assert_eq!(status.reserved_cycles, nat(0));
    assert_eq!(status.query_stats.num_calls_total, nat(0));
    assert_eq!(status.query_stats.num_instructions_total, nat(0));
    assert_eq!(
        status.memory_metrics.canister_history_size,
        status.memory_size
    );
    assert_eq!(status.memory_size, nat(190));
    assert_eq!(status.idle_cycles_burned_per_day, nat(1_941));
}

#[test]
fn memory_metrics_of_an_installed_canister() {
    let pic = one_subnet();
    let wasm = handmade::module("(memory 160)");
    let canister = Canister::empty(&pic).with_wasm(wasm.clone());
    let status = status_of(&pic, canister.id, None).expect("a status");
    assert_eq!(status.module_hash, Some(Sha256::digest(&wasm).to_vec()));
    let metrics = status.memory_metrics;
    assert_eq!(metrics.wasm_memory_size, nat(160 * 65_536));
    assert_eq!(metrics.stable_memory_size, nat(0));
    assert_eq!(metrics.wasm_binary_size, nat(wasm.len() as u64));
    assert_eq!(metrics.wasm_chunk_store_size, nat(0));
    assert_eq!(metrics.snapshots_size, nat(0));
    let parts = [
        metrics.wasm_memory_size,
        metrics.stable_memory_size,
        metrics.global_memory_size,
        metrics.wasm_binary_size,
        metrics.custom_sections_size,
        metrics.canister_history_size,
        metrics.wasm_chunk_store_size,
        metrics.snapshots_size,
    ];
    let sum = parts.into_iter().fold(nat(0), |sum, part| sum + part);
    assert_eq!(status.memory_size, sum);
}

#[test]
fn the_balance_shown_is_the_balance() {
    let pic = one_subnet();
    let canister = Canister::empty(&pic);
    let status = status_of(&pic, canister.id, None).expect("a status");
    assert_eq!(status.cycles, Nat::from(canister.cycles()));
}

#[test]
fn settings_are_kept() {
    let pic = one_subnet();
    let canister = Canister::torture(&pic);
    let other = Principal::self_authenticating([7; 32]);
    let settings = CanisterSettings {
        controllers: Some(vec![Principal::anonymous(), other]),
        freezing_threshold: Some(nat(86_400)),
        wasm_memory_limit: Some(nat(1_000_000_000)),
        log_visibility: Some(LogVisibility::Public),
        ..Default::default()
    };
    pic.update_canister_settings(canister.id, None, settings)
        .expect("set");
    let status = status_of(&pic, canister.id, Some(other)).expect("a status");
    let mut controllers = status.settings.controllers;
    controllers.sort();
    let mut expected = vec![Principal::anonymous(), other];
    expected.sort();
    assert_eq!(controllers, expected);
    assert_eq!(status.settings.freezing_threshold, nat(86_400));
    assert_eq!(status.settings.wasm_memory_limit, nat(1_000_000_000));
    assert_eq!(status.settings.log_visibility, LogVisibility::Public);
}

#[test]
fn the_status_is_for_controllers() {
    let pic = one_subnet();
    let canister = Canister::torture(&pic);
    let stranger = Principal::self_authenticating([9; 32]);
    let refused = status_of(&pic, canister.id, Some(stranger)).expect_err("not a controller");
    assert_eq!(refused.reject_code, RejectCode::CanisterError);
    assert!(
        [
            ErrorCode::CanisterInvalidController,
            ErrorCode::CanisterStatusAccessDenied,
            ErrorCode::CanisterInvalidControllerOrSubnetAdmin
        ]
        .contains(&refused.error_code),
        "{refused:?}"
    );
}
