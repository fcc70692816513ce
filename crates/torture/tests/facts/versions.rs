//! Section E: what raises the canister version.

use crate::support::*;
use candid::Principal;
use std::time::Duration;
use torture::program::{Op, call_run, encode};

/// By how much something raises the version.
fn raised<T>(canister: &Canister, act: impl FnOnce() -> T) -> u64 {
    let before = canister.version();
    act();
    canister.version() - before
}

#[test]
fn version_is_1_after_create_and_install() {
    let pic = one_subnet();
    assert_eq!(Canister::torture(&pic).version(), 1);
}

#[test]
fn version_rises_by_1() {
    let pic = one_subnet();
    let canister = Canister::torture(&pic);
    let other = Canister::torture(&pic);
    let reply = [Op::Reply];
    assert_eq!(raised(&canister, || canister.run(&reply)), 1, "update");
    assert_eq!(
        raised(&canister, || canister.update("look", encode(&reply))),
        1,
        "replicated query"
    );
    let call = call_run(other.id, &reply).forward().op();
    assert_eq!(
        raised(&canister, || canister.run(&[call])),
        2,
        "update and callback"
    );
    let controllers = vec![Principal::anonymous(), other.id];
    assert_eq!(
        raised(&canister, || pic.set_controllers(
            canister.id,
            None,
            controllers
        )),
        1,
        "settings"
    );
    assert_eq!(
        raised(&canister, || pic.upgrade_canister(
            canister.id,
            torture_wasm(),
            vec![],
            None
        )),
        1,
        "upgrade"
    );
    assert_eq!(
        raised(&canister, || pic.reinstall_canister(
            canister.id,
            torture_wasm(),
            vec![],
            None
        )),
        1,
        "reinstall"
    );
    let gone = || {
        pic.uninstall_canister(canister.id, None).expect("gone");
        canister.with_wasm(torture_wasm())
    };
    assert_eq!(raised(&canister, gone), 2, "uninstall and install");
}

#[test]
fn version_rises_by_3_for_stop_and_start() {
    let pic = one_subnet();
    let canister = Canister::torture(&pic);
    let restart = || {
        pic.stop_canister(canister.id, None).expect("stopped");
        pic.start_canister(canister.id, None).expect("started");
    };
    assert_eq!(raised(&canister, restart), 3);
}

#[test]
fn version_stays() {
    let pic = one_subnet();
    let canister = Canister::torture(&pic);
    assert_eq!(
        raised(&canister, || canister.look(&[Op::Reply])),
        0,
        "query"
    );
    let trap = [Op::Trap("x".into())];
    assert_eq!(raised(&canister, || canister.try_run(&trap)), 0, "trap");
    assert_eq!(
        raised(&canister, || status_of(&pic, canister.id, None)),
        0,
        "status"
    );
    assert_eq!(raised(&canister, || pic.tick()), 0, "idle round");
}

const VERSION_QUERY: &str = "(memory 1)
    (func (export \"canister_query version\")
        i32.const 0 call $canister_version i64.store
        i32.const 0 i32.const 8 call $msg_reply_data_append call $msg_reply)";

fn version(canister: &Canister) -> u64 {
    u64_at(&canister.query("version", vec![]).expect("a reply"), 0)
}

#[test]
fn heartbeat_raises_the_version_each_round() {
    let pic = one_subnet();
    let body = VERSION_QUERY.to_string() + "(func (export \"canister_heartbeat\"))";
    let canister = Canister::wat(&pic, &body);
    let before = version(&canister);
    (0..5).for_each(|_| pic.tick());
    assert_eq!(version(&canister) - before, 5);
}

#[test]
fn a_timer_raises_the_version() {
    let pic = one_subnet();
    let body = VERSION_QUERY.to_string()
        + "(func (export \"canister_global_timer\"))"
        + &handmade::update(
            "set",
            "call $time i64.const 5000000000 i64.add call $global_timer_set drop call $msg_reply",
        );
    let canister = Canister::wat(&pic, &body);
    canister.update("set", vec![]).expect("a reply");
    let before = version(&canister);
    pic.tick();
    assert_eq!(version(&canister) - before, 0, "not due");
    pic.advance_time(Duration::from_secs(6));
    pic.tick();
    assert_eq!(version(&canister) - before, 1);
    pic.tick();
    assert_eq!(version(&canister) - before, 1, "it fires once");
}
