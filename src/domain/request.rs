//! A request that carries a payment, and how it ends.

use crate::{
    domain::{
        call::CallTerms,
        payment::{Payment, Receipt},
        purchase::Purchase,
        verify::Refusal,
    },
    types::{
        Account, AuthorizationDigest, ClaimKey, Fingerprint, IdentifierKey, PaymentId, RouteKey,
    },
};
use sha2::{Digest, Sha256};
use x402_icp::{Code, decode::DecodedPayment};

/// A payment and the request it comes with.
#[derive(Clone, Debug)]
pub struct PaymentRequest {
    /// What is bought.
    pub purchase: Purchase,
    /// The route that the request matched, by method and template: it sells what is bought.
    pub route: RouteKey,
    /// How the payer agreed to it.
    pub credential: Credential,
    /// SHA-256 over everything of the request that the answer depends on.
    pub fingerprint: [u8; 32],
    /// The identifier that comes to stand for this payment when it is journalled.
    pub identifier: Option<IdentifierKey>,
}

/// What a payer gets.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Resource {
    /// The MIME type of the body.
    pub mime_type: String,
    /// The body.
    pub body: Vec<u8>,
}

/// How a payment ended, as far as this request goes.
#[derive(Clone, Debug, PartialEq)]
pub enum PayOutcome {
    /// Paid, now or before by the same proof with the same request: deliver.
    Paid {
        /// Proof of it.
        receipt: Receipt,
        /// What was bought.
        resource: Resource,
    },
    /// Verification failed. Nothing was stored, nothing moved.
    Refused(Refusal),
    /// The ledger provably moved nothing.
    Failed {
        /// Why, for a machine.
        code: Code,
        /// Why, for a reader.
        message: String,
        /// Which payment.
        payment_id: PaymentId,
        /// Who would have paid.
        payer: Account,
    },
    /// The outcome is not known yet. The same request again learns it; a new payment might pay twice.
    Pending {
        /// Which payment.
        payment_id: PaymentId,
        /// Who pays.
        payer: Account,
    },
    /// The payment was used before, for another request or too long ago.
    Duplicate {
        /// Which payment.
        payment_id: PaymentId,
        /// Who paid.
        payer: Account,
        /// What it was used for, if it is settled: who repeats it has its proof.
        receipt: Option<Receipt>,
    },
}

/// Whether it is the request that the payment was made for.
pub fn same_request(payment: &Payment, request: &PaymentRequest) -> bool {
    payment.fingerprint == Fingerprint::from(request.fingerprint)
        && payment.purchase == request.purchase
}

/// How a payer agreed to a payment.
#[derive(Clone, Debug)]
pub enum Credential {
    /// By a signed authorization, which anybody may deliver.
    Signed(Box<DecodedPayment>),
    /// By calling the canister.
    Call(Box<CallTerms>),
}

impl PaymentRequest {
    /// What the payment uses up.
    pub fn claim_key(&self) -> ClaimKey {
        match &self.credential {
            Credential::Signed(payment) => claim_key(payment),
            Credential::Call(terms) => terms.claim_key(),
        }
    }

    /// What only the payer, and whom the payer sent it to, can present. Of a call these are its terms: the system has
    /// authenticated the caller.
    pub fn authorization_digest(&self) -> AuthorizationDigest {
        match &self.credential {
            Credential::Signed(payment) => authorization_digest(payment),
            Credential::Call(_) => AuthorizationDigest::from(self.fingerprint),
        }
    }

    /// No transfer is repeated for this request from this second on. A caller asks for the repetition itself, so
    /// only the ledger's window bounds it.
    pub fn valid_before(&self) -> u64 {
        match &self.credential {
            Credential::Signed(payment) => payment.authorization.valid_before,
            Credential::Call(_) => u64::MAX,
        }
    }
}

/// What the signed payment uses up.
pub fn claim_key(payment: &DecodedPayment) -> ClaimKey {
    ClaimKey::icrc2(
        &payment.authorization.from.owner,
        &payment.authorization.nonce,
    )
}

/// What only the payer, and whom the payer sent it to, can know of the authorization: its signature.
///
/// Of a signature of 64 bytes only the first half counts (`R`, or `r`), which is another one in each
/// signature. The second half has two good forms on some curves, and who changes the one into the other
/// must not be able to make the payer's own repetition look like somebody else's.
fn authorization_digest(payment: &DecodedPayment) -> AuthorizationDigest {
    let authorization = &payment.authorization;
    let signature = match authorization.signature.as_slice() {
        both if both.len() == 64 => &both[..32],
        whole => whole,
    };
    let hash: [u8; 32] = Sha256::new()
        .chain_update(authorization.valid_after.to_be_bytes())
        .chain_update(authorization.valid_before.to_be_bytes())
        .chain_update(signature)
        .finalize()
        .into();
    AuthorizationDigest::from(hash)
}
