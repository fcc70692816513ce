//! Which modules are accepted, and what is known about them.

mod common;

use std::io::Write;

use common::*;
#[cfg(feature = "compiler")]
use local_ic_engine::Engine;
use local_ic_engine::{CompileError, Entry, Instance};
use sha2::{Digest, Sha256};

fn refused(text: &str) -> CompileError {
    match compile(text) {
        Ok(_) => panic!("accepted: {text}"),
        Err(error) => error,
    }
}

#[test]
fn should_accept_gzipped_modules_and_hash_the_bytes_as_given() {
    let wasm = wat::parse_str("(module (func (export \"canister_update m\")))").expect("valid");
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
    encoder.write_all(&wasm).expect("in memory");
    let gzipped = encoder.finish().expect("in memory");
    let plain = engine().compile(&wasm).expect("valid");
    let packed = engine().compile(&gzipped).expect("valid");
    assert_eq!(plain.hash()[..], Sha256::digest(&wasm)[..]);
    assert_eq!(packed.hash()[..], Sha256::digest(&gzipped)[..]);
    assert!(packed.has_update("m") && !packed.has_query("m"));
    assert_eq!(packed.binary_size(), gzipped.len() as u64);
    assert_eq!(plain.operators(), 1, "the end of the only function");
}

#[test]
fn should_refuse_what_is_not_wasm() {
    assert_eq!(
        engine().compile(b"").unwrap_err(),
        CompileError::UnsupportedFormat
    );
    assert_eq!(
        engine().compile(b"hello").unwrap_err(),
        CompileError::UnsupportedFormat
    );
    assert!(matches!(
        engine().compile(&[0x1f, 0x8b, 1, 2, 3]),
        Err(CompileError::Gzip(_))
    ));
    assert!(matches!(
        engine().compile(b"\0asm\x01\0\0\0\xff"),
        Err(CompileError::Invalid(_))
    ));
}

#[test]
fn should_refuse_wrong_imports() {
    for text in [
        r#"(module (import "env" "f" (func)))"#,
        r#"(module (import "ic0" "no_such_call" (func)))"#,
        r#"(module (import "ic0" "msg_reply" (func (param i32))))"#,
        r#"(module (import "ic0" "time" (func (result i32))))"#,
        r#"(module (import "ic0" "memory" (memory 1)))"#,
    ] {
        assert!(matches!(refused(text), CompileError::Import(_)), "{text}");
    }
}

#[test]
fn should_refuse_wrong_exports() {
    for text in [
        r#"(module (func (export "canister_init") (param i32)))"#,
        r#"(module (func (export "canister_update m") (result i32) (i32.const 1)))"#,
        r#"(module (func (export "canister_start")))"#,
        r#"(module (func (export "canister_magic")))"#,
        r#"(module (func (export "canister_update m")) (func (export "canister_query m")))"#,
    ] {
        assert!(matches!(refused(text), CompileError::Export(_)), "{text}");
    }
    assert!(matches!(
        refused(r#"(module (func (export "canister_on_low_wasm_memory")))"#),
        CompileError::Unsupported(_)
    ));
    compile(r#"(module (func (export "anything else") (param i32)))"#)
        .expect("other exports are free");
}

#[test]
fn should_refuse_features_canisters_have_not() {
    for text in [
        "(module (memory 1) (table i64 1 funcref))",
        "(module (memory 1 1 shared))",
        "(module (memory 1) (memory 1))",
        "(module (tag))",
    ] {
        assert!(matches!(refused(text), CompileError::Invalid(_)), "{text}");
    }
    let text = format!("(module {})", "(global i32 (i32.const 0))".repeat(1_001));
    assert!(matches!(
        refused(&text),
        CompileError::TooMany { defined: 1_001, .. }
    ));
}

#[test]
fn should_list_custom_sections() {
    let module = compile(
        r#"(module (@custom "icp:public candid:service" "service : {}")
                   (@custom "icp:private secret" "s") (@custom "producers" "x"))"#,
    )
    .expect("valid");
    let sections = module.custom_sections();
    assert_eq!(sections.len(), 2);
    assert!(sections[0].public && sections[0].name == "candid:service");
    assert_eq!(sections[0].data, b"service : {}");
    assert!(!sections[1].public && sections[1].name == "secret");
    for text in [
        r#"(module (@custom "icp:protected x" ""))"#,
        r#"(module (@custom "icp:public x" "") (@custom "icp:private x" ""))"#,
    ] {
        assert!(
            matches!(refused(text), CompileError::CustomSection(_)),
            "{text}"
        );
    }
}

#[test]
fn should_know_the_entry_points() {
    let module = compile(
        r#"(module (func (export "canister_query q")) (func (export "canister_composite_query c"))
            (func (export "canister_heartbeat")) (func (export "canister_inspect_message")))"#,
    )
    .expect("valid");
    assert!(module.has_query("q") && module.has_composite_query("c"));
    assert!(module.has_heartbeat() && !module.has_global_timer());
    assert!(module.has_system("canister_inspect_message") && !module.has_system("canister_init"));
}

