//! Receipts that are kept by the seller's canister, and whether the ledger agrees with them.

use crate::{
    error::LedgerError,
    http::{Http, HttpError, Request},
    ledger::Block,
    limits::Limits,
    network::Network,
};
use candid::{CandidType, Nat, Principal, decode_one, encode_one};
use serde::{Deserialize, Serialize};
use x402_icp::{
    Account, Amount, PaymentId,
    decode::decode_json,
    values::{parse_account, parse_principal},
};

/// A settled payment as the canister recorded it. Amounts, block index and time are decimal text.
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
    /// Who paid.
    pub payer: String,
    /// Who was paid.
    pub pay_to: String,
    /// Atomic units.
    pub amount: String,
    /// The ledger's fee, paid besides.
    pub fee: String,
    /// The HTTP method that was paid for.
    pub method: String,
    /// The path that was paid for.
    pub path: String,
    /// Nanoseconds since 1970-01-01.
    pub settled_at: String,
}

/// Why there is no receipt, or why it is not to be trusted.
#[derive(Debug, thiserror::Error)]
pub enum ReceiptError {
    /// The seller could not be asked.
    #[error(transparent)]
    Http(#[from] HttpError),
    /// The canister could not be asked.
    #[error("canister {canister} did not answer: {problem}")]
    Canister {
        /// The canister.
        canister: Principal,
        /// Why.
        problem: String,
    },
    /// There is no such receipt.
    #[error("there is no receipt: {0}")]
    NotFound(String),
    /// The answer is no receipt.
    #[error("what was answered is no receipt: {0}")]
    Unreadable(String),
    /// The receipt is for another network than the payer is connected to.
    #[error("the receipt is for network {receipt}, not {connected}")]
    Network {
        /// The receipt's.
        receipt: String,
        /// The payer's.
        connected: String,
    },
    /// The ledger could not be asked.
    #[error(transparent)]
    Ledger(#[from] LedgerError),
    /// The ledger's block says something else.
    #[error(
        "block {block} of the ledger does not bear the receipt out: {field} is {found}, not {claimed}"
    )]
    Disproved {
        /// The block's index.
        block: String,
        /// What differs.
        field: &'static str,
        /// In the block.
        found: String,
        /// In the receipt.
        claimed: String,
    },
}

impl Receipt {
    /// Reads a receipt from a seller's site: `/x402/receipts/<payment id>` there.
    pub async fn fetch(url: &str) -> Result<Self, ReceiptError> {
        let http = Http::new(Limits::default())?;
        let response = http.ask(&Request::get(url)?).await?.answer.response;
        match response.status {
            200 => decode_json("receipt", &response.body)
                .map_err(|e| ReceiptError::Unreadable(e.to_string())),
            status => Err(ReceiptError::NotFound(format!(
                "{url} answered HTTP {status}"
            ))),
        }
    }

    /// Asks a canister for a receipt by its Candid interface.
    pub async fn of_canister(
        network: &Network,
        canister: Principal,
        id: PaymentId,
    ) -> Result<Self, ReceiptError> {
        let failed = |problem: String| ReceiptError::Canister { canister, problem };
        let arg = encode_one(id.0.to_vec()).map_err(|e| failed(e.to_string()))?;
        let reply = network
            .agent()
            .query(&canister, "receipt")
            .with_arg(arg)
            .call()
            .await
            .map_err(|e| failed(e.to_string()))?;
        let receipt: Option<CandidReceipt> =
            decode_one(&reply).map_err(|e| failed(e.to_string()))?;
        receipt.map(Receipt::from).ok_or_else(|| {
            ReceiptError::NotFound(format!("canister {canister} has none for payment {id}"))
        })
    }

    /// Compares the receipt with the block on the ledger, whose memo is the payment id. `spender` is the
    /// canister that collected, where it is known.
    pub async fn check(
        &self,
        network: &Network,
        spender: Option<Principal>,
    ) -> Result<Block, ReceiptError> {
        if self.network != network.id() {
            return Err(ReceiptError::Network {
                receipt: self.network.clone(),
                connected: network.id().into(),
            });
        }
        let unreadable = |field: &str, problem: &dyn std::fmt::Display| {
            ReceiptError::Unreadable(format!("{field} {problem}"))
        };
        let asset = parse_principal(&self.asset).map_err(|e| unreadable("asset", &e))?;
        let index: Nat = self
            .transaction
            .parse()
            .map_err(|e: candid::Error| unreadable("transaction", &e))?;
        let block = network.ledger(asset).block(&index).await?;
        self.compare(&block, spender)?;
        Ok(block)
    }

