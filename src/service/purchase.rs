//! The entrance of all payments. Every interface for buyers calls these functions, and only they decide about a
//! payment.
//!
//! 1. Is a payment required, or known? ([`execute`])
//! 2. Does its identifier allow it? ([`identifiers`])
//! 3. Look up, verify, record, settle, deliver: [`pay::settle`].

use crate::{
    domain::{
        call::CallTerms,
        purchase::Purchase,
        request::{Credential, PayOutcome, PaymentRequest},
        route::Route,
        template::MAX_PATH_BYTES,
        transfer,
        verify::Refusal,
        work::WorkRequest,
    },
    runtime::Runtime,
    service::{
        identifiers::{self, Rejection},
        pay,
    },
    storage,
    types::{Method, RouteKey},
};
use std::rc::Rc;
use tollkeeper_types::HeaderField;
use x402_icp::Code;

/// A request for an HTTP resource that carries a payment.
#[derive(Debug)]
pub struct ResourceRequest<'a> {
    pub method: Method,
    /// The template that the path matches, if any.
    pub template: Option<String>,
    pub path: String,
    /// The payment, or the reason why it cannot be decoded.
    pub payment: Result<Credential, Refusal>,
    /// SHA-256 of every part of the request that the answer depends on.
    pub fingerprint: [u8; 32],
    /// The request as the client sent it, for forward targets.
    pub sent: Sent<'a>,
}

/// The parts of a request that a forward target gets.
#[derive(Clone, Copy, Debug)]
pub struct Sent<'a> {
    /// Not decoded; empty if there is none.
    pub query: &'a str,
    pub headers: &'a [HeaderField],
    pub body: &'a [u8],
}

/// The result of a request with a payment.
#[derive(Debug)]
pub enum PurchaseOutcome {
    /// No payment is required here, and none is known: the request is treated as one without a payment.
    NothingToPay,
    /// The path is longer than a stored payment may have.
    PathTooLong,
    /// The payment cannot be decoded. The answer shows the offers of the route again.
    Unreadable(Rc<Route>, Refusal),
    /// The transfer was refused, and its route requires no payment any more.
    TransferRefused(Refusal),
    /// The payment was rejected because of its identifier. The route is present if it requires payment.
    Rejected(Rejection, Option<Rc<Route>>),
    /// The payment was processed, repeated or refused. The route is present if it requires payment.
    Processed(Box<PayOutcome>, Option<Rc<Route>>),
}

/// Whether this payment is known. A known payment gets its outcome even if the route is free, off sale or removed by
/// now.
pub fn is_known(payment: &Credential) -> bool {
    storage::payments::by_key(&payment.claim_key()).is_some()
}

/// The route that a transfer was made for, if it was made for an offer of this canister. Its payer is owed something even
/// if the route is free, off sale or removed by now.
fn route_of_transfer<R: Runtime>(runtime: &R, payment: &Credential) -> Option<RouteKey> {
    match payment {
        Credential::Transfer(proved) => transfer::route_key(proved, runtime.canister_id()).ok(),
        Credential::Signed(_) | Credential::Call(_) => None,
    }
}

