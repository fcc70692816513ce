//! Sections B and E: timers and heartbeats.

use crate::support::*;
use handmade::update;
use pocket_ic::PocketIc;
use std::time::Duration;
use torture::program::{Op, say};

const SECOND: u64 = 1_000_000_000;

fn note(text: &str) -> Vec<Op> {
    vec![say(text), Op::Save("fired".into())]
}

fn fired(canister: &Canister) -> usize {
    canister.load("fired").len()
}

fn pass(pic: &PocketIc, seconds: u64) {
    pic.advance_time(Duration::from_secs(seconds));
    pic.tick();
}

#[test]
fn a_timer_fires_in_the_first_round_at_or_after_its_time() {
    let pic = one_subnet();
    let canister = Canister::torture(&pic);
    let answer = canister.run(&[Op::Time, Op::After(10 * SECOND, note("x")), Op::Reply]);
    let due = u64_at(&answer, 0) + 10 * SECOND;
    pic.set_time(pocket_ic::Time::from_nanos_since_unix_epoch(due - 1));
    pic.tick();
    assert_eq!(fired(&canister), 0, "a nanosecond early");
    pic.tick();
    assert_eq!(now(&pic), due);
    assert_eq!(fired(&canister), 1, "at its time");
    (0..5).for_each(|_| pass(&pic, 100));
    assert_eq!(fired(&canister), 1, "once");
}

#[test]
fn a_timer_of_0_fires_in_the_next_round() {
    let pic = one_subnet();
    let canister = Canister::torture(&pic);
    canister.run(&[Op::After(0, note("x")), Op::Reply]);
    assert_eq!(fired(&canister), 0);
    pic.tick();
    assert_eq!(fired(&canister), 1);
}

#[test]
fn one_firing_costs_about_15_million_cycles() {
    let pic = one_subnet();
    let canister = Canister::torture(&pic);
    canister.run(&[Op::After(5 * SECOND, vec![]), Op::Reply]);
    // 15_330_317 were measured for another build: timer, call to itself, callback.
    let cost = canister.cost(|_| pass(&pic, 5));
    assert!((15_280_000..15_600_000).contains(&cost), "{cost}");
}

#[test]
fn an_interval_fires_again_and_again() {
    let pic = one_subnet();
    let canister = Canister::torture(&pic);
    canister.run(&[Op::Every(10 * SECOND, note("x")), Op::Reply]);
    for times in 1..=4 {
        pass(&pic, 10);
        pic.tick();
        assert_eq!(fired(&canister), times);
    }
}

#[test]
fn an_interval_does_not_catch_up_all_missed_firings() {
    let pic = one_subnet();
    let canister = Canister::torture(&pic);
    canister.run(&[Op::Every(10 * SECOND, note("x")), Op::Reply]);
    pic.advance_time(Duration::from_secs(100));
    (0..12).for_each(|_| pic.tick());
    assert_eq!(fired(&canister), 5, "ten were missed");
}

#[test]
fn a_trapping_timer_is_rolled_back_and_the_interval_goes_on() {
    let pic = one_subnet();
    let canister = Canister::torture(&pic);
    let mut task = note("lost");
    task.push(Op::Trap("in timer".into()));
    canister.run(&[
        Op::Every(10 * SECOND, task),
        Op::Every(10 * SECOND, note("x")),
        Op::Reply,
    ]);
    for times in 1..=3 {
        pass(&pic, 10);
        pic.tick();
        assert_eq!(canister.load_text("fired"), "x".repeat(times));
    }
}

#[test]
fn upgrade_and_reinstall_drop_timers() {
    let pic = one_subnet();
    for reinstall in [false, true] {
        let canister = Canister::torture(&pic);
        canister.run(&[Op::Every(10 * SECOND, note("x")), Op::Reply]);
        if reinstall {
            pic.reinstall_canister(canister.id, torture_wasm(), vec![], None)
        } else {
            pic.upgrade_canister(canister.id, torture_wasm(), vec![], None)
        }
        .expect("installed");
        (0..3).for_each(|_| pass(&pic, 10));
        assert_eq!(fired(&canister), 0);
        let previous = canister.run(&[Op::GlobalTimerSet(0), Op::Reply]);
        assert_eq!(u64_at(&previous, 0), 0);
    }
}

