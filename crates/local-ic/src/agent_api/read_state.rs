//! Certified reads of the state tree, with the access rules of the Interface Specification ("Request: Read state").

use super::{ApiError, Target, authenticated, cbor};
use crate::network::{Core, Network};
use bytes::Bytes;
use http::{Response, StatusCode};
use local_ic_cert::{Content, Path, self_describing_cbor};
use local_ic_replica::{MessageId, Principal};
use serde::Serialize;
use std::sync::Arc;

#[derive(Serialize)]
struct ReadStateResponse<'a> {
    certificate: &'a serde_bytes::Bytes,
}

pub(super) async fn read_state(
    network: &Arc<Network>,
    target: Target,
    body: Bytes,
) -> Result<Response<Bytes>, ApiError> {
    let this = network.clone();
    network
        .run(move |core| {
            let request = authenticated(&this, core, &body)?;
            let Content::ReadState(paths) = request.content else {
                return Err(ApiError::BadRequest("not a read_state request".into()));
            };
            let subnet = core.subnet_in_charge(target.principal()).ok_or_else(|| {
                ApiError::BadRequest(format!("canister_not_found: {}", target.principal()))
            })?;
            for path in &paths {
                check_path(core, path, request.sender, target)?;
            }
            one_request_only(&paths)?;
            let certificate = core.certify(subnet, paths)?;
            let body = self_describing_cbor(&ReadStateResponse {
                certificate: serde_bytes::Bytes::new(&certificate),
            });
            Ok(cbor(StatusCode::OK, body))
        })
        .await?
}

/// Whether `sender` may read `path` at the endpoint of `target`.
fn check_path(core: &Core, path: &Path, sender: Principal, target: Target) -> Result<(), ApiError> {
    let labels: Vec<&[u8]> = path.iter().map(Vec::as_slice).collect();
    let invalid = || Err(ApiError::NotFound("Invalid path requested.".into()));
    match labels[..] {
        [b"time"] | [b"subnet"] | [b"subnet", _] | [b"api_boundary_nodes", ..] => Ok(()),
        [
            b"subnet",
            _,
            b"public_key" | b"canister_ranges" | b"type" | b"metrics",
        ] => Ok(()),
        [b"subnet", _, b"node", ..] | [b"canister_ranges", _, ..] => Ok(()),
        [b"canister", id, ref rest @ ..] => {
            if target != Target::Canister(principal(id)?) {
                return Err(ApiError::BadRequest(
                    "path names another canister than the effective canister id in the URL".into(),
                ));
            }
            match rest {
                [b"controllers"] | [b"module_hash"] => Ok(()),
                [b"metadata", name] => check_metadata(core, principal(id)?, name, sender),
                _ => invalid(),
            }
        }
        [b"request_status", id] | [b"request_status", id, _] => {
            check_request(core, id, sender, target)
        }
        _ => invalid(),
    }
}

fn check_metadata(
    core: &Core,
    canister: Principal,
    name: &[u8],
    sender: Principal,
) -> Result<(), ApiError> {
    let Some(view) = core.replica.canister_state(canister) else {
        return Ok(());
    };
    let private = view
        .metadata
        .iter()
        .any(|section| section.name.as_bytes() == name && !section.public);
    if private && !view.controllers.contains(&sender) {
        return Err(ApiError::Forbidden(format!(
            "Custom section {:.100} can only be requested by the controllers of the canister.",
            String::from_utf8_lossy(name)
        )));
    }
    Ok(())
}

fn check_request(
    core: &Core,
    id: &[u8],
    sender: Principal,
    target: Target,
) -> Result<(), ApiError> {
    let id = <[u8; 32]>::try_from(id)
        .map_err(|_| ApiError::BadRequest("Request IDs must be 32 bytes in length.".into()))?;
    let Some(status) = core.replica.ingress_status(&MessageId(id)) else {
        return Ok(());
    };
    if status.sender != sender {
        return Err(ApiError::Forbidden(
            "Request IDs must be for requests signed by the caller.".into(),
        ));
    }
    // Calls to the management canister may be asked for at any canister of the subnet they went to.
    let effective = status.effective_canister;
    let at_home = effective == target.principal()
        || (status.receiver == Principal::management_canister()
            && core.subnet_in_charge(effective) == core.subnet_in_charge(target.principal()));
    if !at_home {
        return Err(ApiError::Forbidden(
            "Request IDs must be for requests to the effective canister id in the URL.".into(),
        ));
    }
    Ok(())
}

fn one_request_only(paths: &[Path]) -> Result<(), ApiError> {
    let mut ids = paths
        .iter()
        .filter(|path| path.first().is_some_and(|label| label == b"request_status"))
        .filter_map(|path| path.get(1));
    let first = ids.next();
    if ids.any(|id| Some(id) != first) {
        return Err(ApiError::BadRequest(
            "Can only request a single request ID in request_status paths.".into(),
        ));
    }
    Ok(())
}

fn principal(label: &[u8]) -> Result<Principal, ApiError> {
    Principal::try_from_slice(label)
        .map_err(|_| ApiError::BadRequest("invalid principal in path".into()))
}
