//! Section E: queries, replicated or not, change nothing.

use crate::support::*;
use pocket_ic::{ErrorCode, RejectCode};
use torture::program::{Op, call_run, encode, say};

fn write_everything() -> Vec<Op> {
    vec![
        Op::Put("mark".into(), b"second".to_vec().into()),
        Op::StableWrite(0, b"second".to_vec().into()),
        Op::StableGrow(7),
        Op::HeapGrow(10),
        Op::Load("mark".into()),
        Op::Reply,
    ]
}

#[test]
fn what_queries_write_is_discarded() {
    let pic = one_subnet();
    let canister = Canister::torture(&pic);
    canister.run(&[
        Op::Put("mark".into(), b"first".to_vec().into()),
        Op::StableGrow(1),
        Op::StableWrite(0, b"first".to_vec().into()),
        Op::Reply,
    ]);
    let state = || {
        canister.look(&[
            Op::StableSize,
            Op::StableRead(0, 5),
            Op::HeapSize,
            Op::Reply,
        ])
    };
    let before = state();
    let arg = encode(&write_everything());
    for answer in [
        canister.query("look", arg.clone()),
        canister.update("look", arg.clone()),
        canister.query("compose", arg),
    ] {
        let answer = answer.expect("a reply");
        assert!(answer.ends_with(b"second"), "seen within the query");
        assert_eq!(canister.load_text("mark"), "first");
        assert_eq!(state(), before);
    }
}

#[test]
fn queries_that_trap_change_nothing() {
    let pic = one_subnet();
    let canister = Canister::torture(&pic);
    canister.run(&[
        Op::Put("mark".into(), b"first".to_vec().into()),
        Op::StableGrow(1),
        Op::Reply,
    ]);
    let mut program = write_everything();
    program.push(Op::Trap("x".into()));
    canister.try_look(&program).expect_err("a trap");
    canister
        .update("look", encode(&program))
        .expect_err("a trap");
    assert_eq!(canister.load_text("mark"), "first");
}

#[test]
fn queries_may_be_called_by_canisters() {
    let pic = two_subnets();
    let caller = Canister::torture_on(&pic, 0);
    for subnet in [0, 1] {
        let callee = Canister::torture_on(&pic, subnet);
        let mut program = write_everything();
        program.splice(0..0, [Op::StableGrow(1)]);
        let mut call = call_run(callee.id, &program).forward();
        call.method = "look".into();
        let answer = forwarded(&caller.run(&[call.op()])).expect("a reply");
        assert!(answer.ends_with(b"second"));
        assert_eq!(callee.load_text("mark"), "");
    }
}

#[test]
fn updates_and_plain_queries_know_where_they_run() {
    let pic = one_subnet();
    let canister = Canister::torture(&pic);
    let look = [Op::CertificatePresent, Op::InReplicated, Op::Reply];
    let pair = |answer: Vec<u8>| (u32_at(&answer, 0), u32_at(&answer, 4));
    assert_eq!(pair(canister.run(&look)), (0, 1), "update");
    let replicated = canister.update("look", encode(&look)).expect("a reply");
    assert_eq!(pair(replicated), (0, 1), "replicated query");
    assert_eq!(pair(canister.look(&look)), (1, 0), "query");
    let composite = canister.query("compose", encode(&look)).expect("a reply");
    assert_eq!(pair(composite), (1, 0), "composite query");
}

#[test]
fn plain_queries_cannot_call() {
    let pic = one_subnet();
    let canister = Canister::torture(&pic);
    let program = [call_run(canister.id, &[Op::Reply]).forward().op()];
    for answer in [
        canister.try_look(&program),
        canister.update("look", encode(&program)),
    ] {
        expect_reject(
            answer,
            RejectCode::CanisterError,
            ErrorCode::CanisterContractViolation,
        );
    }
}

#[test]
fn queries_see_the_latest_state() {
    let pic = one_subnet();
    let canister = Canister::torture(&pic);
    for round in ["one", "two", "three"] {
        canister.run(&[
            Op::Put("mark".into(), round.as_bytes().to_vec().into()),
            Op::Reply,
        ]);
        assert_eq!(canister.load_text("mark"), round);
    }
}

#[test]
fn what_the_system_tells() {
    let pic = one_subnet();
    let canister = Canister::torture(&pic);
    assert_eq!(
        canister.look(&[Op::SelfId, Op::Reply]),
        canister.id.as_slice()
    );
    let subnet = pic.get_subnet(canister.id).expect("on a subnet");
    assert_eq!(
        canister.look(&[Op::SubnetSelf, Op::Reply]),
        subnet.as_slice()
    );
    let nodes = canister.look(&[Op::NodeCount, Op::Reply]);
    assert_eq!(u32_at(&nodes, 0), 13);
    let controller = |who| {
        let answer = canister.look(&[Op::IsController(who), Op::Reply]);
        u32_at(&answer, 0)
    };
    assert_eq!(controller(candid::Principal::anonymous()), 1);
    assert_eq!(controller(canister.id), 0);
    assert_eq!(canister.look(&[say("x"), Op::ArgSize, Op::Reply]).len(), 5);
}

#[test]
fn environment_variables() {
    use ic_management_canister_types::{CanisterSettings, EnvironmentVariable};
    let pic = one_subnet();
    let variable = |name: &str, value: &str| EnvironmentVariable {
        name: name.into(),
        value: value.into(),
    };
    let settings = CanisterSettings {
        environment_variables: Some(vec![variable("A", "first"), variable("B", "second")]),
        ..Default::default()
    };
    let canister = Canister::torture_with(&pic, settings);
    let answer = canister.look(&[
        Op::EnvCount,
        Op::EnvExists("B".into()),
        Op::EnvExists("C".into()),
        Op::EnvName(0),
        Op::EnvValue("B".into()),
        Op::Reply,
    ]);
    assert_eq!([0, 4, 8].map(|at| u32_at(&answer, at)), [2, 1, 0]);
    assert_eq!(&answer[12..], b"Asecond");
}
