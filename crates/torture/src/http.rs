//! The HTTP interface: routes that are certified well, badly, not at all, or not meant to be.
//!
//! [`certify`] must have run (step `CertifyHttp`). Routes, by path:
//! - `/certified` is certified, `/tampered` has a certificate for another body, `/bare` has none.
//! - `/skip/STATUS` skips certification, answers with that status and describes the request.
//! - `/upgrade/STATUS` asks for an update call, which describes the request.
//! - `/cors/own` answers with CORS headers of its own and no body, `/cors/body` with a body.
//! - `/big/BYTES`, `/stream`, `/trap`, `/bad-header`, `/headers` for the limits of a gateway.

use candid::{CandidType, Func, Principal, define_function};
use ic_http_certification::{
    CERTIFICATE_EXPRESSION_HEADER_NAME, DefaultCelBuilder, DefaultResponseCertification,
    HttpCertification, HttpCertificationPath, HttpCertificationTree, HttpCertificationTreeEntry,
    HttpResponse, StatusCode, utils::add_v2_certificate_header,
};
use serde::{Deserialize, Serialize};
use serde_bytes::ByteBuf;
use std::cell::RefCell;

thread_local! {
    static TREE: RefCell<HttpCertificationTree> = RefCell::default();
}

const CERTIFIED_BODY: &str = "this body is certified";
const CERTIFIED_HEADER: (&str, &str) = ("x-certified", "yes");

/// A request as a gateway passes it on.
#[derive(CandidType, Deserialize, Clone, Debug)]
pub struct Request {
    /// `GET`, `POST`, …
    pub method: String,
    /// Path and query.
    pub url: String,
    /// Names and values in the client's order.
    pub headers: Vec<(String, String)>,
    /// The body.
    pub body: ByteBuf,
    /// The certification version the gateway supports; absent in updates.
    pub certificate_version: Option<u16>,
}

/// The answer to a request.
#[derive(CandidType, Clone, Debug)]
pub struct Response {
    /// The status.
    pub status_code: u16,
    /// Names and values.
    pub headers: Vec<(String, String)>,
    /// The body, or its first part.
    pub body: ByteBuf,
    /// True asks for the same request as an update call.
    pub upgrade: Option<bool>,
    /// How to fetch the rest of the body.
    pub streaming_strategy: Option<StreamingStrategy>,
}

define_function!(pub StreamingCallback : (Token) -> (Chunk) query);

/// How to fetch the rest of a body.
#[derive(CandidType, Clone, Debug)]
pub enum StreamingStrategy {
    /// By calling a query with a token.
    Callback {
        /// The query.
        callback: StreamingCallback,
        /// The token of the next part.
        token: Token,
    },
}

/// Names a part of a body.
#[derive(CandidType, Serialize, Deserialize, Clone, Debug)]
pub struct Token {
    /// Counts the parts.
    pub part: u32,
}

/// A part of a body.
#[derive(CandidType, Clone, Debug)]
pub struct Chunk {
    /// Its bytes.
    pub body: ByteBuf,
    /// The next part, if any.
    pub token: Option<Token>,
}

