//! Endpoints of one instance, below `/instances/<id>/`.

use super::convert::{Cost, effective, outcall, outcall_answer, principal, reject_response};
use super::{RestError, Server, config::refuse, ok, parse};
use crate::agent_api::{self, effective_for_creation, specified_id};
use crate::http::{HttpResponse, full};
use crate::network::{Core, Network, describe};
use crate::protocol::{
    AutoProgressConfig, RawAddCycles, RawCanisterCall, RawCanisterHttpRequest, RawCanisterId,
    RawCanisterResult, RawCycles, RawEffectivePrincipal, RawIngressStatusArgs, RawMessageId,
    RawPrincipalId, RawSetStableMemory, RawStableMemory, RawSubnetId, RawTickConfigs, RawTime,
    RejectResponse,
};
use bytes::Bytes;
use candid::Principal;
use http::Method;
use local_ic_replica::{Ingress, IngressState, MessageId, Query, RequestError};
use std::sync::Arc;
use std::time::Duration;

/// Rounds an awaited message is given before it counts as stuck.
const MAX_ROUNDS: usize = 100;
/// The same in live mode, where rounds run by themselves.
const MAX_LIVE_WAIT: Duration = Duration::from_secs(300);

pub(super) async fn route(
    server: &Arc<Server>,
    network: &Arc<Network>,
    method: &Method,
    segments: &[&str],
    path: &str,
    body: Bytes,
) -> Result<HttpResponse, RestError> {
    if let ["api", ..] = segments {
        let path = segments.join("/");
        return Ok(agent_api::handle(network, method, &path, body)
            .await
            .map(full));
    }
    match (method.as_str(), segments) {
        ("GET", ["read", "topology"] | ["_", "topology"]) => {
            Ok(ok(&network.run(|core| describe::topology(core)).await?))
        }
        ("GET", ["auto_progress"]) => Ok(ok(&network.is_live())),
        ("POST", ["auto_progress"]) => {
            let config: AutoProgressConfig = parse(&body)?;
            refuse(config.artificial_delay_ms.is_some(), "artificial_delay_ms")?;
            network.start_progress().await?;
            Ok(ok(&()))
        }
        ("POST", ["stop_progress"]) => {
            network.stop_progress();
            Ok(ok(&()))
        }
        ("GET", ["local", "costs"]) => {
            let costs = network.run(|core| core.replica.last_instructions()).await?;
            Ok(ok(&costs.into_iter().map(Cost::from).collect::<Vec<_>>()))
        }
        ("GET" | "POST", ["read", operation]) => read(network, operation, &body).await,
        ("POST", ["update", operation]) => update(server, network, operation, &body).await,
        _ => Err(RestError::NotFound(format!(
            "no such endpoint: {method} {path}"
        ))),
    }
}

async fn read(
    network: &Arc<Network>,
    operation: &str,
    body: &[u8],
) -> Result<HttpResponse, RestError> {
    match operation {
        "get_time" => {
            let nanos_since_epoch = network.run(|core| core.replica.time()).await?;
            Ok(ok(&RawTime { nanos_since_epoch }))
        }
        "query" => query(network, parse(body)?).await.map(|result| ok(&result)),
        "ingress_status" => ingress_status(network, parse(body)?)
            .await
            .map(|result| ok(&result)),
        "get_cycles" => {
            let canister = canister_of(body)?;
            let cycles = network
                .run(move |core| core.replica.cycles(canister))
                .await?;
            Ok(ok(&RawCycles {
                cycles: cycles.ok_or_else(|| not_found(canister))?,
            }))
        }
        "get_controllers" => {
            let canister = canister_of(body)?;
            let controllers = network
                .run(move |core| core.replica.controllers(canister))
                .await?;
            let controllers: Vec<RawPrincipalId> = controllers
                .ok_or_else(|| not_found(canister))?
                .into_iter()
                .map(RawPrincipalId::from)
                .collect();
            Ok(ok(&controllers))
        }
        "get_subnet" => {
            let canister = canister_of(body)?;
            let subnet = network
                .run(move |core| {
                    let exists = core.replica.canister_exists(canister);
                    core.replica.subnet_of(canister).filter(|_| exists)
                })
                .await?;
            Ok(ok(&subnet.map(RawSubnetId::from)))
        }
        "get_stable_memory" => {
            let canister = canister_of(body)?;
            let blob = network
                .run(move |core| core.replica.stable_memory(canister))
                .await?;
            Ok(ok(&RawStableMemory {
                blob: blob.ok_or_else(|| not_found(canister))?,
            }))
        }
        "pub_key" => {
            let subnet: RawSubnetId = parse(body)?;
            let key = network
                .authority()
                .public_key_der(principal(&subnet.subnet_id)?);
            Ok(ok(&key.map_err(|error| {
                RestError::BadRequest(error.to_string())
            })?))
        }
        "get_canister_http" => {
            let pending = network.run(|core| core.replica.pending_http()).await?;
            Ok(ok(&pending
                .into_iter()
                .map(outcall)
                .collect::<Vec<RawCanisterHttpRequest>>()))
        }
        _ => Err(RestError::NotFound(format!(
            "no such endpoint: read/{operation}"
        ))),
    }
}

