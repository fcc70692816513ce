//! Modules whose memory has 64-bit addresses, as Motoko's compiler makes them. The interpreter refuses them.
#![cfg(feature = "compiler")]

mod common;

use common::*;
use local_ic_engine::{CompileError, Entry, Instance, Trap};

const WIDE_IMPORTS: &str = r#"
    (import "ic0" "msg_reply" (func $msg_reply))
    (import "ic0" "msg_reply_data_append" (func $msg_reply_data_append (param i64 i64)))
    (import "ic0" "msg_arg_data_size" (func $msg_arg_data_size (result i64)))
    (import "ic0" "msg_arg_data_copy" (func $msg_arg_data_copy (param i64 i64 i64)))
    (import "ic0" "performance_counter" (func $performance_counter (param i32) (result i64)))
    (import "ic0" "call_new" (func $call_new (param i64 i64 i64 i64 i64 i64 i64 i64)))
    (import "ic0" "call_perform" (func $call_perform (result i32)))"#;

fn wide(body: &str) -> Instance {
    let text = format!("(module {WIDE_IMPORTS} (memory i64 1) (table i64 16 funcref) {body})");
    let module = compile(&text).expect("the module is valid");
    Instance::new(engine(), module).expect("the module can be instantiated")
}

fn with_wide_update(body: &str) -> Instance {
    wide(&format!(
        r#"(func (export "canister_update t") (local $a i64) {body})"#
    ))
}

const REPLY_AT_0: &str =
    "(call $msg_reply_data_append (i64.const 0) (i64.const 8)) (call $msg_reply)";

#[test]
fn should_copy_the_argument_to_64_bit_addresses_and_reply() {
    let mut canister = with_wide_update(
        "(call $msg_arg_data_copy (i64.const 70000) (i64.const 0) (call $msg_arg_data_size))
         (call $msg_reply_data_append (i64.const 70000) (i64.const 3)) (call $msg_reply)",
    );
    let trapped = update(&mut canister, "t");
    assert!(violation(&trapped).contains("exceeds the slice size=65536"));
    let mut canister = with_wide_update(
        "(drop (memory.grow (i64.const 1)))
         (call $msg_arg_data_copy (i64.const 70000) (i64.const 0) (call $msg_arg_data_size))
         (call $msg_reply_data_append (i64.const 70000) (i64.const 3)) (call $msg_reply)",
    );
    let mut given = env();
    given.arg = b"abc".to_vec();
    let outcome = canister.execute(Entry::Update("t".into()), given);
    assert_eq!(reply(&outcome), b"abc");
}

#[test]
fn should_refuse_addresses_beyond_4_gib() {
    let mut canister = with_wide_update(
        "(call $msg_reply_data_append (i64.const 0x100000008) (i64.const 8)) (call $msg_reply)",
    );
    let said = violation(&update(&mut canister, "t"));
    assert!(said.contains("beyond the 4 GiB"), "{said}");
}

#[test]
fn should_not_grow_a_heap_beyond_4_gib() {
    let mut canister = with_wide_update(&format!(
        "(i64.store (i64.const 0) (memory.grow (i64.const 0x10000))) {REPLY_AT_0}"
    ));
    assert_eq!(number(&update(&mut canister, "t")), u64::MAX);
}

#[test]
fn should_count_the_bytes_of_bulk_operations() {
    let mut canister = with_wide_update(&format!(
        "(local.set $a (call $performance_counter (i32.const 0)))
         (memory.fill (i64.const 100) (i32.const 7) (i64.const 5000))
         (memory.copy (i64.const 8000) (i64.const 100) (i64.const 3000))
         (i64.store (i64.const 0)
            (i64.sub (call $performance_counter (i32.const 0)) (local.get $a)))
         {REPLY_AT_0}"
    ));
    let used = number(&update(&mut canister, "t"));
    assert!((8_000..9_000).contains(&used), "{used}");
}

#[test]
fn should_call_back_with_a_64_bit_argument() {
    let mut canister = wide(&format!(
        r#"(type $callback (func (param i64)))
        (elem (i64.const 1) func $replied $replied)
        (data (i64.const 1000) "\00\00\00\00\00\00\00\05\01\01work")
        (func $replied (param $env i64) (i64.store (i64.const 0) (local.get $env)) {REPLY_AT_0})
        (func (export "canister_update t")
            (call $call_new (i64.const 1000) (i64.const 10) (i64.const 1010) (i64.const 4)
                (i64.const 1) (i64.const 11) (i64.const 2) (i64.const 22))
            (drop (call $call_perform)))
        (func (export "canister_update oneway")
            (call $call_new (i64.const 1000) (i64.const 10) (i64.const 1010) (i64.const 4)
                (i64.const -1) (i64.const -1) (i64.const -1) (i64.const -1))
            (drop (call $call_perform)))"#
    ));
    let outcome = update(&mut canister, "t");
    let called = calls(&outcome);
    assert_eq!(called[0].callback, callback());
    let back = Entry::ReplyCallback {
        fun: 1,
        env: 11,
        composite: false,
    };
    assert_eq!(number(&canister.execute(back, env())), 11);
    let outcome = update(&mut canister, "oneway");
    let called = calls(&outcome);
    let back = Entry::ReplyCallback {
        fun: called[0].callback.reply_fun,
        env: called[0].callback.reply_env,
        composite: false,
    };
    assert!(canister.execute(back, env()).result.is_ok());
}

#[test]
fn should_roll_back_after_a_trap() {
    let mut canister = wide(&format!(
        r#"(func (export "canister_update set") (i64.store (i64.const 0) (i64.const 5)) unreachable)
        (func (export "canister_update get") {REPLY_AT_0})"#
    ));
    assert!(matches!(trap(&update(&mut canister, "set")), Trap::Wasm(_)));
    assert_eq!(number(&update(&mut canister, "get")), 0);
}

#[test]
fn should_want_imports_of_the_width_of_the_memory() {
    for (memory, param) in [("(memory i64 1)", "i32"), ("(memory 1)", "i64")] {
        let text = format!(
            r#"(module (import "ic0" "msg_reply_data_append" (func (param {param} {param}))) {memory})"#
        );
        assert!(
            matches!(compile(&text), Err(CompileError::Import(_))),
            "{text}"
        );
    }
    // It knows 4 GiB of stable memory only, and is older than 64-bit addresses.
    let old = r#"(module (import "ic0" "stable_size" (func (result i32))) (memory i64 1))"#;
    assert!(matches!(compile(old), Err(CompileError::Import(_))));
}
