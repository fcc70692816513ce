//! The management canister: life cycle, settings, chunks, logs.

mod common;

use candid::{Nat, Principal, decode_one, encode_one};
use common::*;
use ic_management_canister_types::*;
use local_ic_replica::{Effective, RequestError, canister_id};
use sha2::{Digest, Sha256};

fn number(reply: &[u8]) -> u64 {
    u64::from_le_bytes(reply.try_into().expect("8 bytes"))
}

#[test]
fn a_new_canister_should_have_the_measured_status() {
    let mut net = Network::new();
    let id = net.create_on(0, T);
    let status = net.status(id);
    assert_eq!(status.settings.controllers, [USER]);
    assert_eq!(status.settings.freezing_threshold, 2_592_000_u64);
    assert_eq!(status.settings.reserved_cycles_limit, 5_000_000_000_000_u64);
    assert_eq!(status.settings.wasm_memory_limit, 3_221_225_472_u64);
    assert_eq!(status.memory_size, 190_u64);
    assert_eq!(status.idle_cycles_burned_per_day, 1_941_u64);
    assert_eq!((status.version, status.module_hash), (0, None));
    assert_eq!(status.cycles, T - 1_508_000, "the question was paid for");
}

#[test]
fn versions_should_count_as_measured() {
    let mut net = Network::new();
    let id = net.kit(0);
    let version = |net: &mut Network| net.status(id).version;
    assert_eq!(version(&mut net), 1);
    let mut expected = 1;
    let mut step = |net: &mut Network, what: &str, by: u64| {
        expected += by;
        assert_eq!(version(net), expected, "{what}");
    };
    net.update(id, "noop", &[]).expect("replies");
    step(&mut net, "update", 1);
    net.update(id, "trap", &[]).expect_err("traps");
    step(&mut net, "trapping update", 0);
    net.update(id, "get", &[]).expect("replies");
    step(&mut net, "replicated query", 1);
    net.query(id, "get", &[]).expect("replies");
    net.replica.round();
    step(&mut net, "query and idle round", 0);
    net.update(id, "call", &call(id, "noop", &[]).encode())
        .expect("replies");
    step(&mut net, "two updates and a callback", 3);
    net.settings(id, CanisterSettings::default())
        .expect("sets nothing");
    step(&mut net, "settings", 1);
    net.try_install(CanisterInstallMode::Upgrade(None), id, KIT, &[])
        .expect("upgrades");
    step(&mut net, "upgrade", 1);
    net.try_install(CanisterInstallMode::Reinstall, id, KIT, &[])
        .expect("reinstalls");
    step(&mut net, "reinstall", 1);
    net.on("stop_canister", id).expect("stops");
    net.on("start_canister", id).expect("starts");
    step(&mut net, "stop and start", 3);
    net.on("uninstall_code", id).expect("uninstalls");
    step(&mut net, "uninstall", 1);
}

#[test]
fn ids_should_be_specified_or_the_next_free_ones() {
    let mut net = Network::new();
    let create = |net: &mut Network, id: Option<Principal>| {
        let args = ProvisionalCreateCanisterWithCyclesArgs {
            specified_id: id,
            ..Default::default()
        };
        let effective = Effective::Subnet(net.subnet_id(0));
        let arg = encode_one(args).expect("encodes");
        let method = "provisional_create_canister_with_cycles";
        let id = net.try_submit(USER, effective, MANAGEMENT, method, arg)?;
        let answer = net.wait(&id).0;
        Ok::<_, RequestError>(answer.map(|reply| {
            decode_one::<CanisterIdRecord>(&reply)
                .expect("decodes")
                .canister_id
        }))
    };
    let first = 1 << 20;
    assert_eq!(
        create(&mut net, Some(canister_id(first + 1))).expect("taken"),
        Ok(canister_id(first + 1))
    );
    assert_eq!(
        create(&mut net, None).expect("taken"),
        Ok(canister_id(first))
    );
    assert_eq!(
        create(&mut net, None).expect("taken"),
        Ok(canister_id(first + 2))
    );
    let far = canister_id((2 << 20) + 9);
    assert_eq!(
        create(&mut net, Some(far)).expect("taken"),
        Ok(far),
        "the id decides the subnet"
    );
    assert_eq!(net.balance(far), 100 * T);
    let error = create(&mut net, Some(far))
        .expect("taken")
        .expect_err("exists");
    assert_eq!(error.error_code, 205);
    assert!(matches!(
        create(&mut net, Some(canister_id(99 << 20))),
        Err(RequestError::Bad(_))
    ));
}

