//! Newtypes with units. They parse and format; rules are in `domain`.
//!
//! Amounts, nonces, payment ids and accounts are those of the binding crate, so that the canister and its clients
//! cannot disagree about their text forms.

mod http;
mod time;

pub use http::{Method, RouteKey};
pub use icrc_ledger_types::icrc1::account::Account;
pub use time::{Seconds, TimestampNs};
pub use x402_icp::{Amount, Nonce, PaymentId};

use candid::Principal;
use sha2::{Digest, Sha256};

pub const VERSION: &str = env!("CARGO_PKG_VERSION");

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Cycles(pub u128);

/// The index of a block in a ledger.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct BlockIndex(pub u64);

/// The first 16 bytes of SHA-256 over every part of a request that its answer depends on.
///
/// 16 bytes keep the rows small, and finding another request with the same hash takes 2^128 work.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fingerprint(pub [u8; 16]);

impl From<[u8; 32]> for Fingerprint {
    fn from(hash: [u8; 32]) -> Self {
        Fingerprint(first_half(hash))
    }
}

/// The first 16 bytes of SHA-256 over the authorization's window and its signature. Of a signature of 64 bytes the
/// first half counts.
///
/// Payment ids are public (they are the memo in the ledger); this digest is not.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AuthorizationDigest(pub [u8; 16]);

impl From<[u8; 32]> for AuthorizationDigest {
    fn from(hash: [u8; 32]) -> Self {
        AuthorizationDigest(first_half(hash))
    }
}

/// The first 16 bytes of SHA-256 over a route, a payer and a payment identifier.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct IdentifierKey(pub [u8; 16]);

impl From<[u8; 32]> for IdentifierKey {
    fn from(hash: [u8; 32]) -> Self {
        IdentifierKey(first_half(hash))
    }
}

/// The seller, on a canister that several merchants share.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct MerchantId(pub u32);

impl MerchantId {
    /// The deployer of the canister: the only merchant today.
    pub const DEPLOYER: MerchantId = MerchantId(0);
}

/// The hash of what makes an authorization single-use (the *consumption key* of x402). While a payment holds it, no
/// other payment with the same key is accepted.
///
/// Each rail makes its keys from parts of its own, after a tag that no other rail has. 16 bytes suffice, as for
/// [`Fingerprint`]: nobody can find an authorization of his own that uses another payer's key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct ClaimKey(pub [u8; 16]);

impl ClaimKey {
    /// The key of this payer's nonce on the rail `icrc2`. All accounts of one principal share one space of nonces.
    pub fn icrc2(payer: &Principal, nonce: &Nonce) -> Self {
        // The tag ends with a zero byte and the nonce has a fixed length, so the concatenation is unambiguous.
        let hash: [u8; 32] = Sha256::new()
            .chain_update(b"icrc2\0")
            .chain_update(nonce.0)
            .chain_update(payer.as_slice())
            .finalize()
            .into();
        ClaimKey(first_half(hash))
    }

    /// The key of a transfer that the payer made itself: its block, and the secret that its memo commits to. With
    /// another secret it is another key, so that nobody can take the payer's.
    pub fn icrc1(ledger: &Principal, block: BlockIndex, secret: &Nonce) -> Self {
        let hash: [u8; 32] = Sha256::new()
            .chain_update(b"icrc1\0")
            .chain_update(secret.0)
            .chain_update(block.0.to_be_bytes())
            .chain_update(ledger.as_slice())
            .finalize()
            .into();
        ClaimKey(first_half(hash))
    }

    /// The key of an attempt to collect the money of the invoice with this id.
    pub fn invoice(id: &[u8; 32], attempt: u8) -> Self {
        let hash: [u8; 32] = Sha256::new()
            .chain_update(b"invoice\0")
            .chain_update(id)
            .chain_update([attempt])
            .finalize()
            .into();
        ClaimKey(first_half(hash))
    }

    /// The key of an id that this caller chose for a payment by call.
    pub fn call(caller: &Principal, id: &Nonce) -> Self {
        let hash: [u8; 32] = Sha256::new()
            .chain_update(b"call\0")
            .chain_update(id.0)
            .chain_update(caller.as_slice())
            .finalize()
            .into();
        ClaimKey(first_half(hash))
    }
}

fn first_half(hash: [u8; 32]) -> [u8; 16] {
    let mut half = [0; 16];
    half.copy_from_slice(&hash[..16]);
    half
}

/// The account in the form in which it is stored and printed: without a default subaccount.
pub fn canonical(account: Account) -> Account {
    Account {
        owner: account.owner,
        subaccount: account
            .subaccount
            .filter(|subaccount| *subaccount != [0; 32]),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nonce_keys_differ_by_payer_and_by_nonce() {
        let (a, b) = (Principal::from_slice(&[1]), Principal::from_slice(&[2]));
        let key = ClaimKey::icrc2(&a, &Nonce([7; 32]));
        assert_eq!(key, ClaimKey::icrc2(&a, &Nonce([7; 32])));
        assert_ne!(key, ClaimKey::icrc2(&b, &Nonce([7; 32])));
        assert_ne!(key, ClaimKey::icrc2(&a, &Nonce([8; 32])));
    }

    #[test]
    fn the_default_subaccount_is_left_out() {
        let owner = Principal::from_slice(&[1]);
        let spelled_out = Account {
            owner,
            subaccount: Some([0; 32]),
        };
        assert_eq!(canonical(spelled_out).subaccount, None);
        let other = Account {
            owner,
            subaccount: Some([1; 32]),
        };
        assert_eq!(canonical(other).subaccount, Some([1; 32]));
    }
}
