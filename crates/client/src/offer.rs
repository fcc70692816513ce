//! Selection of acceptable offers.

use crate::{plain_text::plain_text, required::natural, tokens::KNOWN_TOKENS};
use candid::Principal;
use serde_json::Value;
use std::fmt;
use x402_icp::{
    Account, Amount,
    offer::offer_matches,
    values::{ValueError, parse_account, parse_principal},
    wire::{ExactIcrc2Extra, METHOD_ICRC2, PaymentRequirements, SCHEME_EXACT},
};

/// The most that is paid at once, for each ledger; other ledgers are never paid with.
///
/// The default allows one US dollar in ckUSDC and ckUSDT, as stock x402 clients do. The order of the ledgers is the
/// payer's order of preference.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SpendControls(Vec<(Principal, Amount)>);

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
        SpendControls(Vec::new())
    }

    /// Allows up to `max` atomic units of a ledger in one payment, without the ledger's fee. A ledger that is allowed
    /// already keeps its place.
    pub fn allow(mut self, ledger: Principal, max: Amount) -> Self {
        match self.0.iter_mut().find(|(known, _)| *known == ledger) {
            Some(known) => known.1 = max,
            None => self.0.push((ledger, max)),
        }
        self
    }

    /// The most that may be paid at once with a ledger; `None` if nothing.
    pub fn max(&self, ledger: Principal) -> Option<Amount> {
        let known = self.0.iter().find(|(known, _)| *known == ledger)?;
        Some(known.1)
    }

    /// The place of a ledger in the payer's order.
    fn rank(&self, ledger: Principal) -> usize {
        let place = self.0.iter().position(|(known, _)| *known == ledger);
        place.unwrap_or(usize::MAX)
    }
}

/// The conditions for an offer.
#[derive(Clone, Debug)]
pub struct Expectations<'a> {
    /// The network the payer is connected to.
    pub network: &'a str,
    /// The canister that must collect the payment: the one that serves the resource, or the one that the user names.
    /// `None` if it is not known; then no offer is accepted.
    pub spender: Option<Principal>,
    /// The method of the request that is to be paid.
    pub method: &'a str,
    /// The path of its URL without decoding, and without the query.
    pub path: &'a str,
    /// The limits on the price.
    pub controls: &'a SpendControls,
}

/// An offer this payer can accept.
#[derive(Clone, Debug, PartialEq)]
pub struct Offer {
    /// As the seller sent it, to be echoed.
    pub verbatim: PaymentRequirements<Value>,
    /// The same, decoded.
    pub terms: PaymentRequirements<ExactIcrc2Extra>,
    /// The ledger.
    pub asset: Principal,
    /// The price in atomic units, without the ledger's fee.
    pub amount: Amount,
    /// The recipient.
    pub pay_to: Account,
    /// The collecting canister.
    pub spender: Principal,
    /// The ledger's fee according to the seller, in atomic units. It is compared with the ledger's own before anything
    /// is signed.
    pub fee: Amount,
    /// The spender's allowance at the last query, in atomic units, and its end (nanoseconds; `None` without an end).
    pub(crate) allowance: Option<(Amount, Option<u64>)>,
}

impl Offer {
    /// The amount that the payer's account is debited: price and fee, in atomic units.
    pub fn total(&self) -> Amount {
        Amount(self.amount.0.saturating_add(self.fee.0))
    }
}

/// The longest validity of an authorization that is signed, in seconds: one day.
pub const MAX_TIMEOUT_SECONDS: u32 = 86_400;

/// The reason why an offer is not accepted.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum OfferProblem {
    /// The entry is not an offer of x402 version 2.
    #[error("it is not an offer: {0}")]
    NotAnOffer(String),
    /// Another scheme than `exact`.
    #[error("scheme {:?} is not supported", plain_text(.0))]
    Scheme(String),
    /// Another network.
    #[error("it is for network {}, not {expected}", plain_text(offered))]
    Network {
        /// The offer's.
        offered: String,
        /// The payer's.
        expected: String,
    },
    /// The scheme's part of the offer cannot be decoded.
    #[error("it cannot be decoded: {}", plain_text(.0))]
    Unreadable(String),
    /// Another transfer method than an allowance.
    #[error("transfer method {:?} is not supported", plain_text(.0))]
    Method(String),
    /// An unknown order of steps.
    #[error("payment flow {:?} is not known", plain_text(.0))]
    Flow(String),
    /// A field has an invalid value.
    #[error("{field} {problem}")]
    Value {
        /// The field.
        field: &'static str,
        /// The problem.
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
    /// Another canister would collect the money.
    #[error("it is collected by {offered}, not by {expected}")]
    Spender {
        /// The offer's.
        offered: Principal,
        /// The canister that serves the resource, or the one that the payer named.
        expected: Principal,
    },
    /// The canister that serves the resource is not known, so the right collecting canister is not known either.
    #[error(
        "the canister that serves this URL is not known, and {0} would collect: name it if you trust it (--spender)"
    )]
    UnknownServer(Principal),
    /// The offer is for another request.
    #[error("it is not for this request: {}", plain_text(.0))]
    OtherRequest(String),
    /// The validity in the offer is longer than any that is signed.
    #[error("maxTimeoutSeconds is {0}, at most {MAX_TIMEOUT_SECONDS} are signed")]
    TooLong(u64),
}

/// An offer that was not accepted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RefusedOffer {
    /// Its position in `accepts`, from 0.
    pub index: usize,
    /// The reason.
    pub problem: OfferProblem,
}

