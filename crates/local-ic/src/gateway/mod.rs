//! The HTTP gateway: browsers and plain HTTP clients in front, canisters behind.
//!
//! Request translation and response verification are those of `ic-http-gateway`; what this module adds
//! follows the production gateway (routing by host, CORS, error pages, header rules).

mod agent;
mod cors;
mod host;
mod pages;

use crate::agent_api;
use crate::http::{Body, BodyError, BoxError, Hangup, HttpResponse, collect, json, text};
use crate::network::{Network, describe};
use bytes::Bytes;
use cors::Cors;
use host::{Route, Target};
use http::{HeaderName, HeaderValue, Method, Request, Response, StatusCode, header};
use http_body_util::BodyExt;
use hyper::body::{Body as _, Incoming};
use ic_agent::AgentError;
use ic_agent::agent::RejectCode;
use ic_http_gateway::{
    HttpGatewayClient, HttpGatewayError, HttpGatewayRequestArgs, HttpGatewayResponse,
};
use local_ic_replica::Principal;
use pages::Page;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// Largest request body a canister gets.
const MAX_BODY: usize = 10 * 1024 * 1024;
const X_IC_CANISTER_ID: HeaderName = HeaderName::from_static("x-ic-canister-id");
const X_REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
/// Where a browser that asks for no canister is sent.
const DASHBOARD: HeaderValue = HeaderValue::from_static("https://dashboard.internetcomputer.org/");

