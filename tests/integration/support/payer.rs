//! Payers: a key of some kind and an account.

#[path = "../../../crates/x402-icp/tests/support/forged.rs"]
mod forged;

use candid::Principal;
pub use forged::Forged;
use icrc_ledger_types::icrc1::account::Account;
use x402_icp::{
    Nonce, PaymentId, Terms,
    authorization::{authorize, payment_id, signed_message},
    encode_header,
    signer::{Delegated, Signer},
    wire::{ExactIcrc2Payload, PaymentPayload, PaymentRequirements, X402_VERSION},
};

/// A payer.
pub struct Payer {
    signer: Box<dyn Signer>,
    pub account: Account,
    next_nonce: std::cell::Cell<u8>,
}

/// A signed payment that can be changed before it is sent.
#[derive(Clone, Debug, PartialEq)]
pub struct Signed {
    pub payload: PaymentPayload,
    pub id: PaymentId,
}

impl Payer {
    pub fn of(signer: impl Signer + 'static) -> Self {
        let owner = Principal::self_authenticating(signer.public_key_der());
        Self {
            signer: Box::new(signer),
            account: owner.into(),
            next_nonce: std::cell::Cell::new(1),
        }
    }

    pub fn ed25519(seed: u8) -> Self {
        Self::of(ic_ed25519::PrivateKey::generate_from_seed(&[seed]))
    }

    pub fn secp256k1(seed: u8) -> Self {
        Self::of(ic_secp256k1::PrivateKey::generate_from_seed(&[seed]))
    }

    pub fn p256(seed: u8) -> Self {
        Self::of(p256_key(seed))
    }

    /// An Ed25519 key that lets a session key sign until the given time.
    pub fn delegated(seed: u8, expiration_ns: u64, targets: Option<Vec<Principal>>) -> Self {
        let root = ic_ed25519::PrivateKey::generate_from_seed(&[seed]);
        Self::delegated_by(&root, seed, expiration_ns, targets)
    }

    /// Any key that lets a session key sign until the given time.
    pub fn delegated_by(
        root: &impl Signer,
        seed: u8,
        expiration_ns: u64,
        targets: Option<Vec<Principal>>,
    ) -> Self {
        let session = ic_ed25519::PrivateKey::generate_from_seed(&[seed, 1]);
        let signer =
            Delegated::grant(root, session, expiration_ns, targets).expect("the key signs");
        Self::of(signer)
    }

    /// Any key that lets this many P-256 keys sign, each for the one before it.
    pub fn p256_chain(root: &impl Signer, seed: u8, keys: u8, expiration_ns: u64) -> Self {
        let grant = |from: &dyn Signer, n: u8| {
            Delegated::grant(from, p256_key(seed + n), expiration_ns, None).expect("the key signs")
        };
        let mut signer =
            Delegated::grant(root, p256_key(seed), expiration_ns, None).expect("the key signs");
        for n in 1..keys {
            signer = grant(&signer, n);
        }
        Self::of(signer)
    }

    /// Continues with the nonces of another session of the same key.
    pub fn after(self, earlier: &Self) -> Self {
        self.next_nonce.set(earlier.next_nonce.get());
        self
    }

    /// The same key with another subaccount.
    pub fn with_subaccount(mut self, subaccount: [u8; 32]) -> Self {
        self.account.subaccount = Some(subaccount);
        self
    }

    fn nonce(&self) -> Nonce {
        let next = self.next_nonce.get();
        self.next_nonce.set(next + 1);
        Nonce([next; 32])
    }

    /// Signs for an offer, valid from half a minute ago for as long as the offer allows.
    pub fn sign(&self, offer: &PaymentRequirements, now: u64) -> Signed {
        let until = now + u64::from(offer.max_timeout_seconds) - 30;
        self.sign_with(offer, self.nonce(), now - 30, until)
    }

    /// Signs for an offer with chosen nonce and window.
    pub fn sign_with(
        &self,
        offer: &PaymentRequirements,
        nonce: Nonce,
        valid_after: u64,
        valid_before: u64,
    ) -> Signed {
        let terms = Terms::from(offer);
        let payload = authorize(
            &terms,
            Some(self.account),
            nonce,
            valid_after,
            valid_before,
            self.signer.as_ref(),
        )
        .expect("the key signs");
        let id = payment_id(&signed_message(&terms, &payload));
        Signed {
            payload: PaymentPayload {
                x402_version: X402_VERSION,
                resource: None,
                accepted: offer.clone(),
                payload,
                extensions: None,
            },
            id,
        }
    }
}

/// A P-256 key from a small number.
fn p256_key(seed: u8) -> ic_secp256r1::PrivateKey {
    let mut scalar = [0; 32];
    scalar[31] = seed.max(1);
    ic_secp256r1::PrivateKey::deserialize_sec1(&scalar).expect("a small number is a key")
}

impl Signed {
    /// The value of the header `PAYMENT-SIGNATURE`.
    pub fn header(&self) -> String {
        encode_header(&self.payload)
    }

    /// Changes what is in the payload after it was signed.
    pub fn tamper(mut self, change: impl FnOnce(&mut ExactIcrc2Payload)) -> Self {
        change(&mut self.payload.payload);
        self
    }

    /// Changes the offer that the client accepted.
    pub fn accept(mut self, change: impl FnOnce(&mut PaymentRequirements)) -> Self {
        change(&mut self.payload.accepted);
        self
    }
}
