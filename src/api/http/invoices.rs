//! Invoices over HTTP. Only updates answer here: an invoice changes with every payment, and its id is a secret that no
//! certified tree holds.
//!
//! | request | response |
//! |---|---|
//! | `POST /x402/invoices`, JSON | makes an invoice: 201 with it as JSON |
//! | `GET /x402/invoices/{id}` | a page without script, or JSON; the ledger is asked for the balance |
//! | `GET /x402/invoices/{id}/content` | what was bought, again and again; 402 with the invoice while it is not paid |

use super::{
    certification::seller,
    invoice_page::{self, digits},
    request::INVOICES,
    requested, response,
    static_response::{PRIVATE, StaticResponse, cors, header},
    types::{HttpResponse, HttpUpdateRequest},
};
use crate::{
    api::types::{
        self, AccountArg, Invoice, InvoiceArgs, InvoiceError, InvoiceStatus, invoice_id,
        invoice_price, return_account,
    },
    domain::{
        invoice::{InvoiceId, Terms},
        request::PayOutcome,
        validate::InvalidArgument as Invalid,
    },
    runtime::Runtime,
    service::invoice,
    storage,
    types::{Amount, Method, Nonce, TimestampNs},
};
use candid::Nat;
use serde::{Deserialize, Serialize};
use serde_bytes::ByteBuf;
use x402_icp::values::{parse_account, parse_principal};

/// A resource below [`INVOICES`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    All,
    One(InvoiceId),
    Content(InvoiceId),
}

/// The resource at this path, if it is one of invoices.
pub fn place(path: &str) -> Option<Place> {
    if path == INVOICES.trim_end_matches('/') {
        return Some(Place::All);
    }
    let rest = path.strip_prefix(INVOICES)?;
    let (digits, content) = match rest.strip_suffix("/content") {
        Some(digits) => (digits, true),
        None => (rest, false),
    };
    let id = read_id(digits)?;
    Some(if content {
        Place::Content(id)
    } else {
        Place::One(id)
    })
}

/// 64 hexadecimal digits in lower case.
fn read_id(digits: &str) -> Option<InvoiceId> {
    digits.parse().ok().map(|Nonce(id)| InvoiceId(id))
}

/// The response to a request for this resource; `None` if it is not for one.
pub async fn respond<R: Runtime>(
    runtime: &R,
    request: &HttpUpdateRequest,
    path: &str,
) -> Option<HttpResponse> {
    let place = place(path)?;
    Some(match (request.method.as_str(), place) {
        ("POST", Place::All) => create(runtime, &request.body),
        ("GET", Place::One(id)) => match invoice::check(runtime, &id).await {
            Ok(view) => shown(runtime, request, &id, view.into()),
            Err(error) => refused(&error.into()),
        },
        // Asks no ledger.
        ("HEAD", Place::One(id)) => match invoice::view(runtime, &id) {
            Some(view) => shown(runtime, request, &id, view.into()),
            None => not_found(),
        },
        ("GET", Place::Content(id)) => content(runtime, &id).await,
        (_, Place::All) => other_method("POST"),
        (_, Place::One(_)) => other_method("GET, HEAD"),
        (_, Place::Content(_)) => other_method("GET"),
    })
}

fn not_found() -> HttpResponse {
    response::uncertified(&StaticResponse::not_found())
}

fn other_method(allow: &str) -> HttpResponse {
    response::uncertified(&StaticResponse::method_not_allowed(allow))
}

/// The body of a request for an invoice.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct NewInvoice {
    id: String,
    path: String,
    ledger: String,
    #[serde(default = "get")]
    method: String,
    price: Option<String>,
    refund_to: Option<String>,
}

fn get() -> String {
    "GET".into()
}

