//! Requests with a payment, and their outcomes.

use crate::{
    domain::{
        call::CallTerms,
        payment::{Payment, Receipt},
        purchase::Purchase,
        transfer,
        verify::Refusal,
        work::WorkRequest,
    },
    types::{
        Account, AuthorizationDigest, ClaimKey, Fingerprint, IdentifierKey, PaymentId, RouteKey,
    },
};
use candid::Principal;
use serde_json::{Map, Value};
use sha2::{Digest, Sha256};
use x402_icp::{
    Code,
    decode::{DecodedPayment, DecodedTransfer, ExactPayment},
};

/// A payment and the request that carries it.
#[derive(Clone, Debug)]
pub struct PaymentRequest {
    pub purchase: Purchase,
    /// The route that the request matched, by method and template.
    pub route: RouteKey,
    pub credential: Credential,
    /// SHA-256 of every part of the request that the answer depends on.
    pub fingerprint: [u8; 32],
    /// The request as a forward target gets it; `None` for routes without one.
    pub work: Option<WorkRequest>,
    /// The payment identifier that is bound to this payment when it is opened.
    pub identifier: Option<IdentifierKey>,
}

/// The resource that a payer receives.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Resource {
    /// The HTTP status, from 200 to 399.
    pub status: u16,
    /// Response headers without `content-type`.
    pub headers: Vec<(String, String)>,
    pub mime_type: String,
    pub body: Vec<u8>,
}

impl Resource {
    /// Stored content.
    pub fn stored(mime_type: String, body: Vec<u8>) -> Self {
        Resource {
            status: 200,
            headers: Vec::new(),
            mime_type,
            body,
        }
    }
}

/// The outcome of a payment for one request.
#[derive(Clone, Debug, PartialEq)]
pub enum PayOutcome {
    /// Paid, now or before by the same authorization with the same request: deliver.
    Paid {
        receipt: Receipt,
        resource: Resource,
    },
    /// Verification failed. Nothing was stored, nothing moved.
    Refused(Refusal),
    /// The ledger provably moved nothing; or a transfer of the payer's own, whose money has moved, pays no offer.
    Failed {
        code: Code,
        /// The reason, for a reader.
        message: String,
        payment_id: PaymentId,
        payer: Account,
    },
    /// The outcome is not known yet. Repeating the request returns it once it is; a new payment might pay twice.
    Pending {
        payment_id: PaymentId,
        payer: Account,
    },
    /// The payment was used before, for another request or too long ago.
    Duplicate {
        payment_id: PaymentId,
        payer: Account,
        /// The receipt, if the payment is settled. The request presented its authorization, so it may be shown.
        receipt: Option<Receipt>,
        /// The reason why nothing is delivered, for a reader.
        note: Option<&'static str>,
    },
}

/// Whether the payment was made for this request.
pub fn same_request(payment: &Payment, request: &PaymentRequest) -> bool {
    payment.fingerprint == Fingerprint::from(request.fingerprint)
        && payment.purchase == request.purchase
}

/// How a payer agreed to a payment.
#[derive(Clone, Debug, PartialEq)]
pub enum Credential {
    /// By a signed authorization, which anybody may deliver.
    Signed(Box<DecodedPayment>),
    /// By a transfer that the payer made, which whoever knows its secret may present.
    Transfer(Box<DecodedTransfer>),
    /// By calling the canister.
    Call(Box<CallTerms>),
}

impl From<ExactPayment> for Credential {
    fn from(payment: ExactPayment) -> Self {
        match payment {
            ExactPayment::Icrc2(payment) => Credential::Signed(payment),
            ExactPayment::Icrc1(transfer) => Credential::Transfer(transfer),
        }
    }
}

impl Credential {
    pub fn claim_key(&self) -> ClaimKey {
        match self {
            Credential::Signed(payment) => claim_key(payment),
            Credential::Transfer(proved) => transfer::claim_key(proved),
            Credential::Call(terms) => terms.claim_key(),
        }
    }

    /// The payer, and the extensions of the protocol that came with the payment. `None` for a call: it has no
    /// extensions.
    pub fn extensions(&self) -> Option<(&Principal, Option<&Map<String, Value>>)> {
        match self {
            Credential::Signed(payment) => Some((
                &payment.authorization.from.owner,
                payment.payload.extensions.as_ref(),
            )),
            Credential::Transfer(proved) => {
                Some((&proved.proof.from.owner, proved.payload.extensions.as_ref()))
            }
            Credential::Call(_) => None,
        }
    }
}

impl PaymentRequest {
    pub fn claim_key(&self) -> ClaimKey {
        self.credential.claim_key()
    }

    /// Identifies what only the payer, and recipients of the payer's message, can present. For a call these are its
    /// terms, which the payment id identifies, and the id that the caller chose: the system has authenticated the caller.
    /// The payment id alone is public.
    pub fn authorization_digest(&self) -> AuthorizationDigest {
        match &self.credential {
            Credential::Signed(payment) => authorization_digest(payment),
            Credential::Transfer(proved) => transfer::digest(proved),
            Credential::Call(terms) => terms.authorization_digest(&self.fingerprint),
        }
    }

    /// The second from which on no transfer is sent for this request. A caller requests each repetition, so only the
    /// ledger's window limits it.
    pub fn valid_before(&self) -> u64 {
        match &self.credential {
            Credential::Signed(payment) => payment.authorization.valid_before,
            Credential::Transfer(_) => 0,
            Credential::Call(_) => u64::MAX,
        }
    }
}

fn claim_key(payment: &DecodedPayment) -> ClaimKey {
    ClaimKey::icrc2(
        &payment.authorization.from.owner,
        &payment.authorization.nonce,
    )
}

/// Identifies what only the payer, and recipients of the payer's message, can know of the authorization: its signature.
///
/// Of a signature of 64 bytes only the first half counts (`R`, or `r`), which differs in each signature. The second
/// half has two valid forms on some curves. Converting one into the other must not make the payer's own repetition look
/// like another authorization.
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
