//! The JSON objects of x402 version 2 in headers, with the fields of this binding (sections 3 and 4). Absent optional
//! fields are left out, never written as `null`; unknown keys are ignored.

mod transfer;

use crate::{authorization::Authorization, decode::DecodeError, number, values::to_base64};
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::{Map, Value};
use std::fmt;
pub use transfer::{ExactExtra, ExactIcrc1Extra, ExactIcrc1Payload};

/// The version of the protocol.
pub const X402_VERSION: u32 = 2;
/// The scheme of this binding.
pub const SCHEME_EXACT: &str = "exact";
/// `assetTransferMethod` of a payment that the canister pulls from an ICRC-2 allowance.
pub const METHOD_ICRC2: &str = "icrc2";
/// `assetTransferMethod` of a payment by the client's own transfer, which it proves afterwards.
pub const METHOD_ICRC1: &str = "icrc1";
/// `paymentFlow` of offers of [`METHOD_ICRC1`]: settle, verify, work.
pub const PAYMENT_FLOW_UPFRONT: &str = "upfront";
/// `paymentFlow` of an offer without that member: verify, work, settle.
pub const PAYMENT_FLOW: &str = "authorization";
/// `PAYMENT-REQUIRED`: the offers, from server to client, base64 of [`PaymentRequired`].
pub const PAYMENT_REQUIRED: &str = "PAYMENT-REQUIRED";
/// `PAYMENT-SIGNATURE`: the payment, from client to server, base64 of [`PaymentPayload`].
pub const PAYMENT_SIGNATURE: &str = "PAYMENT-SIGNATURE";
/// `X-PAYMENT`: the payment header of version 1, which is not accepted here.
pub const X_PAYMENT: &str = "X-PAYMENT";
/// `PAYMENT-RESPONSE`: the outcome, from server to client, base64 of [`SettleResponse`].
pub const PAYMENT_RESPONSE: &str = "PAYMENT-RESPONSE";

/// The content of a 402. `E` is the type of `extra`: a client that supports other schemes decodes it as [`Value`].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct PaymentRequired<E = ExactIcrc2Extra> {
    /// Always 2.
    #[serde(deserialize_with = "number::deserialize")]
    pub x402_version: u32,
    /// The reason why a payment was refused, a [`crate::Code`] or similar.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub error: Option<String>,
    /// The resource for sale; without a URL if the server sends none that can be decoded.
    #[serde(default, deserialize_with = "resource")]
    pub resource: ResourceInfo,
    /// The ways to pay, the preferred one first.
    pub accepts: Vec<PaymentRequirements<E>>,
    /// Protocol extensions by name. Any value that is not an object, for instance an empty list, counts as none.
    #[serde(
        skip_serializing_if = "Option::is_none",
        default,
        deserialize_with = "object"
    )]
    pub extensions: Option<Map<String, Value>>,
}

/// A resource for sale.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ResourceInfo {
    /// Its URL. A relative reference is resolved against the request's URL.
    pub url: String,
    /// A description for a reader.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub description: Option<String>,
    /// The MIME type of the response.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub mime_type: Option<String>,
    /// The seller's name, at most 32 printable ASCII characters.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub service_name: Option<String>,
    /// At most five, each at most 32 ASCII characters.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub tags: Option<Vec<String>>,
    /// At most 2,048 characters.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub icon_url: Option<String>,
}

impl ResourceInfo {
    /// The members of a resource that can be decoded; `None` without a URL. It is not signed, so a malformed member
    /// affects only itself.
    pub fn readable(value: &Value) -> Option<Self> {
        let text = |key: &str| value.get(key).and_then(Value::as_str).map(String::from);
        let tags = value.get("tags").and_then(Value::as_array);
        Some(ResourceInfo {
            url: text("url")?,
            description: text("description"),
            mime_type: text("mimeType"),
            service_name: text("serviceName"),
            tags: tags.and_then(|tags| {
                let texts = tags.iter().map(|tag| tag.as_str().map(String::from));
                texts.collect()
            }),
            icon_url: text("iconUrl"),
        })
    }
}

/// One way to pay: an offer when the server sends it, the accepted offer when the client does.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct PaymentRequirements<E = ExactIcrc2Extra> {
    /// `exact`.
    pub scheme: String,
    /// CAIP-2 network id, see [`crate::network`].
    pub network: String,
    /// Atomic units, canonical decimal text.
    pub amount: String,
    /// The ledger canister's id.
    pub asset: String,
    /// The merchant's ICRC-1 account.
    pub pay_to: String,
    /// The longest validity of an authorization, in seconds.
    #[serde(deserialize_with = "number::deserialize")]
    pub max_timeout_seconds: u32,
    /// The additional fields of the scheme.
    pub extra: E,
}

