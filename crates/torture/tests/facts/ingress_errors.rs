//! Section D: errors as the sender of an ingress message or a query sees them.

use crate::support::*;
use candid::Principal;
use pocket_ic::RejectCode::{CanisterError, CanisterReject, DestinationInvalid};
use pocket_ic::{ErrorCode, PocketIc, RejectResponse};
use std::panic::{AssertUnwindSafe, catch_unwind};
use torture::program::{Op, encode, say};

/// An anonymous update's answer, or the refusal at submission.
fn submission(pic: &PocketIc, id: Principal, method: &str) -> Result<(), RejectResponse> {
    pic.submit_call(id, Principal::anonymous(), method, vec![])
        .map(|_| ())
}

/// The same program must fail the same way as update, query and replicated query.
fn everywhere(program: &[Op], reject: pocket_ic::RejectCode, error: ErrorCode) -> [String; 3] {
    let pic = one_subnet();
    let canister = Canister::torture(&pic);
    let update = canister.try_run(program);
    assert!(update.as_ref().is_err_and(|e| e.certified), "{update:?}");
    let query = canister.try_look(program);
    assert!(query.as_ref().is_err_and(|e| !e.certified), "{query:?}");
    let replicated = canister.update("look", encode(program));
    [update, query, replicated].map(|answer| {
        let text = expect_reject(answer, reject, error);
        text.replace(&canister.id.to_text(), "X")
    })
}

#[test]
fn trap_is_5_503() {
    let texts = everywhere(
        &[Op::Trap("boom".into())],
        CanisterError,
        ErrorCode::CanisterCalledTrap,
    );
    for text in texts {
        let start = "Error from Canister X: Canister called `ic0.trap` with message: 'boom'";
        assert!(text.starts_with(start), "{text}");
    }
}

#[test]
fn rust_panic_is_5_503() {
    let pic = one_subnet();
    let canister = Canister::torture(&pic);
    let arg = candid::encode_one("broken").expect("encodes");
    let text = expect_reject(
        canister.update("cdk_panic", arg),
        CanisterError,
        ErrorCode::CanisterCalledTrap,
    );
    assert_contains(&text, "broken");
}

#[test]
fn unreachable_and_out_of_bounds_are_5_502() {
    for (op, words) in [
        (Op::Unreachable, "Canister trapped: unreachable"),
        (Op::OutOfBounds, "heap out of bounds"),
    ] {
        for text in everywhere(&[op], CanisterError, ErrorCode::CanisterTrapped) {
            assert_contains(&text, words);
        }
    }
}

#[test]
fn explicit_reject_is_4_406_verbatim() {
    let reject = [Op::Reject("not today".into())];
    for text in everywhere(&reject, CanisterReject, ErrorCode::CanisterRejectedMessage) {
        assert_eq!(text, "not today");
    }
}

#[test]
fn replying_twice_is_5_504() {
    for second in [Op::Reply, Op::Reject("also".into())] {
        let texts = everywhere(
            &[Op::Reply, second],
            CanisterError,
            ErrorCode::CanisterContractViolation,
        );
        for text in texts {
            assert_contains(&text, "violated contract");
            assert_contains(&text, "the call is already replied");
        }
    }
}

#[test]
fn no_reply_is_5_506() {
    let [update, query, _] = everywhere(&[], CanisterError, ErrorCode::CanisterDidNotReply);
    assert_contains(&update, "Canister X did not reply to the call");
    assert_contains(&query, "did not produce a response");
}

#[test]
fn method_not_found_is_5_536() {
    let pic = one_subnet();
    let canister = Canister::torture(&pic);
    let text = expect_reject(
        canister.update("nope", vec![]),
        CanisterError,
        ErrorCode::CanisterMethodNotFound,
    );
    assert_contains(&text, "Canister has no update method 'nope'");
    for method in ["nope", "run"] {
        let text = expect_reject(
            canister.query(method, vec![]),
            CanisterError,
            ErrorCode::CanisterMethodNotFound,
        );
        assert_contains(&text, "Canister has no query method");
    }
}

#[test]
fn composite_query_as_update_is_5_527_at_submission() {
    let pic = one_subnet();
    let canister = Canister::torture(&pic);
    expect_reject(
        submission(&pic, canister.id, "compose").map(|()| vec![]),
        CanisterError,
        ErrorCode::CompositeQueryCalledInReplicatedMode,
    );
}

