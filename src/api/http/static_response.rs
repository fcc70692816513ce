//! Responses that do not depend on a payment, with all their headers.

use super::types::HeaderField;
use crate::domain::route::ContentMeta;
use std::borrow::Cow;
use x402_icp::wire::PAYMENT_REQUIRED;

/// `Cache-Control` of everything that was paid for or asks for payment: no cache may keep it.
pub const PRIVATE: &str = "private, no-store";
/// Response headers that scripts of other origins may read: those of x402, and those that a gateway exposes by default.
/// Browsers that support `*` let them read any.
pub const EXPOSED: &str = "PAYMENT-REQUIRED, PAYMENT-RESPONSE, X-PAYMENT-RESPONSE, Retry-After, Allow, \
    Accept-Ranges, Content-Length, Content-Range, X-Request-Id, X-IC-Canister-Id, *";
/// Request headers that scripts of other origins may send: those of x402 clients, and those that a gateway allows by
/// default. `*` never includes `Authorization`. Released TypeScript clients send `Access-Control-Expose-Headers` as a
/// request header, so it has to be allowed.
pub const ALLOWED_HEADERS: &str = "Content-Type, PAYMENT-SIGNATURE, X-PAYMENT, SIGN-IN-WITH-X, \
    Access-Control-Expose-Headers, Authorization, Accept, Range, If-Range, If-None-Match, If-Modified-Since, \
    Cache-Control, Cookie, User-Agent, DNT, X-Requested-With, X-IC-Canister-Id, X-OC-JWT, X-OC-API-Key, *";
/// Request methods that scripts of other origins may use.
pub const ALLOWED_METHODS: &str = "GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS";

#[derive(Clone, Debug, PartialEq)]
pub enum Body {
    Empty,
    Json(Cow<'static, str>),
    /// A route's stored content.
    Content(ContentMeta),
}

impl Body {
    /// The input of the certification: the bytes, or their hash if it is known.
    pub(super) fn certified(&self) -> (&[u8], Option<[u8; 32]>) {
        match self {
            Body::Empty => (b"", None),
            Body::Json(text) => (text.as_bytes(), None),
            Body::Content(content) => (b"", Some(content.sha256)),
        }
    }
}

/// A response that is the same for every client.
#[derive(Clone, Debug, PartialEq)]
pub struct StaticResponse {
    pub status: u16,
    /// All headers except the two of response verification.
    pub headers: Vec<HeaderField>,
    pub body: Body,
}

pub fn header(name: &str, value: &str) -> HeaderField {
    (name.to_string(), value.to_string())
}

/// The headers of every response that let a page of any origin read it.
pub fn cors() -> [HeaderField; 2] {
    [
        header("access-control-allow-origin", "*"),
        header("access-control-expose-headers", EXPOSED),
    ]
}

impl StaticResponse {
    /// A JSON response that no cache may keep.
    pub fn json(status: u16, json: &'static str) -> Self {
        let mut headers = vec![
            header("content-type", "application/json"),
            header("cache-control", PRIVATE),
        ];
        headers.extend(cors());
        Self {
            status,
            headers,
            body: Body::Json(json.into()),
        }
    }

    /// 402 with the offers, encoded for the header `PAYMENT-REQUIRED`.
    pub fn payment_required(offers: &str) -> Self {
        Self::json(402, "{}").with(PAYMENT_REQUIRED, offers)
    }

    /// 200 with a free route's content.
    pub fn content(content: ContentMeta, mime_type: &str) -> Self {
        Self::public(mime_type, Body::Content(content))
    }

    /// 200 with JSON that everybody may read.
    pub fn public_json(json: String) -> Self {
        Self::public("application/json", Body::Json(json.into()))
    }

    fn public(mime_type: &str, body: Body) -> Self {
        let mut headers = vec![
            header("content-type", mime_type),
            header("cache-control", "public, max-age=60"),
            header("x-content-type-options", "nosniff"),
        ];
        headers.extend(cors());
        Self {
            status: 200,
            headers,
            body,
        }
    }

    pub fn not_found() -> Self {
        Self::json(404, r#"{"error":"not_found"}"#)
    }

    /// 405, naming the methods that are allowed.
    pub fn method_not_allowed(allow: &str) -> Self {
        Self::json(405, r#"{"error":"method_not_allowed"}"#).with("allow", allow)
    }

    /// 204, the response to a preflight. A gateway accepts it only with a 2xx status, an empty body and a CORS header,
    /// and remembers a canister whose first response had none.
    pub fn preflight() -> Self {
        Self {
            status: 204,
            headers: vec![
                header("access-control-allow-origin", "*"),
                header("access-control-allow-methods", ALLOWED_METHODS),
                header("access-control-allow-headers", ALLOWED_HEADERS),
                header("access-control-max-age", "7200"),
            ],
            body: Body::Empty,
        }
    }

    /// The same with one more header.
    pub fn with(mut self, name: &str, value: &str) -> Self {
        self.headers.push(header(name, value));
        self
    }

    /// The response to `HEAD`: the same status and headers, no body.
    pub fn head(&self) -> Self {
        Self {
            body: Body::Empty,
            ..self.clone()
        }
    }
}
