//! Time, rounds, order of messages, timers (facts A and E of crates/torture/README.md).

mod common;

use common::*;
use local_ic_replica::*;

fn number(reply: &[u8]) -> u64 {
    u64::from_le_bytes(reply.try_into().expect("8 bytes"))
}

#[test]
fn time_should_advance_by_one_nanosecond_a_round() {
    let mut net = Network::new();
    let kit = net.kit(0);
    let before = net.replica.time();
    net.replica.round();
    assert_eq!(net.replica.time(), before + 1);
    let now = number(&net.update(kit, "now", &[]).expect("replies"));
    assert_eq!(now, before + 2);
    net.query(kit, "time", &[]).expect("replies");
    assert_eq!(net.replica.time(), before + 2, "a query takes no round");
}

#[test]
fn set_time_should_show_in_queries_after_a_round() {
    let mut net = Network::new();
    let kit = net.kit(0);
    let before = net.replica.time();
    net.advance(SECOND);
    assert_eq!(net.replica.time(), before + SECOND);
    assert_eq!(
        number(&net.query(kit, "time", &[]).expect("replies")),
        before
    );
    net.replica.round();
    assert_eq!(
        number(&net.query(kit, "time", &[]).expect("replies")),
        before + SECOND
    );
    assert_eq!(
        net.replica.time(),
        before + SECOND,
        "the round runs exactly at the set time"
    );
    assert!(
        net.replica.set_time(before).is_err(),
        "time does not go back"
    );
}

#[test]
fn calls_within_a_subnet_should_take_one_round_and_across_two() {
    let mut net = Network::new();
    let (a, b, far) = (net.kit(0), net.kit(0), net.kit(1));
    for (callee, rounds) in [(a, 1), (b, 1), (far, 2)] {
        let id = net.submit(a, "call", &call(callee, "now", &[]).encode());
        let (reply, taken) = net.wait(&id);
        let seen = seen(&reply.expect("replies"));
        assert_eq!((seen.code, taken), (0, rounds));
        let callee_time = number(&seen.data);
        assert_eq!(
            callee_time, seen.time_before,
            "the callee runs in the caller's round"
        );
        assert_eq!(seen.time, seen.time_before + u64::from(rounds) - 1);
    }
}

#[test]
fn randomness_should_take_three_rounds() {
    let mut net = Network::new();
    let kit = net.kit(0);
    let arg = candid::encode_args(()).expect("encodes");
    let mut seen_bytes = Vec::new();
    for _ in 0..2 {
        let id = net.submit(kit, "call", &call(MANAGEMENT, "raw_rand", &arg).encode());
        let (reply, rounds) = net.wait(&id);
        let seen = seen(&reply.expect("replies"));
        assert_eq!((seen.code, rounds), (0, 3));
        assert_eq!(seen.time, seen.time_before + 2);
        let bytes: Vec<u8> = candid::decode_one(&seen.data).expect("a blob");
        assert_eq!(bytes.len(), 32);
        seen_bytes.push(bytes);
    }
    assert_ne!(seen_bytes[0], seen_bytes[1]);
}

#[test]
fn management_calls_should_take_two_rounds_and_unroutable_ones_one() {
    let mut net = Network::new();
    let kit = net.kit(0);
    net.settings(
        kit,
        ic_management_canister_types::CanisterSettings {
            controllers: Some(vec![USER, kit]),
            ..Default::default()
        },
    )
    .expect("controllers are set");
    let arg =
        candid::encode_one(ic_management_canister_types::CanisterIdRecord { canister_id: kit })
            .expect("encodes");
    for (method, arg, code, rounds) in [
        ("canister_status", arg.as_slice(), 0, 2),
        ("nope", arg.as_slice(), 5, 1),
        ("canister_status", b"junk".as_slice(), 3, 1),
    ] {
        let id = net.submit(kit, "call", &call(MANAGEMENT, method, arg).encode());
        let (reply, taken) = net.wait(&id);
        let seen = seen(&reply.expect("replies"));
        assert_eq!(
            (seen.code, taken),
            (code, rounds),
            "{method}: {}",
            seen.text()
        );
    }
    let id = net.submit(kit, "call", &call(MANAGEMENT, "nope", &arg).encode());
    let reply = net.wait(&id).0.expect("replies");
    assert_eq!(
        seen(&reply).text(),
        "IC0536: Management canister has no method 'nope'"
    );
}

