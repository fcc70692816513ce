//! Payments by the payer's own transfer: the block is read, and what it paid is recorded in one write.
//!
//! The money has moved before this canister hears of it, and reading a block moves nothing. So nothing is recorded
//! before the await. What was true before it is checked again after it: another message may have recorded the same
//! payment meanwhile. Whatever fails leaves nothing behind, and the payer presents the same proof again.

use super::{
    fulfil,
    known::answer_from_record,
    means,
    outcome::note,
    verify::{put_work, unavailable},
};
use crate::{
    domain::{
        combination::ROUTE_BY_ICRC1,
        fulfilment::Fulfilment,
        offer,
        payment::{Event, Payment, RefundCause, State},
        rail::TxRef,
        request::{PayOutcome, PaymentRequest, Resource},
        route::Route,
        transfer::{self, Paid, TransferSale},
        verify::Refusal,
    },
    runtime::Runtime,
    service::{
        block_lookup::{self, Found},
        catalogue, identifiers, refund, schedule,
    },
    storage::{
        self,
        payments::{Change, NewPayment},
    },
    types::{AuthorizationDigest, BlockIndex, ClaimKey, Fingerprint, MerchantId, canonical},
};
use candid::Principal;
use x402_icp::{Code, decode::DecodedTransfer};

/// Processes a proof whose claim key no payment uses.
pub async fn prove<R: Runtime>(
    runtime: &R,
    key: &ClaimKey,
    request: &PaymentRequest,
    proved: &DecodedTransfer,
    digest: AuthorizationDigest,
) -> PayOutcome {
    let admitted = with_sale(runtime, request, proved, |sale| {
        transfer::admit(proved, request.purchase.request(), sale)
    });
    // The money has moved. While the canister can do nothing about it, the payer has to come again with the same proof.
    // A refusal would show offers, and a payer who finds some pays again.
    let pending = || PayOutcome::Pending {
        payment_id: transfer::payment_id(proved),
        payer: proved.proof.from,
    };
    let refused = |refusal: Refusal| match refusal.code {
        Code::LedgerUnavailable => pending(),
        _ => PayOutcome::Refused(refusal),
    };
    if let Err(refusal) = admitted {
        return refused(refusal);
    }
    let ledger = proved.proof.asset;
    let block = BlockIndex(proved.proof.block);
    if !has_capacity(runtime, request, proved) {
        return pending();
    }
    let shown = match block_lookup::block(runtime, ledger, block).await {
        Ok(Found::Block(shown)) => shown,
        Ok(Found::Missing) => {
            return PayOutcome::Refused(Refusal::new(
                Code::Transfer,
                format!("the ledger has no block {}", block.0),
            ));
        }
        Err(block_lookup::NotRead) => return pending(),
    };
    match storage::payments::find(key) {
        Ok(None) => {}
        Ok(Some(payment)) => {
            return answer_from_record(runtime, key, payment, request, digest).await;
        }
        Err(_) => return pending(),
    }
    if !has_capacity(runtime, request, proved) {
        return pending();
    }
    let Some(shown) = shown else {
        return PayOutcome::Refused(Refusal::new(
            Code::Transfer,
            "the block is not a transfer with a memo of 32 bytes that can be read",
        ));
    };
    if let Some(claimant) = storage::claims::of(&ledger, block) {
        return PayOutcome::Refused(Refusal::new(
            Code::Transfer,
            format!("the block shows {claimant}"),
        ));
    }
    let new = with_sale(runtime, request, proved, |sale| {
        transfer::admit(proved, request.purchase.request(), sale)?;
        let paid = transfer::judge(proved, &shown, sale)?;
        let fulfilment = match (paid, sale.route) {
            // Meanwhile another payment may have been processed under the same identifier.
            (Paid::Offer, Some(route)) if !identifiers::is_taken(request, sale.now) => {
                bought_of(route)
            }
            _ => None,
        };
        let ledger = sale.ledger.ok_or_else(|| {
            Refusal::new(
                Code::AssetMismatch,
                "asset is not a ledger of this canister",
            )
        })?;
        Ok(Payment {
            id: transfer::payment_id(proved),
            scheme: ROUTE_BY_ICRC1.scheme,
            rail: ROUTE_BY_ICRC1.rail,
            network: sale.network.to_string(),
            ledger: ledger.id,
            merchant: MerchantId::DEPLOYER,
            from: canonical(proved.proof.from),
            to: canonical(proved.proof.pay_to),
            amount: shown.amount,
            fee: shown.fee.unwrap_or(ledger.fee),
            purchase: request.purchase.clone(),
            offered: offer::offered(&proved.payload.accepted.extra.offer, ledger),
            fingerprint: Fingerprint::from(request.fingerprint),
            authorization_digest: digest,
            created_at: shown.at,
            fulfilment: fulfilment.unwrap_or(Fulfilment::Nothing),
            state: State::Reserved,
        })
    });
    let recorded = new.and_then(|payment| record(runtime, key, request, payment, block));
    let (payment, resource) = match recorded {
        Ok(recorded) => recorded,
        Err(refusal) => return refused(refusal),
    };
    if payment.fulfilment == Fulfilment::Nothing {
        return PayOutcome::Failed {
            code: Code::OfferMismatch,
            message: note(&payment.state).unwrap_or_default().into(),
            payment_id: payment.id,
            payer: payment.from,
        };
    }
    match resource {
        Some(_) => super::outcome(payment, resource),
        None => answer_from_record(runtime, key, payment, request, digest).await,
    }
}