async fn update(
    server: &Arc<Server>,
    network: &Arc<Network>,
    operation: &str,
    body: &[u8],
) -> Result<HttpResponse, RestError> {
    match operation {
        "submit_ingress_message" => submit(network, parse(body)?)
            .await
            .map(|result| ok(&result)),
        "await_ingress_message" => await_message(network, parse(body)?)
            .await
            .map(|result| ok(&result)),
        "tick" => {
            let config: RawTickConfigs = parse(body)?;
            refuse(config.blockmakers.is_some(), "blockmakers")?;
            network.run(Core::round).await?;
            Ok(ok(&()))
        }
        "set_time" | "set_certified_time" => {
            let RawTime { nanos_since_epoch } = parse(body)?;
            let certified = operation == "set_certified_time";
            network
                .run(move |core| {
                    core.replica.set_time(nanos_since_epoch)?;
                    // The time counts as certified once a round has run at it.
                    if certified {
                        core.round();
                    }
                    Ok(())
                })
                .await?
                .map_err(RestError::BadRequest)?;
            Ok(ok(&()))
        }
        "add_cycles" => {
            let args: RawAddCycles = parse(body)?;
            let canister = principal(&args.canister_id)?;
            let cycles = network
                .run(move |core| core.replica.add_cycles(canister, args.amount))
                .await?;
            Ok(ok(&RawCycles {
                cycles: cycles.ok_or_else(|| not_found(canister))?,
            }))
        }
        "set_stable_memory" => {
            let args: RawSetStableMemory = parse(body)?;
            let (canister, blob) = (principal(&args.canister_id)?, server.blob(&args.blob_id)?);
            network
                .run(move |core| core.replica.set_stable_memory(canister, &blob))
                .await?
                .map_err(RestError::BadRequest)?;
            Ok(ok(&()))
        }
        "mock_canister_http" => {
            let (subnet, request, answer) = outcall_answer(parse(body)?)?;
            network
                .run(move |core| core.replica.answer_http(subnet, request, answer))
                .await?
                .map_err(RestError::BadRequest)?;
            network.wake();
            Ok(ok(&()))
        }
        "delete_subnet"
        | "mock_flexible_canister_http"
        | "canister_snapshot_download"
        | "canister_snapshot_upload" => Err(RestError::Unsupported(format!("update/{operation}"))),
        _ => Err(RestError::NotFound(format!(
            "no such endpoint: update/{operation}"
        ))),
    }
}

async fn submit(
    network: &Arc<Network>,
    call: RawCanisterCall,
) -> Result<Result<RawMessageId, RejectResponse>, RestError> {
    refuse(call.sender_info.is_some(), "sender_info")?;
    let (sender, canister_id) = (principal(&call.sender)?, principal(&call.canister_id)?);
    let effective = effective(&call.effective_principal)?;
    let submitted = network
        .run(move |core| {
            let mut effective = effective;
            if canister_id == Principal::management_canister()
                && let Some(specified) = specified_id(&call.method, &call.payload)
            {
                core.ensure_subnet_of(specified)
                    .map_err(RestError::BadRequest)?;
                effective = effective_for_creation(effective, Some(specified));
            }
            let id = core.next_message_id();
            let ingress = Ingress {
                sender,
                canister_id,
                effective,
                method: call.method,
                arg: call.payload,
                id,
            };
            match core.replica.submit(ingress) {
                Ok(effective_canister) => Ok(Ok((id, effective_canister))),
                Err(RequestError::Refused(error)) => Ok(Err(reject_response(error)?)),
                Err(RequestError::Bad(message)) => Err(bad_message(message)),
            }
        })
        .await??;
    network.wake();
    Ok(submitted.map(|(id, effective_canister)| RawMessageId {
        effective_principal: RawEffectivePrincipal::CanisterId(
            effective_canister.as_slice().to_vec(),
        ),
        message_id: id.0.to_vec(),
    }))
}

