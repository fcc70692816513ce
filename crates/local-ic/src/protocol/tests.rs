//! What this server reads and writes is what the client crate writes and reads.

use super::*;
use ::pocket_ic::common::rest;
use serde::de::DeserializeOwned;
use serde_json::{Value, from_str, to_string};
use std::collections::BTreeMap;
use std::fmt::Debug;

/// The client reads our answer without losing anything of it.
fn client_reads<T: Serialize + DeserializeOwned + Debug>(ours: &impl Serialize) -> T {
    let json = to_string(ours).expect("encodes");
    let theirs: T = from_str(&json).expect("the client reads it");
    let again = to_string(&theirs).expect("encodes");
    let value = |json: &str| from_str::<Value>(json).expect("JSON");
    assert_eq!(value(&again), value(&json));
    theirs
}

/// We read what the client sends.
fn server_reads<T: DeserializeOwned>(theirs: &impl Serialize) -> T {
    from_str(&to_string(theirs).expect("encodes")).expect("we read it")
}

fn topology() -> Topology {
    let id = Principal::from_slice(&[7; 10]);
    let config = SubnetConfig {
        subnet_kind: "NNS",
        subnet_admins: None,
        cost_schedule: "Normal",
        subnet_seed: [9; 32],
        instruction_config: "Production",
        canister_ranges: vec![CanisterIdRange {
            start: id.into(),
            end: id.into(),
        }],
    };
    Topology {
        subnet_configs: BTreeMap::from([(id, config)]),
        default_effective_canister_id: id.into(),
    }
}

#[test]
fn should_answer_about_instances_and_gateways_as_the_client_expects() {
    let info = HttpGatewayInfo {
        instance_id: 3,
        port: 4_000,
    };
    client_reads::<rest::Topology>(&topology());
    client_reads::<rest::CreateInstanceResponse>(&CreateInstanceResponse::Created {
        instance_id: 1,
        topology: topology(),
        http_gateway_info: Some(info),
    });
    let message = String::from("no");
    client_reads::<rest::CreateInstanceResponse>(&CreateInstanceResponse::Error {
        message: message.clone(),
    });
    client_reads::<rest::CreateHttpGatewayResponse>(&CreateHttpGatewayResponse::Created(info));
    client_reads::<rest::CreateHttpGatewayResponse>(&CreateHttpGatewayResponse::Error { message });
    client_reads::<rest::HttpGatewayDetails>(&HttpGatewayDetails {
        instance_id: 1,
        port: 2,
        forward_to: HttpGatewayBackend::PocketIcInstance(3),
        domains: Some(vec!["localhost".into()]),
        https_config: None,
    });
}

#[test]
fn should_answer_about_messages_and_canisters_as_the_client_expects() {
    let id = Principal::from_slice(&[1, 2]);
    client_reads::<rest::RawTime>(&RawTime {
        nanos_since_epoch: u64::MAX,
    });
    let message: rest::RawMessageId = client_reads(&RawMessageId {
        effective_principal: RawEffectivePrincipal::CanisterId(vec![0, 255]),
        message_id: vec![5; 32],
    });
    assert_eq!(message.message_id, [5; 32]);
    client_reads::<rest::RawCanisterResult>(&RawCanisterResult::Ok(vec![1, 2, 3]));
    client_reads::<rest::RawCycles>(&RawCycles { cycles: u128::MAX });
    client_reads::<rest::RawStableMemory>(&RawStableMemory { blob: vec![0; 40] });
    client_reads::<rest::RawPrincipalId>(&RawPrincipalId::from(id));
    client_reads::<rest::RawSubnetId>(&RawSubnetId::from(id));
    client_reads::<rest::RawCanisterHttpRequest>(&RawCanisterHttpRequest {
        subnet_id: id.into(),
        request_id: 1,
        http_method: "GET",
        url: "https://a.example".into(),
        headers: vec![CanisterHttpHeader {
            name: "a".into(),
            value: "b".into(),
        }],
        body: vec![1],
        max_response_bytes: None,
        replication: "NonReplicated",
        pricing_version: "Legacy",
    });
}

