//! Forward targets: canisters that do the work of a route after the payment.

use crate::domain::validate::{self, InvalidArgument};
use candid::Principal;

/// The target of a route, and what may be done when its work fails.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Forward {
    pub canister: Principal,
    pub mode: Mode,
    /// Whether the target does the work of one payment id once, however often it is called. Only such a target is
    /// called again if it may have run.
    pub idempotent: bool,
    pub on_failure: OnFailure,
}

/// The method that is called.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// `http_request_update`, of the HTTP Gateway Protocol.
    Http,
    /// `x402_serve`.
    Serve,
}

impl Mode {
    /// Every mode, in the order of their numbers in storage.
    pub const ALL: [Mode; 2] = [Mode::Http, Mode::Serve];

    pub const fn method(self) -> &'static str {
        match self {
            Mode::Http => "http_request_update",
            Mode::Serve => "x402_serve",
        }
    }
}

/// What happens when the work fails.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OnFailure {
    /// The payer is refunded.
    Refund,
    /// The target is called again, if that cannot do the work twice. After the last try the payer is refunded.
    Retry,
}

impl OnFailure {
    /// Every value, in the order of their numbers in storage.
    pub const ALL: [OnFailure; 2] = [OnFailure::Refund, OnFailure::Retry];
}

impl Forward {
    /// Refuses targets that nobody may sell: [`validate::target`].
    pub fn check(
        &self,
        own_id: Principal,
        is_ledger: impl FnOnce(&Principal) -> bool,
    ) -> Result<(), InvalidArgument> {
        validate::target("forward.canister", self.canister, own_id, is_ledger)
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    pub(crate) fn forward() -> Forward {
        Forward {
            canister: Principal::from_slice(&[0, 0, 0, 0, 0, 0, 0, 77, 1, 1]),
            mode: Mode::Serve,
            idempotent: false,
            on_failure: OnFailure::Refund,
        }
    }

    #[test]
    fn some_canisters_are_no_targets() {
        let own_id = Principal::from_slice(&[9; 10]);
        let check = |canister, ledger: bool| {
            let forward = Forward {
                canister,
                ..forward()
            };
            forward.check(own_id, |_| ledger)
        };
        assert_eq!(check(forward().canister, false), Ok(()));
        for (canister, ledger) in [
            (Principal::management_canister(), false),
            (Principal::anonymous(), false),
            (own_id, false),
            (forward().canister, true),
        ] {
            let error = check(canister, ledger).unwrap_err();
            assert_eq!(error.field, "forward.canister");
        }
    }
}
