//! Section C: what system calls cost in instructions.

use crate::support::*;
use handmade::update;
use pocket_ic::PocketIc;
use std::fmt::Write;

/// Measures what `snippet` adds to a method and compares. The weights are those of the system
/// call alone: 5 for the `call` instruction and 1 per operand and dropped result come on top.
fn assert_costs(pic: &PocketIc, expected: &[(&str, u128, u128)]) {
    let mut body = "(memory 40) (table funcref (elem $f)) (func $f (param i32))".to_string()
        + &update("s000", "call $msg_reply");
    for (index, (snippet, _, _)) in expected.iter().enumerate() {
        let name = format!("s{:03}", index + 1);
        body += &update(&name, &format!("{snippet} call $msg_reply"));
    }
    let canister = Canister::wat(pic, &body);
    let cost = |index: usize| {
        let name = format!("s{index:03}");
        canister.cost(|c| c.update(&name, vec![]).expect("a reply"))
    };
    let baseline = cost(0);
    let mut wrong = String::new();
    for (index, (snippet, system, operands)) in expected.iter().enumerate() {
        let charged = cost(index + 1) - baseline;
        if charged != system + operands + 5 {
            let found = charged.saturating_sub(operands + 5);
            writeln!(wrong, "{snippet}: {system} expected, {found} charged").expect("a string");
        }
    }
    assert!(wrong.is_empty(), "\n{wrong}");
}

#[test]
fn plain_system_calls() {
    let pic = one_subnet();
    assert_costs(
        &pic,
        &[
            ("i32.const 0 call $performance_counter drop", 200, 2),
            ("call $time drop", 500, 1),
            ("call $msg_caller_size drop", 500, 1),
            ("call $msg_arg_data_size drop", 500, 1),
            ("call $canister_version drop", 500, 1),
            ("call $in_replicated_execution drop", 500, 1),
            ("call $msg_deadline drop", 500, 1),
            ("i64.const 0 call $global_timer_set drop", 500, 2),
            ("call $data_certificate_present drop", 500, 1),
            ("call $canister_status drop", 500, 1),
        ],
    );
}

#[test]
fn copying_system_calls() {
    let pic = one_subnet();
    assert_costs(
        &pic,
        &[
            // A method's caller here is the anonymous principal: one byte.
            (
                "i32.const 0 i32.const 0 i32.const 0 call $msg_caller_copy",
                500,
                3,
            ),
            (
                "i32.const 0 i32.const 0 i32.const 0 call $canister_self_copy",
                500,
                3,
            ),
            (
                "i32.const 0 i32.const 0 i32.const 0 call $msg_arg_data_copy",
                500,
                3,
            ),
            ("i32.const 0 i32.const 32 call $certified_data_set", 532, 2),
            ("i32.const 0 i32.const 0 call $certified_data_set", 500, 2),
            // One byte of zeros is not a controller.
            ("i32.const 0 i32.const 1 call $is_controller drop", 1_001, 3),
            (
                "i32.const 0 i32.const 29 call $is_controller drop",
                1_029,
                3,
            ),
            (
                "i32.const 0 i32.const 0 call $msg_reply_data_append",
                500,
                2,
            ),
            (
                "i32.const 0 i32.const 100 call $msg_reply_data_append",
                5_500,
                2,
            ),
        ],
    );
}

#[test]
fn results_written_to_memory_cost_a_changed_page() {
    let pic = one_subnet();
    // The balance written is new each time: 1_000 for the page on top of 500.
    assert_costs(
        &pic,
        &[
            ("i32.const 0 call $canister_cycle_balance128", 1_500, 1),
            (
                "i64.const 1 i64.const 1 i32.const 8192 call $cost_call",
                1_500,
                3,
            ),
            // Zero cycles are available: the page does not change.
            ("i32.const 16384 call $msg_cycles_available128", 500, 1),
            (
                "i32.const 32768 i32.const 0 i32.const 10 call $canister_self_copy",
                1_510,
                3,
            ),
        ],
    );
}

