//! The PocketIC server's protocol, through the unmodified client.

mod support;

use candid::Principal;
use local_ic_replica::canister_id;
use pocket_ic::common::rest::{
    BlobCompression, CreateInstanceResponse, InstanceConfig, RawEffectivePrincipal, SubnetKind,
};
use pocket_ic::nonblocking::PocketIc;
use pocket_ic::{IngressStatusResult, PocketIcBuilder};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};
use support::{OwnServer, builder, install, instance, server_binary, wasm};

fn id(text: &str) -> Principal {
    Principal::from_text(text).expect("valid principal")
}

#[tokio::test]
async fn mainnet_canisters_are_created_where_they_live() {
    let instance = builder()
        .with_nns_subnet()
        .with_fiduciary_subnet()
        .with_application_subnet()
        .build_async()
        .await;
    let topology = instance.topology().await;
    for (text, home) in [
        ("ryjl3-tyaaa-aaaaa-aaaba-cai", topology.get_nns()),
        ("xevnm-gaaaa-aaaar-qafnq-cai", topology.get_fiduciary()),
    ] {
        let canister = instance
            .create_canister_with_id(None, None, id(text))
            .await
            .expect("created");
        assert_eq!(canister, id(text));
        assert_eq!(instance.get_subnet(canister).await, home);
        // Taken.
        instance
            .create_canister_with_id(None, None, id(text))
            .await
            .expect_err("exists already");
    }
    let anywhere = instance.create_canister().await;
    assert_eq!(
        instance.get_subnet(anywhere).await,
        topology.get_app_subnets().first().copied()
    );
}

#[tokio::test]
async fn a_subnet_is_added_for_a_mainnet_canister_of_no_subnet() {
    let instance = instance().await;
    let before = instance.topology().await.subnet_configs.len();
    let wanted = canister_id(0x0150_0003);
    let canister = instance
        .create_canister_with_id(None, None, wanted)
        .await
        .expect("created");
    assert_eq!(canister, wanted);
    let topology = instance.topology().await;
    assert_eq!(topology.subnet_configs.len(), before + 1);
    assert_eq!(
        instance.get_subnet(canister).await,
        topology.get_subnet(wanted)
    );
    // Certificates of the new subnet work as those of others: the root key delegates to it.
    let module = wasm::answering(&[("canister_query hello", b"hi".to_vec())]);
    instance
        .install_canister(canister, module, Vec::new(), None)
        .await;
    let reply = instance
        .query_call(canister, Principal::anonymous(), "hello", Vec::new())
        .await;
    assert_eq!(reply.expect("reply"), b"hi");
}

#[tokio::test]
async fn time_stands_still_until_a_round_runs() {
    let instance = instance().await;
    let start = instance.get_time().await.as_nanos_since_unix_epoch();
    assert_eq!(start, 1_620_328_630_000_000_002);
    instance.tick().await;
    assert_eq!(
        instance.get_time().await.as_nanos_since_unix_epoch(),
        start + 1
    );
    instance.advance_time(Duration::from_secs(5)).await;
    assert_eq!(
        instance.get_time().await.as_nanos_since_unix_epoch(),
        start + 1 + 5_000_000_000
    );
    let now = instance.get_time().await;
    instance
        .set_certified_time(now + Duration::from_secs(1))
        .await;
    assert_eq!(instance.get_time().await, now + Duration::from_secs(1));
}

#[tokio::test]
async fn messages_can_be_submitted_watched_and_awaited() {
    let instance = instance().await;
    let canister = install(&instance, wasm::counting(&[])).await;
    let alice = Principal::self_authenticating(b"alice");
    let message = instance
        .submit_call(canister, alice, "count", Vec::new())
        .await
        .expect("accepted");
    assert!(instance.ingress_status(message.clone()).await.is_none());
    let stranger = instance
        .ingress_status_as(message.clone(), Principal::anonymous())
        .await;
    assert!(
        matches!(stranger, IngressStatusResult::Forbidden(_)),
        "{stranger:?}"
    );
    instance.tick().await;
    assert_eq!(
        instance.ingress_status(message.clone()).await,
        Some(Ok(vec![1]))
    );
    assert_eq!(instance.await_call(message).await, Ok(vec![1]));
    // The same bytes submitted again are another message here: there is no envelope with a nonce.
    let again = instance
        .update_call(canister, alice, "count", Vec::new())
        .await;
    assert_eq!(again, Ok(vec![2]));
}

