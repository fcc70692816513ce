//! Decoding of untrusted header values: limits first, then base64, UTF-8, JSON, types, values. Errors name the field
//! (section 7, step 1).

use crate::{
    Code,
    authorization::Authorization,
    json, number,
    transfer::TransferProof,
    values::{ValueError, parse_base64},
    wire::{
        ExactIcrc1Extra, ExactIcrc1Payload, METHOD_ICRC1, PAYMENT_SIGNATURE, PaymentPayload,
        X402_VERSION,
    },
};
use serde::de::DeserializeOwned;
use serde_json::Value;

/// The longest payment header that is decoded, in bytes of base64. Clients refuse to sign a longer one. A chain with an
/// Internet Identity signature needs about 7,000.
pub const MAX_HEADER_BYTES: usize = 16_384;
/// The deepest nesting of JSON arrays and objects.
pub const MAX_JSON_DEPTH: usize = 32;

/// The reason why a header is not a payment. The response is the same as without a payment.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DecodeError {
    /// The header or the body is too long.
    #[error("{field} is {actual} bytes long, at most {limit} are allowed")]
    TooLong {
        /// The name of the value.
        field: String,
        /// The most bytes allowed.
        limit: usize,
        /// The actual length.
        actual: usize,
    },
    /// The header is not padded standard base64.
    #[error("{field} is not padded standard base64: {problem}")]
    NotBase64 {
        /// The name of the value.
        field: String,
        /// The decoder's message.
        problem: String,
    },
    /// The bytes are not UTF-8.
    #[error("{field} is not UTF-8")]
    NotUtf8 {
        /// The name of the value.
        field: String,
    },
    /// The text is not JSON.
    #[error("{field} is not JSON: {problem}")]
    NotJson {
        /// The name of the value.
        field: String,
        /// The parser's message, with line and column.
        problem: String,
    },
    /// Arrays and objects are nested too deeply.
    #[error("{field} is nested more than {limit} levels deep")]
    TooDeep {
        /// The name of the value.
        field: String,
        /// The deepest nesting allowed.
        limit: usize,
    },
    /// An object has the same key twice.
    #[error("{field} has the key {key:?} twice in one object")]
    DuplicateKey {
        /// The name of the value.
        field: String,
        /// The key.
        key: String,
    },
    /// A field is missing or has the wrong JSON type.
    #[error("{field}: {problem}")]
    WrongType {
        /// The path of the field, for instance `accepted.amount`.
        field: String,
        /// The problem.
        problem: String,
    },
    /// A field has the right JSON type, but its value is not allowed.
    #[error("{field} {problem}")]
    Invalid {
        /// The path of the field, for instance `payload.nonce`.
        field: String,
        /// The problem.
        problem: ValueError,
    },
    /// The payment has another version of the protocol and cannot be decoded as version 2.
    #[error("x402Version is {version}, but must be {X402_VERSION}")]
    Version {
        /// The version of the payment.
        version: u64,
    },
    /// A list has too many elements.
    #[error("{field} has {actual} elements, at most {limit} are allowed")]
    TooMany {
        /// The path of the list.
        field: String,
        /// The most elements allowed.
        limit: usize,
        /// The actual number.
        actual: usize,
    },
}

impl DecodeError {
    /// The field that the error is about, as a path from the top of the payload.
    pub fn field(&self) -> &str {
        match self {
            Self::TooLong { field, .. }
            | Self::NotBase64 { field, .. }
            | Self::NotUtf8 { field }
            | Self::NotJson { field, .. }
            | Self::TooDeep { field, .. }
            | Self::DuplicateKey { field, .. }
            | Self::WrongType { field, .. }
            | Self::Invalid { field, .. }
            | Self::TooMany { field, .. } => field,
            Self::Version { .. } => "x402Version",
        }
    }

    /// The code that the payer gets.
    pub fn code(&self) -> Code {
        match self {
            Self::Version { .. } => Code::InvalidX402Version,
            _ => Code::InvalidPayload,
        }
    }

