//! Entry points, and which system calls each may make.

mod common;

use common::*;
use local_ic_engine::{Entry, Instance, Trap};

#[test]
fn should_report_missing_methods_by_kind() {
    let mut canister = with_update("");
    let missing =
        |canister: &mut Instance, entry: Entry| match trap(&canister.execute(entry, env())) {
            Trap::MethodNotFound(text) => text,
            other => panic!("{other:?}"),
        };
    assert_eq!(
        missing(&mut canister, Entry::Update("nope".into())),
        "Canister has no update method 'nope'"
    );
    assert_eq!(
        missing(&mut canister, Entry::Query("t".into())),
        "Canister has no query method 't'"
    );
    assert_eq!(
        missing(&mut canister, Entry::CompositeQuery("t".into())),
        "Canister has no composite query method 't'"
    );
}

/// Every entry point, and whether a call may be made there.
#[test]
fn should_check_where_each_call_is_made() {
    let calls = [
        ("(call $msg_reply)", "msg_reply", "UQRCrjxy"),
        ("(drop (call $time))", "time", "IPUQRCNrjcxyzT"),
        (
            "(drop (call $msg_arg_data_size))",
            "msg_arg_data_size",
            "IUQRCNrx",
        ),
        ("(call $accept_message)", "accept_message", "N"),
        (
            "(drop (call $msg_method_name_size))",
            "msg_method_name_size",
            "N",
        ),
        ("(drop (call $msg_reject_code))", "msg_reject_code", "rjxy"),
        (
            "(drop (call $msg_reject_msg_size))",
            "msg_reject_msg_size",
            "jy",
        ),
        (
            "(call $certified_data_set (i32.const 0) (i32.const 1))",
            "certified_data_set",
            "IPUrjT",
        ),
        (
            "(drop (call $global_timer_set (i64.const 0)))",
            "global_timer_set",
            "IPUrjcT",
        ),
        (
            "(call $msg_cycles_available128 (i32.const 0))",
            "msg_cycles_available128",
            "URrj",
        ),
        (
            "(call $msg_cycles_refunded128 (i32.const 0))",
            "msg_cycles_refunded128",
            "rj",
        ),
        (
            "(call $cycles_burn128 (i64.const 0) (i64.const 0) (i32.const 0))",
            "cycles_burn128",
            "IPURrjcT",
        ),
        (CALL_NEW, "call_new", "UCrjxyT"),
        ("(drop (call $root_key_size))", "root_key_size", "IPURrjcT"),
        ("(drop (call $msg_deadline))", "msg_deadline", "UQRCrjxy"),
        (
            "(drop (call $performance_counter (i32.const 0)))",
            "performance_counter",
            "IPUQRCNrjcxyzT",
        ),
    ];
    let entries: Vec<(char, &str, Entry)> = vec![
        ('I', "init", Entry::Init),
        ('P', "pre upgrade", Entry::PreUpgrade),
        ('U', "update", Entry::Update("u".into())),
        ('Q', "non replicated query", Entry::Query("q".into())),
        ('R', "replicated query", Entry::ReplicatedQuery("q".into())),
        ('C', "composite query", Entry::CompositeQuery("c".into())),
        (
            'N',
            "inspect message",
            Entry::InspectMessage { method: "u".into() },
        ),
        (
            'r',
            "reply callback",
            Entry::ReplyCallback {
                fun: 1,
                env: 0,
                composite: false,
            },
        ),
        ('j', "reject callback", reject(false)),
        (
            'c',
            "cleanup",
            Entry::Cleanup {
                fun: 1,
                env: 0,
                composite: false,
            },
        ),
        (
            'x',
            "composite reply callback",
            Entry::ReplyCallback {
                fun: 1,
                env: 0,
                composite: true,
            },
        ),
        ('y', "composite reject callback", reject(true)),
        (
            'z',
            "composite cleanup",
            Entry::Cleanup {
                fun: 1,
                env: 0,
                composite: true,
            },
        ),
        ('T', "system task", Entry::GlobalTimer),
        ('T', "system task", Entry::Heartbeat),
    ];
    for (body, name, allowed) in calls {
        let text = format!(
            r#"{CALL_DATA} (func $f {body}) (func $cb (param i32) (call $f)) (elem (i32.const 1) func $cb)
            (export "canister_init" (func $f)) (export "canister_pre_upgrade" (func $f))
            (export "canister_update u" (func $f)) (export "canister_query q" (func $f))
            (export "canister_composite_query c" (func $f)) (export "canister_inspect_message" (func $f))
            (export "canister_global_timer" (func $f)) (export "canister_heartbeat" (func $f))"#
        );
        let mut canister = canister(&text);
        for (letter, mode, entry) in &entries {
            let outcome = canister.execute(entry.clone(), env());
            if allowed.contains(*letter) {
                assert!(
                    outcome.result.is_ok(),
                    "{name} in {mode}: {:?}",
                    outcome.result
                );
            } else {
                assert_eq!(
                    violation(&outcome),
                    format!("\"ic0_{name}\" cannot be executed in {mode} mode")
                );
            }
        }
    }
}

#[test]
fn should_inspect_messages() {
    let text = r#"(func (export "canister_inspect_message")
            (if (i32.eq (call $msg_method_name_size) (i32.const 4)) (then (call $accept_message)))
            (if (i32.eq (call $msg_method_name_size) (i32.const 5)) (then (call $accept_message) (call $accept_message))))"#;
    let mut inspecting = canister(text);
    let inspect = |canister: &mut Instance, method: &str| {
        canister.execute(
            Entry::InspectMessage {
                method: method.into(),
            },
            env(),
        )
    };
    assert!(
        inspect(&mut inspecting, "four")
            .result
            .unwrap()
            .accepted_message
    );
    assert!(
        !inspect(&mut inspecting, "three!")
            .result
            .unwrap()
            .accepted_message
    );
    assert!(violation(&inspect(&mut inspecting, "five!")).contains("already called"));
    let mut without = with_update("");
    assert!(
        inspect(&mut without, "t").result.unwrap().accepted_message,
        "all are accepted"
    );
}

#[test]
fn should_do_nothing_for_system_entry_points_that_are_not_exported() {
    let mut canister = with_update("");
    for entry in [
        Entry::Init,
        Entry::PreUpgrade,
        Entry::PostUpgrade,
        Entry::GlobalTimer,
        Entry::Heartbeat,
    ] {
        let outcome = canister.execute(entry.clone(), env());
        assert_eq!(outcome.instructions, 0, "{entry:?}");
        assert_eq!(outcome.result.unwrap().balance, BALANCE);
    }
}

fn reject(composite: bool) -> Entry {
    Entry::RejectCallback {
        fun: 1,
        env: 0,
        code: 5,
        message: "no".into(),
        composite,
    }
}
