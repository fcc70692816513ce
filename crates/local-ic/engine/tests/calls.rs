//! Outgoing calls and their callbacks.

mod common;

use common::*;
use local_ic_engine::{Entry, Env, Instance, Outcome, Trap};

const COST: u128 = 260_000 + 2_097_152_000 + 5_000_000 + 40_000_000_000;
const PERFORM: &str = "(local.set $a (i64.extend_i32_u (call $call_perform)))";

fn calling(body: &str) -> Instance {
    canister(&format!("{CALL_DATA} {}", update_text("t", body)))
}

fn run(body: &str, change: impl FnOnce(&mut Env)) -> Outcome {
    let mut env = env();
    change(&mut env);
    calling(body).execute(Entry::Update("t".into()), env)
}

#[test]
fn should_release_a_call_with_everything_added_to_it() {
    let outcome = run(
        &format!(
            "{CALL_NEW}
            (call $call_data_append (i32.const 1010) (i32.const 2))
            (call $call_data_append (i32.const 1012) (i32.const 2))
            (call $call_cycles_add128 (i64.const 0) (i64.const 70))
            (call $call_cycles_add (i64.const 7))
            (call $call_on_cleanup (i32.const 3) (i32.const 33))
            (call $call_with_best_effort_response (i32.const 1000))
            {PERFORM} {}",
            reply_number("(local.get $a)")
        ),
        |_| {},
    );
    assert_eq!(number(&outcome), 0);
    let calls = calls(&outcome);
    assert_eq!(calls.len(), 1);
    let call = &calls[0];
    assert_eq!((call.callee, call.method.as_str()), (id(5), "work"));
    assert_eq!(call.arg, b"work");
    assert_eq!(call.cycles, 77);
    assert_eq!(call.reserved, COST + 8_000);
    assert_eq!(call.timeout_seconds, Some(300), "at most 300 s");
    let mut expected = callback();
    expected.cleanup = Some((3, 33));
    assert_eq!(call.callback, expected);
    assert_eq!(outcome.result.unwrap().balance, BALANCE - 77 - COST - 8_000);
}

#[test]
fn should_not_charge_calls_on_system_subnets() {
    let outcome = run(&format!("{CALL_NEW} {PERFORM}"), |env| {
        env.charges_cycles = false;
        env.balance = 0;
    });
    assert_eq!(calls(&outcome)[0].reserved, 0);
    assert_eq!(calls(&outcome)[0].timeout_seconds, None);
}

#[test]
fn should_refuse_a_call_without_enough_cycles_and_give_back_what_was_attached() {
    let body = format!(
        "{CALL_NEW} (call $call_cycles_add128 (i64.const 0) (i64.const 50)) {PERFORM} {}",
        reply_number("(local.get $a)")
    );
    let price = COST + 4_000;
    for (balance, frozen, expected) in [
        (price + 50, 0, 0),
        (price + 49, 0, 2),
        (price + 150, 100, 0),
        (price + 149, 100, 2),
    ] {
        let outcome = run(&body, |env| {
            env.balance = balance;
            env.frozen_balance = frozen;
        });
        assert_eq!(number(&outcome), expected, "{balance} {frozen}");
        assert_eq!(calls(&outcome).len(), usize::from(expected == 0));
        let left = if expected == 0 { frozen } else { balance };
        assert_eq!(outcome.result.unwrap().balance, left);
    }
}

#[test]
fn should_trap_when_more_cycles_are_attached_than_there_are() {
    let outcome = run(
        &format!("{CALL_NEW} (call $call_cycles_add128 (i64.const 1) (i64.const 0))"),
        |_| {},
    );
    assert!(violation(&outcome).contains("out of cycles"));
}

#[test]
fn should_refuse_the_501st_outstanding_call_to_one_canister() {
    let body = format!(
        "(local.set $b (i64.const 3)) (loop $l {CALL_NEW}
           (local.set $a (i64.add (i64.mul (local.get $a) (i64.const 10)) (i64.extend_i32_u (call $call_perform))))
           (local.set $b (i64.sub (local.get $b) (i64.const 1)))
           (br_if $l (i32.wrap_i64 (local.get $b)))) {}",
        reply_number("(local.get $a)")
    );
    let outstanding = |n: usize, callee: u8| {
        run(&body, move |env| {
            env.outstanding_calls.insert(id(callee), n);
        })
    };
    assert_eq!(number(&outstanding(497, 5)), 0);
    assert_eq!(number(&outstanding(498, 5)), 2);
    assert_eq!(number(&outstanding(500, 5)), 222);
    assert_eq!(number(&outstanding(500, 6)), 0, "the limit is by callee");
    assert_eq!(calls(&outstanding(498, 5)).len(), 2);
}

#[test]
fn should_limit_the_payload_of_a_call_to_10_mib() {
    let body = |size: u32| {
        format!(
            "(drop (memory.grow (i32.const 200))) {CALL_NEW}
            (call $call_data_append (i32.const 2000) (i32.const {size})) {PERFORM}"
        )
    };
    let largest = (10 << 20) - 4;
    assert_eq!(
        calls(&run(&body(largest), |_| {}))[0].arg.len(),
        largest as usize
    );
    let outcome = run(&body(largest + 1), |_| {});
    assert!(
        violation(&outcome)
            .contains("payload size of 10485761, which exceeds the allowed limit of 10485760")
    );
}

