//! Between the protocol's types and the replica's.

use super::RestError;
use crate::protocol::{
    CanisterHttpHeader, CanisterHttpResponse, RawCanisterHttpRequest, RawEffectivePrincipal,
    RawMockCanisterHttpResponse, RejectResponse, reject_code,
};
use candid::Principal;
use local_ic_replica::{
    Effective, ErrorCode, HttpAnswer, HttpOutcall, HttpResult, MessageCost, OutcallMethod,
    UserError,
};
use serde::Serialize;

/// A principal from raw bytes of a request.
pub(super) fn principal(bytes: &[u8]) -> Result<Principal, RestError> {
    Principal::try_from_slice(bytes)
        .map_err(|error| RestError::BadRequest(format!("invalid principal: {error}")))
}

/// The effective principal of a call.
pub(super) fn effective(raw: &RawEffectivePrincipal) -> Result<Effective, RestError> {
    Ok(match raw {
        RawEffectivePrincipal::None => Effective::None,
        RawEffectivePrincipal::SubnetId(id) => Effective::Subnet(principal(id)?),
        RawEffectivePrincipal::CanisterId(id) => Effective::Canister(principal(id)?),
    })
}

/// A refusal in the protocol's shape.
pub(super) fn reject_response(error: UserError) -> Result<RejectResponse, RestError> {
    let unknown = || {
        RestError::BadRequest(format!(
            "error code {} has no name in the protocol",
            error.error_code
        ))
    };
    // The replica's names are the protocol's.
    let error_code = ErrorCode::from_number(error.error_code).ok_or_else(unknown)?;
    Ok(RejectResponse {
        reject_code: reject_code(error.reject_code).ok_or_else(unknown)?,
        error_code: format!("{error_code:?}"),
        reject_message: error.message,
        certified: error.certified,
    })
}

/// A pending outcall as the client lists it.
pub(super) fn outcall(outcall: HttpOutcall) -> RawCanisterHttpRequest {
    RawCanisterHttpRequest {
        subnet_id: outcall.subnet.into(),
        request_id: outcall.request_id,
        http_method: match outcall.method {
            OutcallMethod::Get => "GET",
            OutcallMethod::Post => "POST",
            OutcallMethod::Head => "HEAD",
            OutcallMethod::Put => "PUT",
            OutcallMethod::Delete => "DELETE",
            OutcallMethod::Patch => "PATCH",
        },
        url: outcall.url,
        headers: outcall
            .headers
            .into_iter()
            .map(|(name, value)| CanisterHttpHeader { name, value })
            .collect(),
        body: outcall.body,
        max_response_bytes: outcall.max_response_bytes,
        replication: if outcall.replicated {
            "FullyReplicated"
        } else {
            "NonReplicated"
        },
        pricing_version: "Legacy",
    }
}

/// A mocked answer for all nodes or for each.
pub(super) fn outcall_answer(
    mock: RawMockCanisterHttpResponse,
) -> Result<(Principal, u64, HttpAnswer), RestError> {
    let subnet = principal(&mock.subnet_id.subnet_id)?;
    let answer = HttpAnswer {
        result: outcall_result(mock.response)?,
        additional: mock
            .additional_responses
            .into_iter()
            .map(outcall_result)
            .collect::<Result<_, _>>()?,
    };
    Ok((subnet, mock.request_id, answer))
}

fn outcall_result(response: CanisterHttpResponse) -> Result<HttpResult, RestError> {
    Ok(match response {
        CanisterHttpResponse::CanisterHttpReply(reply) => HttpResult::Reply {
            status: reply.status,
            headers: reply
                .headers
                .into_iter()
                .map(|header| (header.name, header.value))
                .collect(),
            body: reply.body,
        },
        CanisterHttpResponse::CanisterHttpReject(reject) => HttpResult::Reject {
            code: u32::try_from(reject.reject_code)
                .ok()
                .filter(|code| (1..=6).contains(code))
                .ok_or_else(|| {
                    RestError::BadRequest(format!("invalid reject code {}", reject.reject_code))
                })?,
            message: reject.message,
        },
    })
}

/// One metered execution; cycles as texts because they may be larger than JSON numbers are read.
#[derive(Serialize)]
pub(super) struct Cost {
    canister: String,
    entry: String,
    instructions: u64,
    cycles_before: String,
    cycles_after: String,
}

impl From<MessageCost> for Cost {
    fn from(cost: MessageCost) -> Self {
        Self {
            canister: cost.canister.to_text(),
            entry: cost.entry,
            instructions: cost.instructions,
            cycles_before: cost.cycles_before.to_string(),
            cycles_after: cost.cycles_after.to_string(),
        }
    }
}
