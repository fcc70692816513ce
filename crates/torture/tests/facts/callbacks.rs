//! Section E: callbacks that trap, and cleanup.

use crate::support::*;
use pocket_ic::{ErrorCode, PocketIc, RejectCode};
use torture::program::{CallSpec, Op, call_run, encode, say};

fn put(name: &str, value: &str) -> Op {
    Op::Put(name.into(), value.as_bytes().to_vec().into())
}

fn trap(text: &str) -> Op {
    Op::Trap(text.into())
}

fn pair(pic: &PocketIc) -> (Canister<'_>, Canister<'_>) {
    (Canister::torture(pic), Canister::torture(pic))
}

/// A call whose reply callback writes and traps.
fn trapping(callee: &Canister) -> CallSpec {
    call_run(callee.id, &[Op::Reply]).on_reply(vec![put("callback", "wrote"), trap("cbtrap")])
}

fn expect_trap(answer: Answer) -> String {
    expect_reject(
        answer,
        RejectCode::CanisterError,
        ErrorCode::CanisterCalledTrap,
    )
}

#[test]
fn cleanup_runs_after_a_trapping_callback_and_its_writes_stay() {
    let pic = one_subnet();
    for rejecting in [false, true] {
        let (caller, callee) = pair(&pic);
        let answer = if rejecting {
            Op::Reject("no".into())
        } else {
            Op::Reply
        };
        let callback = vec![put("callback", "wrote"), trap("cbtrap")];
        let call = call_run(callee.id, &[answer])
            .on_reply(callback.clone())
            .on_reject(callback)
            .on_cleanup(vec![put("cleanup", "ran")]);
        let text = expect_trap(caller.try_run(&[put("before", "kept"), call.op()]));
        assert_contains(&text, "'cbtrap'");
        assert_eq!(caller.load_text("callback"), "");
        assert_eq!(caller.load_text("before"), "kept");
        assert_eq!(caller.load_text("cleanup"), "ran");
    }
}

#[test]
fn cleanup_does_not_run_when_the_callback_succeeds() {
    let pic = one_subnet();
    let (caller, callee) = pair(&pic);
    let call = call_run(callee.id, &[Op::Reply])
        .on_reply(vec![Op::Reply])
        .on_cleanup(vec![put("cleanup", "ran")]);
    caller.run(&[call.op()]);
    assert_eq!(caller.load_text("cleanup"), "");
}

#[test]
fn a_trap_in_cleanup_undoes_cleanup_and_is_reported_too() {
    let pic = one_subnet();
    let (caller, callee) = pair(&pic);
    let call = trapping(&callee).on_cleanup(vec![put("cleanup", "ran"), trap("worse")]);
    let text = expect_trap(caller.try_run(&[call.op()]));
    assert_contains(&text, "'cbtrap'");
    assert_contains(&text, "\n\ncall_on_cleanup also failed:\n\n");
    assert_contains(&text, "'worse'");
    assert_eq!(caller.load_text("cleanup"), "");
    assert_eq!(caller.load_text("callback"), "");
}

#[test]
fn replies_and_calls_in_cleanup_violate_the_contract() {
    let pic = one_subnet();
    let (caller, callee) = pair(&pic);
    let call_out = call_run(callee.id, &[put("called", "yes"), Op::Reply]).op();
    for forbidden in [Op::Reply, Op::Reject("no".into()), call_out] {
        let call = trapping(&callee).on_cleanup(vec![put("cleanup", "ran"), forbidden]);
        let text = expect_trap(caller.try_run(&[call.op()]));
        assert_contains(&text, "call_on_cleanup also failed");
        assert_contains(&text, "violated contract");
        assert_eq!(caller.load_text("cleanup"), "");
    }
    pic.tick();
    assert_eq!(callee.load_text("called"), "");
}

#[test]
fn a_reply_given_earlier_stays_when_a_later_callback_traps() {
    let pic = one_subnet();
    let (caller, callee) = pair(&pic);
    let call = trapping(&callee).on_cleanup(vec![put("cleanup", "ran")]);
    let program = [call.op(), say("early"), Op::Reply];
    assert_eq!(caller.run(&program), b"early");
    pic.tick();
    assert_eq!(caller.load_text("cleanup"), "ran");
    assert_eq!(caller.load_text("callback"), "");
    // The same as seen by another canister.
    let outer = Canister::torture(&pic);
    let answer = outer.run(&[call_run(caller.id, &program).forward().op()]);
    assert_eq!(forwarded(&answer), Ok(b"early".to_vec()));
}

