//! Tollkeeper: x402 payments on the Internet Computer.
//!
//! Seller, verifier, facilitator and web server in one canister. Each layer uses only those to its left: `types`,
//! `domain`, `storage`, `service` (with `runtime`), `api`, and this file, which contains only the entry points.

pub mod api;
pub mod domain;
pub mod runtime;
pub mod service;
pub mod storage;
pub mod types;

use api::{
    arguments::{self, Arguments, Tolerance},
    call, endpoints,
    http::{self, HttpRequest, HttpResponse, HttpUpdateRequest},
    inspect, invoices, plain, seller, signing,
    types::*,
    wallets,
};
use candid::{CandidType, Nat, Principal};
use ic_cdk::{init, inspect_message, post_upgrade, pre_upgrade, query, update};
use icrc_ledger_types::icrc21::{
    errors::Icrc21Error, requests::ConsentMessageRequest, responses::ConsentInfo,
};
use runtime::{
    ic::IcRuntime,
    in_flight::{InFlight, nothing_in_flight},
};
use serde::de::DeserializeOwned;
use serde_bytes::ByteBuf;

/// What an agent needs to know beyond the types of `canister.did`.
const API_DOC: &str = include_str!("api/api_doc.md");

/// Called by the system's timer. Outside of a canister the name may be in use.
#[cfg(target_family = "wasm")]
#[unsafe(export_name = "canister_global_timer")]
extern "C" fn global_timer() {
    ic_cdk_executor::in_tracking_executor_context(runtime::timers::fire);
}

/// The work of the timer. Hidden from the interface: only the canister itself may call it.
#[update(hidden = true)]
async fn __tick() {
    if ic_cdk::api::msg_caller() != ic_cdk::api::canister_self() {
        ic_cdk::trap("only the canister's own timer calls this");
    }
    let _in_flight = InFlight::tick();
    // The rest of a change of many offers comes first: it waits for no call.
    http::certify_changes(&IcRuntime);
    service::recover::tick(&IcRuntime).await;
    // A ledger may have named another fee.
    http::certify_changes(&IcRuntime);
}

// All methods decode their arguments with `api::arguments`. A method with a codec of its own would be exported as one
// of bytes, so all are hidden, and a test compares them with canister.did.
fn readable<T: Arguments>(method: &str, bytes: &[u8], tolerance: Tolerance) -> T {
    arguments::read_of(method, bytes, tolerance).unwrap_or_else(|error| ic_cdk::trap(error))
}

fn of_installation<T: CandidType + DeserializeOwned>(bytes: Vec<u8>) -> T {
    let (argument,) = readable("", &bytes, arguments::INSTALLATION);
    argument
}

/// One function for each method, which decodes its argument. Errors name the method.
macro_rules! readers {
    ($kind:ident, $tolerance:ident, $($method:ident)*) => {
        mod $kind {
            use super::*;
            $(pub fn $method<T: CandidType + DeserializeOwned>(bytes: Vec<u8>) -> T {
                let (argument,) = readable(stringify!($method), &bytes, arguments::$tolerance);
                argument
            })*
        }
    };
}

readers! { of_update, UPDATE,
    pay_to_set origin_set trusted_origins_set operator_add operator_remove ledger_add ledger_refresh route_put
    route_remove content_begin
    content_chunk content_commit payment_recheck cancel_authorization refund_payment refund_by_merchant payment_resolve
    withdraw pay access_readers_set notify_set invoice_create invoice_check invoice_return
    receipt_signing_set receipt_sign
}

readers! { of_query, QUERY,
    route routes offers quote access icrc21_canister_call_consent_message payment receipt
    receipt_proof payments payments_waiting
    payments_open payments_failed audit_payments
    audit_admin invoice
}

fn of_gateway<T: CandidType + DeserializeOwned>(bytes: Vec<u8>) -> T {
    arguments::read_request(&bytes).unwrap_or_else(|error| ic_cdk::trap(error))
}

/// The methods that have no argument, or more than one.
mod all_of_update {
    use super::*;

    pub fn ledger_enable<T: Arguments>(bytes: Vec<u8>) -> T {
        readable("ledger_enable", &bytes, arguments::UPDATE)
    }

    pub fn solvency<T: Arguments>(bytes: Vec<u8>) -> T {
        readable("solvency", &bytes, arguments::UPDATE)
    }
}

#[init(decode_with = "of_installation", hidden = true)]
#[cfg_attr(test, candid::candid_method(init))]
fn init(args: Option<TollkeeperArgs>) {
    if let Err(error) = endpoints::init(&IcRuntime, args) {
        ic_cdk::trap(error);
    }
    http::certify_all(&IcRuntime);
}

