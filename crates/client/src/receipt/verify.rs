//! Offline verification of a receipt with its proof.

use crate::plain_text::plain_text;
use base64::{Engine, engine::general_purpose::STANDARD};
use candid::Principal;
use ic_certificate_verification::VerifyCertificate;
use ic_certification::{Certificate, HashTree, LookupResult};
use serde::de::DeserializeOwned;
use x402_icp::{
    decode::decode_json,
    network::network_id,
    receipt::{Details, LABEL, Receipt, ReceiptProof, VERSION},
};

/// The most bytes of a receipt with its proof. Those of the mainnet have a few thousand.
pub const MAX_RECEIPT_BYTES: usize = 65_536;

/// A receipt that its proof confirms: the canister has recorded this payment as settled.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VerifiedReceipt {
    /// The receipt.
    pub receipt: Receipt,
    /// Who paid for what, if the file says so.
    pub details: Option<Details>,
    /// The place in the canister's log, from 0.
    pub index: u64,
    /// When the subnet certified it, in nanoseconds since 1970-01-01.
    pub certified_at: u64,
    /// What the file says of the payment's present state. It is not proven.
    pub claimed_status: String,
}

/// The reason why a receipt is not verified.
#[derive(Debug, thiserror::Error)]
pub enum VerifyError {
    /// It is no receipt with a proof.
    #[error("it is no receipt with a proof: {}", plain_text(.0))]
    Unreadable(String),
    /// It has no proof.
    #[error("it has no {0}: the answer to an update has none, ask by query")]
    NoProof(&'static str),
    /// It is from another network than that of the root key.
    #[error(
        "it is from network {}, and the root key is that of {expected}",
        plain_text(found)
    )]
    Network {
        /// The receipt's.
        found: String,
        /// That of the root key.
        expected: String,
    },
    /// It is from another canister.
    #[error("it is from canister {found}, not {expected}")]
    Canister {
        /// The receipt's.
        found: Principal,
        /// The expected one.
        expected: Principal,
    },
    /// The details are not those of the commitment.
    #[error("its details are not those that the receipt commits to")]
    Details,
    /// No subnet that the root key knows has signed the certificate for this canister.
    #[error("its certificate is not valid: {}", plain_text(.0))]
    Certificate(String),
    /// The certificate is for another tree.
    #[error("its certificate certifies another tree than its witness")]
    Root,
    /// The tree has another receipt there.
    #[error("its witness does not hold the receipt")]
    Witness,
}

/// Verifies a receipt with its proof, as `receipt_proof` and `GET /x402/receipts/{id}` return it. `root_key` is the
/// DER-encoded root key of the network. If `canister` is given, the receipt has to be that canister's.
///
/// The proof shows what the canister has recorded. Whether to believe the canister is for the caller to decide.
pub fn verify_receipt(
    json: &[u8],
    root_key: &[u8],
    canister: Option<Principal>,
) -> Result<VerifiedReceipt, VerifyError> {
    let unreadable = |problem: String| VerifyError::Unreadable(problem);
    if json.len() > MAX_RECEIPT_BYTES {
        return Err(unreadable(format!(
            "{} bytes, at most {MAX_RECEIPT_BYTES} are read",
            json.len()
        )));
    }
    let proof: ReceiptProof =
        decode_json("receipt", json).map_err(|e| unreadable(e.to_string()))?;
    if proof.version != VERSION {
        return Err(unreadable(format!("version {}", proof.version)));
    }
    let receipt = proof
        .receipt
        .parse()
        .map_err(|e| unreadable(e.to_string()))?;
    let expected = network_id(root_key);
    if receipt.network != expected {
        let found = receipt.network;
        return Err(VerifyError::Network { found, expected });
    }
    if let Some(expected) = canister.filter(|expected| *expected != receipt.canister) {
        let found = receipt.canister;
        return Err(VerifyError::Canister { found, expected });
    }
    let details = proof.details.as_ref().map(|details| details.parse());
    let details = details.transpose().map_err(|e| unreadable(e.to_string()))?;
    if details
        .as_ref()
        .is_some_and(|details| details.commitment() != receipt.commitment)
    {
        return Err(VerifyError::Details);
    }
    let index = proof
        .index
        .as_deref()
        .ok_or(VerifyError::NoProof("index"))?;
    let index = index
        .parse()
        .ok()
        .filter(|number: &u64| number.to_string() == index)
        .ok_or_else(|| unreadable("index is no number".into()))?;
    let witness: HashTree = cbor("witness", proof.witness.as_deref())?;
    let leaf = receipt.hash();
    let path = [LABEL.as_bytes(), &index.to_be_bytes()];
    if witness.lookup_path(path) != LookupResult::Found(&leaf) {
        return Err(VerifyError::Witness);
    }
    let certificate: Certificate = cbor("certificate", proof.certificate.as_deref())?;
    let certified_at = verified(&certificate, &receipt.canister, root_key)?;
    let path = [
        b"canister".as_slice(),
        receipt.canister.as_slice(),
        b"certified_data",
    ];
    let root = witness.digest();
    if certificate.tree.lookup_path(path) != LookupResult::Found(&root) {
        return Err(VerifyError::Root);
    }
    Ok(VerifiedReceipt {
        receipt,
        details,
        index,
        certified_at,
        claimed_status: proof.status,
    })
}

