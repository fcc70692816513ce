//! Queries, composite queries, inspect_message (facts D and E of crates/torture/README.md).

mod common;

use common::*;
use ic_management_canister_types::CanisterInstallMode;
use local_ic_replica::*;

fn number(reply: &[u8]) -> u64 {
    u64::from_le_bytes(reply.try_into().expect("8 bytes"))
}

#[test]
fn modes_should_be_the_measured_ones() {
    let mut net = Network::new();
    let (a, b) = (net.kit(0), net.kit(0));
    // Tens: a certificate is present; ones: replicated execution.
    assert_eq!(number(&net.query(a, "modes", &[]).expect("replies")), 10);
    assert_eq!(
        number(&net.query(a, "composite_modes", &[]).expect("replies")),
        10
    );
    assert_eq!(number(&net.update(a, "modes", &[]).expect("replies")), 1);
    let reply = net
        .query(a, "ccall", &call(b, "modes", &[]).encode())
        .expect("replies");
    assert_eq!(number(&reply[..8]), 0, "the callee of a composite query");
}

#[test]
fn writes_of_queries_should_be_discarded() {
    let mut net = Network::new();
    let a = net.kit(0);
    let version = number(&net.query(a, "version", &[]).expect("replies"));
    for _ in 0..2 {
        assert_eq!(number(&net.query(a, "write", &[]).expect("replies")), 1);
    }
    assert_eq!(
        number(&net.query(a, "version", &[]).expect("replies")),
        version
    );
    for round in 1..=2 {
        assert_eq!(number(&net.update(a, "write", &[]).expect("replies")), 1);
        let now = number(&net.query(a, "version", &[]).expect("replies"));
        assert_eq!(now, version + round, "a replicated query counts");
    }
}

#[test]
fn query_errors_should_have_the_measured_codes() {
    let mut net = Network::new();
    let a = net.kit(0);
    let empty = net.create_on(0, T);
    let unknown = canister_id((1 << 20) + 5_000);
    let cases = [
        (a, "query_trap", 5, 503, "Error from Canister".to_string()),
        (
            a,
            "query_silent",
            5,
            506,
            format!("Canister {a} did not produce a response"),
        ),
        (
            a,
            "nope",
            5,
            536,
            format!("Error from Canister {a}: Canister has no query method 'nope'.."),
        ),
        (
            empty,
            "get",
            5,
            537,
            "Requested canister has no wasm module".to_string(),
        ),
        (
            unknown,
            "get",
            3,
            301,
            format!("Canister {unknown} not found"),
        ),
    ];
    for (canister, method, reject_code, error_code, text) in cases {
        let error = net.query(canister, method, &[]).expect_err("fails");
        assert_eq!(
            (error.reject_code, error.error_code, error.certified),
            (reject_code, error_code, false)
        );
        assert!(
            error.message.starts_with(&text),
            "{method}: {}",
            error.message
        );
    }
    let outside = Query {
        sender: USER,
        canister_id: canister_id(99 << 20),
        effective: Effective::None,
        method: "get".to_string(),
        arg: vec![],
    };
    assert!(matches!(
        net.replica.query(outside),
        Err(RequestError::Bad(_))
    ));
}

