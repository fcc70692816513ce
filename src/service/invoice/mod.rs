//! Invoices: who can set neither memo nor allowance pays with a plain transfer to an account of the invoice's own.
//!
//! | file | what |
//! |---|---|
//! | here | an invoice is made and shown, and what it bought is fetched |
//! | `advance` | the balance is read, and enough money goes on to the merchant |
//! | `give_back` | what bought nothing is given back |
//!
//! The merchant's money goes through the same steps as every payment ([`pay::collect`]): recorded before the ledger is
//! called, made once, found out about if the outcome is unknown. The invoice only follows the state of that payment, so
//! it may be interrupted at every await. One message at a time calls a ledger for one invoice
//! ([`Busy`](storage::invoices::Busy)).

mod advance;
mod give_back;

use crate::{
    domain::{
        invoice::{Invoice, InvoiceId, MAX_INVOICES, MAX_OPEN_IN_LEDGER, Return, Stage, Terms},
        lookups::INVOICE_BURST,
        offer::{self, Offer},
        payment::Payment,
        request::PayOutcome,
        route::Route,
        validate::InvalidArgument,
        work::is_ambiguous,
    },
    runtime::Runtime,
    service::{catalogue, pay, payout, schedule},
    storage::{self, invoices},
    types::{Account, Amount, ClaimKey, Method, RouteKey, TimestampNs, canonical},
};
pub use advance::advance;
pub use give_back::{Returned, give_back, step as step_return};
use std::rc::Rc;
use x402_icp::template;

/// Nothing was done, or its outcome is unknown.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvoiceError {
    #[error(transparent)]
    InvalidArgument(#[from] InvalidArgument),
    #[error("there is no such invoice")]
    UnknownInvoice,
    #[error("the ledger is not registered")]
    UnknownLedger,
    #[error(
        "nothing is sold by invoice under this path, in this ledger and at this price, at present"
    )]
    NotSold,
    #[error("the id was used for something else")]
    IdUsed,
    #[error("{limit} invoices are open, which is the limit")]
    TooManyInvoices { limit: u64 },
    #[error("too many requests at present: {limit} in a row are accepted; try again in a minute")]
    TooManyRequests { limit: u64 },
    /// It can still be paid, or what it buys is being paid for.
    #[error("the invoice has not ended")]
    NotEnded { expires_at: TimestampNs },
    #[error("another account was named before")]
    OtherAccount { account: Account },
    #[error("the account has {balance}, and the ledger's fee is {fee}")]
    NothingToReturn { balance: Amount, fee: Amount },
    #[error("another message is at work; try again in a minute")]
    InProgress,
    #[error("{problem}")]
    LedgerUnavailable { problem: String },
    #[error("it is not known whether the money moved; the canister finds out by itself")]
    Unknown,
}

/// An invoice with everything that is known about it.
#[derive(Clone, Debug, PartialEq)]
pub struct View {
    pub account: Account,
    pub invoice: Invoice,
    /// The amount to send.
    pub amount: Amount,
    /// The payment of the latest attempt, unless it is forgotten.
    pub payment: Option<Payment>,
    /// What was given back, or is to be.
    pub returned: Option<Return>,
}

/// Makes an invoice. The same terms again are the same invoice. For everybody.
pub fn create<R: Runtime>(
    runtime: &R,
    id: &InvoiceId,
    terms: &Terms,
) -> Result<View, InvoiceError> {
    let now = runtime.now();
    if let Some(known) = follow(runtime, id) {
        return match known.has_terms(terms) {
            true => view(runtime, id).ok_or(InvoiceError::UnknownInvoice),
            false => Err(InvoiceError::IdUsed),
        };
    }
    // An invoice that was forgotten, but not what it bought, or what is being given back.
    let is_used = |key| !matches!(storage::payments::find(&key), Ok(None));
    let returns = invoices::returned(id, &terms.ledger);
    if id.claim_keys().any(is_used) || returns.is_some_and(|known| known.is_open()) {
        return Err(InvoiceError::IdUsed);
    }
    let (route, offer) = offered(runtime, terms).ok_or(InvoiceError::NotSold)?;
    // Nobody is asked for money that could not be passed on now.
    let work = pay::collect::wanted_work(&route, &terms.request.path);
    pay::collect::has_room(runtime, &terms.ledger, work.as_ref()).map_err(|problem| {
        InvoiceError::LedgerUnavailable {
            problem: problem.to_string(),
        }
    })?;
    let (open, _) = invoices::open_in(&terms.ledger);
    if open >= MAX_OPEN_IN_LEDGER {
        let limit = MAX_OPEN_IN_LEDGER;
        return Err(InvoiceError::TooManyInvoices { limit });
    }
    if !invoices::may_create(now, true) {
        let limit = INVOICE_BURST;
        return Err(InvoiceError::TooManyRequests { limit });
    }
    let mut invoice = Invoice {
        ledger: terms.ledger,
        request: terms.request.clone(),
        offered: offer.offered(),
        price: offer.price.amount,
        fee: offer.ledger.fee,
        pay_to: canonical(offer.pay_to),
        refund_to: terms.refund_to.map(canonical),
        created_at: now,
        stage: Stage::Open,
        since: now,
        attempts: 0,
        balance: Amount(0),
        read_at: None,
        unanswered: 0,
        due: None,
    };
    invoice.due = Some(invoice.expires_at());
    if !invoices::put(id, &invoice) {
        let limit = MAX_INVOICES;
        return Err(InvoiceError::TooManyInvoices { limit });
    }
    schedule::arm(runtime);
    view(runtime, id).ok_or(InvoiceError::UnknownInvoice)
}

