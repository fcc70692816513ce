//! Payments by the payer's own transfer (`icrc1`): what is checked before its block is read, and what the block buys.
//!
//! The money has moved when the proof comes. So a proof is refused only if the block is not that transfer, if it is
//! older than [`MAX_REFUND_AGE`], or if the money went to an account that this canister does not sell for. A transfer
//! that pays no present offer, or comes after [`MAX_PROOF_AGE`], is recorded and refunded.

use crate::{
    domain::{
        block_log::PlainTransfer,
        combination::ROUTE_BY_ICRC1,
        invoice::is_invoice_account,
        ledger::Ledger,
        offer::{self, Offer},
        route::Route,
        verify::{Refusal, check_protocol},
        window::{MAX_PROOF_AGE, MAX_REFUND_AGE},
        work::is_ambiguous,
    },
    types::{
        Account, Amount, AuthorizationDigest, BlockIndex, ClaimKey, Method, PaymentId, RouteKey,
        Seconds, TimestampNs, canonical,
    },
};
use candid::Principal;
use sha2::{Digest, Sha256};
use x402_icp::{
    Code,
    decode::DecodedTransfer,
    offer::{OfferParts, is_of_its_parts},
    template,
    transfer::transfer_id,
    wire::PAYMENT_FLOW_UPFRONT,
};

/// How far a block's time may be ahead of this canister's.
const DRIFT: Seconds = Seconds(120);

pub fn claim_key(transfer: &DecodedTransfer) -> ClaimKey {
    let proof = &transfer.proof;
    ClaimKey::icrc1(&proof.asset, BlockIndex(proof.block), &proof.secret)
}

/// The payment's id.
pub fn payment_id(transfer: &DecodedTransfer) -> PaymentId {
    let (accepted, proof) = (&transfer.payload.accepted, &transfer.proof);
    transfer_id(&accepted.network, &accepted.asset, proof.block, &proof.memo)
}

/// Identifies what only the payer, and recipients of the payer's message, can present: the secret, with the terms.
pub fn digest(transfer: &DecodedTransfer) -> AuthorizationDigest {
    let hash: [u8; 32] = Sha256::new()
        .chain_update(transfer.proof.memo)
        .chain_update(transfer.proof.secret.0)
        .chain_update(transfer.payload.payload.from.as_bytes())
        .finalize()
        .into();
    AuthorizationDigest::from(hash)
}

/// The route that the transfer was made for, if this canister can have made its offer.
pub fn route_key(transfer: &DecodedTransfer, canister: Principal) -> Result<RouteKey, Refusal> {
    let parts = OfferParts::from(&transfer.payload.accepted.extra);
    if parts.canister != canister.to_text() {
        return Err(Refusal::new(
            Code::SpenderMismatch,
            format!("extra.canister is not {canister}"),
        ));
    }
    let mismatch = |problem: String| Refusal::new(Code::OfferMismatch, problem);
    let (method, path) = is_of_its_parts(&parts).map_err(|error| mismatch(error.to_string()))?;
    let method: Method = method
        .parse()
        .map_err(|_| mismatch("extra.method is not a method of a route".into()))?;
    Ok(RouteKey::new(method, path.to_string()))
}

/// The stored state that a proof is verified against.
#[derive(Debug)]
pub struct TransferSale<'a> {
    /// The route that the transfer was made for, if it still exists.
    pub route: Option<&'a Route>,
    /// The route's offers, on sale or not.
    pub offers: &'a [Offer],
    /// The ledger that the proof names, if it is registered.
    pub ledger: Option<&'a Ledger>,
    /// The account that is paid for routes without one of their own.
    pub pay_to: Account,
    /// Whether this canister recorded a payment to the account that the proof names.
    pub was_paid: bool,
    /// Whether a route ever offered to pay by a transfer.
    pub transfers_offered: bool,
    /// The highest price revision of an earlier installation of the canister, which claimed blocks that are unknown now.
    pub earlier_revisions: u64,
    /// CAIP-2 id of this network.
    pub network: &'a str,
    pub canister: Principal,
    pub now: TimestampNs,
}

