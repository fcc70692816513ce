//! Sections D and E: installing, upgrading, reinstalling, uninstalling.

use crate::support::*;
use candid::Principal;
use ic_management_canister_types::{CanisterInstallMode, InstallCodeArgs};
use pocket_ic::common::rest::RawEffectivePrincipal;
use pocket_ic::{CreateCanisterParams, ErrorCode, PocketIc, RejectCode, RejectResponse};
use torture::program::{Op, call_run, encode, say};

fn install(
    pic: &PocketIc,
    id: Principal,
    mode: CanisterInstallMode,
    wasm_module: Vec<u8>,
    arg: Vec<u8>,
) -> Result<(), RejectResponse> {
    let args = InstallCodeArgs {
        mode,
        canister_id: id,
        wasm_module,
        arg,
        sender_canister_version: None,
    };
    pic.update_call_with_effective_principal(
        Principal::management_canister(),
        RawEffectivePrincipal::CanisterId(id.as_slice().to_vec()),
        Principal::anonymous(),
        "install_code",
        candid::encode_one(args).expect("encodes"),
    )
    .map(|_| ())
}

fn refused(result: Result<(), RejectResponse>, error: ErrorCode) -> String {
    let reject = if error == ErrorCode::CanisterOutOfCycles {
        RejectCode::SysTransient
    } else {
        RejectCode::CanisterError
    };
    expect_reject(result.map(|()| vec![]), reject, error)
}

/// A torture canister with marks in its heap and its stable memory.
fn marked(pic: &PocketIc) -> Canister<'_> {
    let canister = Canister::torture(pic);
    canister.run(&[
        Op::Put("mark".into(), b"heap".to_vec().into()),
        Op::StableGrow(1),
        Op::StableWrite(9, b"stable".to_vec().into()),
        Op::Reply,
    ]);
    canister
}

#[test]
fn init_gets_the_argument_and_the_caller() {
    let pic = one_subnet();
    let canister = Canister::empty(&pic);
    let arg = encode(&[Op::Caller, say("/"), Op::Status, Op::Save("init".into())]);
    install(
        &pic,
        canister.id,
        CanisterInstallMode::Install,
        torture_wasm(),
        arg,
    )
    .expect("installed");
    assert_eq!(canister.load("init"), [4, b'/', 1, 0, 0, 0]);
}

#[test]
fn traps_in_init_are_5_503_and_leave_it_empty() {
    let pic = one_subnet();
    let canister = Canister::empty(&pic);
    let arg = encode(&[Op::Trap("init".into())]);
    let mode = CanisterInstallMode::Install;
    let result = install(&pic, canister.id, mode, torture_wasm(), arg);
    refused(result, ErrorCode::CanisterCalledTrap);
    let status = status_of(&pic, canister.id, None).expect("a status");
    assert_eq!(status.module_hash, None);
}

#[test]
fn installing_soon_after_much_work_is_2_209() {
    let pic = one_subnet();
    // 7 instructions a turn, 9_100_000_000 in all; a round credits 2_000_000_000 back.
    let busy = handmade::module(
        "(func (export \"canister_init\") (local $left i32)
            i32.const 1300000000 local.set $left
            loop local.get $left i32.const 1 i32.sub local.set $left local.get $left br_if 0 end)",
    );
    let canister = Canister::empty(&pic).with_wasm(busy);
    let upgrade = || {
        let mode = CanisterInstallMode::Upgrade(None);
        install(&pic, canister.id, mode, torture_wasm(), vec![])
    };
    let text = expect_reject(
        upgrade().map(|()| vec![]),
        RejectCode::SysTransient,
        ErrorCode::CanisterInstallCodeRateLimited,
    );
    assert_contains(
        &text,
        "executed too many instructions in the previous install_code messages",
    );
    // Another canister is not concerned.
    Canister::torture(&pic);
    for _ in 0..5 {
        pic.tick();
    }
    upgrade().expect("upgraded");
}

