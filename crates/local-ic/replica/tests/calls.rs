//! Inter-canister calls: answers, refunds, deadlines, callbacks that trap (facts D and E of crates/torture/README.md).

mod common;

use common::*;
use local_ic_replica::*;

fn number(reply: &[u8]) -> u64 {
    u64::from_le_bytes(reply.try_into().expect("8 bytes"))
}

fn run(net: &mut Network, caller: Principal, call: Call<'_>) -> Seen {
    seen(
        &net.update(caller, "call", &call.encode())
            .expect("the caller replies"),
    )
}

#[test]
fn errors_should_reach_callers_with_the_measured_codes_and_texts() {
    let mut net = Network::new();
    let (a, b) = (net.kit(0), net.kit(0));
    let empty = net.create_on(0, T);
    let stopped = net.kit(0);
    net.on("stop_canister", stopped).expect("stops");
    let unknown = canister_id((1 << 20) + 5_000);
    let outside = canister_id(99 << 20);
    let cases: Vec<(Principal, &str, u32, String)> = vec![
        (
            b,
            "trap",
            5,
            format!(
                "IC0503: Error from Canister {b}: Canister called `ic0.trap` with message: 'boom'."
            ),
        ),
        (
            b,
            "unreachable",
            5,
            format!("IC0502: Error from Canister {b}: Canister trapped: unreachable."),
        ),
        (b, "reject", 4, "boom".to_string()),
        (b, "twice", 5, "IC0504: ".to_string()),
        (b, "silent", 5, "No response".to_string()),
        (
            b,
            "nope",
            5,
            format!("IC0536: Error from Canister {b}: Canister has no update method 'nope'.."),
        ),
        (b, "ccall", 5, "IC0527: ".to_string()),
        (unknown, "noop", 3, format!("Canister {unknown} not found")),
        (
            outside,
            "noop",
            3,
            format!("No route to canister {outside}"),
        ),
        (empty, "noop", 5, "IC0537: ".to_string()),
        (stopped, "noop", 5, format!("Canister {stopped} is stopped")),
    ];
    for (callee, method, code, text) in cases {
        let seen = run(&mut net, a, call(callee, method, &[]));
        assert_eq!(seen.code, code, "{method}: {}", seen.text());
        assert!(seen.text().starts_with(&text), "{method}: {}", seen.text());
    }
    let frozen = net.kit(0);
    let settings = ic_management_canister_types::CanisterSettings {
        freezing_threshold: Some(1_000_000_000_000_000_u64.into()),
        ..Default::default()
    };
    net.settings(frozen, settings).expect("is set");
    let seen = run(&mut net, a, call(frozen, "noop", &[]));
    assert_eq!(seen.code, 2);
    let text = format!("IC0207: Canister {frozen} is out of cycles");
    assert!(seen.text().starts_with(&text), "{}", seen.text());
}

#[test]
fn messages_to_other_subnets_should_have_a_size_limit() {
    let mut net = Network::new();
    let (a, near, far) = (net.kit(0), net.kit(0), net.kit(1));
    let grow = r#"(module
        (import "ic0" "msg_reply" (func $reply))
        (import "ic0" "msg_reply_data_append" (func $append (param i32 i32)))
        (import "ic0" "msg_reject_code" (func $code (result i32)))
        (import "ic0" "msg_arg_data_copy" (func $arg (param i32 i32 i32)))
        (import "ic0" "call_new" (func $call_new (param i32 i32 i32 i32 i32 i32 i32 i32)))
        (import "ic0" "call_data_append" (func $call_append (param i32 i32)))
        (import "ic0" "call_perform" (func $perform (result i32)))
        (memory 64)
        (table funcref (elem $done $rejected))
        (data (i32.const 100) "noop")
        (func $done (param i32) (call $append (i32.const 200) (i32.const 1)) (call $reply))
        (func $rejected (param i32)
          (i32.store8 (i32.const 200) (call $code))
          (call $append (i32.const 200) (i32.const 1)) (call $reply))
        (func (export "canister_update send")
          (call $arg (i32.const 0) (i32.const 0) (i32.const 10))
          (call $call_new (i32.const 0) (i32.const 10) (i32.const 100) (i32.const 4)
            (i32.const 0) (i32.const 0) (i32.const 1) (i32.const 0))
          (call $call_append (i32.const 0) (i32.const 2097149))
          (drop (call $perform))))"#;
    let sender = net.create_on(0, 100 * T);
    net.install(sender, grow);
    assert_eq!(
        net.update(sender, "send", near.as_slice()),
        Ok(vec![0]),
        "same subnet"
    );
    assert_eq!(
        net.update(sender, "send", far.as_slice()),
        Ok(vec![5]),
        "other subnet"
    );
    assert_ne!(a, near);
}

