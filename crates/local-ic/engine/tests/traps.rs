//! Logs, traps and how they are named.

mod common;

use common::*;
use local_ic_engine::Trap;

#[test]
fn should_log_and_trap_with_texts() {
    let text = format!(
        "(data (i32.const 0) \"hello boom\") {}",
        update_text(
            "t",
            "(call $debug_print (i32.const 0) (i32.const 5)) (call $debug_print (i32.const 65530) (i32.const 9)) (call $trap (i32.const 6) (i32.const 4))"
        )
    );
    let outcome = update(&mut canister(&text), "t");
    assert_eq!(trap(&outcome), Trap::Called("boom".into()));
    assert_eq!(
        outcome.logs,
        [
            "hello",
            "(debug_print message out of memory bounds)",
            "[TRAP]: boom"
        ]
    );
    let outcome = update(
        &mut with_update("(call $trap (i32.const -1) (i32.const 4))"),
        "t",
    );
    assert_eq!(
        trap(&outcome),
        Trap::Called("(trap message out of memory bounds)".into())
    );
}

#[test]
fn should_call_a_wrong_signature_a_violation() {
    let outcome = update(
        &mut canister(&format!(
            "(func $other (param i32)) (elem (i32.const 1) func $other) {}",
            update_text("t", "(call_indirect (i32.const 1))")
        )),
        "t",
    );
    assert_eq!(
        trap(&outcome),
        Trap::ContractViolation("function invocation does not match its signature".into())
    );
}

#[test]
fn should_name_wasm_traps() {
    for (body, text) in [
        ("unreachable", "unreachable"),
        ("(drop (i32.load (i32.const 65536)))", "heap out of bounds"),
        (
            "(drop (i32.div_u (i32.const 1) (i32.const 0)))",
            "integer division by zero",
        ),
        (
            "(drop (i32.div_s (i32.const 0x80000000) (i32.const -1)))",
            "integer overflow",
        ),
        (
            "(drop (i32.trunc_f64_s (f64.const nan)))",
            "bad conversion to integer",
        ),
        ("(call_indirect (i32.const 3))", "indirect call to null"),
        ("(call_indirect (i32.const 16))", "table out of bounds"),
        (
            "(call $stable64_read (i64.const 0) (i64.const 0) (i64.const 1))",
            "stable memory out of bounds",
        ),
        (
            "(call $stable64_write (i64.const -1) (i64.const 0) (i64.const 2))",
            "stable memory out of bounds",
        ),
        (
            "(drop (call $stable64_grow (i64.const 1))) (call $stable64_write (i64.const 0) (i64.const 65535) (i64.const 2))",
            "heap out of bounds",
        ),
        (
            "(drop (call $stable64_grow (i64.const 1))) (call $stable64_read (i64.const -1) (i64.const 0) (i64.const 2))",
            "heap out of bounds",
        ),
        (
            "(drop (call $stable64_grow (i64.const 65537))) (drop (call $stable_size))",
            "32 bit stable memory api used on a memory larger than 4GB",
        ),
    ] {
        let outcome = update(&mut with_update(body), "t");
        assert_eq!(trap(&outcome), Trap::Wasm(text.into()), "{body}");
    }
}

#[test]
fn should_trap_on_deep_recursion_even_on_a_small_stack() {
    let text = format!(
        "(func $f (param i64) (result i64) (i64.add (call $f (local.get 0)) (i64.const 1))) {}",
        update_text("t", "(drop (call $f (i64.const 1)))")
    );
    let run = move || {
        let mut canister = canister(&text);
        let trap = trap(&update(&mut canister, "t"));
        (
            trap,
            number(&{
                let mut other = with_update(&reply_number("(i64.const 5)"));
                update(&mut other, "t")
            }),
        )
    };
    let thread = std::thread::Builder::new()
        .stack_size(1 << 20)
        .spawn(run)
        .expect("a thread");
    let (trap, after) = thread.join().expect("no crash");
    assert_eq!(trap, Trap::Wasm("stack overflow".into()));
    assert_eq!(after, 5);
}

#[test]
fn should_make_the_nan_of_arithmetic_canonical() {
    let body = reply_number(
        "(i64.reinterpret_f64 (f64.add (f64.reinterpret_i64 (i64.const 0x7ff8dead00000001)) (f64.const 1)))",
    );
    assert_eq!(
        number(&update(&mut with_update(&body), "t")),
        0x7ff8_0000_0000_0000
    );
}
