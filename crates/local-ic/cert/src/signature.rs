//! Verification of user signatures, by the key's DER encoding (Interface Specification, "Signatures").

use crate::keys::bls_public_key_raw;
use thiserror::Error;

/// Object identifiers below `1.3.6.1.4.1.56387.1`, DER encoded: `.1` WebAuthn (COSE key), `.2` canister signature.
const COSE_OID: &[u8] = b"\x2b\x06\x01\x04\x01\x83\xb8\x43\x01\x01";
const CANISTER_OID: &[u8] = b"\x2b\x06\x01\x04\x01\x83\xb8\x43\x01\x02";
/// Where the object identifier's contents start in a key of those two kinds: two sequence headers and its own.
const OID_OFFSET: std::ops::RangeInclusive<usize> = 4..=8;

/// Why a signature does not count.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
pub enum SignatureError {
    /// The key says one thing, the signature another.
    #[error("signature does not verify")]
    Invalid,
    /// A canister signature with what is wrong with it.
    #[error("canister signature does not verify: {0}")]
    InvalidCanisterSignature(String),
    /// Neither Ed25519, nor ECDSA on secp256k1 or P-256, nor a canister signature.
    #[error("public key is not Ed25519, ECDSA (secp256k1 or P-256) or a canister signature key")]
    UnknownKey,
    /// A web authentication key, which this runtime does not verify.
    #[error("WebAuthn keys are not supported by the local runtime")]
    WebAuthn,
}

/// Verifies `signature` of `message` by the DER encoded `public_key`; canister signatures against the network's
/// root key.
pub(crate) fn verify(
    public_key: &[u8],
    message: &[u8],
    signature: &[u8],
    root_key_der: &[u8],
) -> Result<(), SignatureError> {
    let check = |valid: bool| {
        if valid {
            Ok(())
        } else {
            Err(SignatureError::Invalid)
        }
    };
    if has_oid(public_key, COSE_OID) {
        return Err(SignatureError::WebAuthn);
    }
    if has_oid(public_key, CANISTER_OID) {
        let root = bls_public_key_raw(root_key_der).expect("BUG: our root key is a BLS key");
        return ic_signature_verification::verify_canister_sig(
            message, signature, public_key, root,
        )
        .map_err(SignatureError::InvalidCanisterSignature);
    }
    if let Ok(key) = ic_ed25519::PublicKey::deserialize_rfc8410_der(public_key) {
        return check(key.verify_signature(message, signature).is_ok());
    }
    // The IC takes both values of s, so does this.
    if let Ok(key) = ic_secp256k1::PublicKey::deserialize_der(public_key) {
        return check(key.verify_ecdsa_signature_with_malleability(message, signature));
    }
    if let Ok(key) = ic_secp256r1::PublicKey::deserialize_der(public_key) {
        return check(key.verify_signature(message, signature));
    }
    Err(SignatureError::UnknownKey)
}

fn has_oid(key: &[u8], oid: &[u8]) -> bool {
    OID_OFFSET
        .into_iter()
        .any(|offset| key.get(offset..).is_some_and(|rest| rest.starts_with(oid)))
}
