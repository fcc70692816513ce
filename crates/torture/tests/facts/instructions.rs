//! Section C: instruction weights, from the cycles charged.

use crate::support::*;
use handmade::update;
use pocket_ic::PocketIc;
use std::fmt::Write;

const TIMES: usize = 50;

const SURROUNDINGS: &str = "
    (memory 20) (global $g (mut i32) (i32.const 0))
    (type $void (func)) (table funcref (elem $empty)) (func $empty)";

/// Measures what each snippet costs in instructions, and compares.
fn assert_weights(pic: &PocketIc, expected: &[(&str, u128)]) {
    let mut body =
        SURROUNDINGS.to_string() + &update("w000", "(local i32 i64 f64) call $msg_reply");
    for (index, (snippet, _)) in expected.iter().enumerate() {
        let name = format!("w{:03}", index + 1);
        let repeated = format!("{snippet} ").repeat(TIMES);
        let code = format!("(local i32 i64 f64) {repeated} call $msg_reply");
        body += &update(&name, &code);
    }
    let canister = Canister::wat(pic, &body);
    let cost = |index: usize| {
        let name = format!("w{index:03}");
        canister.cost(|c| c.update(&name, vec![]).expect("a reply"))
    };
    let baseline = cost(0);
    let mut wrong = String::new();
    for (index, (snippet, weight)) in expected.iter().enumerate() {
        let measured = cost(index + 1) - baseline;
        if measured != weight * TIMES as u128 {
            let each = measured as f64 / TIMES as f64;
            writeln!(wrong, "{snippet}: {weight} expected, {each} charged").expect("a string");
        }
    }
    assert!(wrong.is_empty(), "\n{wrong}");
}

#[test]
fn weight_0_and_1_instructions() {
    let pic = one_subnet();
    assert_weights(
        &pic,
        &[
            ("nop", 1),
            ("i32.const 7 drop", 2),
            ("local.get 0 drop", 2),
            ("i32.const 7 local.set 0", 2),
            ("i32.const 7 local.tee 0 drop", 3),
            ("i32.const 1 i32.const 2 i32.const 1 select drop", 5),
            ("local.get 0 i32.const 2 i32.add drop", 4),
            ("local.get 1 i64.const 2 i64.sub drop", 4),
            ("local.get 1 i64.const 2 i64.mul drop", 4),
            ("local.get 0 i32.const 2 i32.shl drop", 4),
            ("local.get 1 i64.const 2 i64.rotl drop", 4),
            ("local.get 0 i32.popcnt drop", 3),
            ("local.get 1 i64.clz drop", 3),
            ("local.get 0 i32.eqz drop", 3),
            ("local.get 0 i64.extend_i32_u drop", 3),
            ("local.get 1 i32.wrap_i64 drop", 3),
            ("local.get 2 f64.neg drop", 3),
            ("i32.const 8 i32.load drop", 3),
            ("i32.const 8 i32.const 0 i32.store", 3),
            ("block end", 0),
            ("loop end", 0),
        ],
    );
}

#[test]
fn weight_2_to_5_instructions() {
    let pic = one_subnet();
    assert_weights(
        &pic,
        &[
            ("global.get $g drop", 3),
            ("i32.const 1 global.set $g", 3),
            ("i32.const 1 if end", 3),
            ("i32.const 0 if nop else end", 3),
            ("block br 0 end", 2),
            ("block i32.const 1 br_if 0 end", 3),
            ("block i32.const 0 br_if 0 end", 3),
            ("block i32.const 0 br_table 0 0 end", 3),
            ("local.get 2 f64.const 2 f64.add drop", 5),
            ("local.get 2 f64.const 2 f64.mul drop", 5),
            ("local.get 2 f64.floor drop", 4),
            ("local.get 2 f64.const 2 f64.eq drop", 6),
            ("local.get 1 f64.convert_i64_s drop", 5),
            ("local.get 2 f64.const 2 f64.div drop", 8),
            // 5 for the call, 1 for entering the function.
            ("call $empty", 6),
        ],
    );
}

