//! Tollkeeper: x402 payments on the Internet Computer.
//!
//! Web server, facilitator, cashier and books in one canister. Layers, each of which uses only what
//! stands to its left: `types`, `domain`, `storage`, `service` (with `runtime`), `api`, and this file,
//! which holds the entry points and nothing else.

#![deny(missing_docs)]

pub mod api;
pub mod domain;
pub mod runtime;
pub mod service;
pub mod storage;
pub mod types;

use api::{
    arguments, endpoints,
    http::{self, HttpRequest, HttpResponse, HttpUpdateRequest},
    inspect,
    types::*,
};
use candid::{Nat, Principal};
use ic_cdk::{init, inspect_message, post_upgrade, pre_upgrade, query, update};
use runtime::ic::{self, IcRuntime, InFlight};
use serde_bytes::ByteBuf;
use std::{future::Future, pin::Pin};

/// This canister's version.
pub const VERSION: &str = if cfg!(feature = "broken") {
    // Never to be deployed, and nobody can overlook it.
    concat!(env!("CARGO_PKG_VERSION"), "+broken")
} else {
    env!("CARGO_PKG_VERSION")
};

/// What the timer runs.
fn tick() -> Pin<Box<dyn Future<Output = ()>>> {
    Box::pin(async {
        let _in_flight = InFlight::timer();
        service::recover::tick(&IcRuntime).await;
        // A ledger may have named another fee.
        http::certify_changes();
    })
}

#[init]
fn init(args: Option<TollkeeperArgs>) {
    runtime::timers::on_tick(tick);
    let understood = arguments::check(&ic_cdk::api::msg_arg_data(), args.as_ref());
    if let Err(error) = understood.and_then(|()| endpoints::init(&IcRuntime, args)) {
        ic_cdk::trap(error);
    }
    http::certify_all();
}

/// Keeps nothing, all state is in stable memory. It only refuses to leave replies behind, which would come home to
/// the heap of other code; `skip_pre_upgrade` upgrades all the same.
#[pre_upgrade]
fn pre_upgrade() {
    if !ic::nothing_in_flight() {
        ic_cdk::trap("calls are in flight: stop the canister, upgrade it, start it");
    }
}

#[post_upgrade]
fn post_upgrade(args: Option<TollkeeperArgs>) {
    runtime::timers::on_tick(tick);
    let understood = arguments::check(&ic_cdk::api::msg_arg_data(), args.as_ref());
    if let Err(error) = understood.and_then(|()| endpoints::post_upgrade(&IcRuntime, args)) {
        ic_cdk::trap(error);
    }
    http::certify_all();
}

#[inspect_message]
fn inspect_message() {
    let method = ic_cdk::api::msg_method_name();
    let argument = ic_cdk::api::msg_arg_data();
    if inspect::accept(&IcRuntime, &method, argument.len(), || argument.clone()) {
        ic_cdk::api::accept_message();
    }
}

#[query]
fn config() -> Config {
    endpoints::config()
}

#[update]
fn pay_to_set(pay_to: Account) -> Result<(), RouteError> {
    endpoints::pay_to_set(&IcRuntime, pay_to)
}

#[update]
fn origin_set(origin: Option<String>) -> Result<(), RouteError> {
    let understood = arguments::check_optional(&ic_cdk::api::msg_arg_data(), origin.as_ref());
    if let Err(error) = understood {
        ic_cdk::trap(error);
    }
    endpoints::origin_set(&IcRuntime, origin)
}

#[query]
fn origin() -> Option<String> {
    endpoints::origin()
}

#[update]
fn operator_add(operator: Principal) -> Result<(), RouteError> {
    endpoints::operator_add(&IcRuntime, operator)
}

#[update]
fn operator_remove(operator: Principal) -> Result<(), RouteError> {
    endpoints::operator_remove(&IcRuntime, operator)
}

#[update]
async fn ledger_add(ledger: Principal) -> Result<Ledger, LedgerError> {
    endpoints::ledger_add(&IcRuntime, ledger).await
}

#[update]
async fn ledger_refresh(ledger: Principal) -> Result<Ledger, LedgerError> {
    endpoints::ledger_refresh(&IcRuntime, ledger).await
}

#[update]
fn ledger_enable(ledger: Principal, enabled: bool) -> Result<Ledger, LedgerError> {
    endpoints::ledger_enable(&IcRuntime, ledger, enabled)
}

#[query]
fn ledgers() -> Vec<Ledger> {
    endpoints::all_ledgers()
}

#[update]
fn route_put(route: RouteArgs) -> Result<Route, RouteError> {
    endpoints::route_put(&IcRuntime, route)
}

