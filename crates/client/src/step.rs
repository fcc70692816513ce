//! What a payer tells whoever waits.

use candid::Principal;
use std::{path::PathBuf, time::Duration};
use x402_icp::{Amount, PaymentId};

/// What the payer is doing, for whoever waits.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Step {
    /// Another call or process is paying for the same request: waiting for it.
    WaitingForTurn,
    /// Asking for the resource without a payment.
    Asking,
    /// Asking the ledger for balance and allowance.
    CheckingFunds(Principal),
    /// Approving the collecting canister on the ledger.
    Approving {
        /// The ledger.
        ledger: Principal,
        /// Who may take it.
        spender: Principal,
        /// How much in all, in atomic units.
        amount: Amount,
        /// Until when, in nanoseconds since 1970-01-01; `None` for ever.
        expires_at: Option<u64>,
    },
    /// The payment is recorded and goes out next.
    Recorded {
        /// Its id.
        id: PaymentId,
        /// The file it is in, if it is in one.
        path: Option<PathBuf>,
    },
    /// The same request was paid for before, and the outcome is not known: that payment is sent again.
    Resuming {
        /// Its id.
        id: PaymentId,
        /// The file it is in, if it is in one.
        path: Option<PathBuf>,
    },
    /// Sending the payment for the n-th time, from 1.
    Paying(u32),
    /// Waiting before sending it again. The reason may hold a stranger's words, made plain.
    Waiting(Duration, String),
    /// Asking the collecting canister and the ledger what has become of a payment. The reason may hold a stranger's
    /// words, made plain.
    Confirming(String),
}
