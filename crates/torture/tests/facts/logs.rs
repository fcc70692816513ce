//! Canister logs: what debug_print leaves behind.

use crate::support::*;
use candid::Principal;
use ic_management_canister_types::{CanisterSettings, LogVisibility};
use pocket_ic::PocketIc;
use torture::program::Op;

fn texts(pic: &PocketIc, canister: &Canister) -> Vec<String> {
    pic.fetch_canister_logs(canister.id, Principal::anonymous())
        .expect("logs")
        .into_iter()
        .map(|record| String::from_utf8(record.content).expect("text"))
        .collect()
}

fn print(text: &str) -> Op {
    Op::Print(text.into())
}

#[test]
fn updates_log_what_they_print() {
    let pic = one_subnet();
    let canister = Canister::torture(&pic);
    canister.run(&[print("one"), print("two"), Op::Reply]);
    let at = now(&pic);
    canister.run(&[print("three"), Op::Reply]);
    let logs = pic
        .fetch_canister_logs(canister.id, Principal::anonymous())
        .expect("logs");
    assert_eq!(texts(&pic, &canister), ["one", "two", "three"]);
    assert_eq!(logs.iter().map(|r| r.idx).collect::<Vec<_>>(), [0, 1, 2]);
    assert_eq!(logs[1].timestamp_nanos, at);
    assert_eq!(logs[2].timestamp_nanos, at + 1);
}

#[test]
fn messages_that_trap_are_logged_too() {
    let pic = one_subnet();
    let canister = Canister::torture(&pic);
    canister
        .try_run(&[print("before"), Op::Trap("boom".into())])
        .expect_err("a trap");
    let logs = texts(&pic, &canister);
    assert_eq!(logs[0], "before");
    assert_eq!(logs.len(), 2, "{logs:?}");
    assert_contains(&logs[1], "boom");
}

#[test]
fn queries_log_nothing() {
    let pic = one_subnet();
    let canister = Canister::torture(&pic);
    canister.look(&[print("unseen"), Op::Reply]);
    assert_eq!(texts(&pic, &canister), Vec::<String>::new());
}

#[test]
fn logs_are_for_controllers_unless_public() {
    let pic = one_subnet();
    let canister = Canister::torture(&pic);
    canister.run(&[print("secret"), Op::Reply]);
    let stranger = Principal::self_authenticating([1; 32]);
    assert!(pic.fetch_canister_logs(canister.id, stranger).is_err());
    let settings = CanisterSettings {
        log_visibility: Some(LogVisibility::Public),
        ..Default::default()
    };
    pic.update_canister_settings(canister.id, None, settings)
        .expect("set");
    let logs = pic
        .fetch_canister_logs(canister.id, stranger)
        .expect("logs");
    assert_eq!(logs[0].content, b"secret");
}

#[test]
fn logs_survive_an_upgrade() {
    let pic = one_subnet();
    let canister = Canister::torture(&pic);
    canister.run(&[print("old"), Op::Reply]);
    pic.upgrade_canister(canister.id, torture_wasm(), vec![], None)
        .expect("upgraded");
    canister.run(&[print("new"), Op::Reply]);
    assert_eq!(texts(&pic, &canister), ["old", "new"]);
}
