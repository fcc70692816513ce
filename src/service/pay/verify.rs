//! New payments: verified against the stored state, and recorded as open.

use super::{means, transfer::LedgerCall};
use crate::{
    domain::{
        call::{self, CallSale},
        combination::ROUTE_BY_ICRC2,
        config::Config,
        fulfilment::Fulfilment,
        payment::{Payment, State},
        request::{Credential, PaymentRequest},
        verify::{NonceState, Refusal, Sale, VerifiedPayment, verify},
        work::{Work, is_ambiguous},
    },
    runtime::Runtime,
    service::{catalogue, identifiers},
    storage::{
        self,
        payments::{Change, NewPayment, RecordError},
    },
    types::{AuthorizationDigest, ClaimKey, Fingerprint, MerchantId},
};
use candid::Principal;
use x402_icp::Code;

/// Verifies the payment, and records it as open before the ledger is called.
pub fn open<R: Runtime>(
    runtime: &R,
    key: &ClaimKey,
    request: &PaymentRequest,
    digest: AuthorizationDigest,
    nonce_used: bool,
) -> Result<LedgerCall, Refusal> {
    let new = verified(runtime, key, request, digest, nonce_used)?;
    let known_block = new.known_block;
    let change = Change::Open(Box::new(new));
    let payment = storage::payments::record(key, change, runtime.now()).map_err(unavailable)?;
    if payment.fulfilment == Fulfilment::Forward {
        put_work(&payment, request);
    }
    identifiers::bind(request, runtime.now());
    Ok(LedgerCall {
        payment,
        known_block,
    })
}

/// Stores the work that a payment opened now has bought. The route is that of its verification, in the same message.
pub(super) fn put_work(payment: &Payment, request: &PaymentRequest) {
    let route = storage::routes::get(&request.route);
    let forward = route.as_ref().and_then(|route| route.forward);
    if let (Some(route), Some(forward)) = (route, forward) {
        let work = Work {
            forward,
            mime_type: route.mime_type.clone(),
            request: request.work.clone().unwrap_or_default(),
        };
        storage::works::put(&payment.id, &work);
    }
}

/// The refusal of a payment that cannot be recorded.
pub fn unavailable(error: RecordError) -> Refusal {
    Refusal::new(Code::LedgerUnavailable, error.to_string())
}

fn nothing_to_buy() -> Refusal {
    Refusal::new(
        Code::OfferMismatch,
        "there is nothing to buy under this path",
    )
}

/// Steps 2 to 8 of the verification, against the stored state.
pub(super) fn verified<R: Runtime>(
    runtime: &R,
    key: &ClaimKey,
    request: &PaymentRequest,
    digest: AuthorizationDigest,
    nonce_used: bool,
) -> Result<NewPayment, Refusal> {
    if matches!(request.credential, Credential::Call(_)) && nonce_used {
        return Err(call::id_used());
    }
    let config = storage::config::read();
    let route = storage::routes::get(&request.route).ok_or_else(nothing_to_buy)?;
    if route.is_free() {
        return Err(Refusal::new(
            Code::OfferMismatch,
            "this path is free: fetch it without a payment",
        ));
    }
    let offers = catalogue::all_offers(&route, &config, runtime.canister_id());
    if route.forward.is_some() && is_ambiguous(&request.purchase.request().path) {
        return Err(Refusal::new(
            Code::OfferMismatch,
            "a path with a segment . or .. is not passed on",
        ));
    }
    let wanted = means::wanted(Some(&route), request);
    let capacity = |payer: &Principal, ledger: &Principal| {
        means::capacity(runtime, &config.limits, payer, ledger, wanted)
    };
    let root_key;
    let verified = match &request.credential {
        Credential::Signed(payment) => {
            root_key = runtime.root_key();
            let sale = Sale {
                claim_key: *key,
                route: &route,
                offers: &offers,
                network: &config.network,
                spender: runtime.canister_id(),
                now: runtime.now(),
                spare: means::spare(runtime, &config.limits),
                root_key: &root_key,
            };
            let nonce_state = |key: &ClaimKey| {
                if nonce_used {
                    NonceState::Used
                } else if storage::cancellations::contains(key) {
                    NonceState::Cancelled
                } else {
                    NonceState::Free
                }
            };
            storage::signatures::with(|expensive| {
                verify(payment, &sale, nonce_state, expensive, capacity)
            })?
        }
        // The key is in use, and not by this proof.
        Credential::Transfer(_) => {
            return Err(Refusal::new(
                Code::NonceUsed,
                "the block and the secret were presented before with other terms, or the record cannot be read",
            ));
        }
        Credential::Call(terms) => {
            let sale = CallSale {
                route: &route,
                offers: &offers,
                canister: runtime.canister_id(),
                now: runtime.now(),
            };
            call::verify(terms, &request.purchase, &sale, capacity)?
        }
    };
    // As in the verification, a route without content is refused.
    let fulfilment = match route.forward {
        Some(_) => Fulfilment::Forward,
        None => {
            let content = route.content.ok_or_else(nothing_to_buy)?;
            Fulfilment::Stored(storage::responses::number(&content, &route.mime_type))
        }
    };
    Ok(NewPayment {
        known_block: storage::claims::highest_block(&verified.offer.price.ledger),
        payment: new_payment(&verified, &config, request, digest, fulfilment),
        valid_before: verified.valid_before,
    })
}

fn new_payment(
    verified: &VerifiedPayment<'_>,
    config: &Config,
    request: &PaymentRequest,
    digest: AuthorizationDigest,
    fulfilment: Fulfilment,
) -> Payment {
    Payment {
        id: verified.id,
        scheme: ROUTE_BY_ICRC2.scheme,
        rail: ROUTE_BY_ICRC2.rail,
        merchant: MerchantId::DEPLOYER,
        network: config.network.clone(),
        ledger: verified.offer.price.ledger,
        from: verified.from,
        to: verified.offer.pay_to,
        amount: verified.offer.price.amount,
        fee: verified.offer.ledger.fee,
        purchase: request.purchase.clone(),
        offered: verified.offer.offered(),
        fingerprint: Fingerprint::from(request.fingerprint),
        authorization_digest: digest,
        created_at: verified.created_at,
        fulfilment,
        state: State::Reserved,
    }
}