#[test]
fn should_report_a_data_segment_out_of_bounds() {
    let module = compile(r#"(module (memory 1) (data (i32.const 65535) "ab"))"#).expect("valid");
    assert!(matches!(
        Instance::new(engine(), module),
        Err(CompileError::Instantiate(_))
    ));
}

#[test]
fn should_run_the_start_function_with_init_and_post_upgrade_only() {
    let text = format!(
        r#"(global $n (mut i64) (i64.const 0))
        (func $start (global.set $n (i64.add (global.get $n) (i64.const 1))))
        (start $start) {}"#,
        update_text("t", &reply_number("(global.get $n)"))
    );
    let mut canister = canister(&text);
    assert_eq!(number(&update(&mut canister, "t")), 0);
    assert_eq!(canister.execute(Entry::Init, env()).instructions, 1 + 6);
    assert_eq!(number(&update(&mut canister, "t")), 1);
    assert!(canister.execute(Entry::PreUpgrade, env()).result.is_ok());
    assert_eq!(number(&update(&mut canister, "t")), 1);
    let module = canister.module().clone();
    canister.upgrade(engine(), module).expect("the same module");
    assert_eq!(number(&update(&mut canister, "t")), 0);
    assert!(canister.execute(Entry::PostUpgrade, env()).result.is_ok());
    assert_eq!(number(&update(&mut canister, "t")), 1);
}

#[test]
fn should_restrict_the_start_function() {
    let text = r#"(func $start (drop (call $time))) (start $start)"#;
    let outcome = canister(text).execute(Entry::Init, env());
    assert_eq!(
        violation(&outcome),
        "\"ic0_time\" cannot be executed in start mode"
    );
}

#[test]
#[cfg(feature = "compiler")]
fn should_keep_compiled_modules_on_disk() {
    let directory =
        std::env::temp_dir().join(format!("local-ic-engine-test-{}", std::process::id()));
    let text = module_text(&update_text("t", "(call $msg_reply)"));
    let wasm = wat::parse_str(&text).expect("valid");
    for _ in 0..2 {
        let engine = Engine::with_cache_dir(Some(directory.clone())).expect("usable");
        let module = engine.compile(&wasm).expect("valid");
        let mut canister = Instance::new(&engine, module).expect("usable");
        assert_eq!(update(&mut canister, "t").instructions, 506);
    }
    let entries = std::fs::read_dir(&directory)
        .expect("the cache is there")
        .count();
    // The cache's own thread may still write to it.
    for _ in 0..100 {
        if std::fs::remove_dir_all(&directory).is_ok() {
            break;
        }
        std::thread::sleep(std::time::Duration::from_millis(20));
    }
    assert!(entries > 0, "nothing was kept");
}
