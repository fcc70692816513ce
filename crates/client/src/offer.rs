//! Which of a seller's offers may be accepted.

use crate::tokens::KNOWN_TOKENS;
use candid::Principal;
use serde_json::Value;
use std::{collections::BTreeMap, fmt};
use x402_icp::{
    Account, Amount,
    values::{ValueError, parse_account, parse_principal},
    wire::{ExactIcrc2Extra, METHOD_ICRC2, PaymentRequirements, SCHEME_EXACT},
};

/// The most that is paid at once, for each ledger; a ledger that is not named is never paid with.
///
/// The default allows one US dollar in ckUSDC and ckUSDT, as stock x402 clients do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SpendControls(BTreeMap<Principal, Amount>);

impl Default for SpendControls {
    fn default() -> Self {
        KNOWN_TOKENS
            .iter()
            .filter(|token| token.usd)
            .fold(Self::none(), |controls, token| {
                controls.allow(token.principal(), Amount(10u128.pow(token.decimals.into())))
            })
    }
}

impl SpendControls {
    /// Allows nothing.
    pub fn none() -> Self {
        SpendControls(BTreeMap::new())
    }

    /// Allows up to `max` atomic units of a ledger in one payment, the ledger's fee not counted.
    pub fn allow(mut self, ledger: Principal, max: Amount) -> Self {
        self.0.insert(ledger, max);
        self
    }

    /// What may be paid at once with a ledger; `None` if nothing.
    pub fn max(&self, ledger: Principal) -> Option<Amount> {
        self.0.get(&ledger).copied()
    }
}

/// What an offer must fit.
#[derive(Clone, Debug)]
pub struct Expectations<'a> {
    /// The network the payer is connected to.
    pub network: &'a str,
    /// Who must collect the payment, if it is known.
    pub spender: Option<Principal>,
    /// How much may be paid.
    pub controls: &'a SpendControls,
}

/// An offer this payer can accept.
#[derive(Clone, Debug, PartialEq)]
pub struct Offer {
    /// As the seller sent it, to be echoed.
    pub verbatim: PaymentRequirements<Value>,
    /// The same, read.
    pub terms: PaymentRequirements<ExactIcrc2Extra>,
    /// The ledger.
    pub asset: Principal,
    /// The price in atomic units, without the ledger's fee.
    pub amount: Amount,
    /// Who gets the money.
    pub pay_to: Account,
    /// Who collects it.
    pub spender: Principal,
}

/// Why an offer is not accepted.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum OfferProblem {
    /// Another scheme than `exact`.
    #[error("scheme {0:?} is not supported")]
    Scheme(String),
    /// Another network.
    #[error("it is for network {offered}, not {expected}")]
    Network {
        /// The offer's.
        offered: String,
        /// The payer's.
        expected: String,
    },
    /// The scheme's part of the offer cannot be read.
    #[error("it cannot be read: {0}")]
    Unreadable(String),
    /// Another way to move the money than an allowance.
    #[error("transfer method {0:?} is not supported")]
    Method(String),
    /// An order of steps this payer does not know.
    #[error("payment flow {0:?} is not known")]
    Flow(String),
    /// A field has no proper value.
    #[error("{field} {problem}")]
    Value {
        /// The field.
        field: &'static str,
        /// What is wrong.
        problem: ValueError,
    },
    /// The spend controls do not name the ledger.
    #[error("ledger {0} is not allowed; allow it with a limit of its own (--asset, --max-amount)")]
    AssetNotAllowed(Principal),
    /// The price is above the limit.
    #[error("the price of {amount} units is above the limit of {max}")]
    OverLimit {
        /// The price.
        amount: Amount,
        /// The limit.
        max: Amount,
    },
    /// Somebody else would collect the money.
    #[error("it is collected by {offered}, not by {expected}")]
    Spender {
        /// The offer's.
        offered: Principal,
        /// The canister that serves the resource, or the one the payer named.
        expected: Principal,
    },
}

/// An offer that was not accepted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RefusedOffer {
    /// Its position in `accepts`, from 0.
    pub index: usize,
    /// Why.
    pub problem: OfferProblem,
}

impl fmt::Display for RefusedOffer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "offer {}: {}", self.index, self.problem)
    }
}

/// Splits offers into those that may be accepted, in the seller's order, and the others.
pub fn select(
    accepts: &[PaymentRequirements<Value>],
    expected: &Expectations<'_>,
) -> (Vec<Offer>, Vec<RefusedOffer>) {
    let (mut good, mut refused) = (Vec::new(), Vec::new());
    for (index, offer) in accepts.iter().enumerate() {
        match read(offer, expected) {
            Ok(offer) => good.push(offer),
            Err(problem) => refused.push(RefusedOffer { index, problem }),
        }
    }
    (good, refused)
}

