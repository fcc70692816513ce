//! Section D: errors of the management canister, by ingress and by call.

use crate::support::*;
use candid::{Encode, Principal};
use ic_management_canister_types::CanisterIdRecord;
use pocket_ic::common::rest::RawEffectivePrincipal;
use pocket_ic::{ErrorCode, PocketIc, RejectCode};
use torture::program::call;

fn ingress(pic: &PocketIc, about: Principal, method: &str, arg: Vec<u8>) -> (bool, Answer) {
    let submitted = pic.submit_call_with_effective_principal(
        Principal::management_canister(),
        RawEffectivePrincipal::CanisterId(about.as_slice().to_vec()),
        Principal::anonymous(),
        method,
        arg,
    );
    match submitted {
        Err(refused) => (false, Err(refused)),
        Ok(id) => (true, pic.await_call(id)),
    }
}

fn by_call(method: &str, arg: Vec<u8>) -> (u32, String) {
    let pic = one_subnet();
    let caller = Canister::torture(&pic);
    let call = call(Principal::management_canister(), method, arg).forward();
    forwarded(&caller.run(&[call.op()])).expect_err("a reject")
}

#[test]
fn bad_candid_by_ingress_is_4_408_at_submission() {
    let pic = one_subnet();
    let id = Canister::torture(&pic).id;
    let (accepted, answer) = ingress(&pic, id, "canister_status", b"nonsense".to_vec());
    assert!(!accepted);
    expect_reject(
        answer,
        RejectCode::CanisterReject,
        ErrorCode::InvalidManagementPayload,
    );
}

#[test]
fn unknown_method_by_ingress_is_5_536() {
    let pic = one_subnet();
    let id = Canister::torture(&pic).id;
    let record = CanisterIdRecord { canister_id: id };
    let (_, answer) = ingress(&pic, id, "nope", Encode!(&record).expect("encodes"));
    expect_reject(
        answer,
        RejectCode::CanisterError,
        ErrorCode::CanisterMethodNotFound,
    );
}

#[test]
fn raw_rand_by_ingress_is_4_406() {
    let pic = one_subnet();
    let id = Canister::torture(&pic).id;
    let (_, answer) = ingress(&pic, id, "raw_rand", Encode!().expect("encodes"));
    expect_reject(
        answer,
        RejectCode::CanisterReject,
        ErrorCode::CanisterRejectedMessage,
    );
}

#[test]
fn non_controllers_are_refused_with_5_512_at_submission() {
    let pic = one_subnet();
    let owner = Principal::self_authenticating([1; 32]);
    let id = pic.create_canister_with_settings(Some(owner), None);
    let record = Encode!(&CanisterIdRecord { canister_id: id }).expect("encodes");
    for method in ["stop_canister", "uninstall_code", "delete_canister"] {
        let (accepted, answer) = ingress(&pic, id, method, record.clone());
        assert!(!accepted, "{method}");
        expect_reject(
            answer,
            RejectCode::CanisterError,
            ErrorCode::CanisterInvalidController,
        );
    }
    assert!(status_of(&pic, id, Some(owner)).is_ok());
}

#[test]
fn unknown_method_by_call_is_5_ic0536() {
    let (code, text) = by_call("nope", vec![]);
    assert_eq!(code, 5);
    assert_eq!(text, "IC0536: Management canister has no method 'nope'");
}

#[test]
fn bad_candid_by_call_is_3() {
    let (code, text) = by_call("canister_status", b"nonsense".to_vec());
    assert_eq!(code, 3);
    assert!(
        text.starts_with("Unable to route management canister request canister_status:"),
        "{text}"
    );
    assert_contains(&text, "InvalidManagementPayload");
}

#[test]
fn a_canister_that_is_no_controller_is_rejected() {
    let pic = one_subnet();
    let (caller, other) = (Canister::torture(&pic), Canister::torture(&pic));
    let record = CanisterIdRecord {
        canister_id: other.id,
    };
    let arg = Encode!(&record).expect("encodes");
    let call = call(Principal::management_canister(), "stop_canister", arg).forward();
    let (code, text) = forwarded(&caller.run(&[call.op()])).expect_err("a reject");
    assert_eq!(code, 5, "{text}");
}

#[test]
fn a_controlling_canister_manages_another() {
    let pic = one_subnet();
    let (caller, other) = (Canister::torture(&pic), Canister::torture(&pic));
    let controllers = vec![caller.id, Principal::anonymous()];
    pic.set_controllers(other.id, None, controllers)
        .expect("set");
    let record = CanisterIdRecord {
        canister_id: other.id,
    };
    for method in ["stop_canister", "start_canister", "uninstall_code"] {
        let arg = Encode!(&record).expect("encodes");
        let call = call(Principal::management_canister(), method, arg).forward();
        forwarded(&caller.run(&[call.op()])).expect(method);
    }
    let status = status_of(&pic, other.id, None).expect("a status");
    assert_eq!(status.module_hash, None);
}

#[test]
fn a_canister_creates_and_funds_another() {
    use torture::program::Op;
    let pic = one_subnet();
    let caller = Canister::torture(&pic);
    let args = ic_management_canister_types::CreateCanisterArgs::default();
    let attached = 2_000_000_000_000;
    let call = call(
        Principal::management_canister(),
        "create_canister",
        Encode!(&args).expect("encodes"),
    )
    .cycles(attached)
    .forward();
    let reply = forwarded(&caller.run(&[call.op()])).expect("created");
    let id = candid::decode_one::<CanisterIdRecord>(&reply)
        .expect("an id")
        .canister_id;
    assert_eq!(pic.cycle_balance(id), attached - 500_000_000_000);
    assert_eq!(pic.get_controllers(id), [caller.id]);
    let deposit = torture::program::call(
        Principal::management_canister(),
        "deposit_cycles",
        Encode!(&CanisterIdRecord { canister_id: id }).expect("encodes"),
    )
    .cycles(7_000_000)
    .on_reply(vec![Op::CyclesRefunded, Op::Reply]);
    assert_eq!(u128_at(&caller.run(&[deposit.op()]), 0), 0);
    assert_eq!(
        pic.cycle_balance(id),
        attached - 500_000_000_000 + 7_000_000
    );
}