/// What is known of an invoice.
pub fn view<R: Runtime>(runtime: &R, id: &InvoiceId) -> Option<View> {
    let invoice = invoices::get(id)?;
    Some(View {
        account: id.account(runtime.canister_id()),
        amount: invoice.amount(payout::fee(&invoice.ledger)),
        payment: storage::payments::by_key(&id.claim_key(invoice.attempts)),
        returned: invoices::returned(id, &invoice.ledger),
        invoice,
    })
}

/// Has the ledger asked for the balance if that was not done lately, and does what follows. For everybody.
pub async fn check<R: Runtime>(runtime: &R, id: &InvoiceId) -> Result<View, InvoiceError> {
    if invoices::get(id).is_none() {
        return Err(InvoiceError::UnknownInvoice);
    }
    advance(runtime, id, true).await;
    view(runtime, id).ok_or(InvoiceError::UnknownInvoice)
}

/// Delivers what an invoice bought, also if the invoice itself is forgotten; `None` if no money went to the merchant.
pub async fn content<R: Runtime>(runtime: &R, id: &InvoiceId) -> Option<PayOutcome> {
    let settled = |key: &ClaimKey| storage::payments::settled_index(key).is_some();
    let key = id.claim_keys().find(settled)?;
    let payment = storage::payments::by_key(&key)?;
    Some(pay::collect::fetch(runtime, key, payment).await)
}

/// The route that serves a `GET` of this path, as an exact path or as the only template that matches it.
fn serving(path: &str) -> Option<Rc<Route>> {
    let is_literal = |path: &str| {
        let mut segments = template::segments(path)?;
        Some(segments.all(|segment| template::parameter(segment).is_none()))
    };
    if is_literal(path)? && !storage::routes::at_path(path).is_empty() {
        return storage::routes::get(&RouteKey::new(Method::Get, path));
    }
    let mut templates: Vec<String> = storage::routes::paths();
    templates.retain(|other| template::matches(other, path));
    templates.dedup();
    match templates.as_slice() {
        [one] => storage::routes::get(&RouteKey::new(Method::Get, one.clone())),
        _ => None,
    }
}

/// The present offers for a `GET` of this path, with their route.
fn offers_for<R: Runtime>(runtime: &R, path: &str) -> Option<(Rc<Route>, Vec<Offer>)> {
    let route = serving(path).filter(|route| !route.is_free())?;
    if route.forward.is_some() && is_ambiguous(path) {
        return None;
    }
    let config = storage::config::read();
    let all = catalogue::all_offers(&route, &config, runtime.canister_id());
    let on_sale = all.iter().filter(|offer| offer::on_sale(&route, offer));
    let offers = on_sale.cloned().collect();
    Some((route, offers))
}

/// The offer that an invoice with these terms is made for.
fn offered<R: Runtime>(runtime: &R, terms: &Terms) -> Option<(Rc<Route>, Offer)> {
    let (route, offers) = offers_for(runtime, &terms.request.path)?;
    let fits = |offer: &Offer| {
        let price = terms.price.unwrap_or(offer.price.amount);
        offer.price.ledger == terms.ledger && offer.price.amount == price
    };
    let offer = offers.into_iter().find(fits)?;
    route.offers_invoices.then_some((route, offer))
}

/// The route, if what the invoice was made for is still sold to the same account, at the same price or less.
fn still_sold<R: Runtime>(runtime: &R, invoice: &Invoice) -> Option<Rc<Route>> {
    let (route, offers) = offers_for(runtime, &invoice.request.path)?;
    let fits = |offer: &Offer| {
        offer.price.ledger == invoice.ledger
            && canonical(offer.pay_to) == invoice.pay_to
            && offer.price.amount <= invoice.price
    };
    offers.iter().any(fits).then_some(route)
}

/// Updates an invoice from the state of its payment. Returns it.
fn follow<R: Runtime>(runtime: &R, id: &InvoiceId) -> Option<Invoice> {
    advance::follow(runtime, id)
}

#[cfg(test)]
pub(crate) mod tests;
