//! Decoding of a 402 member by member: a malformed entry does not affect the others.

use crate::http::Response;
use serde_json::{Map, Value};
use x402_icp::{
    decode::{decode_header, decode_json},
    number,
    wire::{PAYMENT_REQUIRED, ResourceInfo, X402_VERSION},
};

/// A 402, as far as it can be decoded.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Required {
    /// The reason why a payment was refused.
    pub error: Option<String>,
    /// The resource for sale; `None` if the seller does not describe it.
    pub resource: Option<ResourceInfo>,
    /// The entries as they were sent.
    pub accepts: Vec<Value>,
    /// The extensions; `None` if there are none.
    pub extensions: Option<Map<String, Value>>,
}

/// Decodes the 402. The error says why nothing in it can be paid.
pub(crate) fn read(response: &Response) -> Result<Required, String> {
    let Some(header) = response.header(PAYMENT_REQUIRED) else {
        return Err(match version_1(&response.body) {
            true => {
                "the seller supports x402 version 1 only, and no such offer can be paid here".into()
            }
            false => format!("HTTP 402 without {PAYMENT_REQUIRED}"),
        });
    };
    let value: Value =
        decode_header(PAYMENT_REQUIRED, header.as_bytes()).map_err(|e| e.to_string())?;
    match value.get("x402Version").and_then(natural) {
        Some(version) if version == u64::from(X402_VERSION) => {}
        Some(version) => return Err(format!("x402 version {version}")),
        None => return Err("x402Version is not a natural number".into()),
    }
    let accepts = match value.get("accepts") {
        Some(Value::Array(accepts)) => accepts.clone(),
        _ => return Err("accepts is not a list".into()),
    };
    Ok(Required {
        error: value.get("error").and_then(Value::as_str).map(String::from),
        resource: value.get("resource").and_then(ResourceInfo::readable),
        accepts,
        extensions: value
            .get("extensions")
            .and_then(Value::as_object)
            .filter(|extensions| !extensions.is_empty())
            .cloned(),
    })
}

fn version_1(body: &[u8]) -> bool {
    decode_json::<Value>("body", body)
        .is_ok_and(|body| body.get("x402Version").and_then(natural) == Some(1))
}

/// A natural number by its value: `60` and `60.0` are the same number.
pub(crate) fn natural(value: &Value) -> Option<u64> {
    match value {
        Value::Number(number) => number::natural(number),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;
    use x402_icp::encode_header;

    fn response(required: &Value) -> Response {
        Response {
            url: String::new(),
            status: 402,
            headers: vec![("payment-required".into(), encode_header(required))],
            body: vec![],
        }
    }

    #[test]
    fn an_odd_member_spoils_itself_only() {
        let good = json!({"scheme": "exact"});
        for (odd, extensions) in [
            (json!({"x402Version": 2, "accepts": [good]}), false),
            (
                json!({"x402Version": 2.0, "accepts": [good], "extensions": []}),
                false,
            ),
            (
                json!({"x402Version": 2, "accepts": [good], "extensions": null, "resource": null}),
                false,
            ),
            (
                json!({"x402Version": 2, "accepts": [good], "extensions": {}, "resource": "/a"}),
                false,
            ),
            (
                json!({"x402Version": 2, "accepts": [good], "error": 7, "extensions": {"a": {}}}),
                true,
            ),
        ] {
            let required = read(&response(&odd)).unwrap();
            assert_eq!(required.accepts, std::slice::from_ref(&good));
            assert_eq!(required.resource, None);
            assert_eq!(required.extensions.is_some(), extensions, "{odd}");
        }
        let described = json!({
            "x402Version": 2, "accepts": [],
            "resource": {"url": "/a", "description": 1, "mimeType": null, "tags": ["x", 1]},
        });
        let resource = read(&response(&described)).unwrap().resource.unwrap();
        assert_eq!((resource.url.as_str(), resource.tags), ("/a", None));
    }

    #[test]
    fn what_asks_for_nothing_says_why() {
        for (odd, words) in [
            (json!({"accepts": []}), "x402Version"),
            (json!({"x402Version": 1, "accepts": []}), "version 1"),
            (json!({"x402Version": "2", "accepts": []}), "x402Version"),
            (json!({"x402Version": 2}), "accepts"),
            (json!({"x402Version": 2, "accepts": {}}), "accepts"),
        ] {
            let problem = read(&response(&odd)).unwrap_err();
            assert!(problem.contains(words), "{odd}: {problem}");
        }
        let mut old = response(&json!({}));
        old.headers.clear();
        old.body = br#"{"x402Version": 1, "accepts": []}"#.to_vec();
        assert!(read(&old).unwrap_err().contains("version 1"));
        old.body.clear();
        assert!(read(&old).unwrap_err().contains("without"));
    }

    #[test]
    fn numbers_count_by_their_value() {
        for (text, value) in [
            ("60", Some(60)),
            ("60.0", Some(60)),
            ("6e1", Some(60)),
            ("60.5", None),
            ("-1", None),
            ("1e300", None),
            ("\"60\"", None),
            ("null", None),
        ] {
            assert_eq!(
                natural(&serde_json::from_str(text).unwrap()),
                value,
                "{text}"
            );
        }
    }
}
