//! Steps of a purchase, for progress reports.

use candid::Principal;
use std::{path::PathBuf, time::Duration};
use x402_icp::{Amount, PaymentId};

/// The present step of a payer.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Step {
    /// Another call or process is paying for the same request: waiting for it.
    WaitingForTurn,
    /// Requesting the resource without a payment.
    Asking,
    /// Querying balance and allowance of the ledger.
    CheckingFunds(Principal),
    /// Approving the collecting canister on the ledger.
    Approving {
        /// The ledger.
        ledger: Principal,
        /// The canister that may collect.
        spender: Principal,
        /// The total amount, in atomic units.
        amount: Amount,
        /// The end, in nanoseconds since 1970-01-01; `None` without an end.
        expires_at: Option<u64>,
    },
    /// The payment is recorded and sent next.
    Recorded {
        /// Its id.
        id: PaymentId,
        /// Its file, if it has one.
        path: Option<PathBuf>,
    },
    /// The same request was paid for before, and the outcome is not known: that payment is sent again.
    Resuming {
        /// Its id.
        id: PaymentId,
        /// Its file, if it has one.
        path: Option<PathBuf>,
    },
    /// Sending the payment for the n-th time, from 1.
    Paying(u32),
    /// Waiting before sending it again. The reason may contain a stranger's text, made safe.
    Waiting(Duration, String),
    /// Checking a payment's outcome with the collecting canister and the ledger. The reason may contain a stranger's
    /// text, made safe.
    Confirming(String),
}
