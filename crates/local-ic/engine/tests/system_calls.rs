//! What system calls do, and where they may be made.

mod common;

use std::collections::BTreeMap;
use std::sync::Arc;

use common::*;
use local_ic_engine::{Answer, Entry, Env, Instance};

fn run(canister: &mut Instance, env: Env) -> local_ic_engine::Outcome {
    canister.execute(Entry::Update("t".into()), env)
}

/// Replies with `size` bytes from address 0.
fn reply_bytes(size: u32) -> String {
    format!("(call $msg_reply_data_append (i32.const 0) (i32.const {size})) (call $msg_reply)")
}

fn copied(copy: &str, size: u32) -> String {
    format!(
        "(call ${copy} (i32.const 0) (i32.const 0) (i32.const {size})) {}",
        reply_bytes(size)
    )
}

#[test]
fn should_show_argument_caller_and_identity() {
    let mut env = env();
    env.arg = b"argument".to_vec();
    let show =
        |copy: &str, size: u32| reply(&run(&mut with_update(&copied(copy, size)), env.clone()));
    assert_eq!(show("msg_arg_data_copy", 8), b"argument");
    assert_eq!(show("msg_caller_copy", 1), [4]);
    assert_eq!(show("canister_self_copy", 10), id(1).as_slice());
    assert_eq!(show("subnet_self_copy", 10), id(9).as_slice());
    assert_eq!(show("root_key_copy", 133), [7; 133]);
    assert!(show("msg_caller_info_data_copy", 0).is_empty());
    let number_of = |value: &str| number(&run(&mut with_update(&reply_number(value)), env.clone()));
    let size_of = |call: &str| number_of(&format!("(i64.extend_i32_u (call ${call}))"));
    for (call, expected) in [
        ("msg_arg_data_size", 8),
        ("msg_caller_size", 1),
        ("canister_self_size", 10),
        ("subnet_self_size", 10),
        ("root_key_size", 133),
        ("subnet_self_node_count", 13),
        ("canister_status", 1),
        ("msg_caller_info_data_size", 0),
        ("in_replicated_execution", 1),
        ("data_certificate_present", 0),
    ] {
        assert_eq!(size_of(call), expected, "{call}");
    }
    assert_eq!(number_of("(call $time)"), env.time);
    assert_eq!(number_of("(call $canister_version)"), 3);
    assert_eq!(number_of("(call $msg_deadline)"), 0);
}

#[test]
fn should_copy_parts_and_refuse_ranges_out_of_bounds() {
    let mut env = env();
    env.arg = b"argument".to_vec();
    let copy = |dst: u64, offset: u64, size: u64| {
        let text = format!(
            "(call $msg_arg_data_copy (i32.const {dst}) (i32.const {offset}) (i32.const {size})) {}",
            reply_bytes(8)
        );
        run(&mut with_update(&text), env.clone())
    };
    assert_eq!(reply(&copy(2, 3, 4)), b"\0\0umen\0\0");
    assert_eq!(
        violation(&copy(0, 0, 9)),
        "ic0.msg_arg_data_copy payload: src=0 + length=9 exceeds the slice size=8"
    );
    assert!(violation(&copy(65_536, 0, 1)).contains("msg_arg_data_copy heap"));
    assert!(violation(&copy(0, 0xffff_ffff, 2)).contains("exceeds"));
    assert_eq!(reply(&copy(65_536, 8, 0)), [0; 8], "nothing fits anywhere");
}

#[test]
fn should_reply_or_reject_once() {
    let outcome = update(&mut with_update("(call $msg_reply) (call $msg_reply)"), "t");
    assert_eq!(
        violation(&outcome),
        "ic0.msg_reply: the call is already replied"
    );
    let outcome = update(
        &mut with_update("(call $msg_reply) (call $msg_reject (i32.const 0) (i32.const 0))"),
        "t",
    );
    assert_eq!(
        violation(&outcome),
        "ic0.msg_reject: the call is already replied"
    );
    let text = format!(
        "(data (i32.const 0) \"no\\ff\") {}",
        update_text("t", "(call $msg_reject (i32.const 0) (i32.const 2))")
    );
    let outcome = update(&mut canister(&text), "t");
    assert_eq!(
        outcome.result.unwrap().answer,
        Some(Answer::Reject("no".into()))
    );
    let text = text.replace("(i32.const 2))", "(i32.const 3))");
    assert!(violation(&update(&mut canister(&text), "t")).contains("invalid UTF-8"));
    let mut answered = env();
    answered.answered = true;
    let outcome = run(&mut with_update("(call $msg_reply)"), answered);
    assert_eq!(
        violation(&outcome),
        "ic0.msg_reply: the call is already replied"
    );
    let outcome = update(&mut with_update(""), "t");
    assert_eq!(outcome.result.unwrap().answer, None);
}