impl NewInvoice {
    fn args(self) -> Result<InvoiceArgs, InvoiceError> {
        let wrong = |field: &str, problem: &str| {
            InvoiceError::InvalidArgument(types::InvalidArgument {
                field: field.into(),
                problem: problem.into(),
                limit: None,
            })
        };
        let id = read_id(&self.id)
            .ok_or_else(|| wrong("id", "is not 64 hexadecimal digits in lower case"))?;
        let price = self.price.map(|text| text.parse::<Amount>());
        let price = price
            .transpose()
            .map_err(|_| wrong("price", "is not a number of atomic units"))?;
        let refund_to = self.refund_to.map(|text| parse_account(&text));
        let refund_to = refund_to
            .transpose()
            .map_err(|_| wrong("refundTo", "is not the text of an account"))?;
        Ok(InvoiceArgs {
            id: ByteBuf::from(id.0.to_vec()),
            method: self.method,
            path: self.path,
            ledger: parse_principal(&self.ledger)
                .map_err(|_| wrong("ledger", "is not a principal"))?,
            price: price.map(|Amount(units)| Nat::from(units)),
            refund_to: refund_to.map(AccountArg::from),
        })
    }
}

/// Reads the arguments of `invoice_create`.
pub fn read(args: &InvoiceArgs) -> Result<(InvoiceId, Terms), Invalid> {
    let id = invoice_id(&args.id)?;
    let request = requested(&types::RouteKey {
        method: args.method.clone(),
        path: args.path.clone(),
    })?;
    if request.method != Method::Get {
        return Err(Invalid::new("method", "is not GET"));
    }
    let terms = Terms {
        request,
        ledger: args.ledger,
        price: invoice_price(args.price.as_ref())?,
        refund_to: return_account("refund_to", args.refund_to.as_ref())?,
    };
    Ok((id, terms))
}

/// Reads the body of a request for an invoice. The error is the response to it.
pub fn read_body(body: &[u8]) -> Result<InvoiceArgs, HttpResponse> {
    let new: NewInvoice = serde_json::from_slice(body)
        .map_err(|error| error_response(400, "malformed_json", Some(error.to_string()), None))?;
    new.args().map_err(|error| refused(&error))
}

fn create<R: Runtime>(runtime: &R, body: &[u8]) -> HttpResponse {
    let args = match read_body(body) {
        Ok(args) => args,
        Err(response) => return response,
    };
    let made = read(&args)
        .map_err(InvoiceError::from)
        .and_then(|(id, terms)| Ok((id, invoice::create(runtime, &id, &terms)?)));
    match made {
        Ok((id, view)) => {
            let mut answer = json(201, &id, &view.into());
            let location = format!("{INVOICES}{}", hex::encode(id.0));
            answer.headers.push(header("location", &location));
            answer
        }
        Err(error) => refused(&error),
    }
}

