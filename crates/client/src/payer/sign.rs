//! Signing of an offer, or fixing the transfer or the call that pays it; and whether that is possible.

use super::{Payer, Priced, confirmed::unconfirmed, now};
use crate::{
    error::PayError,
    http::Request,
    offer::{Confirmed, Method, Offer},
    payment::{Purchase, SignedPayment, named, not_by_call},
};
use candid::Principal;
use std::time::Duration;
use x402_icp::{
    Account,
    decode::MAX_HEADER_BYTES,
    encode_header,
    signer::Signer,
    wire::{DelegationText, ExactIcrc2Payload, PaymentPayload, X402_VERSION},
};

/// The time that the calls of a transfer or of a purchase by call may take, in seconds.
const CALLS_SECONDS: u64 = 300;
/// The length of a signature in base64, of every kind of key except a canister's.
const SIGNATURE_TEXT_BYTES: usize = 88;
/// How much less than what has passed here is taken to have passed on the subnet: its clock may stop for a moment.
const SUBNET_LAG: Duration = Duration::from_secs(5);

impl Payer {
    fn purchase<'a>(&self, priced: &'a Priced, offer: &'a Offer) -> Purchase<'a> {
        let redirected = priced.asked_url != priced.request.url;
        Purchase {
            request: &priced.request,
            asked_url: redirected.then_some(priced.asked_url.as_str()),
            offer,
            resource: priced.resource.as_ref(),
            extensions: priced.extensions.as_ref(),
            from: self.account,
        }
    }

    /// Signs an offer, or fixes the transfer or the call that pays it. One purchase needs one of them: to repeat it,
    /// [`Payer::send`] the result again.
    pub fn sign(&self, priced: &Priced, offer: &Offer) -> Result<SignedPayment, PayError> {
        self.signable(priced, offer)?;
        let purchase = self.purchase(priced, offer);
        if offer.method() != Method::Allowance {
            let unconfirmed = |problem| unconfirmed(offer, problem);
            let confirmed = offer
                .confirmed
                .ok_or_else(|| unconfirmed("it was not asked (fund)".into()))?;
            return match offer.method() {
                Method::Call => {
                    SignedPayment::by_call(&purchase, present(&confirmed)).map_err(unconfirmed)
                }
                _ => Ok(SignedPayment::sign(&purchase, now(), &self.identity)?),
            };
        }
        let seconds = offer.max_timeout_seconds();
        // A slow key (a hardware key that waits for its user) uses up the time. The first signature was not sent, so
        // only the second one leaves the process.
        for _ in 0..2 {
            let payment = SignedPayment::sign(&purchase, now(), &self.identity)?;
            let actual = payment.header().len();
            if actual > MAX_HEADER_BYTES {
                return Err(too_long(actual));
            }
            let left = payment
                .valid_before()
                .unwrap_or_default()
                .saturating_sub(now());
            if left >= u64::from(seconds).div_ceil(2) {
                return Ok(payment);
            }
        }
        Err(PayError::SlowSigner { seconds })
    }

    /// Whether the identity can call a canister now, and for as long as a purchase takes.
    fn may_call(&self, canister: Principal) -> Result<(), PayError> {
        let last_moment = now().saturating_add(CALLS_SECONDS);
        for delegation in self.identity.delegations() {
            let targets = delegation.targets.as_ref();
            if targets.is_some_and(|targets| !targets.contains(&canister)) {
                let problem = format!("it does not allow canister {canister}");
                return Err(PayError::Delegation(problem));
            }
            if delegation.expiration / 1_000_000_000 < last_moment {
                let problem = format!("it ends within {CALLS_SECONDS} s");
                return Err(PayError::Delegation(problem));
            }
        }
        Ok(())
    }

    /// Whether the identity can make the transfer, and its proof can be sent: checked before any money moves.
    fn transferable(&self, priced: &Priced, offer: &Offer) -> Result<(), PayError> {
        self.may_call(offer.asset)?;
        let draft = SignedPayment::sign(&self.purchase(priced, offer), now(), &self.identity)?;
        match draft.with_block(u64::MAX).header().len() {
            actual if actual > MAX_HEADER_BYTES => Err(too_long(actual)),
            _ => Ok(()),
        }
    }

    /// Whether the identity can sign this offer so that the canister accepts it, or make its transfer or call; checked
    /// without signing.
    pub(super) fn signable(&self, priced: &Priced, offer: &Offer) -> Result<(), PayError> {
        match offer.method() {
            Method::Allowance => {}
            Method::Transfer => return self.transferable(priced, offer),
            Method::Call => {
                callable(&priced.request)?;
                return self.may_call(offer.spender);
            }
        }
        let last_moment = now().saturating_add(offer.max_timeout_seconds().into());
        let chain = self.identity.delegations();
        for delegation in &chain {
            let targets = delegation.targets.as_ref();
            if targets.is_some_and(|targets| !targets.contains(&offer.spender)) {
                return Err(PayError::Delegation(format!(
                    "it does not allow {}, which collects",
                    offer.spender
                )));
            }
            if delegation.expiration / 1_000_000_000 < last_moment {
                return Err(PayError::Delegation(format!(
                    "it ends before the payment does, which is good for {} s",
                    offer.max_timeout_seconds()
                )));
            }
        }
        let key = self.identity.public_key_der();
        x402_icp::signature::check_chain(
            &key,
            &chain,
            now().saturating_mul(1_000_000_000),
            offer.spender,
        )
        .map_err(|error| PayError::Delegation(error.to_string()))?;
        let name = priced.request.payment_identifier.as_deref();
        let draft = PaymentPayload {
            x402_version: X402_VERSION,
            resource: priced.resource.clone(),
            accepted: offer.verbatim.clone(),
            payload: ExactIcrc2Payload {
                from: Account::to_string(&self.account),
                nonce: "0".repeat(64),
                valid_after: last_moment.to_string(),
                valid_before: last_moment.to_string(),
                public_key: x402_icp::values::to_base64(&key),
                signature: "A".repeat(SIGNATURE_TEXT_BYTES),
                delegations: (!chain.is_empty())
                    .then(|| chain.iter().map(DelegationText::from).collect()),
            },
            extensions: priced
                .extensions
                .as_ref()
                .map(|all| named(all.clone(), name)),
        };
        match encode_header(&draft).len() {
            actual if actual > MAX_HEADER_BYTES => Err(too_long(actual)),
            _ => Ok(()),
        }
    }
}

/// The present time of a canister's subnet or a little less, in nanoseconds since 1970-01-01. A call must not be from the
/// future, and this machine's clock may be wrong.
fn present(confirmed: &Confirmed) -> u64 {
    let passed = confirmed.arrived.elapsed().saturating_sub(SUBNET_LAG);
    let passed = u64::try_from(passed.as_nanos()).unwrap_or(u64::MAX);
    confirmed.at.saturating_add(passed)
}

/// Whether a call can say the whole request.
pub(super) fn callable(request: &Request) -> Result<(), PayError> {
    match not_by_call(request) {
        None => Ok(()),
        Some(part) => Err(PayError::NotByCall { part }),
    }
}

fn too_long(actual: usize) -> PayError {
    PayError::TooLong {
        limit: MAX_HEADER_BYTES,
        actual,
    }
}
