//! The one entrance of payments: whatever door a buyer comes through, what becomes of his payment is decided from here
//! on.
//!
//! 1. Is a payment asked for, or known? ([`execute`])
//! 2. Does its identifier allow it? ([`identifiers`])
//! 3. Known, verified, journalled, settled, delivered: [`pay::settle`].

use crate::{
    domain::{
        call::CallTerms,
        purchase::Purchase,
        request::{Credential, PayOutcome, PaymentRequest, claim_key},
        route::Route,
        template::MAX_PATH_BYTES,
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
use x402_icp::{Code, decode::DecodedPayment};

/// A request for an HTTP resource that carries a payment.
#[derive(Debug)]
pub struct ResourceRequest {
    /// The method of the request.
    pub method: Method,
    /// The template that the path matches, if any does.
    pub template: Option<String>,
    /// The path of the request.
    pub path: String,
    /// The payment, or why it cannot be read.
    pub payment: Result<DecodedPayment, Code>,
    /// SHA-256 over everything of the request that the answer depends on.
    pub fingerprint: [u8; 32],
}

/// What a request with a payment comes to.
#[derive(Debug)]
pub enum PurchaseOutcome {
    /// No payment is asked for here, and none is known: the request is as one without a payment.
    NothingToPay,
    /// The path is longer than the books take.
    PathTooLong,
    /// The payment cannot be read. The offers of the route are to be shown again.
    Unreadable(Rc<Route>, Code),
    /// The payment was not looked at because of its identifier. The route is there if it asks for payment.
    Rejected(Rejection, Option<Rc<Route>>),
    /// The payment was taken, repeated or refused. The route is there if it asks for payment.
    Processed(Box<PayOutcome>, Option<Rc<Route>>),
}

/// Whether this payment was begun: who began to pay learns the outcome even if the route is free, off sale or gone by
/// now.
pub fn is_known(payment: &DecodedPayment) -> bool {
    storage::payments::by_key(&claim_key(payment)).is_some()
}

/// Decides what becomes of a request with a payment, and does it.
pub async fn execute<R: Runtime>(runtime: &R, request: ResourceRequest) -> PurchaseOutcome {
    let ResourceRequest {
        method,
        template,
        path,
        payment,
        fingerprint,
    } = request;
    let route =
        template.and_then(|template| storage::routes::get(&RouteKey::new(method, template)));
    let priced = route.clone().filter(|route| !route.is_free());
    if priced.is_none() && !payment.as_ref().is_ok_and(is_known) {
        return PurchaseOutcome::NothingToPay;
    }
    // A payment in the books may be presented anywhere, but not be booked for such a path.
    if path.len() > MAX_PATH_BYTES {
        return PurchaseOutcome::PathTooLong;
    }
    let payment = match (payment, priced.clone()) {
        (Ok(payment), _) => payment,
        (Err(code), Some(route)) => return PurchaseOutcome::Unreadable(route, code),
        (Err(_), None) => return PurchaseOutcome::NothingToPay,
    };
    // Nothing to deliver, nothing to charge for.
    let deliverable = route.as_ref().is_some_and(|route| route.content.is_some());
    if !deliverable && !is_known(&payment) {
        return PurchaseOutcome::NothingToPay;
    }
    let key = match &route {
        Some(route) => route.key.clone(),
        None => RouteKey::new(method, path.clone()),
    };
    let request = PaymentRequest {
        purchase: Purchase::Route(RouteKey::new(method, path)),
        route: key,
        credential: Credential::Signed(Box::new(payment)),
        fingerprint,
        identifier: None,
    };
    match settle(runtime, route.as_deref(), request).await {
        Ok(outcome) => PurchaseOutcome::Processed(Box::new(outcome), priced),
        Err(rejection) => PurchaseOutcome::Rejected(rejection, priced),
    }
}

/// Decides what becomes of a payment by call, and does it. `route`: the key of the route that serves the request, if one
/// does.
pub async fn call<R: Runtime>(
    runtime: &R,
    request: RouteKey,
    route: Option<RouteKey>,
    terms: CallTerms,
) -> PayOutcome {
    let purchase = Purchase::Call(request.clone());
    let fingerprint = terms.payment_id(runtime.canister_id(), &purchase).0;
    let request = PaymentRequest {
        purchase,
        route: route.unwrap_or(request),
        credential: Credential::Call(Box::new(terms)),
        fingerprint,
        identifier: None,
    };
    pay::settle(runtime, request).await
}

/// Takes a payment as [`pay::settle`] does, if its identifier allows it. `route` is the one that the request
/// matched, if there still is one.
pub async fn settle<R: Runtime>(
    runtime: &R,
    route: Option<&Route>,
    mut request: PaymentRequest,
) -> Result<PayOutcome, Rejection> {
    if let Some(route) = route {
        request.identifier = identifiers::check(route, &request, runtime.now())?;
    }
    let (name, ours) = (request.identifier, identifiers::bound(&request));
    let outcome = pay::settle(runtime, request).await;
    if let (PayOutcome::Failed { .. }, Some(name)) = (&outcome, name) {
        identifiers::release(&name, &ours);
    }
    Ok(outcome)
}
