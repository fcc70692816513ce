//! The Candid interface for canisters that sell: `access`, and the notifications of a merchant's canister.

use crate::{
    api::types::{
        Access, AccessArgs, AccessError, NotifyStatus, PaymentsError, Receipt, RouteError,
        RouteKey, route_key,
    },
    domain::{
        template::MAX_PATH_BYTES,
        validate::{self, InvalidArgument as Invalid},
    },
    runtime::Runtime,
    service::{
        access::{self, NoAccess},
        admin, notify,
    },
    storage,
    types::{PaymentId, RouteKey as Item},
};
use candid::Principal;

pub fn access<R: Runtime>(runtime: &R, args: &AccessArgs) -> Result<Access, AccessError> {
    let (id, item) = read(args).map_err(|error| AccessError::InvalidArgument(error.into()))?;
    let granted = access::access(runtime, &args.payer, &id, &item).map_err(AccessError::from)?;
    Ok(Access {
        receipt: Receipt::from(granted.receipt),
        until: granted.until.0,
    })
}

fn read(args: &AccessArgs) -> Result<(PaymentId, Item), Invalid> {
    let id = PaymentId(validate::bytes32("payment_id", &args.payment_id)?);
    validate::text_length("path", &args.path, MAX_PATH_BYTES)?;
    let item = route_key(&RouteKey {
        method: args.method.clone(),
        path: args.path.clone(),
    })?;
    Ok((id, item))
}

impl From<NoAccess> for AccessError {
    fn from(error: NoAccess) -> Self {
        match error {
            NoAccess::Unauthorized => AccessError::Unauthorized,
            NoAccess::NotPaid => AccessError::NotPaid,
            NoAccess::NotDelivered => AccessError::NotDelivered,
            NoAccess::Refunded => AccessError::Refunded,
            NoAccess::Expired { until } => AccessError::Expired { until: until.0 },
        }
    }
}

pub fn access_readers_set<R: Runtime>(
    runtime: &R,
    readers: Vec<Principal>,
) -> Result<(), RouteError> {
    admin::set_readers(runtime, readers).map_err(RouteError::from)
}

pub fn access_readers() -> Vec<Principal> {
    storage::config::read().readers
}

pub fn notify_set<R: Runtime>(runtime: &R, target: Option<Principal>) -> Result<(), RouteError> {
    notify::set(runtime, target).map_err(RouteError::from)
}

pub fn notify_status<R: Runtime>(runtime: &R) -> Result<NotifyStatus, PaymentsError> {
    let status = notify::status(runtime).map_err(|_| PaymentsError::Unauthorized)?;
    Ok(NotifyStatus {
        target: status.target,
        waiting: status.waiting,
        sent: status.sent,
        dropped: status.dropped,
        latest_event_id: status.latest,
        failures: status.failures,
        next_try: status.next_try.map(|at| at.0),
    })
}
