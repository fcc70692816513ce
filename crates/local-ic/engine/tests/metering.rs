//! Instruction counts as measured on the real thing (facts C of crates/torture/README.md).

mod common;

use common::*;
use local_ic_engine::{Entry, Trap};

/// Instructions of an update with this body, without the one for entering it.
fn cost(body: &str) -> u64 {
    let outcome = update(&mut with_update(body), "t");
    assert!(outcome.result.is_ok(), "{body}: {:?}", outcome.result);
    outcome.instructions - 1
}

/// What `body` adds between two counters of one straight-line block: its run-time charges.
fn runtime_cost(
    env_change: impl FnOnce(&mut local_ic_engine::Env),
    entry: &str,
    body: &str,
) -> u64 {
    let text = format!(
        r#"(data (i32.const 4096) "key_1") {CALL_DATA}
        (func (export "canister_{entry} t") (local $a i64)
        (local.set $a (call $performance_counter (i32.const 0)))
        {body}
        (i64.store (i32.const 0) (i64.sub (call $performance_counter (i32.const 0)) (local.get $a)))
        (call $msg_reply_data_append (i32.const 0) (i32.const 8))
        (call $msg_reply))"#
    );
    let mut env = env();
    env_change(&mut env);
    let entry = match entry {
        "update" => Entry::Update("t".into()),
        _ => Entry::Query("t".into()),
    };
    number(&canister(&text).execute(entry, env)) - 200
}

fn system_call(body: &str) -> u64 {
    runtime_cost(|_| {}, "update", body)
}

#[test]
fn should_charge_each_operator_its_weight() {
    let constants = [
        ("nop", 1),
        ("(drop (i32.const 1))", 2),
        ("(drop (f64.const 1))", 2),
        ("(local.set $a (local.get $b))", 2),
        ("(drop (local.tee $a (local.get $b)))", 3),
        (
            "(drop (select (i32.const 1) (i32.const 2) (i32.const 0)))",
            5,
        ),
        ("return", 1),
        ("(block)", 0),
        ("(loop)", 0),
        ("(if (i32.const 1) (then))", 3),
        ("(if (i32.const 1) (then nop) (else nop nop))", 4),
        ("(if (i32.const 0) (then nop) (else nop nop))", 5),
        ("(block (br 0))", 2),
        ("(block (br_if 0 (i32.const 1)))", 3),
        ("(block (br_table 0 0 (i32.const 1)))", 3),
        ("(block (br 0) nop nop nop)", 2),
        ("(drop (memory.size))", 21),
        ("(drop (memory.grow (i32.const 0)))", 302),
        ("(drop (i32.load (i32.const 0)))", 3),
        ("(i32.store (i32.const 0) (i32.const 0))", 3),
        (
            "(memory.fill (i32.const 0) (i32.const 0) (i32.const 100))",
            203,
        ),
        (
            "(memory.copy (i32.const 0) (i32.const 8) (i32.const 4096))",
            4_199,
        ),
        (
            "(memory.fill (i32.const 0) (i32.const 0) (i32.const 0))",
            103,
        ),
    ];
    for (body, expected) in constants {
        assert_eq!(cost(body), expected, "{body}");
    }
}

#[test]
fn should_charge_arithmetic_its_weight() {
    let binary =
        |ty: &str, op: &str| cost(&format!("(drop ({ty}.{op} ({ty}.const 7) ({ty}.const 3)))")) - 3;
    let unary = |ty: &str, op: &str| cost(&format!("(drop ({op} ({ty}.const 7)))")) - 2;
    for ty in ["i32", "i64"] {
        for op in ["add", "sub", "mul", "shl", "rotl", "and", "lt_u", "eq"] {
            assert_eq!(binary(ty, op), 1, "{ty}.{op}");
        }
        for op in ["div_s", "div_u", "rem_s", "rem_u"] {
            assert_eq!(binary(ty, op), 10, "{ty}.{op}");
        }
        for op in ["popcnt", "clz", "eqz"] {
            assert_eq!(unary(ty, &format!("{ty}.{op}")), 1, "{ty}.{op}");
        }
    }
    assert_eq!(unary("i32", "i64.extend_i32_u"), 1);
    assert_eq!(unary("i64", "i32.wrap_i64"), 1);
    for (op, expected) in [("add", 2), ("mul", 2), ("div", 5), ("min", 18), ("eq", 3)] {
        assert_eq!(binary("f64", op), expected, "f64.{op}");
    }
    assert_eq!(unary("f64", "f64.neg"), 1);
    assert_eq!(unary("f64", "f64.floor"), 2);
    assert_eq!(unary("f64", "f64.sqrt"), 8);
    assert_eq!(unary("i64", "f64.convert_i64_s"), 3);
    assert_eq!(unary("f64", "i64.trunc_sat_f64_s"), 20);
}

