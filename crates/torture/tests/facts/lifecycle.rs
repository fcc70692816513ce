//! Section E: stopping with open calls, upgrading and uninstalling under open calls.

use crate::support::*;
use candid::{Encode, Principal};
use handmade::update;
use ic_management_canister_types::{
    CanisterIdRecord, CanisterStatusType, HttpMethod, HttpRequestArgs,
};
use pocket_ic::common::rest::{
    CanisterHttpReply, CanisterHttpResponse, MockCanisterHttpResponse, RawEffectivePrincipal,
    RawMessageId,
};
use pocket_ic::{ErrorCode, PocketIc, RejectCode};
use torture::program::{Op, call, call_run, encode, say};

/// A program that stays open until [`release`] answers its HTTP outcall.
fn open_until_released(then: Vec<Op>) -> Vec<Op> {
    let args = HttpRequestArgs {
        url: "https://example.com/".into(),
        max_response_bytes: Some(2_000),
        method: HttpMethod::GET,
        ..Default::default()
    };
    let call = call(
        Principal::management_canister(),
        "http_request",
        Encode!(&args).expect("encodes"),
    );
    vec![call.cycles(30_000_000_000).on_reply(then).op()]
}

fn release(pic: &PocketIc) {
    pic.tick();
    pic.tick();
    for outcall in pic.get_canister_http() {
        pic.mock_canister_http_response(MockCanisterHttpResponse {
            subnet_id: outcall.subnet_id,
            request_id: outcall.request_id,
            response: CanisterHttpResponse::CanisterHttpReply(CanisterHttpReply {
                status: 200,
                headers: vec![],
                body: vec![],
            }),
            additional_responses: vec![],
        });
    }
    (0..4).for_each(|_| pic.tick());
}

fn manage(pic: &PocketIc, id: Principal, method: &str) -> RawMessageId {
    pic.submit_call_with_effective_principal(
        Principal::management_canister(),
        RawEffectivePrincipal::CanisterId(id.as_slice().to_vec()),
        Principal::anonymous(),
        method,
        Encode!(&CanisterIdRecord { canister_id: id }).expect("encodes"),
    )
    .expect("accepted")
}

fn status(canister: &Canister) -> CanisterStatusType {
    let status = status_of(canister.pic, canister.id, None);
    status.expect("a status").status
}

#[test]
fn stop_waits_for_open_calls() {
    let pic = one_subnet();
    let canister = Canister::torture(&pic);
    let other = Canister::torture(&pic);
    let finish = vec![
        Op::Status,
        Op::Save("status".into()),
        say("done"),
        Op::Reply,
    ];
    let open = canister.submit(&open_until_released(finish));
    pic.tick();
    let stop = manage(&pic, canister.id, "stop_canister");
    pic.tick();
    pic.tick();
    assert_eq!(status(&canister), CanisterStatusType::Stopping);
    assert!(pic.ingress_status(stop.clone()).is_none());

    // A stopping canister takes nothing new.
    let refused = pic.submit_call(canister.id, Principal::anonymous(), "run", vec![]);
    let text = expect_reject(
        refused.map(|_| vec![]),
        RejectCode::CanisterError,
        ErrorCode::CanisterStopping,
    );
    assert_contains(&text, "is stopping");
    expect_reject(
        canister.query("look", vec![]),
        RejectCode::CanisterError,
        ErrorCode::CanisterStopping,
    );
    let answer = other.run(&[call_run(canister.id, &[Op::Reply]).forward().op()]);
    let (code, text) = forwarded(&answer).expect_err("stopping");
    assert_eq!(code, 5);
    assert_contains(&text, &format!("Canister {} is stopping", canister.id));

    release(&pic);
    assert_eq!(
        pic.ingress_status(open)
            .expect("answered")
            .expect("a reply"),
        b"done"
    );
    pic.ingress_status(stop).expect("stopped").expect("stopped");
    assert_eq!(status(&canister), CanisterStatusType::Stopped);
    pic.start_canister(canister.id, None).expect("started");
    assert_eq!(canister.load("status"), 2_u32.to_le_bytes(), "stopping");
    assert_eq!(canister.run(&[Op::Status, Op::Reply]), 1_u32.to_le_bytes());
}

#[test]
fn starting_cancels_stopping() {
    let pic = one_subnet();
    let canister = Canister::torture(&pic);
    let open = canister.submit(&open_until_released(vec![say("done"), Op::Reply]));
    pic.tick();
    let stop = manage(&pic, canister.id, "stop_canister");
    pic.tick();
    assert_eq!(status(&canister), CanisterStatusType::Stopping);
    pic.start_canister(canister.id, None).expect("started");
    pic.tick();
    expect_reject(
        pic.ingress_status(stop).expect("answered"),
        RejectCode::CanisterError,
        ErrorCode::CanisterStoppingCancelled,
    );
    assert_eq!(status(&canister), CanisterStatusType::Running);
    release(&pic);
    assert!(pic.ingress_status(open).expect("answered").is_ok());
}

