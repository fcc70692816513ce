//! Signed receipts of the x402 extension `offer-receipt`: JWS by an Ed25519 key (RFC 7515, RFC 8037), and the `did:web`
//! documents that name the keys of a seller (docs/receipts.md).
//!
//! A JWS is believed by a key from outside of it. The key has to be that of the DID in its header, and the DID that of
//! the site that the receipt is for: anybody can sign a receipt for any site.

use crate::decode::decode_json;
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD as BASE64URL};
use ic_ed25519::PublicKey;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

/// The name of the extension.
pub const OFFER_RECEIPT: &str = "offer-receipt";
/// The version of the payload.
pub const VERSION: u32 = 1;
/// The path of the DID document of a site.
pub const DID_PATH: &str = "/.well-known/did.json";
/// The most bytes of a JWS, and of a file with keys, that are read.
pub const MAX_JWS_BYTES: usize = 16_384;

const ALGORITHM: &str = "EdDSA";

/// The payload of a signed receipt: this payer has paid for this resource, and it was delivered.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct SignedReceipt {
    /// [`VERSION`].
    pub version: u32,
    /// CAIP-2 id.
    pub network: String,
    /// The URL that was paid for.
    pub resource_url: String,
    /// The account that paid.
    pub payer: String,
    /// When it was signed, in seconds since 1970-01-01.
    pub issued_at: u64,
    /// The block of the payment. The extension has it optional; empty is absent.
    #[serde(default)]
    pub transaction: String,
}

/// A signed receipt as the extension transmits it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Artifact {
    /// `jws`.
    pub format: String,
    /// The JWS in its compact form.
    pub signature: String,
}

impl From<String> for Artifact {
    fn from(signature: String) -> Self {
        Artifact {
            format: "jws".into(),
            signature,
        }
    }
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Header {
    alg: String,
    kid: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    typ: Option<String>,
    /// It may name the key, and cannot vouch for it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    jwk: Option<Value>,
}

/// The reason why a JWS is not believed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum JwsError {
    /// It is no JWS of a receipt.
    #[error("it is no signed receipt: {0}")]
    Unreadable(String),
    /// Keys of this canister sign with EdDSA alone.
    #[error("its algorithm is {0}, not EdDSA")]
    Algorithm(String),
    /// The given keys have none of this id.
    #[error("its key {0} is not among those that are given")]
    UnknownKey(String),
    /// The site of the receipt is not that of the key's DID.
    #[error("the key of {did} does not sign for {resource}")]
    OtherSite {
        /// The DID in its header.
        did: String,
        /// The URL in its payload.
        resource: String,
    },
    /// The key has not signed this.
    #[error("its signature is not by the key {0}")]
    Signature(String),
}

fn unreadable(problem: impl ToString) -> JwsError {
    JwsError::Unreadable(problem.to_string())
}

/// The DID of a site: `did:web` with its host, and its port if it has one.
pub fn did_of(origin: &str) -> String {
    let host = origin.split_once("://").map_or(origin, |(_, host)| host);
    format!("did:web:{}", host.replace(':', "%3A"))
}

/// The bytes that are signed: header and payload of the JWS. `kid` is the URL of the key, `<DID>#<name>`.
pub fn signing_input(kid: &str, receipt: &SignedReceipt) -> String {
    let header = Header {
        alg: ALGORITHM.into(),
        kid: kid.into(),
        typ: None,
        jwk: None,
    };
    let part = |json: Vec<u8>| BASE64URL.encode(json);
    let header = serde_json::to_vec(&header).unwrap_or_default();
    let payload = serde_json::to_vec(receipt).unwrap_or_default();
    format!("{}.{}", part(header), part(payload))
}

/// Whether this key has signed these bytes.
pub fn is_signed_by(key: &[u8; 32], input: &str, signature: &[u8]) -> bool {
    PublicKey::deserialize_raw(key)
        .is_ok_and(|key| key.verify_signature(input.as_bytes(), signature).is_ok())
}

/// The JWS in its compact form.
pub fn compact(input: &str, signature: &[u8]) -> String {
    format!("{input}.{}", BASE64URL.encode(signature))
}

/// The document of a DID with these keys, by name. All of them make assertions: receipts of an earlier key stay valid.
pub fn did_document(did: &str, keys: &[(&str, [u8; 32])]) -> String {
    let ids: Vec<String> = keys
        .iter()
        .map(|(name, _)| format!("{did}#{name}"))
        .collect();
    let methods = keys.iter().zip(&ids).map(|((_, key), id)| {
        json!({
            "id": id,
            "type": "JsonWebKey2020",
            "controller": did,
            "publicKeyJwk": { "kty": "OKP", "crv": "Ed25519", "x": BASE64URL.encode(key) },
        })
    });
    json!({
        "@context": ["https://www.w3.org/ns/did/v1", "https://w3id.org/security/suites/jws-2020/v1"],
        "id": did,
        "verificationMethod": methods.collect::<Vec<_>>(),
        "assertionMethod": ids,
    })
    .to_string()
}

