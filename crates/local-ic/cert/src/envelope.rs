//! Ingress envelopes: decoding and authentication (Interface Specification, "Authentication").

use crate::field::{Field, hash_of_map};
use crate::signature::{self, SignatureError};
use candid::Principal;
use serde_cbor::Value;
use std::collections::BTreeMap;
use thiserror::Error;

/// How far ahead an expiry may lie: five minutes and a minute for clocks that differ.
const MAX_EXPIRY_NS: u64 = (5 + 1) * 60 * 1_000_000_000;
const MAX_DELEGATIONS: usize = 20;
const MAX_TARGETS: usize = 1_000;
const MAX_NONCE: usize = 32;
/// More paths than this are not asked for at once.
const MAX_PATHS: usize = 1_000;

/// A request whose sender is who it claims to be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Request {
    /// Hash of the content: names the request, and makes a repeated call the same call.
    pub id: [u8; 32],
    /// The authenticated sender.
    pub sender: Principal,
    /// What is asked for.
    pub content: Content,
}

/// The three kinds of requests.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Content {
    /// An update call.
    Call(Invocation),
    /// A query call.
    Query(Invocation),
    /// A read of the state tree.
    ReadState(Vec<crate::Path>),
}

/// A method and its argument.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Invocation {
    /// The callee.
    pub canister_id: Principal,
    /// Method name.
    pub method_name: String,
    /// Candid, usually.
    pub arg: Vec<u8>,
}

