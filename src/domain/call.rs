//! Payments by call: the payer calls the canister, so the system has authenticated the payer, and there is no
//! signature.
//!
//! The caller chooses an id of 32 bytes. Caller and id are the claim key: the same call again is the same payment, and
//! a call with the same id and other terms is refused. The caller fixes `created_at_time`, too: the ledger recognises
//! the transfer even if this canister has lost the payment, and a call that is older than the offer's timeout pays
//! nothing even if its failure is forgotten. Verification follows [`verify`](super::verify) without the
//! signature: id, offer, time, sale and capacity, in this order.

use crate::{
    domain::{
        capacity::Capacity,
        offer::Offer,
        purchase::Purchase,
        route::Route,
        verify::{Refusal, VerifiedPayment, busy, check_on_sale},
    },
    types::{
        Account, Amount, AuthorizationDigest, ClaimKey, Nonce, PaymentId, TimestampNs, canonical,
    },
};
use candid::Principal;
use sha2::{Digest, Sha256};
use x402_icp::{
    Code,
    call::{CallParts, call_payment_id},
};

/// The domain separator of the digests of calls.
const DIGEST_DOMAIN: &[u8] = b"\x14x402-icp-call-digest";

/// The terms that the caller agrees to, and the id of the payment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CallTerms {
    /// Never anonymous.
    pub caller: Principal,
    pub id: Nonce,
    /// An account of the caller. The canister takes the money out of its allowance.
    pub from: Account,
    pub ledger: Principal,
    /// The amount that the merchant receives.
    pub amount: Amount,
    /// The fee that the ledger takes in addition.
    pub fee: Amount,
    pub pay_to: Account,
    /// `created_at_time` of the transfer.
    pub created_at: TimestampNs,
}

impl CallTerms {
    pub fn claim_key(&self) -> ClaimKey {
        ClaimKey::call(&self.caller, &self.id)
    }

    /// The digest of the call with these terms, whose payment has this id.
    pub fn authorization_digest(&self, payment_id: &[u8; 32]) -> AuthorizationDigest {
        let hash: [u8; 32] = Sha256::new()
            .chain_update(DIGEST_DOMAIN)
            .chain_update(self.id.0)
            .chain_update(payment_id)
            .finalize()
            .into();
        AuthorizationDigest::from(hash)
    }

    /// The payment's id, and the memo of its transfer: it identifies the terms, the purchase, and this canister.
    pub fn payment_id(&self, canister: Principal, purchase: &Purchase) -> PaymentId {
        let request = purchase.request();
        call_payment_id(&CallParts {
            canister,
            caller: self.caller,
            id: &self.id,
            from: &self.from,
            pay_to: &self.pay_to,
            ledger: self.ledger,
            amount: self.amount,
            fee: self.fee,
            created_at_time: self.created_at.0,
            method: request.method.as_str(),
            path: &request.path,
        })
    }
}

/// The stored state that a call is verified against.
#[derive(Debug)]
pub struct CallSale<'a> {
    pub route: &'a Route,
    /// The route's offers, on sale or not.
    pub offers: &'a [Offer],
    pub canister: Principal,
    pub now: TimestampNs,
}

/// The refusal of an id that a payment with other terms uses, including failed ones. It comes before all others: who
/// does not know that the id is taken might pay again with another one.
pub fn id_used() -> Refusal {
    Refusal::new(
        Code::NonceUsed,
        "this caller used the id before, for a payment with other terms",
    )
}

/// Verifies a payment by call whose id no payment uses. `capacity` is that of payer and ledger.
pub fn verify<'a>(
    terms: &CallTerms,
    purchase: &Purchase,
    sale: &CallSale<'a>,
    capacity: impl FnOnce(&Principal, &Principal) -> Capacity,
) -> Result<VerifiedPayment<'a>, Refusal> {
    let offer = matching_offer(terms, sale.offers)?;

    let created_at = terms.created_at;
    if created_at > sale.now {
        return Err(Refusal::new(
            Code::NotYetValid,
            format!("created_at_time is in the future: now is {}", sale.now.0),
        ));
    }
    let valid_before = created_at
        .seconds()
        .saturating_add(u64::from(offer.requirements.max_timeout_seconds));
    if sale.now.seconds() >= valid_before {
        return Err(Refusal::new(
            Code::Expired,
            format!(
                "created_at_time is more than {} seconds ago: now is {}",
                offer.requirements.max_timeout_seconds, sale.now.0
            ),
        ));
    }

    check_on_sale(sale.route, offer)?;
    let capacity = capacity(&terms.caller, &offer.ledger.id);
    capacity.public.map_err(busy)?;
    capacity.of_payer.map_err(busy)?;

    Ok(VerifiedPayment {
        id: terms.payment_id(sale.canister, purchase),
        claim_key: terms.claim_key(),
        from: canonical(terms.from),
        created_at,
        valid_before,
        offer,
    })
}

/// The offer that the caller agrees to: narrows the offers down field by field, so that the code names the first field
/// that matches no offer.
fn matching_offer<'a>(terms: &CallTerms, offers: &'a [Offer]) -> Result<&'a Offer, Refusal> {
    let mut left: Vec<&Offer> = offers.iter().collect();
    let mut narrow =
        |code, member: &str, same: &dyn Fn(&Offer) -> bool, show: &dyn Fn(&Offer) -> String| {
            let mut offered: Vec<String> = left.iter().map(|offer| show(offer)).collect();
            left.retain(|offer| same(offer));
            offered.dedup();
            left.first().copied().ok_or_else(|| {
                let problem = format!("{member} is not that of any offer: {}", offered.join(", "));
                Refusal::new(code, problem)
            })
        };
    narrow(
        Code::AssetMismatch,
        "ledger",
        &|offer| offer.ledger.id == terms.ledger,
        &|offer| offer.ledger.id.to_text(),
    )?;
    narrow(
        Code::AmountMismatch,
        "amount",
        &|offer| offer.price.amount == terms.amount,
        &|offer| offer.price.amount.to_string(),
    )?;
    narrow(
        Code::RecipientMismatch,
        "pay_to",
        &|offer| canonical(offer.pay_to) == canonical(terms.pay_to),
        &|offer| offer.pay_to.to_string(),
    )?;
    narrow(
        Code::OfferMismatch,
        "fee",
        &|offer| offer.ledger.fee == terms.fee,
        &|offer| offer.ledger.fee.to_string(),
    )
}

#[cfg(test)]
mod tests;