#[update]
fn route_remove(key: RouteKey) -> Result<(), RouteError> {
    endpoints::route_remove(&IcRuntime, key)
}

#[query]
fn route(key: RouteKey) -> Option<Route> {
    endpoints::route(key)
}

#[query]
fn routes(page: PageArgs) -> Result<Vec<Route>, InvalidArgument> {
    endpoints::routes(page)
}

#[query]
fn offers(key: RouteKey) -> Vec<Offer> {
    endpoints::offers(&IcRuntime, key)
}

#[update]
fn content_begin(content: ContentBegin) -> Result<u64, ContentError> {
    endpoints::content_begin(&IcRuntime, content)
}

#[update]
fn content_chunk(chunk: ContentChunk) -> Result<(), ContentError> {
    endpoints::content_chunk(&IcRuntime, chunk)
}

#[update]
fn content_commit(commit: ContentCommit) -> Result<Content, ContentError> {
    endpoints::content_commit(&IcRuntime, commit)
}

#[query]
fn payment(id: ByteBuf) -> Option<Payment> {
    endpoints::payment(&id)
}

#[query]
fn receipt(id: ByteBuf) -> Option<Receipt> {
    endpoints::receipt(&id)
}

#[query]
fn payments(page: PageArgs) -> Result<Vec<Payment>, PaymentsError> {
    endpoints::settled_payments(&IcRuntime, page)
}

#[query]
fn payments_open(page: Option<PageArgs>) -> Result<Vec<Payment>, PaymentsError> {
    endpoints::open_payments(&IcRuntime, page)
}

#[query]
fn payments_failed(page: PageArgs) -> Result<Vec<Payment>, PaymentsError> {
    endpoints::failed_payments(&IcRuntime, page)
}

#[query]
fn audit_payments(page: PageArgs) -> Result<Vec<PaymentAudit>, PaymentsError> {
    endpoints::audit_payments(&IcRuntime, page)
}

#[query]
fn audit_admin(page: PageArgs) -> Result<Vec<AdminAudit>, PaymentsError> {
    endpoints::audit_admin(&IcRuntime, page)
}

#[update]
async fn payment_recheck(id: ByteBuf) -> Result<PaymentStatus, RecheckError> {
    endpoints::payment_recheck(&IcRuntime, &id).await
}

#[update]
fn cancel_authorization(cancel: CancelArgs) -> Result<(), CancelError> {
    endpoints::cancel_authorization(&IcRuntime, cancel)
}

#[update]
fn refund_payment(id: ByteBuf) -> Result<PaymentStatus, RefundError> {
    endpoints::refund_payment(&IcRuntime, &id)
}

#[update]
async fn solvency() -> Result<Vec<Solvency>, PaymentsError> {
    endpoints::solvency(&IcRuntime).await
}

#[update]
async fn withdraw(withdrawal: WithdrawArgs) -> Result<Nat, WithdrawError> {
    endpoints::withdraw(&IcRuntime, withdrawal).await
}

fn readable<T>(argument: Result<T, candid::Error>) -> T {
    argument.unwrap_or_else(|error| ic_cdk::trap(format!("the argument cannot be read: {error}")))
}

fn decode_query(bytes: Vec<u8>) -> HttpRequest {
    readable(http::wire::decode_query(&bytes))
}

fn decode_update(bytes: Vec<u8>) -> HttpUpdateRequest {
    readable(http::wire::decode_update(&bytes))
}

// Hidden from the interface that is exported: with a codec of its own a method would appear as bytes.
#[query(
    decode_with = "decode_query",
    encode_with = "http::wire::encode",
    hidden = true
)]
#[cfg_attr(test, candid::candid_method(query))]
fn http_request(request: HttpRequest) -> HttpResponse {
    http::http_request(request)
}

#[update(
    decode_with = "decode_update",
    encode_with = "http::wire::encode",
    hidden = true
)]
#[cfg_attr(test, candid::candid_method)]
async fn http_request_update(request: HttpUpdateRequest) -> HttpResponse {
    http::http_request_update(&IcRuntime, request).await
}

#[cfg(test)]
mod tests {
    use super::*;
    use candid_parser::utils::{CandidSource, service_equal};

    #[test]
    fn canister_did_says_what_the_code_does() {
        candid::export_service!();
        let code = __export_service();
        let did = include_str!("../canister.did");
        service_equal(CandidSource::Text(&code), CandidSource::Text(did))
            .unwrap_or_else(|error| panic!("{error}\n{code}"));
    }
}