fn certified_entry(path: &'static str) -> HttpCertificationTreeEntry<'static> {
    let expression = DefaultCelBuilder::response_only_certification()
        .with_response_certification(DefaultResponseCertification::certified_response_headers(
            vec![CERTIFIED_HEADER.0],
        ))
        .build();
    let certification = HttpCertification::response_only(&expression, &certified_response(), None)
        .expect("BUG: the certified response carries its expression");
    HttpCertificationTreeEntry::new(HttpCertificationPath::exact(path), certification)
}

fn skip_entry(path: &'static str) -> HttpCertificationTreeEntry<'static> {
    HttpCertificationTreeEntry::new(
        HttpCertificationPath::wildcard(path),
        HttpCertification::skip(),
    )
}

fn certified_response() -> HttpResponse<'static> {
    let expression = DefaultCelBuilder::response_only_certification()
        .with_response_certification(DefaultResponseCertification::certified_response_headers(
            vec![CERTIFIED_HEADER.0],
        ))
        .build();
    let header = |(name, value): (&str, &str)| (name.to_string(), value.to_string());
    HttpResponse::builder()
        .with_status_code(StatusCode::OK)
        .with_headers(vec![
            header(CERTIFIED_HEADER),
            (
                CERTIFICATE_EXPRESSION_HEADER_NAME.to_string(),
                expression.to_string(),
            ),
        ])
        .with_body(CERTIFIED_BODY.as_bytes())
        .build()
}

const SKIPPED: [&str; 7] = [
    "/skip",
    "/cors",
    "/big",
    "/stream",
    "/bad-header",
    "/headers",
    "/length",
];

/// Builds the certification tree and sets the certified data.
pub fn certify() {
    TREE.with_borrow_mut(|tree| {
        tree.insert(&certified_entry("/certified"));
        tree.insert(&certified_entry("/tampered"));
        for path in SKIPPED {
            tree.insert(&skip_entry(path));
        }
        ic0::certified_data_set(&tree.root_hash());
    });
}

fn data_certificate() -> Vec<u8> {
    let mut certificate = vec![0; ic0::data_certificate_size()];
    ic0::data_certificate_copy(&mut certificate, 0);
    certificate
}

/// Adds the certificate for an entry of the tree; outside a certified query adds nothing.
fn prove(
    response: Response,
    entry: &HttpCertificationTreeEntry,
    path: &str,
    url: &str,
) -> Response {
    if ic0::data_certificate_present() == 0 {
        return response;
    }
    let mut carrier = HttpResponse::builder()
        .with_headers(response.headers)
        .build();
    TREE.with_borrow(|tree| {
        let witness = tree
            .witness(entry, url)
            .expect("BUG: only entries of the tree are proven");
        let expression_path = if SKIPPED.contains(&path) {
            HttpCertificationPath::wildcard(path).to_expr_path()
        } else {
            HttpCertificationPath::exact(path).to_expr_path()
        };
        add_v2_certificate_header(
            &data_certificate(),
            &mut carrier,
            &witness,
            &expression_path,
        );
    });
    Response {
        headers: carrier.headers().to_vec(),
        ..response
    }
}

fn plain(status_code: u16, headers: &[(&str, &str)], body: impl Into<Vec<u8>>) -> Response {
    Response {
        status_code,
        headers: headers
            .iter()
            .map(|(name, value)| (name.to_string(), value.to_string()))
            .collect(),
        body: ByteBuf::from(body.into()),
        upgrade: None,
        streaming_strategy: None,
    }
}

/// One line for each thing the canister saw of a request.
fn describe(request: &Request) -> String {
    let mut lines = vec![
        format!("method: {}", request.method),
        format!("url: {}", request.url),
        format!("version: {:?}", request.certificate_version),
        format!("body-bytes: {}", request.body.len()),
    ];
    for (name, value) in &request.headers {
        lines.push(format!("header {name}: {value}"));
    }
    lines.join("\n")
}

fn skipped(response: Response, path: &'static str, url: &str) -> Response {
    let expression = DefaultCelBuilder::skip_certification().to_string();
    let mut response = response;
    response
        .headers
        .push((CERTIFICATE_EXPRESSION_HEADER_NAME.to_string(), expression));
    prove(response, &skip_entry(path), path, url)
}

fn number(text: &str, otherwise: u32) -> u32 {
    text.parse().unwrap_or(otherwise)
}

fn stream_callback() -> StreamingCallback {
    let mut id = vec![0; ic0::canister_self_size()];
    ic0::canister_self_copy(&mut id, 0);
    StreamingCallback(Func {
        principal: Principal::from_slice(&id),
        method: "http_stream".into(),
    })
}

fn answer(request: &Request) -> Response {
    let path = request.url.split('?').next().unwrap_or_default();
    let mut parts = path.trim_start_matches('/').splitn(2, '/');
    let (route, rest) = (
        parts.next().unwrap_or_default(),
        parts.next().unwrap_or_default(),
    );
    let url = &request.url;
    match route {
        "certified" | "tampered" => {
            let certified = certified_response();
            let (path, body) = if route == "certified" {
                ("/certified", CERTIFIED_BODY)
            } else {
                ("/tampered", "this body was changed")
            };
            let response = Response {
                headers: certified.headers().to_vec(),
                ..plain(200, &[], body)
            };
            prove(response, &certified_entry(path), path, url)
        }
        "skip" => {
            let status = number(rest, 200) as u16;
            let content = [("content-type", "text/plain"), ("X-Mixed-Case", "kept")];
            skipped(plain(status, &content, describe(request)), "/skip", url)
        }
        "cors" => {
            let body = if rest == "body" {
                "not a preflight"
            } else {
                ""
            };
            let headers = [
                ("access-control-allow-origin", "https://shop.example"),
                ("access-control-allow-methods", "GET, POST"),
                ("access-control-allow-headers", "PAYMENT-SIGNATURE"),
                ("access-control-expose-headers", "PAYMENT-REQUIRED"),
                ("vary", "Origin"),
            ];
            let status = number(rest, 204) as u16;
            skipped(plain(status, &headers, body), "/cors", url)
        }
        "headers" => {
            let headers = [
                ("set-cookie", "a=1"),
                ("set-cookie", "b=2"),
                ("x-ic-canister-id", "forged"),
                ("server", "torture"),
            ];
            skipped(plain(200, &headers, "headers"), "/headers", url)
        }
        "big" => skipped(
            plain(200, &[], vec![b'x'; number(rest, 0) as usize]),
            "/big",
            url,
        ),
        "stream" => {
            let mut response = skipped(plain(200, &[], "part 0;"), "/stream", url);
            response.streaming_strategy = Some(StreamingStrategy::Callback {
                callback: stream_callback(),
                token: Token { part: 1 },
            });
            response
        }
        "bad-header" => skipped(plain(200, &[("not a name", "x")], ""), "/bad-header", url),
        "length" => skipped(
            plain(200, &[("content-length", "9")], "four"),
            "/length",
            url,
        ),
        "trap" => ic_cdk::trap("asked to trap"),
        "upgrade" => Response {
            upgrade: Some(true),
            ..plain(200, &[], "never seen")
        },
        _ => plain(200, &[], "uncertified"),
    }
}

// Exported from the canister alone: native tests link this crate beside the canister under test, which has these methods too.

/// Answers a query.
#[cfg_attr(target_family = "wasm", ic_cdk::query)]
pub fn http_request(request: Request) -> Response {
    answer(&request)
}

/// Answers a request that asked for an upgrade: describes it, with the status in the path.
#[cfg_attr(target_family = "wasm", ic_cdk::update)]
pub fn http_request_update(request: Request) -> Response {
    let rest = request.url.trim_start_matches("/upgrade/");
    match rest.strip_prefix("big/") {
        Some(bytes) => plain(200, &[], vec![b'x'; number(bytes, 0) as usize]),
        None => plain(number(rest, 200) as u16, &[], describe(&request)),
    }
}

/// The later parts of `/stream`.
#[cfg_attr(target_family = "wasm", ic_cdk::query)]
pub fn http_stream(token: Token) -> Chunk {
    Chunk {
        body: ByteBuf::from(format!("part {};", token.part)),
        token: (token.part < 3).then(|| Token {
            part: token.part + 1,
        }),
    }
}