#[test]
fn ingress_order_should_differ_from_submission_and_repeat() {
    let order = || {
        let mut net = Network::new();
        let kit = net.kit(0);
        let ids: Vec<MessageId> = (0..8).map(|_| net.submit(kit, "bump", &[])).collect();
        net.replica.round();
        ids.iter()
            .map(|id| number(&net.answer(id).expect("answered").expect("replies")))
            .collect::<Vec<u64>>()
    };
    let first = order();
    assert_ne!(first, (1..=8).collect::<Vec<u64>>());
    assert_eq!(first, order());
}

#[test]
fn all_starts_should_come_before_callees_and_callbacks() {
    let mut net = Network::new();
    let kit = net.kit(0);
    let arg = call(kit, "now", &[]).encode();
    let ids: Vec<MessageId> = (0..3).map(|_| net.submit(kit, "call", &arg)).collect();
    net.replica.round();
    assert!(
        ids.iter().all(|id| net.answer(id).is_some()),
        "one round for all"
    );
}

#[test]
fn long_executions_should_take_several_rounds() {
    let mut net = Network::new();
    let kit = net.kit(0);
    // A turn takes a little over 131_172 instructions.
    for (turns, expected) in [(14_000_u64, 1), (53_000, 4)] {
        let id = net.submit(kit, "fill", &turns.to_le_bytes());
        let (reply, rounds) = net.wait(&id);
        reply.expect("replies");
        assert_eq!(rounds, expected);
    }
    let before = net.balance(kit);
    let id = net.submit(kit, "fill", &(u64::MAX >> 1).to_le_bytes());
    net.replica.round();
    net.replica.round();
    assert_eq!(net.answer(&id), None);
    let (reply, rounds) = net.wait(&id);
    let error = reply.expect_err("the limit is reached");
    assert_eq!(
        (error.reject_code, error.error_code, rounds + 2),
        (5, 522, 20)
    );
    assert!(
        error
            .message
            .contains("exceeded the limit of 40000000000 instructions")
    );
    let reception = 1_200_000 + 2_000 * (121 + 4 + 8);
    assert_eq!(
        before - net.balance(kit),
        reception + 5_000_000 + 40_000_000_000
    );
}

#[test]
fn messages_should_wait_for_a_long_execution() {
    let mut net = Network::new();
    let kit = net.kit(0);
    let long = net.submit(kit, "fill", &53_000_u64.to_le_bytes());
    net.replica.round();
    let waiting = net.submit(kit, "noop", &[]);
    let stop =
        candid::encode_one(ic_management_canister_types::CanisterIdRecord { canister_id: kit })
            .expect("encodes");
    net.replica.round();
    let stop = net.submit(MANAGEMENT, "stop_canister", &stop);
    net.replica.round();
    assert_eq!(
        (net.answer(&long), net.answer(&waiting), net.answer(&stop)),
        (None, None, None)
    );
    net.replica.round();
    assert!(net.answer(&long).expect("answered").is_ok());
    assert!(net.answer(&waiting).expect("answered").is_ok());
    net.replica.round();
    assert!(net.answer(&stop).expect("answered").is_ok());
}