#[test]
fn unknown_canister_is_3_301_at_submission() {
    let pic = one_subnet();
    let last = Canister::torture(&pic).id;
    let mut never = last.as_slice().to_vec();
    never[7] += 5;
    let deleted = Canister::torture(&pic).id;
    pic.stop_canister(deleted, None).expect("stopped");
    pic.delete_canister(deleted, None).expect("deleted");
    for id in [Principal::from_slice(&never), deleted] {
        let refused = submission(&pic, id, "run").expect_err("refused");
        assert!(!refused.certified);
        let text = expect_reject(
            Err(refused),
            DestinationInvalid,
            ErrorCode::CanisterNotFound,
        );
        assert_eq!(text, format!("Canister {id} not found"));
        expect_reject(
            pic.query_call(id, Principal::anonymous(), "look", vec![]),
            DestinationInvalid,
            ErrorCode::CanisterNotFound,
        );
    }
}

#[test]
fn id_outside_all_ranges_is_a_bad_request() {
    let pic = one_subnet();
    let outside = Principal::from_slice(&[0, 0, 0, 9, 0, 0, 0, 9, 1, 1]);
    let call = || submission(&pic, outside, "run");
    assert!(catch_unwind(AssertUnwindSafe(call)).is_err());
}

#[test]
fn no_wasm_is_5_537_at_submission() {
    let pic = one_subnet();
    let id = Canister::empty(&pic).id;
    let refused = submission(&pic, id, "run").map(|()| vec![]);
    let text = expect_reject(
        refused,
        CanisterError,
        ErrorCode::CanisterWasmModuleNotFound,
    );
    assert_contains(&text, "no wasm module");
    expect_reject(
        pic.query_call(id, Principal::anonymous(), "look", vec![]),
        CanisterError,
        ErrorCode::CanisterWasmModuleNotFound,
    );
}

#[test]
fn stopped_is_5_508_at_submission() {
    let pic = one_subnet();
    let canister = Canister::torture(&pic);
    pic.stop_canister(canister.id, None).expect("stopped");
    let refused = submission(&pic, canister.id, "run").map(|()| vec![]);
    let text = expect_reject(refused, CanisterError, ErrorCode::CanisterStopped);
    assert_contains(&text, &format!("Canister {} is stopped", canister.id));
    expect_reject(
        canister.query("look", vec![]),
        CanisterError,
        ErrorCode::CanisterStopped,
    );
}

#[test]
fn instruction_limits_are_5_522() {
    let pic = one_subnet();
    let canister = Canister::torture(&pic);
    let forever = [Op::WorkUntil(u64::MAX)];
    let expect = |answer: Answer, limit: &str| {
        let text = expect_reject(
            answer,
            CanisterError,
            ErrorCode::CanisterInstructionLimitExceeded,
        );
        assert_contains(
            &text,
            &format!("exceeded the limit of {limit} instructions"),
        );
    };
    expect(canister.try_run(&forever), "40000000000");
    expect(canister.try_look(&forever), "5000000000");
    expect(canister.update("look", encode(&forever)), "5000000000");
    expect(canister.query("compose", encode(&forever)), "5000000000");
}

#[test]
fn replies_up_to_2_mib_fit() {
    let pic = one_subnet();
    let canister = Canister::torture(&pic);
    let reply = |bytes| [Op::Fill(bytes, 1), Op::Reply];
    assert_eq!(canister.run(&reply(2_097_152)).len(), 2_097_152);
    let text = expect_reject(
        canister.try_run(&reply(2_097_153)),
        CanisterError,
        ErrorCode::CanisterContractViolation,
    );
    assert_contains(
        &text,
        "ic0.msg_reply_data_append: application payload size (2097153) cannot be larger than \
         2097152",
    );
    assert_eq!(canister.look(&reply(3_145_728)).len(), 3_145_728);
    expect_reject(
        canister.try_look(&reply(3_145_729)),
        CanisterError,
        ErrorCode::CanisterContractViolation,
    );
}

#[test]
fn ingress_over_2_mib_is_a_bad_request() {
    let pic = one_subnet();
    let canister = Canister::torture(&pic);
    let send = |bytes| canister.submit_method("run", vec![0; bytes]);
    assert!(catch_unwind(AssertUnwindSafe(|| send(2_097_152))).is_err());
    // The whole message counts: well below the limit it is accepted.
    send(2_096_000);
}

#[test]
fn queries_take_3_mib() {
    let pic = one_subnet();
    let canister = Canister::torture(&pic);
    let program = [
        Op::Put("large".into(), vec![0; 3_000_000].into()),
        say("ok"),
        Op::Reply,
    ];
    assert_eq!(canister.look(&program), b"ok");
}

#[test]
fn the_anonymous_caller_is_one_byte() {
    let pic = one_subnet();
    let canister = Canister::torture(&pic);
    assert_eq!(canister.run(&[Op::Caller, Op::Reply]), [4]);
}
