//! Signed answers to queries (Interface Specification, "Request: Query call").

use crate::{Authority, Field, UnknownSubnet, hash_of_map, self_describing_cbor};
use candid::Principal;
use serde::Serialize;
use serde_bytes::Bytes;

/// What a query came to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum QueryResult {
    /// The canister's reply.
    Replied(Vec<u8>),
    /// A refusal by the canister or by the system.
    Rejected {
        /// 1 to 6.
        code: u64,
        /// Human readable.
        message: String,
        /// `IC0nnn`.
        error_code: String,
    },
}

/// A node's signature on a query response.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NodeSignature {
    /// Nanoseconds since 1970-01-01.
    pub timestamp: u64,
    /// Ed25519, 64 bytes.
    pub signature: Vec<u8>,
    /// The node.
    pub identity: Principal,
}

#[derive(Serialize)]
struct Reply<'a> {
    arg: &'a Bytes,
}

#[derive(Serialize)]
struct Signature<'a> {
    timestamp: u64,
    signature: &'a Bytes,
    identity: &'a Bytes,
}

#[derive(Serialize)]
#[serde(tag = "status", rename_all = "snake_case")]
enum Response<'a> {
    Replied {
        reply: Reply<'a>,
        signatures: [Signature<'a>; 1],
    },
    Rejected {
        reject_code: u64,
        reject_message: &'a str,
        error_code: &'a str,
        signatures: [Signature<'a>; 1],
    },
}

/// The CBOR body of a query's answer, signed by a node of `subnet`.
pub fn query_response(
    authority: &Authority,
    subnet: Principal,
    request_id: &[u8; 32],
    result: &QueryResult,
    time: u64,
) -> Result<Vec<u8>, UnknownSubnet> {
    let signed = authority.sign_query(subnet, &signable(request_id, result, time), time)?;
    let signatures = [Signature {
        timestamp: signed.timestamp,
        signature: Bytes::new(&signed.signature),
        identity: Bytes::new(signed.identity.as_slice()),
    }];
    Ok(self_describing_cbor(&match result {
        QueryResult::Replied(arg) => Response::Replied {
            reply: Reply {
                arg: Bytes::new(arg),
            },
            signatures,
        },
        QueryResult::Rejected {
            code,
            message,
            error_code,
        } => Response::Rejected {
            reject_code: *code,
            reject_message: message,
            error_code,
            signatures,
        },
    }))
}

fn signable(request_id: &[u8; 32], result: &QueryResult, time: u64) -> Vec<u8> {
    let text = |value: &str| Field::Text(value.to_owned());
    let mut fields = vec![
        ("request_id", Field::Bytes(request_id.to_vec())),
        ("timestamp", Field::Nat(time)),
    ];
    match result {
        QueryResult::Replied(arg) => {
            fields.push(("status", text("replied")));
            fields.push((
                "reply",
                Field::Map(vec![("arg".into(), Field::Bytes(arg.clone()))]),
            ));
        }
        QueryResult::Rejected {
            code,
            message,
            error_code,
        } => {
            fields.push(("status", text("rejected")));
            fields.push(("reject_code", Field::Nat(*code)));
            fields.push(("reject_message", text(message)));
            fields.push(("error_code", text(error_code)));
        }
    }
    let hash = hash_of_map(fields.iter().map(|(key, value)| (*key, value)));
    [&b"\x0Bic-response"[..], &hash].concat()
}