/// A gateway could not be made.
#[derive(Debug, thiserror::Error)]
#[error("gateway could not be set up: {0}")]
pub struct GatewayError(#[from] AgentError);

/// A gateway in front of one network.
pub struct Gateway {
    network: Arc<Network>,
    client: HttpGatewayClient,
    domains: Vec<String>,
    default_canister: Option<Principal>,
    cors: Cors,
    requests: AtomicU64,
}

impl Gateway {
    /// A gateway for requests to `domains` and their subdomains. Requests whose host names no canister go to
    /// `default_canister` if there is one.
    pub fn new(
        network: Arc<Network>,
        domains: Vec<String>,
        default_canister: Option<Principal>,
    ) -> Result<Self, GatewayError> {
        let agent = agent::in_process(&network)?;
        Ok(Self {
            client: HttpGatewayClient::builder()
                .with_agent(agent)
                .build()
                .map_err(|error| match error {
                    HttpGatewayError::AgentError(error) => {
                        AgentError::InvalidReplicaUrl(error.to_string())
                    }
                    other => AgentError::InvalidReplicaUrl(other.to_string()),
                })?,
            network,
            domains,
            default_canister,
            cors: Cors::default(),
            requests: AtomicU64::new(0),
        })
    }

    /// Answers one request.
    pub async fn handle(&self, request: Request<Incoming>) -> Result<HttpResponse, Hangup> {
        let path = request.uri().path();
        if agent_api::is_agent_path(path) {
            return Ok(self.agent_endpoint(request).await);
        }
        if path == "/_/topology" {
            return Ok(
                match self.network.run(|core| describe::topology(core)).await {
                    Ok(topology) => json(StatusCode::OK, &topology),
                    Err(error) => text(StatusCode::INTERNAL_SERVER_ERROR, error.to_string()),
                },
            );
        }
        let method = request.method().clone();
        let mut response = match host::route(&request, &self.domains, self.default_canister) {
            Route::Canister(target) => self.canister(target, request).await?,
            Route::Nobody if method == Method::OPTIONS => self.cors.default_preflight(),
            Route::Nobody => redirect_to_dashboard(),
            Route::Malformed => Page::InvalidCanisterId.response(),
        };
        self.cors.complete(&method, response.headers_mut());
        self.finish(&mut response);
        Ok(response)
    }

    async fn agent_endpoint(&self, request: Request<Incoming>) -> HttpResponse {
        let (parts, body) = request.into_parts();
        match collect(body, agent_api::MAX_BODY).await {
            Ok(body) => agent_api::handle(&self.network, &parts.method, parts.uri.path(), body)
                .await
                .map(crate::http::full),
            Err(error) => body_error(&error),
        }
    }

    async fn canister(
        &self,
        target: Target,
        request: Request<Incoming>,
    ) -> Result<HttpResponse, Hangup> {
        let method = request.method().clone();
        if !cors::ALLOWED_METHODS.contains(&method) && method != Method::OPTIONS {
            return Ok(Page::MethodNotAllowed.response());
        }
        let canister = target.canister;
        let Ok(module) = self.module_of(canister).await else {
            return Ok(Page::Upstream.response());
        };
        if method == Method::OPTIONS && self.cors.is_known_invalid(canister, &module) {
            return Ok(self.cors.default_preflight());
        }
        let (parts, body) = request.into_parts();
        let body = match collect(body, MAX_BODY).await {
            Ok(body) => body,
            Err(BodyError::TooLarge(_)) => return Ok(Page::TooLarge.response()),
            Err(error) => return Ok(body_error(&error)),
        };
        let mut request = self.client.request(HttpGatewayRequestArgs {
            canister_request: Request::from_parts(parts, body),
            canister_id: canister,
        });
        request.unsafe_set_skip_verification(target.raw);
        let mut response = translate(request.send().await, &method)?;
        if method == Method::OPTIONS && !cors::is_preflight_answer(&response) {
            self.cors.remember_invalid(canister, module);
            response = self.cors.default_preflight();
        }
        if let Ok(id) = HeaderValue::from_str(&canister.to_text()) {
            response.headers_mut().insert(X_IC_CANISTER_ID, id);
        }
        Ok(response)
    }

    /// Hash of the installed module: a new module gets a new chance to answer preflights.
    async fn module_of(
        &self,
        canister: Principal,
    ) -> Result<Option<[u8; 32]>, crate::network::Crashed> {
        self.network
            .run(move |core| {
                core.replica
                    .canister_state(canister)
                    .and_then(|view| view.module_hash)
            })
            .await
    }

    fn finish(&self, response: &mut HttpResponse) {
        let number = self.requests.fetch_add(1, Ordering::Relaxed);
        let headers = response.headers_mut();
        headers.insert(
            header::STRICT_TRANSPORT_SECURITY,
            HeaderValue::from_static("max-age=31536000; includeSubDomains"),
        );
        let id = format!("{:016x}-{number:08x}", crate::network::wall_clock());
        if let Ok(id) = HeaderValue::from_str(&id) {
            headers.insert(X_REQUEST_ID, id);
        }
    }
}

fn body_error(error: &BodyError) -> HttpResponse {
    let status = match error {
        BodyError::TooLarge(_) => StatusCode::PAYLOAD_TOO_LARGE,
        BodyError::Unreadable(_) => StatusCode::REQUEST_TIMEOUT,
    };
    text(status, error.to_string())
}

fn redirect_to_dashboard() -> HttpResponse {
    let mut response = Response::new(crate::http::full(Bytes::new()));
    *response.status_mut() = StatusCode::TEMPORARY_REDIRECT;
    response.headers_mut().insert(header::LOCATION, DASHBOARD);
    response
}

/// Turns what came back for the canister into the client's response.
fn translate(answer: HttpGatewayResponse, method: &Method) -> Result<HttpResponse, Hangup> {
    if let Some(error) = answer.metadata.internal_error {
        return Ok(error_page(&error).response());
    }
    let (mut parts, body) = answer.canister_response.into_parts();
    let length = body.size_hint().exact();
    // Framing is the gateway's business. Production drops the connection when a canister contradicts it.
    if parts.headers.remove(header::TRANSFER_ENCODING).is_some() {
        return Err(Hangup("canister response has a transfer-encoding"));
    }
    if *method != Method::HEAD
        && let Some(claimed) = parts.headers.get(header::CONTENT_LENGTH)
        && let Some(length) = length
    {
        let claimed = claimed
            .to_str()
            .ok()
            .and_then(|text| text.parse::<u64>().ok());
        if claimed != Some(length) {
            return Err(Hangup("canister response has a wrong content-length"));
        }
        parts.headers.remove(header::CONTENT_LENGTH);
    }
    let body: Body = body
        .map_err(|error| -> BoxError { Box::from(error.to_string()) })
        .boxed_unsync();
    Ok(Response::from_parts(parts, body))
}

fn error_page(error: &HttpGatewayError) -> Page {
    match error {
        HttpGatewayError::ResponseVerificationError(_) => Page::Verification,
        HttpGatewayError::AgentError(error) => match error.as_ref() {
            AgentError::CertifiedReject { reject, .. }
            | AgentError::UncertifiedReject { reject, .. } => match reject.reject_code {
                RejectCode::DestinationInvalid => Page::CanisterNotFound,
                _ => Page::Canister,
            },
            AgentError::HttpError(payload)
                if payload.content.starts_with(b"canister_not_found") =>
            {
                Page::CanisterNotFound
            }
            _ => Page::Upstream,
        },
        HttpGatewayError::HttpError(_) => Page::Upstream,
        HttpGatewayError::HeaderValueParsingError { .. } => Page::MalformedRequest,
    }
}