#[test]
fn the_caller_of_a_trapping_callback_gets_5() {
    let pic = one_subnet();
    let (caller, callee) = pair(&pic);
    let outer = Canister::torture(&pic);
    let call = call_run(caller.id, &[trapping(&callee).op()]).forward();
    let (code, text) = forwarded(&outer.run(&[call.op()])).expect_err("a trap");
    assert_eq!(code, 5);
    assert!(text.starts_with("IC0503: "), "{text}");
    assert_contains(&text, "'cbtrap'");
}

#[test]
fn one_of_two_open_calls_traps_and_the_other_still_replies() {
    let pic = one_subnet();
    let (caller, callee) = pair(&pic);
    let good = call_run(callee.id, &[Op::Reply]).on_reply(vec![say("other"), Op::Reply]);
    let answer = caller.run(&[trapping(&callee).op(), good.op()]);
    assert_eq!(answer, b"other");
}

#[test]
fn callbacks_see_the_callers_of_their_call_context() {
    let pic = one_subnet();
    let (caller, callee) = pair(&pic);
    let call = call_run(callee.id, &[Op::Reply]).on_reply(vec![Op::Caller, Op::Reply]);
    assert_eq!(caller.run(&[call.op()]), [4]);
}

#[test]
fn reject_code_and_message_are_seen_in_the_callbacks() {
    let pic = one_subnet();
    let (caller, callee) = pair(&pic);
    let on_reply = vec![Op::RejectCode, Op::Arg, Op::Reply];
    let call = call_run(callee.id, &[say("ok"), Op::Reply]).on_reply(on_reply);
    assert_eq!(caller.run(&[call.op()]), b"\0\0\0\0ok");
    let on_reject = vec![Op::RejectCode, Op::RejectMessage, Op::Reply];
    let call = call_run(callee.id, &[Op::Reject("why not".into())]).on_reject(on_reject);
    assert_eq!(caller.run(&[call.op()]), b"\x04\0\0\0why not");
}

#[test]
fn ic_cdk_destructors_run_when_a_callback_panics() {
    let pic = one_subnet();
    let (caller, callee) = pair(&pic);
    let run = |panic_after| {
        let request = torture::cdk::LockedCall {
            callee: callee.id,
            method: "run".into(),
            arg: encode(&[Op::Reply]).into(),
            timeout: None,
            panic_after,
        };
        let arg = candid::encode_one(request).expect("encodes");
        caller.update("cdk_locked_call", arg)
    };
    let locks = || {
        let reply = caller
            .query("cdk_locks", candid::encode_args(()).expect("encodes"))
            .expect("a reply");
        candid::decode_one::<u32>(&reply).expect("a number")
    };
    run(false).expect("a reply");
    assert_eq!(locks(), 0);
    let text = expect_trap(run(true));
    assert_contains(&text, "asked to panic after the call");
    assert_eq!(locks(), 0, "released by cleanup");
}

#[test]
fn a_callback_may_call_again_and_answer_later() {
    let pic = two_subnets();
    let caller = Canister::torture_on(&pic, 0);
    let far = Canister::torture_on(&pic, 1);
    let near = Canister::torture_on(&pic, 0);
    let third = call_run(far.id, &[say("3"), Op::Reply]).on_reply(vec![
        Op::Arg,
        Op::Save("trace".into()),
        Op::Load("trace".into()),
        Op::Reply,
    ]);
    let second = call_run(near.id, &[say("2"), Op::Reply]).on_reply(vec![
        Op::Arg,
        Op::Save("trace".into()),
        third.op(),
    ]);
    let first = call_run(far.id, &[say("1"), Op::Reply]).on_reply(vec![
        Op::Arg,
        Op::Save("trace".into()),
        second.op(),
    ]);
    assert_eq!(caller.run(&[first.op()]), b"123");
}

#[test]
fn call_context_counters_add_up() {
    let pic = one_subnet();
    let canister = Canister::torture(&pic);
    let arg = candid::encode_args(()).expect("encodes");
    let reply = canister.update("cdk_counters", arg).expect("a reply");
    let (before, after, whole): (u64, u64, u64) = candid::decode_args(&reply).expect("decodes");
    assert!(before > 0 && after > 0);
    assert!(whole > before + after, "{before}, {after}, {whole}");
}
