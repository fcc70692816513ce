//! What a balance that a ledger was asked for is compared with.

use crate::{
    domain::liability::{Owed, burden, paying_account},
    storage::{liabilities, payments},
    types::{Account, canonical},
};
use candid::Principal;

/// A moment at which a ledger is asked for a balance.
///
/// A ledger gets this canister's calls in the order in which they are made. So what the answer shows is all that came
/// of calls before that moment, and nothing that came of calls after it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Moment {
    outflows: u64,
    openings: u64,
}

impl Moment {
    /// Now, before the ledger is asked.
    pub fn now() -> Self {
        Moment {
            outflows: liabilities::outflows(),
            openings: payments::openings(),
        }
    }

    /// Whether a refund or a withdrawal is known to be made since: what is owed now is less by what it took, and the
    /// balance was asked for before.
    pub fn is_past(self) -> bool {
        self.outflows != liabilities::outflows()
    }
}

/// What is owed out of this account, and may be in the balance that the ledger was asked for at that moment.
///
/// The money of a payment that was opened since, and is not known to have moved, is not in that balance, if it comes at
/// all: payments that nobody can pay must not hold what is there.
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