#[test]
fn heavier_instructions() {
    let pic = one_subnet();
    assert_weights(
        &pic,
        &[
            ("local.get 2 f64.sqrt drop", 10),
            ("i32.const 9 i32.const 2 i32.div_s drop", 13),
            ("i32.const 9 i32.const 2 i32.div_u drop", 13),
            ("i64.const 9 i64.const 2 i64.rem_s drop", 13),
            ("i64.const 9 i64.const 2 i64.rem_u drop", 13),
            ("i32.const 0 call_indirect (type $void)", 12),
            ("local.get 2 f64.const 2 f64.min drop", 21),
            ("memory.size drop", 21),
            ("local.get 2 i64.trunc_sat_f64_s drop", 22),
            ("i32.const 0 memory.grow drop", 302),
            ("i32.const 0 i32.const 0 i32.const 0 memory.fill", 103),
            ("i32.const 0 i32.const 0 i32.const 640 memory.fill", 743),
            ("i32.const 0 i32.const 64 i32.const 40 memory.copy", 143),
        ],
    );
}

#[test]
fn loops() {
    let pic = one_subnet();
    let turns = |name: &str, count: u32, body: &str| {
        let code = format!(
            "(local i32 i32) i32.const {count} local.set 0 loop {body} br_if 0 end call $msg_reply"
        );
        update(name, &code)
    };
    let bodies = [
        ("local.get 0 i32.const 1 i32.sub local.set 0 local.get 0", 7),
        ("local.get 0 i32.const 1 i32.sub local.tee 0", 6),
        (
            "local.get 1 i32.const 3 i32.mul i32.const 1 i32.add local.set 1
             local.get 0 i32.const 1 i32.sub local.tee 0",
            12,
        ),
    ];
    for (body, weight) in bodies {
        let module = turns("l1", 1, body) + &turns("l2", 1_000_001, body);
        let canister = Canister::wat(&pic, &module);
        let cost = |name: &str| canister.cost(|c| c.update(name, vec![]).expect("a reply"));
        assert_eq!(cost("l2") - cost("l1"), weight * 1_000_000, "{body}");
    }
}

/// Replies with the difference of two counters with `between` between them.
fn counter_difference(name: &str, between: &str) -> String {
    let code = format!(
        "(local i64 i64)
         i32.const 0 call $performance_counter local.set 0
         {between}
         i32.const 0 call $performance_counter local.set 1
         i32.const 0 local.get 1 local.get 0 i64.sub i64.store
         i32.const 0 i32.const 8 call $msg_reply_data_append call $msg_reply"
    );
    update(name, &code)
}

#[test]
fn straight_line_code_is_charged_on_entry() {
    let pic = one_subnet();
    let module = "(memory 1)".to_string()
        + &counter_difference("adjacent", "")
        + &counter_difference("straight", &"nop ".repeat(100))
        + &counter_difference("branching", "i32.const 1 if nop nop nop end");
    let canister = Canister::wat(&pic, &module);
    let difference = |name: &str| {
        let answer = canister.update(name, vec![]).expect("a reply");
        u64_at(&answer, 0)
    };
    assert_eq!(difference("adjacent"), 200);
    assert_eq!(difference("straight"), 200, "the block was charged before");
    assert!(
        difference("branching") > 200,
        "a new block is charged later"
    );
}

#[test]
fn changed_heap_pages_are_charged_at_the_end() {
    let pic = one_subnet();
    let store = |name: &str, value: u32, pages: u32| {
        let stores: String = (0..pages)
            .map(|page| format!("i32.const {} i32.const {value} i32.store ", page * 4_096))
            .collect();
        update(name, &format!("{stores} call $msg_reply"))
    };
    let module = "(memory 4)".to_string()
        + &store("zero1", 0, 1)
        + &store("one01", 1, 1)
        + &store("zero9", 0, 9)
        + &store("nine9", 9, 9);
    let canister = Canister::wat(&pic, &module);
    let cost = |name: &str| canister.cost(|c| c.update(name, vec![]).expect("a reply"));
    let unchanged = cost("zero1");
    assert_eq!(cost("one01"), unchanged + 1_000, "one page changed");
    assert_eq!(cost("one01"), unchanged, "equal bytes are free");
    assert_eq!(cost("zero1"), unchanged + 1_000, "changed back");
    let unchanged = cost("zero9");
    assert_eq!(cost("nine9"), unchanged + 9_000);
    assert_eq!(cost("nine9"), unchanged);
}
