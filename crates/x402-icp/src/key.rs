//! Public keys in DER, each in exactly one form (section 6.1), and verification of their signatures.

use ic_signature_verification::verify_canister_sig;

/// SubjectPublicKeyInfo of an Ed25519 key (RFC 8410) before the 32 bytes of the key.
const ED25519_FRAME: &[u8] = &[
    0x30, 0x2a, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x03, 0x21, 0x00,
];
/// SubjectPublicKeyInfo of an uncompressed secp256k1 key before the point in SEC1 form.
const SECP256K1_FRAME: &[u8] = &[
    0x30, 0x56, 0x30, 0x10, 0x06, 0x07, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x02, 0x01, 0x06, 0x05, 0x2b,
    0x81, 0x04, 0x00, 0x0a, 0x03, 0x42, 0x00,
];
/// SubjectPublicKeyInfo of an uncompressed P-256 key before the point in SEC1 form.
const P256_FRAME: &[u8] = &[
    0x30, 0x59, 0x30, 0x13, 0x06, 0x07, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x02, 0x01, 0x06, 0x08, 0x2a,
    0x86, 0x48, 0xce, 0x3d, 0x03, 0x01, 0x07, 0x03, 0x42, 0x00,
];
/// The first of the 65 bytes of an uncompressed point in SEC1 form.
const UNCOMPRESSED: u8 = 0x04;
/// AlgorithmIdentifier of canister signatures (Interface Specification, "Canister signatures").
const CANISTER_ALGORITHM: &[u8] = &[
    0x30, 0x0c, 0x06, 0x0a, 0x2b, 0x06, 0x01, 0x04, 0x01, 0x83, 0xb8, 0x43, 0x01, 0x02,
];
/// SubjectPublicKeyInfo of a BLS12-381 key, as the root key is one, before its 96 bytes.
const BLS_PREFIX: &[u8] = &[
    0x30, 0x81, 0x82, 0x30, 0x1d, 0x06, 0x0d, 0x2b, 0x06, 0x01, 0x04, 0x01, 0x82, 0xdc, 0x7c, 0x05,
    0x03, 0x01, 0x02, 0x01, 0x06, 0x0c, 0x2b, 0x06, 0x01, 0x04, 0x01, 0x82, 0xdc, 0x7c, 0x05, 0x03,
    0x02, 0x01, 0x03, 0x61, 0x00,
];

/// The kinds of keys that can pay, the cheapest to verify first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum KeyKind {
    /// RFC 8410.
    Ed25519,
    /// ECDSA on the curve secp256k1, as in Bitcoin.
    Secp256k1,
    /// ECDSA on the curve P-256, as in WebCrypto and passkeys.
    P256,
    /// A canister's signature, for instance Internet Identity's, with one or two certificates.
    Canister,
}

impl KeyKind {
    /// The assumed cost of verifying one signature (section 6.2), in wasm instructions: what the reference canister
    /// needs, rounded up (`scripts/bench`).
    pub const fn cost(self) -> u64 {
        match self {
            KeyKind::Ed25519 => 2_500_000,
            KeyKind::Secp256k1 => 5_000_000,
            KeyKind::P256 => 23_000_000,
            // Two certificates.
            KeyKind::Canister => 465_000_000,
        }
    }
}

/// The kind of a key, by its whole DER frame: algorithm, lengths and point format. Costs almost nothing.
///
/// A key in any other encoding of the same point would be another principal, so none is accepted.
pub fn kind(public_key_der: &[u8]) -> Option<KeyKind> {
    let is = |prefix: &[u8], rest: usize| {
        public_key_der.len() == prefix.len() + rest && public_key_der.starts_with(prefix)
    };
    if is(ED25519_FRAME, 32) {
        Some(KeyKind::Ed25519)
    } else if is(SECP256K1_FRAME, 65)
        && public_key_der.get(SECP256K1_FRAME.len()) == Some(&UNCOMPRESSED)
    {
        Some(KeyKind::Secp256k1)
    } else if is(P256_FRAME, 65) && public_key_der.get(P256_FRAME.len()) == Some(&UNCOMPRESSED) {
        Some(KeyKind::P256)
    } else if is_canister_key(public_key_der) {
        Some(KeyKind::Canister)
    } else {
        None
    }
}

/// Whether this is a canister signature key: `SEQUENCE { algorithm, BIT STRING { length of canister id, canister id,
/// seed } }` with short lengths.
fn is_canister_key(der: &[u8]) -> bool {
    let [0x30, total, rest @ ..] = der else {
        return false;
    };
    let Some([0x03, bits, 0x00, raw @ ..]) = rest.strip_prefix(CANISTER_ALGORITHM) else {
        return false;
    };
    let Some((id_length, id_and_seed)) = raw.split_first() else {
        return false;
    };
    *total < 0x80
        && usize::from(*total) == rest.len()
        && usize::from(*bits) == raw.len() + 1
        && *id_length <= 29
        && usize::from(*id_length) <= id_and_seed.len()
}

/// The 96 bytes of a BLS12-381 key.
fn bls_key(der: &[u8]) -> Option<&[u8]> {
    der.strip_prefix(BLS_PREFIX).filter(|key| key.len() == 96)
}

/// Verifies one signature by one key.
///
/// secp256k1 and P-256 signatures are 64 bytes, `r || s`, over SHA-256 of the message. A secp256k1 signature must have
/// the lower of its two possible `s`, as every library of that curve makes it. P-256 signers (WebCrypto, passkeys,
/// hardware) do not normalise `s`, so both are accepted. Payment ids and nonces do not depend on the signature.
pub(crate) fn verify(
    kind: KeyKind,
    public_key_der: &[u8],
    message: &[u8],
    signature: &[u8],
    root_key_der: &[u8],
) -> Result<(), Failure> {
    if kind != KeyKind::Canister && signature.len() != 64 {
        return Err(Failure::SignatureLength(signature.len()));
    }
    // `kind` compared the whole frame with the only valid one, so only the point is left.
    let after = |frame: &[u8]| public_key_der.strip_prefix(frame).ok_or(Failure::Key);
    let holds = match kind {
        KeyKind::Ed25519 => ic_ed25519::PublicKey::deserialize_raw(after(ED25519_FRAME)?)
            .map_err(|_| Failure::Key)?
            .verify_signature(message, signature)
            .is_ok(),
        KeyKind::Secp256k1 => ic_secp256k1::PublicKey::deserialize_sec1(after(SECP256K1_FRAME)?)
            .map_err(|_| Failure::Key)?
            .verify_ecdsa_signature(message, signature),
        KeyKind::P256 => ic_secp256r1::PublicKey::deserialize_sec1(after(P256_FRAME)?)
            .map_err(|_| Failure::Key)?
            .verify_signature(message, signature),
        KeyKind::Canister => {
            let root_key = bls_key(root_key_der).ok_or(Failure::RootKey)?;
            // Decodes CBOR to 128 levels, for which it takes 70 kB of the stack.
            return verify_canister_sig(message, signature, public_key_der, root_key)
                .map_err(|problem| Failure::CanisterSignature(without_input(problem)));
        }
    };
    if holds {
        Ok(())
    } else {
        Err(Failure::Mismatch)
    }
}

/// The library's message without the quoted input.
fn without_input(problem: String) -> String {
    match problem.split_once("CBOR:") {
        Some((what, _)) => format!("{what}CBOR"),
        None => problem,
    }
}

/// The reason why a signature is invalid.
pub(crate) enum Failure {
    Key,
    RootKey,
    SignatureLength(usize),
    Mismatch,
    CanisterSignature(String),
}

#[cfg(test)]
mod tests;
