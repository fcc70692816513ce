//! Section D: bounded and unbounded waits.

use crate::support::*;
use candid::Principal;
use pocket_ic::PocketIc;
use pocket_ic::common::rest::RawMessageId;
use std::time::Duration;
use torture::program::{CallSpec, Op, call, call_run, say};

/// A callee program that keeps its call open until an HTTP outcall is mocked (or, at 60 s, times
/// out) and then writes `done` and replies.
fn slow(finish: Vec<Op>) -> Vec<Op> {
    use ic_management_canister_types::{HttpMethod, HttpRequestArgs};
    let args = HttpRequestArgs {
        url: "https://example.com/".into(),
        max_response_bytes: Some(2_000),
        method: HttpMethod::GET,
        ..Default::default()
    };
    let payload = candid::encode_one(args).expect("encodes");
    let mut after = vec![say("done"), Op::Save("done".into())];
    after.extend(finish);
    vec![
        call(Principal::management_canister(), "http_request", payload)
            .cycles(30_000_000_000)
            .on_reply(after.clone())
            .on_reject(after)
            .op(),
    ]
}

fn late_reply() -> Vec<Op> {
    slow(vec![say("late"), Op::Reply])
}

fn pass(pic: &PocketIc, millis: u64) {
    pic.advance_time(Duration::from_millis(millis));
    (0..4).for_each(|_| pic.tick());
}

fn start_at_whole_second(pic: &PocketIc) {
    let second = 1_000_000_000;
    let next = (now(pic) / second + 1) * second;
    pic.set_time(pocket_ic::Time::from_nanos_since_unix_epoch(next));
}

fn wait_for(caller: &Canister, call: CallSpec) -> RawMessageId {
    let id = caller.submit(&[call.forward().op()]);
    // Enough rounds for the callee's outcall to start before time passes.
    (0..3).for_each(|_| caller.pic.tick());
    id
}

fn answer(pic: &PocketIc, id: &RawMessageId) -> Option<Result<Vec<u8>, (u32, String)>> {
    let status = pic.ingress_status(id.clone())?;
    Some(forwarded(&status.expect("the caller replies")))
}

#[test]
fn deadline_is_the_whole_second_plus_the_timeout() {
    let pic = two_subnets();
    let caller = Canister::torture_on(&pic, 0);
    for subnet in [0, 1] {
        let callee = Canister::torture_on(&pic, subnet);
        let deadline = |timeout: Option<u32>| {
            let mut call = call_run(callee.id, &[Op::Deadline, Op::Reply]).forward();
            call.timeout = timeout;
            let answer = caller.run(&[call.op()]);
            u64_at(&answer, 0)
        };
        let second = 1_000_000_000;
        pic.advance_time(Duration::from_millis(1_234));
        let floor = now(&pic) / second * second;
        assert_eq!(deadline(Some(10)), floor + 10 * second);
        assert_eq!(deadline(Some(0)), floor);
        assert_eq!(deadline(Some(300)), floor + 300 * second);
        assert_eq!(deadline(Some(4_000)), floor + 300 * second, "300 s at most");
        assert_eq!(deadline(None), 0, "unbounded");
    }
}

#[test]
fn ingress_messages_have_no_deadline() {
    let pic = one_subnet();
    let canister = Canister::torture(&pic);
    assert_eq!(u64_at(&canister.run(&[Op::Deadline, Op::Reply]), 0), 0);
}

#[test]
fn a_bounded_wait_ends_past_its_deadline() {
    let pic = one_subnet();
    let (caller, callee) = (Canister::torture(&pic), Canister::torture(&pic));
    start_at_whole_second(&pic);
    let id = wait_for(&caller, call_run(callee.id, &late_reply()).timeout(10));
    pass(&pic, 10_000);
    assert_eq!(answer(&pic, &id), None, "at +10.0");
    pass(&pic, 500);
    assert_eq!(answer(&pic, &id), None, "at +10.5");
    pass(&pic, 500);
    let (code, text) = answer(&pic, &id).expect("at +11.0").expect_err("expired");
    assert_eq!(code, 6);
    assert_contains(&text, "Call deadline has expired");
}