#[test]
fn should_limit_replies() {
    let body = "(local.set $a (i64.const 40)) (drop (memory.grow (i32.const 63)))
        (call $msg_reply_data_append (i32.const 0) (i32.const SIZE)) (call $msg_reply)";
    let sized = |size: u32| {
        canister(
            &[
                update_text("t", &body.replace("SIZE", &size.to_string())),
                update_text("q", &body.replace("SIZE", &size.to_string()))
                    .replace("canister_update", "canister_query"),
            ]
            .concat(),
        )
    };
    const MIB: u32 = 1 << 20;
    assert_eq!(reply(&update(&mut sized(2 * MIB), "t")).len(), 2 << 20);
    assert_eq!(
        violation(&update(&mut sized(2 * MIB + 1), "t")),
        "ic0.msg_reply_data_append: application payload size (2097153) cannot be larger than 2097152"
    );
    assert_eq!(reply(&query(&mut sized(3 * MIB), "q")).len(), 3 << 20);
    assert!(violation(&query(&mut sized(3 * MIB + 1), "q")).contains("3145729"));
    let outcome = sized(2 * MIB + 1).execute(Entry::ReplicatedQuery("q".into()), env());
    assert!(violation(&outcome).contains("2097153"));
}

#[test]
fn should_handle_cycles_of_the_call() {
    let accept = |max: u64| {
        format!(
            "(call $msg_cycles_accept128 (i64.const 0) (i64.const {max}) (i32.const 0))
             (call $msg_cycles_available128 (i32.const 16))
             (call $canister_cycle_balance128 (i32.const 32)) {}",
            reply_bytes(48)
        )
    };
    let mut env = env();
    env.cycles_available = 10;
    let amounts = |bytes: Vec<u8>| -> Vec<u128> {
        bytes
            .chunks(16)
            .map(|part| u128::from_le_bytes(part.try_into().unwrap()))
            .collect()
    };
    let outcome = run(&mut with_update(&accept(3)), env.clone());
    assert_eq!(amounts(reply(&outcome)), [3, 7, BALANCE + 3]);
    let done = outcome.result.unwrap();
    assert_eq!((done.cycles_accepted, done.balance), (3, BALANCE + 3));
    let outcome = run(&mut with_update(&accept(30)), env.clone());
    assert_eq!(
        amounts(reply(&outcome)),
        [10, 0, BALANCE + 10],
        "no more than there are"
    );

    env.frozen_balance = BALANCE - 100;
    let burn = format!(
        "(call $canister_liquid_cycle_balance128 (i32.const 0))
         (call $cycles_burn128 (i64.const 0) (i64.const 500) (i32.const 16)) {}",
        reply_bytes(32)
    );
    let outcome = run(&mut with_update(&burn), env);
    assert_eq!(
        amounts(reply(&outcome)),
        [100, 100],
        "the frozen part stays"
    );
    let done = outcome.result.unwrap();
    assert_eq!((done.cycles_burned, done.balance), (100, BALANCE - 100));
}

#[test]
fn should_set_certified_data_of_at_most_32_bytes() {
    let set = |size: u32| format!("(call $certified_data_set (i32.const 0) (i32.const {size}))");
    let outcome = update(&mut with_update(&set(32)), "t");
    assert_eq!(
        outcome.result.unwrap().new_certified_data,
        Some(vec![0; 32])
    );
    let outcome = update(&mut with_update(&set(33)), "t");
    assert!(violation(&outcome).contains("no larger than 32 bytes. Found 33 bytes"));
}

