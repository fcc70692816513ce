//! Offers: the content of a 402, and what a payment is compared with.
//!
//! An offer is a function of the route, the ledger and the settings. Nothing in it is random or depends on the request,
//! so the 402 can be certified ahead of time and the verifier can rebuild it.

use crate::{
    domain::{
        combination::{ROUTE_BY_ICRC1, ROUTE_BY_ICRC2},
        config::Config,
        ledger::Ledger,
        payment::Offered,
        route::{Price, Route},
        window::MAX_PROOF_AGE,
    },
    types::Account,
};
use candid::Principal;
use x402_icp::{
    offer::offer_id,
    wire::{ExactIcrc1Extra, ExactIcrc2Extra, PAYMENT_FLOW_UPFRONT, PaymentRequirements},
};

/// One way to pay for a route, on sale or not.
#[derive(Clone, Debug, PartialEq)]
pub struct Offer {
    /// The offer in its wire form.
    pub requirements: PaymentRequirements,
    pub price: Price,
    /// The ledger as registered.
    pub ledger: Ledger,
    pub pay_to: Account,
}

impl Offer {
    /// What receipts say of the offer.
    pub fn offered(&self) -> Offered {
        offered(&self.requirements.extra.offer, &self.ledger)
    }
}

/// What receipts say of the offer with this id, in this ledger.
pub fn offered(offer_id: &str, ledger: &Ledger) -> Offered {
    let mut id = [0; 16];
    // Offer ids are made, or made again and compared, by `offer_id`, and have 32 digits.
    let _ = hex::decode_to_slice(offer_id, &mut id);
    Offered {
        id,
        symbol: ledger.symbol.clone(),
        decimals: ledger.decimals,
    }
}

/// Every offer of the route in its order of preference, including those of disabled ledgers.
///
/// Prices in ledgers that are not registered make no offer; `route_put` refuses them.
pub fn offers<'a>(
    route: &Route,
    ledger: impl Fn(&Principal) -> Option<&'a Ledger>,
    config: &Config,
    spender: Principal,
) -> Vec<Offer> {
    if route.is_free() {
        return vec![];
    }
    let pay_to = route.pay_to(config);
    let pay_to_text = pay_to.to_string();
    let spender_text = spender.to_text();
    // The limit may have been lowered since the route was put.
    let max_timeout = route.max_timeout.min(config.limits.max_timeout);
    let id = offer_id(
        spender,
        route.key.method.as_str(),
        &route.key.path,
        route.price_revision,
    );
    route
        .prices
        .iter()
        .filter_map(|price| {
            let ledger = ledger(&price.ledger)?;
            Some(Offer {
                requirements: PaymentRequirements {
                    scheme: ROUTE_BY_ICRC2.scheme.name().into(),
                    network: config.network.clone(),
                    amount: price.amount.to_string(),
                    asset: ledger.id.to_text(),
                    pay_to: pay_to_text.clone(),
                    max_timeout_seconds: max_timeout.0,
                    extra: ExactIcrc2Extra {
                        asset_transfer_method: ROUTE_BY_ICRC2.rail.name().into(),
                        symbol: ledger.symbol.clone(),
                        decimals: ledger.decimals,
                        fee: ledger.fee.to_string(),
                        spender: spender_text.clone(),
                        offer: id.clone(),
                        method: Some(route.key.method.as_str().into()),
                        route: Some(route.key.path.clone()),
                        revision: Some(route.price_revision),
                        payment_flow: None,
                    },
                },
                price: *price,
                ledger: ledger.clone(),
                pay_to,
            })
        })
        .collect()
}

