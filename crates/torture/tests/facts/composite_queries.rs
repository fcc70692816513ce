//! Section E: composite queries.

use crate::support::*;
use pocket_ic::{ErrorCode, RejectCode};
use torture::program::{CallSpec, Op, call, encode, say};

fn look_at(callee: &Canister, method: &str, program: &[Op]) -> CallSpec {
    call(callee.id, method, encode(program))
}

fn compose(canister: &Canister, program: &[Op]) -> Answer {
    canister.query("compose", encode(program))
}

#[test]
fn composite_queries_call_queries_of_the_same_subnet() {
    let pic = one_subnet();
    let (caller, callee) = (Canister::torture(&pic), Canister::torture(&pic));
    callee.run(&[say("kept"), Op::Save("mark".into()), Op::Reply]);
    for method in ["look", "compose"] {
        let call = look_at(&callee, method, &[Op::Load("mark".into()), Op::Reply]);
        let answer = compose(&caller, &[call.forward().op()]).expect("a reply");
        assert_eq!(forwarded(&answer), Ok(b"kept".to_vec()));
    }
}

#[test]
fn callees_and_callbacks_know_where_they_run() {
    let pic = one_subnet();
    let (caller, callee) = (Canister::torture(&pic), Canister::torture(&pic));
    let ask = vec![Op::CertificatePresent, Op::InReplicated, Op::Reply];
    let on_reply = vec![Op::Arg, Op::CertificatePresent, Op::InReplicated, Op::Reply];
    let call = look_at(&callee, "look", &ask).on_reply(on_reply);
    let answer = compose(&caller, &[call.op()]).expect("a reply");
    let values = [0, 4, 8, 12].map(|at| u32_at(&answer, at));
    assert_eq!(values, [0, 0, 0, 0], "the callee's, then the callback's");
}

#[test]
fn the_caller_of_a_callee_is_the_canister() {
    let pic = one_subnet();
    let (caller, callee) = (Canister::torture(&pic), Canister::torture(&pic));
    let call = look_at(&callee, "look", &[Op::Caller, Op::Reply]).forward();
    let answer = compose(&caller, &[call.op()]).expect("a reply");
    assert_eq!(answer, caller.id.as_slice());
}

#[test]
fn callees_on_other_subnets_are_not_found() {
    let pic = two_subnets();
    let caller = Canister::torture_on(&pic, 0);
    let callee = Canister::torture_on(&pic, 1);
    let call = look_at(&callee, "look", &[Op::Reply]).forward();
    let answer = compose(&caller, &[call.op()]).expect("a reply");
    let (code, text) = forwarded(&answer).expect_err("not found");
    assert_eq!(code, 3);
    assert_contains(&text, "not found");
}

#[test]
fn update_methods_cannot_be_called() {
    let pic = one_subnet();
    let (caller, callee) = (Canister::torture(&pic), Canister::torture(&pic));
    let call = look_at(&callee, "run", &[Op::Reply]).forward();
    let answer = compose(&caller, &[call.op()]).expect("a reply");
    assert_eq!(forwarded(&answer).expect_err("an update method").0, 5);
}

#[test]
fn the_state_lives_until_the_composite_query_ends() {
    let pic = one_subnet();
    let (caller, callee) = (Canister::torture(&pic), Canister::torture(&pic));
    let on_reply = vec![Op::Load("mark".into()), Op::Arg, Op::Reply];
    let program = [
        Op::Put("mark".into(), b"mine ".to_vec().into()),
        look_at(&callee, "look", &[say("theirs"), Op::Reply])
            .on_reply(on_reply)
            .op(),
    ];
    assert_eq!(compose(&caller, &program).expect("a reply"), b"mine theirs");
    assert_eq!(caller.load_text("mark"), "", "and is discarded then");
}

#[test]
fn rejects_and_traps_of_callees_reach_the_callback() {
    let pic = one_subnet();
    let (caller, callee) = (Canister::torture(&pic), Canister::torture(&pic));
    let run = |program: &[Op]| {
        let call = look_at(&callee, "look", program).forward();
        forwarded(&compose(&caller, &[call.op()]).expect("a reply"))
    };
    assert_eq!(run(&[Op::Reject("no".into())]), Err((4, "no".into())));
    let (code, text) = run(&[Op::Trap("oh".into())]).expect_err("a trap");
    assert_eq!(code, 5);
    assert_contains(&text, "oh");
}

#[test]
fn a_trap_after_the_call_fails_the_composite_query() {
    let pic = one_subnet();
    let (caller, callee) = (Canister::torture(&pic), Canister::torture(&pic));
    let call = look_at(&callee, "look", &[Op::Reply]).on_reply(vec![Op::Trap("late".into())]);
    let text = expect_reject(
        compose(&caller, &[call.op()]),
        RejectCode::CanisterError,
        ErrorCode::CanisterCalledTrap,
    );
    assert_contains(&text, "'late'");
}

#[test]
fn composite_queries_nest() {
    let pic = one_subnet();
    let canisters = [(); 3].map(|()| Canister::torture(&pic));
    let innermost = vec![say("3"), Op::Reply];
    let middle =
        look_at(&canisters[2], "look", &innermost).on_reply(vec![say("2"), Op::Arg, Op::Reply]);
    let outer = look_at(&canisters[1], "compose", &[middle.op()]).on_reply(vec![
        say("1"),
        Op::Arg,
        Op::Reply,
    ]);
    assert_eq!(
        compose(&canisters[0], &[outer.op()]).expect("a reply"),
        b"123"
    );
}

#[test]
fn composite_queries_are_free() {
    let pic = one_subnet();
    let (caller, callee) = (Canister::torture(&pic), Canister::torture(&pic));
    let call = look_at(&callee, "look", &[Op::Reply]).forward();
    let program = [call.op()];
    assert_eq!(caller.cost(|c| compose(c, &program).expect("a reply")), 0);
    assert_eq!(
        callee.cost(|_| compose(&caller, &program).expect("a reply")),
        0
    );
}