/// Decodes CBOR in base64. Nests at most 128 levels.
fn cbor<T: DeserializeOwned>(name: &'static str, text: Option<&str>) -> Result<T, VerifyError> {
    let text = text.ok_or(VerifyError::NoProof(name))?;
    let unreadable = |problem: String| VerifyError::Unreadable(format!("{name} {problem}"));
    let bytes = STANDARD
        .decode(text)
        .map_err(|e| unreadable(e.to_string()))?;
    serde_cbor::from_slice(&bytes).map_err(|e| unreadable(e.to_string()))
}

/// The time of a certificate that a subnet signed for this canister. A receipt does not expire, so any time will do.
fn verified(
    certificate: &Certificate,
    canister: &Principal,
    root_key: &[u8],
) -> Result<u64, VerifyError> {
    let invalid = |problem: String| VerifyError::Certificate(problem);
    if let Some(delegation) = &certificate.delegation {
        // The library that verifies it decodes it without a limit of its own.
        serde_cbor::from_slice::<Certificate>(&delegation.certificate)
            .map_err(|e| invalid(e.to_string()))?;
    }
    let LookupResult::Found(time) = certificate.tree.lookup_path(["time"]) else {
        return Err(invalid("it has no time".into()));
    };
    let time = leb128(time).ok_or_else(|| invalid("its time is no number".into()))?;
    certificate
        .verify(canister.as_slice(), root_key, &time.into(), &0)
        .map_err(|e| invalid(e.to_string()))?;
    Ok(time)
}