#[test]
fn management_refusals_should_have_the_measured_codes() {
    let mut net = Network::new();
    let id = net.kit(0);
    let record = encode_one(CanisterIdRecord { canister_id: id }).expect("encodes");
    let stranger = Principal::self_authenticating([9; 32]);
    let unknown = encode_one(CanisterIdRecord {
        canister_id: canister_id((1 << 20) + 77),
    })
    .expect("encodes");
    let cases = [
        (stranger, "canister_status", record.clone(), 512),
        (stranger, "stop_canister", record.clone(), 512),
        (USER, "canister_status", b"junk".to_vec(), 408),
        (USER, "nope", record.clone(), 536),
        (USER, "take_canister_snapshot", record.clone(), 536),
        (
            USER,
            "raw_rand",
            candid::encode_args(()).expect("encodes"),
            406,
        ),
        (USER, "deposit_cycles", record.clone(), 406),
        (USER, "canister_status", unknown, 301),
    ];
    for (sender, method, arg, code) in cases {
        let refusal = net.try_submit(sender, Effective::None, MANAGEMENT, method, arg);
        let Err(RequestError::Refused(error)) = refusal else {
            panic!("{method} is not refused: {refusal:?}");
        };
        assert_eq!(
            (error.error_code, error.certified),
            (code, false),
            "{method}"
        );
    }
    let error = net.on("delete_canister", id).expect_err("runs");
    assert_eq!(
        (error.reject_code, error.error_code, error.certified),
        (5, 510, true)
    );
    net.on("stop_canister", id).expect("stops");
    net.on("delete_canister", id).expect("is deleted");
    assert!(!net.replica.canister_exists(id));
    assert_eq!(
        net.update(id, "noop", &[]).expect_err("gone").error_code,
        301
    );
}

#[test]
fn installations_should_fail_without_a_trace() {
    let mut net = Network::new();
    let id = net.kit(0);
    net.update(id, "bump", &[]).expect("replies");
    net.update(id, "certify", b"root").expect("replies");
    let due = net.replica.time() + 1_000 * SECOND;
    net.update(id, "set_timer", &due.to_le_bytes())
        .expect("replies");
    let trapping = |entry: &str| {
        format!(
            r#"(module (import "ic0" "trap" (func $trap (param i32 i32))) (memory 1)
                (data (i32.const 0) "broken")
                (func (export "{entry}") (call $trap (i32.const 0) (i32.const 6))))"#
        )
    };
    let upgrade = CanisterInstallMode::Upgrade(None);
    let cases = [
        (CanisterInstallMode::Install, KIT.to_string(), 514),
        (upgrade, trapping("canister_post_upgrade"), 503),
        (
            CanisterInstallMode::Reinstall,
            trapping("canister_init"),
            503,
        ),
        (
            upgrade,
            r#"(module (import "ic0" "nothing" (func)))"#.to_string(),
            505,
        ),
    ];
    for (mode, wat, code) in cases {
        let error = net.try_install(mode, id, &wat, &[]).expect_err("fails");
        assert_eq!(
            (error.reject_code, error.error_code),
            (5, code),
            "{}",
            error.message
        );
        assert_eq!(number(&net.query(id, "get", &[]).expect("replies")), 1);
        assert_eq!(
            net.replica
                .canister_state(id)
                .expect("exists")
                .certified_data,
            b"root"
        );
        assert_eq!(net.replica.next_timer(), Some(due));
    }
    let empty = net.create_on(0, T);
    assert_eq!(
        net.try_install(upgrade, empty, KIT, &[])
            .expect_err("empty")
            .error_code,
        537
    );
    let poor = net.create_on(0, T / 10);
    let error = net
        .try_install(CanisterInstallMode::Install, poor, KIT, &[])
        .expect_err("poor");
    assert_eq!((error.reject_code, error.error_code), (2, 207));
}