#[tokio::test]
async fn stable_memory_is_uploaded_plain_or_compressed() {
    let instance = instance().await;
    let canister = install(&instance, wasm::answering(&[])).await;
    let content: Vec<u8> = (0..70_000_u32).map(|number| (number % 251) as u8).collect();
    let mut packed = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    std::io::Write::write_all(&mut packed, &content).expect("memory");
    let packed = packed.finish().expect("memory");
    for (blob, compression) in [
        (content.clone(), BlobCompression::NoCompression),
        (packed, BlobCompression::Gzip),
    ] {
        instance
            .set_stable_memory(canister, vec![0; 70_000], BlobCompression::NoCompression)
            .await;
        instance
            .set_stable_memory(canister, blob, compression)
            .await;
        let memory = instance.get_stable_memory(canister).await;
        assert_eq!(memory[..content.len()], content);
    }
}

#[tokio::test]
async fn cycles_and_controllers_are_told() {
    let instance = instance().await;
    let canister = instance.create_canister().await;
    let balance = instance.cycle_balance(canister).await;
    assert_eq!(instance.add_cycles(canister, 1_000).await, balance + 1_000);
    assert_eq!(
        instance.get_controllers(canister).await,
        [Principal::anonymous()]
    );
    assert!(instance.canister_exists(canister).await);
    assert!(
        !instance
            .canister_exists(canister_id(0xFFFF_FFFF_FFD0_0F00))
            .await
    );
}

#[tokio::test]
async fn instances_do_not_see_each_other_and_are_deleted() {
    let server = OwnServer::start().await;
    let make = async || {
        PocketIcBuilder::new()
            .with_server_url(server.url.clone())
            .with_application_subnet()
            .build_async()
            .await
    };
    let (one, two): (PocketIc, PocketIc) = (make().await, make().await);
    let canister = one.create_canister().await;
    assert!(!two.canister_exists(canister).await);
    assert_eq!(two.create_canister().await, canister);
    let (first, second) = (one.instance_id, two.instance_id);
    assert_ne!(first, second);
    one.drop().await;
    let listed: Vec<String> = reqwest::get(server.url.join("instances").expect("url"))
        .await
        .expect("answer")
        .json()
        .await
        .expect("json");
    assert_eq!(listed, ["Deleted", "Available"]);
    let gone = reqwest::get(
        server
            .url
            .join(&format!("instances/{first}/read/topology"))
            .expect("url"),
    )
    .await;
    assert_eq!(gone.expect("answer").status(), 404);
    assert!(two.canister_exists(canister).await);
    two.drop().await;
}

#[tokio::test]
async fn what_is_not_supported_is_refused_with_its_name() {
    let server = OwnServer::start().await;
    let mut config = InstanceConfig::default();
    config.subnet_config_set.application = vec![Default::default()];
    config.state_dir = Some("/nowhere".into());
    let answer = reqwest::Client::new()
        .post(server.url.join("instances").expect("url"))
        .json(&config)
        .send()
        .await
        .expect("answer");
    match answer.json().await.expect("json") {
        CreateInstanceResponse::Error { message } => {
            assert!(message.contains("state_dir"), "{message}")
        }
        created => panic!("{created:?}"),
    }
}

