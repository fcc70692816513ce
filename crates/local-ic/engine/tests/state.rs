//! What stays and what is undone.

mod common;

use common::*;
use local_ic_engine::{Entry, Instance, Trap};

/// A counter in heap, global and stable memory at once; `get` shows them as three digits.
fn counters(more: &str) -> Instance {
    let bump = "(global.set $g (i64.add (global.get $g) (i64.const 1)))
        (i64.store (i32.const 5000) (i64.add (i64.load (i32.const 5000)) (i64.const 1)))
        (call $stable64_read (i64.const 8) (i64.const 70000) (i64.const 8))
        (i64.store (i32.const 8) (i64.add (i64.load (i32.const 8)) (i64.const 1)))
        (call $stable64_write (i64.const 70000) (i64.const 8) (i64.const 8))";
    let get = reply_number(
        "(i64.add (i64.mul (global.get $g) (i64.const 100))
            (i64.add (i64.mul (i64.load (i32.const 5000)) (i64.const 10))
                (block (result i64)
                    (call $stable64_read (i64.const 8) (i64.const 70000) (i64.const 8))
                    (i64.load (i32.const 8)))))",
    );
    canister(&format!(
        r#"(global $g (mut i64) (i64.const 0)) (global $constant i64 (i64.const 3))
        (func $bump {bump}) (func $get {get})
        (func (export "canister_init") (drop (call $stable64_grow (i64.const 2))))
        (func (export "canister_update bump") (call $bump) (call $msg_reply))
        (func (export "canister_update trap") (call $bump) unreachable)
        (func (export "canister_update grow_and_trap") (call $bump) (drop (memory.grow (i32.const 3)))
            (i32.store (i32.const 200000) (i32.const 1)) (drop (call $stable64_grow (i64.const 3)))
            (call $stable64_write (i64.const 200000) (i64.const 0) (i64.const 8)) unreachable)
        (func (export "canister_query bump_query") (call $bump) (call $msg_reply))
        (func (export "canister_query get") (call $get))
        (func (export "canister_query grow_query") (drop (memory.grow (i32.const 1))) (call $msg_reply))
        (func (export "canister_query pages")
            {}) {more}"#,
        reply_number("(i64.extend_i32_u (memory.size))")
    ))
}

fn installed(more: &str) -> Instance {
    let mut canister = counters(more);
    assert!(canister.execute(Entry::Init, env()).result.is_ok());
    canister
}

fn get(canister: &mut Instance) -> u64 {
    number(&query(canister, "get"))
}

#[test]
fn should_keep_what_updates_do() {
    let mut canister = installed("");
    for expected in [111, 222, 333] {
        assert!(update(&mut canister, "bump").result.is_ok());
        assert_eq!(get(&mut canister), expected);
    }
}

#[test]
fn should_undo_all_of_a_trap() {
    let mut canister = installed("");
    update(&mut canister, "bump");
    let sizes = canister.memory_sizes();
    for method in ["trap", "grow_and_trap", "trap"] {
        assert_eq!(
            trap(&update(&mut canister, method)),
            Trap::Wasm("unreachable".into())
        );
        assert_eq!(get(&mut canister), 111, "{method}");
        assert_eq!(number(&query(&mut canister, "pages")), 1);
        assert_eq!(canister.memory_sizes(), sizes);
    }
    update(&mut canister, "bump");
    assert_eq!(get(&mut canister), 222);
}

#[test]
fn should_undo_what_queries_do() {
    let mut canister = installed("");
    update(&mut canister, "bump");
    for _ in 0..2 {
        reply(&query(&mut canister, "bump_query"));
        assert_eq!(get(&mut canister), 111);
        let outcome = canister.execute(Entry::ReplicatedQuery("bump_query".into()), env());
        reply(&outcome);
        assert_eq!(get(&mut canister), 111);
        reply(&query(&mut canister, "grow_query"));
        assert_eq!(number(&query(&mut canister, "pages")), 1);
    }
}

