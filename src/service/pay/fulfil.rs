//! What was bought, and its delivery.

use crate::{
    domain::{
        payment::{Event, Payment, RefundCause, State},
        request::Resource,
    },
    runtime::Runtime,
    service::refund,
    storage::{self, payments::Change, responses::Response},
    types::{ClaimKey, TimestampNs},
};

/// What the payment bought, if it is still kept.
pub fn bought(payment: &Payment) -> Option<Response> {
    storage::responses::get(payment.fulfilment.response())
}

/// What the payment bought, if it is still there.
pub fn resource(payment: &Payment) -> Option<Resource> {
    let Response { content, mime_type } = bought(payment)?;
    let body = storage::content::read(&content)?;
    Some(Resource { mime_type, body })
}

/// Notes that what the payment bought was delivered now.
pub fn note_delivery(payment: &Payment, now: TimestampNs) {
    storage::responses::note_delivery(payment.fulfilment.response(), now);
}

/// Delivers what was bought, for the first time or again. What is owed and cannot be delivered is to be paid
/// back: for money that went to a stranger's account the payer waits for a controller ([`refund::due`]). Returns the
/// payment as it is then.
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
            (payment, resource)
        }
        Err(_) => (payment, None),
    }
}
