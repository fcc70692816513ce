//! Section D: errors as the calling canister sees them.

use crate::support::*;
use candid::Principal;
use pocket_ic::{ErrorCode, PocketIc, RejectCode};
use torture::program::{Op, call, call_run, encode};

/// Calls a method of a canister from a torture canister.
fn caller_sees(pic: &PocketIc, callee: Principal, method: &str, arg: Vec<u8>) -> (u32, String) {
    let caller = Canister::torture(pic);
    let answer = caller.run(&[call(callee, method, arg).forward().op()]);
    forwarded(&answer).expect_err("a reject")
}

/// What the caller of a torture canister running this program sees, with `X` for its id.
fn caller_of(program: &[Op]) -> (u32, String) {
    let pic = one_subnet();
    let callee = Canister::torture(&pic);
    let (code, text) = caller_sees(&pic, callee.id, "run", encode(program));
    (code, text.replace(&callee.id.to_text(), "X"))
}

/// The caller's text is the ingress text behind `IC0` and the error code.
fn assert_prefixed(program: &[Op], error: u32) {
    let pic = one_subnet();
    let callee = Canister::torture(&pic);
    let ingress = callee.try_run(program).expect_err("a reject");
    let (code, text) = caller_sees(&pic, callee.id, "run", encode(program));
    assert_eq!(code, 5);
    assert_eq!(text, format!("IC0{error}: {}", ingress.reject_message));
}

#[test]
fn traps_are_5_with_the_error_code_before_the_text() {
    assert_prefixed(&[Op::Trap("boom".into())], 503);
    assert_prefixed(&[Op::Unreachable], 502);
    assert_prefixed(&[Op::OutOfBounds], 502);
    assert_prefixed(&[Op::Reply, Op::Reply], 504);
    assert_prefixed(&[Op::Fill(2_097_153, 0), Op::Reply], 504);
}

#[test]
fn explicit_reject_is_4_verbatim() {
    assert_eq!(
        caller_of(&[Op::Reject("not today".into())]),
        (4, "not today".into())
    );
}

#[test]
fn no_reply_is_5_no_response() {
    assert_eq!(caller_of(&[]), (5, "No response".into()));
}

#[test]
fn unknown_method_is_5_ic0536() {
    let pic = one_subnet();
    let callee = Canister::torture(&pic);
    let (code, text) = caller_sees(&pic, callee.id, "nope", vec![]);
    assert_eq!(code, 5);
    assert!(text.starts_with("IC0536: "), "{text}");
    assert_contains(&text, "Canister has no update method 'nope'");
}

#[test]
fn composite_query_is_5() {
    let pic = one_subnet();
    let callee = Canister::torture(&pic);
    let (code, text) = caller_sees(&pic, callee.id, "compose", encode(&[Op::Reply]));
    assert_eq!(code, 5);
    assert!(text.starts_with("IC0527: "), "{text}");
}

#[test]
fn unknown_canister_is_3() {
    let pic = one_subnet();
    let deleted = Canister::torture(&pic).id;
    pic.stop_canister(deleted, None).expect("stopped");
    pic.delete_canister(deleted, None).expect("deleted");
    let (code, text) = caller_sees(&pic, deleted, "run", vec![]);
    assert_eq!(code, 3);
    assert_contains(&text, &format!("Canister {deleted} not found"));
}

#[test]
fn id_outside_all_ranges_is_3_no_route() {
    let pic = one_subnet();
    let outside = Principal::from_slice(&[0, 0, 0, 9, 0, 0, 0, 9, 1, 1]);
    let (code, text) = caller_sees(&pic, outside, "run", vec![]);
    assert_eq!(code, 3);
    assert_contains(&text, &format!("No route to canister {outside}"));
}

#[test]
fn no_wasm_is_5_ic0537() {
    let pic = one_subnet();
    let callee = Canister::empty(&pic);
    let (code, text) = caller_sees(&pic, callee.id, "run", vec![]);
    assert_eq!(code, 5);
    assert!(text.starts_with("IC0537: "), "{text}");
}

#[test]
fn stopped_and_stopping_are_5() {
    let pic = two_subnets();
    let stopped = Canister::torture_on(&pic, 0);
    pic.stop_canister(stopped.id, None).expect("stopped");
    let (code, text) = caller_sees(&pic, stopped.id, "run", vec![]);
    assert_eq!(code, 5);
    assert_contains(&text, &format!("Canister {} is stopped", stopped.id));
}

#[test]
fn instruction_limit_is_5_ic0522() {
    let (code, text) = caller_of(&[Op::WorkUntil(u64::MAX)]);
    assert_eq!(code, 5);
    assert!(text.starts_with("IC0522: "), "{text}");
}

#[test]
fn inspect_message_does_not_run_for_calls() {
    let pic = one_subnet();
    let (caller, callee) = (Canister::torture(&pic), Canister::torture(&pic));
    callee.run(&[Op::OnInspect(vec![Op::Trap("never".into())]), Op::Reply]);
    assert!(
        callee.try_run(&[Op::Reply]).is_err(),
        "ingress is inspected"
    );
    let call = call_run(callee.id, &[Op::Caller, Op::Reply]).forward();
    assert_eq!(caller.run(&[call.op()]), caller.id.as_slice());
}

#[test]
fn callee_trapping_after_its_own_await_is_5_ic0503() {
    let (code, text) = {
        let pic = one_subnet();
        let callee = Canister::torture(&pic);
        let trap = vec![Op::Trap("after".into())];
        let program = [call_run(callee.id, &[Op::Reply]).on_reply(trap).op()];
        caller_sees(&pic, callee.id, "run", encode(&program))
    };
    assert_eq!(code, 5);
    assert!(text.starts_with("IC0503"), "{text}");
}

#[test]
fn rejects_carry_their_codes_to_ic_cdk_callers() {
    let pic = one_subnet();
    let (caller, callee) = (Canister::torture(&pic), Canister::torture(&pic));
    let result = |program: &[Op]| {
        let request = torture::cdk::LockedCall {
            callee: callee.id,
            method: "run".into(),
            arg: encode(program).into(),
            timeout: None,
            panic_after: false,
        };
        let arg = candid::encode_one(request).expect("encodes");
        let reply = caller.update("cdk_locked_call", arg).expect("a reply");
        let answer: Result<serde_bytes::ByteBuf, (u32, String)> =
            candid::decode_one(&reply).expect("decodes");
        answer.map(serde_bytes::ByteBuf::into_vec)
    };
    assert_eq!(
        result(&[Op::Say(b"yes".to_vec().into()), Op::Reply]),
        Ok(b"yes".to_vec())
    );
    let (code, text) = result(&[Op::Reject("no".into())]).expect_err("a reject");
    assert_eq!((code, text.as_str()), (4, "no"));
    assert_eq!(result(&[Op::Trap("no".into())]).expect_err("a reject").0, 5);
}

#[test]
fn errors_are_uncertified_for_queries_and_certified_for_updates() {
    let pic = one_subnet();
    let canister = Canister::torture(&pic);
    let update = canister
        .try_run(&[Op::Trap("x".into())])
        .expect_err("a trap");
    let query = canister
        .try_look(&[Op::Trap("x".into())])
        .expect_err("a trap");
    assert_eq!((update.certified, query.certified), (true, false));
    for answer in [update, query] {
        assert_eq!(answer.reject_code, RejectCode::CanisterError);
        assert_eq!(answer.error_code, ErrorCode::CanisterCalledTrap);
    }
}