#[test]
fn should_read_what_the_client_asks() {
    let call = rest::RawCanisterCall {
        sender: vec![4],
        canister_id: vec![1],
        effective_principal: rest::RawEffectivePrincipal::SubnetId(vec![2]),
        method: "pay".into(),
        payload: vec![0; 3],
        sender_info: None,
    };
    let read: RawCanisterCall = server_reads(&call);
    assert_eq!((read.sender, read.canister_id), (vec![4], vec![1]));
    assert_eq!((read.method.as_str(), read.payload), ("pay", vec![0; 3]));
    assert!(matches!(read.effective_principal, RawEffectivePrincipal::SubnetId(id) if id == [2]));
    assert!(read.sender_info.is_none());
    let signed: RawCanisterCall = server_reads(&rest::RawCanisterCall {
        sender_info: Some(rest::RawSenderInfo {
            info: vec![],
            signer: vec![],
        }),
        ..call
    });
    assert!(signed.sender_info.is_some());

    let ticks: RawTickConfigs = server_reads(&rest::RawTickConfigs::default());
    assert!(ticks.blockmakers.is_none());
    let added: RawAddCycles = server_reads(&rest::RawAddCycles {
        canister_id: vec![1],
        amount: u128::MAX,
    });
    assert_eq!(added.amount, u128::MAX);
    let set: RawSetStableMemory = server_reads(&rest::RawSetStableMemory {
        canister_id: vec![1],
        blob_id: rest::BlobId(vec![3; 32]),
    });
    assert_eq!(set.blob_id, [3; 32]);
    let status: RawIngressStatusArgs = server_reads(&rest::RawIngressStatusArgs {
        raw_message_id: rest::RawMessageId {
            effective_principal: rest::RawEffectivePrincipal::None,
            message_id: vec![1],
        },
        raw_caller: Some(Principal::anonymous().into()),
    });
    assert_eq!(status.raw_caller.expect("a caller").principal_id, [4]);
    let gateway: HttpGatewayConfig = server_reads(&rest::HttpGatewayConfig {
        ip_addr: None,
        port: Some(80),
        forward_to: rest::HttpGatewayBackend::PocketIcInstance(2),
        domains: Some(vec!["a".into()]),
        https_config: None,
        domain_custom_provider_local_file: None,
    });
    assert_eq!(gateway.forward_to, HttpGatewayBackend::PocketIcInstance(2));
    assert_eq!(gateway.gateway.port, Some(80));
}

#[test]
fn should_read_mocked_answers() {
    let mock: RawMockCanisterHttpResponse = server_reads(&rest::RawMockCanisterHttpResponse {
        subnet_id: Principal::anonymous().into(),
        request_id: 7,
        response: rest::CanisterHttpResponse::CanisterHttpReply(rest::CanisterHttpReply {
            status: 200,
            headers: vec![rest::CanisterHttpHeader {
                name: "a".into(),
                value: "b".into(),
            }],
            body: vec![9],
        }),
        additional_responses: vec![rest::CanisterHttpResponse::CanisterHttpReject(
            rest::CanisterHttpReject {
                reject_code: 2,
                message: "no".into(),
            },
        )],
    });
    let CanisterHttpResponse::CanisterHttpReply(reply) = mock.response else {
        panic!("a reply");
    };
    assert_eq!((reply.status, reply.body), (200, vec![9]));
    assert_eq!(mock.additional_responses.len(), 1);
}

#[test]
fn should_name_every_code_as_the_client_does() {
    let mut known = 0;
    for number in 0..1_000 {
        let Some(code) = local_ic_replica::ErrorCode::from_number(number) else {
            continue;
        };
        known += 1;
        let theirs: ::pocket_ic::RejectResponse = client_reads(&RejectResponse {
            reject_code: reject_code(code.reject_code()).expect("named"),
            reject_message: "why".into(),
            error_code: format!("{code:?}"),
            certified: true,
        });
        assert_eq!(theirs.error_code as u32, number);
        assert_eq!(theirs.reject_code as u32, number / 100);
    }
    assert!(known > 20, "{known}");
}
