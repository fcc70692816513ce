//! What must hold whatever happens: cycles are conserved, and no payload brings the replica down.

mod common;

use candid::{Principal, encode_one};
use common::*;
use ic_management_canister_types::*;
use local_ic_replica::*;
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{RngCore, SeedableRng};

fn below(rng: &mut ChaCha8Rng, bound: u64) -> u64 {
    rng.next_u64() % bound
}

/// A random call tree: some leaves accept, trap, reject or never answer, some calls are bounded.
fn random_call(rng: &mut ChaCha8Rng, canisters: &[Principal], depth: u64) -> Vec<u8> {
    let callee = canisters[below(rng, canisters.len() as u64) as usize];
    let methods = ["call", "call_trap", "reply_then_call", "call_silent"];
    let leaves = [
        "accept",
        "accept_trap",
        "accept_reject",
        "noop",
        "silent",
        "nope",
    ];
    let accept = below(rng, 2_000_000).to_le_bytes();
    let (method, arg) = if depth > 0 {
        let nested = random_call(rng, canisters, depth - 1);
        (methods[below(rng, 4) as usize], nested)
    } else {
        (leaves[below(rng, 6) as usize], accept.to_vec())
    };
    Call {
        callee,
        method,
        arg: &arg,
        cycles: below(rng, 1_000_000),
        timeout: if below(rng, 2) == 0 {
            0
        } else {
            1 + below(rng, 3) as u32
        },
    }
    .encode()
}

#[test]
fn cycles_should_neither_vanish_nor_appear() {
    // On system subnets nothing is charged, so the sum must stay exactly the same.
    for seed in 0..20 {
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        let mut net = Network::new();
        let second = subnet(5, SubnetKind::System, 13);
        net.replica.add_subnet(second).expect("the ranges are free");
        let mut canisters = Vec::new();
        for index in [3, 4, 3, 4] {
            let id = net.create_on(index, T);
            net.install(id, KIT);
            canisters.push(id);
        }
        let total = |net: &Network| canisters.iter().map(|&id| net.balance(id)).sum::<Cycles>();
        assert_eq!(total(&net), 4 * T);
        let mut ids = Vec::new();
        for _ in 0..30 {
            let start = canisters[below(&mut rng, 4) as usize];
            let depth = below(&mut rng, 4);
            let arg = random_call(&mut rng, &canisters, depth);
            // A canister that is stopped or empty at the moment refuses.
            let submitted = net.try_submit(USER, Effective::None, start, "call", arg);
            ids.extend(submitted.ok());
            match below(&mut rng, 12) {
                0 => drop(net.on("uninstall_code", start)),
                1 => {
                    let mode = CanisterInstallMode::Reinstall;
                    drop(net.try_install(mode, start, KIT, &[]));
                }
                2 => net.advance(2 * SECOND),
                3 => {
                    let record = CanisterIdRecord { canister_id: start };
                    let arg = encode_one(record).expect("encodes");
                    net.submit(MANAGEMENT, "stop_canister", &arg);
                }
                4 => drop(net.on("start_canister", start)),
                _ => {}
            }
            net.replica.round();
        }
        net.advance(10 * SECOND);
        for _ in 0..30 {
            net.replica.round();
        }
        assert!(
            ids.iter().all(|id| net.answer(id).is_some()),
            "seed {seed}: everything is answered"
        );
        assert!(!net.replica.busy(), "seed {seed}");
        assert_eq!(total(&net), 4 * T, "seed {seed}");
    }
}

#[test]
fn runs_should_repeat_exactly() {
    let run = || {
        let mut rng = ChaCha8Rng::seed_from_u64(7);
        let mut net = Network::new();
        let canisters: Vec<Principal> = [0, 1, 0, 1].map(|index| net.kit(index)).to_vec();
        for _ in 0..40 {
            let arg = random_call(&mut rng, &canisters, 2);
            let start = canisters[below(&mut rng, 4) as usize];
            net.submit(start, "call", &arg);
            if below(&mut rng, 3) == 0 {
                net.replica.round();
            }
        }
        for _ in 0..10 {
            net.replica.round();
        }
        net.replica.last_instructions()
    };
    assert_eq!(run(), run());
}