impl<E> PaymentRequirements<E> {
    /// The same terms with another type of `extra`.
    pub fn map_extra<F>(self, map: impl FnOnce(E) -> F) -> PaymentRequirements<F> {
        PaymentRequirements {
            scheme: self.scheme,
            network: self.network,
            amount: self.amount,
            asset: self.asset,
            pay_to: self.pay_to,
            max_timeout_seconds: self.max_timeout_seconds,
            extra: map(self.extra),
        }
    }
}

/// `extra` of an `exact` offer paid by `icrc2` (section 4).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ExactIcrc2Extra {
    /// `icrc2`.
    pub asset_transfer_method: String,
    /// The token's symbol, for display.
    pub symbol: String,
    /// The token's decimals, for display.
    #[serde(deserialize_with = "number::deserialize")]
    pub decimals: u8,
    /// The ledger's transfer fee in atomic units: the payer is debited amount + fee.
    pub fee: String,
    /// The canister that pulls the money and must hold the allowance.
    pub spender: String,
    /// The route and price revision, see [`crate::offer::offer_id`].
    pub offer: String,
    /// The HTTP method that the offer is for, in upper case. `offer` is computed from this and the next two, for
    /// clients to check ([`crate::offer::offer_matches`]); a verifier ignores them.
    #[serde(
        skip_serializing_if = "Option::is_none",
        default,
        deserialize_with = "text"
    )]
    pub method: Option<String>,
    /// The path template that the offer is for.
    #[serde(
        skip_serializing_if = "Option::is_none",
        default,
        deserialize_with = "text"
    )]
    pub route: Option<String>,
    /// The price revision, at most [`MAX_SAFE_INTEGER`](crate::number::MAX_SAFE_INTEGER).
    #[serde(
        skip_serializing_if = "Option::is_none",
        default,
        deserialize_with = "natural"
    )]
    pub revision: Option<u64>,
    /// Absent means [`PAYMENT_FLOW`], see [`Self::flow`].
    #[serde(
        skip_serializing_if = "Option::is_none",
        default,
        deserialize_with = "text"
    )]
    pub payment_flow: Option<String>,
}

impl ExactIcrc2Extra {
    /// When the seller settles; the default if the member is absent.
    pub fn flow(&self) -> &str {
        self.payment_flow.as_deref().unwrap_or(PAYMENT_FLOW)
    }
}

/// A payment, as the client sends it. `E` and `P` are the types of `accepted.extra` and `payload`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct PaymentPayload<E = ExactIcrc2Extra, P = ExactIcrc2Payload> {
    /// Always 2.
    #[serde(deserialize_with = "number::deserialize")]
    pub x402_version: u32,
    /// Echo of the offer's resource; not trusted, and absent if it cannot be decoded.
    #[serde(
        skip_serializing_if = "Option::is_none",
        default,
        deserialize_with = "readable_resource"
    )]
    pub resource: Option<ResourceInfo>,
    /// Echo of the offer that is paid.
    pub accepted: PaymentRequirements<E>,
    /// The authorization.
    pub payload: P,
    /// Protocol extensions by name. Any value that is not an object counts as none.
    #[serde(
        skip_serializing_if = "Option::is_none",
        default,
        deserialize_with = "object"
    )]
    pub extensions: Option<Map<String, Value>>,
}

/// The authorization of an `exact` payment by `icrc2` (section 5). Everything is text. Everything except `publicKey`,
/// `signature` and `delegations` is signed, character by character.
#[derive(Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ExactIcrc2Payload {
    /// The payer's ICRC-1 account.
    pub from: String,
    /// 64 lower-case hexadecimal digits, random.
    pub nonce: String,
    /// Seconds since 1970-01-01, decimal: valid from this second on.
    pub valid_after: String,
    /// Seconds since 1970-01-01, decimal: not valid from this second on.
    pub valid_before: String,
    /// Base64 of the payer's DER-encoded public key; its self-authenticating principal is the payer.
    pub public_key: String,
    /// Base64 of the signature, made with `public_key` or with the last delegation's key.
    pub signature: String,
    /// The chain from `public_key` to the key that signed; absent if `public_key` itself signed.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub delegations: Option<Vec<DelegationText>>,
}

impl fmt::Debug for ExactIcrc2Payload {
    /// Without the signature and the chain: with them the payment is a bearer token.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ExactIcrc2Payload")
            .field("from", &self.from)
            .field("nonce", &self.nonce)
            .field("valid_after", &self.valid_after)
            .field("valid_before", &self.valid_before)
            .finish_non_exhaustive()
    }
}

