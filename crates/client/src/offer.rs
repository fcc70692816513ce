//! Selection of acceptable offers.

mod read;

use crate::{plain_text::plain_text, tokens::KNOWN_TOKENS};
use candid::Principal;
use read::read;
use serde_json::Value;
use std::{fmt, time::Instant};
use x402_icp::{
    Account, Amount,
    values::ValueError,
    wire::{ExactIcrc1Extra, ExactIcrc2Extra, PaymentRequirements},
};

/// The way in which the money moves.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Method {
    /// The canister collects it from an allowance, after it has checked the payment (`icrc2`).
    Allowance,
    /// The payer transfers it, and proves it afterwards (`icrc1`).
    Transfer,
    /// The payer calls the canister's Candid method `pay`, and the canister collects it from an allowance (`icrc2`).
    Call,
}

impl Method {
    /// Its name.
    pub fn as_str(self) -> &'static str {
        match self {
            Method::Allowance => "allowance",
            Method::Transfer => "transfer",
            Method::Call => "call",
        }
    }
}

/// The ways of paying that the payer allows.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum By {
    /// By allowance only.
    #[default]
    Allowance,
    /// By the payer's own transfer only.
    Transfer,
    /// By a call of the canister only. A call says method and path, and nothing else of the request.
    Call,
    /// By allowance; by call if the authorization can be neither signed nor sent; by transfer if no other offer is
    /// acceptable.
    Any,
}

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
    /// The ways of paying.
    pub by: By,
}

/// The terms of an offer, by its method.
#[derive(Clone, Debug, PartialEq)]
pub enum OfferTerms {
    /// [`Method::Allowance`].
    Icrc2(PaymentRequirements<ExactIcrc2Extra>),
    /// [`Method::Transfer`].
    Icrc1(PaymentRequirements<ExactIcrc1Extra>),
}

/// An offer this payer can accept.
#[derive(Clone, Debug, PartialEq)]
pub struct Offer {
    /// As the seller sent it, to be echoed.
    pub verbatim: PaymentRequirements<Value>,
    /// The same, decoded.
    pub terms: OfferTerms,
    /// The ledger.
    pub asset: Principal,
    /// The price in atomic units, without the ledger's fee.
    pub amount: Amount,
    /// The recipient.
    pub pay_to: Account,
    /// The canister that collects, or reads the proof of a transfer.
    pub spender: Principal,
    /// The ledger's fee according to the seller, in atomic units. It is compared with the ledger's own before anything
    /// is signed.
    pub fee: Amount,
    /// The spender's allowance at the last query, in atomic units, and its end (nanoseconds; `None` without an end).
    pub(crate) allowance: Option<(Amount, Option<u64>)>,
    /// The canister's confirmation by update call. Nothing else is paid by transfer or by call.
    pub(crate) confirmed: Option<Confirmed>,
    /// Whether an offer by allowance is taken by a call instead of an authorization.
    pub(crate) called: bool,
}

/// The confirmation of an offer by the canister that makes it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Confirmed {
    /// The time that the canister's subnet signed, in nanoseconds since 1970-01-01.
    pub at: u64,
    /// The moment at which it arrived.
    pub arrived: Instant,
}

impl Offer {
    /// How the money moves.
    pub fn method(&self) -> Method {
        match self.terms {
            OfferTerms::Icrc2(_) if self.called => Method::Call,
            OfferTerms::Icrc2(_) => Method::Allowance,
            OfferTerms::Icrc1(_) => Method::Transfer,
        }
    }

    /// The same offer, taken by a call. An offer by transfer stays one.
    pub(crate) fn by_call(self) -> Self {
        Offer {
            called: true,
            ..self
        }
    }

    /// The longest validity of an authorization, in seconds.
    pub fn max_timeout_seconds(&self) -> u32 {
        self.verbatim.max_timeout_seconds
    }

    /// The amount that the payer's account is debited: price and fee, in atomic units.
    pub fn total(&self) -> Amount {
        Amount(self.amount.0.saturating_add(self.fee.0))
    }
}

/// The longest validity of an authorization that is signed, in seconds: one day.
pub const MAX_TIMEOUT_SECONDS: u32 = 86_400;

/// The shortest time in which the proof of a transfer is accepted, in seconds: less may pass while the ledger answers.
pub const MIN_PROOF_AGE_SECONDS: u32 = 600;

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
    /// It is paid by transfer, and the payer pays by allowance only.
    #[error(
        "it is paid by your own transfer, before the canister checks anything; allow it with --by transfer or --by any"
    )]
    ByTransfer,
    /// It is paid from an allowance, and the payer pays by transfer only.
    #[error("it is paid by allowance (--by transfer was chosen)")]
    ByAllowance,
    /// An offer by allowance is acceptable, too, and taken before it.
    #[error("it is paid by your own transfer, and an offer by allowance is acceptable, too")]
    NotNeeded,
    /// The time in which a transfer can be proven is too short.
    #[error(
        "maxProofAgeSeconds is {0}: a transfer that cannot be proven within {MIN_PROOF_AGE_SECONDS} s buys nothing"
    )]
    ProofAge(u32),
    /// A transfer method that is not known.
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
    let (mut good, mut refused): (Vec<(usize, Offer)>, Vec<_>) = Default::default();
    for (index, offer) in accepts.iter().enumerate() {
        match read(offer, expected) {
            Ok(offer) => good.push((index, offer)),
            Err(problem) => refused.push(RefusedOffer { index, problem }),
        }
    }
    if good
        .iter()
        .any(|(_, offer)| offer.method() != Method::Transfer)
    {
        good.retain(|(index, offer)| {
            let kept = offer.method() != Method::Transfer;
            if !kept {
                refused.push(RefusedOffer {
                    index: *index,
                    problem: OfferProblem::NotNeeded,
                });
            }
            kept
        });
        refused.sort_by_key(|refused| refused.index);
    }
    let mut good: Vec<Offer> = good.into_iter().map(|(_, offer)| offer).collect();
    // Of equal offers the seller's first.
    good.sort_by_key(|offer| (expected.controls.rank(offer.asset), offer.amount));
    (good, refused)
}

/// Why the offer at a place is taken of acceptable ones.
pub fn why(offers: &[Offer], taken: usize) -> &'static str {
    match (offers, taken) {
        ([_], _) => "the only acceptable offer",
        (_, 1..) => "the first one that can be paid",
        ([first, second, ..], _) if first.asset != second.asset => {
            "its ledger comes first in your order (--asset)"
        }
        _ => "the cheapest in the ledger that comes first",
    }
}

#[cfg(test)]
mod tests;