#[test]
fn should_undo_when_instructions_run_out() {
    let mut canister = installed("");
    let mut env = env();
    env.instruction_limit = 1_200;
    let outcome = canister.execute(Entry::Update("bump".into()), env);
    assert_eq!(trap(&outcome), Trap::InstructionLimit);
    assert_eq!(get(&mut canister), 0);
}

#[test]
fn should_drop_the_effects_of_queries_and_traps() {
    let text = format!(
        r#"{CALL_DATA} (func $f
            (call $certified_data_set (i32.const 0) (i32.const 1))
            (drop (call $global_timer_set (i64.const 1)))
            (call $cycles_burn128 (i64.const 0) (i64.const 5) (i32.const 0))
            {CALL_NEW} (drop (call $call_perform)))
        (func (export "canister_update ok") (call $f))
        (func (export "canister_update trap") (call $f) unreachable)
        (func (export "canister_query burn")
            (call $cycles_burn128 (i64.const 0) (i64.const 5) (i32.const 0)) (call $msg_reply))"#
    );
    let mut canister = canister(&text);
    let done = update(&mut canister, "ok").result.unwrap();
    assert_eq!((done.calls.len(), done.cycles_burned), (1, 5));
    assert!(update(&mut canister, "trap").result.is_err());
    let done = canister
        .execute(Entry::ReplicatedQuery("burn".into()), env())
        .result
        .unwrap();
    assert_eq!(
        (done.cycles_burned, done.balance),
        (5, BALANCE - 5),
        "a replicated query does burn"
    );
}

#[test]
fn should_empty_heap_on_upgrade_and_all_on_reinstall() {
    let mut canister = installed("");
    update(&mut canister, "bump");
    let module = canister.module().clone();
    canister
        .upgrade(engine(), module.clone())
        .expect("the same module");
    assert_eq!(get(&mut canister), 1, "stable memory stays");
    canister.install(engine(), module).expect("the same module");
    assert_eq!(canister.memory_sizes().stable, 0);
}

#[test]
fn should_restore_a_snapshot_after_a_failed_upgrade() {
    let mut canister = installed(
        r#"(func (export "canister_post_upgrade") (call $bump) unreachable)
        (func (export "canister_pre_upgrade") (call $bump))"#,
    );
    update(&mut canister, "bump");
    let saved = canister.snapshot();
    assert!(canister.execute(Entry::PreUpgrade, env()).result.is_ok());
    assert_eq!(get(&mut canister), 222);
    let module = canister.module().clone();
    canister.upgrade(engine(), module).expect("the same module");
    assert!(canister.execute(Entry::PostUpgrade, env()).result.is_err());
    assert_eq!(get(&mut canister), 2);
    canister.restore(saved);
    assert_eq!(get(&mut canister), 111);
    update(&mut canister, "bump");
    assert_eq!(get(&mut canister), 222);
}

#[test]
fn should_keep_changes_of_a_composite_query_for_its_callbacks_only() {
    let composite = format!(
        r#"{CALL_DATA} (func (export "canister_composite_query call") (call $bump) {CALL_NEW}
            (drop (call $call_perform)))
        (func (export "canister_composite_query alone") (call $bump) (call $get))
        (func $callback (param i32) (call $bump) (call $get))
        (elem (i32.const 1) func $callback)"#
    );
    let callback = Entry::ReplyCallback {
        fun: 1,
        env: 0,
        composite: true,
    };
    let mut canister = installed(&composite);
    update(&mut canister, "bump");
    let alone = canister.execute(Entry::CompositeQuery("alone".into()), env());
    assert_eq!(number(&alone), 222);
    assert_eq!(get(&mut canister), 111);

    for end in [true, false] {
        let outcome = canister.execute(Entry::CompositeQuery("call".into()), env());
        let made = calls(&outcome);
        assert_eq!(
            (made.len(), made[0].reserved),
            (1, 0),
            "queries pay nothing"
        );
        assert_eq!(
            get(&mut canister),
            111,
            "a query beside it sees nothing of it"
        );
        assert_eq!(
            number(&canister.execute(callback.clone(), env())),
            333,
            "and does not disturb it"
        );
        if end {
            canister.end_composite();
            assert_eq!(number(&canister.execute(callback.clone(), env())), 222);
        }
        assert_eq!(get(&mut canister), 111);
    }
    // An update ends a composite query that nobody ended.
    update(&mut canister, "bump");
    assert_eq!(get(&mut canister), 222);
}

