//! Interface Specification, overview of imports: system calls in the wrong kind of message violate
//! the contract.

use crate::support::*;
use pocket_ic::{ErrorCode, PocketIc, RejectCode};
use torture::program::{Op, call_run, encode};

fn violates(answer: Answer, case: &str) {
    let response = answer.expect_err(case);
    assert_eq!(response.reject_code, RejectCode::CanisterError, "{case}");
    assert_eq!(
        response.error_code,
        ErrorCode::CanisterContractViolation,
        "{case}: {}",
        response.reject_message
    );
}

fn each(ops: Vec<Op>, answer: impl Fn(Op) -> Answer) {
    for op in ops {
        let case = format!("{op:?}");
        violates(answer(op), &case);
    }
}

#[test]
fn of_other_entry_points_in_an_update() {
    let pic = one_subnet();
    let canister = Canister::torture(&pic);
    let ops = vec![
        Op::AcceptMessage,
        Op::MethodName,
        Op::CyclesRefunded,
        Op::RejectMessage,
        Op::Certificate,
    ];
    each(ops, |op| canister.try_run(&[op, Op::Reply]));
}

#[test]
fn of_updates_in_a_query() {
    let pic = one_subnet();
    let canister = Canister::torture(&pic);
    let ops = vec![
        Op::CyclesAvailable,
        Op::CyclesAccept(1),
        Op::CyclesBurn(1),
        Op::GlobalTimerSet(1),
        Op::AcceptMessage,
        Op::RejectMessage,
    ];
    each(ops.clone(), |op| canister.try_look(&[op, Op::Reply]));
    each(ops, |op| {
        canister.query("compose", encode(&[op, Op::Reply]))
    });
}

#[test]
fn of_messages_in_inspect_message() {
    let pic = one_subnet();
    let ops = vec![
        Op::Reply,
        Op::Reject("no".into()),
        Op::CyclesAccept(1),
        Op::GlobalTimerSet(1),
        Op::CertifiedDataSet(vec![1].into()),
        call_run(candid::Principal::anonymous(), &[]).op(),
    ];
    each(ops, |op| {
        let canister = Canister::torture(&pic);
        canister.run(&[Op::OnInspect(vec![op, Op::AcceptMessage]), Op::Reply]);
        canister.try_run(&[Op::Reply])
    });
}

#[test]
fn of_messages_while_upgrading() {
    let pic = one_subnet();
    let ops = vec![
        Op::Reply,
        Op::CyclesAccept(1),
        Op::AcceptMessage,
        call_run(candid::Principal::anonymous(), &[]).op(),
    ];
    each(ops, |op| {
        let canister = Canister::torture(&pic);
        canister.run(&[Op::OnPreUpgrade(vec![op]), Op::Reply]);
        let upgraded = pic.upgrade_canister(canister.id, torture_wasm(), vec![], None);
        upgraded.map(|()| vec![])
    });
}

/// The answer to an update whose callback does this and replies.
fn in_callback(pic: &PocketIc, reject: bool, op: Op) -> Answer {
    let canister = Canister::torture(pic);
    let callback = vec![op, Op::Reply];
    let callee = match reject {
        true => Op::Reject("no".into()),
        false => Op::Reply,
    };
    let call = call_run(canister.id, &[callee])
        .on_reply(callback.clone())
        .on_reject(callback);
    canister.try_run(&[call.op()])
}

#[test]
fn of_the_other_callback() {
    let pic = one_subnet();
    violates(in_callback(&pic, false, Op::RejectMessage), "reply");
    violates(in_callback(&pic, true, Op::Arg), "reject");
    in_callback(&pic, false, Op::Arg).expect("the reply is there");
    in_callback(&pic, true, Op::RejectMessage).expect("the text is there");
    for reject in [false, true] {
        let code = in_callback(&pic, reject, Op::RejectCode).expect("a code");
        assert_eq!(u32_at(&code, 0), if reject { 4 } else { 0 });
        violates(in_callback(&pic, reject, Op::AcceptMessage), "accept");
    }
}

/// A method that makes these system calls and replies.
fn raw(pic: &PocketIc, code: &str) -> Answer {
    let body = format!(
        "(memory 1) (table funcref (elem $f)) (func $f (param i32)) {}",
        handmade::update("go", &format!("{code} call $msg_reply"))
    );
    Canister::wat(pic, &body).update("go", vec![])
}

#[test]
fn parts_of_a_call_without_call_new() {
    let pic = one_subnet();
    for code in [
        "call $call_perform drop",
        "i32.const 0 i32.const 1 call $call_data_append",
        "i64.const 0 i64.const 1 call $call_cycles_add128",
        "i32.const 0 i32.const 0 call $call_on_cleanup",
    ] {
        violates(raw(&pic, code), code);
    }
}

#[test]
fn arguments_outside_the_memory() {
    let pic = one_subnet();
    for code in [
        "i32.const 65530 i32.const 10 call $msg_reply_data_append",
        "i32.const 65536 i32.const 1 i32.const 1 call $msg_caller_copy",
        // Reading past the caller's single byte.
        "i32.const 0 i32.const 1 i32.const 1 call $msg_caller_copy",
        "i64.const 0 i64.const 0 i64.const 1 call $stable64_write",
    ] {
        let response = raw(&pic, code).expect_err(code);
        assert_eq!(response.reject_code, RejectCode::CanisterError, "{code}");
    }
}
