//! Payments, receipts and the audit log, for callers who may read them.

use crate::{
    domain::{
        payment::{Payment, Receipt},
        roles::{Role, Unauthorized},
        validate::{InvalidArgument, page_limit},
    },
    runtime::Runtime,
    service::role,
    storage::{
        self,
        audit::{AdminEntry, PaymentEntry},
    },
    types::{Account, PaymentId},
};
use candid::Principal;

#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PageError {
    #[error(transparent)]
    Unauthorized(#[from] Unauthorized),
    #[error(transparent)]
    InvalidArgument(#[from] InvalidArgument),
}

/// A page: at most `limit` items after `after` (without it, from the beginning).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Page {
    /// The number of the last item of the previous page.
    pub after: Option<u64>,
    pub limit: Option<u32>,
}

impl Page {
    fn check(self) -> Result<(u64, usize), InvalidArgument> {
        Ok((self.after.unwrap_or_default(), page_limit(self.limit)?))
    }
}

/// Whether the caller may know that `payer` paid `merchant`, and for what. That is the payer's principal, that of a
/// merchant with an account of their own, controllers and operators. Payment ids are public in the ledger, so everybody
/// else may know that a payment with this id exists, but not that.
pub fn knows_who_paid<R: Runtime>(runtime: &R, payer: &Account, merchant: &Account) -> bool {
    let caller = runtime.caller();
    caller == payer.owner
        || is_merchant(runtime, &caller, merchant)
        || role(runtime, &caller) != Role::Other
}

/// Whether the caller is a merchant with this account.
pub(super) fn is_merchant<R: Runtime>(runtime: &R, caller: &Principal, merchant: &Account) -> bool {
    *caller == merchant.owner && merchant.owner != runtime.canister_id()
}

/// The payment with this id. Ids are known to payer and merchant, and to every reader of the ledger.
pub fn payment(id: &PaymentId) -> Option<Payment> {
    storage::payments::by_id(id)
}

pub fn receipt(id: &PaymentId) -> Option<Receipt> {
    payment(id)?.receipt()
}

/// The settled payment with this id, and its index among the settled ones, from 0.
pub fn settled_payment(id: &PaymentId) -> Option<(u64, Payment)> {
    storage::payments::settled_by_id(id)
}

/// Settled payments in their order, with their sequence, from 1.
pub fn settled<R: Runtime>(runtime: &R, page: Page) -> Result<Vec<(u64, Payment)>, PageError> {
    role(runtime, &runtime.caller()).may_operate()?;
    let (after, limit) = page.check()?;
    Ok(storage::payments::page(after, limit))
}

/// Payments whose refunds wait for a controller or are left to the merchant, in the order of settlement, with their
/// sequence.
pub fn waiting<R: Runtime>(runtime: &R, page: Page) -> Result<Vec<(u64, Payment)>, PageError> {
    role(runtime, &runtime.caller()).may_operate()?;
    let (after, limit) = page.check()?;
    Ok(storage::payments::waiting(after, limit))
}

/// Payments that are being settled or unknown; `after` is the number of payments to skip.
pub fn open<R: Runtime>(runtime: &R, page: Page) -> Result<Vec<Payment>, PageError> {
    role(runtime, &runtime.caller()).may_operate()?;
    let (after, limit) = page.check()?;
    let skip = usize::try_from(after).unwrap_or(usize::MAX);
    Ok(storage::payments::open(skip, limit))
}

/// The latest failures, oldest first, with their number.
pub fn failed<R: Runtime>(runtime: &R, page: Page) -> Result<Vec<(u64, Payment)>, PageError> {
    role(runtime, &runtime.caller()).may_operate()?;
    let (after, limit) = page.check()?;
    Ok(storage::payments::failures(after, limit))
}

pub fn transitions<R: Runtime>(runtime: &R, page: Page) -> Result<Vec<PaymentEntry>, PageError> {
    role(runtime, &runtime.caller()).may_operate()?;
    let (after, limit) = page.check()?;
    Ok(storage::audit::payments_after(after, limit))
}

pub fn actions<R: Runtime>(runtime: &R, page: Page) -> Result<Vec<AdminEntry>, PageError> {
    role(runtime, &runtime.caller()).may_operate()?;
    let (after, limit) = page.check()?;
    Ok(storage::audit::admin_after(after, limit))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        runtime::scripted::ScriptedRuntime,
        storage::config::{self, tests::config},
        types::TimestampNs,
    };

    #[test]
    fn payer_merchant_controllers_and_operators_know_who_paid() {
        config::write(&config()).unwrap();
        let runtime = ScriptedRuntime::new(TimestampNs(0));
        let [payer, merchant, other] = [1, 2, 3].map(|n| Principal::from_slice(&[n; 29]));
        let operator = config().operators[0];
        let knows = |caller: Principal, to: Principal| {
            runtime.caller.set(caller);
            let subaccount = Some([7; 32]);
            let to = Account {
                owner: to,
                subaccount,
            };
            knows_who_paid(&runtime, &Account::from(payer), &to)
        };
        for caller in [payer, merchant, runtime.controller, operator] {
            assert!(knows(caller, merchant), "{caller}");
        }
        for caller in [other, Principal::anonymous(), runtime.canister_id()] {
            assert!(!knows(caller, merchant), "{caller}");
        }
        assert!(!knows(merchant, other), "it was paid to another merchant");
        let own = runtime.canister_id();
        assert!(!knows(own, own), "the canister is not a caller");
    }
}
