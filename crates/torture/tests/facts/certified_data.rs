//! Section E: certified data.

use crate::support::*;
use pocket_ic::{ErrorCode, PocketIc, RejectCode};
use torture::program::{Op, encode};

const MARK: &[u8] = b"certified by a test, 32 bytes !!";

fn certified(pic: &PocketIc) -> Canister<'_> {
    let canister = Canister::torture(pic);
    canister.run(&[set(MARK), Op::Reply]);
    canister
}

fn set(data: &[u8]) -> Op {
    Op::CertifiedDataSet(data.to_vec().into())
}

/// Whether the data certificate that a query gets holds these bytes.
fn holds(canister: &Canister, data: &[u8]) -> bool {
    let certificate = canister.look(&[Op::Certificate, Op::Reply]);
    certificate.windows(data.len()).any(|part| part == data)
}

#[test]
fn queries_get_a_certificate_of_the_data() {
    let pic = one_subnet();
    let canister = certified(&pic);
    assert!(holds(&canister, MARK));
    canister.run(&[set(b"short"), Op::Reply]);
    assert!(!holds(&canister, MARK));
    assert!(holds(&canister, b"short"));
}

#[test]
fn certified_data_is_kept_on_upgrade() {
    let pic = one_subnet();
    let canister = certified(&pic);
    pic.upgrade_canister(canister.id, torture_wasm(), vec![], None)
        .expect("upgraded");
    assert!(holds(&canister, MARK));
}

#[test]
fn certified_data_is_cleared_on_reinstall_and_uninstall() {
    let pic = one_subnet();
    let canister = certified(&pic);
    pic.reinstall_canister(canister.id, torture_wasm(), vec![], None)
        .expect("reinstalled");
    assert!(!holds(&canister, MARK));
    canister.run(&[set(MARK), Op::Reply]);
    assert!(holds(&canister, MARK));
    pic.uninstall_canister(canister.id, None)
        .expect("uninstalled");
    let canister = canister.with_wasm(torture_wasm());
    assert!(!holds(&canister, MARK));
}

#[test]
fn certified_data_may_be_set_while_installing_and_upgrading() {
    let pic = one_subnet();
    let canister = Canister::empty(&pic);
    pic.install_canister(canister.id, torture_wasm(), encode(&[set(MARK)]), None);
    assert!(holds(&canister, MARK));
    crate::upgrade_with(&pic, canister.id, &encode(&[set(b"upgraded")]));
    assert!(holds(&canister, b"upgraded"));
}

#[test]
fn certified_data_over_32_bytes_is_5_504() {
    let pic = one_subnet();
    let canister = certified(&pic);
    expect_reject(
        canister.try_run(&[set(&[1; 33]), Op::Reply]),
        RejectCode::CanisterError,
        ErrorCode::CanisterContractViolation,
    );
    canister.run(&[set(&[1; 32]), Op::Reply]);
}

#[test]
fn certified_data_in_a_query_is_5_504() {
    let pic = one_subnet();
    let canister = certified(&pic);
    for method in ["look", "compose"] {
        expect_reject(
            canister.query(method, encode(&[set(b"no"), Op::Reply])),
            RejectCode::CanisterError,
            ErrorCode::CanisterContractViolation,
        );
    }
    assert!(holds(&canister, MARK));
}

#[test]
fn updates_have_no_certificate() {
    let pic = one_subnet();
    let canister = certified(&pic);
    let present = canister.run(&[Op::CertificatePresent, Op::Reply]);
    assert_eq!(u32_at(&present, 0), 0);
    assert!(canister.try_run(&[Op::Certificate, Op::Reply]).is_err());
}
