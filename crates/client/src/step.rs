//! What a payer tells whoever waits.

use candid::Principal;
use std::time::Duration;

/// What the payer is doing, for whoever waits.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Step {
    /// Asking for the resource without a payment.
    Asking,
    /// Asking the ledger for balance and allowance.
    CheckingFunds(Principal),
    /// Approving the collecting canister on the ledger.
    Approving(Principal),
    /// Sending the payment for the n-th time, from 1.
    Paying(u32),
    /// Waiting before sending it again.
    Waiting(Duration, String),
    /// Asking the collecting canister whether a refusal is the last word.
    Confirming(String),
}