#[test]
fn should_complain_about_calls_not_under_construction() {
    for (body, text) in [
        (
            "(drop (call $call_perform))",
            "ic0.call_perform called when no call is under construction",
        ),
        (
            "(call $call_data_append (i32.const 0) (i32.const 1))",
            "ic0.call_data_append called when",
        ),
        (
            "(call $call_on_cleanup (i32.const 0) (i32.const 1))",
            "ic0.call_on_cleanup called when",
        ),
        (
            "(call $call_cycles_add128 (i64.const 0) (i64.const 1))",
            "ic0.call_cycles_add128 called when",
        ),
        (
            "(call $call_with_best_effort_response (i32.const 1))",
            "called when",
        ),
    ] {
        let outcome = run(body, |_| {});
        assert!(violation(&outcome).contains(text), "{body}");
        let after = run(&format!("{CALL_NEW} {PERFORM} {body}"), |_| {});
        assert!(violation(&after).contains(text), "after a call: {body}");
    }
    for (twice, text) in [
        (
            "(call $call_on_cleanup (i32.const 0) (i32.const 1))",
            "at most once",
        ),
        (
            "(call $call_with_best_effort_response (i32.const 1))",
            "already set",
        ),
    ] {
        let outcome = run(&format!("{CALL_NEW} {twice} {twice}"), |_| {});
        assert!(violation(&outcome).contains(text));
    }
}

#[test]
fn should_give_back_cycles_of_calls_never_performed() {
    let add = "(call $call_cycles_add128 (i64.const 0) (i64.const 70))";
    let outcome = run(&format!("{CALL_NEW} {add} {CALL_NEW} {add}"), |_| {});
    assert!(calls(&outcome).is_empty());
    assert_eq!(outcome.result.unwrap().balance, BALANCE);
}

#[test]
fn should_not_send_calls_of_a_message_that_traps() {
    let outcome = run(&format!("{CALL_NEW} {PERFORM} unreachable"), |_| {});
    assert_eq!(trap(&outcome), Trap::Wasm("unreachable".into()));
}

#[test]
fn should_refuse_principals_and_names_that_are_too_long() {
    let new = |callee: u32, name: u32| {
        format!(
            "(call $call_new (i32.const 0) (i32.const {callee}) (i32.const 0) (i32.const {name})
            (i32.const 1) (i32.const 1) (i32.const 1) (i32.const 1))"
        )
    };
    assert!(violation(&run(&new(30, 1), |_| {})).contains("principal"));
    assert!(violation(&run(&new(10, 20_001), |_| {})).contains("20001"));
    assert!(run(&new(29, 20_000), |_| {}).result.is_ok());
}

fn callbacks() -> Instance {
    let show = "(i32.store (i32.const 8) (local.get 0)) (call $msg_reply_data_append (i32.const 0) (i32.const 12)) (call $msg_reply)";
    canister(&format!(
        r#"(func $reply (param i32)
            (call $msg_arg_data_copy (i32.const 0) (i32.const 0) (i32.const 4))
            (i32.store (i32.const 4) (call $msg_reject_code)) {show})
        (func $reject (param i32)
            (call $msg_reject_msg_copy (i32.const 0) (i32.const 0) (call $msg_reject_msg_size))
            (i32.store (i32.const 4) (call $msg_reject_code)) {show})
        (func $refund (param i32) (call $msg_cycles_refunded128 (i32.const 0)) {show})
        (func $cleanup (param i32) (drop (call $stable64_grow (i64.extend_i32_u (local.get 0)))))
        (func $wrong)
        (elem (i32.const 1) func $reply $reject $refund $cleanup $wrong)"#
    ))
}

#[test]
fn should_run_callbacks_from_the_table() {
    let mut canister = callbacks();
    let mut env = env();
    env.arg = b"data".to_vec();
    env.cycles_refunded = 9;
    let mut reply_callback = |fun: u32, arg: u32| {
        canister.execute(
            Entry::ReplyCallback {
                fun,
                env: arg,
                composite: false,
            },
            env.clone(),
        )
    };
    assert_eq!(reply(&reply_callback(1, 7)), b"data\0\0\0\0\x07\0\0\0");
    assert_eq!(reply(&reply_callback(3, 1))[0], 9);
    let gone = reply_callback(u32::MAX, 1);
    assert_eq!(gone.instructions, 0, "nobody waits for a one-way call");
    assert!(gone.result.unwrap().answer.is_none());
    assert_eq!(
        trap(&reply_callback(5, 1)),
        Trap::ContractViolation("function invocation does not match its signature".into())
    );
    for (fun, text) in [(0, "no function 0"), (99, "no function 99")] {
        match trap(&reply_callback(fun, 1)) {
            Trap::Wasm(found) => assert!(found.contains(text), "{found}"),
            other => panic!("{other:?}"),
        }
    }
    let outcome = canister.execute(
        Entry::RejectCallback {
            fun: 2,
            env: 8,
            code: 5,
            message: "oops".into(),
            composite: false,
        },
        env.clone(),
    );
    assert_eq!(reply(&outcome), b"oops\x05\0\0\0\x08\0\0\0");
    let outcome = canister.execute(
        Entry::Cleanup {
            fun: 4,
            env: 2,
            composite: false,
        },
        env,
    );
    assert!(outcome.result.is_ok());
    assert_eq!(
        canister.memory_sizes().stable,
        2 * 65_536,
        "what cleanup does stays"
    );
}
