//! What canisters ask the management canister for: canisters, HTTP outcalls, threshold signatures
//! (facts B of crates/torture/README.md).

mod common;

use candid::{Nat, Principal, decode_one, encode_one};
use common::*;
use ic_management_canister_types::*;
use local_ic_replica::{HttpAnswer, HttpResult, MessageId};

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
