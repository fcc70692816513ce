//! Delivery of what was bought.

use crate::{
    domain::{
        fulfilment::Fulfilment,
        payment::{Event, Payment, RefundCause, State},
        request::Resource,
    },
    runtime::Runtime,
    service::{refund, schedule},
    storage::{self, answers::StoredAnswer, payments::Change, responses::Response},
    types::{ClaimKey, TimestampNs},
};

/// Whether what the payment buys is still kept: its stored response, or the work that is to be done.
pub fn is_kept(payment: &Payment) -> bool {
    match payment.fulfilment {
        Fulfilment::Stored(number) => storage::responses::get(number).is_some(),
        Fulfilment::Forward => storage::works::get(&payment.id).is_some(),
        Fulfilment::Nothing => false,
    }
}

/// The resource that the payment bought, if it is stored: work has none before it is done.
pub fn resource(payment: &Payment) -> Option<Resource> {
    match payment.fulfilment {
        Fulfilment::Stored(number) => {
            let Response { content, mime_type } = storage::responses::get(number)?;
            let body = storage::content::read(&content)?;
            Some(Resource::stored(mime_type, body))
        }
        Fulfilment::Forward => storage::answers::get(&payment.id).map(Resource::from),
        Fulfilment::Nothing => None,
    }
}

/// Records that the payment's stored response is delivered now.
pub fn note_delivery(payment: &Payment, now: TimestampNs) {
    if let Some(number) = payment.fulfilment.response() {
        storage::responses::note_delivery(number, now);
    }
}

impl From<StoredAnswer> for Resource {
    fn from(answer: StoredAnswer) -> Self {
        Resource {
            status: answer.status,
            headers: answer.headers,
            mime_type: answer.mime_type,
            body: answer.body,
        }
    }
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
