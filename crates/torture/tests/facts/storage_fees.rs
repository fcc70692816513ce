//! Section B: storage is paid for as time passes; frozen and drained canisters.

use crate::support::*;
use ic_management_canister_types::CanisterSettings;
use pocket_ic::{ErrorCode, PocketIc, RejectCode};
use std::time::Duration;
use torture::program::{Op, call, say};

/// Cycles for so many bytes kept for so many seconds.
fn storage(bytes: u128, seconds: u128) -> u128 {
    bytes * 127_000 * seconds / (1 << 30)
}

fn number(nat: &candid::Nat) -> u128 {
    (&nat.0).try_into().expect("fits")
}

fn pass(pic: &PocketIc, seconds: u64) {
    pic.advance_time(Duration::from_secs(seconds));
    pic.tick();
}

#[test]
fn storage_is_charged_in_the_first_round_after_ten_seconds() {
    let pic = one_subnet();
    let canister = Canister::wat(&pic, "(memory 160)");
    let status = status_of(&pic, canister.id, None).expect("a status");
    let bytes = number(&status.memory_size);
    assert!((10_485_760..10_500_000).contains(&bytes), "{bytes}");
    assert_eq!(
        number(&status.idle_cycles_burned_per_day),
        storage(bytes, 86_400)
    );
    pass(&pic, 100);
    let cost = |seconds| canister.cost(|_| pass(&pic, seconds));
    assert_eq!(cost(1), 0, "not yet");
    assert_eq!(cost(10), storage(bytes, 11));
    assert_eq!(cost(100), storage(bytes, 100));
    assert_eq!(cost(86_400), storage(bytes, 86_400));
}

#[test]
fn storage_of_ten_mebibytes() {
    // The figures measured, for the memory size measured.
    assert_eq!(storage(10_486_574, 11), 13_643);
    assert_eq!(storage(10_486_574, 100), 124_033);
    assert_eq!(storage(10_486_574, 86_400), 107_164_568);
}

#[test]
fn stable_memory_is_charged_like_heap() {
    let pic = one_subnet();
    let body = "(memory 1)".to_string()
        + &handmade::update(
            "grow",
            "i64.const 16 call $stable64_grow drop call $msg_reply",
        );
    let canister = Canister::wat(&pic, &body);
    let size = || {
        let status = status_of(&pic, canister.id, None).expect("a status");
        number(&status.memory_size)
    };
    let before = size();
    canister.update("grow", vec![]).expect("a reply");
    assert_eq!(size() - before, 16 * 65_536);
    let bytes = size();
    pass(&pic, 100);
    assert_eq!(canister.cost(|_| pass(&pic, 1_000)), storage(bytes, 1_000));
}

/// A torture canister below its freezing threshold.
fn frozen(pic: &PocketIc) -> Canister<'_> {
    let canister = Canister::torture(pic);
    let settings = CanisterSettings {
        freezing_threshold: Some(1_000_000_000_000_u64.into()),
        ..Default::default()
    };
    pic.update_canister_settings(canister.id, None, settings)
        .expect("set");
    canister
}

#[test]
fn a_frozen_canister_takes_no_ingress() {
    let pic = one_subnet();
    let canister = frozen(&pic);
    expect_reject(
        canister.try_run(&[Op::Reply]),
        RejectCode::SysTransient,
        ErrorCode::CanisterOutOfCycles,
    );
    assert_eq!(canister.cost(|c| c.try_run(&[Op::Reply]).is_err()), 0);
}

#[test]
fn a_frozen_canister_rejects_calls() {
    let pic = one_subnet();
    let (caller, callee) = (Canister::torture(&pic), frozen(&pic));
    let answer = caller.run(&[call(callee.id, "run", vec![]).forward().op()]);
    let (code, text) = forwarded(&answer).expect_err("frozen");
    assert_eq!(code, 2);
    let start = format!("IC0207: Canister {} is out of cycles", callee.id);
    assert!(text.starts_with(&start), "{text}");
}

#[test]
fn a_frozen_canister_answers_again_when_topped_up() {
    let pic = one_subnet();
    let canister = frozen(&pic);
    assert!(canister.try_run(&[Op::Reply]).is_err());
    pic.add_cycles(canister.id, 1_000 * START_CYCLES);
    assert_eq!(canister.run(&[say("again"), Op::Reply]), b"again");
}

#[test]
fn a_canister_with_no_cycles_left_loses_its_code() {
    let pic = one_subnet();
    let canister = Canister::torture(&pic);
    let settings = CanisterSettings {
        freezing_threshold: Some(0_u64.into()),
        ..Default::default()
    };
    pic.update_canister_settings(canister.id, None, settings)
        .expect("set");
    let surplus = canister.cycles() - 50_000_000_000;
    canister.run(&[Op::CyclesBurn(surplus), Op::Reply]);
    // What is left pays for this module for some years.
    for _ in 0..200 {
        pass(&pic, 86_400 * 365);
        if canister.cycles() == 0 {
            break;
        }
    }
    assert_eq!(canister.cycles(), 0);
    pic.add_cycles(canister.id, START_CYCLES);
    expect_reject(
        canister.try_run(&[Op::Reply]),
        RejectCode::CanisterError,
        ErrorCode::CanisterWasmModuleNotFound,
    );
}
