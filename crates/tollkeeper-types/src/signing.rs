//! Receipts that the canister signs.

use crate::InvalidArgument;
use candid::{CandidType, Nat};
use serde::Deserialize;

/// Which of the system's threshold keys signs receipts.
#[derive(Clone, Debug, PartialEq, Eq, CandidType, Deserialize)]
pub struct ReceiptSigningArgs {
    /// The name of the key: `key_1` and `test_key_1` on the mainnet, `dfx_test_key` on local networks.
    pub key_name: String,
    /// The most signatures in any day.
    pub per_day: u32,
}

/// Whether receipts are signed.
#[derive(Clone, Debug, PartialEq, Eq, CandidType, Deserialize)]
pub struct ReceiptSigning {
    /// Absent: nothing is signed.
    pub setting: Option<ReceiptSigningArgs>,
    /// The receipts that were signed.
    pub signed: u64,
}

/// The reason why the setting is not changed.
#[derive(Clone, Debug, PartialEq, Eq, CandidType, Deserialize)]
#[allow(missing_docs)]
pub enum ReceiptSigningError {
    Unauthorized,
    InvalidArgument(InvalidArgument),
    /// The system has no such key here, or did not name it.
    NoKey(String),
}

/// The reason why a receipt is not signed.
#[derive(Clone, Debug, PartialEq, Eq, CandidType, Deserialize)]
#[allow(missing_docs)]
pub enum ReceiptSignError {
    InvalidArgument(InvalidArgument),
    /// There is no settled payment with this id.
    NotFound,
    /// The caller may not know who paid for what.
    Unauthorized,
    /// What was bought is still owed, or the payment was refunded.
    NotDelivered,
    /// Receipts are not signed here.
    NotEnabled,
    /// It is being signed.
    Busy,
    /// So many are signed in a minute, or in a day.
    TooMany {
        limit: u32,
        retry_after_seconds: u32,
    },
    /// The canister can spend too few cycles for a signature of this price.
    TooFewCycles {
        price: Nat,
    },
    /// The system did not sign. Asking again does no harm.
    Failed(String),
}
