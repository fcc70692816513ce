//! Verification of a payment, in the order of the binding. The first failure decides, and no step after a failing one
//! runs.
//!
//! 1. sizes, JSON, base64 (done when the header is read: [`x402_icp::decode_payment`])
//! 2. x402 version, scheme, network, method
//! 3. the accepted offer is one of this route's, compared field by field
//! 4. the time window
//! 5. the nonce is neither used nor cancelled
//! 6. public conditions: the route is on sale, the ledger enabled, the canister able to accept payments
//! 7. the signature, and that it is the payer's
//! 8. conditions of this payer: the number of the payer's open payments, the outcome of the latest ones
//!
//! Step 7 costs most by far, so everything that does not need it comes first. Facts about a payer are told only to a
//! request with the payer's signature.

use crate::{
    domain::{
        capacity::{Capacity, NoCapacity},
        combination::{Combination, ROUTE_BY_ICRC2},
        expensive::{ExpensiveSignatures, Proved, Unproved},
        offer::{self, Offer},
        route::Route,
    },
    types::{Account, ClaimKey, Cycles, PaymentId, TimestampNs},
};
use candid::Principal;
use x402_icp::{
    Code, Terms,
    authorization::{payment_id, signed_message},
    decode::DecodedPayment,
    signature,
    wire::{PaymentRequirements, X402_VERSION},
};

/// The reason why a payment is not accepted. Nothing was stored and nothing moved.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{code}: {message}")]
pub struct Refusal {
    pub code: Code,
    /// For a reader; contains nothing that a stranger may not know.
    pub message: String,
}

impl Refusal {
    pub fn new(code: Code, message: impl Into<String>) -> Self {
        Refusal {
            code,
            message: message.into(),
        }
    }
}

/// The state of a nonce.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NonceState {
    /// No known payment uses it, including failed ones.
    Free,
    Used,
    /// Its payer cancelled it.
    Cancelled,
}

/// The stored state that a payment is verified against.
#[derive(Debug)]
pub struct Sale<'a> {
    /// The claim key of the payment.
    pub claim_key: ClaimKey,
    pub route: &'a Route,
    /// The route's offers, on sale or not.
    pub offers: &'a [Offer],
    /// CAIP-2 id of this network.
    pub network: &'a str,
    /// This canister.
    pub spender: Principal,
    pub now: TimestampNs,
    /// The liquid cycles above the floor.
    pub spare: Cycles,
    /// DER of the network's root key, the trust anchor of canister signatures.
    pub root_key: &'a [u8],
}

/// A payment that may be settled.
#[derive(Clone, Debug, PartialEq)]
pub struct VerifiedPayment<'a> {
    pub id: PaymentId,
    pub claim_key: ClaimKey,
    pub from: Account,
    /// `created_at_time` of the transfer.
    pub created_at: TimestampNs,
    /// The second from which on no transfer is sent.
    pub valid_before: u64,
    /// The offer that is paid.
    pub offer: &'a Offer,
}

/// Runs steps 2 to 8. `nonce_state` is used in step 5, `capacity` (of payer and ledger) in step 6, and step 7 uses and
/// updates `expensive`.
pub fn verify<'a>(
    payment: &DecodedPayment,
    sale: &Sale<'a>,
    nonce_state: impl FnOnce(&ClaimKey) -> NonceState,
    expensive: &mut ExpensiveSignatures,
    capacity: impl FnOnce(&Principal, &Principal) -> Capacity,
) -> Result<VerifiedPayment<'a>, Refusal> {
    let DecodedPayment {
        payload,
        authorization,
    } = payment;

    let accepted = &payload.accepted;
    check_protocol(
        payload.x402_version,
        (&accepted.scheme, &accepted.network),
        &accepted.extra.asset_transfer_method,
        (&ROUTE_BY_ICRC2, sale.network),
    )?;

    let offer = matching_offer(&payload.accepted, sale)?;

    authorization
        .check_window(sale.now.0, offer.requirements.max_timeout_seconds)
        .map_err(|code| {
            Refusal::new(
                code,
                format!(
                    "valid from {} to {}, now is {}, at most {} seconds are allowed",
                    authorization.valid_after,
                    authorization.valid_before,
                    sale.now.seconds(),
                    offer.requirements.max_timeout_seconds
                ),
            )
        })?;

    let claim_key = sale.claim_key;
    match nonce_state(&claim_key) {
        NonceState::Free => {}
        NonceState::Used => {
            return Err(Refusal::new(
                Code::NonceUsed,
                "this payer used the nonce before",
            ));
        }
        NonceState::Cancelled => {
            return Err(Refusal::new(
                Code::Cancelled,
                "the payer cancelled the authorization",
            ));
        }
    }

    check_on_sale(sale.route, offer)?;
    let capacity = capacity(&authorization.from.owner, &offer.ledger.id);
    capacity.public.map_err(busy)?;

    let message = signed_message(&Terms::from(&offer.requirements), &payload.payload);
    check_signature(payment, &message, sale, expensive, claim_key)?;

    capacity.of_payer.map_err(busy)?;

    Ok(VerifiedPayment {
        id: payment_id(&message),
        claim_key,
        from: crate::types::canonical(authorization.from),
        created_at: TimestampNs::from_seconds(authorization.valid_after),
        valid_before: authorization.valid_before,
        offer,
    })
}

