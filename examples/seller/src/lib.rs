//! Example: a canister that sells a method.
//!
//! A Tollkeeper sells `GET /forecast` (its content is a ticket, a few words). A buyer pays there, by `pay` or over
//! HTTP, and calls `forecast` here with the id of the payment. This canister asks the Tollkeeper whether its caller has
//! bought it ([`paid`]). A controller of the Tollkeeper has to allow that question (`access_readers_set`) and may name
//! this canister as the one that is told of payments (`notify_set`).

mod paid;
mod store;

use candid::Principal;
use ic_cdk::{init, query, update};
use serde_bytes::ByteBuf;
use tollkeeper_types::PaymentEvent;

#[init]
fn init(tollkeeper: Principal) {
    store::set_tollkeeper(tollkeeper);
}

#[update]
async fn forecast(payment_id: ByteBuf) -> Result<String, String> {
    paid::once("/forecast", payment_id).await?;
    Ok("Sun, 21 degrees.".into())
}

#[update]
fn x402_notify(event: PaymentEvent) {
    paid::note(&event);
}

#[query]
fn sold() -> u64 {
    store::sales()
}
