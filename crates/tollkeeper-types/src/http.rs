//! The records of the HTTP Gateway Protocol as `canister.did` has them.

use candid::CandidType;
use serde::{Deserialize, Serialize};

/// One header: name and value. Names in requests are in lower case from most gateways, but not from all, and may
/// repeat.
pub type HeaderField = (String, String);

/// A request to the query method `http_request`.
#[derive(Clone, Debug, PartialEq, Eq, CandidType, Deserialize, Serialize)]
pub struct HttpRequest {
    /// The HTTP method, case-sensitive.
    pub method: String,
    /// Path and query as the client sent them; some senders send the whole URL.
    pub url: String,
    /// Header fields in the client's order.
    pub headers: Vec<HeaderField>,
    /// The request body.
    #[serde(with = "serde_bytes")]
    pub body: Vec<u8>,
    /// The highest version of response verification that the gateway supports. The canister always uses version 2.
    pub certificate_version: Option<u16>,
}

/// A request to the update method `http_request_update`.
#[derive(Clone, Debug, PartialEq, Eq, CandidType, Deserialize, Serialize)]
pub struct HttpUpdateRequest {
    /// The HTTP method, case-sensitive.
    pub method: String,
    /// Path and query as the client sent them.
    pub url: String,
    /// Header fields in the client's order.
    pub headers: Vec<HeaderField>,
    /// The request body.
    #[serde(with = "serde_bytes")]
    pub body: Vec<u8>,
}

/// The response of both methods.
#[derive(Clone, Debug, PartialEq, Eq, CandidType, Deserialize, Serialize)]
pub struct HttpResponse {
    /// The HTTP status.
    pub status_code: u16,
    /// Header fields.
    pub headers: Vec<HeaderField>,
    /// The response body.
    #[serde(with = "serde_bytes")]
    pub body: Vec<u8>,
    /// `Some(true)` from the query requests that the gateway sends the same request to `http_request_update`.
    pub upgrade: Option<bool>,
}

impl HttpResponse {
    /// The query's response that makes the gateway repeat the request as an update call.
    pub fn upgrade() -> Self {
        Self {
            status_code: 200,
            headers: Vec::new(),
            body: Vec::new(),
            upgrade: Some(true),
        }
    }

    /// The first value of a header, its name in any case.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers
            .iter()
            .find(|(key, _)| key.eq_ignore_ascii_case(name))
            .map(|(_, value)| value.as_str())
    }
}