#[test]
fn post_upgrade_may_set_timers_again() {
    let pic = one_subnet();
    let canister = Canister::torture(&pic);
    let arg = torture::program::encode(&[Op::After(10 * SECOND, note("x"))]);
    crate::upgrade_with(&pic, canister.id, &arg);
    pass(&pic, 10);
    assert_eq!(fired(&canister), 1);
}

#[test]
fn a_stopped_canister_fires_when_started() {
    let pic = one_subnet();
    let canister = Canister::torture(&pic);
    canister.run(&[Op::After(10 * SECOND, note("x")), Op::Reply]);
    pic.stop_canister(canister.id, None).expect("stopped");
    pass(&pic, 20);
    pic.start_canister(canister.id, None).expect("started");
    (0..2).for_each(|_| pic.tick());
    assert_eq!(fired(&canister), 1);
}

#[test]
fn global_timer_set_returns_the_previous_time() {
    let pic = one_subnet();
    let canister = Canister::torture(&pic);
    let far = now(&pic) + 1_000 * SECOND;
    let answer = canister.run(&[
        Op::GlobalTimerSet(far),
        Op::GlobalTimerSet(far + 1),
        Op::GlobalTimerSet(0),
        Op::GlobalTimerSet(0),
        Op::Reply,
    ]);
    let previous = [0, 8, 16, 24].map(|at| u64_at(&answer, at));
    assert_eq!(previous, [0, far, far + 1, 0]);
}

/// A module that keeps, for its timer and heartbeat, what `look` replies with: the size of the
/// caller, data_certificate_present, in_replicated_execution, and how often each ran.
fn spy() -> String {
    let record = |base: u32| {
        format!(
            "i32.const {base} call $msg_caller_size i32.store
             i32.const {base} call $data_certificate_present i32.store offset=4
             i32.const {base} call $in_replicated_execution i32.store offset=8
             i32.const {base} i32.const {base} i32.load offset=12
                i32.const 1 i32.add i32.store offset=12"
        )
    };
    format!(
        "(memory 1)
         (func (export \"canister_global_timer\") {})
         (func (export \"canister_heartbeat\") {})
         (func (export \"canister_query seen\")
            i32.const 0 i32.const 32 call $msg_reply_data_append call $msg_reply)
         {}",
        record(0),
        record(16),
        update(
            "set",
            "i64.const 1 call $global_timer_set drop call $msg_reply"
        ),
    )
}

#[test]
fn timers_and_heartbeats_have_no_caller_and_run_replicated() {
    let pic = one_subnet();
    let canister = Canister::wat(&pic, &spy());
    canister.update("set", vec![]).expect("a reply");
    pic.tick();
    let seen = || {
        let bytes = canister.query("seen", vec![]).expect("a reply");
        [0, 4, 8, 12, 16, 20, 24, 28].map(|at| u32_at(&bytes, at))
    };
    let first = seen();
    assert_eq!(first[..4], [0, 0, 1, 1], "timer");
    assert_eq!(first[4..7], [0, 0, 1], "heartbeat");
    (0..7).for_each(|_| pic.tick());
    assert_eq!(seen()[7] - first[7], 7, "a heartbeat each round");
    assert_eq!(seen()[3], 1, "the timer is one-shot");
}

#[test]
fn a_trapping_heartbeat_harms_nothing() {
    let pic = one_subnet();
    let body = "(memory 1)
        (func (export \"canister_heartbeat\") i32.const 0 i32.const 1 i32.store unreachable)
        (func (export \"canister_query seen\")
            i32.const 0 i32.const 4 call $msg_reply_data_append call $msg_reply)"
        .to_string()
        + &update("noop", "call $msg_reply");
    let canister = Canister::wat(&pic, &body);
    (0..3).for_each(|_| pic.tick());
    assert_eq!(canister.query("seen", vec![]).expect("a reply"), [0; 4]);
    canister.update("noop", vec![]).expect("a reply");
}