#[test]
fn installing_should_wait_until_earlier_instructions_are_credited_back() {
    let mut net = Network::new();
    // 7 instructions a turn, 4_900_000_000 in all; a round credits 2_000_000_000 back.
    let busy = r#"(module (func (export "canister_init") (local $left i32)
        i32.const 700000000 local.set $left
        loop local.get $left i32.const 1 i32.sub local.set $left local.get $left br_if 0 end))"#;
    let other = net.kit(0);
    let id = net.create_on(0, 100 * T);
    net.install(id, busy);
    let reinstall = CanisterInstallMode::Reinstall;
    let error = net
        .try_install(reinstall, id, KIT, &[])
        .expect_err("too soon");
    assert_eq!((error.reject_code, error.error_code), (2, 209));
    assert!(
        error
            .message
            .ends_with("Please retry installation after several minutes."),
        "{}",
        error.message
    );
    net.try_install(reinstall, other, KIT, &[])
        .expect("another canister is not concerned");
    net.try_install(reinstall, id, busy, &[])
        .expect("enough rounds are over");
    net.replica.round();
    net.replica.round();
    net.try_install(reinstall, id, KIT, &[])
        .expect("the rest was credited back");
    // What fails counts, too.
    let broken = busy.replace(" end))", " end unreachable))");
    net.try_install(reinstall, id, &broken, &[])
        .expect_err("traps");
    let error = net
        .try_install(reinstall, id, KIT, &[])
        .expect_err("too soon");
    assert_eq!(error.error_code, 209);
    // System subnets have no such limit.
    let system = net.create_on(3, 100 * T);
    net.install(system, busy);
    net.try_install(reinstall, system, KIT, &[])
        .expect("as often as one likes");
}

#[test]
fn the_status_should_be_shown_to_those_who_may_see_it() {
    let mut net = Network::new();
    let id = net.kit(0);
    let viewer = Principal::self_authenticating([9; 32]);
    let asks = |net: &mut Network| {
        let record = encode_one(CanisterIdRecord { canister_id: id }).expect("encodes");
        let asked = net.try_submit(
            viewer,
            Effective::None,
            MANAGEMENT,
            "canister_status",
            record,
        );
        asked.is_ok_and(|asked| net.wait(&asked).0.is_ok())
    };
    let settings = net.status(id).settings;
    assert_eq!(settings.status_visibility, StatusVisibility::Controllers);
    assert_eq!(settings.minimum_incoming_canister_call_cycles, 0_u64);
    assert!(!asks(&mut net));
    for (visibility, shown) in [
        (StatusVisibility::AllowedViewers(vec![viewer]), true),
        (StatusVisibility::AllowedViewers(vec![]), false),
        (StatusVisibility::Public, true),
    ] {
        let change = CanisterSettings {
            status_visibility: Some(visibility.clone()),
            ..Default::default()
        };
        net.settings(id, change).expect("is set");
        assert_eq!(net.status(id).settings.status_visibility, visibility);
        assert_eq!(asks(&mut net), shown, "{visibility:?}");
    }
}

#[test]
fn a_pre_upgrade_trap_should_stop_an_upgrade_unless_skipped() {
    let mut net = Network::new();
    let id = net.create_on(0, 10 * T);
    let wat = r#"(module (import "ic0" "trap" (func $trap (param i32 i32))) (memory 1)
        (func (export "canister_pre_upgrade") (call $trap (i32.const 0) (i32.const 1))))"#;
    net.install(id, wat);
    let error = net
        .try_install(CanisterInstallMode::Upgrade(None), id, KIT, &[])
        .expect_err("pre_upgrade traps");
    assert_eq!(error.error_code, 503);
    let keep = UpgradeFlags {
        skip_pre_upgrade: None,
        wasm_memory_persistence: Some(WasmMemoryPersistence::Keep),
    };
    let error = net
        .try_install(CanisterInstallMode::Upgrade(Some(keep)), id, KIT, &[])
        .expect_err("not supported");
    assert!(error.message.contains("not supported"), "{}", error.message);
    let skip = UpgradeFlags {
        skip_pre_upgrade: Some(true),
        wasm_memory_persistence: Some(WasmMemoryPersistence::Replace),
    };
    net.try_install(CanisterInstallMode::Upgrade(Some(skip)), id, KIT, &[])
        .expect("upgrades");
    net.update(id, "noop", &[]).expect("the new code runs");
}

#[test]
fn chunks_should_make_a_module() {
    let mut net = Network::new();
    let id = net.create_on(0, 10 * T);
    let wasm = wat::parse_str(KIT).expect("compiles");
    let (first, second) = wasm.split_at(1_000);
    let mut hashes = Vec::new();
    for chunk in [first, second] {
        let args = UploadChunkArgs {
            canister_id: id,
            chunk: chunk.to_vec(),
        };
        let reply = net.management("upload_chunk", args).expect("is stored");
        hashes.push(decode_one::<ChunkHash>(&reply).expect("decodes"));
    }
    let stored: Vec<ChunkHash> =
        decode_one(&net.on("stored_chunks", id).expect("lists")).expect("decodes");
    assert_eq!(stored.len(), 2);
    let mut args = InstallChunkedCodeArgs {
        mode: CanisterInstallMode::Install,
        target_canister: id,
        store_canister: None,
        chunk_hashes_list: hashes,
        wasm_module_hash: vec![0; 32],
        arg: vec![],
        sender_canister_version: None,
    };
    net.management("install_chunked_code", args.clone())
        .expect_err("the hash is wrong");
    args.wasm_module_hash = Sha256::digest(&wasm).to_vec();
    net.management("install_chunked_code", args)
        .expect("installs");
    net.update(id, "noop", &[]).expect("runs");
    net.on("clear_chunk_store", id).expect("clears");
    assert_eq!(net.status(id).memory_metrics.wasm_chunk_store_size, 0_u64);
}

