//! Section D: inspect_message decides at submission.

use crate::support::*;
use candid::Principal;
use pocket_ic::{ErrorCode, PocketIc, RejectCode, RejectResponse};
use torture::program::{Op, encode, say};

fn inspecting(pic: &PocketIc, program: Vec<Op>) -> Canister<'_> {
    let canister = Canister::torture(pic);
    canister.run(&[Op::OnInspect(program), Op::Reply]);
    canister
}

fn refused(canister: &Canister) -> RejectResponse {
    canister
        .pic
        .submit_call(
            canister.id,
            Principal::anonymous(),
            "run",
            encode(&[Op::Reply]),
        )
        .expect_err("refused at submission")
}

#[test]
fn not_accepting_is_4_406_at_submission() {
    let pic = one_subnet();
    let canister = inspecting(&pic, vec![]);
    let cycles = canister.cycles();
    let text = expect_reject(
        Err(refused(&canister)),
        RejectCode::CanisterReject,
        ErrorCode::CanisterRejectedMessage,
    );
    let expected = format!(
        "Error from Canister {}: Canister rejected the message",
        canister.id
    );
    assert!(text.starts_with(&expected), "{text}");
    assert_eq!(canister.cycles(), cycles, "refusing is free");
}

#[test]
fn trapping_is_5_503_at_submission() {
    let pic = one_subnet();
    let canister = inspecting(&pic, vec![Op::AcceptMessage, Op::Trap("inspect".into())]);
    let text = expect_reject(
        Err(refused(&canister)),
        RejectCode::CanisterError,
        ErrorCode::CanisterCalledTrap,
    );
    assert_contains(&text, "inspect");
}

#[test]
fn accepting_lets_the_message_in() {
    let pic = one_subnet();
    let canister = inspecting(&pic, vec![Op::AcceptMessage]);
    canister.run(&[Op::Reply]);
}

#[test]
fn inspect_message_sees_method_caller_and_argument() {
    let pic = one_subnet();
    let show = vec![
        say("method "),
        Op::MethodName,
        say(" with "),
        Op::Arg,
        Op::TrapBuffer,
    ];
    let canister = inspecting(&pic, show);
    let refused = pic
        .submit_call(canister.id, Principal::anonymous(), "run", b"this".to_vec())
        .expect_err("refused");
    assert_contains(&refused.reject_message, "method run with this");
    let canister = inspecting(&pic, vec![Op::Caller, Op::TrapBuffer]);
    let sender = Principal::from_slice(b"SENDER");
    let refused = pic
        .submit_call(canister.id, sender, "run", vec![])
        .expect_err("refused");
    assert_contains(&refused.reject_message, "SENDER");
}

#[test]
fn what_inspect_message_writes_is_discarded() {
    let pic = one_subnet();
    let write = vec![say("x"), Op::Save("seen".into()), Op::AcceptMessage];
    let canister = inspecting(&pic, write);
    canister.run(&[Op::Reply]);
    assert_eq!(canister.load("seen"), b"");
}

#[test]
fn the_instruction_limit_is_200_million() {
    let pic = one_subnet();
    let canister = inspecting(&pic, vec![Op::WorkUntil(u64::MAX)]);
    let text = expect_reject(
        Err(refused(&canister)),
        RejectCode::CanisterError,
        ErrorCode::CanisterInstructionLimitExceeded,
    );
    assert_contains(&text, "exceeded the limit of 200000000 instructions");
}

#[test]
fn queries_are_not_inspected() {
    let pic = one_subnet();
    let canister = inspecting(&pic, vec![]);
    assert_eq!(canister.look(&[Op::Reply]), b"");
}

#[test]
fn replicated_queries_are_inspected() {
    let pic = one_subnet();
    let canister = inspecting(&pic, vec![]);
    expect_reject(
        canister.update("look", encode(&[Op::Reply])),
        RejectCode::CanisterReject,
        ErrorCode::CanisterRejectedMessage,
    );
}
