//! Receipts that the canister signs.

use crate::InvalidArgument;
use candid::{CandidType, Nat};
use serde::Deserialize;
use serde_bytes::ByteBuf;

/// Which of the system's threshold keys signs receipts.
#[derive(Clone, Debug, PartialEq, Eq, CandidType, Deserialize)]
pub struct ReceiptSigningArgs {
    /// The name of the key: `key_1` and `test_key_1` on the mainnet, `dfx_test_key` on local networks.
    pub key_name: String,
    /// The most signatures in any day.
    pub per_day: u32,
}

/// A public key of signed receipts.
#[derive(Clone, Debug, PartialEq, Eq, CandidType, Deserialize)]
pub struct ReceiptKey {
    /// The URL of the key in the DID document.
    pub id: String,
    /// 32 bytes, Ed25519.
    pub public_key: ByteBuf,
}

/// Whether receipts are signed, and by which keys.
#[derive(Clone, Debug, PartialEq, Eq, CandidType, Deserialize)]
pub struct ReceiptSigning {
    /// Absent: nothing is signed.
    pub setting: Option<ReceiptSigningArgs>,
    /// The keys that sign or have signed.
    pub keys: Vec<ReceiptKey>,
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