#[test]
fn settings_should_have_their_effects() {
    let mut net = Network::new();
    let id = net.kit(0);
    let other = Principal::self_authenticating([9; 32]);
    let settings = CanisterSettings {
        controllers: Some(vec![other, USER]),
        freezing_threshold: Some(Nat::from(1_000_u64)),
        environment_variables: Some(vec![EnvironmentVariable {
            name: "NAME".to_string(),
            value: "value".to_string(),
        }]),
        log_visibility: Some(LogVisibility::Public),
        compute_allocation: Some(Nat::from(1_u64)),
        ..Default::default()
    };
    net.settings(id, settings).expect("is set");
    let status = net.status(id);
    assert_eq!(status.settings.controllers.len(), 2);
    assert_eq!(status.settings.freezing_threshold, 1_000_u64);
    assert_eq!(status.settings.environment_variables[0].name, "NAME");
    assert_eq!(status.settings.log_visibility, LogVisibility::Public);
    // One percent of compute costs 10_000_000 a second.
    assert!(status.idle_cycles_burned_per_day >= 864_000_000_000_u64);
    for bad in [
        CanisterSettings {
            controllers: Some((0..11).map(canister_id).collect()),
            ..Default::default()
        },
        CanisterSettings {
            compute_allocation: Some(Nat::from(101_u64)),
            ..Default::default()
        },
        CanisterSettings {
            freezing_threshold: Some(Nat::from(u128::MAX)),
            ..Default::default()
        },
        CanisterSettings {
            wasm_memory_threshold: Some(Nat::from(1_u64)),
            ..Default::default()
        },
        CanisterSettings {
            minimum_incoming_canister_call_cycles: Some(Nat::from(1_u64)),
            ..Default::default()
        },
        CanisterSettings {
            status_visibility: Some(StatusVisibility::AllowedViewers(
                (0..11).map(canister_id).collect(),
            )),
            ..Default::default()
        },
    ] {
        net.settings(id, bad).expect_err("is refused");
    }
    // A freezing threshold beyond what the balance lasts for freezes the canister.
    let freeze = CanisterSettings {
        freezing_threshold: Some(Nat::from(1_000_000_000_000_u64)),
        ..Default::default()
    };
    net.settings(id, freeze).expect("is set");
    let error = net.update(id, "noop", &[]).expect_err("frozen");
    assert_eq!(
        (error.reject_code, error.error_code, error.certified),
        (2, 207, false)
    );
    assert_eq!(
        net.query(id, "get", &[]).expect_err("frozen").error_code,
        207
    );
    let thaw = CanisterSettings {
        freezing_threshold: Some(Nat::from(0_u64)),
        ..Default::default()
    };
    net.settings(id, thaw)
        .expect("a frozen canister can be thawed");
    net.update(id, "noop", &[]).expect("runs again");
}

#[test]
fn logs_should_be_readable_by_those_who_may() {
    let mut net = Network::new();
    let id = net.kit(0);
    net.update(id, "print", b"hello").expect("replies");
    net.update(id, "trap", &[]).expect_err("traps");
    net.query(id, "get", &[]).expect("replies");
    let arg = encode_one(FetchCanisterLogsArgs {
        canister_id: id,
        filter: None,
    })
    .expect("encodes");
    let reply = net
        .query(MANAGEMENT, "fetch_canister_logs", &arg)
        .expect("the controller may");
    let logs: FetchCanisterLogsResult = decode_one(&reply).expect("decodes");
    let lines: Vec<String> = logs
        .canister_log_records
        .iter()
        .map(|record| String::from_utf8_lossy(&record.content).into_owned())
        .collect();
    assert_eq!(lines[0], "hello");
    assert!(lines[1].contains("boom"), "{lines:?}");
    assert_eq!(lines.len(), 2);
    let stranger = local_ic_replica::Query {
        sender: Principal::self_authenticating([9; 32]),
        canister_id: MANAGEMENT,
        effective: Effective::None,
        method: "fetch_canister_logs".to_string(),
        arg,
    };
    assert!(net.replica.query(stranger).is_err());
}
