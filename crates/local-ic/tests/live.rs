//! Live mode: the agent endpoints with the agent the gateway uses, and the `local-ic` command.

mod support;

use candid::{CandidType, Decode, Deserialize, Encode, Principal};
use ic_agent::agent::CallResponse;
use ic_agent::identity::BasicIdentity;
use ic_agent::{Agent, AgentError};
use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};
use std::time::Duration;
use support::{install, instance, wasm};

async fn agent(url: &str, seed: u8) -> Agent {
    let identity = BasicIdentity::from_raw_key(&[seed; 32]);
    let agent = Agent::builder()
        .with_url(url)
        .with_identity(identity)
        .with_verify_query_signatures(true)
        .build()
        .expect("agent");
    agent.fetch_root_key().await.expect("root key");
    agent
}

#[tokio::test]
async fn a_signed_call_counts_once_however_often_it_is_sent() {
    let mut instance = instance().await;
    let canister = install(&instance, wasm::counting(&[])).await;
    let url = instance.make_live(None).await;
    let agent = agent(url.as_str(), 1).await;
    let signed = agent
        .update(&canister, "count")
        .with_arg(Vec::new())
        .sign()
        .expect("signed");
    for _ in 0..3 {
        let response = agent
            .update_signed(canister, signed.signed_update.clone())
            .await
            .expect("answered");
        assert!(matches!(response, CallResponse::Response(reply) if reply == [1]));
    }
    let next = agent
        .update(&canister, "count")
        .with_arg(Vec::new())
        .call_and_wait()
        .await;
    assert_eq!(next.expect("answered"), [2]);
    instance.drop().await;
}

#[tokio::test]
async fn the_status_of_a_request_is_for_its_sender() {
    let mut instance = instance().await;
    let canister = install(&instance, wasm::counting(&[])).await;
    let url = instance.make_live(None).await;
    let (owner, stranger) = (agent(url.as_str(), 1).await, agent(url.as_str(), 2).await);
    let signed = owner
        .update(&canister, "count")
        .with_arg(Vec::new())
        .sign()
        .expect("signed");
    owner
        .update_signed(canister, signed.signed_update)
        .await
        .expect("answered");
    owner
        .request_status_raw(&signed.request_id, canister)
        .await
        .expect("own request");
    let refused = stranger
        .request_status_raw(&signed.request_id, canister)
        .await
        .expect_err("not the sender");
    assert!(matches!(refused, AgentError::HttpError(payload) if payload.status == 403));
    instance.drop().await;
}

#[tokio::test]
async fn agents_reach_an_instance_without_a_gateway() {
    let instance = instance().await;
    let hello = wasm::answering(&[("canister_query hello", b"hi".to_vec())]);
    let canister = install(&instance, hello).await;
    let url = instance.auto_progress().await;
    let agent = agent(url.as_str(), 3).await;
    // With the node's signature verified against the certified keys of the subnet.
    let reply = agent
        .query(&canister, "hello")
        .with_arg(Vec::new())
        .call()
        .await;
    assert_eq!(reply.expect("reply"), b"hi");
    let hash = agent
        .read_state_canister_module_hash(canister)
        .await
        .expect("hash");
    assert_eq!(hash.len(), 32);
    let ranges = agent
        .fetch_subnet_by_canister(&canister)
        .await
        .expect("subnet");
    assert!(ranges.contains_canister(&canister));
    assert_eq!(ranges.iter_nodes().count(), 13);
    instance.stop_progress().await;
    assert!(!instance.auto_progress_enabled().await);
    instance.drop().await;
}

/// The command, killed at the end whatever happens.
struct Served {
    process: Child,
    description: serde_json::Value,
}

impl Drop for Served {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

fn serve(arguments: &[&str]) -> Served {
    let mut process = Command::new(env!("CARGO_BIN_EXE_local-ic"))
        .args(["serve", "--port", "0", "--json"])
        .args(arguments)
        .stdout(Stdio::piped())
        .spawn()
        .expect("starts");
    let mut line = String::new();
    BufReader::new(process.stdout.take().expect("piped"))
        .read_line(&mut line)
        .expect("a line");
    Served {
        process,
        description: serde_json::from_str(&line).expect("json"),
    }
}

#[tokio::test]
async fn the_command_serves_the_chosen_canister_at_its_own_address() {
    #[derive(CandidType)]
    struct CreateArgs {
        amount: Option<candid::Nat>,
        specified_id: Option<Principal>,
    }
    #[derive(CandidType)]
    enum Mode {
        #[allow(non_camel_case_types)]
        install,
    }
    #[derive(CandidType)]
    struct InstallArgs {
        mode: Mode,
        canister_id: Principal,
        wasm_module: serde_bytes::ByteBuf,
        arg: serde_bytes::ByteBuf,
    }
    #[derive(CandidType, Deserialize)]
    struct Created {
        canister_id: Principal,
    }
    let chosen = Principal::from_text("xevnm-gaaaa-aaaar-qafnq-cai").expect("valid principal");
    let served = serve(&["--canister", &chosen.to_text()]);
    let description = &served.description;
    let agent = agent(description["replica"].as_str().expect("text"), 4).await;
    assert_eq!(
        hex::encode(agent.read_root_key()),
        description["root_key"].as_str().expect("text")
    );
    let kinds: Vec<&str> = description["subnets"]
        .as_array()
        .expect("list")
        .iter()
        .filter_map(|subnet| subnet["kind"].as_str())
        .collect();
    assert_eq!(kinds, ["NNS", "II", "Fiduciary", "Application"]);

    let management = Principal::management_canister();
    let create = CreateArgs {
        amount: Some(100_000_000_000_000_u64.into()),
        specified_id: Some(chosen),
    };
    let reply = agent
        .update(&management, "provisional_create_canister_with_cycles")
        .with_effective_canister_id(chosen)
        .with_arg(Encode!(&create).expect("encodes"))
        .call_and_wait()
        .await
        .expect("created");
    assert_eq!(
        Decode!(&reply, Created).expect("decodes").canister_id,
        chosen
    );
    let mut upgrade = support::HttpAnswer::new(200, &[], "");
    upgrade.upgrade = Some(true);
    let answer = support::HttpAnswer::new(200, &[], "served");
    let module = wasm::answering(&[
        ("canister_query http_request", upgrade.encode()),
        ("canister_update http_request_update", answer.encode()),
    ]);
    let install = InstallArgs {
        mode: Mode::install,
        canister_id: chosen,
        wasm_module: module.into(),
        arg: Vec::new().into(),
    };
    agent
        .update(&management, "install_code")
        .with_effective_canister_id(chosen)
        .with_arg(Encode!(&install).expect("encodes"))
        .call_and_wait()
        .await
        .expect("installed");
    let gateway = description["gateway"]
        .as_str()
        .expect("text")
        .replace("localhost", "127.0.0.1");
    let answer = reqwest::get(gateway).await.expect("answer");
    assert_eq!(answer.status(), 200);
    assert_eq!(answer.text().await.expect("body"), "served");
}

#[test]
fn the_command_ends_cleanly_on_a_signal() {
    let mut served = serve(&[]);
    let id = served.process.id().to_string();
    assert!(
        Command::new("kill")
            .args(["-TERM", &id])
            .status()
            .expect("kill runs")
            .success()
    );
    for _ in 0..100 {
        if let Some(status) = served.process.try_wait().expect("process") {
            assert!(status.success(), "{status}");
            return;
        }
        std::thread::sleep(Duration::from_millis(100));
    }
    panic!("still running ten seconds after SIGTERM");
}
