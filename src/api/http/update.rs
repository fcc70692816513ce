//! The update `http_request_update`: payments, and responses that a query cannot certify.

use super::{
    catalogue::Seller,
    certification::{self, seller},
    invoices, is_too_long_to_pay, receipt,
    request::{self, PAYMENTS, PaymentHeader, RECEIPTS},
    response,
    site::Site,
    size,
    types::{HttpResponse, HttpUpdateRequest},
    url::{RequestUrl, UrlError},
};
use crate::{
    domain::{request::Credential, route::Route, verify::Refusal},
    runtime::Runtime,
    service::{
        self,
        identifiers::Rejection,
        purchase::{self, PurchaseOutcome, ResourceRequest, Sent},
    },
};
use std::rc::Rc;
use x402_icp::Code;

/// Verifies, settles and delivers a request that carries a payment; responds to any other request as the query would,
/// whoever the caller is.
pub async fn http_request_update<R: Runtime>(
    runtime: &R,
    request: HttpUpdateRequest,
) -> HttpResponse {
    let url = match certification::with_site(|site| admissible(site, &request)) {
        Ok(url) => url,
        Err(refusal) => return refusal,
    };
    let answer = match PaymentHeader::find(&request.headers) {
        PaymentHeader::None => {
            let answer = invoices::respond(runtime, &request, &url.path).await;
            if answer.is_some() {
                // A ledger's changed fee changes the offers.
                certification::certify_changes(runtime);
            }
            answer
        }
        PaymentHeader::One(payment) => {
            let payment = x402_icp::decode_exact_payment(payment.as_bytes())
                .map(Credential::from)
                .map_err(|error| Refusal::new(error.code(), error.to_string()));
            paid(runtime, &request, &url, payment).await
        }
        PaymentHeader::Many => {
            let many = Refusal::new(Code::InvalidPayload, "there are several payment headers");
            paid(runtime, &request, &url, Err(many)).await
        }
        PaymentHeader::Version1 => {
            let old = Refusal::new(Code::InvalidX402Version, "x402Version must be 2");
            paid(runtime, &request, &url, Err(old)).await
        }
    };
    let mut answer = answer.unwrap_or_else(|| unpaid(&request.method, &url.path));
    if request.method == "HEAD" {
        answer.body.clear();
    }
    answer
}

/// The URL of an acceptable request. The query refuses other requests in the same way, or leaves them to this.
pub(super) fn admissible(
    site: &Site,
    request: &HttpUpdateRequest,
) -> Result<RequestUrl, HttpResponse> {
    let too_long = || response::refusal(414, r#"{"error":"url_too_long"}"#);
    let url = RequestUrl::parse(&request.url).map_err(|error| match error {
        UrlError::Malformed => response::refusal(400, r#"{"error":"malformed_url"}"#),
        UrlError::TooLong => too_long(),
    })?;
    let size = size::check(
        &request.method,
        &request.url,
        &request.headers,
        request.body.len(),
    );
    if let Err(too_large) = size
        && site.refusal(&url.path, too_large).is_some()
    {
        return Err(response::uncertified(&too_large.answer()));
    }
    match is_too_long_to_pay(site, &request.method, &url.path) {
        true => Err(too_long()),
        false => Ok(url),
    }
}

/// The response to a request with a payment, or with the reason why its payment cannot be decoded; `None` where no
/// payment is required. `HEAD` is not a method of a route and never pays.
async fn paid<R: Runtime>(
    runtime: &R,
    request: &HttpUpdateRequest,
    url: &RequestUrl,
    payment: Result<Credential, Refusal>,
) -> Option<HttpResponse> {
    let request = ResourceRequest {
        method: request.method.parse().ok()?,
        template: certification::with_site(|site| site.template_of(&url.path).map(str::to_string)),
        path: url.path.clone(),
        payment,
        fingerprint: request::fingerprint(&request.method, &url.path, &url.query, &request.body),
        sent: Sent {
            query: &url.query,
            headers: &request.headers,
            body: &request.body,
        },
    };
    let answer = purchase::execute(runtime, request).await;
    // A ledger's changed fee changes the offers.
    certification::certify_changes(runtime);
    // A delivery, the usual answer, has no need of it.
    let seller = || seller(runtime);
    match answer {
        PurchaseOutcome::NothingToPay => None,
        PurchaseOutcome::PathTooLong => Some(response::refusal(414, r#"{"error":"url_too_long"}"#)),
        PurchaseOutcome::Unreadable(route, refusal) => {
            Some(response::refused(&seller(), &route, &refusal))
        }
        PurchaseOutcome::TransferRefused(refusal) => {
            Some(response::refused_where_nothing_is_sold(&refusal))
        }
        PurchaseOutcome::Rejected(rejection, route) => {
            Some(rejected(&seller(), rejection, route.as_ref()))
        }
        PurchaseOutcome::Processed(outcome, route) => {
            response::processed(seller, *outcome, route.as_ref())
        }
    }
}

/// The response to a payment that was rejected because of its identifier. Nothing is recorded, and the payment is not
/// reported as failed.
fn rejected(seller: &Seller, rejection: Rejection, route: Option<&Rc<Route>>) -> HttpResponse {
    match (rejection, route) {
        (Rejection::Missing, _) => {
            response::refusal(400, r#"{"error":"payment_identifier_required"}"#)
        }
        (Rejection::Malformed, _) => {
            response::refusal(400, r#"{"error":"payment_identifier_malformed"}"#)
        }
        (Rejection::Conflict, _) => {
            response::refusal(409, r#"{"error":"payment_identifier_conflict"}"#)
        }
        (Rejection::Full, Some(route)) => {
            let full = Refusal::new(Code::LedgerUnavailable, Rejection::Full.to_string());
            response::refused(seller, route, &full)
        }
        (Rejection::Full, None) => response::refusal(503, r#"{"error":"too_many_identifiers"}"#),
    }
}

/// The response to a request without a payment.
fn unpaid(method: &str, path: &str) -> HttpResponse {
    if matches!(method, "GET" | "HEAD") {
        let at = |place| request::payment_id(place, path);
        if let Some(receipt) = at(RECEIPTS).and_then(|id| receipt::recorded(&id)) {
            return receipt;
        }
        if let Some(payment) = at(PAYMENTS).and_then(|id| service::payments::payment(&id)) {
            return response::payment(&payment);
        }
    }
    response::uncertified(&certification::unpaid(method, path))
}