#[test]
fn composite_queries_should_call_queries_of_their_subnet_only() {
    let mut net = Network::new();
    let (a, b, far) = (net.kit(0), net.kit(0), net.kit(1));
    let run =
        |net: &mut Network, call: Call<'_>| net.query(a, "ccall", &call.encode()).expect("replies");
    // The last byte shows that the callback sees the heap its query left.
    let reply = run(&mut net, call(b, "get", &[]));
    assert_eq!(reply, [0, 0, 0, 0, 0, 0, 0, 0, 77]);
    // Its own canister, and a composite query that calls further.
    let reply = run(&mut net, call(a, "get", &[]));
    assert_eq!(reply.last(), Some(&77));
    let inner = call(b, "get", &[]).encode();
    assert_eq!(run(&mut net, call(b, "ccall", &inner)).len(), 10);
    for (callee, method, code, text) in [
        (far, "get", 3, format!("Canister {far} not found")),
        (b, "noop", 5, "IC0536: ".to_string()),
        (b, "query_trap", 5, "IC0503: ".to_string()),
    ] {
        let reply = run(&mut net, call(callee, method, &[]));
        assert_eq!(reply[0], code);
        assert!(
            String::from_utf8_lossy(&reply[1..]).starts_with(&text),
            "{method}"
        );
    }
    let error = net.update(a, "ccall", &[]).expect_err("refused");
    assert_eq!(
        (error.reject_code, error.error_code, error.certified),
        (5, 527, false)
    );
    // Nothing of it remains.
    assert_eq!(number(&net.query(a, "get", &[]).expect("replies")), 0);
}

#[test]
fn endless_composite_recursion_should_be_refused() {
    let mut net = Network::new();
    let a = net.kit(0);
    let mut arg = Vec::new();
    for _ in 0..10 {
        arg = call(a, "ccall", &arg).encode();
    }
    let reply = net
        .query(a, "ccall", &call(a, "ccall", &arg).encode())
        .expect("the outermost replies");
    assert!(String::from_utf8_lossy(&reply).contains("IC0525"));
}

#[test]
fn inspect_message_should_guard_ingress_only() {
    let mut net = Network::new();
    let guarded = net.create_on(0, 10 * T);
    net.install(
        guarded,
        r#"(module
            (import "ic0" "msg_reply" (func $reply))
            (import "ic0" "accept_message" (func $accept))
            (import "ic0" "msg_method_name_size" (func $size (result i32)))
            (import "ic0" "trap" (func $trap (param i32 i32)))
            (memory 1)
            (func (export "canister_inspect_message")
              (if (i32.eq (call $size) (i32.const 4)) (then (call $accept)))
              (if (i32.eq (call $size) (i32.const 5)) (then (call $trap (i32.const 0) (i32.const 1)))))
            (func (export "canister_update open") (call $reply))
            (func (export "canister_update traps") (call $reply))
            (func (export "canister_update closed") (call $reply)))"#,
    );
    assert_eq!(net.update(guarded, "open", &[]), Ok(vec![]));
    let error = net.update(guarded, "closed", &[]).expect_err("refused");
    assert_eq!(
        (error.reject_code, error.error_code, error.certified),
        (4, 406, false)
    );
    assert_eq!(
        error.message,
        format!("Error from Canister {guarded}: Canister rejected the message")
    );
    let error = net.update(guarded, "traps", &[]).expect_err("refused");
    assert_eq!((error.reject_code, error.error_code), (5, 503));
    let kit = net.kit(0);
    let reply = net
        .update(kit, "call", &call(guarded, "closed", &[]).encode())
        .expect("replies");
    assert_eq!(seen(&reply).code, 0, "calls are not inspected");
}

#[test]
fn certified_data_should_be_kept_and_cleared_as_measured() {
    let mut net = Network::new();
    let a = net.kit(0);
    let data = |net: &Network| {
        net.replica
            .canister_state(a)
            .expect("exists")
            .certified_data
    };
    net.update(a, "certify", b"root").expect("replies");
    assert_eq!(data(&net), b"root");
    let error = net.update(a, "certify", &[1; 33]).expect_err("too long");
    assert_eq!(error.error_code, 504);
    net.try_install(CanisterInstallMode::Upgrade(None), a, KIT, &[])
        .expect("upgrades");
    assert_eq!(data(&net), b"root");
    net.try_install(CanisterInstallMode::Reinstall, a, KIT, &[])
        .expect("reinstalls");
    assert_eq!(data(&net), b"");
    net.update(a, "certify", b"root").expect("replies");
    net.on("uninstall_code", a).expect("uninstalls");
    assert_eq!(data(&net), b"");
}