/// Why a request is refused before anything looks at what it wants. All of them are HTTP status 400.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
pub enum EnvelopeError {
    /// Not CBOR, or not of the shape of an envelope.
    #[error("malformed request: {0}")]
    Malformed(&'static str),
    /// A field this runtime does not know; ignoring it could grant what it takes away.
    #[error("field '{0}' is not supported by the local runtime")]
    Unsupported(String),
    /// Expired, or expiring too far in the future.
    #[error(
        "Invalid request expiry: Specified ingress_expiry not within expected range: minimum allowed expiry: {now}, maximum allowed expiry: {max}, provided expiry: {given}"
    )]
    Expiry {
        /// Earliest.
        now: u64,
        /// Latest.
        max: u64,
        /// What the request carries.
        given: u64,
    },
    /// A signature for the anonymous sender, or none for any other.
    #[error("Invalid signature: {0}")]
    Presence(&'static str),
    /// The public key is not the sender's.
    #[error("Invalid signature: public key does not belong to sender {0}")]
    WrongKey(Principal),
    /// Signature of the request or of a delegation.
    #[error("Invalid signature: {0}")]
    Signature(#[from] SignatureError),
    /// The chain of delegations does not allow this request.
    #[error("Invalid delegation: {0}")]
    Delegation(&'static str),
}

type Fields = BTreeMap<String, Value>;

/// Decodes an envelope and checks everything its authenticity depends on at time `now` (nanoseconds).
pub fn authenticate(bytes: &[u8], now: u64, root_key_der: &[u8]) -> Result<Request, EnvelopeError> {
    let value: Value =
        serde_cbor::from_slice(bytes).map_err(|_| EnvelopeError::Malformed("not CBOR"))?;
    let mut envelope = fields(value, "envelope is not a map of texts")?;
    let mut content = fields(
        take(&mut envelope, "content").ok_or(EnvelopeError::Malformed("no content"))?,
        "content is not a map of texts",
    )?;
    let public_key = take(&mut envelope, "sender_pubkey")
        .map(bytes_of)
        .transpose()?;
    let sender_sig = take(&mut envelope, "sender_sig")
        .map(bytes_of)
        .transpose()?;
    let delegations = take(&mut envelope, "sender_delegation")
        .map(parse_delegations)
        .transpose()?;
    refuse_rest(envelope)?;

    let id = hash_of_fields(&content)?;
    let sender = principal(&mut content, "sender")?;
    let expiry = match take(&mut content, "ingress_expiry") {
        Some(Value::Integer(number)) => u64::try_from(number)
            .map_err(|_| EnvelopeError::Malformed("ingress_expiry is not a 64-bit number"))?,
        _ => {
            return Err(EnvelopeError::Malformed(
                "ingress_expiry is missing or not a number",
            ));
        }
    };
    if let Some(nonce) = take(&mut content, "nonce")
        && bytes_of(nonce)?.len() > MAX_NONCE
    {
        return Err(EnvelopeError::Malformed("nonce is longer than 32 bytes"));
    }
    let content = parse_content(content)?;

    // Anonymous reads carry nothing worth an expiry.
    let is_call = matches!(content, Content::Call(_));
    let max = now.saturating_add(MAX_EXPIRY_NS);
    if (is_call || sender != Principal::anonymous()) && (expiry < now || expiry > max) {
        return Err(EnvelopeError::Expiry {
            now,
            max,
            given: expiry,
        });
    }
    let request = Request {
        id,
        sender,
        content,
    };
    match (public_key, sender_sig) {
        (None, None) if delegations.is_none() => {
            if sender != Principal::anonymous() {
                return Err(EnvelopeError::Presence(
                    "missing for a sender that is not anonymous",
                ));
            }
        }
        (Some(key), Some(sig)) => {
            if sender == Principal::anonymous() {
                return Err(EnvelopeError::Presence(
                    "present though the sender is anonymous",
                ));
            }
            if sender != Principal::self_authenticating(&key) {
                return Err(EnvelopeError::WrongKey(sender));
            }
            let signer = follow(
                key,
                delegations.unwrap_or_default(),
                &request,
                now,
                root_key_der,
            )?;
            let message = [&b"\x0Aic-request"[..], &request.id].concat();
            signature::verify(&signer, &message, &sig, root_key_der)?;
        }
        _ => {
            return Err(EnvelopeError::Presence(
                "public key and signature go together",
            ));
        }
    }
    Ok(request)
}

fn parse_content(mut content: Fields) -> Result<Content, EnvelopeError> {
    let Some(Value::Text(kind)) = take(&mut content, "request_type") else {
        return Err(EnvelopeError::Malformed(
            "request_type is missing or not a text",
        ));
    };
    let parsed = match kind.as_str() {
        "call" | "query" => {
            let canister_id = principal(&mut content, "canister_id")?;
            let Some(Value::Text(method_name)) = take(&mut content, "method_name") else {
                return Err(EnvelopeError::Malformed(
                    "method_name is missing or not a text",
                ));
            };
            let arg =
                take(&mut content, "arg").ok_or(EnvelopeError::Malformed("arg is missing"))?;
            let invocation = Invocation {
                canister_id,
                method_name,
                arg: bytes_of(arg)?,
            };
            if kind == "call" {
                Content::Call(invocation)
            } else {
                Content::Query(invocation)
            }
        }
        "read_state" => Content::ReadState(parse_paths(take(&mut content, "paths"))?),
        _ => {
            return Err(EnvelopeError::Malformed(
                "request_type is not call, query or read_state",
            ));
        }
    };
    refuse_rest(content)?;
    Ok(parsed)
}

fn parse_paths(value: Option<Value>) -> Result<Vec<crate::Path>, EnvelopeError> {
    let Some(Value::Array(paths)) = value else {
        return Err(EnvelopeError::Malformed("paths is missing or not a list"));
    };
    if paths.len() > MAX_PATHS {
        return Err(EnvelopeError::Malformed("too many paths"));
    }
    paths
        .into_iter()
        .map(|path| match path {
            Value::Array(labels) => labels
                .into_iter()
                .map(|label| match label {
                    Value::Text(text) => Ok(text.into_bytes()),
                    other => bytes_of(other),
                })
                .collect(),
            _ => Err(EnvelopeError::Malformed("a path is not a list of labels")),
        })
        .collect()
}

struct Delegation {
    pubkey: Vec<u8>,
    expiration: u64,
    targets: Option<Vec<Principal>>,
    queries_only: bool,
    hash: [u8; 32],
    signature: Vec<u8>,
}

fn parse_delegations(value: Value) -> Result<Vec<Delegation>, EnvelopeError> {
    let Value::Array(items) = value else {
        return Err(EnvelopeError::Malformed("sender_delegation is not a list"));
    };
    if items.len() > MAX_DELEGATIONS {
        return Err(EnvelopeError::Delegation("chain is longer than 20"));
    }
    items.into_iter().map(parse_delegation).collect()
}

fn parse_delegation(value: Value) -> Result<Delegation, EnvelopeError> {
    const SHAPE: EnvelopeError =
        EnvelopeError::Malformed("a delegation has a missing or misshapen field");
    let mut signed = fields(value, "a delegation is not a map of texts")?;
    let signature = bytes_of(take(&mut signed, "signature").ok_or(SHAPE)?)?;
    let mut delegation = fields(
        take(&mut signed, "delegation").ok_or(SHAPE)?,
        "a delegation is not a map of texts",
    )?;
    refuse_rest(signed)?;
    let hash = hash_of_fields(&delegation)?;
    let pubkey = bytes_of(take(&mut delegation, "pubkey").ok_or(SHAPE)?)?;
    let expiration = match take(&mut delegation, "expiration") {
        Some(Value::Integer(number)) => u64::try_from(number).map_err(|_| SHAPE)?,
        _ => return Err(SHAPE),
    };
    let targets = match take(&mut delegation, "targets") {
        None => None,
        Some(Value::Array(items)) if items.len() <= MAX_TARGETS => Some(
            items
                .into_iter()
                .map(|item| Principal::try_from_slice(&bytes_of(item)?).map_err(|_| SHAPE))
                .collect::<Result<_, _>>()?,
        ),
        Some(_) => return Err(SHAPE),
    };
    let queries_only = match take(&mut delegation, "permissions") {
        None => false,
        Some(Value::Text(text)) if text == "all" => false,
        Some(Value::Text(text)) if text == "queries" => true,
        Some(_) => return Err(SHAPE),
    };
    refuse_rest(delegation)?;
    Ok(Delegation {
        pubkey,
        expiration,
        targets,
        queries_only,
        hash,
        signature,
    })
}

/// Walks the chain from the sender's key; returns the key that must have signed the request.
fn follow(
    mut key: Vec<u8>,
    chain: Vec<Delegation>,
    request: &Request,
    now: u64,
    root_key_der: &[u8],
) -> Result<Vec<u8>, EnvelopeError> {
    let mut seen = vec![key.clone()];
    for delegation in chain {
        if delegation.expiration < now {
            return Err(EnvelopeError::Delegation("expired"));
        }
        if delegation.queries_only && matches!(request.content, Content::Call(_)) {
            return Err(EnvelopeError::Delegation("allows queries only"));
        }
        if let (Some(targets), Content::Call(call) | Content::Query(call)) =
            (&delegation.targets, &request.content)
            && !targets.contains(&call.canister_id)
        {
            return Err(EnvelopeError::Delegation(
                "does not name this canister among its targets",
            ));
        }
        if seen.contains(&delegation.pubkey) {
            return Err(EnvelopeError::Delegation("chain has a loop"));
        }
        let message = [&b"\x1Aic-request-auth-delegation"[..], &delegation.hash].concat();
        signature::verify(&key, &message, &delegation.signature, root_key_der)?;
        key = delegation.pubkey;
        seen.push(key.clone());
    }
    Ok(key)
}

fn fields(value: Value, what: &'static str) -> Result<Fields, EnvelopeError> {
    let value = match value {
        Value::Tag(_, inner) => *inner,
        other => other,
    };
    let Value::Map(entries) = value else {
        return Err(EnvelopeError::Malformed(what));
    };
    entries
        .into_iter()
        .map(|(key, value)| match key {
            Value::Text(key) => Ok((key, value)),
            _ => Err(EnvelopeError::Malformed(what)),
        })
        .collect()
}

/// Takes a field out; null counts as absent, as some clients write it.
fn take(fields: &mut Fields, name: &str) -> Option<Value> {
    fields.remove(name).filter(|value| *value != Value::Null)
}

fn refuse_rest(rest: Fields) -> Result<(), EnvelopeError> {
    match rest.into_iter().find(|(_, value)| *value != Value::Null) {
        Some((name, _)) => Err(EnvelopeError::Unsupported(name)),
        None => Ok(()),
    }
}

fn bytes_of(value: Value) -> Result<Vec<u8>, EnvelopeError> {
    match value {
        Value::Bytes(bytes) => Ok(bytes),
        _ => Err(EnvelopeError::Malformed("a byte string was expected")),
    }
}

fn principal(fields: &mut Fields, name: &'static str) -> Result<Principal, EnvelopeError> {
    let value =
        take(fields, name).ok_or(EnvelopeError::Malformed("sender or canister_id is missing"))?;
    Principal::try_from_slice(&bytes_of(value)?)
        .map_err(|_| EnvelopeError::Malformed("a principal is too long"))
}

fn hash_of_fields(fields: &Fields) -> Result<[u8; 32], EnvelopeError> {
    let hashable: Vec<(&str, Field)> = fields
        .iter()
        .filter(|(_, value)| **value != Value::Null)
        .map(|(key, value)| Field::from_cbor(value).map(|field| (key.as_str(), field)))
        .collect::<Option<_>>()
        .ok_or(EnvelopeError::Malformed("a field has no hash"))?;
    Ok(hash_of_map(
        hashable.iter().map(|(key, field)| (*key, field)),
    ))
}

#[cfg(test)]
mod tests;
