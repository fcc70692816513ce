//! A forgery that only the last pairing detects: a genuine canister signature with another point in it.

use candid::Principal;
use x402_icp::signer::{Signer, SignerError};

/// Signs as the canister, except for one BLS point from another of its signatures.
pub struct Forged<S>(pub S);

impl<S: Signer> Signer for Forged<S> {
    fn public_key_der(&self) -> Vec<u8> {
        self.0.public_key_der()
    }

    fn sign(&self, message: &[u8]) -> Result<Vec<u8>, SignerError> {
        let genuine = self.0.sign(message)?;
        let other = self.0.sign(Principal::anonymous().as_slice())?;
        Ok(with_points_of(genuine, &other))
    }
}

/// Replaces the BLS signatures of one canister signature by those of another. Certificates of subnets are the same in
/// both, so only the one over the canister's tree changes.
fn with_points_of(mut signature: Vec<u8>, other: &[u8]) -> Vec<u8> {
    let (to, from) = (points(&signature), points(other));
    assert!(!to.is_empty() && to.len() == from.len());
    for (to, from) in to.into_iter().zip(from) {
        signature[to..to + 48].copy_from_slice(&other[from..from + 48]);
    }
    signature
}

/// The positions of points: after a text `signature` and the head of a byte string of 48 bytes.
fn points(cbor: &[u8]) -> Vec<usize> {
    const HEAD: &[u8] = b"\x69signature\x58\x30";
    let windows = cbor.windows(HEAD.len()).enumerate();
    windows
        .filter(|(_, window)| *window == HEAD)
        .map(|(at, _)| at + HEAD.len())
        .collect()
}