impl fmt::Display for RefusedOffer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "offer {}: {}", self.index, self.problem)
    }
}

/// Splits the entries of `accepts` into acceptable offers, the best first, and the others. The best is the one whose
/// ledger comes first in the payer's order, and among those the cheapest.
pub fn select(accepts: &[Value], expected: &Expectations<'_>) -> (Vec<Offer>, Vec<RefusedOffer>) {
    let (mut good, mut refused) = (Vec::new(), Vec::new());
    for (index, offer) in accepts.iter().enumerate() {
        match read(offer, expected) {
            Ok(offer) => good.push(offer),
            Err(problem) => refused.push(RefusedOffer { index, problem }),
        }
    }
    // Of equal offers the seller's first.
    good.sort_by_key(|offer| (expected.controls.rank(offer.asset), offer.amount));
    (good, refused)
}

/// Checks the form of an entry, then its parties, then its price.
fn read(entry: &Value, expected: &Expectations<'_>) -> Result<Offer, OfferProblem> {
    let Value::Object(members) = entry else {
        return Err(OfferProblem::NotAnOffer("it is not an object".into()));
    };
    let text = |key: &str| match members.get(key) {
        Some(Value::String(text)) => Ok(text.clone()),
        None | Some(Value::Null) if members.contains_key("maxAmountRequired") => Err(
            OfferProblem::NotAnOffer("it has the names of x402 version 1".into()),
        ),
        None | Some(Value::Null) => Err(OfferProblem::NotAnOffer(format!("{key} is missing"))),
        Some(_) => Err(OfferProblem::NotAnOffer(format!("{key} is not a text"))),
    };
    let scheme = text("scheme")?;
    if scheme != SCHEME_EXACT {
        return Err(OfferProblem::Scheme(scheme));
    }
    let network = text("network")?;
    if network != expected.network {
        return Err(OfferProblem::Network {
            offered: network,
            expected: expected.network.to_string(),
        });
    }
    let (amount_text, asset_text, pay_to_text) = (text("amount")?, text("asset")?, text("payTo")?);
    let seconds = match members.get("maxTimeoutSeconds").map(natural) {
        Some(Some(seconds)) if seconds > 0 => seconds,
        _ => {
            let problem = "maxTimeoutSeconds is not a positive whole number of seconds";
            return Err(OfferProblem::NotAnOffer(problem.into()));
        }
    };
    let max_timeout_seconds = u32::try_from(seconds)
        .ok()
        .filter(|seconds| *seconds <= MAX_TIMEOUT_SECONDS)
        .ok_or(OfferProblem::TooLong(seconds))?;
    let raw = match members.get("extra") {
        Some(extra @ Value::Object(_)) => extra,
        _ => return Err(OfferProblem::NotAnOffer("extra is not an object".into())),
    };
    let extra = read_extra(raw)?;
    let value = |field| move |problem| OfferProblem::Value { field, problem };
    let asset = parse_principal(&asset_text).map_err(value("asset"))?;
    let amount: Amount = amount_text.parse().map_err(value("amount"))?;
    let pay_to = parse_account(&pay_to_text).map_err(value("payTo"))?;
    let spender = parse_principal(&extra.spender).map_err(value("spender"))?;
    let fee: Amount = extra.fee.parse().map_err(value("fee"))?;
    let max = expected
        .controls
        .max(asset)
        .ok_or(OfferProblem::AssetNotAllowed(asset))?;
    if amount > max {
        return Err(OfferProblem::OverLimit { amount, max });
    }
    match expected.spender {
        None => return Err(OfferProblem::UnknownServer(spender)),
        Some(expected) if expected != spender => {
            return Err(OfferProblem::Spender {
                offered: spender,
                expected,
            });
        }
        Some(_) => {}
    }
    offer_matches(&extra, expected.method, expected.path)
        .map_err(|e| OfferProblem::OtherRequest(e.to_string()))?;
    let parts = |extra| PaymentRequirements {
        scheme,
        network,
        amount: amount_text,
        asset: asset_text,
        pay_to: pay_to_text,
        max_timeout_seconds,
        extra,
    };
    let verbatim = parts(raw.clone());
    let terms = PaymentRequirements {
        scheme: verbatim.scheme.clone(),
        network: verbatim.network.clone(),
        amount: verbatim.amount.clone(),
        asset: verbatim.asset.clone(),
        pay_to: verbatim.pay_to.clone(),
        max_timeout_seconds,
        extra,
    };
    Ok(Offer {
        verbatim,
        terms,
        asset,
        amount,
        pay_to,
        spender,
        fee,
        allowance: None,
    })
}

fn read_extra(raw: &Value) -> Result<ExactIcrc2Extra, OfferProblem> {
    let extra: ExactIcrc2Extra =
        serde_json::from_value(raw.clone()).map_err(|e| OfferProblem::Unreadable(e.to_string()))?;
    if extra.asset_transfer_method != METHOD_ICRC2 {
        return Err(OfferProblem::Method(extra.asset_transfer_method));
    }
    // The order in which the seller works and settles is the seller's choice, and one of the signed terms.
    match &extra.payment_flow {
        Some(flow) if !matches!(flow.as_str(), "authorization" | "upfront") => {
            Err(OfferProblem::Flow(flow.clone()))
        }
        _ => Ok(extra),
    }
}

#[cfg(test)]
mod tests;
