//! Cross-origin rules of the production gateway: the canister's own headers count, missing ones are filled in,
//! and an `OPTIONS` the canister does not answer properly is answered for it.

use crate::http::{HttpResponse, full};
use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, Method, Response, header};
use hyper::body::Body as _;
use local_ic_replica::Principal;
use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// What a client may use, besides `OPTIONS`.
pub(super) const ALLOWED_METHODS: [Method; 6] = [
    Method::HEAD,
    Method::GET,
    Method::POST,
    Method::PUT,
    Method::DELETE,
    Method::PATCH,
];

const ALLOW_METHODS: HeaderValue = HeaderValue::from_static("HEAD, GET, POST, PUT, DELETE, PATCH");
const ALLOW_HEADERS: HeaderValue = HeaderValue::from_static(
    "user-agent, dnt, if-none-match, if-modified-since, cache-control, content-type, range, cookie, x-requested-with, x-ic-canister-id, x-oc-jwt, x-oc-api-key",
);
const EXPOSE_HEADERS: HeaderValue = HeaderValue::from_static(
    "accept-ranges, content-length, content-range, x-request-id, x-ic-canister-id",
);
const ANY_ORIGIN: HeaderValue = HeaderValue::from_static("*");
const MAX_AGE: HeaderValue = HeaderValue::from_static("7200");
const VARY: HeaderValue = HeaderValue::from_static(
    "origin, access-control-request-method, access-control-request-headers",
);

/// Any of these makes an answer to `OPTIONS` an answer about CORS.
const PREFLIGHT_HEADERS: [HeaderName; 5] = [
    header::ACCESS_CONTROL_ALLOW_HEADERS,
    header::ACCESS_CONTROL_ALLOW_METHODS,
    header::ACCESS_CONTROL_ALLOW_ORIGIN,
    header::ACCESS_CONTROL_ALLOW_CREDENTIALS,
    header::ACCESS_CONTROL_MAX_AGE,
];

/// How long a canister without proper preflight answers is not asked again.
const MEMORY: Duration = Duration::from_secs(600);

type Module = Option<[u8; 32]>;

/// The rules with their memory of canisters that do not answer preflights.
#[derive(Default)]
pub(super) struct Cors {
    invalid: Mutex<HashMap<Principal, (Module, Instant)>>,
}

/// Whether a canister's answer to `OPTIONS` may stand: a success without body and with a word about CORS.
pub(super) fn is_preflight_answer(response: &HttpResponse) -> bool {
    response.status().is_success()
        && response.body().size_hint().exact() == Some(0)
        && PREFLIGHT_HEADERS
            .iter()
            .any(|name| response.headers().contains_key(name))
}

impl Cors {
    /// Whether this module failed to answer a preflight a short while ago.
    pub fn is_known_invalid(&self, canister: Principal, module: &Module) -> bool {
        let invalid = self.invalid.lock().unwrap_or_else(PoisonError::into_inner);
        invalid
            .get(&canister)
            .is_some_and(|(known, since)| known == module && since.elapsed() < MEMORY)
    }

    /// Remembers that it failed.
    pub fn remember_invalid(&self, canister: Principal, module: Module) {
        let mut invalid = self.invalid.lock().unwrap_or_else(PoisonError::into_inner);
        invalid.insert(canister, (module, Instant::now()));
    }

    /// The preflight answer of a gateway that knows nothing about the canister.
    pub fn default_preflight(&self) -> HttpResponse {
        let mut response = Response::new(full(Bytes::new()));
        self.complete(&Method::OPTIONS, response.headers_mut());
        response
    }

    /// Fills in the headers that are missing.
    pub fn complete(&self, method: &Method, headers: &mut HeaderMap) {
        let mut fill = |name: HeaderName, value: HeaderValue| {
            if !headers.contains_key(&name) {
                headers.insert(name, value);
            }
        };
        if *method == Method::OPTIONS {
            fill(header::ACCESS_CONTROL_ALLOW_METHODS, ALLOW_METHODS);
            fill(header::ACCESS_CONTROL_ALLOW_HEADERS, ALLOW_HEADERS);
            fill(header::ACCESS_CONTROL_MAX_AGE, MAX_AGE);
        } else {
            fill(header::ACCESS_CONTROL_EXPOSE_HEADERS, EXPOSE_HEADERS);
        }
        fill(header::ACCESS_CONTROL_ALLOW_ORIGIN, ANY_ORIGIN);
        fill(header::VARY, VARY);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(
        status: u16,
        body: &'static str,
        headers: &[(&'static str, &'static str)],
    ) -> HttpResponse {
        let mut builder = Response::builder().status(status);
        for (name, value) in headers {
            builder = builder.header(*name, *value);
        }
        builder.body(full(body)).expect("valid response")
    }

    #[test]
    fn should_take_a_preflight_answer_only_if_it_is_one() {
        let cors = [("access-control-allow-headers", "payment-signature")];
        assert!(is_preflight_answer(&answer(204, "", &cors)));
        assert!(!is_preflight_answer(&answer(204, "", &[("allow", "GET")])));
        assert!(!is_preflight_answer(&answer(200, "body", &cors)));
        assert!(!is_preflight_answer(&answer(404, "", &cors)));
    }

    #[test]
    fn should_keep_what_the_canister_says_and_fill_in_the_rest() {
        let rules = Cors::default();
        let mut own = answer(
            402,
            "",
            &[
                ("access-control-expose-headers", "PAYMENT-REQUIRED"),
                ("vary", "accept"),
            ],
        );
        rules.complete(&Method::GET, own.headers_mut());
        assert_eq!(
            own.headers()["access-control-expose-headers"],
            "PAYMENT-REQUIRED"
        );
        assert_eq!(own.headers()["vary"], "accept");
        assert_eq!(own.headers()["access-control-allow-origin"], "*");
        assert!(!own.headers().contains_key("access-control-allow-methods"));

        let default = rules.default_preflight();
        assert_eq!(default.headers()["access-control-max-age"], "7200");
        let allowed = default.headers()["access-control-allow-headers"]
            .to_str()
            .expect("text");
        assert!(!allowed.to_lowercase().contains("payment"));
        assert!(
            !default
                .headers()
                .contains_key("access-control-expose-headers")
        );
    }

    #[test]
    fn should_remember_a_failed_preflight_until_the_module_changes() {
        let rules = Cors::default();
        let canister = Principal::from_slice(&[1]);
        assert!(!rules.is_known_invalid(canister, &Some([1; 32])));
        rules.remember_invalid(canister, Some([1; 32]));
        assert!(rules.is_known_invalid(canister, &Some([1; 32])));
        assert!(!rules.is_known_invalid(canister, &Some([2; 32])));
        assert!(!rules.is_known_invalid(Principal::anonymous(), &Some([1; 32])));
    }
}
