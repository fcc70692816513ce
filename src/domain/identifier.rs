//! The x402 extension `payment-identifier`: a client gives a purchase an identifier. Repeating the request with the
//! same identifier, even with a newly signed payment, does not buy twice.

use crate::types::{IdentifierKey, RouteKey};
use candid::Principal;
use serde_json::{Map, Value};
use sha2::{Digest, Sha256};

/// The extension's key in `extensions`.
pub const KEY: &str = "payment-identifier";
/// The shortest and the longest identifier, in characters.
pub const LENGTH: std::ops::RangeInclusive<usize> = 16..=128;

/// A route's treatment of identifiers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Policy {
    /// They are advertised, and used where given.
    Optional,
    /// A payment without one is refused.
    Required,
}

/// The extension is present, but malformed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the payment identifier is malformed")]
pub struct Malformed;

/// The declaration for `extensions` of a 402.
pub fn declaration(policy: Policy) -> Value {
    serde_json::json!({
        "info": { "required": policy == Policy::Required },
        "schema": {
            "$schema": "https://json-schema.org/draft/2020-12/schema",
            "type": "object",
            "properties": {
                "required": { "type": "boolean" },
                "id": {
                    "type": "string",
                    "minLength": LENGTH.start(),
                    "maxLength": LENGTH.end(),
                    "pattern": "^[a-zA-Z0-9_-]+$"
                }
            },
            "required": ["required"]
        }
    })
}

/// The identifier in a payment's `extensions`; `None` if the client gave none. The schema that a client echoes is
/// ignored.
pub fn given(extensions: Option<&Map<String, Value>>) -> Result<Option<&str>, Malformed> {
    let Some(extension) = extensions
        .and_then(|extensions| extensions.get(KEY))
        .filter(|extension| !extension.is_null())
    else {
        return Ok(None);
    };
    let info = extension
        .get("info")
        .and_then(Value::as_object)
        .ok_or(Malformed)?;
    if !info.get("required").is_some_and(Value::is_boolean) {
        return Err(Malformed);
    }
    match info.get("id") {
        None | Some(Value::Null) => Ok(None),
        Some(Value::String(id)) if is_identifier(id) => Ok(Some(id)),
        Some(_) => Err(Malformed),
    }
}

fn is_identifier(text: &str) -> bool {
    LENGTH.contains(&text.len())
        && text
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_'))
}

/// The key of an identifier. It covers route and payer, so that another payer's payment, funded or not, cannot use the
/// same key.
pub fn key(route: &RouteKey, payer: &Principal, id: &str) -> IdentifierKey {
    let mut hash = Sha256::new();
    let route = [route.method.as_str().as_bytes(), route.path.as_bytes()];
    for part in [route[0], route[1], payer.as_slice(), id.as_bytes()] {
        hash.update((part.len() as u64).to_be_bytes());
        hash.update(part);
    }
    IdentifierKey::from(<[u8; 32]>::from(hash.finalize()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::types::Method;
    use serde_json::json;

    fn read(extension: Value) -> Result<Option<String>, Malformed> {
        let extensions = json!({ KEY: extension, "other": 1 });
        given(extensions.as_object()).map(|id| id.map(str::to_string))
    }

    #[test]
    fn identifiers_are_read_from_the_echoed_extension() {
        let id = "pay_7d5d747be160e280504c099d984bcfe0";
        let echoed =
            |required: bool| json!({ "info": { "required": required, "id": id }, "schema": {} });
        assert_eq!(read(echoed(false)), Ok(Some(id.into())));
        assert_eq!(read(echoed(true)), Ok(Some(id.into())));
        for length in [16, 128] {
            let id = "a".repeat(length);
            let extension = json!({ "info": { "required": false, "id": id } });
            assert_eq!(read(extension), Ok(Some(id)));
        }
    }

    #[test]
    fn an_echo_without_id_gives_none() {
        assert_eq!(read(declaration(Policy::Optional)), Ok(None));
        assert_eq!(read(declaration(Policy::Required)), Ok(None));
        assert_eq!(read(json!(null)), Ok(None));
        for required in [false, true] {
            let null = json!({ "info": { "required": required, "id": null } });
            assert_eq!(read(null), Ok(None), "null is absent");
        }
        assert_eq!(given(None), Ok(None));
        assert_eq!(given(json!({ "other": 1 }).as_object()), Ok(None));
    }

    #[test]
    fn what_is_no_identifier_is_malformed() {
        let of = |id: Value| json!({ "info": { "required": false, "id": id } });
        for extension in [
            of(json!("a".repeat(15))),
            of(json!("a".repeat(129))),
            of(json!("")),
            of(json!("pay 7d5d747be160e280")),
            of(json!("pay_7d5d747be160e28\u{e9}")),
            of(json!("pay.7d5d747be160e280")),
            of(json!("pay_7d5d747be160e280\n")),
            of(json!(1_234_567_890_123_456_789_u64)),
            of(json!(["pay_7d5d747be160e280"])),
            json!({ "info": { "id": "pay_7d5d747be160e280" } }),
            json!({ "info": { "required": "no", "id": "pay_7d5d747be160e280" } }),
            json!({ "info": [] }),
            json!({ "id": "pay_7d5d747be160e280" }),
            json!({}),
            json!("pay_7d5d747be160e280"),
            json!(true),
        ] {
            assert_eq!(read(extension.clone()), Err(Malformed), "{extension}");
        }
    }

    #[test]
    fn names_differ_by_route_payer_and_identifier() {
        let route = |method, path: &str| RouteKey::new(method, path);
        let me = Principal::from_slice(&[1]);
        let one = key(&route(Method::Get, "/a"), &me, "0123456789abcdef");
        assert_eq!(one, key(&route(Method::Get, "/a"), &me, "0123456789abcdef"));
        let other = Principal::from_slice(&[2]);
        let longer = Principal::from_slice(b"\x010");
        for other in [
            key(&route(Method::Post, "/a"), &me, "0123456789abcdef"),
            key(&route(Method::Get, "/a0"), &me, "123456789abcdef0"),
            key(&route(Method::Get, "/a"), &me, "0123456789abcdeF"),
            key(&route(Method::Get, "/a"), &other, "0123456789abcdef"),
            key(&route(Method::Get, "/a"), &longer, "123456789abcdef0"),
        ] {
            assert_ne!(one, other);
        }
    }
}
