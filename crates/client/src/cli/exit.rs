//! Exit statuses, and the failures that lead to them.

use serde_json::{Map, Value, json};
use tollkeeper_client::{LedgerError, PayError, ReceiptError};

/// Any other failure.
pub const OTHER: u8 = 1;
/// The command line is wrong.
pub const USAGE: u8 = 2;
/// No offer is acceptable; nothing was paid.
pub const NO_OFFER: u8 = 3;
/// Balance or allowance is too small; nothing was paid.
pub const FUNDS: u8 = 4;
/// The seller or the ledger refused; nothing was paid.
pub const REFUSED: u8 = 5;
/// The outcome is not known.
pub const UNSETTLED: u8 = 6;
/// Nobody answers; nothing was paid.
pub const UNREACHABLE: u8 = 7;
/// The receipt is not borne out.
pub const RECEIPT: u8 = 8;

/// Why a command failed.
#[derive(Debug)]
pub struct Failure {
    /// The exit status.
    pub status: u8,
    /// The kind of failure for programs.
    pub kind: String,
    /// The failure for readers.
    pub message: String,
    /// More for programs.
    pub details: Map<String, Value>,
}

impl Failure {
    /// A failure of a kind.
    pub fn new(status: u8, kind: &str, message: impl ToString) -> Self {
        Failure {
            status,
            kind: kind.into(),
            message: message.to_string(),
            details: Map::new(),
        }
    }

    /// Something about the command line.
    pub fn usage(message: impl ToString) -> Self {
        Self::new(USAGE, "usage", message)
    }

    /// Adds a detail.
    pub fn with(mut self, key: &str, value: Value) -> Self {
        self.details.insert(key.into(), value);
        self
    }
}

impl From<PayError> for Failure {
    fn from(error: PayError) -> Self {
        let (status, kind) = match &error {
            PayError::Unreachable(_) => (UNREACHABLE, "unreachable"),
            PayError::UnreadableOffer(_) => (NO_OFFER, "unreadable_offer"),
            PayError::NoAcceptableOffer(_) => (NO_OFFER, "no_acceptable_offer"),
            PayError::InsufficientFunds { .. } => (FUNDS, "insufficient_funds"),
            PayError::NeedsApproval { .. } => (FUNDS, "insufficient_allowance"),
            PayError::Ledger(error) => return ledger(error),
            PayError::Signer(_) => (OTHER, "signer"),
            PayError::Refused { .. } => (REFUSED, "refused"),
            PayError::Unsettled { .. } => (UNSETTLED, "unsettled"),
        };
        let failure = Failure::new(status, kind, &error);
        match error {
            PayError::Refused { reason, .. } => failure.with("reason", json!(reason)),
            PayError::InsufficientFunds {
                asset,
                needed,
                balance,
            } => failure
                .with("asset", json!(asset.to_text()))
                .with("needed", json!(needed.to_string()))
                .with("balance", json!(balance.to_string())),
            PayError::NeedsApproval {
                asset,
                spender,
                needed,
                allowance,
            } => failure
                .with("asset", json!(asset.to_text()))
                .with("spender", json!(spender.to_text()))
                .with("needed", json!(needed.to_string()))
                .with("allowance", json!(allowance.to_string())),
            PayError::Unsettled { payment, .. } => {
                failure.with("paymentId", json!(payment.payment_id))
            }
            _ => failure,
        }
    }
}

fn ledger(error: &LedgerError) -> Failure {
    let (status, kind) = match error {
        LedgerError::Approve { .. } => (REFUSED, "approval_refused"),
        LedgerError::NoBlock { .. } => (RECEIPT, "no_block"),
        LedgerError::Call { .. } | LedgerError::TooLarge { .. } => (UNREACHABLE, "ledger"),
    };
    Failure::new(status, kind, error)
}

impl From<LedgerError> for Failure {
    fn from(error: LedgerError) -> Self {
        ledger(&error)
    }
}

impl From<ReceiptError> for Failure {
    fn from(error: ReceiptError) -> Self {
        let (status, kind) = match &error {
            ReceiptError::Http(_) | ReceiptError::Canister { .. } => (UNREACHABLE, "unreachable"),
            ReceiptError::Ledger(error) => return ledger(error),
            ReceiptError::NotFound(_) => (OTHER, "no_receipt"),
            ReceiptError::Unreadable(_) => (RECEIPT, "unreadable_receipt"),
            ReceiptError::Network { .. } => (RECEIPT, "network_mismatch"),
            ReceiptError::Disproved { .. } => (RECEIPT, "disproved"),
        };
        Failure::new(status, kind, error)
    }
}