#[test]
fn timers_should_fire_once_in_the_first_round_at_or_after_their_time() {
    let mut net = Network::new();
    let kit = net.kit(0);
    let due = net.replica.time() + 10 * SECOND;
    net.update(kit, "set_timer", &due.to_le_bytes())
        .expect("replies");
    assert_eq!(net.replica.next_timer(), Some(due));
    net.advance(9 * SECOND);
    net.replica.round();
    assert_eq!(number(&net.query(kit, "get", &[]).expect("replies")), 0);
    net.advance(2 * SECOND);
    assert!(net.replica.busy());
    net.replica.round();
    net.replica.round();
    assert_eq!(number(&net.query(kit, "get", &[]).expect("replies")), 1);
    assert_eq!(net.replica.next_timer(), None);
    assert!(!net.replica.busy());
    // An upgrade drops the timer.
    net.update(kit, "set_timer", &(due + 100 * SECOND).to_le_bytes())
        .expect("replies");
    net.try_install(
        ic_management_canister_types::CanisterInstallMode::Upgrade(None),
        kit,
        KIT,
        &[],
    )
    .expect("upgrades");
    let old = net
        .update(kit, "set_timer", &0_u64.to_le_bytes())
        .expect("replies");
    assert_eq!(number(&old), 0);
}

#[test]
fn heartbeats_should_run_once_a_round() {
    let mut net = Network::new();
    let id = net.create_on(0, 10 * T);
    net.install(
        id,
        r#"(module
            (import "ic0" "msg_reply" (func $reply))
            (import "ic0" "msg_reply_data_append" (func $append (param i32 i32)))
            (memory 1)
            (func (export "canister_heartbeat")
              (i32.store (i32.const 0) (i32.add (i32.load (i32.const 0)) (i32.const 1))))
            (func (export "canister_query get")
              (call $append (i32.const 0) (i32.const 4)) (call $reply)))"#,
    );
    let count = |net: &mut Network| {
        let reply = net.query(id, "get", &[]).expect("replies");
        u32::from_le_bytes(reply.try_into().expect("4 bytes"))
    };
    let before = count(&mut net);
    let balance = net.balance(id);
    for _ in 0..3 {
        net.replica.round();
    }
    assert_eq!(count(&mut net), before + 3);
    let paid = (balance - net.balance(id)) / 3;
    assert!((5_000_000..5_005_000).contains(&paid), "{paid}");
}

#[test]
fn due_timers_should_wait_for_a_stopped_canister_and_not_outlive_an_upgrade() {
    use ic_management_canister_types::{CanisterIdRecord, CanisterInstallMode};
    let mut net = Network::new();
    let kit = net.kit(0);
    let count = |net: &mut Network| number(&net.query(kit, "get", &[]).expect("replies"));
    let set = |net: &mut Network| {
        let due = net.replica.time() + 10 * SECOND;
        net.update(kit, "set_timer", &due.to_le_bytes())
            .expect("replies");
        net.advance(11 * SECOND);
    };
    set(&mut net);
    // The stop is handled in the very round in which the timer is due.
    let record = candid::encode_one(CanisterIdRecord { canister_id: kit }).expect("encodes");
    let stop = net.submit(MANAGEMENT, "stop_canister", &record);
    net.replica.round();
    assert!(net.answer(&stop).expect("answered").is_ok());
    net.replica.round();
    net.on("start_canister", kit).expect("starts");
    net.replica.round();
    assert_eq!(count(&mut net), 1, "it fires after the start");
    set(&mut net);
    net.try_install(CanisterInstallMode::Upgrade(None), kit, KIT, &[])
        .expect("upgrades");
    net.replica.round();
    assert_eq!(
        count(&mut net),
        0,
        "the upgrade came first and took the timer"
    );
}

#[test]
fn the_end_of_time_should_be_survived() {
    let mut net = Network::new();
    let kit = net.kit(0);
    net.replica.set_time(u64::MAX).expect("forward");
    net.replica.round();
    net.replica.round();
    net.replica.add_cycles(kit, 100 * T);
    net.on("stop_canister", kit).expect("stops");
}
