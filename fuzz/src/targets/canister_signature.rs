//! Canister signatures: the key's DER, and CBOR with a certificate, delegations and hash trees inside.
//!
//! Layout: key, then the signature to the end. No input verifies for two messages.

use super::signature::MESSAGE;
use crate::{bytes::Reader, seeds::support};
use candid::Principal;
use x402_icp::signature::verify;

pub fn run(data: &[u8]) {
    let mut reader = Reader(data);
    let key = reader.chunk();
    let signature = reader.0;
    let root_key = support::bls_der(&support::root_key());
    let holds = |message: &[u8], now| {
        verify(
            key,
            message,
            signature,
            &[],
            now,
            support::spender(),
            &root_key,
        )
    };
    if let Ok(payer) = holds(MESSAGE, support::NOW_NS) {
        assert_eq!(payer, Principal::self_authenticating(key));
        if x402_icp::key::kind(key) == Some(x402_icp::key::KeyKind::Canister) {
            let other = holds(b"another message", support::NOW_NS);
            assert!(other.is_err(), "a signature was forged");
        }
    }
}
