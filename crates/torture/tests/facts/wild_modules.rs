//! Modules that do their worst: they may fail themselves, never the replica.

use crate::support::*;
use handmade::update;
use pocket_ic::{ErrorCode, RejectCode};
use torture::program::{Op, say};

#[test]
fn endless_recursion_traps() {
    let pic = one_subnet();
    let body = "(func $deeper (param i64 i64 i64 i64) (result i64)
            local.get 0 local.get 1 local.get 2 local.get 3 call $deeper i64.const 1 i64.add)"
        .to_string()
        + &update(
            "deep",
            "i64.const 1 i64.const 2 i64.const 3 i64.const 4 call $deeper drop",
        )
        + &update("noop", "call $msg_reply");
    let canister = Canister::wat(&pic, &body);
    for _ in 0..3 {
        expect_reject(
            canister.update("deep", vec![]),
            RejectCode::CanisterError,
            ErrorCode::CanisterTrapped,
        );
    }
    canister.update("noop", vec![]).expect("it lives");
}

#[test]
fn an_empty_endless_loop_meets_the_limit() {
    let pic = one_subnet();
    let body = "(func (export \"canister_query loop\") loop br 0 end)";
    let canister = Canister::wat(&pic, body);
    expect_reject(
        canister.query("loop", vec![]),
        RejectCode::CanisterError,
        ErrorCode::CanisterInstructionLimitExceeded,
    );
}

#[test]
fn an_indirect_call_of_another_signature_is_5_504() {
    let pic = one_subnet();
    let body = "(table 1 funcref) (type $void (func))
        (func $other (param i32)) (elem (i32.const 0) $other)"
        .to_string()
        + &update("type", "i32.const 0 call_indirect (type $void)");
    let canister = Canister::wat(&pic, &body);
    let text = expect_reject(
        canister.update("type", vec![]),
        RejectCode::CanisterError,
        ErrorCode::CanisterContractViolation,
    );
    assert_contains(&text, "function invocation does not match its signature");
}

#[test]
fn traps_of_webassembly_are_5_502() {
    let pic = one_subnet();
    let body = "(memory 1) (table 3 funcref) (type $void (func))".to_string()
        + &update("div0", "i32.const 1 i32.const 0 i32.div_u drop")
        + &update("over", "i32.const 0x80000000 i32.const -1 i32.div_s drop")
        + &update("tofl", "f64.const nan i32.trunc_f64_s drop")
        + &update("null", "i32.const 0 call_indirect (type $void)")
        + &update("tabl", "i32.const 9 call_indirect (type $void)")
        + &update(
            "fill",
            "i32.const 65530 i32.const 0 i32.const 9 memory.fill",
        );
    let canister = Canister::wat(&pic, &body);
    for method in ["div0", "over", "tofl", "null", "tabl", "fill"] {
        expect_reject(
            canister.update(method, vec![]),
            RejectCode::CanisterError,
            ErrorCode::CanisterTrapped,
        );
    }
}

