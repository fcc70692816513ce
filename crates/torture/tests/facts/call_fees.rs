//! Section B: what inter-canister calls cost.

use crate::support::*;
use candid::Principal;
use handmade::update;
use pocket_ic::PocketIc;
use torture::program::{Op, call};

/// Reply taken into account when a call is made.
const LARGEST_REPLY: u128 = 2_097_152;

fn cost_call(method: u128, arg: u128) -> u128 {
    260_000 + 1_000 * (method + arg) + LARGEST_REPLY * 1_000 + EXECUTION_FEE + 40_000_000_000
}

fn data(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("\\{byte:02x}")).collect()
}

/// A callee that replies with so many bytes.
fn callee(pic: &PocketIc, subnet: usize, reply: u32) -> Canister<'_> {
    let body = format!(
        "(memory 1) {}",
        update(
            "method",
            &format!("i32.const 0 i32.const {reply} call $msg_reply_data_append call $msg_reply")
        )
    );
    Canister::empty_on(pic, subnet).with_wasm(handmade::module(&body))
}

/// Instructions of that callee.
const fn callee_instructions(reply: u128) -> u128 {
    1 + (2 + 5 + 500 + 50 * reply) + (5 + 500)
}

/// A caller whose `go` calls `method` with so many bytes and replies in the callback.
fn caller(pic: &PocketIc, callee: Principal, arg: u32) -> Canister<'_> {
    let body = format!(
        "(memory 1)
         (table funcref (elem $done))
         (data (i32.const 0) \"{}\") (data (i32.const 32) \"method\")
         (func $done (param i32) call $msg_reply)
         {}",
        data(callee.as_slice()),
        update(
            "go",
            &format!(
                "i32.const 0 i32.const {} i32.const 32 i32.const 6
                 i32.const 0 i32.const 0 i32.const 0 i32.const 0 call $call_new
                 i32.const 64 i32.const {arg} call $call_data_append
                 call $call_perform drop",
                callee.as_slice().len()
            )
        )
    );
    Canister::empty_on(pic, 0).with_wasm(handmade::module(&body))
}

/// Instructions of that caller: before the call and in the callback.
const fn caller_instructions(arg: u128) -> (u128, u128) {
    let call_new = 8 + 5 + 1_500 + 10 + 6;
    let append = 2 + 5 + 500 + 50 * arg;
    (1 + call_new + append + 5 + 5_000 + 1, 1 + 5 + 500)
}

#[test]
fn a_call_costs_its_bytes_and_two_executions() {
    let pic = two_subnets();
    for subnet in [0, 1] {
        for (arg, reply) in [(0, 0), (1, 0), (1_000, 0), (1, 1_000), (777, 3_000)] {
            let callee = callee(&pic, subnet, reply);
            let caller = caller(&pic, callee.id, arg);
            let callee_before = callee.cycles();
            let cost = caller.cost(|c| c.update("go", vec![]).expect("a reply"));
            let (before, callback) = caller_instructions(arg.into());
            let reception = 1_200_000 + 2_000 * (121 + 2);
            let bytes = 1_000 * (6 + u128::from(arg) + u128::from(reply));
            let expected =
                reception + EXECUTION_FEE + before + 260_000 + bytes + EXECUTION_FEE + callback;
            assert_eq!(cost, expected, "subnet {subnet}, arg {arg}, reply {reply}");
            assert_eq!(
                callee_before - callee.cycles(),
                EXECUTION_FEE + callee_instructions(reply.into()),
                "the callee pays its execution alone"
            );
        }
    }
}

#[test]
fn call_perform_takes_what_cost_call_says() {
    let pic = two_subnets();
    let caller = Canister::torture_on(&pic, 0);
    for subnet in [0, 1] {
        let callee = Canister::empty_on(&pic, subnet);
        let program = [
            Op::CostCall(6, 1),
            Op::Balance,
            call(callee.id, "method", vec![0]).op(),
            Op::Performed,
            Op::Balance,
            Op::Reply,
        ];
        let answer = caller.run(&program);
        let cost = u128_at(&answer, 0);
        assert_eq!(cost, 42_102_419_000);
        assert_eq!(cost, cost_call(6, 1));
        assert_eq!(u32_at(&answer, 32), 0, "performed");
        assert_eq!(u128_at(&answer, 16) - u128_at(&answer, 36), cost);
    }
}

#[test]
fn cost_functions() {
    let pic = builder()
        .with_ii_subnet()
        .with_fiduciary_subnet()
        .with_application_subnet()
        .build();
    let canister = Canister::torture(&pic);
    let answer = canister.run(&[
        Op::CostCreateCanister,
        Op::CostHttpRequest(0, 0),
        Op::CostHttpRequest(1_000, 2_000),
        Op::CostHttpRequest(1_000, 2_000_000),
        Op::Reply,
    ]);
    assert_eq!(u128_at(&answer, 0), 500_000_000_000);
    assert_eq!(u128_at(&answer, 16), 49_140_000);
    assert_eq!(u128_at(&answer, 32), 75_140_000);
    assert_eq!(u128_at(&answer, 48), 20_854_340_000);
    for key in ["key_1", "test_key_1", "dfx_test_key"] {
        let answer = canister.run(&[
            Op::CostSignWithEcdsa(key.into(), 0),
            Op::CostSignWithSchnorr(key.into(), 0),
            Op::CostSignWithSchnorr(key.into(), 1),
            Op::Reply,
        ]);
        for at in [0, 20, 40] {
            assert_eq!(u32_at(&answer, at), 0, "{key} exists");
            assert_eq!(u128_at(&answer, at + 4), 26_153_846_153, "{key}");
        }
    }
    let answer = canister.run(&[Op::CostSignWithEcdsa("nope".into(), 0), Op::Reply]);
    assert_ne!(u32_at(&answer, 0), 0, "an unknown key has no cost");
}

#[test]
fn too_few_cycles_make_call_perform_return_2() {
    let pic = one_subnet();
    let caller = Canister::torture(&pic);
    let settings = ic_management_canister_types::CanisterSettings {
        freezing_threshold: Some(0_u64.into()),
        ..Default::default()
    };
    pic.update_canister_settings(caller.id, None, settings)
        .expect("set");
    // Two calls need 84 billion, and one execution is prepaid with 40 billion.
    let surplus = caller.cycles() - 110_000_000_000;
    caller.run(&[Op::CyclesBurn(surplus), Op::Reply]);
    let self_call = |method: &str| call(caller.id, method, vec![]).op();
    let answer = caller.run(&[
        self_call("a"),
        Op::Performed,
        self_call("b"),
        Op::Performed,
        Op::Reply,
    ]);
    assert_eq!(u32_at(&answer, 0), 0, "the first call is paid for");
    assert_eq!(u32_at(&answer, 4), 2, "the second is not");
}
