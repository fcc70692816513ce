//! Section E: what a trap undoes, before and after calls.

use crate::support::*;
use handmade::update;
use pocket_ic::{ErrorCode, PocketIc, RejectCode};
use std::time::Duration;
use torture::program::{Op, call_run, say};

fn put(name: &str, value: &str) -> Op {
    Op::Put(name.into(), value.as_bytes().to_vec().into())
}

/// A canister with a first state of everything that a message can change.
fn prepared(pic: &PocketIc) -> Canister<'_> {
    let canister = Canister::torture(pic);
    canister.run(&[
        put("heap", "first"),
        Op::StableGrow(1),
        Op::StableWrite(0, b"first".to_vec().into()),
        Op::CertifiedDataSet(b"first certified".to_vec().into()),
        Op::Reply,
    ]);
    canister
}

/// Changes everything, then does `last`.
fn change_all(callee: &Canister, last: Vec<Op>) -> Vec<Op> {
    let mut program = vec![
        put("heap", "second"),
        Op::StableWrite(0, b"second".to_vec().into()),
        Op::StableGrow(5),
        Op::CertifiedDataSet(b"second certified".to_vec().into()),
        Op::After(1_000_000_000, vec![put("timer", "fired")]),
        call_run(callee.id, &[put("called", "yes"), Op::Reply]).op(),
    ];
    program.extend(last);
    program
}

fn assert_first_state(canister: &Canister, callee: &Canister) {
    assert_eq!(canister.load_text("heap"), "first");
    let stable = canister.look(&[Op::StableSize, Op::StableRead(0, 5), Op::Reply]);
    assert_eq!(u64_at(&stable, 0), 1);
    assert_eq!(&stable[8..], b"first");
    let certificate = canister.look(&[Op::Certificate, Op::Reply]);
    let holds = |text: &[u8]| certificate.windows(text.len()).any(|part| part == text);
    assert!(holds(b"first certified") && !holds(b"second certified"));
    canister.pic.advance_time(Duration::from_secs(5));
    (0..3).for_each(|_| canister.pic.tick());
    assert_eq!(canister.load_text("timer"), "", "the timer was not set");
    assert_eq!(callee.load_text("called"), "", "the call was not sent");
}

fn expect_trap(answer: Answer) {
    expect_reject(
        answer,
        RejectCode::CanisterError,
        ErrorCode::CanisterCalledTrap,
    );
}

#[test]
fn a_trap_undoes_the_whole_message() {
    let pic = one_subnet();
    let (canister, callee) = (prepared(&pic), Canister::torture(&pic));
    let version = canister.version();
    expect_trap(canister.try_run(&change_all(&callee, vec![Op::Trap("no".into())])));
    assert_eq!(canister.version(), version);
    assert_first_state(&canister, &callee);
}

#[test]
fn without_a_trap_the_same_message_changes_everything() {
    let pic = one_subnet();
    let (canister, callee) = (prepared(&pic), Canister::torture(&pic));
    canister.run(&change_all(&callee, vec![Op::Reply]));
    assert_eq!(canister.load_text("heap"), "second");
    let stable = canister.look(&[Op::StableSize, Op::StableRead(0, 6), Op::Reply]);
    assert_eq!(u64_at(&stable, 0), 6);
    assert_eq!(&stable[8..], b"second");
    pic.advance_time(Duration::from_secs(5));
    (0..3).for_each(|_| pic.tick());
    assert_eq!(canister.load_text("timer"), "fired");
    assert_eq!(callee.load_text("called"), "yes");
    let certificate = canister.look(&[Op::Certificate, Op::Reply]);
    let holds = certificate
        .windows(16)
        .any(|part| part == b"second certified");
    assert!(holds);
}

#[test]
fn a_trap_after_replying_undoes_the_reply_too() {
    let pic = one_subnet();
    let (canister, callee) = (prepared(&pic), Canister::torture(&pic));
    let last = vec![say("paid"), Op::Reply, Op::Trap("no".into())];
    expect_trap(canister.try_run(&change_all(&callee, last)));
    assert_first_state(&canister, &callee);
}

#[test]
fn a_trap_in_the_reply_callback_undoes_the_callback_alone() {
    let pic = one_subnet();
    let (canister, callee) = (prepared(&pic), Canister::torture(&pic));
    let second = Canister::torture(&pic);
    let callback = change_all(&second, vec![Op::Trap("no".into())]);
    let program = [
        put("before", "kept"),
        call_run(callee.id, &[put("done", "yes"), Op::Reply])
            .on_reply(callback)
            .op(),
    ];
    expect_trap(canister.try_run(&program));
    assert_eq!(
        canister.load_text("before"),
        "kept",
        "committed at the await"
    );
    assert_eq!(callee.load_text("done"), "yes", "the callee's work stays");
    assert_first_state(&canister, &second);
}