impl fmt::Debug for DelegationText {
    /// Without the signature.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DelegationText")
            .field("expiration", &self.expiration)
            .field("targets", &self.targets)
            .finish_non_exhaustive()
    }
}

impl ExactIcrc2Payload {
    /// Decodes the texts into values. The error names the first malformed one.
    pub fn parse(&self) -> Result<Authorization, DecodeError> {
        Authorization::parse(self)
    }
}

/// One signed delegation of the Interface Specification (`ic-request-auth-delegation`) as JSON.
///
/// Unknown keys are refused, unlike elsewhere: a restriction of a delegation that is not known here (for instance
/// `permissions`) must not be ignored.
#[derive(Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct DelegationText {
    /// Base64 of the DER-encoded key that may sign.
    pub pubkey: String,
    /// Nanoseconds since 1970-01-01, decimal: not valid from this nanosecond on.
    pub expiration: String,
    /// Canister ids that accept the delegation; absent means all.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub targets: Option<Vec<String>>,
    /// Base64 of the signature by the key before this one in the chain.
    pub signature: String,
}

/// The outcome of a settlement. `success`, `transaction` and `network` are always present.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct SettleResponse {
    /// Whether the money has moved.
    pub success: bool,
    /// A [`crate::Code`], if it has not.
    #[serde(
        skip_serializing_if = "Option::is_none",
        default,
        deserialize_with = "text"
    )]
    pub error_reason: Option<String>,
    /// A message for a reader.
    #[serde(
        skip_serializing_if = "Option::is_none",
        default,
        deserialize_with = "text"
    )]
    pub error_message: Option<String>,
    /// The payer's ICRC-1 account.
    #[serde(
        skip_serializing_if = "Option::is_none",
        default,
        deserialize_with = "text"
    )]
    pub payer: Option<String>,
    /// The ledger's block index; the payment id while the settlement is pending; empty for none, and if the server
    /// leaves it out.
    #[serde(default, deserialize_with = "text_or_empty")]
    pub transaction: String,
    /// CAIP-2 network id; empty if the server leaves it out.
    #[serde(default, deserialize_with = "text_or_empty")]
    pub network: String,
    /// The paid amount, in atomic units, without the ledger's fee.
    #[serde(
        skip_serializing_if = "Option::is_none",
        default,
        deserialize_with = "text"
    )]
    pub amount: Option<String>,
    /// Protocol extensions by name. Any value that is not an object counts as none.
    #[serde(
        skip_serializing_if = "Option::is_none",
        default,
        deserialize_with = "object"
    )]
    pub extensions: Option<Map<String, Value>>,
    /// The additional fields of the scheme.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub extra: Option<Value>,
}

/// Decodes a text; anything else counts as absent.
fn text<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<String>, D::Error> {
    Ok(match Value::deserialize(deserializer)? {
        Value::String(text) => Some(text),
        _ => None,
    })
}

/// Decodes a text; anything else counts as empty.
fn text_or_empty<'de, D: Deserializer<'de>>(deserializer: D) -> Result<String, D::Error> {
    text(deserializer).map(Option::unwrap_or_default)
}

/// Decodes an object; anything else counts as absent.
fn object<'de, D>(deserializer: D) -> Result<Option<Map<String, Value>>, D::Error>
where
    D: Deserializer<'de>,
{
    Ok(match Value::deserialize(deserializer)? {
        Value::Object(object) => Some(object),
        _ => None,
    })
}

/// Decodes the valid members of a resource.
fn readable_resource<'de, D>(deserializer: D) -> Result<Option<ResourceInfo>, D::Error>
where
    D: Deserializer<'de>,
{
    Value::deserialize(deserializer).map(|value| ResourceInfo::readable(&value))
}

/// The same, with an empty resource if none is valid.
fn resource<'de, D: Deserializer<'de>>(deserializer: D) -> Result<ResourceInfo, D::Error> {
    readable_resource(deserializer).map(Option::unwrap_or_default)
}

/// Decodes a natural number by value; anything else counts as absent.
fn natural<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<u64>, D::Error> {
    Ok(match Value::deserialize(deserializer)? {
        Value::Number(number) => number::natural(&number),
        _ => None,
    })
}

/// A header value: padded standard base64 of compact JSON.
pub fn encode_header<T: Serialize>(value: &T) -> String {
    // Serialization fails only for maps with keys that are not text, and no wire type has one.
    let json = serde_json::to_vec(value).expect("BUG: a wire type has a key that is not text");
    to_base64(&json)
}

#[cfg(test)]
mod tests;
