//! ic-agent: queries, updates, state and certificates, with identities of three curves.

use crate::identities::{
    Forger, Impostor, basic, delegated, nanos_from_now, prime256v1, secp256k1,
};
use crate::shared::{CERTIFIED, Live, live};
use crate::support::torture_wasm;
use candid::Principal;
use ic_agent::agent::CallResponse;
use ic_agent::hash_tree::{Label, LookupResult};
use ic_agent::identity::AnonymousIdentity;
use ic_agent::{Agent, AgentError, Identity};
use sha2::{Digest, Sha256};
use torture::program::{Op, encode, say};

/// An agent that trusts the instance's root key and verifies everything.
fn agent(identity: impl Identity + 'static) -> Agent {
    let agent = Agent::builder()
        .with_url(&live().url)
        .with_identity(identity)
        .with_verify_query_signatures(true)
        .build()
        .expect("an agent");
    agent.set_root_key(live().root_key.clone());
    agent
}

/// Runs a future; the instance is started outside of the runtime.
fn block_on<T>(future: impl AsyncFnOnce(&'static Live) -> T) -> T {
    let live = live();
    tokio::runtime::Runtime::new()
        .expect("a runtime")
        .block_on(future(live))
}

async fn run(agent: &Agent, id: Principal, program: &[Op]) -> Result<Vec<u8>, AgentError> {
    let update = agent.update(&id, "run").with_arg(encode(program));
    update.call_and_wait().await
}

async fn look(agent: &Agent, id: Principal, program: &[Op]) -> Result<Vec<u8>, AgentError> {
    let query = agent.query(&id, "look").with_arg(encode(program));
    query.call_with_verification().await
}

#[test]
fn the_status_gives_the_root_key() {
    block_on(async |live| {
        let agent = agent(AnonymousIdentity);
        agent.fetch_root_key().await.expect("a status");
        assert_eq!(agent.read_root_key(), live.root_key);
        let status = agent.status().await.expect("a status");
        assert_eq!(status.replica_health_status.as_deref(), Some("healthy"));
    });
}

async fn updates_and_queries_as(identity: impl Identity + 'static) {
    let sender = identity.sender().expect("a sender");
    let agent = agent(identity);
    let id = live().plain;
    let ask = [Op::Caller, Op::Reply];
    assert_eq!(
        run(&agent, id, &ask).await.expect("an update"),
        sender.as_slice()
    );
    assert_eq!(
        look(&agent, id, &ask).await.expect("a query"),
        sender.as_slice()
    );
}

#[test]
fn updates_and_verified_queries_with_three_curves_and_anonymously() {
    block_on(async |_| {
        updates_and_queries_as(AnonymousIdentity).await;
        updates_and_queries_as(basic(1)).await;
        updates_and_queries_as(secp256k1(2)).await;
        updates_and_queries_as(prime256v1(3)).await;
    });
}

#[test]
fn delegations_speak_for_their_owner() {
    block_on(async |live| {
        updates_and_queries_as(delegated(&basic(10), secp256k1(11), None)).await;
        let targets = Some(vec![live.plain, live.web]);
        updates_and_queries_as(delegated(&prime256v1(12), basic(13), targets)).await;
    });
}

#[test]
fn delegations_for_other_targets_are_refused() {
    block_on(async |live| {
        let agent = agent(delegated(&basic(14), basic(15), Some(vec![live.web])));
        run(&agent, live.plain, &[Op::Reply])
            .await
            .expect_err("an update elsewhere");
        look(&agent, live.plain, &[Op::Reply])
            .await
            .expect_err("a query elsewhere");
        run(&agent, live.web, &[Op::Reply])
            .await
            .expect("the target");
    });
}

#[test]
fn wrong_signatures_and_senders_are_refused() {
    block_on(async |live| {
        let forger = agent(Forger(basic(20)));
        run(&forger, live.plain, &[Op::Reply])
            .await
            .expect_err("an update");
        look(&forger, live.plain, &[Op::Reply])
            .await
            .expect_err("a query");
        let impostor = agent(Impostor(basic(21)));
        run(&impostor, live.plain, &[Op::Reply])
            .await
            .expect_err("an update");
        look(&impostor, live.plain, &[Op::Reply])
            .await
            .expect_err("a query");
    });
}

#[test]
fn answers_do_not_verify_under_another_root_key() {
    block_on(async |live| {
        let agent = agent(basic(1));
        let mut forged = live.root_key.clone();
        *forged.last_mut().expect("a byte") ^= 1;
        agent.set_root_key(forged);
        look(&agent, live.plain, &[Op::Reply])
            .await
            .expect_err("a query");
        run(&agent, live.plain, &[Op::Reply])
            .await
            .expect_err("an update");
    });
}

#[test]
fn rejects_are_certified_and_carry_their_codes() {
    block_on(async |live| {
        let agent = agent(basic(1));
        let reject = [Op::Reject("no thanks".into())];
        let error = run(&agent, live.plain, &reject)
            .await
            .expect_err("a reject");
        let AgentError::CertifiedReject { reject, .. } = error else {
            panic!("{error:?}");
        };
        assert_eq!(reject.reject_code as u64, 4);
        assert_eq!(reject.reject_message, "no thanks");
        assert_eq!(reject.error_code.as_deref(), Some("IC0406"));
        let trap = [Op::Trap("oh".into())];
        let error = look(&agent, live.plain, &trap).await.expect_err("a trap");
        let AgentError::UncertifiedReject { reject, .. } = error else {
            panic!("{error:?}");
        };
        assert_eq!(reject.reject_code as u64, 5);
        assert_eq!(reject.error_code.as_deref(), Some("IC0503"));
    });
}

#[test]
fn the_state_tree_tells_module_hash_and_controllers() {
    block_on(async |live| {
        let agent = agent(basic(1));
        let hash = agent.read_state_canister_module_hash(live.plain).await;
        assert_eq!(
            hash.expect("a hash"),
            Sha256::digest(torture_wasm()).to_vec()
        );
        let controllers = agent.read_state_canister_controllers(live.plain).await;
        assert_eq!(controllers.expect("controllers"), [Principal::anonymous()]);
        agent
            .read_state_canister_module_hash(live.empty)
            .await
            .expect_err("no module");
    });
}

#[test]
fn data_certificates_of_queries_verify() {
    block_on(async |live| {
        let agent = agent(basic(1));
        let bytes = look(&agent, live.plain, &[Op::Certificate, Op::Reply])
            .await
            .expect("a query");
        let certificate = serde_cbor::from_slice(&bytes).expect("a certificate");
        agent.verify(&certificate, live.plain).expect("it verifies");
        let path: [Label<Vec<u8>>; 3] = [
            "canister".into(),
            Label::from_bytes(live.plain.as_slice()),
            "certified_data".into(),
        ];
        assert_eq!(
            certificate.tree.lookup_path(&path),
            LookupResult::Found(CERTIFIED)
        );
        let outside = Principal::management_canister();
        agent
            .verify(&certificate, outside)
            .expect_err("not its canister");
    });
}

#[test]
fn requests_expire() {
    block_on(async |live| {
        let agent = agent(basic(1));
        let at = |seconds: i64| {
            let nanos = nanos_from_now(0) as i128 + i128::from(seconds) * 1_000_000_000;
            time::OffsetDateTime::from_unix_timestamp_nanos(nanos).expect("a time")
        };
        for seconds in [-60, 3_600] {
            let update = agent
                .update(&live.plain, "run")
                .with_arg(encode(&[Op::Reply]));
            update
                .expire_at(at(seconds))
                .call_and_wait()
                .await
                .expect_err("an update out of its window");
        }
        let query = agent
            .query(&live.plain, "look")
            .with_arg(encode(&[Op::Reply]));
        query
            .expire_at(at(-60))
            .call()
            .await
            .expect_err("an expired query");
    });
}

#[test]
fn a_request_is_carried_out_once() {
    block_on(async |live| {
        let agent = agent(basic(31));
        let program = [say("x"), Op::Save("once".into()), Op::Reply];
        let update = agent.update(&live.plain, "run").with_arg(encode(&program));
        let signed = update.sign().expect("signed");
        for _ in 0..3 {
            let sent = agent
                .update_signed(live.plain, signed.signed_update.clone())
                .await
                .expect("accepted");
            if let CallResponse::Poll(id) = sent {
                agent.wait(&id, live.plain).await.expect("a reply");
            }
        }
        let kept = look(&agent, live.plain, &[Op::Load("once".into()), Op::Reply]).await;
        assert_eq!(kept.expect("a query"), b"x");
    });
}

#[test]
fn the_status_of_a_request_is_for_its_sender() {
    block_on(async |live| {
        let (sender, other) = (agent(basic(32)), agent(basic(33)));
        let update = sender
            .update(&live.plain, "run")
            .with_arg(encode(&[Op::Reply]));
        let signed = update.sign().expect("signed");
        sender
            .update_signed(live.plain, signed.signed_update)
            .await
            .expect("accepted");
        let id = signed.request_id;
        sender.wait(&id, live.plain).await.expect("a reply");
        other
            .request_status_raw(&id, live.plain)
            .await
            .expect_err("somebody else's request");
    });
}

#[test]
fn other_canisters_cannot_be_read_through_this_one() {
    block_on(async |live| {
        let agent = agent(basic(1));
        let path: Vec<Label<Vec<u8>>> = vec![
            "canister".into(),
            Label::from_bytes(live.web.as_slice()),
            "module_hash".into(),
        ];
        agent
            .read_state_raw(vec![path], live.plain)
            .await
            .expect_err("the path is of another canister");
    });
}

#[test]
fn unknown_canisters_are_rejected() {
    block_on(async |live| {
        let agent = agent(basic(1));
        let error = run(&agent, live.deleted, &[Op::Reply])
            .await
            .expect_err("gone");
        let text = format!("{error:?}");
        assert!(
            text.contains("IC0301") || text.contains("not found"),
            "{text}"
        );
        look(&agent, live.deleted, &[Op::Reply])
            .await
            .expect_err("gone");
    });
}