#[test]
fn calls_and_replies_in_init_are_5_504() {
    let pic = one_subnet();
    let other = Canister::torture(&pic);
    for op in [call_run(other.id, &[Op::Reply]).op(), Op::Reply] {
        let canister = Canister::empty(&pic);
        let mode = CanisterInstallMode::Install;
        let result = install(&pic, canister.id, mode, torture_wasm(), encode(&[op]));
        refused(result, ErrorCode::CanisterContractViolation);
    }
}

#[test]
fn bad_wasm_is_5_505() {
    let pic = one_subnet();
    let canister = Canister::empty(&pic);
    let truncated = torture_wasm()[..5_000].to_vec();
    for wasm in [
        b"not wasm".to_vec(),
        b"\0asm\x01\0\0\0\xff".to_vec(),
        truncated,
    ] {
        let mode = CanisterInstallMode::Install;
        let result = install(&pic, canister.id, mode, wasm, vec![]);
        refused(result, ErrorCode::CanisterInvalidWasm);
    }
}

#[test]
fn modules_that_break_the_rules_are_5_505() {
    let pic = one_subnet();
    let canister = Canister::empty(&pic);
    for text in [
        // An import that does not exist, one of a wrong type, and one of another module.
        "(import \"ic0\" \"no_such_call\" (func))",
        "(import \"ic0\" \"msg_reply\" (func (param i32)))",
        "(import \"env\" \"msg_reply\" (func))",
        // A method exported twice in two ways, and one with parameters.
        "(func (export \"canister_update m\") (export \"canister_query m\"))",
        "(func (export \"canister_update m\") (param i32))",
    ] {
        let wasm = handmade::module(text);
        let mode = CanisterInstallMode::Install;
        let result = install(&pic, canister.id, mode, wasm, vec![]);
        refused(result, ErrorCode::CanisterInvalidWasm);
    }
}

#[test]
fn install_over_a_module_is_5_514() {
    let pic = one_subnet();
    let canister = marked(&pic);
    let mode = CanisterInstallMode::Install;
    let result = install(&pic, canister.id, mode, torture_wasm(), vec![]);
    refused(result, ErrorCode::CanisterNonEmpty);
    assert_eq!(canister.load_text("mark"), "heap");
}

#[test]
fn upgrading_nothing_is_5_537() {
    let pic = one_subnet();
    let canister = Canister::empty(&pic);
    let mode = CanisterInstallMode::Upgrade(None);
    let result = install(&pic, canister.id, mode, torture_wasm(), vec![]);
    refused(result, ErrorCode::CanisterWasmModuleNotFound);
}

#[test]
fn too_few_cycles_to_install_is_2_207() {
    let pic = one_subnet();
    let params = CreateCanisterParams {
        cycles: Some(1_000_000_000),
        ..Default::default()
    };
    let id = pic
        .create_canister_with_params(None, params)
        .expect("created");
    let mode = CanisterInstallMode::Install;
    let result = install(&pic, id, mode, torture_wasm(), vec![]);
    refused(result, ErrorCode::CanisterOutOfCycles);
}

#[test]
fn upgrade_keeps_stable_memory_and_clears_the_heap() {
    let pic = one_subnet();
    let canister = marked(&pic);
    pic.upgrade_canister(canister.id, torture_wasm(), vec![], None)
        .expect("upgraded");
    assert_eq!(canister.load_text("mark"), "");
    assert_eq!(canister.look(&[Op::StableRead(9, 6), Op::Reply]), b"stable");
}

#[test]
fn upgrade_runs_pre_and_post_upgrade() {
    let pic = one_subnet();
    let canister = marked(&pic);
    let save = vec![
        Op::Load("mark".into()),
        Op::StableWrite(100, b"from pre_upgrade".to_vec().into()),
    ];
    canister.run(&[Op::OnPreUpgrade(save), Op::Reply]);
    let arg = encode(&[Op::StableRead(100, 16), Op::Save("post".into())]);
    pic.upgrade_canister(canister.id, torture_wasm(), arg, None)
        .expect("upgraded");
    assert_eq!(canister.load_text("post"), "from pre_upgrade");
}

