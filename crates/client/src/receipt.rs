//! Receipts from the seller's canister, and their comparison with the ledger.

mod check;
mod verify;

pub use verify::{MAX_RECEIPT_BYTES, VerifiedReceipt, VerifyError, verify_receipt};

pub use check::{Checked, CheckedField, Expected, ProvenBy};

use crate::{
    error::LedgerError,
    http::{Http, HttpError, Request},
    limits::Limits,
    network::Network,
    plain_text::plain_text,
    required::natural,
};
use candid::{Principal, decode_one, encode_one};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use x402_icp::{PaymentId, decode::decode_json};

/// A settled payment as the canister recorded it. Amounts, block index and time are decimal text; absent values are
/// empty. A canister tells payer and purchase only to the payer and the merchant.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Receipt {
    /// 64 hexadecimal digits.
    pub payment_id: String,
    /// CAIP-2 id.
    pub network: String,
    /// The ledger.
    pub asset: String,
    /// The ledger's block index.
    pub transaction: String,
    /// The payer's account.
    pub payer: String,
    /// The recipient's account.
    pub pay_to: String,
    /// Atomic units.
    pub amount: String,
    /// The ledger's fee, paid in addition.
    pub fee: String,
    /// The HTTP method that was paid for.
    pub method: String,
    /// The path that was paid for.
    pub path: String,
    /// Nanoseconds since 1970-01-01.
    pub settled_at: String,
}

/// The reason why there is no receipt, or why it is not trustworthy.
#[derive(Debug, thiserror::Error)]
pub enum ReceiptError {
    /// The request to the seller failed.
    #[error(transparent)]
    Http(#[from] HttpError),
    /// The call of the canister failed.
    #[error("canister {canister} did not answer: {}", plain_text(problem))]
    Canister {
        /// The canister.
        canister: Principal,
        /// The reason.
        problem: String,
    },
    /// There is no such receipt.
    #[error("there is no receipt: {0}")]
    NotFound(String),
    /// The response is not a receipt.
    #[error("the response is not a receipt: {}", plain_text(.0))]
    Unreadable(String),
    /// The receipt is for another network than the payer's.
    #[error("the receipt is for network {}, not {connected}", plain_text(receipt))]
    Network {
        /// The receipt's.
        receipt: String,
        /// The payer's.
        connected: String,
    },
    /// The receipt is for another payment than requested.
    #[error(
        "the receipt is another one: {field} is {}, not {expected}",
        plain_text(found)
    )]
    Other {
        /// The field that differs.
        field: &'static str,
        /// In the receipt.
        found: String,
        /// The expected value.
        expected: String,
    },
    /// The collecting canister contradicts it, by update call.
    #[error(
        "canister {canister} contradicts the receipt: {field} is {}, not {}",
        plain_text(found),
        plain_text(claimed)
    )]
    Contradicted {
        /// The canister.
        canister: Principal,
        /// The field that differs.
        field: &'static str,
        /// In the canister's receipt.
        found: String,
        /// In this receipt.
        claimed: String,
    },
    /// The call of the ledger failed.
    #[error(transparent)]
    Ledger(#[from] LedgerError),
    /// The ledger's block contradicts it.
    #[error(
        "block {} of the ledger contradicts the receipt: {field} is {}, not {}",
        plain_text(block),
        plain_text(found),
        plain_text(claimed)
    )]
    Disproved {
        /// The block's index.
        block: String,
        /// The field that differs.
        field: &'static str,
        /// In the block.
        found: String,
        /// In the receipt.
        claimed: String,
    },
}

impl Receipt {
    /// Fetches a receipt from a seller's site: `/x402/receipts/<payment id>` there. If the URL names a payment, the
    /// receipt has to be that payment's.
    pub async fn fetch(url: &str) -> Result<Self, ReceiptError> {
        let http = Http::new(Limits::default())?;
        let answer = http.ask(&Request::get(url)?).await?.answer;
        if let Some(cut) = answer.cut {
            return Err(cut.into());
        }
        let receipt = match answer.response.status {
            200 => read(&answer.response.body)?,
            status => {
                return Err(ReceiptError::NotFound(format!(
                    "{url} answered HTTP {status}"
                )));
            }
        };
        match named(url) {
            Some(id) => receipt.of(id),
            None => Ok(receipt),
        }
    }