fn leb128(bytes: &[u8]) -> Option<u64> {
    let (last, more) = bytes.split_last()?;
    if bytes.len() > 10 || last & 0x80 != 0 || more.iter().any(|byte| byte & 0x80 == 0) {
        return None;
    }
    let mut number = 0u128;
    for (n, byte) in bytes.iter().enumerate() {
        number |= u128::from(byte & 0x7f) << (7 * n);
    }
    number.try_into().ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    const VECTORS: &str = include_str!("../../../x402-icp/tests/receipts.json");

    fn vectors() -> (Value, Vec<u8>) {
        let vectors: Value = serde_json::from_str(VECTORS).unwrap();
        let root_key = hex::decode(vectors["rootKey"].as_str().unwrap()).unwrap();
        (vectors, root_key)
    }

    fn verify(proof: &Value, root_key: &[u8]) -> Result<VerifiedReceipt, VerifyError> {
        verify_receipt(proof.to_string().as_bytes(), root_key, None)
    }

    #[test]
    fn the_good_receipts_are_verified() {
        let (vectors, root_key) = vectors();
        for vector in vectors["good"].as_array().unwrap() {
            let verified = verify(&vector["proof"], &root_key).unwrap();
            assert_eq!(vector["hash"], hex::encode(verified.receipt.hash()));
            assert_eq!(vectors["canister"], verified.receipt.canister.to_text());
            assert_eq!(vectors["index"], verified.index.to_string());
            assert_eq!(vectors["certifiedAt"], verified.certified_at.to_string());
            let disclosed = vector["proof"].get("details").is_some();
            assert_eq!(verified.details.is_some(), disclosed);
        }
    }

    #[test]
    fn the_bad_receipts_are_refused() {
        let (vectors, root_key) = vectors();
        for vector in vectors["bad"].as_array().unwrap() {
            let refused = verify(&vector["proof"], &root_key);
            assert!(refused.is_err(), "{}", vector["name"]);
        }
    }

    /// Each text of a receipt, with its last character replaced by another that is as good.
    #[test]
    fn a_receipt_with_one_changed_field_is_refused() {
        let (vectors, root_key) = vectors();
        let good = &vectors["good"][1]["proof"];
        let mut changes = 0;
        for part in ["receipt", "details"] {
            for (field, value) in good[part].as_object().unwrap() {
                let others = match value {
                    Value::String(text) => {
                        let cut: String = text.chars().take(text.chars().count() - 1).collect();
                        let mut all: Vec<Value> = ["0", "1", "a", "b", "", "é", "Z"]
                            .iter()
                            .map(|last| json!(format!("{cut}{last}")))
                            .collect();
                        all.extend([json!(format!("{text} ")), json!(format!("0{text}"))]);
                        all.extend([json!(text.to_uppercase()), json!(""), Value::Null]);
                        all
                    }
                    _ => vec![json!(7), json!(0), Value::Null, json!("6")],
                };
                for other in others.iter().filter(|other| *other != value) {
                    let mut changed = good.clone();
                    changed[part][field] = other.clone();
                    let refused = verify(&changed, &root_key);
                    assert!(refused.is_err(), "{part}.{field} = {other}: {refused:?}");
                    changes += 1;
                }
                let mut without = good.clone();
                without[part].as_object_mut().unwrap().remove(field);
                assert!(verify(&without, &root_key).is_err(), "{part}.{field}");
            }
            let mut more = good.clone();
            more[part]["more"] = json!("1");
            assert!(verify(&more, &root_key).is_err(), "{part}.more");
        }
        assert!(changes > 150, "{changes}");
    }

    #[test]
    fn a_receipt_of_another_network_or_canister_is_refused() {
        let (vectors, root_key) = vectors();
        let good = vectors["good"][0]["proof"].to_string();
        let mainnet = x402_icp::network::MAINNET_ROOT_KEY_DER;
        let refused = verify_receipt(good.as_bytes(), mainnet, None);
        assert!(matches!(refused, Err(VerifyError::Network { .. })));
        let own: Principal = vectors["canister"].as_str().unwrap().parse().unwrap();
        assert!(verify_receipt(good.as_bytes(), &root_key, Some(own)).is_ok());
        let other = Some(Principal::management_canister());
        let refused = verify_receipt(good.as_bytes(), &root_key, other);
        assert!(matches!(refused, Err(VerifyError::Canister { .. })));
    }

    #[test]
    fn a_file_that_is_no_receipt_is_refused() {
        let (vectors, root_key) = vectors();
        let deep = format!("{}{}", "\u{81}", "\u{81}".repeat(9));
        let nested = STANDARD.encode([vec![0x81; 40_000], vec![0]].concat());
        let mut proof = vectors["good"][0]["proof"].clone();
        proof["witness"] = json!(nested);
        assert!(verify(&proof, &root_key).is_err());
        for junk in ["", "null", "[]", "{}", "{\"version\":1}", &deep] {
            assert!(verify_receipt(junk.as_bytes(), &root_key, None).is_err());
        }
        let large = vec![b' '; MAX_RECEIPT_BYTES + 1];
        assert!(verify_receipt(&large, &root_key, None).is_err());
        let bytes = vectors["good"][0]["proof"].to_string().into_bytes();
        for at in (0..bytes.len()).step_by(7) {
            let mut changed = bytes.clone();
            changed.truncate(at);
            assert!(verify_receipt(&changed, &root_key, None).is_err());
        }
    }
}