#[test]
fn call_system_calls() {
    let pic = one_subnet();
    let call_new = "i32.const 0 i32.const 10 i32.const 16 i32.const 6
        i32.const 0 i32.const 0 i32.const 0 i32.const 0 call $call_new ";
    let then = |rest: &str| format!("{call_new} {rest}");
    let append_0 = then("i32.const 0 i32.const 0 call $call_data_append");
    let append_100 = then("i32.const 0 i32.const 100 call $call_data_append");
    let cycles = then("i64.const 0 i64.const 0 call $call_cycles_add128");
    // call_new itself: 1_500 and one for each byte of the callee and the name.
    let new = 1_516;
    assert_costs(
        &pic,
        &[
            (call_new, new, 8),
            (&append_0, new + 500, 8 + 2 + 5),
            (&append_100, new + 5_500, 8 + 2 + 5),
            (&cycles, new + 500, 8 + 2 + 5),
        ],
    );
}

#[test]
fn debug_print_of_30_bytes() {
    let pic = one_subnet();
    let module = "(memory 1 1) (data (i32.const 0) \"thirty bytes of debug print ..\")".to_string()
        + &update("without", "call $msg_reply")
        + &update(
            "printed",
            "i32.const 0 i32.const 30 call $debug_print call $msg_reply",
        );
    let canister = Canister::wat(&pic, &module);
    let cost = |name: &str| canister.cost(|c| c.update(name, vec![]).expect("a reply"));
    let charged = cost("printed") - cost("without");
    // 1_690, with or without the call and its operands.
    assert!((1_690..=1_697).contains(&charged), "{charged}");
}

#[test]
fn stable_memory() {
    let pic = one_subnet();
    let write = |offset: u32, bytes: u32| {
        format!("i64.const {offset} i64.const 0 i64.const {bytes} call $stable64_write ")
    };
    let read =
        |bytes: u32| format!("i64.const 0 i64.const 0 i64.const {bytes} call $stable64_read ");
    let module =
        "(memory 2) (func (export \"canister_init\") i64.const 4 call $stable64_grow drop)";
    let methods = [
        (String::new(), 0),
        (write(0, 1), 1_021 + 8),
        (write(0, 4_096), 5_116 + 8),
        (write(0, 65_536), 81_556 + 8),
        (write(4_095, 2), 2_022 + 8),
        (write(0, 1) + &write(0, 1), 1_021 + 21 + 16),
        (write(0, 4_096) + &write(0, 4_096), 5_116 + 4_116 + 16),
        (write(0, 65_536) + &write(0, 65_536), 81_556 + 65_556 + 16),
        (read(1), 21 + 8),
        (read(4_096), 4_116 + 8),
        ("i64.const 0 call $stable64_grow drop".to_string(), 100 + 7),
        ("call $stable64_size drop".to_string(), 6),
    ];
    let mut body = module.to_string();
    for (index, (code, _)) in methods.iter().enumerate() {
        body += &update(&format!("m{index:02}"), &format!("{code} call $msg_reply"));
    }
    let canister = Canister::wat(&pic, &body);
    let cost = |index: usize| {
        let name = format!("m{index:02}");
        canister.cost(|c| c.update(&name, vec![]).expect("a reply"))
    };
    let baseline = cost(0);
    for (index, (code, expected)) in methods.iter().enumerate() {
        assert_eq!(cost(index) - baseline, *expected, "{code}");
    }
}

#[test]
fn call_perform_costs_5_000() {
    let pic = one_subnet();
    // The call's own fee is taken too: 260_000 and 1_000 for each byte of method and reject text;
    // two calls of which one is not performed differ by it, the callback and 5_000.
    let module = "(memory 1) (table funcref (elem $f)) (func $f (param i32))
        (func (export \"canister_update counted\") (local i64)
            i32.const 0 i32.const 10 i32.const 16 i32.const 1
            i32.const 0 i32.const 0 i32.const 0 i32.const 0 call $call_new
            i32.const 0 call $performance_counter local.set 0
            call $call_perform drop
            i32.const 64 i32.const 0 call $performance_counter local.get 0 i64.sub i64.store
            i32.const 64 i32.const 8 call $msg_reply_data_append call $msg_reply)
        (data (i32.const 0) \"\\ff\\ff\\ff\\ff\\ff\\ff\\ff\\ff\\01\\01m\")";
    let canister = Canister::wat(&pic, module);
    let answer = canister.update("counted", vec![]).expect("a reply");
    assert_eq!(u64_at(&answer, 0), 5_000 + 200);
}