    /// Queries a canister's receipt by its Candid interface. The reply of one node has no certificate, so
    /// [`Receipt::check`] compares it with that of the subnet.
    pub async fn of_canister(
        network: &Network,
        canister: Principal,
        id: PaymentId,
    ) -> Result<Self, ReceiptError> {
        let failed = |problem: String| ReceiptError::Canister { canister, problem };
        let arg = encode_one(id.0.to_vec()).map_err(|e| failed(e.to_string()))?;
        let reply = network
            .query(canister, "receipt", arg)
            .await
            .map_err(|e| failed(e.to_string()))?;
        let receipt: Option<tollkeeper_types::Receipt> =
            decode_one(&reply).map_err(|e| failed(e.to_string()))?;
        let receipt = receipt.map(Receipt::from).ok_or_else(|| {
            ReceiptError::NotFound(format!("canister {canister} has none for payment {id}"))
        })?;
        receipt.of(id)
    }

    /// Queries a canister's receipt with its proof: the JSON for [`verify_receipt`]. It names payer and purchase if the
    /// identity is the payer's or the merchant's. One node answers, and what it says is worth as much as the proof.
    pub async fn proof_of_canister(
        network: &Network,
        canister: Principal,
        id: PaymentId,
    ) -> Result<String, ReceiptError> {
        let failed = |problem: String| ReceiptError::Canister { canister, problem };
        let arg = encode_one(id.0.to_vec()).map_err(|e| failed(e.to_string()))?;
        let reply = network
            .query(canister, "receipt_proof", arg)
            .await
            .map_err(|e| failed(e.to_string()))?;
        let proof: Option<String> = decode_one(&reply).map_err(|e| failed(e.to_string()))?;
        proof.ok_or_else(|| {
            ReceiptError::NotFound(format!("canister {canister} has none for payment {id}"))
        })
    }

    /// The receipt, if it is this payment's.
    fn of(self, id: PaymentId) -> Result<Self, ReceiptError> {
        match self.payment_id == id.to_string() {
            true => Ok(self),
            false => Err(ReceiptError::Other {
                field: "paymentId",
                found: self.payment_id,
                expected: id.to_string(),
            }),
        }
    }
}

/// The payment id in a receipt's URL.
fn named(url: &str) -> Option<PaymentId> {
    let url = reqwest::Url::parse(url).ok()?;
    url.path_segments()?.next_back()?.parse().ok()
}

/// Decodes a receipt member by member: `null` and absent members are empty, numbers count by value, unknown members are
/// ignored.
fn read(body: &[u8]) -> Result<Receipt, ReceiptError> {
    let unreadable = |problem: String| ReceiptError::Unreadable(problem);
    let value: Value = decode_json("receipt", body).map_err(|e| unreadable(e.to_string()))?;
    // A receipt with its proof has two parts.
    let part = |name: &str| value.get(name).filter(|part| part.is_object());
    let receipt = part("receipt").unwrap_or(&value);
    let text = |key: &str| match receipt.get(key).or_else(|| part("details")?.get(key)) {
        None | Some(Value::Null) => Ok(String::new()),
        Some(Value::String(text)) => Ok(text.clone()),
        Some(number) => natural(number)
            .map(|number| number.to_string())
            .ok_or_else(|| unreadable(format!("{key} is not a text"))),
    };
    let receipt = Receipt {
        payment_id: text("paymentId")?,
        network: text("network")?,
        asset: text("asset")?,
        transaction: text("transaction")?,
        payer: text("payer")?,
        pay_to: text("payTo")?,
        amount: text("amount")?,
        fee: text("fee")?,
        method: text("method")?,
        path: text("path")?,
        settled_at: text("settledAt")?,
    };
    match receipt.payment_id.is_empty() || receipt.transaction.is_empty() {
        true => Err(unreadable("it names no payment or no transaction".into())),
        false => Ok(receipt),
    }
}

impl From<tollkeeper_types::Receipt> for Receipt {
    fn from(receipt: tollkeeper_types::Receipt) -> Self {
        Receipt {
            payment_id: hex::encode(receipt.payment_id),
            network: receipt.network,
            asset: receipt.ledger.to_text(),
            transaction: receipt.block_index.0.to_string(),
            payer: receipt
                .payer
                .map(|payer| payer.to_string())
                .unwrap_or_default(),
            pay_to: receipt.pay_to.to_string(),
            amount: receipt.amount.0.to_string(),
            fee: receipt.fee.0.to_string(),
            method: receipt.method.unwrap_or_default(),
            path: receipt.path.unwrap_or_default(),
            settled_at: receipt.settled_at.to_string(),
        }
    }
}
