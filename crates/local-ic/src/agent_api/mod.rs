//! The IC's HTTPS interface (Interface Specification, "HTTPS Interface"): status, call, query, read_state.

mod call;
pub use call::{effective_for_creation, specified_id};
mod read_state;

use crate::network::{Core, Crashed, Network, error_code};
use bytes::Bytes;
use http::{HeaderValue, Method, Response, StatusCode, header};
use local_ic_cert::{
    Content, EnvelopeError, QueryResult, Request, UnknownSubnet, authenticate, self_describing_cbor,
};
use local_ic_replica::{Effective, Principal, Query, RequestError};
use serde::Serialize;
use std::sync::Arc;
use thiserror::Error;

/// Largest body the interface takes; queries may be bigger than calls, whose own limit the replica checks.
pub const MAX_BODY: usize = 5 * 1024 * 1024;

/// A request that gets no CBOR answer.
#[derive(Debug, Error)]
pub(crate) enum ApiError {
    #[error("no such endpoint: {0}")]
    NoEndpoint(String),
    #[error("method not allowed")]
    Method,
    #[error("{0}")]
    BadRequest(String),
    #[error("{0}")]
    Forbidden(String),
    #[error("{0}")]
    NotFound(String),
    #[error(transparent)]
    Envelope(#[from] EnvelopeError),
    #[error(transparent)]
    Crashed(#[from] Crashed),
    #[error(transparent)]
    UnknownSubnet(#[from] UnknownSubnet),
}

impl ApiError {
    fn status(&self) -> StatusCode {
        match self {
            Self::NoEndpoint(_) | Self::NotFound(_) => StatusCode::NOT_FOUND,
            Self::Method => StatusCode::METHOD_NOT_ALLOWED,
            Self::BadRequest(_) | Self::Envelope(_) | Self::UnknownSubnet(_) => {
                StatusCode::BAD_REQUEST
            }
            Self::Forbidden(_) => StatusCode::FORBIDDEN,
            Self::Crashed(_) => StatusCode::INTERNAL_SERVER_ERROR,
        }
    }
}

/// Whether a path belongs to the interface (with or without leading slash).
pub fn is_agent_path(path: &str) -> bool {
    let path = path.trim_start_matches('/');
    ["api/v2/", "api/v3/", "api/v4/"]
        .iter()
        .any(|prefix| path.starts_with(prefix))
}

/// What the path names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Target {
    Canister(Principal),
    Subnet(Principal),
}

impl Target {
    fn principal(self) -> Principal {
        match self {
            Self::Canister(id) | Self::Subnet(id) => id,
        }
    }

    /// Where a request to `callee` goes; anything but the management canister must be the canister of the path.
    fn effective(self, callee: Principal) -> Result<Effective, ApiError> {
        match self {
            _ if callee == Principal::management_canister() => Ok(match self {
                Self::Canister(id) => Effective::Canister(id),
                Self::Subnet(id) => Effective::Subnet(id),
            }),
            Self::Canister(id) if id == callee => Ok(Effective::Canister(id)),
            _ => Err(ApiError::BadRequest(format!(
                "Specified CanisterId {callee} does not match effective canister id in URL {}",
                self.principal()
            ))),
        }
    }
}

/// Answers a request to `path` (`/api/v…`). Never fails: errors are responses.
pub async fn handle(
    network: &Arc<Network>,
    method: &Method,
    path: &str,
    body: Bytes,
) -> Response<Bytes> {
    let mut response = match route(network, method, path, body).await {
        Ok(response) => response,
        Err(error) => {
            let mut response = Response::new(Bytes::from(error.to_string()));
            *response.status_mut() = error.status();
            let text = HeaderValue::from_static("text/plain; charset=utf-8");
            response.headers_mut().insert(header::CONTENT_TYPE, text);
            response
        }
    };
    response.headers_mut().insert(
        header::ACCESS_CONTROL_ALLOW_ORIGIN,
        HeaderValue::from_static("*"),
    );
    response
}

async fn route(
    network: &Arc<Network>,
    method: &Method,
    path: &str,
    body: Bytes,
) -> Result<Response<Bytes>, ApiError> {
    let segments: Vec<&str> = path.trim_matches('/').split('/').collect();
    if *method == Method::OPTIONS {
        return Ok(preflight());
    }
    if let ["api", "v2", "status"] = segments[..] {
        return if *method == Method::GET || *method == Method::HEAD {
            Ok(status(network))
        } else {
            Err(ApiError::Method)
        };
    }
    let ["api", version, kind, id, operation] = segments[..] else {
        return Err(ApiError::NoEndpoint(path.to_owned()));
    };
    if *method != Method::POST {
        return Err(ApiError::Method);
    }
    let id = Principal::from_text(id)
        .map_err(|error| ApiError::BadRequest(format!("invalid principal in URL: {error}")))?;
    let target = match kind {
        "canister" => Target::Canister(id),
        "subnet" => Target::Subnet(id),
        _ => return Err(ApiError::NoEndpoint(path.to_owned())),
    };
    match (version, operation, target) {
        ("v2" | "v3", "query", Target::Canister(_)) => query(network, target, body).await,
        ("v2", "call", Target::Canister(_)) => call::asynchronous(network, target, body).await,
        ("v3", "call", Target::Canister(_)) | ("v4", "call", _) => {
            call::synchronous(network, target, body).await
        }
        ("v2" | "v3", "read_state", _) => read_state::read_state(network, target, body).await,
        _ => Err(ApiError::NoEndpoint(path.to_owned())),
    }
}

fn cbor(status: StatusCode, body: Vec<u8>) -> Response<Bytes> {
    let mut response = Response::new(Bytes::from(body));
    *response.status_mut() = status;
    response.headers_mut().insert(
        header::CONTENT_TYPE,
        HeaderValue::from_static("application/cbor"),
    );
    response
}

fn preflight() -> Response<Bytes> {
    let mut response = Response::new(Bytes::new());
    let headers = response.headers_mut();
    headers.insert(
        header::ACCESS_CONTROL_ALLOW_METHODS,
        HeaderValue::from_static("HEAD, GET, POST"),
    );
    headers.insert(
        header::ACCESS_CONTROL_ALLOW_HEADERS,
        HeaderValue::from_static(
            "user-agent, dnt, if-none-match, if-modified-since, cache-control, content-type, range, cookie, x-requested-with, x-ic-canister-id",
        ),
    );
    headers.insert(
        header::ACCESS_CONTROL_MAX_AGE,
        HeaderValue::from_static("7200"),
    );
    response
}

fn status(network: &Network) -> Response<Bytes> {
    #[derive(Serialize)]
    struct Status<'a> {
        impl_version: &'static str,
        replica_health_status: &'static str,
        root_key: &'a serde_bytes::Bytes,
    }
    cbor(
        StatusCode::OK,
        self_describing_cbor(&Status {
            impl_version: concat!("local-ic ", env!("CARGO_PKG_VERSION")),
            replica_health_status: "healthy",
            root_key: serde_bytes::Bytes::new(network.root_key_der()),
        }),
    )
}

/// Authenticates an envelope at the replica's present time.
fn authenticated(network: &Network, core: &Core, body: &[u8]) -> Result<Request, ApiError> {
    Ok(authenticate(
        body,
        core.replica.time(),
        network.root_key_der(),
    )?)
}

async fn query(
    network: &Arc<Network>,
    target: Target,
    body: Bytes,
) -> Result<Response<Bytes>, ApiError> {
    let this = network.clone();
    network
        .run(move |core| {
            let request = authenticated(&this, core, &body)?;
            let Content::Query(query) = request.content else {
                return Err(ApiError::BadRequest("not a query".into()));
            };
            let effective = target.effective(query.canister_id)?;
            let subnet = core.subnet_in_charge(target.principal()).ok_or_else(|| {
                ApiError::BadRequest(format!("canister_not_found: {}", target.principal()))
            })?;
            let result = match core.replica.query(Query {
                sender: request.sender,
                canister_id: query.canister_id,
                effective,
                method: query.method_name,
                arg: query.arg,
            }) {
                Ok(reply) => QueryResult::Replied(reply),
                Err(RequestError::Bad(message)) => return Err(ApiError::BadRequest(message)),
                Err(RequestError::Refused(error)) => QueryResult::Rejected {
                    code: error.reject_code.into(),
                    error_code: error_code(&error),
                    message: error.message,
                },
            };
            let time = core.replica.state_time();
            let body = local_ic_cert::query_response(
                this.authority(),
                subnet,
                &request.id,
                &result,
                time,
            )?;
            Ok(cbor(StatusCode::OK, body))
        })
        .await?
}