#[test]
fn stopping_and_starting_keep_the_state() {
    let pic = one_subnet();
    let canister = Canister::torture(&pic);
    canister.run(&[say("kept"), Op::Save("mark".into()), Op::Reply]);
    pic.stop_canister(canister.id, None).expect("stopped");
    assert_eq!(status(&canister), CanisterStatusType::Stopped);
    pic.start_canister(canister.id, None).expect("started");
    assert_eq!(canister.load_text("mark"), "kept");
}

#[test]
fn only_stopped_canisters_are_deleted() {
    let pic = one_subnet();
    let canister = Canister::torture(&pic);
    let refused = pic.delete_canister(canister.id, None);
    assert_eq!(
        refused.expect_err("running").error_code,
        ErrorCode::CanisterNotStopped
    );
    pic.stop_canister(canister.id, None).expect("stopped");
    pic.delete_canister(canister.id, None).expect("deleted");
    assert!(!pic.canister_exists(canister.id));
}

/// A module whose `go` calls the callee with a program and whose callback replies with `word`.
fn module(callee: Principal, program: &[Op], word: &str) -> Vec<u8> {
    let data =
        |bytes: &[u8]| -> String { bytes.iter().map(|byte| format!("\\{byte:02x}")).collect() };
    let program = encode(program);
    handmade::module(&format!(
        "(memory 1) (table funcref (elem $done))
         (data (i32.const 0) \"{}\") (data (i32.const 32) \"run{word}\")
         (data (i32.const 64) \"{}\")
         (func $done (param i32)
            i32.const 35 i32.const {} call $msg_reply_data_append call $msg_reply)
         {}",
        data(callee.as_slice()),
        data(&program),
        word.len(),
        update(
            "go",
            &format!(
                "i32.const 0 i32.const {} i32.const 32 i32.const 3
                 i32.const 0 i32.const 0 i32.const 0 i32.const 0 call $call_new
                 i32.const 64 i32.const {} call $call_data_append
                 call $call_perform drop",
                callee.as_slice().len(),
                program.len()
            )
        )
    ))
}

#[test]
fn an_open_callback_runs_in_the_upgraded_module() {
    let pic = two_subnets();
    for subnet in [0, 1] {
        let callee = Canister::torture_on(&pic, subnet);
        let program = open_until_released(vec![Op::Reply]);
        let caller = Canister::empty_on(&pic, 0).with_wasm(module(callee.id, &program, "old"));
        let open = caller.submit_method("go", vec![]);
        pic.tick();
        pic.tick();
        let upgraded = module(callee.id, &program, "new");
        pic.upgrade_canister(caller.id, upgraded, vec![], None)
            .expect("upgraded with a call open");
        assert!(pic.ingress_status(open.clone()).is_none());
        release(&pic);
        let answer = pic.ingress_status(open).expect("answered");
        assert_eq!(answer.expect("a reply"), b"new");
    }
}

#[test]
fn uninstall_rejects_open_calls_at_once() {
    let pic = one_subnet();
    let canister = Canister::torture(&pic);
    let caller = Canister::torture(&pic);
    let program = open_until_released(vec![Op::Reply]);
    let open = canister.submit(&program);
    let called = caller.submit(&[call_run(canister.id, &program).forward().op()]);
    pic.tick();
    pic.tick();
    pic.uninstall_canister(canister.id, None)
        .expect("uninstalled");
    let text = expect_reject(
        pic.ingress_status(open).expect("answered at once"),
        RejectCode::CanisterReject,
        ErrorCode::CanisterRejectedMessage,
    );
    assert_eq!(text, "Canister has been uninstalled.");
    pic.tick();
    let answer = pic
        .ingress_status(called)
        .expect("answered")
        .expect("forwarded");
    let (code, text) = forwarded(&answer).expect_err("rejected");
    assert_eq!(code, 4);
    assert_contains(&text, "Canister has been uninstalled.");
    // The answer of the outcall finds nobody.
    release(&pic);
    let canister = canister.with_wasm(torture_wasm());
    assert_eq!(canister.run(&[say("new"), Op::Reply]), b"new");
}

#[test]
fn calls_to_a_stopped_canister_leave_the_caller_unharmed() {
    let pic = two_subnets();
    let caller = Canister::torture_on(&pic, 0);
    let callee = Canister::torture_on(&pic, 1);
    pic.stop_canister(callee.id, None).expect("stopped");
    let call = || call_run(callee.id, &[say("hi"), Op::Reply]).cycles(1_000_000);
    let refunded = call().on_reject(vec![Op::CyclesRefunded, Op::Reply]);
    assert_eq!(u128_at(&caller.run(&[refunded.op()]), 0), 1_000_000);
    pic.start_canister(callee.id, None).expect("started");
    let answer = caller.run(&[call().forward().op()]);
    assert_eq!(forwarded(&answer), Ok(b"hi".to_vec()));
}