/// Processes a request with a payment.
pub async fn execute<R: Runtime>(runtime: &R, request: ResourceRequest<'_>) -> PurchaseOutcome {
    let ResourceRequest {
        method,
        template,
        path,
        payment,
        fingerprint,
        sent,
    } = request;
    let of_transfer = payment
        .as_ref()
        .ok()
        .and_then(|payment| route_of_transfer(runtime, payment));
    let is_transfer = of_transfer.is_some();
    // A transfer buys of the route that it was made for, also if that is gone. It buys nothing of another one, whose
    // price is another one.
    let elsewhere = match (&template, &of_transfer) {
        (Some(template), Some(key)) => *template != key.path,
        _ => false,
    };
    let key = of_transfer.or_else(|| Some(RouteKey::new(method, template?)));
    let route = key.as_ref().and_then(storage::routes::get);
    let priced = route.clone().filter(|route| !route.is_free());
    if priced.is_none() && !is_transfer && !payment.as_ref().is_ok_and(is_known) {
        return PurchaseOutcome::NothingToPay;
    }
    // A recorded payment may be presented under any path, but no new payment is recorded for such a path.
    if path.len() > MAX_PATH_BYTES {
        return PurchaseOutcome::PathTooLong;
    }
    let payment = match (payment, priced.clone()) {
        (Ok(payment), _) => payment,
        (Err(refusal), Some(route)) => return PurchaseOutcome::Unreadable(route, refusal),
        (Err(_), None) => return PurchaseOutcome::NothingToPay,
    };
    // Without content or a target there is nothing to deliver and nothing to charge for.
    let deliverable = route.as_ref().is_some_and(|route| route.is_deliverable());
    if !deliverable && !is_transfer && !is_known(&payment) {
        return PurchaseOutcome::NothingToPay;
    }
    if elsewhere {
        let refusal = Refusal::new(
            Code::OfferMismatch,
            "the transfer was made for another route than the one that serves this path",
        );
        return match priced {
            Some(route) => {
                PurchaseOutcome::Processed(Box::new(PayOutcome::Refused(refusal)), Some(route))
            }
            None => PurchaseOutcome::TransferRefused(refusal),
        };
    }
    let forwards = route.as_ref().is_some_and(|route| route.forward.is_some());
    // While a transfer's block is read, its route may get a target.
    let work = (forwards || is_transfer)
        .then(|| WorkRequest::new(&path, sent.query, sent.headers, sent.body));
    let key = key.filter(|_| is_transfer || route.is_some());
    let key = key.unwrap_or_else(|| RouteKey::new(method, path.clone()));
    let request = PaymentRequest {
        work,
        purchase: Purchase::Route(RouteKey::new(method, path)),
        route: key,
        credential: payment,
        fingerprint,
        identifier: None,
    };
    match settle(runtime, route.as_deref(), request).await {
        Ok(PayOutcome::Refused(refusal)) if is_transfer && priced.is_none() => {
            PurchaseOutcome::TransferRefused(refusal)
        }
        Ok(outcome) => PurchaseOutcome::Processed(Box::new(outcome), priced),
        Err(rejection) => PurchaseOutcome::Rejected(rejection, priced),
    }
}

/// Processes a payment by call. `route`: the key of the route that serves the request, if any.
pub async fn call<R: Runtime>(
    runtime: &R,
    request: RouteKey,
    route: Option<RouteKey>,
    terms: CallTerms,
) -> PayOutcome {
    let purchase = Purchase::Call(request.clone());
    let fingerprint = terms.payment_id(runtime.canister_id(), &purchase).0;
    let request = PaymentRequest {
        // A call has neither query nor headers nor body.
        work: Some(WorkRequest::new(&request.path, "", &[], &[])),
        purchase,
        route: route.unwrap_or(request),
        credential: Credential::Call(Box::new(terms)),
        fingerprint,
        identifier: None,
    };
    pay::settle(runtime, request).await
}

/// Processes a payment as [`pay::settle`] does, if its identifier allows it. `route`: the route that the request
/// matches, if it still exists.
pub async fn settle<R: Runtime>(
    runtime: &R,
    route: Option<&Route>,
    mut request: PaymentRequest,
) -> Result<PayOutcome, Rejection> {
    if let Some(route) = route {
        request.identifier = identifiers::check(route, &request, runtime.now())?;
    }
    let bound = request
        .identifier
        .map(|key| (key, identifiers::bound(&request)));
    let outcome = pay::settle(runtime, request).await;
    if let (PayOutcome::Failed { .. }, Some((key, ours))) = (&outcome, bound) {
        identifiers::release(&key, &ours);
    }
    Ok(outcome)
}

#[cfg(test)]
mod tests;