/// The same offers, to be paid by a transfer of the client's own. Only ledgers with a block log can prove one.
pub fn transfer_offers(
    offers: &[Offer],
    route: &Route,
    canister: Principal,
) -> Vec<PaymentRequirements<ExactIcrc1Extra>> {
    let with_log = offers.iter().filter(|offer| offer.ledger.has_block_log());
    let offers = with_log.map(|Offer { requirements, .. }| PaymentRequirements {
        scheme: ROUTE_BY_ICRC1.scheme.name().into(),
        network: requirements.network.clone(),
        amount: requirements.amount.clone(),
        asset: requirements.asset.clone(),
        pay_to: requirements.pay_to.clone(),
        max_timeout_seconds: requirements.max_timeout_seconds,
        extra: ExactIcrc1Extra {
            asset_transfer_method: ROUTE_BY_ICRC1.rail.name().into(),
            payment_flow: PAYMENT_FLOW_UPFRONT.into(),
            symbol: requirements.extra.symbol.clone(),
            decimals: requirements.extra.decimals,
            fee: requirements.extra.fee.clone(),
            canister: canister.to_text(),
            offer: requirements.extra.offer.clone(),
            method: route.key.method.as_str().into(),
            route: route.key.path.clone(),
            revision: route.price_revision,
            max_proof_age_seconds: MAX_PROOF_AGE.0,
        },
    });
    offers.collect()
}

/// Whether a payment for this offer of the route can be accepted now, so that a 402 may show it.
pub fn on_sale(route: &Route, offer: &Offer) -> bool {
    route.on_sale && route.is_deliverable() && offer.ledger.enabled
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        domain::{
            config::tests::config,
            route::{ContentMeta, tests::draft},
        },
        types::{Amount, Seconds},
    };
    use x402_icp::offer::offer_matches;

    fn ledger(n: u8) -> Ledger {
        Ledger {
            id: Principal::from_slice(&[n]),
            symbol: "ckUSDC".into(),
            decimals: 6,
            fee: Amount(10),
            standards: vec![],
            answers_query_blocks: false,
            enabled: true,
        }
    }

    #[test]
    fn offers_are_reproducible_and_follow_the_terms() {
        let (config, known) = (config(), ledger(7));
        let find = |id: &Principal| (*id == known.id).then_some(&known);
        let spender = Principal::from_slice(&[9]);
        let mut route = draft("/a").apply(None, None, &config.limits, 1);
        let first = offers(&route, find, &config, spender);
        assert_eq!(first, offers(&route, find, &config, spender));
        assert_eq!(first.len(), 1);
        assert_eq!(first[0].requirements.pay_to, config.pay_to.to_string());
        let extra = &first[0].requirements.extra;
        assert_eq!(offer_matches(extra, "GET", "/a"), Ok(()));
        assert!(offer_matches(extra, "POST", "/a").is_err());

        let mut stricter = config.clone();
        stricter.limits.max_timeout = Seconds(20);
        let short = offers(&route, find, &stricter, spender);
        assert_eq!(short[0].requirements.max_timeout_seconds, 20);

        route.price_revision = 2;
        let second = offers(&route, find, &config, spender);
        assert_ne!(
            first[0].requirements.extra.offer,
            second[0].requirements.extra.offer
        );

        route.prices[0].ledger = Principal::from_slice(&[8]);
        assert!(offers(&route, find, &config, spender).is_empty());
        route.prices.clear();
        assert!(offers(&route, find, &config, spender).is_empty());
    }

    #[test]
    fn on_sale_needs_content_and_an_enabled_ledger() {
        let (config, known) = (config(), ledger(7));
        let mut route = draft("/a").apply(None, None, &config.limits, 1);
        let mut offer = offers(
            &route,
            |_| Some(&known),
            &config,
            Principal::from_slice(&[9]),
        )
        .remove(0);
        assert!(!on_sale(&route, &offer));
        route.content = Some(ContentMeta {
            blob: 1,
            bytes: 1,
            sha256: [0; 32],
        });
        assert!(on_sale(&route, &offer));
        offer.ledger.enabled = false;
        assert!(!on_sale(&route, &offer));
        offer.ledger.enabled = true;
        route.on_sale = false;
        assert!(!on_sale(&route, &offer));
    }
}