async fn await_message(
    network: &Arc<Network>,
    message: RawMessageId,
) -> Result<RawCanisterResult, RestError> {
    let id = message_id(&message)?;
    let stuck = |rounds: usize| {
        bad_message(format!(
            "Failed to answer to ingress {} after {rounds} rounds.",
            hex::encode(id.0)
        ))
    };
    if !network.is_live() {
        let answer = network
            .run(move |core| {
                for _ in 0..MAX_ROUNDS {
                    if let Some(answer) = answer_to(core, id)? {
                        return Ok(Some(answer));
                    }
                    core.round();
                }
                answer_to(core, id)
            })
            .await??;
        return answer.ok_or_else(|| stuck(MAX_ROUNDS));
    }
    let mut rounds = network.watch_rounds();
    let deadline = tokio::time::Instant::now() + MAX_LIVE_WAIT;
    loop {
        rounds.mark_unchanged();
        if let Some(answer) = network.run(move |core| answer_to(core, id)).await?? {
            return Ok(answer);
        }
        tokio::select! {
            _ = rounds.changed() => {}
            _ = tokio::time::sleep_until(deadline) => return Err(stuck(usize::MAX)),
        }
    }
}

async fn ingress_status(
    network: &Arc<Network>,
    args: RawIngressStatusArgs,
) -> Result<Option<RawCanisterResult>, RestError> {
    let id = message_id(&args.raw_message_id)?;
    let caller = args
        .raw_caller
        .map(|caller| principal(&caller.principal_id))
        .transpose()?;
    network
        .run(move |core| {
            let Some(status) = core.replica.ingress_status(&id) else {
                return Ok(None);
            };
            if caller.is_some_and(|caller| caller != status.sender) {
                return Err(RestError::Forbidden(
                    "The user tries to access Request ID not signed by the caller.".into(),
                ));
            }
            answer_to(core, id)
        })
        .await?
}

async fn query(
    network: &Arc<Network>,
    call: RawCanisterCall,
) -> Result<RawCanisterResult, RestError> {
    refuse(call.sender_info.is_some(), "sender_info")?;
    let query = Query {
        sender: principal(&call.sender)?,
        canister_id: principal(&call.canister_id)?,
        effective: effective(&call.effective_principal)?,
        method: call.method,
        arg: call.payload,
    };
    match network.run(move |core| core.replica.query(query)).await? {
        Ok(reply) => Ok(RawCanisterResult::Ok(reply)),
        Err(RequestError::Refused(error)) => Ok(RawCanisterResult::Err(reject_response(error)?)),
        Err(RequestError::Bad(message)) => Err(bad_message(message)),
    }
}

/// The final answer to a message, if there is one yet.
fn answer_to(core: &Core, id: MessageId) -> Result<Option<RawCanisterResult>, RestError> {
    let Some(status) = core.replica.ingress_status(&id) else {
        return Err(bad_message(format!(
            "unknown message {}",
            hex::encode(id.0)
        )));
    };
    Ok(match &status.state {
        IngressState::Received | IngressState::Processing => None,
        IngressState::Replied(reply) => Some(RawCanisterResult::Ok(reply.clone())),
        IngressState::Rejected(error) => {
            Some(RawCanisterResult::Err(reject_response(error.clone())?))
        }
    })
}

fn message_id(message: &RawMessageId) -> Result<MessageId, RestError> {
    <[u8; 32]>::try_from(message.message_id.as_slice())
        .map(MessageId)
        .map_err(|_| RestError::BadRequest("message ids have 32 bytes".into()))
}

fn canister_of(body: &[u8]) -> Result<Principal, RestError> {
    let raw: RawCanisterId = parse(body)?;
    principal(&raw.canister_id)
}

fn not_found(canister: Principal) -> RestError {
    RestError::BadRequest(format!("CanisterNotFound({canister})"))
}

fn bad_message(message: String) -> RestError {
    RestError::BadRequest(format!("BadIngressMessage({message:?})"))
}