#[test]
fn should_charge_globals_and_calls() {
    let measure = |body: &str| {
        let text = format!(
            r#"(global $g (mut i32) (i32.const 0)) (type $nothing (func)) (func $empty)
            (elem (i32.const 3) func $empty) {}"#,
            update_text("t", body)
        );
        update(&mut canister(&text), "t").instructions - 1
    };
    assert_eq!(measure("(drop (global.get $g))"), 3);
    assert_eq!(measure("(global.set $g (i32.const 1))"), 3);
    // 5 for the call, 1 for entering the function.
    assert_eq!(measure("(call $empty)"), 6);
    assert_eq!(measure("(call_indirect (type $nothing) (i32.const 3))"), 12);
}

#[test]
fn should_charge_an_empty_update_one_and_a_bare_reply_506() {
    assert_eq!(update(&mut with_update(""), "t").instructions, 1);
    assert_eq!(
        update(&mut with_update("(call $msg_reply)"), "t").instructions,
        506
    );
}

#[test]
fn should_charge_the_measured_loops() {
    let per_iteration = |body: &str| {
        let run = |times: u64| {
            cost(&format!(
                "(local.set $a (i64.const {times})) (loop $l {body} (br_if $l (i32.wrap_i64 (local.get $a))))"
            ))
        };
        (run(2_000) - run(1_000)) / 1_000
    };
    // One more than the measured 7, for the wrap of an i64 counter.
    assert_eq!(
        per_iteration("(local.set $a (i64.sub (local.get $a) (i64.const 1)))"),
        8
    );

    let exact = |times: u32, body: &str| {
        let text = format!(
            r#"(func (export "canister_update t") (local $i i32) (local $x i32)
            (local.set $i (i32.const {times})) (loop $l {body}))"#
        );
        update(&mut canister(&text), "t").instructions
    };
    let set = "(local.set $i (i32.sub (local.get $i) (i32.const 1))) (br_if $l (local.get $i))";
    let tee = "(br_if $l (local.tee $i (i32.sub (local.get $i) (i32.const 1))))";
    let mul = "(local.set $x (i32.add (i32.mul (local.get $x) (i32.const 3)) (i32.const 1)))";
    assert_eq!(exact(3_000, set) - exact(2_000, set), 7_000);
    assert_eq!(exact(3_000, tee) - exact(2_000, tee), 6_000);
    let both = format!("{mul}{tee}");
    assert_eq!(exact(3_000, &both) - exact(2_000, &both), 12_000);
}

#[test]
fn should_not_see_operators_between_two_counters_of_one_block() {
    assert_eq!(system_call(""), 0);
    assert_eq!(
        system_call("nop nop (drop (i32.div_u (i32.const 6) (i32.const 2)))"),
        0
    );
    assert_eq!(
        system_call("(if (i32.const 1) (then nop nop))"),
        2 + 22,
        "the rest of the body is a new block"
    );
}

