//! Error pages. Always HTML, whatever the client accepts, as in production.

use crate::http::{HttpResponse, response};
use http::StatusCode;

/// What went wrong, in the production gateway's terms.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Page {
    /// The canister's answer is not certified, or not as it should be.
    Verification,
    /// The canister trapped, has no `http_request`, no module, or rejected.
    Canister,
    CanisterNotFound,
    /// The network did not answer properly.
    Upstream,
    TooLarge,
    MethodNotAllowed,
    MalformedRequest,
    InvalidCanisterId,
}

impl Page {
    fn status(self) -> StatusCode {
        match self {
            Self::Verification | Self::Canister | Self::Upstream => StatusCode::SERVICE_UNAVAILABLE,
            Self::CanisterNotFound => StatusCode::NOT_FOUND,
            Self::TooLarge => StatusCode::PAYLOAD_TOO_LARGE,
            Self::MethodNotAllowed => StatusCode::METHOD_NOT_ALLOWED,
            Self::MalformedRequest | Self::InvalidCanisterId => StatusCode::BAD_REQUEST,
        }
    }

    fn title(self) -> &'static str {
        match self {
            Self::Verification => "response verification error",
            Self::Canister => "canister error",
            Self::CanisterNotFound => "canister not found",
            Self::Upstream => "upstream error",
            Self::TooLarge => "request too large",
            Self::MethodNotAllowed => "method not allowed",
            Self::MalformedRequest => "malformed request",
            Self::InvalidCanisterId => "canister id not resolved",
        }
    }

    fn explanation(self) -> &'static str {
        match self {
            Self::Verification => {
                "The canister's response is not certified for this request. Unverified responses are served on <id>.raw.localhost."
            }
            Self::Canister => "The canister could not answer this request.",
            Self::CanisterNotFound => "There is no canister with this id.",
            Self::Upstream => "The network refused the request or its answer was malformed.",
            Self::TooLarge => "The request body is larger than 10 MiB.",
            Self::MethodNotAllowed => {
                "Only HEAD, GET, POST, PUT, DELETE, PATCH and OPTIONS are allowed."
            }
            Self::MalformedRequest => "A request header is not valid UTF-8.",
            Self::InvalidCanisterId => {
                "The host name or the canisterId parameter is no canister id."
            }
        }
    }

    /// The page as a response.
    pub fn response(self) -> HttpResponse {
        let (title, explanation) = (
            self.title(),
            self.explanation().replace('<', "&lt;").replace('>', "&gt;"),
        );
        let html = format!(
            "<!DOCTYPE html>\n<html lang=\"en\">\n<head><meta charset=\"utf-8\"><title>Internet Computer - Error: {title}</title></head>\n<body><h1>{title}</h1><p>{explanation}</p></body>\n</html>\n"
        );
        response(self.status(), "text/html; charset=utf-8", html)
    }
}