    /// The limit that was exceeded, if any.
    pub fn limit(&self) -> Option<u128> {
        match self {
            Self::TooLong { limit, .. }
            | Self::TooDeep { limit, .. }
            | Self::TooMany { limit, .. } => Some(*limit as u128),
            Self::Invalid { problem, .. } => problem.limit(),
            _ => None,
        }
    }

    pub(crate) fn invalid(field: impl Into<String>) -> impl FnOnce(ValueError) -> Self {
        let field = field.into();
        move |problem| Self::Invalid { field, problem }
    }
}

/// A decoded payment header: the texts, which were signed, and their values.
#[derive(Clone, Debug, PartialEq)]
pub struct DecodedPayment {
    /// The texts.
    pub payload: PaymentPayload,
    /// The values of `payload.payload`.
    pub authorization: Authorization,
}

/// A decoded payment header of [`METHOD_ICRC1`].
#[derive(Clone, Debug, PartialEq)]
pub struct DecodedTransfer {
    /// The texts.
    pub payload: PaymentPayload<ExactIcrc1Extra, ExactIcrc1Payload>,
    /// The values of `payload.payload` and `payload.accepted`.
    pub proof: TransferProof,
}

/// A decoded payment header of the scheme `exact`, by its method.
#[derive(Clone, Debug, PartialEq)]
pub enum ExactPayment {
    /// An authorization: `icrc2`. A payment of an unknown method is read as one of this.
    Icrc2(Box<DecodedPayment>),
    /// The proof of a transfer: `icrc1`.
    Icrc1(Box<DecodedTransfer>),
}

/// As [`decode_payment`], for all methods.
pub fn decode_exact_payment(header: &[u8]) -> Result<ExactPayment, DecodeError> {
    const NAME: &str = PAYMENT_SIGNATURE;
    let json = parse_json(NAME, &unwrap_header(NAME, header)?)?;
    if json["accepted"]["extra"]["assetTransferMethod"] != METHOD_ICRC1 {
        let payment = decode_icrc2(json)?;
        return Ok(ExactPayment::Icrc2(Box::new(payment)));
    }
    versioned(json, |json| {
        let payload: PaymentPayload<ExactIcrc1Extra, _> = read_payment(NAME, json)?;
        let proof = TransferProof::parse(&payload.accepted, &payload.payload)?;
        Ok(ExactPayment::Icrc1(Box::new(DecodedTransfer {
            payload,
            proof,
        })))
    })
}

/// Decodes the value of a `PAYMENT-SIGNATURE` header of the method `icrc2`.
///
/// Does not check whether the payment is valid: version, scheme, network and terms are ignored. Another version is an
/// error only if the rest cannot be decoded either.
pub fn decode_payment(header: &[u8]) -> Result<DecodedPayment, DecodeError> {
    const NAME: &str = PAYMENT_SIGNATURE;
    decode_icrc2(parse_json(NAME, &unwrap_header(NAME, header)?)?)
}

fn decode_icrc2(json: Value) -> Result<DecodedPayment, DecodeError> {
    versioned(json, |json| {
        let payload: PaymentPayload = read_payment(PAYMENT_SIGNATURE, json)?;
        let authorization = payload.payload.parse()?;
        Ok(DecodedPayment {
            payload,
            authorization,
        })
    })
}

/// Decodes a payment. One of another version that cannot be decoded is an error about its version.
fn versioned<T>(
    json: Value,
    decode: impl FnOnce(Value) -> Result<T, DecodeError>,
) -> Result<T, DecodeError> {
    let version = match &json["x402Version"] {
        Value::Number(version) => number::natural(version),
        _ => None,
    };
    let read = decode(json);
    match version {
        Some(version) if version != u64::from(X402_VERSION) => {
            read.map_err(|_| DecodeError::Version { version })
        }
        _ => read,
    }
}

/// As [`decode_payment`], without the values.
pub fn decode_payment_payload(header: &[u8]) -> Result<PaymentPayload, DecodeError> {
    decode_payment(header).map(|decoded| decoded.payload)
}