#[test]
fn should_charge_system_calls() {
    let calls = [
        ("(drop (call $time))", 500),
        ("(drop (call $msg_caller_size))", 500),
        ("(drop (call $msg_arg_data_size))", 500),
        ("(drop (call $canister_version))", 500),
        ("(drop (call $in_replicated_execution))", 500),
        ("(drop (call $msg_deadline))", 500),
        ("(drop (call $global_timer_set (i64.const 5)))", 500),
        ("(drop (call $data_certificate_present))", 500),
        ("(drop (call $canister_status))", 500),
        ("(call $canister_cycle_balance128 (i32.const 64))", 500),
        ("(call $msg_cycles_available128 (i32.const 64))", 500),
        (
            "(call $cost_call (i64.const 1) (i64.const 1) (i32.const 64))",
            500,
        ),
        (
            "(call $cycles_burn128 (i64.const 0) (i64.const 1) (i32.const 64))",
            500,
        ),
        (
            "(call $msg_caller_copy (i32.const 64) (i32.const 0) (i32.const 1))",
            501,
        ),
        (
            "(call $canister_self_copy (i32.const 64) (i32.const 0) (i32.const 10))",
            510,
        ),
        (
            "(call $certified_data_set (i32.const 64) (i32.const 32))",
            532,
        ),
        (
            "(drop (call $is_controller (i32.const 1000) (i32.const 10)))",
            1_010,
        ),
        (
            "(call $msg_reply_data_append (i32.const 64) (i32.const 0))",
            500,
        ),
        ("(drop (call $stable64_size))", 0),
        ("(drop (call $stable64_grow (i64.const 1)))", 100),
        ("(call $debug_print (i32.const 64) (i32.const 0))", 100),
        ("(call $debug_print (i32.const 64) (i32.const 30))", 1_690),
        ("(drop (call $performance_counter (i32.const 1)))", 200),
        (
            "(drop (call $cost_sign_with_ecdsa (i32.const 4096) (i32.const 5) (i32.const 0) (i32.const 64)))",
            505,
        ),
        (CALL_NEW, 1_514),
    ];
    for (body, expected) in calls {
        assert_eq!(system_call(body), expected, "{body}");
    }
    let append = "(call $call_data_append (i32.const 64) (i32.const 20))";
    let add = "(call $call_cycles_add128 (i64.const 0) (i64.const 1))";
    assert_eq!(system_call(&format!("{CALL_NEW}{append}")), 1_514 + 1_500);
    assert_eq!(system_call(&format!("{CALL_NEW}{add}")), 1_514 + 500);
    assert_eq!(
        system_call(&format!("{CALL_NEW}(drop (call $call_perform))")),
        1_514 + 5_000
    );
    let arg = |env: &mut local_ic_engine::Env| env.arg = vec![1; 100];
    let copy = "(call $msg_arg_data_copy (i32.const 64) (i32.const 0) (i32.const 100))";
    assert_eq!(runtime_cost(arg, "update", copy), 600);
}

#[test]
fn should_charge_reply_bytes_fifty_each() {
    let body = |size: u32| {
        format!("(call $msg_reply_data_append (i32.const 0) (i32.const {size})) (call $msg_reply)")
    };
    assert_eq!(cost(&body(1_000)) - cost(&body(0)), 50_000);
}

#[test]
fn should_charge_stable_memory_as_measured() {
    let grown = |body: &str| {
        system_call(&format!(
            "(drop (call $stable64_grow (i64.const 4))) {body}"
        )) - 100
    };
    let write = |offset: u64, size: u64| {
        format!("(call $stable64_write (i64.const {offset}) (i64.const 0) (i64.const {size}))")
    };
    for (size, first, repeated) in [
        (1, 1_021, 21),
        (4_096, 5_116, 4_116),
        (65_536, 81_556, 65_556),
    ] {
        let once = grown(&write(0, size));
        assert_eq!(once, first, "{size} bytes");
        let twice = grown(&format!("{0}{0}", write(0, size)));
        assert_eq!(twice - once, repeated, "{size} bytes again");
    }
    assert_eq!(grown(&write(4_095, 2)), 2_022);
    assert_eq!(grown(&write(0, 0)), 20);
    let read = "(call $stable64_read (i64.const 64) (i64.const 0) (i64.const 1000))";
    assert_eq!(grown(read), 1_020);
}

