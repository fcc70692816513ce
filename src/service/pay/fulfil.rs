//! Delivery of what was bought.

use crate::{
    domain::{
        payment::{Event, Payment, RefundCause, State},
        request::Resource,
    },
    runtime::Runtime,
    service::{refund, schedule},
    storage::{self, payments::Change, responses::Response},
    types::{ClaimKey, TimestampNs},
};

/// The stored response that the payment bought, if it is still kept.
pub fn bought(payment: &Payment) -> Option<Response> {
    storage::responses::get(payment.fulfilment.response())
}

/// The resource that the payment bought, if it is still stored.
pub fn resource(payment: &Payment) -> Option<Resource> {
    let Response { content, mime_type } = bought(payment)?;
    let body = storage::content::read(&content)?;
    Some(Resource { mime_type, body })
}

/// Records that the payment's stored response is delivered now.
pub fn note_delivery(payment: &Payment, now: TimestampNs) {
    storage::responses::note_delivery(payment.fulfilment.response(), now);
}

/// Delivers what was bought, for the first time or again. If it is owed and cannot be delivered, the payment is to be
/// refunded. If the money went to somebody else's account, the refund waits for a controller ([`refund::due`]). Returns
/// the payment in its new state.
pub fn deliver<R: Runtime>(
    runtime: &R,
    key: &ClaimKey,
    payment: Payment,
) -> (Payment, Option<Resource>) {
    let resource = resource(&payment);
    if matches!(payment.state, State::Delivered { .. }) {
        return (payment, resource);
    }
    let now = runtime.now();
    let event = match resource {
        Some(_) => Event::Delivered,
        None => refund::due(runtime, &payment, RefundCause::NotDeliverable),
    };
    match storage::payments::record(key, Change::Event(event), now) {
        Ok(payment) => {
            if resource.is_some() {
                note_delivery(&payment, now);
            }
            schedule::announce(runtime);
            (payment, resource)
        }
        Err(_) => (payment, None),
    }
}
