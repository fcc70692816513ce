//! Keys in DER, signatures and chains of delegations.
//!
//! Layout: options (bit 0: a time behind the seeds' expirations), the number of delegations, key,
//! signature; of each delegation: key, when it expires, whose it is, signature.
//!
//! What verifies names the payer of the first key, has no expired delegation and none for others, and
//! the same signature by a key of the seeds does not hold for another message: nothing was forged.

use crate::{bytes::Reader, seeds::support};
use candid::Principal;
use x402_icp::{
    delegation::SignedDelegation,
    signature::{MAX_CHAIN_COST, check_chain, verify},
};

pub const MESSAGE: &[u8] = b"a message";
pub const MINUTE_NS: u64 = 60_000_000_000;

pub fn run(data: &[u8]) {
    let mut reader = Reader(data);
    let options = reader.byte();
    let length = reader.byte() % 24;
    let public_key = reader.chunk();
    let signature = reader.chunk();
    let delegations: Vec<_> = (0..length).map(|_| delegation(&mut reader)).collect();
    let now = support::NOW_NS + u64::from(options & 1) * 2 * MINUTE_NS;
    let root_key = support::bls_der(&support::root_key());
    let holds = |message: &[u8]| {
        verify(
            public_key,
            message,
            signature,
            &delegations,
            now,
            support::spender(),
            &root_key,
        )
    };
    let Ok(payer) = holds(MESSAGE) else { return };
    assert_eq!(payer, Principal::self_authenticating(public_key));
    let chain = check_chain(public_key, &delegations, now, support::spender())
        .expect("what verifies has a good chain");
    assert!(chain.expiration().is_none_or(|expiration| expiration > now));
    assert_eq!(chain.kinds().count(), 1 + delegations.len());
    assert!(
        chain.cost() <= MAX_CHAIN_COST,
        "a chain over the limit was verified"
    );
    for delegation in &delegations {
        let targets = delegation.targets.as_deref();
        assert!(targets.is_none_or(|targets| targets.contains(&support::spender())));
    }
    // Anybody can sign anything with a weak key of his own, but not with a key of the seeds.
    if crate::seeds::is_known(public_key) {
        assert!(holds(b"another message").is_err(), "a signature was forged");
    }
}

fn delegation(reader: &mut Reader<'_>) -> SignedDelegation {
    let pubkey = reader.chunk().to_vec();
    let expiration = match reader.byte() {
        0 => support::NOW_NS + MINUTE_NS,
        1 => support::NOW_NS,
        n => u64::MAX / u64::from(n),
    };
    let targets = match reader.byte() {
        0 => None,
        1 => Some(vec![support::spender()]),
        2 => Some(vec![]),
        n => Some(vec![Principal::from_slice(&[n]); usize::from(n) * 5]),
    };
    SignedDelegation {
        pubkey,
        expiration,
        targets,
        signature: reader.chunk().to_vec(),
    }
}