#[test]
fn cycles_should_be_accepted_refunded_and_kept_as_measured() {
    let mut net = Network::new();
    let a = net.kit(0);
    for subnet in [0, 1] {
        let b = net.kit(subnet);
        for (method, accept, refunded, kept) in [
            ("accept", 3_000_000_u64, 7_000_000, 3_000_000),
            ("accept", 10_000_000, 0, 10_000_000),
            ("accept_trap", 10_000_000, 10_000_000, 0),
            ("accept_reject", 4_000_000, 6_000_000, 4_000_000),
            ("noop", 0, 10_000_000, 0),
        ] {
            net.replica.last_instructions();
            let before = net.balance(b);
            let arg = accept.to_le_bytes();
            let call = Call {
                cycles: 10_000_000,
                ..call(b, method, &arg)
            };
            let seen = run(&mut net, a, call);
            assert_eq!(seen.refunded, refunded, "{method}");
            let instructions: u64 = net
                .replica
                .last_instructions()
                .iter()
                .filter(|cost| cost.canister == b)
                .map(|cost| cost.instructions)
                .sum();
            let fee = 5_000_000 + u128::from(instructions);
            assert_eq!(net.balance(b) + fee - before, kept, "{method}");
        }
    }
}

#[test]
fn bounded_wait_calls_should_expire_while_the_callee_runs_and_lose_no_cycles() {
    let mut net = Network::new();
    let (a, b) = (net.kit(0), net.kit(0));
    net.advance(SECOND - net.replica.time() % SECOND);
    net.replica.round();
    let start = net.replica.time();
    // The callee waits for an outcall that nobody answers for now.
    let http = candid::encode_one(ic_management_canister_types::HttpRequestArgs {
        url: "https://example.org/".to_string(),
        max_response_bytes: Some(2_000),
        ..Default::default()
    })
    .expect("encodes");
    let inner = Call {
        cycles: 1_000_000_000,
        ..call(MANAGEMENT, "http_request", &http)
    }
    .encode();
    let outer = Call {
        cycles: 9_000_000,
        timeout: 10,
        ..call(b, "call", &inner)
    };
    let before_total = net.balance(a) + net.balance(b);
    let id = net.submit(a, "call", &outer.encode());
    for _ in 0..3 {
        net.replica.round();
    }
    net.replica
        .set_time(start + 10 * SECOND + SECOND / 2)
        .expect("forward");
    net.replica.round();
    assert_eq!(net.answer(&id), None, "the deadline's second is not over");
    net.replica.set_time(start + 11 * SECOND).expect("forward");
    net.replica.round();
    let seen = seen(
        &net.answer(&id)
            .expect("answered")
            .expect("the caller replies"),
    );
    assert_eq!((seen.code, seen.refunded), (6, 0));
    assert_eq!(seen.text(), "Call deadline has expired.");
    let a_after_expiry = net.balance(a);
    // The callee's outcall ends; its late answer is dropped, the cycles it did not take come home.
    let pending = net.replica.pending_http();
    assert_eq!(pending.len(), 1);
    let answer = HttpResult::Reply {
        status: 200,
        headers: vec![],
        body: b"ok".to_vec(),
    };
    net.replica
        .answer_http(pending[0].subnet, pending[0].request_id, answer.into())
        .expect("the outcall is pending");
    net.replica.round();
    assert_eq!(net.balance(a), a_after_expiry + 9_000_000);
    assert!(net.balance(a) + net.balance(b) < before_total);
}

