//! The part of what is owed that a queried balance is compared with.

use crate::{
    domain::liability::{Owed, burden, paying_account},
    storage::{liabilities, payments},
    types::{Account, canonical},
};
use candid::Principal;

/// The time at which a ledger is called for a balance.
///
/// A ledger receives this canister's calls in the order in which they are made. The balance therefore includes the
/// effects of all calls made before that time, and of none made after it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Moment {
    outflows: u64,
    openings: u64,
}

impl Moment {
    /// Now, before the call.
    pub fn now() -> Self {
        Moment {
            outflows: liabilities::outflows(),
            openings: payments::openings(),
        }
    }

    /// Whether a refund or a withdrawal has been confirmed since. What is owed is then lower by that amount, and the
    /// balance is from before.
    pub fn is_past(self) -> bool {
        self.outflows != liabilities::outflows()
    }
}

/// What is owed out of this account, and may be part of the balance that the ledger reports for that moment.
///
/// A payment opened since, and not known to have moved, cannot be part of that balance. It is not counted, so that
/// payments without funds hold back nothing.
pub fn owed_at(moment: Moment, ledger: &Principal, account: &Account) -> Owed {
    let mut owed = liabilities::owed_by(ledger, account);
    let Some(canister) = liabilities::canister() else {
        return owed;
    };
    for payment in payments::opened_since(moment.openings) {
        let of_account = payment.ledger == *ledger
            && paying_account(&payment.to, &canister) == canonical(*account);
        if of_account {
            let burden = burden(&payment.state, &payment.to, &canister);
            owed.remove(burden, payment.amount);
        }
    }
    owed
}