    fn compare(&self, block: &Block, spender: Option<Principal>) -> Result<(), ReceiptError> {
        let unreadable = |field: &'static str| {
            move |problem: x402_icp::values::ValueError| {
                ReceiptError::Unreadable(format!("{field} {problem}"))
            }
        };
        let disproved = |field, found: String, claimed: String| {
            Err(ReceiptError::Disproved {
                block: self.transaction.clone(),
                field,
                found,
                claimed,
            })
        };
        let payer = parse_account(&self.payer).map_err(unreadable("payer"))?;
        let pay_to = parse_account(&self.pay_to).map_err(unreadable("payTo"))?;
        let amount: Amount = self.amount.parse().map_err(unreadable("amount"))?;
        let id: PaymentId = self.payment_id.parse().map_err(unreadable("paymentId"))?;
        let account = |account: &Account| account.to_string();
        if block.from != payer {
            return disproved("payer", account(&block.from), account(&payer));
        }
        if block.to != pay_to {
            return disproved("recipient", account(&block.to), account(&pay_to));
        }
        if block.amount != amount {
            return disproved("amount", block.amount.to_string(), amount.to_string());
        }
        let memo = block.memo.as_deref().unwrap_or_default();
        if memo != id.0 {
            return disproved("memo", hex::encode(memo), id.to_string());
        }
        let collector = block.spender.map(|spender| spender.owner);
        match spender {
            Some(expected) if collector != Some(expected) => disproved(
                "spender",
                collector.map_or("nobody".into(), |found| found.to_text()),
                expected.to_text(),
            ),
            _ => Ok(()),
        }
    }
}

/// `Receipt` of canister.did.
#[derive(Clone, Debug, CandidType, Deserialize)]
struct CandidReceipt {
    payment_id: Vec<u8>,
    network: String,
    ledger: Principal,
    block_index: Nat,
    payer: Account,
    pay_to: Account,
    amount: Nat,
    fee: Nat,
    method: String,
    path: String,
    settled_at: u64,
}

impl From<CandidReceipt> for Receipt {
    fn from(receipt: CandidReceipt) -> Self {
        Receipt {
            payment_id: hex::encode(receipt.payment_id),
            network: receipt.network,
            asset: receipt.ledger.to_text(),
            transaction: receipt.block_index.0.to_string(),
            payer: receipt.payer.to_string(),
            pay_to: receipt.pay_to.to_string(),
            amount: receipt.amount.0.to_string(),
            fee: receipt.fee.0.to_string(),
            method: receipt.method,
            path: receipt.path,
            settled_at: receipt.settled_at.to_string(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn receipt() -> Receipt {
        Receipt {
            payment_id: "07".repeat(32),
            network: "icp:1".into(),
            asset: "xevnm-gaaaa-aaaar-qafnq-cai".into(),
            transaction: "5".into(),
            payer: Principal::from_slice(&[1]).to_text(),
            pay_to: Principal::from_slice(&[2]).to_text(),
            amount: "10000".into(),
            fee: "10".into(),
            method: "GET".into(),
            path: "/report".into(),
            settled_at: "1".into(),
        }
    }

    fn block() -> Block {
        Block {
            from: Principal::from_slice(&[1]).into(),
            to: Principal::from_slice(&[2]).into(),
            spender: Some(Principal::from_slice(&[3]).into()),
            amount: Amount(10_000),
            memo: Some(vec![7; 32]),
            fee: None,
            timestamp: None,
        }
    }

    #[test]
    fn a_true_receipt_is_borne_out() {
        let spender = Principal::from_slice(&[3]);
        assert!(receipt().compare(&block(), Some(spender)).is_ok());
        assert!(receipt().compare(&block(), None).is_ok());
    }

    #[test]
    fn every_lie_is_named() {
        let stranger = Account::from(Principal::from_slice(&[9]));
        type Lie = fn(&mut Block, Account);
        let lies: [(&str, Lie); 5] = [
            ("payer", |b, s| b.from = s),
            ("recipient", |b, s| b.to = s),
            ("amount", |b, _| b.amount = Amount(9_999)),
            ("memo", |b, _| b.memo = None),
            ("spender", |b, _| b.spender = None),
        ];
        for (name, lie) in lies {
            let mut block = block();
            lie(&mut block, stranger);
            let found = receipt().compare(&block, Some(Principal::from_slice(&[3])));
            assert!(
                matches!(found, Err(ReceiptError::Disproved { field, .. }) if field == name),
                "{name}: {found:?}"
            );
        }
    }
}