#[test]
fn a_trap_in_the_reject_callback_undoes_the_callback_alone() {
    let pic = one_subnet();
    let (canister, callee) = (prepared(&pic), Canister::torture(&pic));
    let second = Canister::torture(&pic);
    let callback = change_all(&second, vec![Op::Trap("no".into())]);
    let program = [
        put("before", "kept"),
        call_run(callee.id, &[Op::Reject("no".into())])
            .on_reject(callback)
            .op(),
    ];
    expect_trap(canister.try_run(&program));
    assert_eq!(canister.load_text("before"), "kept");
    assert_first_state(&canister, &second);
}

#[test]
fn a_callee_that_traps_is_rolled_back_and_the_caller_is_not() {
    let pic = two_subnets();
    for subnet in [0, 1] {
        let caller = Canister::torture_on(&pic, 0);
        let callee = Canister::torture_on(&pic, subnet);
        let call = call_run(callee.id, &[put("done", "yes"), Op::Trap("no".into())])
            .on_reject(vec![put("after", "kept"), Op::Reply]);
        caller.run(&[put("before", "kept"), call.op()]);
        assert_eq!(caller.load_text("before"), "kept");
        assert_eq!(caller.load_text("after"), "kept");
        assert_eq!(callee.load_text("done"), "");
    }
}

#[test]
fn cycles_attached_to_an_unsent_call_stay() {
    let pic = one_subnet();
    let (canister, callee) = (Canister::torture(&pic), Canister::torture(&pic));
    let call = call_run(callee.id, &[Op::CyclesAccept(u128::MAX), Op::Reply])
        .cycles(50_000_000_000_000)
        .op();
    let cost = canister.cost(|c| c.try_run(&[call, Op::Trap("no".into())]).is_err());
    assert!(cost < 100_000_000, "{cost}");
}

#[test]
fn burnt_cycles_return_on_a_trap() {
    let pic = one_subnet();
    let canister = Canister::torture(&pic);
    let program = [Op::CyclesBurn(50_000_000_000_000), Op::Trap("no".into())];
    let cost = canister.cost(|c| c.try_run(&program).is_err());
    assert!(cost < 100_000_000, "{cost}");
}

const GLOBALS: &str = "
    (memory 1 10) (global $g (mut i64) (i64.const 5)) (global (mut i32) (i32.const 0))
    (func $change
        i64.const 77 global.set $g
        i32.const 0 i32.const 88 i32.store
        i32.const 3 memory.grow drop
        i32.const 196608 i32.const 99 i32.store)
    (func $show
        i32.const 16 global.get $g i64.store
        i32.const 24 memory.size i32.store
        i32.const 28 i32.const 0 i32.load i32.store
        i32.const 16 i32.const 16 call $msg_reply_data_append call $msg_reply)
    (func (export \"canister_query show\") call $show)
    (func (export \"canister_query change\") call $change call $show)
    (func (export \"canister_query size\")
        i32.const 196608 i32.load drop call $show)
    ";

fn shown(bytes: &[u8]) -> (u64, u32, u32) {
    (u64_at(bytes, 0), u32_at(bytes, 8), u32_at(bytes, 12))
}

#[test]
fn globals_and_grown_memory_are_rolled_back() {
    let pic = one_subnet();
    let body = GLOBALS.to_string()
        + &update("break", "call $change unreachable")
        + &update("keep", "call $change call $show");
    let canister = Canister::wat(&pic, &body);
    let show = || shown(&canister.query("show", vec![]).expect("a reply"));
    assert_eq!(show(), (5, 1, 0));
    canister.update("break", vec![]).expect_err("a trap");
    assert_eq!(show(), (5, 1, 0), "after a trap");
    let seen = shown(&canister.query("change", vec![]).expect("a reply"));
    assert_eq!(seen, (77, 4, 88), "within the query");
    assert_eq!(show(), (5, 1, 0), "after the query");
    canister
        .query("size", vec![])
        .expect_err("the memory is small again");
    canister.update("keep", vec![]).expect("a reply");
    assert_eq!(show(), (77, 4, 88), "after the update");
    canister.query("size", vec![]).expect("it has grown");
}

#[test]
fn memory_grown_again_after_a_trap_is_zero() {
    let pic = one_subnet();
    let body = GLOBALS.to_string()
        + &update("break", "call $change unreachable")
        + &update(
            "grow",
            "i32.const 3 memory.grow drop
             i32.const 0 i32.const 196608 i32.load i32.store
             i32.const 0 i32.const 4 call $msg_reply_data_append call $msg_reply",
        );
    let canister = Canister::wat(&pic, &body);
    canister.update("break", vec![]).expect_err("a trap");
    assert_eq!(canister.update("grow", vec![]).expect("a reply"), [0; 4]);
}

#[test]
fn the_instruction_limit_rolls_back_like_a_trap() {
    let pic = one_subnet();
    let (canister, callee) = (prepared(&pic), Canister::torture(&pic));
    let program = change_all(&callee, vec![Op::WorkUntil(u64::MAX)]);
    expect_reject(
        canister.try_run(&program),
        RejectCode::CanisterError,
        ErrorCode::CanisterInstructionLimitExceeded,
    );
    assert_first_state(&canister, &callee);
}
