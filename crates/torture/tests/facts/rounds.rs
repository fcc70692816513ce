//! Section A: time and rounds.

use crate::support::*;
use candid::Principal;
use std::time::Duration;
use torture::program::{Op, call, call_run, encode, say};

#[test]
fn initial_time_of_two_application_subnets() {
    let pic = two_subnets();
    assert_eq!(now(&pic), 1_620_328_630_000_000_002);
}

#[test]
fn tick_is_one_round_of_one_nanosecond() {
    let pic = one_subnet();
    assert_eq!(rounds(&pic, || pic.tick()), 1);
    assert_eq!(rounds(&pic, || (0..5).for_each(|_| pic.tick())), 5);
}

#[test]
fn queries_see_advanced_time_only_after_a_round() {
    let pic = one_subnet();
    let canister = Canister::torture(&pic);
    let time = || u64_at(&canister.look(&[Op::Time, Op::Reply]), 0);
    pic.tick();
    let (before, seen_before) = (now(&pic), time());
    pic.advance_time(Duration::from_secs(10));
    assert_eq!(now(&pic), before + 10_000_000_000, "get_time moves at once");
    assert_eq!(time(), seen_before, "a query still sees the old time");
    let in_round = u64_at(&canister.run(&[Op::Time, Op::Reply]), 0);
    assert_eq!(
        in_round,
        before + 10_000_000_000,
        "no +1 in the first round"
    );
    assert_eq!(time(), in_round);
    pic.tick();
    assert_eq!(time(), in_round + 1);
}

#[test]
fn operations_that_take_one_round() {
    let pic = one_subnet();
    let anonymous = Principal::anonymous();
    let mut id = anonymous;
    assert_eq!(rounds(&pic, || id = pic.create_canister()), 1, "create");
    let canister = Canister { pic: &pic, id };
    let wasm = handmade::module("(func (export \"canister_update t\") unreachable)");
    assert_eq!(rounds(&pic, || canister.with_wasm(wasm)), 1, "install");
    assert_eq!(rounds(&pic, || canister.update("t", vec![])), 1, "trap");
    assert_eq!(rounds(&pic, || canister.update("u", vec![])), 1, "unknown");
    let torture = Canister::torture(&pic);
    let program = [Op::Reply];
    assert_eq!(rounds(&pic, || torture.run(&program)), 1, "update");
    assert_eq!(
        rounds(&pic, || torture.update("look", encode(&program))),
        1,
        "replicated query"
    );
    assert_eq!(
        rounds(&pic, || status_of(&pic, torture.id, None)),
        1,
        "canister_status"
    );
    assert_eq!(
        rounds(&pic, || pic.set_controllers(
            torture.id,
            None,
            vec![anonymous]
        )),
        1,
        "set_controllers"
    );
}

#[test]
fn operations_that_take_no_round() {
    let pic = one_subnet();
    let canister = Canister::torture(&pic);
    let program = [Op::Reply];
    assert_eq!(rounds(&pic, || canister.look(&program)), 0, "query_call");
    assert_eq!(rounds(&pic, || canister.cycles()), 0, "cycle_balance");
    let added = rounds(&pic, || pic.add_cycles(canister.id, 1));
    assert_eq!(added, 0, "add_cycles");
    assert_eq!(rounds(&pic, || canister.submit(&program)), 0, "submit_call");
}

/// Replies with the caller's time before the call, the callee's, and the caller's after.
fn three_times(callee: Principal) -> Vec<Op> {
    let on_reply = vec![Op::Load("before".into()), Op::Arg, Op::Time, Op::Reply];
    vec![
        Op::Time,
        Op::Save("before".into()),
        call_run(callee, &[Op::Time, Op::Reply])
            .on_reply(on_reply)
            .op(),
    ]
}

#[test]
fn awaiting_the_same_subnet_takes_no_extra_round() {
    let pic = one_subnet();
    for other in [false, true] {
        let caller = Canister::torture(&pic);
        let callee = if other {
            Canister::torture(&pic)
        } else {
            caller
        };
        let mut times = vec![];
        let taken = rounds(&pic, || times = caller.run(&three_times(callee.id)));
        assert_eq!(taken, 1);
        assert_eq!(u64_at(&times, 0), u64_at(&times, 8));
        assert_eq!(u64_at(&times, 8), u64_at(&times, 16));
    }
}

fn two_awaits(callee: Principal) -> Vec<Op> {
    let second = call_run(callee, &[Op::Reply]).forward().op();
    vec![call_run(callee, &[Op::Reply]).on_reply(vec![second]).op()]
}

