//! The HTTP gateway: browsers and plain HTTP clients in front, canisters behind.
//!
//! Follows the production gateway: routing by host, CORS, error pages, header rules, and the translation of
//! `ic-http-gateway`, which is not used itself because its agent brings an HTTP client with TLS. Responses are verified by
//! `ic-response-verification`.

mod calls;
mod cors;
mod exchange;
mod host;
mod interface;
mod pages;
mod ranges;

use crate::agent_api;
use crate::http::{BodyError, Hangup, HttpResponse, collect, full, json, text};
use crate::network::{Network, describe};
use bytes::Bytes;
use calls::Caller;
use cors::Cors;
use exchange::Exchange;
use host::{Route, Target};
use http::{HeaderName, HeaderValue, Method, Request, Response, StatusCode, header};
use hyper::body::Incoming;
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

/// A gateway in front of one network.
pub struct Gateway {
    network: Arc<Network>,
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
    ) -> Self {
        Self {
            network,
            domains,
            default_canister,
            cors: Cors::default(),
            requests: AtomicU64::new(0),
        }
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
        let request = Request::from_parts(parts, body);
        let answer = match Exchange::new(Caller(&self.network), canister, target.raw, &request) {
            Ok(exchange) => exchange.run().await,
            Err(page) => Err(page),
        };
        let mut response = match answer {
            Ok(answer) => framed(answer, &method)?,
            Err(page) => page.response(),
        };
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

/// Framing is the gateway's business. Production drops the connection when a canister contradicts it.
fn framed(mut answer: Response<Bytes>, method: &Method) -> Result<HttpResponse, Hangup> {
    let length = answer.body().len();
    let headers = answer.headers_mut();
    if headers.remove(header::TRANSFER_ENCODING).is_some() {
        return Err(Hangup("canister response has a transfer-encoding"));
    }
    if *method != Method::HEAD
        && let Some(claimed) = headers.remove(header::CONTENT_LENGTH)
        && claimed.to_str().ok().and_then(|text| text.parse().ok()) != Some(length)
    {
        return Err(Hangup("canister response has a wrong content-length"));
    }
    Ok(answer.map(full))
}
