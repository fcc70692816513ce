//! Steps of a purchase, for progress reports.

use crate::offer::Method;
use candid::Principal;
use std::{path::PathBuf, time::Duration};
use x402_icp::{Account, Amount, PaymentId};

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
    /// This offer is taken.
    Chosen {
        /// The ledger.
        ledger: Principal,
        /// The price, in atomic units.
        amount: Amount,
        /// The ledger's fee in addition.
        fee: Amount,
        /// How it is paid.
        by: Method,
        /// Why.
        why: &'static str,
        /// The number of acceptable offers.
        of: usize,
    },
    /// Asking the canister whether the offer is its own.
    AskingCanister(Principal),
    /// Calling `pay` of the canister, for the n-th time from 1. Every time it is the same payment.
    Calling {
        /// The canister.
        canister: Principal,
        /// The number of the try.
        attempt: u32,
    },
    /// Transferring the money, for the n-th time from 1. Every time it is the same transfer.
    Transferring {
        /// The ledger.
        ledger: Principal,
        /// The recipient's account.
        to: Account,
        /// Atomic units, without the fee.
        amount: Amount,
        /// The number of the try.
        attempt: u32,
    },
    /// The transfer is in this block. The proof is presented next.
    Transferred {
        /// The ledger.
        ledger: Principal,
        /// The block.
        block: u64,
        /// The problem, if the block cannot be recorded.
        problem: Option<String>,
    },
    /// Looking for a transfer in the ledger's log. The reason may contain a stranger's text, made safe.
    Seeking(String),
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
    /// The transfer that pays an invoice is recorded, and sent next.
    InvoiceRecorded {
        /// Its file, if it has one.
        path: Option<PathBuf>,
        /// Whether an earlier call recorded it: that transfer is sent again.
        again: bool,
    },
    /// Asking the canister whether an invoice is paid, for the n-th time from 1.
    AwaitingInvoice(u32),
    /// Sending the payment over HTTP for the n-th time, from 1.
    Paying(u32),
    /// Waiting before sending it again. The reason may contain a stranger's text, made safe.
    Waiting(Duration, String),
    /// Checking a payment's outcome with the collecting canister and the ledger. The reason may contain a stranger's
    /// text, made safe.
    Confirming(String),
}