#[test]
fn a_wait_of_0_seconds_ends_after_one() {
    let pic = one_subnet();
    let (caller, callee) = (Canister::torture(&pic), Canister::torture(&pic));
    start_at_whole_second(&pic);
    let id = wait_for(&caller, call_run(callee.id, &late_reply()).timeout(0));
    pass(&pic, 900);
    assert_eq!(answer(&pic, &id), None);
    pass(&pic, 100);
    assert_eq!(answer(&pic, &id).expect("ended").expect_err("expired").0, 6);
}

#[test]
fn the_callee_runs_on_and_its_late_reply_is_dropped() {
    let pic = two_subnets();
    let caller = Canister::torture_on(&pic, 0);
    for subnet in [0, 1] {
        let callee = Canister::torture_on(&pic, subnet);
        start_at_whole_second(&pic);
        let call = call_run(callee.id, &late_reply())
            .timeout(10)
            .cycles(1_000_000);
        let id = wait_for(&caller, call);
        pass(&pic, 12_000);
        let seen = answer(&pic, &id).expect("ended");
        assert_eq!(seen.clone().expect_err("expired").0, 6);
        assert_eq!(callee.load_text("done"), "", "the callee still waits");
        pass(&pic, 60_000);
        pass(&pic, 1_000);
        assert_eq!(callee.load_text("done"), "done", "and then finishes");
        assert_eq!(
            answer(&pic, &id),
            Some(seen),
            "the caller hears nothing more"
        );
        assert_eq!(caller.run(&[say("alive"), Op::Reply]), b"alive");
    }
}

#[test]
fn an_unbounded_wait_lasts() {
    let pic = one_subnet();
    let (caller, callee) = (Canister::torture(&pic), Canister::torture(&pic));
    start_at_whole_second(&pic);
    // The callee waits for its own outcall, which times out after 60 seconds.
    let id = wait_for(&caller, call_run(callee.id, &late_reply()));
    pass(&pic, 59_000);
    assert_eq!(answer(&pic, &id), None);
    pass(&pic, 2_000);
    assert_eq!(answer(&pic, &id), Some(Ok(b"late".to_vec())));
}

#[test]
fn in_time_a_bounded_wait_is_an_ordinary_call() {
    let pic = one_subnet();
    let (caller, callee) = (Canister::torture(&pic), Canister::torture(&pic));
    let run = |program: &[Op]| {
        let call = call_run(callee.id, program).timeout(10).forward();
        forwarded(&caller.run(&[call.op()]))
    };
    assert_eq!(run(&[say("quick"), Op::Reply]), Ok(b"quick".to_vec()));
    assert_eq!(run(&[Op::Reject("no".into())]), Err((4, "no".into())));
    let (code, text) = run(&[Op::Trap("oh".into())]).expect_err("a trap");
    assert_eq!(code, 5, "{text}");
}

#[test]
fn ic_cdk_sees_code_6() {
    let pic = one_subnet();
    let (caller, callee) = (Canister::torture(&pic), Canister::torture(&pic));
    start_at_whole_second(&pic);
    let request = torture::cdk::LockedCall {
        callee: callee.id,
        method: "run".into(),
        arg: torture::program::encode(&late_reply()).into(),
        timeout: Some(5),
        panic_after: false,
    };
    let arg = candid::encode_one(request).expect("encodes");
    let id = caller.submit_method("cdk_locked_call", arg);
    pic.tick();
    pass(&pic, 6_000);
    let reply = pic.ingress_status(id).expect("ended").expect("a reply");
    let answer: Result<serde_bytes::ByteBuf, (u32, String)> =
        candid::decode_one(&reply).expect("decodes");
    assert_eq!(answer.expect_err("expired").0, 6);
}

#[test]
fn a_bounded_call_to_oneself_expires_too() {
    let pic = one_subnet();
    let caller = Canister::torture(&pic);
    start_at_whole_second(&pic);
    let id = wait_for(&caller, call_run(caller.id, &late_reply()).timeout(3));
    pass(&pic, 4_000);
    assert_eq!(answer(&pic, &id).expect("ended").expect_err("expired").0, 6);
}