/// Whether the block can be read now, and what it buys be recorded, and begun if it is work.
fn has_capacity<R: Runtime>(
    runtime: &R,
    request: &PaymentRequest,
    proved: &DecodedTransfer,
) -> bool {
    let limits = storage::config::read().limits;
    let route = storage::routes::get(&request.route);
    let wanted = means::wanted(route.as_deref(), request);
    let payer = &proved.proof.from.owner;
    means::capacity(runtime, &limits, payer, &proved.proof.asset, wanted)
        .public
        .is_ok()
}

fn bought_of(route: &Route) -> Option<Fulfilment> {
    if route.forward.is_some() {
        return Some(Fulfilment::Forward);
    }
    let number = storage::responses::number(&route.content?, &route.mime_type);
    Some(Fulfilment::Stored(number))
}

/// Records the payment with what becomes of it. Returns the resource if this message delivers it.
fn record<R: Runtime>(
    runtime: &R,
    key: &ClaimKey,
    request: &PaymentRequest,
    payment: Payment,
    block: BlockIndex,
) -> Result<(Payment, Option<Resource>), Refusal> {
    let now = runtime.now();
    let resource = fulfil::resource(&payment);
    let last = match (&resource, payment.fulfilment) {
        (Some(_), _) => Some(Event::Delivered),
        // The work begins when the payment is recorded.
        (None, Fulfilment::Forward) => None,
        (None, Fulfilment::Nothing) => {
            let cause = RefundCause::PaysNoOffer;
            Some(refund::due_if_here(runtime, &payment, cause))
        }
        (None, Fulfilment::Stored(_)) => {
            let cause = RefundCause::NotDeliverable;
            Some(refund::due(runtime, &payment, cause))
        }
    };
    let new = NewPayment {
        payment,
        valid_before: 0,
        known_block: None,
    };
    let change = Change::Proved(Box::new(new), TxRef::Block(block), last);
    let payment = storage::payments::record(key, change, now).map_err(unavailable)?;
    if payment.fulfilment == Fulfilment::Forward {
        put_work(&payment, request);
    }
    // What buys nothing neither uses an identifier up, nor is a reason to read more blocks.
    if payment.fulfilment != Fulfilment::Nothing {
        storage::lookups::with(|lookups| lookups.give_back());
        identifiers::bind(request, now);
    }
    if resource.is_some() {
        fulfil::note_delivery(&payment, now);
    } else {
        schedule::arm(runtime);
    }
    schedule::announce(runtime);
    Ok((payment, resource))
}

/// Calls `check` with the stored state that this proof is verified against.
fn with_sale<R: Runtime, T>(
    runtime: &R,
    request: &PaymentRequest,
    proved: &DecodedTransfer,
    check: impl FnOnce(&TransferSale<'_>) -> Result<T, Refusal>,
) -> Result<T, Refusal> {
    let config = storage::config::read();
    let canister: Principal = runtime.canister_id();
    let route = storage::routes::get(&request.route).filter(|route| !route.is_free());
    let offers = route
        .as_ref()
        .map(|route| catalogue::all_offers(route, &config, canister));
    let ledger = storage::ledgers::get(&proved.proof.asset);
    check(&TransferSale {
        route: route.as_deref(),
        offers: offers.as_deref().unwrap_or_default(),
        ledger: ledger.as_ref().map(|ledger| ledger as _),
        pay_to: config.pay_to,
        transfers_offered: storage::counters::transfers_offered(),
        earlier_revisions: storage::counters::earlier_revisions(),
        was_paid: storage::accounts::was_paid(&canonical(proved.proof.pay_to)),
        network: &config.network,
        canister,
        now: runtime.now(),
    })
}
