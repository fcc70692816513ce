//! The management canister: life cycle, settings, chunks, logs, outcalls, signatures.

mod common;

use candid::{Nat, Principal, decode_one, encode_one};
use common::*;
use ic_management_canister_types::*;
use local_ic_replica::{Effective, HttpAnswer, HttpResult, MessageId, RequestError, canister_id};
use sha2::{Digest, Sha256};

fn number(reply: &[u8]) -> u64 {
    u64::from_le_bytes(reply.try_into().expect("8 bytes"))
}

fn management_call(
    net: &mut Network,
    caller: Principal,
    method: &str,
    arg: &[u8],
    cycles: u64,
) -> (Seen, u32) {
    let call = Call {
        cycles,
        ..call(MANAGEMENT, method, arg)
    };
    let id = net.submit(caller, "call", &call.encode());
    let (reply, rounds) = net.wait(&id);
    (seen(&reply.expect("the caller replies")), rounds)
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

#[test]
fn canisters_should_create_canisters() {
    let mut net = Network::new();
    let id = net.kit(0);
    let arg = encode_one(CreateCanisterArgs::default()).expect("encodes");
    let (seen, _) = management_call(&mut net, id, "create_canister", &arg, 1_000);
    assert_eq!(seen.code, 4);
    assert!(seen.text().contains("500_000_000_000"), "{}", seen.text());
    assert_eq!(seen.refunded, 1_000);
    let (seen, rounds) = management_call(&mut net, id, "create_canister", &arg, 1_500_000_000_000);
    assert_eq!((seen.code, seen.refunded, rounds), (0, 0, 2));
    let new = decode_one::<CanisterIdRecord>(&seen.data)
        .expect("decodes")
        .canister_id;
    assert_eq!(net.balance(new), T);
    assert_eq!(net.replica.controllers(new), Some(vec![id]));
    let record = encode_one(CanisterIdRecord { canister_id: new }).expect("encodes");
    let (seen, _) = management_call(&mut net, id, "deposit_cycles", &record, 5_000);
    assert_eq!((seen.code, net.balance(new)), (0, T + 5_000));
    let info = encode_one(CanisterInfoArgs {
        canister_id: new,
        num_requested_changes: Some(5),
    })
    .expect("encodes");
    let (seen, _) = management_call(&mut net, id, "canister_info", &info, 0);
    let info: CanisterInfoResult = decode_one(&seen.data).expect("decodes");
    assert_eq!((info.total_num_changes, info.controllers), (1, vec![id]));
}

fn outcall(transform: Option<TransformContext>) -> Vec<u8> {
    encode_one(HttpRequestArgs {
        url: "https://example.org/".to_string(),
        max_response_bytes: Some(2_000),
        headers: vec![HttpHeader {
            name: "a".to_string(),
            value: "bc".to_string(),
        }],
        transform,
        ..Default::default()
    })
    .expect("encodes")
}

fn answered(net: &mut Network, id: &MessageId, answer: HttpAnswer) -> Seen {
    let pending = net.replica.pending_http();
    assert_eq!(pending.len(), 1);
    net.replica
        .answer_http(pending[0].subnet, pending[0].request_id, answer)
        .expect("is pending");
    seen(&net.wait(id).0.expect("replies"))
}

fn page(body: &[u8]) -> HttpResult {
    HttpResult::Reply {
        status: 200,
        headers: vec![],
        body: body.to_vec(),
    }
}

#[test]
fn outcalls_should_be_priced_answered_and_timed_out() {
    let mut net = Network::new();
    let id = net.kit(0);
    let (refusal, _) = management_call(&mut net, id, "http_request", &outcall(None), 1_000);
    assert_eq!((refusal.code, refusal.refunded), (4, 1_000));
    // 23 request bytes and 2_000 response bytes, as measured.
    assert_eq!(
        refusal.text(),
        "http_request request sent with 1_000 cycles, but 70_059_600 cycles are required."
    );
    let start = |net: &mut Network| {
        let arg = outcall(None);
        let call = Call {
            cycles: 100_000_000,
            ..call(MANAGEMENT, "http_request", &arg)
        };
        let id = net.submit(id, "call", &call.encode());
        net.replica.round();
        net.replica.round();
        id
    };
    let request = start(&mut net);
    let reply = answered(&mut net, &request, page(b"body").into());
    assert_eq!((reply.code, reply.refunded), (0, 100_000_000 - 70_059_600));
    let response: HttpRequestResult = decode_one(&reply.data).expect("decodes");
    assert_eq!(
        (response.status, response.body),
        (Nat::from(200_u64), b"body".to_vec())
    );

    let request = start(&mut net);
    let differing = HttpAnswer {
        result: page(b"0"),
        additional: (1..13).map(|node| page(&[node])).collect(),
    };
    assert_eq!(answered(&mut net, &request, differing).code, 2);
    let request = start(&mut net);
    assert_eq!(
        answered(&mut net, &request, page(&[0; 2_001]).into()).code,
        1
    );
    let request = start(&mut net);
    let reject = HttpResult::Reject {
        code: 2,
        message: "no route".to_string(),
    };
    let reply = answered(&mut net, &request, reject.into());
    assert_eq!((reply.code, reply.text()), (2, "no route".to_string()));

    let request = start(&mut net);
    net.advance(59 * SECOND);
    net.replica.round();
    assert_eq!(net.replica.pending_http().len(), 1);
    net.advance(2 * SECOND);
    let reply = seen(&net.wait(&request).0.expect("replies"));
    assert_eq!(
        (reply.code, reply.text()),
        (2, "Canister http request timed out".to_string())
    );
    assert!(net.replica.pending_http().is_empty());
}

#[test]
fn transforms_should_run_on_the_canister() {
    let mut net = Network::new();
    let id = net.create_on(0, 100 * T);
    // The transform replies with its whole argument.
    let wat = KIT.replace("\"canister_query write\"", "\"canister_query transform\"").replace(
        "(func (export \"canister_query transform\") (call $bump) (call $reply_i64 (i64.load (i32.const 0))))",
        "(func (export \"canister_query transform\") (call $load_arg) (call $append (i32.const 1024) (call $arg_size)) (call $reply))",
    );
    net.install(id, &wat);
    let transform = |method: &str| TransformContext {
        function: TransformFunc(candid::Func {
            principal: id,
            method: method.to_string(),
        }),
        context: b"context".to_vec(),
    };
    for (method, code) in [("transform", 0), ("query_trap", 5)] {
        let arg = outcall(Some(transform(method)));
        let call = Call {
            cycles: 200_000_000,
            ..call(MANAGEMENT, "http_request", &arg)
        };
        let request = net.submit(id, "call", &call.encode());
        net.replica.round();
        net.replica.round();
        let reply = answered(&mut net, &request, page(b"body").into());
        assert_eq!(reply.code, code, "{}", reply.text());
        if code == 0 {
            let args: TransformArgs = decode_one(&reply.data).expect("decodes");
            assert_eq!(
                (args.context, args.response.body),
                (b"context".to_vec(), b"body".to_vec())
            );
        }
    }
}

#[test]
fn signatures_should_verify_under_the_derived_keys() {
    let mut net = Network::new();
    let id = net.kit(0);
    let price = 26_153_846_153;
    let key_id = EcdsaKeyId {
        curve: EcdsaCurve::Secp256k1,
        name: "key_1".to_string(),
    };
    let path = vec![b"path".to_vec()];
    let args = EcdsaPublicKeyArgs {
        canister_id: None,
        derivation_path: path.clone(),
        key_id: key_id.clone(),
    };
    let (reply, rounds) = management_call(
        &mut net,
        id,
        "ecdsa_public_key",
        &encode_one(args).expect("encodes"),
        0,
    );
    assert_eq!((reply.code, rounds), (0, 2), "{}", reply.text());
    let public: EcdsaPublicKeyResult = decode_one(&reply.data).expect("decodes");
    let offline = ic_secp256k1::PublicKey::derive_pocketic_key(
        ic_secp256k1::PocketIcMasterPublicKeyId::EcdsaKey1,
        &ic_secp256k1_canister_id(id),
        &path,
    );
    assert_eq!(public.public_key, offline.0.serialize_sec1(true));
    let sign = SignWithEcdsaArgs {
        message_hash: vec![3; 32],
        derivation_path: path.clone(),
        key_id: key_id.clone(),
    };
    let sign_arg = encode_one(&sign).expect("encodes");
    let (reply, rounds) = management_call(&mut net, id, "sign_with_ecdsa", &sign_arg, price + 5);
    assert_eq!((reply.code, reply.refunded, rounds), (0, 5, 3));
    let signature: SignWithEcdsaResult = decode_one(&reply.data).expect("decodes");
    assert!(
        offline
            .0
            .verify_ecdsa_signature_prehashed(&[3; 32], &signature.signature)
    );
    let (reply, _) = management_call(&mut net, id, "sign_with_ecdsa", &sign_arg, 0);
    assert_eq!(reply.code, 4);
    assert_eq!(
        reply.text(),
        "sign_with_ecdsa request sent with 0 cycles, but 26_153_846_153 cycles are required."
    );
    let unknown = EcdsaKeyId {
        name: "other".to_string(),
        ..key_id.clone()
    };
    let short = SignWithEcdsaArgs {
        message_hash: vec![3; 31],
        ..sign.clone()
    };
    for bad in [
        SignWithEcdsaArgs {
            key_id: unknown,
            ..sign
        },
        short,
    ] {
        let arg = encode_one(bad).expect("encodes");
        let (reply, rounds) = management_call(&mut net, id, "sign_with_ecdsa", &arg, price);
        assert_eq!((reply.code, reply.refunded, rounds), (3, price, 1));
        assert!(
            reply
                .text()
                .starts_with("Unable to route management canister request sign_with_ecdsa: ")
        );
    }
    for (algorithm, length) in [
        (SchnorrAlgorithm::Ed25519, 32),
        (SchnorrAlgorithm::Bip340secp256k1, 33),
    ] {
        let key_id = SchnorrKeyId {
            algorithm,
            name: "test_key_1".to_string(),
        };
        let args = SchnorrPublicKeyArgs {
            canister_id: None,
            derivation_path: vec![],
            key_id: key_id.clone(),
        };
        let (reply, _) = management_call(
            &mut net,
            id,
            "schnorr_public_key",
            &encode_one(args).expect("encodes"),
            0,
        );
        let public: SchnorrPublicKeyResult = decode_one(&reply.data).expect("decodes");
        assert_eq!(public.public_key.len(), length);
        let sign = SignWithSchnorrArgs {
            message: b"text".to_vec(),
            derivation_path: vec![],
            key_id,
            aux: None,
        };
        let (reply, rounds) = management_call(
            &mut net,
            id,
            "sign_with_schnorr",
            &encode_one(sign).expect("encodes"),
            price,
        );
        assert_eq!((reply.code, rounds), (0, 3));
        let signature: SignWithSchnorrResult = decode_one(&reply.data).expect("decodes");
        let valid = match algorithm {
            SchnorrAlgorithm::Ed25519 => ic_ed25519::PublicKey::deserialize_raw(&public.public_key)
                .expect("a key")
                .verify_signature(b"text", &signature.signature)
                .is_ok(),
            SchnorrAlgorithm::Bip340secp256k1 => {
                ic_secp256k1::PublicKey::deserialize_sec1(&public.public_key)
                    .expect("a key")
                    .verify_bip340_signature(b"text", &signature.signature)
            }
        };
        assert!(valid);
    }
}

fn ic_secp256k1_canister_id(id: Principal) -> ic_secp256k1::CanisterId {
    ic_secp256k1::CanisterId::from_slice(id.as_slice())
}
