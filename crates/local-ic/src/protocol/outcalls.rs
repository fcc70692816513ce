//! HTTP outcalls: the pending ones, and the answers that a test gives them.

use super::{RawSubnetId, base64};
use serde::{Deserialize, Serialize};

#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct CanisterHttpHeader {
    pub name: String,
    pub value: String,
}

#[derive(Debug, Serialize)]
pub(crate) struct RawCanisterHttpRequest {
    pub subnet_id: RawSubnetId,
    pub request_id: u64,
    /// In capitals.
    pub http_method: &'static str,
    pub url: String,
    pub headers: Vec<CanisterHttpHeader>,
    #[serde(with = "base64")]
    pub body: Vec<u8>,
    pub max_response_bytes: Option<u64>,
    /// `FullyReplicated` or `NonReplicated`.
    pub replication: &'static str,
    /// Always `Legacy`.
    pub pricing_version: &'static str,
}

#[derive(Debug, Deserialize)]
pub(crate) enum CanisterHttpResponse {
    CanisterHttpReply(CanisterHttpReply),
    CanisterHttpReject(CanisterHttpReject),
}

#[derive(Debug, Deserialize)]
pub(crate) struct CanisterHttpReply {
    pub status: u16,
    pub headers: Vec<CanisterHttpHeader>,
    #[serde(with = "base64")]
    pub body: Vec<u8>,
}

#[derive(Debug, Deserialize)]
pub(crate) struct CanisterHttpReject {
    pub reject_code: u64,
    pub message: String,
}

#[derive(Debug, Deserialize)]
pub(crate) struct RawMockCanisterHttpResponse {
    pub subnet_id: RawSubnetId,
    pub request_id: u64,
    pub response: CanisterHttpResponse,
    pub additional_responses: Vec<CanisterHttpResponse>,
}
