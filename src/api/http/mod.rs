//! The HTTP gateway protocol: a query with certified responses, and an update that processes payments.
//!
//! | request | query | update |
//! |---|---|---|
//! | priced route, no payment header | certified 402 | 402 |
//! | path with a priced route, payment header | upgrade | verify, settle, deliver; 402 if it cannot be decoded |
//! | payment that is already known, any path | upgrade | the outcome |
//! | free route | certified 200 | 200 |
//! | unknown path | certified 404 | 404 |
//! | `OPTIONS` | certified 204 with the CORS headers, on every path | 204 |
//! | `HEAD` | as `GET` without body; never charges | same |
//! | other method on a known path | certified 405 | 405 |
//! | receipt that is certified, on the raw domain | 200, which proves itself | 200 |
//! | else below `/x402/receipts` and `/x402/payments` | upgrade | 200 or 404 |
//! | below `/x402/invoices` ([`invoices`]) | upgrade | the invoice, what it bought, 402 or 404 |
//! | known path with a body and no payment, unusual URL | upgrade | 402, 405 or 404 |
//! | request larger than an update accepts ([`size`]) | certified 413 or 431 | the same |
//! | URL that cannot be parsed, or is too long to be paid for | upgrade | 400 or 414 |

mod catalogue;
pub mod certification;
mod invoice_page;
pub mod invoices;
mod layout;
mod node;
mod proof;
pub mod receipt;
mod request;
mod response;
mod site;
pub mod size;
mod static_response;
pub mod types;
mod update;
mod url;

#[cfg(test)]
mod tests;

pub use certification::{certify_all, certify_changes};
pub use types::{HttpRequest, HttpResponse, HttpUpdateRequest};
pub use update::http_request_update;

use crate::{
    api::types::{self as candid, route_key},
    domain::{
        request::Credential,
        template::MAX_PATH_BYTES,
        validate::{self, InvalidArgument as Invalid},
    },
    runtime::Runtime,
    service::purchase,
    types::{Method, RouteKey},
};
use request::PaymentHeader;
use site::{Found, Site};
use types::HeaderField;
use url::RequestUrl;

/// The query `http_request`: a certified response, or the request for an update call.
pub fn http_request<R: Runtime>(runtime: &R, request: HttpRequest) -> HttpResponse {
    if let Some(receipt) = receipt::respond(runtime, &request) {
        return receipt;
    }
    certification::with_site(|site| {
        let proven = decide(
            site,
            &request.method,
            &request.url,
            &request.headers,
            request.body.len(),
        );
        proven
            .and_then(|(found, url)| certification::respond(runtime, site, &found, &url.path))
            .unwrap_or_else(HttpResponse::upgrade)
    })
}

/// The key of the route that serves a request, on sale or not.
pub fn route_of(request: &RouteKey) -> Option<RouteKey> {
    certification::with_site(|site| {
        let template = site.template_of(&request.path)?;
        Some(RouteKey::new(request.method, template.to_string()))
    })
}

/// Whether this is a request's path: decoded, without a query, and not longer than a purchase allows.
pub fn is_path(path: &str) -> bool {
    path.len() <= MAX_PATH_BYTES
        && RequestUrl::parse(path).is_ok_and(|url| url.path == path && url.query.is_empty())
}

/// The request that an HTTP client would make for this key.
pub fn requested(key: &candid::RouteKey) -> Result<RouteKey, Invalid> {
    let request = route_key(key)?;
    validate::text_length("path", &request.path, MAX_PATH_BYTES)?;
    if !is_path(&request.path) {
        let problem = "is not a decoded path without query, fragment and characters that cannot stand in a URL";
        return Err(Invalid::new("path", problem));
    }
    Ok(request)
}

/// Whether the query leaves this request to an update call. `inspect_message` may drop the others, which cost nothing
/// as queries.
pub fn wants_update(request: &HttpUpdateRequest) -> bool {
    certification::with_site(|site| {
        decide(
            site,
            &request.method,
            &request.url,
            &request.headers,
            request.body.len(),
        )
        .is_none()
    })
}

/// The certified response to a request; `None` if an update has to respond.
fn decide<'a>(
    site: &'a Site,
    method: &str,
    url: &str,
    headers: &[HeaderField],
    body: usize,
) -> Option<(Found<'a>, RequestUrl)> {
    let text = url;
    let url = RequestUrl::parse(text).ok().filter(|url| url.plain)?;
    if let Err(too_large) = size::check(method, text, headers, body)
        && let Some(found) = site.refusal(&url.path, too_large)
    {
        return Some((found, url));
    }
    if is_too_long_to_pay(site, method, &url.path) {
        return None;
    }
    let payment = PaymentHeader::find(headers);
    let has_payment = payment != PaymentHeader::None;
    let found = site.lookup(method, &url.path, body > 0, has_payment)?;
    // This response has no offer. Only for a known payment, or one for a route that is off sale, an update gives
    // another response. So it does for a transfer whose offer this canister has withdrawn since.
    if let PaymentHeader::One(value) = payment
        && method.parse::<Method>().is_ok()
        && let Ok(payment) = x402_icp::decode_exact_payment(value.as_bytes()).map(Credential::from)
        && (matches!(payment, Credential::Transfer(_))
            || purchase::is_known(&payment)
            || site.route(method, &url.path).is_some_and(|r| r.priced))
    {
        return None;
    }
    Some((found, url))
}

/// Whether the path is that of a priced route and longer than a purchase allows: no offer is shown for it.
fn is_too_long_to_pay(site: &Site, method: &str, path: &str) -> bool {
    path.len() > MAX_PATH_BYTES && method != "OPTIONS" && site.is_priced(path)
}