#[test]
fn should_charge_stable_pages_anew_in_the_next_message() {
    let body =
        "(if (i64.eqz (call $stable64_size)) (then (drop (call $stable64_grow (i64.const 1)))))
                (local.set $a (call $performance_counter (i32.const 0)))
                (call $stable64_write (i64.const 0) (i64.const 0) (i64.const 1))
                (local.set $b (i64.sub (call $performance_counter (i32.const 0)) (local.get $a)))";
    let mut canister = with_update(&format!("{body} {}", reply_number("(local.get $b)")));
    for _ in 0..2 {
        assert_eq!(number(&update(&mut canister, "t")), 200 + 1_021);
    }
}

#[test]
fn should_charge_heap_pages_whose_content_changed() {
    let store =
        |address: u32, value: u8| format!("(i32.store8 (i32.const {address}) (i32.const {value}))");
    assert_eq!(cost(&store(0, 0)), 3, "equal bytes are free");
    assert_eq!(cost(&store(0, 1)), 1_003);
    assert_eq!(cost(&format!("{}{}", store(0, 1), store(4_095, 1))), 1_006);
    assert_eq!(cost(&format!("{}{}", store(0, 1), store(4_096, 1))), 2_006);
    assert_eq!(
        cost(&format!("{}{}", store(0, 1), store(0, 0))),
        6,
        "changed back"
    );
    let grown = format!("(drop (memory.grow (i32.const 1))) {}", store(65_536, 1));
    assert_eq!(
        cost(&grown),
        302 + 1_003,
        "only the page written, not those grown"
    );
    // The charge is invisible to the counter.
    assert_eq!(system_call(&store(100, 1)), 0);
}

#[test]
fn should_count_the_call_context_for_counter_one() {
    let mut canister = with_update(&reply_number("(call $performance_counter (i32.const 1))"));
    let alone = number(&update(&mut canister, "t"));
    let mut later = env();
    later.context_instructions = 1_000_000;
    let outcome = canister.execute(Entry::Update("t".into()), later);
    assert_eq!(number(&outcome), 1_000_000 + alone);
    let mut wrong = with_update("(drop (call $performance_counter (i32.const 2)))");
    assert!(violation(&update(&mut wrong, "t")).contains("performance counter type 2"));
}

#[test]
fn should_stop_at_the_instruction_limit() {
    let limited = |body: &str| {
        let mut env = env();
        env.instruction_limit = 100_000;
        let outcome = with_update(body).execute(Entry::Update("t".into()), env);
        assert_eq!(trap(&outcome), Trap::InstructionLimit, "{body}");
        assert_eq!(
            outcome.instructions, 100_000,
            "all of them are charged: {body}"
        );
    };
    limited("(loop $l (br $l))");
    limited("(loop $l (drop (call $time)) (br $l))");
    limited("(memory.fill (i32.const 0) (i32.const 1) (i32.const 1000000))");
    limited(
        "(drop (call $stable64_grow (i64.const 4))) (call $stable64_read (i64.const 0) (i64.const 0) (i64.const 200000))",
    );
    let text = format!("(func $f (call $f)) {}", update_text("t", "(call $f)"));
    let mut env = env();
    env.instruction_limit = 10_000;
    let outcome = canister(&text).execute(Entry::Update("t".into()), env);
    assert_eq!(trap(&outcome), Trap::InstructionLimit);
}

#[test]
fn should_count_the_same_every_time_and_in_every_instance() {
    let body = format!(
        "(local.set $b (i64.const 500))
         (loop $l
           (i64.store (i32.wrap_i64 (i64.mul (local.get $b) (i64.const 64))) (local.get $b))
           (local.set $b (i64.sub (local.get $b) (i64.const 1)))
           (br_if $l (i64.ne (local.get $b) (i64.const 0))))
         {}",
        reply_number("(call $performance_counter (i32.const 0))")
    );
    let mut first = with_update(&body);
    let outcome = update(&mut first, "t");
    let (counter, instructions) = (number(&outcome), outcome.instructions);
    let outcome = update(&mut with_update(&body), "t");
    assert_eq!(
        (number(&outcome), outcome.instructions),
        (counter, instructions)
    );
    // The second time the same bytes are written: no page changes but the reply's.
    let again = update(&mut first, "t");
    assert_eq!(number(&again), counter);
    assert!(again.instructions < instructions);
}