/// Saves nothing, because all state is in stable memory. Only refuses an upgrade while replies can arrive, because they
/// would arrive in the heap of other code; `skip_pre_upgrade` overrides it.
#[pre_upgrade]
fn pre_upgrade() {
    if !nothing_in_flight() {
        ic_cdk::trap("calls are in flight: stop the canister, upgrade it, start it");
    }
}

#[post_upgrade(decode_with = "of_installation", hidden = true)]
fn post_upgrade(args: Option<TollkeeperArgs>) {
    if let Err(error) = endpoints::post_upgrade(&IcRuntime, args) {
        ic_cdk::trap(error);
    }
    http::certify_all(&IcRuntime);
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

#[update(decode_with = "of_update::pay_to_set", hidden = true)]
#[cfg_attr(test, candid::candid_method)]
fn pay_to_set(pay_to: AccountArg) -> Result<(), RouteError> {
    endpoints::pay_to_set(&IcRuntime, pay_to)
}

#[update(decode_with = "of_update::origin_set", hidden = true)]
#[cfg_attr(test, candid::candid_method)]
fn origin_set(origin: Option<String>) -> Result<(), RouteError> {
    endpoints::origin_set(&IcRuntime, origin)
}

#[query]
fn origin() -> Option<String> {
    endpoints::origin()
}

#[update(decode_with = "of_update::trusted_origins_set", hidden = true)]
#[cfg_attr(test, candid::candid_method)]
fn trusted_origins_set(origins: Vec<String>) -> Result<(), RouteError> {
    endpoints::trusted_origins_set(&IcRuntime, origins)
}

#[query]
fn icrc10_supported_standards() -> Vec<SupportedStandard> {
    wallets::supported_standards()
}

#[query]
fn icrc28_trusted_origins() -> TrustedOrigins {
    wallets::trusted_origins()
}

#[query(
    decode_with = "of_query::icrc21_canister_call_consent_message",
    hidden = true
)]
#[cfg_attr(test, candid::candid_method(query))]
fn icrc21_canister_call_consent_message(
    request: ConsentMessageRequest,
) -> Result<ConsentInfo, Icrc21Error> {
    wallets::consent_message(&IcRuntime, &request)
}

#[query]
fn get_api_doc() -> &'static str {
    API_DOC
}

#[update(decode_with = "of_update::operator_add", hidden = true)]
#[cfg_attr(test, candid::candid_method)]
fn operator_add(operator: Principal) -> Result<(), RouteError> {
    endpoints::operator_add(&IcRuntime, operator)
}

#[update(decode_with = "of_update::operator_remove", hidden = true)]
#[cfg_attr(test, candid::candid_method)]
fn operator_remove(operator: Principal) -> Result<(), RouteError> {
    endpoints::operator_remove(&IcRuntime, operator)
}

#[update(decode_with = "of_update::ledger_add", hidden = true)]
#[cfg_attr(test, candid::candid_method)]
async fn ledger_add(ledger: Principal) -> Result<Ledger, LedgerError> {
    endpoints::ledger_add(&IcRuntime, ledger).await
}

#[update(decode_with = "of_update::ledger_refresh", hidden = true)]
#[cfg_attr(test, candid::candid_method)]
async fn ledger_refresh(ledger: Principal) -> Result<Ledger, LedgerError> {
    endpoints::ledger_refresh(&IcRuntime, ledger).await
}

#[update(decode_with = "all_of_update::ledger_enable", hidden = true)]
#[cfg_attr(test, candid::candid_method)]
fn ledger_enable(ledger: Principal, enabled: bool) -> Result<Ledger, LedgerError> {
    endpoints::ledger_enable(&IcRuntime, ledger, enabled)
}

#[query]
fn ledgers() -> Vec<Ledger> {
    endpoints::all_ledgers()
}

#[update(decode_with = "of_update::route_put", hidden = true)]
#[cfg_attr(test, candid::candid_method)]
fn route_put(route: RouteArgs) -> Result<Route, RouteError> {
    endpoints::route_put(&IcRuntime, route)
}

#[update(decode_with = "of_update::route_remove", hidden = true)]
#[cfg_attr(test, candid::candid_method)]
fn route_remove(key: RouteKey) -> Result<(), RouteError> {
    endpoints::route_remove(&IcRuntime, key)
}

#[query(decode_with = "of_query::route", hidden = true)]
#[cfg_attr(test, candid::candid_method(query))]
fn route(key: RouteKey) -> Option<Route> {
    endpoints::route(key)
}

#[query(decode_with = "of_query::routes", hidden = true)]
#[cfg_attr(test, candid::candid_method(query))]
fn routes(page: PageArgs) -> Result<Vec<Route>, InvalidArgument> {
    endpoints::routes(page)
}