/// The part of step 6 that concerns route and ledger.
pub(super) fn check_on_sale(route: &Route, offer: &Offer) -> Result<(), Refusal> {
    if offer::on_sale(route, offer) {
        return Ok(());
    }
    let problem = match offer.ledger.enabled {
        true => "the resource is not on sale",
        false => "the ledger is not accepted at present",
    };
    Err(Refusal::new(Code::LedgerUnavailable, problem))
}

/// The refusal of a payment that the canister cannot take at present.
pub(super) fn busy(reason: NoCapacity) -> Refusal {
    Refusal::new(Code::LedgerUnavailable, reason.to_string())
}

/// Step 2. The last argument is what is expected: a combination, and this network.
pub(super) fn check_protocol(
    version: u32,
    (scheme, named_network): (&str, &str),
    method: &str,
    (expected, network): (&Combination, &str),
) -> Result<(), Refusal> {
    if version != X402_VERSION {
        return Err(Refusal::new(
            Code::InvalidX402Version,
            "x402Version must be 2",
        ));
    }
    if scheme != expected.scheme.name() {
        return Err(Refusal::new(
            Code::UnsupportedScheme,
            "the scheme must be exact",
        ));
    }
    if named_network != network {
        return Err(Refusal::new(
            Code::NetworkMismatch,
            format!("the network is {network}"),
        ));
    }
    if method != expected.rail.name() {
        return Err(Refusal::new(
            Code::Method,
            format!("the asset transfer method must be {}", expected.rail.name()),
        ));
    }
    Ok(())
}

/// Step 3: narrows the offers down field by field, so that the code names the first field that matches no offer.
fn matching_offer<'a>(
    accepted: &PaymentRequirements,
    sale: &Sale<'a>,
) -> Result<&'a Offer, Refusal> {
    let mut left: Vec<&Offer> = sale.offers.iter().collect();
    let mut narrow = |code: Code, same: &dyn Fn(&PaymentRequirements) -> bool, field: &str| {
        left.retain(|offer| same(&offer.requirements));
        match left.first() {
            Some(offer) => Ok(*offer),
            None => Err(Refusal::new(
                code,
                format!("{field} is not that of any offer"),
            )),
        }
    };
    let extra = &accepted.extra;
    narrow(
        Code::AssetMismatch,
        &|ours| ours.asset == accepted.asset,
        "asset",
    )?;
    narrow(
        Code::AmountMismatch,
        &|ours| ours.amount == accepted.amount,
        "amount",
    )?;
    narrow(
        Code::RecipientMismatch,
        &|ours| ours.pay_to == accepted.pay_to,
        "payTo",
    )?;
    narrow(
        Code::SpenderMismatch,
        &|ours| ours.extra.spender == extra.spender,
        "extra.spender",
    )?;
    narrow(
        Code::OfferMismatch,
        &|ours| ours.extra.offer == extra.offer,
        "extra.offer",
    )?;
    narrow(
        Code::OfferMismatch,
        &|ours| ours.extra.fee == extra.fee,
        "extra.fee",
    )?;
    narrow(
        Code::OfferMismatch,
        &|ours| ours.extra.symbol == extra.symbol && ours.extra.decimals == extra.decimals,
        "extra.symbol or extra.decimals",
    )?;
    narrow(
        Code::OfferMismatch,
        &|ours| ours.extra.flow() == extra.flow(),
        "extra.paymentFlow",
    )?;
    narrow(
        Code::OfferMismatch,
        &|ours| ours.max_timeout_seconds == accepted.max_timeout_seconds,
        "maxTimeoutSeconds",
    )
}

/// Step 7, the cheap parts first.
fn check_signature(
    payment: &DecodedPayment,
    message: &[u8],
    sale: &Sale<'_>,
    expensive: &mut ExpensiveSignatures,
    claim_key: ClaimKey,
) -> Result<(), Refusal> {
    let authorization = &payment.authorization;
    let refuse = |error: Unproved| {
        let code = match error {
            Unproved::Exhausted(_) => Code::LedgerUnavailable,
            Unproved::Signature(_) | Unproved::FailedBefore => Code::Signature,
        };
        Refusal::new(code, error.to_string())
    };
    let chain = signature::check_chain(
        &authorization.public_key,
        &authorization.delegations,
        sale.now.0,
        sale.spender,
    )
    .map_err(|error| refuse(error.into()))?;
    if chain.payer() != authorization.from.owner {
        return Err(Refusal::new(
            Code::PayerMismatch,
            "publicKey is not that of the owner of from",
        ));
    }
    let proved = Proved {
        message,
        signature: &authorization.signature,
        root_key: sale.root_key,
    };
    expensive
        .check(&chain, proved, claim_key, sale.spare, sale.now)
        .map_err(refuse)
}

#[cfg(test)]
mod tests;