#[test]
fn failing_upgrades_change_nothing() {
    let pic = one_subnet();
    let canister = marked(&pic);
    let before = canister.version();
    let poison = vec![Op::StableWrite(9, b"broken".to_vec().into())];
    let upgrade = |arg| pic.upgrade_canister(canister.id, torture_wasm(), arg, None);

    let mut post = poison.clone();
    post.push(Op::Trap("post".into()));
    refused(upgrade(encode(&post)), ErrorCode::CanisterCalledTrap);
    assert_eq!(canister.load_text("mark"), "heap");
    assert_eq!(canister.look(&[Op::StableRead(9, 6), Op::Reply]), b"stable");
    assert_eq!(canister.version(), before);

    let mut pre = poison;
    pre.push(Op::Trap("pre".into()));
    canister.run(&[Op::OnPreUpgrade(pre), Op::Reply]);
    refused(upgrade(vec![]), ErrorCode::CanisterCalledTrap);
    assert_eq!(canister.load_text("mark"), "heap");
    assert_eq!(canister.look(&[Op::StableRead(9, 6), Op::Reply]), b"stable");
}

#[test]
fn reinstall_clears_heap_and_stable_memory() {
    let pic = one_subnet();
    let canister = marked(&pic);
    pic.reinstall_canister(canister.id, torture_wasm(), vec![], None)
        .expect("reinstalled");
    assert_eq!(canister.load_text("mark"), "");
    let size = canister.look(&[Op::StableSize, Op::Reply]);
    assert_eq!(u64_at(&size, 0), 0);
}

#[test]
fn uninstall_leaves_an_empty_canister() {
    let pic = one_subnet();
    let canister = marked(&pic);
    let hash = |id| status_of(&pic, id, None).expect("a status").module_hash;
    assert!(hash(canister.id).is_some());
    pic.uninstall_canister(canister.id, None)
        .expect("uninstalled");
    assert_eq!(hash(canister.id), None);
    let canister = canister.with_wasm(torture_wasm());
    let size = canister.look(&[Op::StableSize, Op::Reply]);
    assert_eq!(u64_at(&size, 0), 0);
}

#[test]
fn modules_above_2_mb_are_installed_in_chunks() {
    use sha2::{Digest, Sha256};
    let pic = one_subnet();
    let mut wasm = torture_wasm();
    // A custom section of 3 MB: id, size, name, contents.
    let contents = 3_000_000_u32;
    wasm.push(0);
    let mut size = contents + 4;
    while size >= 0x80 {
        wasm.push(size as u8 | 0x80);
        size >>= 7;
    }
    wasm.push(size as u8);
    wasm.extend(b"\x03pad");
    wasm.extend((0..contents).map(|i| (i % 251) as u8));
    let canister = Canister::empty(&pic).with_wasm(wasm.clone());
    assert_eq!(canister.run(&[say("large"), Op::Reply]), b"large");
    let status = status_of(&pic, canister.id, None).expect("a status");
    assert_eq!(status.module_hash, Some(Sha256::digest(&wasm).to_vec()));
}

#[test]
fn gzipped_modules_are_hashed_as_they_came() {
    use sha2::{Digest, Sha256};
    use std::io::Write;
    let pic = one_subnet();
    let mut encoder = flate2::write::GzEncoder::new(vec![], flate2::Compression::fast());
    encoder.write_all(&torture_wasm()).expect("compresses");
    let compressed = encoder.finish().expect("compresses");
    let canister = Canister::empty(&pic).with_wasm(compressed.clone());
    assert_eq!(canister.run(&[say("zipped"), Op::Reply]), b"zipped");
    let status = status_of(&pic, canister.id, None).expect("a status");
    assert_eq!(
        status.module_hash,
        Some(Sha256::digest(&compressed).to_vec())
    );
}