#[query(decode_with = "of_query::quote", hidden = true)]
#[cfg_attr(test, candid::candid_method(query))]
fn quote(key: RouteKey) -> Option<Quote> {
    call::quote(&IcRuntime, key)
}

#[update(decode_with = "of_update::pay", hidden = true)]
#[cfg_attr(test, candid::candid_method)]
async fn pay(args: PayArgs) -> Result<Purchased, PayError> {
    call::pay(&IcRuntime, args).await
}

#[update(decode_with = "of_update::invoice_create", hidden = true)]
#[cfg_attr(test, candid::candid_method)]
fn invoice_create(args: InvoiceArgs) -> Result<Invoice, InvoiceError> {
    invoices::create(&IcRuntime, &args)
}

#[query(decode_with = "of_query::invoice", hidden = true)]
#[cfg_attr(test, candid::candid_method(query))]
fn invoice(id: ByteBuf) -> Option<Invoice> {
    invoices::find(&IcRuntime, &id)
}

#[update(decode_with = "of_update::invoice_check", hidden = true)]
#[cfg_attr(test, candid::candid_method)]
async fn invoice_check(id: ByteBuf) -> Result<Invoice, InvoiceError> {
    invoices::check(&IcRuntime, &id).await
}

#[update(decode_with = "of_update::invoice_return", hidden = true)]
#[cfg_attr(test, candid::candid_method)]
async fn invoice_return(args: InvoiceReturnArgs) -> Result<Returned, InvoiceError> {
    invoices::give_back(&IcRuntime, &args).await
}

#[query(decode_with = "of_query::access", hidden = true)]
#[cfg_attr(test, candid::candid_method(query))]
fn access(args: AccessArgs) -> Result<Access, AccessError> {
    seller::access(&IcRuntime, &args)
}

#[update(decode_with = "of_update::access_readers_set", hidden = true)]
#[cfg_attr(test, candid::candid_method)]
fn access_readers_set(readers: Vec<Principal>) -> Result<(), RouteError> {
    seller::access_readers_set(&IcRuntime, readers)
}

#[query]
fn access_readers() -> Vec<Principal> {
    seller::access_readers()
}

#[update(decode_with = "of_update::notify_set", hidden = true)]
#[cfg_attr(test, candid::candid_method)]
fn notify_set(target: Option<Principal>) -> Result<(), RouteError> {
    seller::notify_set(&IcRuntime, target)
}

#[query]
fn notify_status() -> Result<NotifyStatus, PaymentsError> {
    seller::notify_status(&IcRuntime)
}

#[query(decode_with = "of_query::offers", hidden = true)]
#[cfg_attr(test, candid::candid_method(query))]
fn offers(key: RouteKey) -> Vec<Offer> {
    endpoints::offers(&IcRuntime, key)
}

#[update(decode_with = "of_update::content_begin", hidden = true)]
#[cfg_attr(test, candid::candid_method)]
fn content_begin(content: ContentBegin) -> Result<u64, ContentError> {
    endpoints::content_begin(&IcRuntime, content)
}

#[update(decode_with = "of_update::content_chunk", hidden = true)]
#[cfg_attr(test, candid::candid_method)]
fn content_chunk(chunk: ContentChunk) -> Result<(), ContentError> {
    endpoints::content_chunk(&IcRuntime, chunk)
}

#[update(decode_with = "of_update::content_commit", hidden = true)]
#[cfg_attr(test, candid::candid_method)]
fn content_commit(commit: ContentCommit) -> Result<Content, ContentError> {
    endpoints::content_commit(&IcRuntime, commit)
}

#[query(decode_with = "of_query::payment", hidden = true)]
#[cfg_attr(test, candid::candid_method(query))]
fn payment(id: ByteBuf) -> Option<Payment> {
    endpoints::payment(&IcRuntime, &id)
}

#[query(decode_with = "of_query::receipt", hidden = true)]
#[cfg_attr(test, candid::candid_method(query))]
fn receipt(id: ByteBuf) -> Option<Receipt> {
    endpoints::receipt(&IcRuntime, &id)
}

#[update(decode_with = "of_update::receipt_signing_set", hidden = true)]
#[cfg_attr(test, candid::candid_method)]
async fn receipt_signing_set(args: Option<ReceiptSigningArgs>) -> Result<(), ReceiptSigningError> {
    signing::receipt_signing_set(&IcRuntime, args).await
}

#[query]
fn receipt_signing() -> ReceiptSigning {
    signing::receipt_signing()
}

#[update(decode_with = "of_update::receipt_sign", hidden = true)]
#[cfg_attr(test, candid::candid_method)]
async fn receipt_sign(id: ByteBuf) -> Result<String, ReceiptSignError> {
    signing::receipt_sign(&IcRuntime, &id).await
}