/// Keys that a verifier knows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Keys(Vec<(Option<String>, [u8; 32])>);

impl Keys {
    /// The keys of a DID document that make assertions, or the one of a JWK. A JWK without `kid` stands for any id.
    pub fn read(json: &[u8]) -> Result<Self, JwsError> {
        if json.len() > MAX_JWS_BYTES {
            return Err(unreadable("the file with the key is too long"));
        }
        let file: Value = decode_json("key", json).map_err(unreadable)?;
        let Some(did) = file["id"].as_str().filter(|_| file["kty"].is_null()) else {
            let id = file["kid"].as_str().map(String::from);
            let key = jwk(&file)
                .ok_or_else(|| unreadable("neither a DID document nor an Ed25519 JWK"))?;
            return Ok(Keys(vec![(id, key)]));
        };
        let list = |name: &str| file[name].as_array().cloned().unwrap_or_default();
        let asserts = list("assertionMethod");
        let keys = list("verificationMethod").into_iter().filter_map(|method| {
            let id = method["id"].as_str()?;
            let of_did = id
                .strip_prefix(did)
                .is_some_and(|rest| rest.starts_with('#'));
            let good = of_did && method["controller"] == did && asserts.contains(&method["id"]);
            good.then(|| Some((Some(id.to_string()), jwk(&method["publicKeyJwk"])?)))?
        });
        Ok(Keys(keys.collect()))
    }

    fn of(&self, kid: &str) -> Option<&[u8; 32]> {
        let named = |id: &Option<String>| id.as_deref().is_none_or(|id| id == kid);
        self.0.iter().find(|(id, _)| named(id)).map(|(_, key)| key)
    }
}

/// The public key of a JWK of the kind that canisters have.
fn jwk(value: &Value) -> Option<[u8; 32]> {
    let right = value["kty"] == "OKP" && value["crv"] == "Ed25519";
    let key = value["x"].as_str().filter(|_| right)?;
    BASE64URL.decode(key).ok()?.try_into().ok()
}

/// The receipt in a JWS, if one of these keys has signed it for the site that it names.
pub fn verify(jws: &str, keys: &Keys) -> Result<SignedReceipt, JwsError> {
    if jws.len() > MAX_JWS_BYTES {
        return Err(unreadable("it is too long"));
    }
    let (input, signature) = jws
        .rsplit_once('.')
        .ok_or_else(|| unreadable("it has no parts"))?;
    let (header, payload) = input
        .split_once('.')
        .ok_or_else(|| unreadable("it has two parts"))?;
    let decoded = |part: &str| BASE64URL.decode(part).map_err(unreadable);
    let header: Header = decode_json("header", &decoded(header)?).map_err(unreadable)?;
    if header.alg != ALGORITHM {
        return Err(JwsError::Algorithm(header.alg));
    }
    let kid = header.kid;
    let key = keys
        .of(&kid)
        .ok_or_else(|| JwsError::UnknownKey(kid.clone()))?;
    let other = header
        .jwk
        .is_some_and(|own| jwk(&own).as_ref() != Some(key));
    if other || !is_signed_by(key, input, &decoded(signature)?) {
        return Err(JwsError::Signature(kid));
    }
    let receipt: SignedReceipt = decode_json("payload", &decoded(payload)?).map_err(unreadable)?;
    if receipt.version != VERSION {
        return Err(unreadable(format!("version {}", receipt.version)));
    }
    let did = kid.split('#').next().unwrap_or_default();
    match origin_of(&receipt.resource_url).map(did_of).as_deref() == Some(did) {
        true => Ok(receipt),
        false => Err(JwsError::OtherSite {
            did: did.into(),
            resource: receipt.resource_url,
        }),
    }
}

/// The part of a URL before its path. `None` if it does not begin with a scheme and two slashes: browsers find a host in
/// such a URL, too, and it may be another one.
fn origin_of(url: &str) -> Option<&str> {
    let (scheme, rest) = url.split_once("://")?;
    let is_scheme = !scheme.is_empty() && scheme.bytes().all(|byte| byte.is_ascii_lowercase());
    let end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
    is_scheme.then(|| &url[..url.len() - rest.len() + end])
}
