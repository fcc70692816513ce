//! Reading header values from strangers: limits first, then base64, UTF-8, JSON, types, values. What
//! fails names its field (section 7, step 1).

use crate::{
    Code,
    authorization::Authorization,
    json, number,
    values::{ValueError, parse_base64},
    wire::{PAYMENT_SIGNATURE, PaymentPayload, X402_VERSION},
};
use serde::de::DeserializeOwned;
use serde_json::Value;

/// The longest payment header that is read, in bytes of base64: clients refuse to sign what would be longer. A
/// chain with an Internet Identity signature needs about 7,000.
pub const MAX_HEADER_BYTES: usize = 16_384;
/// The deepest nesting of JSON arrays and objects.
pub const MAX_JSON_DEPTH: usize = 32;

/// Why a header is not a payment. Answered as if there were no payment at all.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DecodeError {
    /// The header or the body is too long to be read.
    #[error("{field} is {actual} bytes long, at most {limit} are allowed")]
    TooLong {
        /// What is too long.
        field: String,
        /// The most bytes allowed.
        limit: usize,
        /// The bytes there are.
        actual: usize,
    },
    /// The header is not padded standard base64.
    #[error("{field} is not padded standard base64: {problem}")]
    NotBase64 {
        /// Which text.
        field: String,
        /// What the decoder says.
        problem: String,
    },
    /// The bytes are not UTF-8.
    #[error("{field} is not UTF-8")]
    NotUtf8 {
        /// Which text.
        field: String,
    },
    /// The text is not JSON.
    #[error("{field} is not JSON: {problem}")]
    NotJson {
        /// Which text.
        field: String,
        /// What the parser says, with line and column.
        problem: String,
    },
    /// Arrays and objects are nested too deeply.
    #[error("{field} is nested more than {limit} levels deep")]
    TooDeep {
        /// Which text.
        field: String,
        /// The deepest nesting allowed.
        limit: usize,
    },
    /// An object has the same key twice.
    #[error("{field} has the key {key:?} twice in one object")]
    DuplicateKey {
        /// Which text.
        field: String,
        /// The key.
        key: String,
    },
    /// A field is missing or has the wrong JSON type.
    #[error("{field}: {problem}")]
    WrongType {
        /// The path of the field, `accepted.amount` for instance.
        field: String,
        /// What is wrong.
        problem: String,
    },
    /// A field has the right JSON type and a value that is not allowed.
    #[error("{field} {problem}")]
    Invalid {
        /// The path of the field, `payload.nonce` for instance.
        field: String,
        /// What is wrong.
        problem: ValueError,
    },
    /// The payment is of another version of the protocol and cannot be read as one of ours.
    #[error("x402Version is {version}, but must be {X402_VERSION}")]
    Version {
        /// The version it has.
        version: u64,
    },
    /// A list has too many elements.
    #[error("{field} has {actual} elements, at most {limit} are allowed")]
    TooMany {
        /// The path of the list.
        field: String,
        /// The most elements allowed.
        limit: usize,
        /// The elements there are.
        actual: usize,
    },
}

impl DecodeError {
    /// The field the error is about, as a path from the top of the payload.
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

    /// The code that a payer is told.
    pub fn code(&self) -> Code {
        match self {
            Self::Version { .. } => Code::InvalidX402Version,
            _ => Code::InvalidPayload,
        }
    }

    /// The limit that was broken, where there is one.
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

/// A payment header, read to the end: the texts, which are what was signed, and their values.
#[derive(Clone, Debug, PartialEq)]
pub struct DecodedPayment {
    /// The texts.
    pub payload: PaymentPayload,
    /// The values of `payload.payload`.
    pub authorization: Authorization,
}

/// Reads the value of a `PAYMENT-SIGNATURE` header.
///
/// Says nothing about whether the payment is good: version, scheme, network and terms are not looked at. Only
/// where the rest cannot be read either, another version is the error.
pub fn decode_payment(header: &[u8]) -> Result<DecodedPayment, DecodeError> {
    const NAME: &str = PAYMENT_SIGNATURE;
    let json = parse_json(NAME, &unwrap_header(NAME, header)?)?;
    let version = match &json["x402Version"] {
        Value::Number(version) => number::natural(version),
        _ => None,
    };
    let read = read_payment(NAME, json).and_then(|payload| {
        let authorization = payload.payload.parse()?;
        Ok(DecodedPayment {
            payload,
            authorization,
        })
    });
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

/// Reads any header value of this protocol; `name` is used in errors about the value as a whole.
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

/// Reads a payment; `name` stands for it as a whole in errors.
fn read_payment(name: &str, mut json: Value) -> Result<PaymentPayload, DecodeError> {
    for key in ["accepted", "payload"] {
        drop_nulls(&mut json[key]);
    }
    if let Some(members) = json.as_object_mut() {
        members.retain(|_, value| !value.is_null());
    }
    // The derived readers take a list of values for an object.
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

/// A member of the signed parts that is `null` is absent.
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

/// Reads JSON from a stranger as strictly as [`decode_header`] does; the caller has limited its size.
pub fn decode_json<T: DeserializeOwned>(name: &str, bytes: &[u8]) -> Result<T, DecodeError> {
    read(name, &parse_json(name, bytes)?)
}

fn read<T: DeserializeOwned>(name: &str, json: &Value) -> Result<T, DecodeError> {
    // The path is worth its price only when there is an error to report.
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