/// The argument of `receipt_proof`.
fn id_of(bytes: Vec<u8>) -> ByteBuf {
    plain::id(&bytes).unwrap_or_else(|| of_query::receipt_proof(bytes))
}

#[query(decode_with = "id_of", encode_with = "plain::opt_text", hidden = true)]
#[cfg_attr(test, candid::candid_method(query))]
fn receipt_proof(id: ByteBuf) -> Option<String> {
    endpoints::receipt_proof(&IcRuntime, &id)
}

#[query(decode_with = "of_query::payments", hidden = true)]
#[cfg_attr(test, candid::candid_method(query))]
fn payments(page: PageArgs) -> Result<Vec<Payment>, PaymentsError> {
    endpoints::settled_payments(&IcRuntime, page)
}

#[query(decode_with = "of_query::payments_waiting", hidden = true)]
#[cfg_attr(test, candid::candid_method(query))]
fn payments_waiting(page: PageArgs) -> Result<Vec<Payment>, PaymentsError> {
    endpoints::waiting_payments(&IcRuntime, page)
}

#[query(decode_with = "of_query::payments_open", hidden = true)]
#[cfg_attr(test, candid::candid_method(query))]
fn payments_open(page: Option<PageArgs>) -> Result<Vec<Payment>, PaymentsError> {
    endpoints::open_payments(&IcRuntime, page)
}

#[query(decode_with = "of_query::payments_failed", hidden = true)]
#[cfg_attr(test, candid::candid_method(query))]
fn payments_failed(page: PageArgs) -> Result<Vec<Payment>, PaymentsError> {
    endpoints::failed_payments(&IcRuntime, page)
}

#[query(decode_with = "of_query::audit_payments", hidden = true)]
#[cfg_attr(test, candid::candid_method(query))]
fn audit_payments(page: PageArgs) -> Result<Vec<PaymentAudit>, PaymentsError> {
    endpoints::audit_payments(&IcRuntime, page)
}

#[query(decode_with = "of_query::audit_admin", hidden = true)]
#[cfg_attr(test, candid::candid_method(query))]
fn audit_admin(page: PageArgs) -> Result<Vec<AdminAudit>, PaymentsError> {
    endpoints::audit_admin(&IcRuntime, page)
}

#[update(decode_with = "of_update::payment_recheck", hidden = true)]
#[cfg_attr(test, candid::candid_method)]
async fn payment_recheck(id: ByteBuf) -> Result<PaymentStatus, RecheckError> {
    endpoints::payment_recheck(&IcRuntime, &id).await
}

#[update(decode_with = "of_update::cancel_authorization", hidden = true)]
#[cfg_attr(test, candid::candid_method)]
fn cancel_authorization(cancel: CancelArgs) -> Result<(), CancelError> {
    endpoints::cancel_authorization(&IcRuntime, cancel)
}

#[update(decode_with = "of_update::refund_payment", hidden = true)]
#[cfg_attr(test, candid::candid_method)]
fn refund_payment(id: ByteBuf) -> Result<PaymentStatus, RefundError> {
    endpoints::refund_payment(&IcRuntime, &id)
}

#[update(decode_with = "of_update::refund_by_merchant", hidden = true)]
#[cfg_attr(test, candid::candid_method)]
fn refund_by_merchant(id: ByteBuf) -> Result<PaymentStatus, RefundError> {
    endpoints::refund_by_merchant(&IcRuntime, &id)
}

#[update(decode_with = "of_update::payment_resolve", hidden = true)]
#[cfg_attr(test, candid::candid_method)]
fn payment_resolve(args: ResolveArgs) -> Result<PaymentStatus, ResolveError> {
    endpoints::payment_resolve(&IcRuntime, args)
}

#[update(decode_with = "all_of_update::solvency", hidden = true)]
#[cfg_attr(test, candid::candid_method)]
async fn solvency() -> Result<Vec<Solvency>, PaymentsError> {
    endpoints::solvency(&IcRuntime).await
}

#[update(decode_with = "of_update::withdraw", hidden = true)]
#[cfg_attr(test, candid::candid_method)]
async fn withdraw(withdrawal: WithdrawArgs) -> Result<Nat, WithdrawError> {
    endpoints::withdraw(&IcRuntime, withdrawal).await
}

#[query(decode_with = "of_gateway", hidden = true)]
#[cfg_attr(test, candid::candid_method(query))]
fn http_request(request: HttpRequest) -> HttpResponse {
    http::http_request(&IcRuntime, request)
}

#[update(decode_with = "of_gateway", hidden = true)]
#[cfg_attr(test, candid::candid_method)]
async fn http_request_update(request: HttpUpdateRequest) -> HttpResponse {
    http::http_request_update(&IcRuntime, request).await
}

#[cfg(test)]
mod tests;
