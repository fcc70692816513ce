//! Offers by the word of their canister: asked before a transfer or a call is recorded.

use super::{Payer, Priced};
use crate::{
    error::PayError,
    ledger::{Promised, Quoted},
    offer::{Confirmed, Method, Offer, OfferTerms},
    payment::decoded_path,
    step::Step,
};
use std::time::Instant;
use tollkeeper_types::RouteKey;
use x402_icp::wire::{ExactIcrc1Extra, ExactIcrc2Extra, PaymentRequirements};

impl Payer {
    /// The offer, if the canister makes it: whoever forwarded it over HTTP could have put another recipient into it. A
    /// canister refuses such a payment from an allowance, but cannot give a transfer back that went elsewhere.
    pub(super) async fn confirmed(
        &self,
        priced: &Priced,
        offer: &Offer,
    ) -> Result<Offer, PayError> {
        match (&offer.terms, offer.method()) {
            (OfferTerms::Icrc1(terms), _) => self.confirmed_transfer(offer, terms).await,
            (OfferTerms::Icrc2(terms), Method::Call) => {
                self.confirmed_call(priced, offer, terms).await
            }
            (OfferTerms::Icrc2(_), _) => Ok(offer.clone()),
        }
    }

    async fn confirmed_transfer(
        &self,
        offer: &Offer,
        terms: &PaymentRequirements<ExactIcrc1Extra>,
    ) -> Result<Offer, PayError> {
        self.tell(Step::AskingCanister(offer.spender));
        let like = Promised {
            ledger: offer.asset,
            amount: offer.amount.0.into(),
            pay_to: offer.pay_to,
            offer: terms.extra.offer.clone(),
        };
        let route = RouteKey {
            method: terms.extra.method.clone(),
            path: terms.extra.route.clone(),
        };
        let promised = self.rail().offers(offer.spender, route, &like).await;
        among(offer, promised, &like, "for this route")
    }

    /// The offer, if the canister sells the path for it by `pay`. A canister refuses a call with other terms; this says
    /// so before anything is recorded, and tells the time of the canister's subnet.
    async fn confirmed_call(
        &self,
        priced: &Priced,
        offer: &Offer,
        terms: &PaymentRequirements<ExactIcrc2Extra>,
    ) -> Result<Offer, PayError> {
        self.tell(Step::AskingCanister(offer.spender));
        let like = Quoted {
            ledger: offer.asset,
            amount: offer.amount.0.into(),
            fee: offer.fee.0.into(),
            pay_to: offer.pay_to,
            spender: offer.spender,
            offer: terms.extra.offer.clone(),
            max_timeout_seconds: offer.max_timeout_seconds(),
        };
        let key = RouteKey {
            method: priced.request.method.clone(),
            path: decoded_path(&priced.request.url)
                .map_err(|problem| unconfirmed(offer, problem))?,
        };
        let quoted = self.rail().quote(offer.spender, key, &like).await;
        among(offer, quoted, &like, "for a call of this path")
    }
}

/// The offer with the time of the answer, if it is among those that its canister makes.
fn among<T: PartialEq>(
    offer: &Offer,
    answered: Result<(Vec<T>, u64), String>,
    like: &T,
    what_for: &str,
) -> Result<Offer, PayError> {
    let (made, at) = answered.map_err(|problem| unconfirmed(offer, problem))?;
    if !made.contains(like) {
        let problem = format!(
            "it makes no offer of {} units of {} to {} {what_for} now",
            offer.amount, offer.asset, offer.pay_to
        );
        return Err(unconfirmed(offer, problem));
    }
    Ok(Offer {
        confirmed: Some(Confirmed {
            at,
            arrived: Instant::now(),
        }),
        ..offer.clone()
    })
}

/// The canister did not say that it makes the offer.
pub(super) fn unconfirmed(offer: &Offer, problem: String) -> PayError {
    PayError::Unconfirmed {
        canister: offer.spender,
        problem,
    }
}