fn valid_arguments(id: Principal) -> Vec<(&'static str, Vec<u8>)> {
    let record = encode_one(CanisterIdRecord { canister_id: id }).expect("encodes");
    let mut all: Vec<(&str, Vec<u8>)> = [
        "clear_chunk_store",
        "stored_chunks",
        "uninstall_code",
        "start_canister",
        "stop_canister",
        "delete_canister",
        "canister_status",
        "canister_info",
        "deposit_cycles",
        "fetch_canister_logs",
        "take_canister_snapshot",
        "nonsense",
    ]
    .map(|method| (method, record.clone()))
    .to_vec();
    let key_id = EcdsaKeyId {
        curve: EcdsaCurve::Secp256k1,
        name: "key_1".to_string(),
    };
    let schnorr = SchnorrKeyId {
        algorithm: SchnorrAlgorithm::Ed25519,
        name: "key_1".to_string(),
    };
    let encode = |result: candid::Result<Vec<u8>>| result.expect("encodes");
    all.extend([
        ("raw_rand", encode(candid::encode_args(()))),
        (
            "create_canister",
            encode(encode_one(CreateCanisterArgs::default())),
        ),
        (
            "provisional_create_canister_with_cycles",
            encode(encode_one(ProvisionalCreateCanisterWithCyclesArgs {
                amount: Some(candid::Nat::from(u128::MAX)),
                ..Default::default()
            })),
        ),
        (
            "provisional_top_up_canister",
            encode(encode_one(ProvisionalTopUpCanisterArgs {
                canister_id: id,
                amount: candid::Nat::from(u128::MAX),
            })),
        ),
        (
            "update_settings",
            encode(encode_one(UpdateSettingsArgs {
                canister_id: id,
                settings: CanisterSettings {
                    controllers: Some(vec![USER, id]),
                    freezing_threshold: Some(candid::Nat::from(u64::MAX)),
                    memory_allocation: Some(candid::Nat::from(1_u64 << 48)),
                    compute_allocation: Some(candid::Nat::from(100_u64)),
                    ..Default::default()
                },
                sender_canister_version: None,
            })),
        ),
        (
            "install_code",
            encode(encode_one(InstallArgs {
                mode: CanisterInstallMode::Reinstall,
                canister_id: id,
                wasm_module: wat::parse_str(KIT).expect("compiles"),
                arg: vec![],
            })),
        ),
        (
            "upload_chunk",
            encode(encode_one(UploadChunkArgs {
                canister_id: id,
                chunk: vec![1; 100],
            })),
        ),
        (
            "install_chunked_code",
            encode(encode_one(InstallChunkedCodeArgs {
                mode: CanisterInstallMode::Install,
                target_canister: id,
                store_canister: None,
                chunk_hashes_list: vec![ChunkHash { hash: vec![1; 3] }],
                wasm_module_hash: vec![],
                arg: vec![],
                sender_canister_version: None,
            })),
        ),
        (
            "http_request",
            encode(encode_one(HttpRequestArgs {
                url: "x".to_string(),
                max_response_bytes: Some(u64::MAX),
                ..Default::default()
            })),
        ),
        (
            "sign_with_ecdsa",
            encode(encode_one(SignWithEcdsaArgs {
                message_hash: vec![1; 32],
                derivation_path: vec![vec![]; 300],
                key_id: key_id.clone(),
            })),
        ),
        (
            "ecdsa_public_key",
            encode(encode_one(EcdsaPublicKeyArgs {
                key_id,
                ..Default::default()
            })),
        ),
        (
            "sign_with_schnorr",
            encode(encode_one(SignWithSchnorrArgs {
                key_id: schnorr,
                aux: Some(SchnorrAux::Bip341(Bip341 {
                    merkle_root_hash: vec![1; 31],
                })),
                ..Default::default()
            })),
        ),
    ]);
    all
}

#[test]
fn no_management_payload_should_bring_the_replica_down() {
    let mut rng = ChaCha8Rng::seed_from_u64(1);
    let mut net = Network::new();
    let mut id = net.kit(0);
    let other = net.kit(0);
    for round in 0..40 {
        for (method, valid) in valid_arguments(id) {
            let mut arg = valid.clone();
            match round % 4 {
                0 => {}
                1 => {
                    let at = below(&mut rng, arg.len() as u64) as usize;
                    arg[at] = arg[at].wrapping_add(1 + below(&mut rng, 255) as u8);
                }
                2 => arg.truncate(below(&mut rng, arg.len() as u64) as usize),
                _ => arg.extend((0..below(&mut rng, 40)).map(|byte| byte as u8)),
            }
            // From outside, by a canister and as a query; every answer will do.
            let _ = net.try_submit(USER, Effective::None, MANAGEMENT, method, arg.clone());
            let by_canister = Call {
                cycles: 1_000_000,
                ..call(MANAGEMENT, method, &arg)
            };
            let _ = net.try_submit(USER, Effective::None, other, "call", by_canister.encode());
            let _ = net.query(MANAGEMENT, method, &arg);
            if below(&mut rng, 4) == 0 {
                net.replica.round();
            }
        }
        for _ in 0..4 {
            net.replica.round();
        }
        if net
            .replica
            .canister_state(id)
            .is_none_or(|view| view.module_hash.is_none())
        {
            id = net.kit(0);
        }
    }
    let fresh = net.kit(0);
    net.update(fresh, "noop", &[]).expect("the network lives");
}
