//! What a payment gives access to, for dapps that sell something else than stored content.
//!
//! There is no index of payments by payer: it would make every payment dearer. The buyer shows the payment's id, which
//! the answer to the purchase named, and the lookup by id is exact.

use crate::{
    domain::{
        payment::{Payment, Receipt, State},
        roles::Role,
    },
    runtime::Runtime,
    service::{payments::is_merchant, role},
    storage,
    types::{PaymentId, RouteKey, TimestampNs},
};
use candid::Principal;

/// The reason why a payment gives no access.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum NoAccess {
    /// The caller may not know who paid for what.
    Unauthorized,
    NotPaid,
    NotDelivered,
    Refunded,
    Expired {
        until: TimestampNs,
    },
}

/// The receipt of a payment that gives access, and the end of the retention.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Granted {
    pub receipt: Receipt,
    pub until: TimestampNs,
}

/// Whether `payer` bought `item` with this payment, and has it: delivered, not refunded, within the retention.
///
/// A payment whose delivery is still owed gives no access, because it is refunded if nobody fetches what was bought.
/// The same callers are answered as by [`knows_who_paid`](super::payments::knows_who_paid), and those that controllers
/// allowed to ask.
pub fn access<R: Runtime>(
    runtime: &R,
    payer: &Principal,
    id: &PaymentId,
    item: &RouteKey,
) -> Result<Granted, NoAccess> {
    let payment = storage::payments::by_id(id);
    if !may_ask(runtime, payer, payment.as_ref()) {
        return Err(NoAccess::Unauthorized);
    }
    let bought = |payment: &Payment| {
        payment.from.owner == *payer
            && payment.purchase.request() == item
            && payment.state.moved().is_some()
    };
    let payment = payment.filter(bought).ok_or(NoAccess::NotPaid)?;
    let at = match &payment.state {
        State::Delivered { at, .. } => *at,
        State::Refunding { .. } | State::Refunded { .. } => return Err(NoAccess::Refunded),
        _ => return Err(NoAccess::NotDelivered),
    };
    let until = at.plus(storage::config::read().limits.retention);
    if runtime.now() > until {
        return Err(NoAccess::Expired { until });
    }
    let receipt = payment.receipt().ok_or(NoAccess::NotPaid)?;
    Ok(Granted { receipt, until })
}

fn may_ask<R: Runtime>(runtime: &R, payer: &Principal, payment: Option<&Payment>) -> bool {
    let caller = runtime.caller();
    caller == *payer
        || payment.is_some_and(|payment| is_merchant(runtime, &caller, &payment.to))
        || role(runtime, &caller) != Role::Other
        || storage::config::read().readers.contains(&caller)
}

#[cfg(test)]
mod tests;
