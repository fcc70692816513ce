//! Update calls: asynchronous (v2) and synchronous with a certificate in the answer (v3, v4).

use super::{ApiError, Target, authenticated, cbor};
use crate::network::{Network, error_code, is_final};
use bytes::Bytes;
use candid::{CandidType, Decode, Deserialize};
use http::{Response, StatusCode};
use local_ic_cert::{Content, self_describing_cbor};
use local_ic_replica::{Effective, Ingress, MessageId, Principal, RequestError};
use serde::Serialize;
use std::sync::Arc;
use std::time::Duration;

/// How long a synchronous call waits for its answer before the client is sent off to poll.
const MAX_WAIT: Duration = Duration::from_secs(10);

#[derive(Serialize)]
#[serde(tag = "status", rename_all = "snake_case")]
enum CallResponse<'a> {
    Replied {
        certificate: &'a serde_bytes::Bytes,
    },
    NonReplicatedRejection {
        reject_code: u32,
        reject_message: &'a str,
        error_code: &'a str,
    },
}

/// What became of an attempt to submit.
enum Submitted {
    /// Accepted now or earlier.
    Accepted { id: MessageId, subnet: Principal },
    /// Refused with reject codes, uncertified.
    Refused(Response<Bytes>),
}

pub(super) async fn asynchronous(
    network: &Arc<Network>,
    target: Target,
    body: Bytes,
) -> Result<Response<Bytes>, ApiError> {
    Ok(match submit(network, target, body).await? {
        Submitted::Accepted { .. } => accepted(),
        Submitted::Refused(response) => response,
    })
}

pub(super) async fn synchronous(
    network: &Arc<Network>,
    target: Target,
    body: Bytes,
) -> Result<Response<Bytes>, ApiError> {
    let mut rounds = network.watch_rounds();
    let (id, subnet) = match submit(network, target, body).await? {
        Submitted::Accepted { id, subnet } => (id, subnet),
        Submitted::Refused(response) => return Ok(response),
    };
    let deadline = tokio::time::Instant::now() + MAX_WAIT;
    loop {
        rounds.mark_unchanged();
        let certificate = network
            .run(move |core| {
                let state = core.replica.ingress_status(&id).map(|status| &status.state);
                match state {
                    Some(state) if is_final(state) => {
                        let path = vec![b"request_status".to_vec(), id.0.to_vec()];
                        core.certify(subnet, vec![path]).map(Some)
                    }
                    _ => Ok(None),
                }
            })
            .await??;
        if let Some(certificate) = certificate {
            let body = self_describing_cbor(&CallResponse::Replied {
                certificate: serde_bytes::Bytes::new(&certificate),
            });
            return Ok(cbor(StatusCode::OK, body));
        }
        tokio::select! {
            changed = rounds.changed() => if changed.is_err() { return Ok(accepted()) },
            _ = tokio::time::sleep_until(deadline) => return Ok(accepted()),
        }
    }
}

fn accepted() -> Response<Bytes> {
    let mut response = Response::new(Bytes::new());
    *response.status_mut() = StatusCode::ACCEPTED;
    response
}

async fn submit(
    network: &Arc<Network>,
    target: Target,
    body: Bytes,
) -> Result<Submitted, ApiError> {
    let this = network.clone();
    let submitted = network
        .run(move |core| {
            let request = authenticated(&this, core, &body)?;
            let Content::Call(call) = request.content else {
                return Err(ApiError::BadRequest("not a call".into()));
            };
            let effective = target.effective(call.canister_id)?;
            if call.canister_id == Principal::management_canister()
                && let Some(specified) = specified_id(&call.method_name, &call.arg)
            {
                core.ensure_subnet_of(specified)
                    .map_err(ApiError::BadRequest)?;
            }
            let id = MessageId(request.id);
            let subnet = |core: &crate::network::Core, effective: Principal| {
                core.subnet_in_charge(effective)
                    .ok_or_else(|| ApiError::BadRequest(format!("canister_not_found: {effective}")))
            };
            // The request id names the call: sent again, it is the same call, not another one.
            if let Some(known) = core.replica.ingress_status(&id) {
                let subnet = subnet(core, known.effective_canister)?;
                return Ok(Submitted::Accepted { id, subnet });
            }
            let ingress = Ingress {
                sender: request.sender,
                canister_id: call.canister_id,
                effective,
                method: call.method_name,
                arg: call.arg,
                id,
            };
            match core.replica.submit(ingress) {
                Ok(effective) => Ok(Submitted::Accepted {
                    id,
                    subnet: subnet(core, effective)?,
                }),
                Err(RequestError::Bad(message)) => Err(ApiError::BadRequest(message)),
                Err(RequestError::Refused(error)) => {
                    let body = self_describing_cbor(&CallResponse::NonReplicatedRejection {
                        reject_code: error.reject_code,
                        reject_message: &error.message,
                        error_code: &error_code(&error),
                    });
                    Ok(Submitted::Refused(cbor(StatusCode::OK, body)))
                }
            }
        })
        .await??;
    network.wake();
    Ok(submitted)
}

/// The id a canister creation asks for.
pub fn specified_id(method: &str, arg: &[u8]) -> Option<Principal> {
    #[derive(CandidType, Deserialize)]
    struct CreateArgs {
        specified_id: Option<Principal>,
    }
    if method != "provisional_create_canister_with_cycles" {
        return None;
    }
    Decode!(arg, CreateArgs).ok()?.specified_id
}

/// The effective id a REST submission must be routed by so that a canister gets the id it asks for.
pub fn effective_for_creation(effective: Effective, specified: Option<Principal>) -> Effective {
    match (effective, specified) {
        (Effective::None, Some(id)) => Effective::Canister(id),
        (effective, _) => effective,
    }
}
