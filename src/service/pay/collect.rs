//! Payments by invoice: the money is in an account of this canister, and goes on to the merchant.

use super::{
    known::{self, Decision},
    means::{self, Wanted},
    outcome,
    transfer::{LedgerCall, transfer},
    work,
};
use crate::{
    domain::{
        capacity::NoCapacity,
        payment::Payment,
        request::PayOutcome,
        route::Route,
        window::TRANSACTION_WINDOW,
        work::{Work, WorkRequest},
    },
    runtime::Runtime,
    service::pay::fulfil::deliver,
    storage::{
        self,
        payments::{Change, NewPayment, RecordError},
    },
    types::ClaimKey,
};
use candid::Principal;

/// The work that a `GET` of this path buys of the route's forward target, if it has one.
pub fn wanted_work(route: &Route, path: &str) -> Option<Work> {
    let forward = route.forward?;
    Some(Work {
        forward,
        mime_type: route.mime_type.clone(),
        request: WorkRequest::new(path, "", &[], &[]),
    })
}

/// Whether one more payment of this kind can be begun now.
pub fn has_room<R: Runtime>(
    runtime: &R,
    ledger: &Principal,
    work: Option<&Work>,
) -> Result<(), NoCapacity> {
    let limits = storage::config::read().limits;
    let wanted = work.map(|work| Wanted {
        forward: &work.forward,
        request_bytes: work.request.bytes(),
    });
    let payer = runtime.canister_id();
    means::capacity(runtime, &limits, &payer, ledger, wanted).public
}

/// Records the payment as open, and has the ledger make its transfer. Returns it in its new state. The caller has
/// checked [`has_room`].
pub async fn collect<R: Runtime>(
    runtime: &R,
    key: ClaimKey,
    payment: Payment,
    work: Option<Work>,
) -> Result<Payment, RecordError> {
    let known_block = storage::claims::highest_block(&payment.ledger);
    let new = NewPayment {
        valid_before: payment.created_at.plus(TRANSACTION_WINDOW).seconds(),
        payment,
        known_block,
    };
    let change = Change::Open(Box::new(new));
    let payment = storage::payments::record(&key, change, runtime.now())?;
    if let Some(work) = work {
        storage::works::put(&payment.id, &work);
    }
    let call = LedgerCall {
        payment,
        known_block,
    };
    Ok(transfer(runtime, key, call, false).await.0)
}

/// Answers whoever has shown the right to what this payment bought: delivers it, for the first time or again, or has
/// the work done.
pub async fn fetch<R: Runtime>(runtime: &R, key: ClaimKey, payment: Payment) -> PayOutcome {
    match known::of_state(&payment, None, runtime.now()) {
        Decision::Deliver => {
            let (payment, resource) = deliver(runtime, &key, payment);
            outcome(payment, resource)
        }
        Decision::Work => {
            let (payment, resource) = work::run(runtime, &key, payment).await;
            outcome(payment, resource)
        }
        Decision::Final(outcome) => *outcome,
        Decision::CallAgain | Decision::OtherAuthorization => outcome(payment, None),
    }
}