#[test]
fn bounded_wait_should_give_the_callee_a_deadline_in_whole_seconds() {
    let mut net = Network::new();
    let (a, b) = (net.kit(0), net.kit(0));
    for (timeout, seconds) in [(0_u32, None), (10, Some(10)), (1_000, Some(300))] {
        let call = Call {
            timeout,
            ..call(b, "deadline", &[])
        };
        let seen = run(&mut net, a, call);
        let expected = seconds.map_or(0, |seconds| (seen.time / SECOND + seconds) * SECOND);
        assert_eq!(number(&seen.data), expected);
    }
}

#[test]
fn a_trapping_callback_should_be_undone_and_cleaned_up() {
    let mut net = Network::new();
    let (a, b) = (net.kit(0), net.kit(0));
    let error = net
        .update(a, "call_trap", &call(b, "noop", &[]).encode())
        .expect_err("the callback traps");
    assert_eq!(
        (error.reject_code, error.error_code, error.certified),
        (5, 503, true)
    );
    assert_eq!(
        number(&net.query(a, "get", &[]).expect("replies")),
        1,
        "before the call"
    );
    assert_eq!(number(&net.query(a, "cleaned", &[]).expect("replies")), 1);
    // A reply given before stays.
    let reply = net.update(a, "reply_then_call_trap", &call(b, "noop", &[]).encode());
    assert_eq!(reply, Ok(Vec::new()));
    // A trap after call_perform: nothing is sent.
    net.update(a, "call_then_trap", &call(b, "bump", &[]).encode())
        .expect_err("traps");
    assert_eq!(number(&net.query(b, "get", &[]).expect("replies")), 0);
    // A caller of the one whose callback traps.
    let inner = call(b, "noop", &[]).encode();
    let seen = run(&mut net, b, call(a, "call_trap", &inner));
    assert_eq!(seen.code, 5);
    assert!(seen.text().starts_with("IC0503: "), "{}", seen.text());
}

#[test]
fn contexts_without_answer_should_be_rejected_when_nothing_is_open() {
    let mut net = Network::new();
    let (a, b) = (net.kit(0), net.kit(0));
    let error = net
        .update(a, "call_silent", &call(b, "noop", &[]).encode())
        .expect_err("nobody answers");
    assert_eq!((error.reject_code, error.error_code), (5, 506));
    assert_eq!(
        error.message,
        format!("Canister {a} did not reply to the call")
    );
}

#[test]
fn uninstalling_should_reject_open_calls_at_once_and_return_cycles_later() {
    let mut net = Network::new();
    let (a, b) = (net.kit(0), net.kit(1));
    let id = net.submit(
        a,
        "call",
        &Call {
            cycles: 5_000_000,
            ..call(b, "noop", &[])
        }
        .encode(),
    );
    net.replica.round();
    assert_eq!(net.answer(&id), None);
    // The uninstall comes before the response in the next round.
    let balance = net.balance(a);
    net.on("uninstall_code", a).expect("uninstalls");
    let error = net.answer(&id).expect("answered").expect_err("rejected");
    assert_eq!((error.reject_code, error.error_code), (4, 406));
    assert_eq!(error.message, "Canister has been uninstalled.");
    net.replica.round();
    assert!(
        net.balance(a) > balance + 40_000_000_000,
        "reservation and refund came back"
    );
}

#[test]
fn an_upgrade_should_let_open_callbacks_run_in_the_new_code() {
    let mut net = Network::new();
    let (a, b) = (net.kit(0), net.kit(1));
    let id = net.submit(a, "call", &call(b, "echo", b"hello").encode());
    net.replica.round();
    let mode = ic_management_canister_types::CanisterInstallMode::Upgrade(None);
    net.try_install(mode, a, KIT, &[]).expect("upgrades");
    let (reply, _) = net.wait(&id);
    assert_eq!(seen(&reply.expect("replies")).data, b"hello");
}