#[test]
fn should_limit_the_heap_of_updates() {
    let text = format!(
        "{} {}",
        update_text(
            "grow",
            &format!(
                "(drop (memory.grow (i32.const 1))) {}",
                reply_number("(i64.extend_i32_u (memory.size))")
            )
        ),
        r#"(func (export "canister_query grow_query") (drop (memory.grow (i32.const 1))) (call $msg_reply))"#
    );
    let mut canister = canister(&text);
    let mut limited = env();
    limited.wasm_memory_limit = 2 * 65_536;
    let mut grow =
        |env: &local_ic_engine::Env| canister.execute(Entry::Update("grow".into()), env.clone());
    assert_eq!(number(&grow(&limited)), 2);
    assert_eq!(trap(&grow(&limited)), Trap::WasmMemoryLimit);
    limited.wasm_memory_limit = 65_536;
    assert_eq!(
        trap(&grow(&limited)),
        Trap::WasmMemoryLimit,
        "already above it"
    );
    reply(&canister.execute(Entry::Query("grow_query".into()), limited));
    assert_eq!(canister.memory_sizes().heap, 2 * 65_536);
}

#[test]
fn should_reset_tables_and_dropped_segments_for_every_message() {
    let text = format!(
        r#"(data $d "\05") (type $n (func (result i64)))
        (func $one (result i64) (i64.const 1)) (func $two (result i64) (i64.const 2))
        (elem (i32.const 1) func $one) (elem declare func $two)
        {} {}"#,
        update_text(
            "t",
            &format!(
                "(local.set $a (call_indirect (type $n) (i32.const 1))) (table.set (i32.const 1) (ref.func $two)) {}",
                reply_number(
                    "(i64.add (i64.mul (local.get $a) (i64.const 10)) (call_indirect (type $n) (i32.const 1)))"
                )
            )
        ),
        update_text(
            "d",
            "(memory.init $d (i32.const 0) (i32.const 0) (i32.const 1)) (data.drop $d) (call $msg_reply)"
        ),
    );
    let mut canister = canister(&text);
    for _ in 0..2 {
        assert_eq!(number(&update(&mut canister, "t")), 12);
        reply(&update(&mut canister, "d"));
    }
}

#[test]
fn should_set_and_show_stable_memory() {
    let mut canister = with_update(&reply_number("(call $stable64_size)"));
    canister.set_stable_bytes(&[3; 65_537]);
    assert_eq!(number(&update(&mut canister, "t")), 2);
    let bytes = canister.stable_bytes();
    assert_eq!((bytes.len(), bytes[65_536], bytes[65_537]), (131_072, 3, 0));
}

#[test]
fn should_report_sizes() {
    let canister = installed("");
    let sizes = canister.memory_sizes();
    assert_eq!(
        (sizes.heap, sizes.stable, sizes.globals),
        (65_536, 131_072, 8)
    );
    assert_eq!(sizes.wasm_binary, canister.module().binary_size());
}

#[test]
fn should_work_without_memory_or_table() {
    let module = compile(r#"(module (import "ic0" "msg_reply" (func $r)) (import "ic0" "debug_print" (func $p (param i32 i32)))
        (import "ic0" "msg_caller_copy" (func $c (param i32 i32 i32)))
        (func (export "canister_update t") (call $p (i32.const 0) (i32.const 1)) (call $r))
        (func (export "canister_update c") (call $c (i32.const 0) (i32.const 0) (i32.const 1))))"#).expect("valid");
    let mut canister = Instance::new(engine(), module).expect("usable");
    assert!(reply(&update(&mut canister, "t")).is_empty());
    assert!(violation(&update(&mut canister, "c")).contains("must define memory"));
    let gone = canister.execute(
        Entry::ReplyCallback {
            fun: 0,
            env: 0,
            composite: false,
        },
        env(),
    );
    assert!(matches!(trap(&gone), Trap::Wasm(_)));
}
