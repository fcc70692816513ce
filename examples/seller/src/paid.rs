//! All of the payment code.

use crate::store;
use ic_cdk::{api::msg_caller, call::Call, trap};
use serde_bytes::ByteBuf;
use tollkeeper_types::{Access, AccessArgs, AccessError, PaymentEvent, PaymentEventKind};

/// Whether the caller has bought this path with this payment, which is used up with that.
pub async fn once(path: &str, payment_id: ByteBuf) -> Result<(), String> {
    let args = AccessArgs {
        payer: msg_caller(),
        payment_id: payment_id.clone(),
        method: "GET".into(),
        path: path.into(),
    };
    // A call between canisters: consensus answers, not one node.
    let call = Call::bounded_wait(store::tollkeeper(), "access").with_arg(&args);
    let reply = call.await.map_err(|error| error.to_string())?;
    let access: Result<Access, AccessError> = reply.candid().map_err(|error| error.to_string())?;
    access.map_err(|error| format!("{error:?}"))?;
    // There is no await from here on: of two calls with one payment, one is the first.
    match store::use_up(&payment_id) {
        true => Ok(()),
        false => Err("this payment was used before".into()),
    }
}

/// Notes a sale. What is only settled may be refunded yet. An event may come more than once; its id tells.
pub fn note(event: &PaymentEvent) {
    if msg_caller() != store::tollkeeper() {
        trap("only the Tollkeeper tells of payments");
    }
    if event.kind == PaymentEventKind::Delivered {
        store::note_sale(event.event_id);
    }
}
