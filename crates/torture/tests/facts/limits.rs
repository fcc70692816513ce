//! Section D: sizes and counts of inter-canister messages.

use crate::support::*;
use pocket_ic::{ErrorCode, PocketIc, RejectCode};
use torture::program::{Op, call, call_run, encode};

/// A callee that takes any argument and replies with its size.
fn sink(pic: &PocketIc, subnet: usize) -> Canister<'_> {
    let body = format!(
        "(memory 1) {}",
        handmade::update(
            "sink",
            "i32.const 0 call $msg_arg_data_size i32.store
             i32.const 0 i32.const 4 call $msg_reply_data_append call $msg_reply"
        )
    );
    Canister::empty_on(pic, subnet).with_wasm(handmade::module(&body))
}

fn send(caller: &Canister, callee: &Canister, bytes: u64) -> Answer {
    let call = call(callee.id, "sink", vec![]).padding(bytes).forward();
    caller.try_run(&[call.op()])
}

#[test]
fn same_subnet_calls_carry_up_to_10_mib() {
    let pic = one_subnet();
    let (caller, callee) = (Canister::torture(&pic), sink(&pic, 0));
    for bytes in [2_097_152, 2_097_153, 10_485_760 - 4] {
        let answer = send(&caller, &callee, bytes).expect("a reply");
        assert_eq!(
            forwarded(&answer),
            Ok((bytes as u32).to_le_bytes().to_vec())
        );
    }
    expect_reject(
        send(&caller, &callee, 10_485_761),
        RejectCode::CanisterError,
        ErrorCode::CanisterContractViolation,
    );
}

#[test]
fn cross_subnet_calls_carry_up_to_2_mib() {
    let pic = two_subnets();
    let (caller, callee) = (Canister::torture_on(&pic, 0), sink(&pic, 1));
    // Method and argument count together.
    let fits = 2_097_152 - 4;
    let answer = send(&caller, &callee, fits).expect("a reply");
    assert_eq!(forwarded(&answer), Ok((fits as u32).to_le_bytes().to_vec()));
    let answer = send(&caller, &callee, fits + 1).expect("a reply");
    let (code, text) = forwarded(&answer).expect_err("too large");
    assert_eq!(code, 5);
    assert_contains(&text, "exceeding the limit 2097152");
}

#[test]
fn the_501st_outstanding_call_is_refused() {
    let pic = two_subnets();
    let caller = Canister::torture_on(&pic, 0);
    let without_wasm = Canister::empty_on(&pic, 0);
    for callee in [
        Canister::torture_on(&pic, 0).id,
        Canister::torture_on(&pic, 1).id,
        without_wasm.id,
        caller.id,
    ] {
        let one = vec![call_run(callee, &[Op::Reply]).op(), Op::Performed];
        let answer = caller.run(&[Op::Repeat(501, one), Op::Reply]);
        let results: Vec<u32> = (0..501).map(|i| u32_at(&answer, 4 * i)).collect();
        assert!(results[..500].iter().all(|result| *result == 0), "500 pass");
        assert_eq!(results[500], 2, "the 501st does not");
        // Once they are answered there is room again.
        (0..4).for_each(|_| pic.tick());
        let one = [
            call_run(callee, &[Op::Reply]).op(),
            Op::Performed,
            Op::Reply,
        ];
        assert_eq!(u32_at(&caller.run(&one), 0), 0);
    }
}

#[test]
fn call_data_may_be_appended_in_parts() {
    let pic = one_subnet();
    let (caller, callee) = (Canister::torture(&pic), sink(&pic, 0));
    let call = call(callee.id, "sink", vec![1; 100]).padding(50).forward();
    assert_eq!(caller.run(&[call.op()]), 150_u32.to_le_bytes());
}

#[test]
fn oneway_calls_are_carried_out() {
    let pic = one_subnet();
    let (caller, callee) = (Canister::torture(&pic), Canister::torture(&pic));
    let mut call = call_run(
        callee.id,
        &[Op::Put("came".into(), b"yes".to_vec().into()), Op::Reply],
    );
    call.oneway = true;
    caller.run(&[call.op(), Op::Performed, Op::Reply]);
    pic.tick();
    assert_eq!(callee.load_text("came"), "yes");
    assert_eq!(caller.run(&[Op::Reply]), b"", "the caller lives on");
}

#[test]
fn stable_memory_grows_and_keeps_bytes() {
    let pic = one_subnet();
    let canister = Canister::torture(&pic);
    let answer = canister.run(&[
        Op::StableSize,
        Op::StableGrow(3),
        Op::StableSize,
        Op::StableWrite(3 * 65_536 - 4, b"last".to_vec().into()),
        Op::StableRead(3 * 65_536 - 4, 4),
        Op::StableGrow(1 << 40),
        Op::Reply,
    ]);
    assert_eq!(
        [0, 8, 16].map(|at| u64_at(&answer, at)),
        [0, 0, 3],
        "sizes in pages"
    );
    assert_eq!(&answer[24..28], b"last");
    assert_eq!(u64_at(&answer, 28), u64::MAX, "too much is refused");
    let beyond = [Op::StableRead(3 * 65_536 - 3, 4), Op::Reply];
    let error = canister.try_look(&beyond).expect_err("out of bounds");
    assert_eq!(error.reject_code, RejectCode::CanisterError);
    assert_eq!(error.error_code, ErrorCode::CanisterTrapped);
    assert_eq!(
        canister
            .update("look", encode(&beyond))
            .expect_err("the same")
            .error_code,
        ErrorCode::CanisterTrapped
    );
}
