//! Exit statuses and failures.

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
/// The seller refused, and canister and ledger prove that nothing was paid and nothing can be; or the ledger refused an
/// approval.
pub const REFUSED: u8 = 5;
/// The outcome is not known, and may stay unknown: the payment is recorded.
pub const UNSETTLED: u8 = 6;
/// The seller, replica or ledger cannot be reached; nothing was paid.
pub const UNREACHABLE: u8 = 7;
/// The receipt is contradicted, or could not be checked.
pub const RECEIPT: u8 = 8;
/// The payment was used before; its money has moved or may have.
pub const USED: u8 = 9;
/// The payment is settled, and the resource was not delivered.
pub const NOT_DELIVERED: u8 = 10;

/// The failure of a command.
#[derive(Debug)]
pub struct Failure {
    pub status: u8,
    /// The kind of failure for programs.
    pub kind: String,
    /// The message for readers.
    pub message: String,
    /// Details for programs.
    pub details: Map<String, Value>,
}

impl Failure {
    pub fn new(status: u8, kind: &str, message: impl ToString) -> Self {
        Failure {
            status,
            kind: kind.into(),
            message: message.to_string(),
            details: Map::new(),
        }
    }

    /// A failure about the command line.
    pub fn usage(message: impl ToString) -> Self {
        Self::new(USAGE, "usage", message)
    }

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
            PayError::Redirected { .. } => (NO_OFFER, "redirected"),
            PayError::InProgress => (UNSETTLED, "in_progress"),
            PayError::TooManyUnresolved { .. } => (OTHER, "too_many_unresolved"),
            PayError::Journal(_) => (OTHER, "journal"),
            PayError::TooLong { .. } => (NO_OFFER, "too_long"),
            PayError::Delegation(_) => (OTHER, "delegation"),
            PayError::OtherIdentity { .. } => (OTHER, "other_identity"),
            PayError::SlowSigner { .. } => (OTHER, "signer"),
            PayError::FeeMismatch { .. } => (NO_OFFER, "fee_mismatch"),
            PayError::NotByCall { .. } => (NO_OFFER, "not_by_call"),
            PayError::Unconfirmed { .. } => (NO_OFFER, "unconfirmed"),
            PayError::ApprovalOverLimit { .. } => (FUNDS, "approval_over_limit"),
            PayError::NoApproval { .. } => (FUNDS, "no_approval"),
            PayError::NoAcceptableOffer(_) => (NO_OFFER, "no_acceptable_offer"),
            PayError::InsufficientFunds { .. } => (FUNDS, "insufficient_funds"),
            PayError::NeedsApproval { .. } => (FUNDS, "insufficient_allowance"),
            PayError::Ledger(error) => return ledger(error),
            PayError::Signer(_) => (OTHER, "signer"),
            PayError::Refused { .. } => (REFUSED, "refused"),
            PayError::Unsettled { .. } => (UNSETTLED, "unsettled"),
            PayError::Used { .. } => (USED, "payment_used"),
            PayError::NotDelivered { .. } => (NOT_DELIVERED, "not_delivered"),
            PayError::ProofRefused { .. } => (NOT_DELIVERED, "proof_refused"),
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
                ends_in,
            } => failure
                .with("asset", json!(asset.to_text()))
                .with("spender", json!(spender.to_text()))
                .with("needed", json!(needed.to_string()))
                .with("allowance", json!(allowance.to_string()))
                .with("endsInSeconds", json!(ends_in)),
            PayError::Unsettled { payment, .. } => {
                failure.with("paymentId", json!(payment.shown_id()))
            }
            PayError::ProofRefused {
                payment,
                block,
                reason,
                ..
            } => failure
                .with("paymentId", json!(payment.shown_id()))
                .with("reason", json!(reason))
                .with("block", json!(block.to_string())),
            PayError::Used {
                payment,
                reason,
                block,
                ..
            } => failure
                .with("paymentId", json!(payment.shown_id()))
                .with("reason", json!(reason))
                .with("block", json!(block)),
            PayError::NotDelivered {
                payment,
                status,
                receipt,
            } => failure
                .with("paymentId", json!(payment.shown_id()))
                .with("httpStatus", json!(status))
                .with("block", json!(receipt.transaction))
                .with("receipt", json!(receipt)),
            _ => failure,
        }
    }
}

fn ledger(error: &LedgerError) -> Failure {
    let (status, kind) = match error {
        LedgerError::Approve { .. } => (REFUSED, "approval_refused"),
        LedgerError::Transfer { .. } => (REFUSED, "transfer_refused"),
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
            ReceiptError::Disproved { .. } | ReceiptError::Contradicted { .. } => {
                (RECEIPT, "disproved")
            }
            ReceiptError::Other { .. } => (RECEIPT, "disproved"),
        };
        let failure = Failure::new(status, kind, &error);
        match error {
            ReceiptError::Other { field, .. }
            | ReceiptError::Disproved { field, .. }
            | ReceiptError::Contradicted { field, .. } => failure.with("field", json!(field)),
            _ => failure,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tollkeeper_client::SignedPayment;

    fn payment() -> Box<SignedPayment> {
        serde_json::from_value(json!({
            "method": "GET", "url": "http://shop/", "headers": [], "body": "", "header": "",
            "paymentId": "p1",
            "payment": {
                "x402Version": 2,
                "accepted": {
                    "scheme": "exact", "network": "icp:1", "amount": "1", "asset": "a", "payTo": "b",
                    "maxTimeoutSeconds": 60, "extra": {},
                },
                "payload": {
                    "from": "x", "nonce": "", "validAfter": "1", "validBefore": "2", "publicKey": "",
                    "signature": "",
                },
            },
        }))
        .unwrap()
    }

    #[test]
    fn a_used_payment_is_not_called_unpaid() {
        for block in [Some("7".to_string()), None] {
            let failure = Failure::from(PayError::Used {
                payment: payment(),
                reason: "duplicate_settlement".into(),
                message: None,
                block: block.clone(),
            });
            assert_eq!((failure.status, &*failure.kind), (USED, "payment_used"));
            assert_eq!(failure.details["block"], json!(block));
            assert_eq!(failure.details["paymentId"], "p1");
            assert!(failure.message.contains("used before"), "{failure:?}");
            assert!(!failure.message.contains("nothing"), "{failure:?}");
            assert_eq!(failure.message.contains("block 7"), block.is_some());
        }
    }

    #[test]
    fn what_is_paid_and_not_delivered_comes_with_its_receipt() {
        let receipt = json!({"success": true, "transaction": "7", "network": "icp:1"});
        let failure = Failure::from(PayError::NotDelivered {
            payment: payment(),
            status: 410,
            receipt: serde_json::from_value(receipt.clone()).unwrap(),
        });
        assert_eq!(
            (failure.status, &*failure.kind),
            (NOT_DELIVERED, "not_delivered")
        );
        assert_eq!(failure.details["block"], "7");
        assert_eq!(failure.details["httpStatus"], 410);
        assert_eq!(failure.details["receipt"], receipt);
        assert!(
            failure.message.contains("settled in block 7"),
            "{failure:?}"
        );
    }
}