/// Checks everything that needs no block. `request`: method and path of the request.
pub fn admit(
    transfer: &DecodedTransfer,
    request: &RouteKey,
    sale: &TransferSale<'_>,
) -> Result<(), Refusal> {
    let accepted = &transfer.payload.accepted;
    check_protocol(
        transfer.payload.x402_version,
        (&accepted.scheme, &accepted.network),
        &accepted.extra.asset_transfer_method,
        (&ROUTE_BY_ICRC1, sale.network),
    )?;
    if accepted.extra.payment_flow != PAYMENT_FLOW_UPFRONT {
        return Err(Refusal::new(
            Code::OfferMismatch,
            "extra.paymentFlow must be upfront",
        ));
    }
    let route = route_key(transfer, sale.canister)?;
    if !sale.transfers_offered {
        return Err(Refusal::new(
            Code::Method,
            "this canister never offered to pay by a transfer",
        ));
    }
    if route.method != request.method || !template::matches(&route.path, &request.path) {
        return Err(Refusal::new(
            Code::OfferMismatch,
            format!("the transfer was made for {route}"),
        ));
    }
    if accepted.extra.revision <= sale.earlier_revisions {
        return Err(Refusal::new(
            Code::OfferMismatch,
            "the offer is of an earlier installation of this canister",
        ));
    }
    if sale.route.is_some_and(|route| route.forward.is_some()) && is_ambiguous(&request.path) {
        return Err(Refusal::new(
            Code::OfferMismatch,
            "a path with a segment . or .. is not passed on",
        ));
    }
    match sale.ledger {
        None => {
            return Err(Refusal::new(
                Code::AssetMismatch,
                "asset is not a ledger of this canister",
            ));
        }
        // A disabled ledger sells nothing: what was transferred in it is owed back.
        Some(ledger) if !ledger.has_block_log() => {
            return Err(Refusal::new(
                Code::LedgerUnavailable,
                "the ledger has no block log at present",
            ));
        }
        Some(_) => {}
    }
    let pay_to = canonical(transfer.proof.pay_to);
    let of_route = sale.route.and_then(|route| route.own_pay_to);
    let ours = sale.was_paid
        || pay_to == canonical(sale.pay_to)
        || of_route.is_some_and(|own| pay_to == canonical(own));
    // The money of an invoice is a payer's.
    match ours && !is_invoice_account(&pay_to) {
        true => Ok(()),
        false => Err(Refusal::new(
            Code::RecipientMismatch,
            "payTo is not an account that this canister sells for",
        )),
    }
}

/// What a transfer pays.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Paid {
    /// A present offer of the route.
    Offer,
    /// No present offer: the money is to be refunded.
    Nothing,
}

/// What the block proves; refused if it is not the transfer.
pub fn judge(
    transfer: &DecodedTransfer,
    shown: &PlainTransfer,
    sale: &TransferSale<'_>,
) -> Result<Paid, Refusal> {
    let proof = &transfer.proof;
    let other = |what: &str| {
        Err(Refusal::new(
            Code::Transfer,
            format!("the block has another {what}"),
        ))
    };
    // A stranger learns nothing that the public ledger does not show.
    if shown.memo != proof.memo {
        return other("memo than these terms with this secret");
    }
    if !shown.to.is(&proof.pay_to) {
        return other("recipient than payTo");
    }
    if !shown.from.is(&proof.from) {
        return other("sender than from");
    }
    if shown.at.plus(MAX_REFUND_AGE) < sale.now || shown.at > sale.now.plus(DRIFT) {
        return Err(Refusal::new(
            Code::ProofTooOld,
            format!(
                "the block is of {}, now is {}; a transfer is refunded for {} seconds",
                shown.at.seconds(),
                sale.now.seconds(),
                MAX_REFUND_AGE.0
            ),
        ));
    }
    let in_time = shown.at.plus(MAX_PROOF_AGE) >= sale.now;
    let pays = |offer: &&Offer| {
        offer.ledger.id == proof.asset
            && canonical(offer.pay_to) == canonical(proof.pay_to)
            && offer.price.amount <= shown.amount
    };
    let on_sale = |offer: &Offer| sale.route.is_some_and(|route| offer::on_sale(route, offer));
    if in_time && sale.offers.iter().filter(pays).any(on_sale) {
        return Ok(Paid::Offer);
    }
    let fee = sale.ledger.map_or(Amount(0), |ledger| ledger.fee);
    match shown.amount > fee.max(shown.fee.unwrap_or_default()) {
        true => Ok(Paid::Nothing),
        false => Err(Refusal::new(
            Code::AmountMismatch,
            format!("{} units pay no offer and no refund", shown.amount),
        )),
    }
}

#[cfg(test)]
mod tests;