#[tokio::test]
async fn costs_of_executions_are_drained() {
    let server = OwnServer::start().await;
    let instance = PocketIcBuilder::new()
        .with_server_url(server.url.clone())
        .with_application_subnet()
        .build_async()
        .await;
    let canister = install(&instance, wasm::counting(&[])).await;
    let costs = async || -> Vec<serde_json::Value> {
        let path = format!("instances/{}/local/costs", instance.instance_id);
        let answer = reqwest::get(server.url.join(&path).expect("url"))
            .await
            .expect("answer");
        answer.json().await.expect("json")
    };
    costs().await;
    instance
        .update_call(canister, Principal::anonymous(), "count", Vec::new())
        .await
        .expect("reply");
    let drained = costs().await;
    assert_eq!(drained.len(), 1, "{drained:?}");
    assert_eq!(drained[0]["canister"], canister.to_text());
    assert!(drained[0]["instructions"].as_u64().expect("number") > 500);
    let cycles = |name: &str| {
        drained[0][name]
            .as_str()
            .and_then(|text| text.parse::<u128>().ok())
            .expect("cycles")
    };
    assert!(cycles("cycles_before") > cycles("cycles_after"));
    assert!(costs().await.is_empty());
    instance.drop().await;
}

#[tokio::test]
async fn the_root_key_is_that_of_the_nns_subnet() {
    let with_nns = instance().await;
    let topology = with_nns.topology().await;
    let root_key = with_nns.root_key().await.expect("an NNS subnet");
    assert_eq!(root_key.len(), 133);
    assert_eq!(
        Some(Principal::self_authenticating(&root_key)),
        topology.get_nns()
    );
    // The same in every instance of this shape.
    assert_eq!(instance().await.root_key().await, Some(root_key));
    let without = builder().with_application_subnet().build_async().await;
    assert_eq!(without.root_key().await, None);
    let kinds: Vec<SubnetKind> = without
        .topology()
        .await
        .subnet_configs
        .values()
        .map(|config| config.subnet_kind)
        .collect();
    assert_eq!(kinds, [SubnetKind::Application]);
}

#[tokio::test]
async fn an_unknown_method_is_taken_and_rejected_when_it_runs() {
    let instance = instance().await;
    let canister = install(&instance, wasm::answering(&[])).await;
    let effective = RawEffectivePrincipal::CanisterId(canister.as_slice().to_vec());
    let refused = instance
        .submit_call_with_effective_principal(
            canister,
            effective,
            Principal::anonymous(),
            "nope",
            Vec::new(),
        )
        .await
        .expect("accepted: the method is looked up at execution");
    let rejected = instance
        .await_call(refused)
        .await
        .expect_err("no such method");
    assert_eq!(
        rejected.error_code,
        pocket_ic::ErrorCode::CanisterMethodNotFound
    );
}

#[test]
fn the_version_line_is_the_one_the_client_checks() {
    let output = Command::new(server_binary())
        .arg("--version")
        .output()
        .expect("runs");
    assert!(output.status.success());
    assert_eq!(output.stdout, b"pocket-ic-server 16.1.0\n");
}

#[test]
fn one_server_per_port_file_and_none_left_behind() {
    let directory = std::env::temp_dir().join(format!("local_ic_ports_{}", std::process::id()));
    std::fs::create_dir_all(&directory).expect("directory");
    let file = directory.join("server.port");
    // Left by a server that was killed: the port is free again by now, nobody listens there.
    let free = std::net::TcpListener::bind("127.0.0.1:0")
        .expect("port")
        .local_addr()
        .expect("address")
        .port();
    std::fs::write(&file, format!("{free}\n")).expect("file");
    let start = || {
        Command::new(server_binary())
            .args(["--ttl", "1", "--port-file"])
            .arg(&file)
            .stdout(Stdio::null())
            .spawn()
            .expect("starts")
    };
    let mut first = start();
    let deadline = Instant::now() + Duration::from_secs(20);
    let port = loop {
        let content = std::fs::read_to_string(&file).unwrap_or_default();
        match content.trim_end().parse::<u16>() {
            Ok(port) if port != free && content.ends_with('\n') => break port,
            _ => assert!(Instant::now() < deadline, "no port"),
        }
        std::thread::sleep(Duration::from_millis(20));
    };
    // A second one sees that the task is taken and ends without a word.
    let mut second = start();
    assert!(second.wait().expect("ends").success());
    assert_eq!(
        std::fs::read_to_string(&file).expect("file"),
        format!("{port}\n")
    );
    // Nobody asks for anything: the first ends by itself and takes its file along.
    assert!(first.wait().expect("ends").success());
    assert!(!file.exists());
    let _ = std::fs::remove_dir(&directory);
}