#[test]
fn should_return_the_previous_timer() {
    let mut env = env();
    env.global_timer = 40;
    let body = reply_number(
        "(i64.add (i64.mul (call $global_timer_set (i64.const 7)) (i64.const 100)) (call $global_timer_set (i64.const 8)))",
    );
    let outcome = run(&mut with_update(&body), env);
    assert_eq!(number(&outcome), 4_007);
    assert_eq!(outcome.result.unwrap().new_global_timer, Some(8));
}

#[test]
fn should_know_controllers() {
    let text = |bytes: &str, size: u32| {
        format!(
            "(data (i32.const 64) \"{bytes}\") {}",
            update_text(
                "t",
                &reply_number(&format!(
                    "(i64.extend_i32_u (call $is_controller (i32.const 64) (i32.const {size})))"
                ))
            )
        )
    };
    let controller = "\\00\\00\\00\\00\\00\\00\\00\\02\\01\\01";
    assert_eq!(
        number(&update(&mut canister(&text(controller, 10)), "t")),
        1
    );
    assert_eq!(number(&update(&mut canister(&text("\\04", 1)), "t")), 0);
    assert!(violation(&update(&mut canister(&text("", 30)), "t")).contains("principal"));
}

#[test]
fn should_show_the_certificate_in_queries_only() {
    let text = [
        update_text(
            "t",
            &reply_number("(i64.extend_i32_u (call $data_certificate_present))"),
        ),
        update_text("copy", &copied("data_certificate_copy", 3)),
    ]
    .concat()
    .replace("canister_update", "canister_query");
    let mut canister = canister(&text);
    let mut env = env();
    let mut present = |entry: Entry, env: &Env| number(&canister.execute(entry, env.clone()));
    assert_eq!(present(Entry::Query("t".into()), &env), 0);
    env.data_certificate = Some(b"abc".to_vec());
    assert_eq!(present(Entry::Query("t".into()), &env), 1);
    assert_eq!(present(Entry::ReplicatedQuery("t".into()), &env), 0);
    assert_eq!(
        reply(&canister.execute(Entry::Query("copy".into()), env.clone())),
        b"abc"
    );
    env.data_certificate = None;
    let outcome = canister.execute(Entry::Query("copy".into()), env);
    assert!(violation(&outcome).contains("cannot be executed in non replicated query mode"));
}

#[test]
fn should_read_environment_variables() {
    let mut env = env();
    let variables = [("COLOUR", "blue"), ("SIZE", "large")];
    env.environment_variables = Arc::new(
        variables
            .iter()
            .map(|(k, v)| (k.to_string(), v.to_string()))
            .collect::<BTreeMap<_, _>>(),
    );
    let run = |body: &str| {
        let text = format!(
            "(data (i32.const 64) \"SIZENONE\") {}",
            update_text("t", body)
        );
        canister(&text).execute(Entry::Update("t".into()), env.clone())
    };
    let value = |value: &str| number(&run(&reply_number(&format!("(i64.extend_i32_u {value})"))));
    assert_eq!(value("(call $env_var_count)"), 2);
    assert_eq!(value("(call $env_var_name_size (i32.const 0))"), 6);
    assert_eq!(
        value("(call $env_var_name_exists (i32.const 64) (i32.const 4))"),
        1
    );
    assert_eq!(
        value("(call $env_var_name_exists (i32.const 68) (i32.const 4))"),
        0
    );
    assert_eq!(
        value("(call $env_var_value_size (i32.const 64) (i32.const 4))"),
        5
    );
    let copy = format!(
        "(call $env_var_name_copy (i32.const 1) (i32.const 0) (i32.const 0) (i32.const 4))
         (call $env_var_value_copy (i32.const 64) (i32.const 4) (i32.const 4) (i32.const 0) (i32.const 5)) {}",
        reply_bytes(9)
    );
    assert_eq!(reply(&run(&copy)), b"SIZElarge");
    assert!(violation(&run("(drop (call $env_var_name_size (i32.const 2)))")).contains("index 2"));
    let missing = "(drop (call $env_var_value_size (i32.const 68) (i32.const 4)))";
    assert!(violation(&run(missing)).contains("NONE not found"));
    let long = "(drop (call $env_var_name_exists (i32.const 0) (i32.const 129)))";
    assert!(violation(&run(long)).contains("too large"));
}