fn read(
    offer: &PaymentRequirements<Value>,
    expected: &Expectations<'_>,
) -> Result<Offer, OfferProblem> {
    if offer.scheme != SCHEME_EXACT {
        return Err(OfferProblem::Scheme(offer.scheme.clone()));
    }
    if offer.network != expected.network {
        return Err(OfferProblem::Network {
            offered: offer.network.clone(),
            expected: expected.network.to_string(),
        });
    }
    let extra: ExactIcrc2Extra = serde_json::from_value(offer.extra.clone())
        .map_err(|e| OfferProblem::Unreadable(e.to_string()))?;
    if extra.asset_transfer_method != METHOD_ICRC2 {
        return Err(OfferProblem::Method(extra.asset_transfer_method));
    }
    // The order in which the seller works and settles is his affair: the payer signs the same.
    if let Some(flow) = &extra.payment_flow
        && !matches!(flow.as_str(), "authorization" | "upfront")
    {
        return Err(OfferProblem::Flow(flow.clone()));
    }
    let value = |field| move |problem| OfferProblem::Value { field, problem };
    let asset = parse_principal(&offer.asset).map_err(value("asset"))?;
    let amount: Amount = offer.amount.parse().map_err(value("amount"))?;
    let pay_to = parse_account(&offer.pay_to).map_err(value("payTo"))?;
    let spender = parse_principal(&extra.spender).map_err(value("spender"))?;
    let max = expected
        .controls
        .max(asset)
        .ok_or(OfferProblem::AssetNotAllowed(asset))?;
    if amount > max {
        return Err(OfferProblem::OverLimit { amount, max });
    }
    match expected.spender {
        Some(expected) if expected != spender => {
            return Err(OfferProblem::Spender {
                offered: spender,
                expected,
            });
        }
        _ => {}
    }
    let terms = PaymentRequirements {
        scheme: offer.scheme.clone(),
        network: offer.network.clone(),
        amount: offer.amount.clone(),
        asset: offer.asset.clone(),
        pay_to: offer.pay_to.clone(),
        max_timeout_seconds: offer.max_timeout_seconds,
        extra,
    };
    Ok(Offer {
        verbatim: offer.clone(),
        terms,
        asset,
        amount,
        pay_to,
        spender,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    const CKUSDC: &str = "xevnm-gaaaa-aaaar-qafnq-cai";
    const SPENDER: &str = "ryjl3-tyaaa-aaaaa-aaaba-cai";

    fn offer() -> Value {
        json!({
            "scheme": "exact", "network": "icp:1", "amount": "10000", "asset": CKUSDC,
            "payTo": "aaaaa-aa", "maxTimeoutSeconds": 60,
            "extra": {
                "assetTransferMethod": "icrc2", "symbol": "ckUSDC", "decimals": 6, "fee": "10000",
                "spender": SPENDER, "offer": "00", "unknown": {"kept": [null]},
            },
        })
    }

    fn judge(offer: Value) -> Result<Offer, OfferProblem> {
        let controls = SpendControls::default();
        let expected = Expectations {
            network: "icp:1",
            spender: Some(Principal::from_text(SPENDER).unwrap()),
            controls: &controls,
        };
        read(&serde_json::from_value(offer).unwrap(), &expected)
    }

    #[test]
    fn a_good_offer_is_accepted_and_kept_verbatim() {
        let accepted = judge(offer()).unwrap();
        assert_eq!(accepted.amount, Amount(10_000));
        assert_eq!(serde_json::to_value(accepted.verbatim).unwrap(), offer());
    }

    #[test]
    fn every_misfit_is_named() {
        let cases = [
            ("/scheme", json!("upto"), "scheme"),
            ("/network", json!("icp:0123456789abcdef"), "network"),
            (
                "/extra/assetTransferMethod",
                json!("icrc1"),
                "transfer method",
            ),
            ("/extra/paymentFlow", json!("escrow"), "payment flow"),
            ("/extra/offer", json!(7), "cannot be read"),
            ("/asset", json!(SPENDER), "not allowed"),
            ("/asset", json!("ckUSDC"), "asset"),
            ("/amount", json!("1000001"), "above the limit"),
            ("/amount", json!("1e3"), "amount"),
            ("/amount", json!("-1"), "amount"),
            ("/payTo", json!("nobody"), "payTo"),
            ("/extra/spender", json!("aaaaa-aa"), "collected by"),
        ];
        for (pointer, value, words) in cases {
            let mut offer = offer();
            match offer.pointer_mut(pointer) {
                Some(field) => *field = value,
                None => drop(
                    offer["extra"]
                        .as_object_mut()
                        .unwrap()
                        .insert("paymentFlow".into(), value),
                ),
            }
            let problem = judge(offer).unwrap_err();
            assert!(problem.to_string().contains(words), "{pointer}: {problem}");
        }
    }

    #[test]
    fn the_limit_itself_may_be_paid() {
        let mut at_limit = offer();
        at_limit["amount"] = json!("1000000");
        assert!(judge(at_limit).is_ok());
    }

    #[test]
    fn the_sellers_order_is_kept() {
        let mut cheap = offer();
        cheap["amount"] = json!("1");
        let mut foreign = offer();
        foreign["network"] = json!("eip155:8453");
        foreign["extra"] = json!({"name": "USDC"});
        let accepts: Vec<PaymentRequirements<Value>> = [offer(), foreign, cheap]
            .map(|offer| serde_json::from_value(offer).unwrap())
            .to_vec();
        let controls = SpendControls::default();
        let expected = Expectations {
            network: "icp:1",
            spender: None,
            controls: &controls,
        };
        let (good, refused) = select(&accepts, &expected);
        assert_eq!(
            good.iter().map(|o| o.amount.0).collect::<Vec<_>>(),
            [10_000, 1]
        );
        assert_eq!(refused.len(), 1);
        assert_eq!(refused[0].index, 1);
    }

    #[test]
    fn nothing_is_allowed_but_what_was_allowed() {
        let ledger = Principal::from_text(CKUSDC).unwrap();
        assert_eq!(SpendControls::none().max(ledger), None);
        assert_eq!(
            SpendControls::default().max(ledger),
            Some(Amount(1_000_000))
        );
        assert_eq!(
            SpendControls::none().allow(ledger, Amount(5)).max(ledger),
            Some(Amount(5))
        );
    }
}