#[test]
fn a_callback_outside_the_table_fails_its_message() {
    let pic = one_subnet();
    let body = "(memory 1) (table 1 funcref)
        (data (i32.const 0) \"\\ff\\ff\\ff\\ff\\ff\\ff\\ff\\ff\\01\\01m\")"
        .to_string()
        + &update(
            "go",
            "i32.const 0 i32.const 10 i32.const 10 i32.const 1
             i32.const 7 i32.const 0 i32.const 7 i32.const 0 call $call_new
             call $call_perform drop",
        )
        + &update("noop", "call $msg_reply");
    let canister = Canister::wat(&pic, &body);
    let response = canister.update("go", vec![]).expect_err("no such function");
    assert_eq!(response.reject_code, RejectCode::CanisterError);
    canister.update("noop", vec![]).expect("it lives");
}

#[test]
fn memory_that_cannot_grow_says_so() {
    let pic = one_subnet();
    let body = "(memory 1 5)".to_string()
        + &update(
            "grow",
            "i32.const 0 i32.const 10 memory.grow i32.store
             i32.const 4 i32.const 4 memory.grow i32.store
             i32.const 0 i32.const 8 call $msg_reply_data_append call $msg_reply",
        );
    let canister = Canister::wat(&pic, &body);
    let answer = canister.update("grow", vec![]).expect("a reply");
    assert_eq!((u32_at(&answer, 0), u32_at(&answer, 4)), (u32::MAX, 1));
}

#[test]
fn start_functions_run_at_install() {
    let pic = one_subnet();
    let body = "(memory 1) (start $start)
        (func $start i32.const 0 i32.const 42 i32.store)
        (func (export \"canister_query seen\")
            i32.const 0 i32.const 4 call $msg_reply_data_append call $msg_reply)";
    let canister = Canister::wat(&pic, body);
    assert_eq!(
        canister.query("seen", vec![]).expect("a reply"),
        [42, 0, 0, 0]
    );
}

#[test]
fn modules_that_fail_to_start_are_not_installed() {
    use candid::Principal;
    use ic_management_canister_types::{CanisterInstallMode, InstallCodeArgs};
    use pocket_ic::common::rest::RawEffectivePrincipal;
    let pic = one_subnet();
    for text in [
        "(func $start unreachable) (start $start)",
        "(memory 1) (data (i32.const 65530) \"too long for it\")",
    ] {
        let id = pic.create_canister();
        let args = InstallCodeArgs {
            mode: CanisterInstallMode::Install,
            canister_id: id,
            wasm_module: handmade::module(text),
            arg: vec![],
            sender_canister_version: None,
        };
        let answer = pic.update_call_with_effective_principal(
            Principal::management_canister(),
            RawEffectivePrincipal::CanisterId(id.as_slice().to_vec()),
            Principal::anonymous(),
            "install_code",
            candid::encode_one(args).expect("encodes"),
        );
        let response = answer.expect_err(text);
        assert_eq!(response.reject_code, RejectCode::CanisterError, "{text}");
        let status = status_of(&pic, id, None).expect("a status");
        assert_eq!(status.module_hash, None, "{text}");
    }
}

#[test]
fn many_pages_written_are_rolled_back() {
    let pic = one_subnet();
    let write = "i32.const 0 i32.const 170 i32.const 6553600 memory.fill";
    let body = "(memory 100)
        (func (export \"canister_query seen\")
            i32.const 6553596 i32.const 4 call $msg_reply_data_append
            i32.const 0 i32.const 4 call $msg_reply_data_append call $msg_reply)"
        .to_string()
        + &update("break", &format!("{write} unreachable"))
        + &update("keep", &format!("{write} call $msg_reply"));
    let canister = Canister::wat(&pic, &body);
    let seen = || canister.query("seen", vec![]).expect("a reply");
    canister.update("break", vec![]).expect_err("a trap");
    assert_eq!(seen(), [0; 8]);
    canister.update("keep", vec![]).expect("a reply");
    assert_eq!(seen(), [170; 8]);
}

#[test]
fn stable_memory_of_a_trap_is_rolled_back_page_by_page() {
    let pic = one_subnet();
    let canister = Canister::torture(&pic);
    let write = |at: u64, byte: u8, count: usize| Op::StableWrite(at, vec![byte; count].into());
    canister.run(&[Op::StableGrow(40), write(0, 1, 2_000_000), Op::Reply]);
    let scattered = (0..400_u64).map(|i| write(i * 4_999, 2, 3));
    let mut program: Vec<Op> = scattered.collect();
    program.push(write(100_000, 3, 500_000));
    program.push(Op::Trap("no".into()));
    canister.try_run(&program).expect_err("a trap");
    let kept = canister.look(&[Op::StableRead(0, 2_000_000), Op::Reply]);
    assert!(kept.iter().all(|byte| *byte == 1));
    canister.run(&[write(7, 9, 1), say("x"), Op::Reply]);
    assert_eq!(canister.look(&[Op::StableRead(6, 3), Op::Reply]), [1, 9, 1]);
}