/// The invoice, as the client wants it.
fn shown<R: Runtime>(
    runtime: &R,
    request: &HttpUpdateRequest,
    id: &InvoiceId,
    invoice: Invoice,
) -> HttpResponse {
    let mut accepts = request
        .headers
        .iter()
        .filter(|(name, _)| name.eq_ignore_ascii_case("accept"));
    if accepts.any(|(_, value)| value.contains("application/json")) {
        return json(200, id, &invoice);
    }
    let page = invoice_page::page(&hex::encode(id.0), &invoice, runtime.now());
    let mut headers = private("text/html; charset=utf-8");
    headers.push(header(
        "content-security-policy",
        "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    ));
    HttpResponse {
        status_code: 200,
        headers,
        body: page.into_bytes(),
        upgrade: None,
    }
}

/// The headers of a response to someone who knows the id, which is in the URL.
fn private(mime_type: &str) -> Vec<(String, String)> {
    let mut headers = vec![
        header("content-type", mime_type),
        header("cache-control", PRIVATE),
        header("x-content-type-options", "nosniff"),
        header("referrer-policy", "no-referrer"),
        header("vary", "Accept"),
    ];
    headers.extend(cors());
    headers
}

async fn content<R: Runtime>(runtime: &R, id: &InvoiceId) -> HttpResponse {
    let mut outcome = invoice::content(runtime, id).await;
    if outcome.is_none() && storage::invoices::get(id).is_some() {
        // It may have been paid by now.
        match invoice::check(runtime, id).await {
            Ok(_) => outcome = invoice::content(runtime, id).await,
            Err(error) => return refused(&error.into()),
        }
    }
    match (outcome, invoice::view(runtime, id)) {
        (Some(PayOutcome::Refused(_)), _) | (None, None) => not_found(),
        (Some(outcome), _) => {
            let paid = response::processed(|| seller(runtime), outcome, None);
            let mut paid = paid.unwrap_or_else(not_found);
            // The URL holds the id, which is a secret.
            paid.headers.push(header("referrer-policy", "no-referrer"));
            paid
        }
        (None, Some(view)) => json(402, id, &view.into()),
    }
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct ReturnedJson {
    to: String,
    pending: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    amount: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    transaction: Option<String>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct InvoiceJson<'a> {
    status: &'static str,
    network: String,
    asset: String,
    symbol: &'a str,
    decimals: u8,
    amount: String,
    price: String,
    account: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    account_identifier: Option<&'a str>,
    pay_to: String,
    offer: &'a str,
    method: &'a str,
    path: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    refund_to: Option<String>,
    created_at: String,
    expires_at: String,
    balance: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    payment_id: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    transaction: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    returned: Option<ReturnedJson>,
    content: String,
}

fn json(status: u16, id: &InvoiceId, invoice: &Invoice) -> HttpResponse {
    let time = |ns| invoice_page::utc(TimestampNs(ns), "T", "Z");
    let returned = invoice.returned.as_ref().map(|returned| ReturnedJson {
        to: returned.to.to_string(),
        pending: returned.pending,
        amount: returned.made.as_ref().map(|made| digits(&made.amount)),
        transaction: returned.made.as_ref().map(|made| digits(&made.block_index)),
    });
    let body = InvoiceJson {
        status: invoice.status.as_str(),
        network: storage::config::read().network,
        asset: invoice.ledger.to_text(),
        symbol: &invoice.symbol,
        decimals: invoice.decimals,
        amount: digits(&invoice.amount),
        price: digits(&invoice.price),
        account: &invoice.account_text,
        account_identifier: invoice.account_identifier.as_deref(),
        pay_to: invoice.pay_to.to_string(),
        offer: &invoice.offer,
        method: &invoice.method,
        path: &invoice.path,
        refund_to: invoice.refund_to.map(|account| account.to_string()),
        created_at: time(invoice.created_at),
        expires_at: time(invoice.expires_at),
        balance: digits(&invoice.balance),
        payment_id: invoice.payment_id.as_ref().map(hex::encode),
        transaction: match &invoice.status {
            InvoiceStatus::Paid { block_index, .. } => Some(digits(block_index)),
            _ => None,
        },
        returned,
        content: format!("{INVOICES}{}/content", hex::encode(id.0)),
    };
    HttpResponse {
        status_code: status,
        headers: private("application/json"),
        body: serde_json::to_vec(&body).unwrap_or_default(),
        upgrade: None,
    }
}

#[derive(Serialize)]
struct ErrorJson<'a> {
    error: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    message: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    limit: Option<String>,
}

fn error_response(
    status: u16,
    error: &str,
    message: Option<String>,
    limit: Option<String>,
) -> HttpResponse {
    let body = ErrorJson {
        error,
        message,
        limit,
    };
    HttpResponse {
        status_code: status,
        headers: private("application/json"),
        body: serde_json::to_vec(&body).unwrap_or_default(),
        upgrade: None,
    }
}

fn refused(error: &InvoiceError) -> HttpResponse {
    match error {
        InvoiceError::InvalidArgument(error) => {
            let message = format!("{} {}", error.field, error.problem);
            let limit = error.limit.as_ref().map(digits);
            error_response(400, "invalid_argument", Some(message), limit)
        }
        InvoiceError::UnknownInvoice => not_found(),
        InvoiceError::UnknownLedger | InvoiceError::NotSold => {
            let message = "nothing is sold by invoice under this path, in this ledger and at this price, at present";
            error_response(404, "not_sold", Some(message.into()), None)
        }
        InvoiceError::IdUsed => {
            let message = "the id was used for other terms".to_string();
            error_response(409, "id_used", Some(message), None)
        }
        InvoiceError::TooManyInvoices { limit } => {
            error_response(429, "too_many_invoices", None, Some(limit.to_string()))
        }
        InvoiceError::TooManyRequests { limit } => {
            error_response(429, "too_many_requests", None, Some(limit.to_string()))
        }
        InvoiceError::LedgerUnavailable { problem } => {
            error_response(503, "not_available", Some(problem.clone()), None)
        }
        // No request over HTTP gives money back.
        _ => error_response(503, "not_available", None, None),
    }
}