#[test]
fn two_awaits_of_the_same_subnet_take_one_round() {
    let pic = one_subnet();
    let (caller, callee) = (Canister::torture(&pic), Canister::torture(&pic));
    assert_eq!(rounds(&pic, || caller.run(&two_awaits(callee.id))), 1);
}

#[test]
fn awaiting_another_subnet_takes_two_rounds() {
    let pic = two_subnets();
    let canisters = [0, 1].map(|subnet| Canister::torture_on(&pic, subnet));
    let mut in_callee = vec![];
    for (caller, callee) in [(0, 1), (1, 0)] {
        let (caller, callee) = (canisters[caller], canisters[callee]);
        let start = now(&pic);
        let times = caller.run(&three_times(callee.id));
        assert_eq!(now(&pic) - start, 2);
        assert_eq!(u64_at(&times, 0) - start, 1, "before");
        assert_eq!(u64_at(&times, 16) - start, 2, "after");
        in_callee.push(u64_at(&times, 8) - start);
        assert_eq!(rounds(&pic, || caller.run(&two_awaits(callee.id))), 3);
    }
    // A round runs one subnet after the other: a message reaches the later one in the same round.
    in_callee.sort_unstable();
    assert_eq!(in_callee, [1, 2], "in the callee, from either side");
}

#[test]
fn raw_rand_takes_three_rounds() {
    let pic = one_subnet();
    let caller = Canister::torture(&pic);
    let on_reply = vec![Op::Load("before".into()), Op::Time, Op::ArgSize, Op::Reply];
    let program = [
        Op::Time,
        Op::Save("before".into()),
        call(Principal::management_canister(), "raw_rand", empty_args())
            .on_reply(on_reply)
            .op(),
    ];
    let start = now(&pic);
    let answer = caller.run(&program);
    assert_eq!(now(&pic) - start, 3);
    assert_eq!(u64_at(&answer, 0) - start, 1);
    assert_eq!(u64_at(&answer, 8) - start, 3);
    assert_eq!(u32_at(&answer, 16), 42, "Candid of a blob of 32 bytes");
}

fn empty_args() -> Vec<u8> {
    candid::encode_args(()).expect("no arguments")
}

fn is_answered(pic: &pocket_ic::PocketIc, id: &pocket_ic::common::rest::RawMessageId) -> bool {
    pic.ingress_status(id.clone()).is_some()
}

#[test]
fn a_submitted_call_is_answered_after_one_tick() {
    let pic = one_subnet();
    let canister = Canister::torture(&pic);
    let id = canister.submit(&[say("hello"), Op::Reply]);
    assert!(!is_answered(&pic, &id));
    pic.tick();
    let answer = pic.ingress_status(id).expect("answered after a tick");
    assert_eq!(answer.expect("a reply"), b"hello");
}

#[test]
fn a_submitted_call_that_awaits_another_subnet_is_answered_after_two_ticks() {
    let pic = two_subnets();
    let caller = Canister::torture_on(&pic, 0);
    let callee = Canister::torture_on(&pic, 1);
    let id = caller.submit(&[call_run(callee.id, &[Op::Reply]).forward().op()]);
    pic.tick();
    assert!(!is_answered(&pic, &id));
    pic.tick();
    assert!(is_answered(&pic, &id));
}

#[test]
fn a_call_that_is_replied_to_at_once_takes_one_round() {
    let pic = two_subnets();
    let caller = Canister::torture_on(&pic, 0);
    let callee = Canister::torture_on(&pic, 1);
    let program = [call_run(callee.id, &[Op::Reply]).op(), Op::Reply];
    assert_eq!(rounds(&pic, || caller.run(&program)), 1);
}

#[test]
fn reply_data_appended_before_an_await_is_dropped() {
    let pic = one_subnet();
    let caller = Canister::torture(&pic);
    let program = [
        say("early"),
        Op::Append,
        call_run(caller.id, &[Op::Reply])
            .on_reply(vec![say("late"), Op::Reply])
            .op(),
    ];
    assert_eq!(caller.run(&program), b"late");
}

#[test]
fn long_messages_are_spread_over_rounds() {
    let pic = one_subnet();
    let canister = Canister::torture(&pic);
    let work = |instructions| vec![Op::WorkUntil(instructions), Op::Reply];
    assert_eq!(rounds(&pic, || canister.run(&work(1_900_000_000))), 1);
    assert_eq!(rounds(&pic, || canister.run(&work(6_990_000_000))), 4);
    // All 40 billion, and the trap at their end, take 20 rounds.
    let limit = rounds(&pic, || canister.try_run(&work(u64::MAX)));
    assert_eq!(limit, 20);
}