/// Decodes any header value of this protocol; `name` is used in errors about the value as a whole.
pub fn decode_header<T: DeserializeOwned>(name: &str, header: &[u8]) -> Result<T, DecodeError> {
    decode_json(name, &unwrap_header(name, header)?)
}

/// The JSON bytes inside a header value.
fn unwrap_header(name: &str, header: &[u8]) -> Result<Vec<u8>, DecodeError> {
    if header.len() > MAX_HEADER_BYTES {
        return Err(DecodeError::TooLong {
            field: name.into(),
            limit: MAX_HEADER_BYTES,
            actual: header.len(),
        });
    }
    parse_base64(header, MAX_HEADER_BYTES).map_err(|e| DecodeError::NotBase64 {
        field: name.into(),
        problem: e.to_string(),
    })
}

fn parse_json(name: &str, bytes: &[u8]) -> Result<Value, DecodeError> {
    let text =
        std::str::from_utf8(bytes).map_err(|_| DecodeError::NotUtf8 { field: name.into() })?;
    json::parse(name, text, MAX_JSON_DEPTH)
}

/// Decodes a payment; `name` is used in errors about the value as a whole.
fn read_payment<T: DeserializeOwned>(name: &str, mut json: Value) -> Result<T, DecodeError> {
    for key in ["accepted", "payload"] {
        drop_nulls(&mut json[key]);
    }
    if let Some(members) = json.as_object_mut() {
        members.retain(|_, value| !value.is_null());
    }
    // The derived decoders accept a list of values as an object.
    for path in ["accepted", "accepted.extra", "payload"] {
        let value = json.pointer(&format!("/{}", path.replace('.', "/")));
        if value.is_some_and(|value| !value.is_object()) {
            return Err(DecodeError::WrongType {
                field: path.into(),
                problem: "must be an object".into(),
            });
        }
    }
    if let Some(chain) = json["payload"]["delegations"].as_array()
        && let Some(at) = chain.iter().position(|delegation| !delegation.is_object())
    {
        return Err(DecodeError::WrongType {
            field: format!("payload.delegations[{at}]"),
            problem: "must be an object".into(),
        });
    }
    read(name, &json)
}

/// A `null` member of the signed parts counts as absent.
fn drop_nulls(value: &mut Value) {
    match value {
        Value::Object(members) => {
            members.retain(|_, value| !value.is_null());
            members.values_mut().for_each(drop_nulls);
        }
        Value::Array(values) => values.iter_mut().for_each(drop_nulls),
        _ => {}
    }
}

/// Decodes untrusted JSON as strictly as [`decode_header`] does; the caller has limited its size.
pub fn decode_json<T: DeserializeOwned>(name: &str, bytes: &[u8]) -> Result<T, DecodeError> {
    read(name, &parse_json(name, bytes)?)
}

fn read<T: DeserializeOwned>(name: &str, json: &Value) -> Result<T, DecodeError> {
    // The path is computed only if there is an error, because it costs time.
    T::deserialize(json).or_else(|_| {
        serde_path_to_error::deserialize(json).map_err(|error| {
            let path = error.path().to_string();
            wrong_type(name, path, &error.into_inner().to_string())
        })
    })
}

/// The error that serde reports at a path, without the value that was found there: it may be a signature.
fn wrong_type(name: &str, path: String, problem: &str) -> DecodeError {
    let missing = problem
        .strip_prefix("missing field `")
        .and_then(|rest| rest.strip_suffix('`'));
    let (field, problem) = match (missing, problem.rsplit_once(", expected ")) {
        (Some(key), _) if path == "." => (key.to_string(), "is missing".to_string()),
        (Some(key), _) => (format!("{path}.{key}"), "is missing".to_string()),
        (None, Some((_, expected))) => (path, format!("must be {expected}")),
        (None, None) => (path, problem.to_string()),
    };
    DecodeError::WrongType {
        field: match field.as_str() {
            "." => name.into(),
            _ => field,
        },
        problem,
    }
}

#[cfg(test)]
mod tests;
