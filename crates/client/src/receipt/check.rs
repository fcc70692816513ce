//! Comparison of a receipt with the ledger's block, and with the collecting canister's receipt.

use super::{Receipt, ReceiptError};
use crate::{ledger::Block, network::Network};
use candid::{Nat, Principal, encode_one};
use serde::Serialize;
use tollkeeper_types::Receipt as CandidReceipt;
use x402_icp::{
    Account, Amount, PaymentId,
    account::Party,
    values::{ValueError, parse_account, parse_principal},
};

/// How far the canister's clock may be behind the ledger's, in nanoseconds.
const CLOCK_SKEW: u64 = 120 * 1_000_000_000;

/// The expected values of a receipt. `None` is not compared.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct Expected {
    /// The requested payment.
    pub id: Option<PaymentId>,
    /// The collecting canister.
    pub spender: Option<Principal>,
    /// The payer's account.
    pub payer: Option<Account>,
    /// The recipient's account.
    pub pay_to: Option<Account>,
    /// The ledger.
    pub asset: Option<Principal>,
    /// The paid amount, in atomic units.
    pub amount: Option<Amount>,
}

/// The proof of a receipt's field.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum ProvenBy {
    /// The ledger's block, certified by its subnet.
    Block,
    /// The collecting canister's reply, certified by its subnet.
    Canister,
    /// No proof: only the sender of the receipt claims it.
    Nothing,
}

/// A field of a receipt.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct CheckedField {
    /// Its name in the receipt.
    pub field: &'static str,
    /// Its value there.
    pub value: String,
    /// Its proof.
    pub proven_by: ProvenBy,
}

/// A receipt without contradictions.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Checked {
    /// The ledger's block.
    pub block: Block,
    /// Every field with its proof.
    pub fields: Vec<CheckedField>,
}

impl Receipt {
    /// Compares the receipt with the expected values, with the block on the ledger, whose memo is the payment id, and
    /// with the receipt of the collecting canister, as far as it answers.
    pub async fn check(
        &self,
        network: &Network,
        expected: &Expected,
    ) -> Result<Checked, ReceiptError> {
        if self.network != network.id() {
            return Err(ReceiptError::Network {
                receipt: self.network.clone(),
                connected: network.id().into(),
            });
        }
        self.as_expected(expected)?;
        let asset = parse_principal(&self.asset).map_err(unreadable("asset"))?;
        let index: Amount = self
            .transaction
            .parse()
            .map_err(unreadable("transaction"))?;
        let block = network.ledger(asset).block(&Nat::from(index.0)).await?;
        self.compare(&block, expected)?;
        let id: PaymentId = self.payment_id.parse().map_err(unreadable("paymentId"))?;
        let seller = match block.spender {
            None => expected.spender,
            Some(Party::Account(spender)) => Some(spender.owner),
            Some(spender) => expected.spender.filter(|owner| spender.is_of(owner)),
        };
        let canister = match seller {
            None => None,
            Some(canister) => self.ask(network, canister, id).await?,
        };
        Ok(Checked {
            fields: self.fields(&block, canister.as_ref()),
            block,
        })
    }

    fn as_expected(&self, expected: &Expected) -> Result<(), ReceiptError> {
        let text = |value: Option<String>, field: &'static str, found: &str| match value {
            Some(expected) if expected != found => Err(ReceiptError::Other {
                field,
                found: found.into(),
                expected,
            }),
            _ => Ok(()),
        };
        let account = |account: &Account| account.to_string();
        let id = expected.id.as_ref().map(PaymentId::to_string);
        text(id, "paymentId", &self.payment_id)?;
        text(
            expected.asset.map(|asset| asset.to_text()),
            "asset",
            &self.asset,
        )?;
        // If the receipt does not name the payer, the block does.
        if !self.payer.is_empty() {
            text(expected.payer.as_ref().map(account), "payer", &self.payer)?;
        }
        text(expected.pay_to.as_ref().map(account), "payTo", &self.pay_to)?;
        text(
            expected.amount.map(|amount| amount.to_string()),
            "amount",
            &self.amount,
        )
    }

    pub(super) fn compare(&self, block: &Block, expected: &Expected) -> Result<(), ReceiptError> {
        let disproved = |field, found: String, claimed: String| {
            Err(ReceiptError::Disproved {
                block: self.transaction.clone(),
                field,
                found,
                claimed,
            })
        };
        let payer = match self.payer.as_str() {
            "" => expected.payer,
            payer => Some(parse_account(payer).map_err(unreadable("payer"))?),
        };
        let pay_to = parse_account(&self.pay_to).map_err(unreadable("payTo"))?;
        let amount: Amount = self.amount.parse().map_err(unreadable("amount"))?;
        let id: PaymentId = self.payment_id.parse().map_err(unreadable("paymentId"))?;
        let account = |account: &Account| account.to_string();
        if let Some(payer) = payer
            && !block.from.is(&payer)
        {
            return disproved("payer", block.from.to_string(), account(&payer));
        }
        if !block.to.is(&pay_to) {
            return disproved("recipient", block.to.to_string(), account(&pay_to));
        }
        if block.amount != amount {
            return disproved("amount", block.amount.to_string(), amount.to_string());
        }
        let by_transfer = self.is_by_transfer(block, &id);
        let memo = block.memo.as_deref().unwrap_or_default();
        if memo != id.0 && !by_transfer {
            return disproved("memo", hex::encode(memo), id.to_string());
        }
        if let (Some(found), false) = (block.fee, self.fee.is_empty()) {
            let fee: Amount = self.fee.parse().map_err(unreadable("fee"))?;
            if found != fee {
                return disproved("fee", found.to_string(), fee.to_string());
            }
        }
        if let (Some(at), false) = (block.timestamp, self.settled_at.is_empty()) {
            let settled: Amount = self.settled_at.parse().map_err(unreadable("settledAt"))?;
            // The canister's time of settlement is later than the block's, never before it.
            if settled.0 < u128::from(at.saturating_sub(CLOCK_SKEW)) {
                return disproved("time", at.to_string(), settled.to_string());
            }
        }
        match expected.spender {
            // The payer's own transfer has no spender. The canister's receipt says whose payment it is.
            Some(_) if by_transfer => Ok(()),
            Some(expected) if !block.spender.is_some_and(|found| found.is_of(&expected)) => {
                let found = match block.spender {
                    None => "nobody".into(),
                    Some(Party::Account(spender)) => spender.owner.to_text(),
                    Some(spender) => spender.to_string(),
                };
                disproved("spender", found, expected.to_text())
            }
            _ => Ok(()),
        }
    }

    /// Whether the block is the payer's own transfer, and makes this payment.
    fn is_by_transfer(&self, block: &Block, id: &PaymentId) -> bool {
        let (Ok(asset), Ok(index)) = (parse_principal(&self.asset), self.transaction.parse())
        else {
            return false;
        };
        let index: Amount = index;
        block.payment_by_transfer(&self.network, asset, &Nat::from(index.0)) == Some(*id)
    }

    /// The receipt that the collecting canister returns by update call; `None` if it returns none.
    async fn ask(
        &self,
        network: &Network,
        canister: Principal,
        id: PaymentId,
    ) -> Result<Option<Receipt>, ReceiptError> {
        let Ok(argument) = encode_one(id.0.to_vec()) else {
            return Ok(None);
        };
        let answered = network
            .update_one::<Option<CandidReceipt>>(canister, "receipt", argument)
            .await;
        let Ok((Some(found), _)) = answered else {
            return Ok(None);
        };
        let found = Receipt::from(found);
        for ((field, claimed), (_, found)) in self.members().into_iter().zip(found.members()) {
            // The canister leaves out payer and purchase for strangers, so they are not compared.
            if !claimed.is_empty() && !found.is_empty() && claimed != found {
                return Err(ReceiptError::Contradicted {
                    canister,
                    field,
                    found: found.into(),
                    claimed: claimed.into(),
                });
            }
        }
        Ok(Some(found))
    }

    pub(crate) fn members(&self) -> [(&'static str, &str); 11] {
        [
            ("paymentId", &self.payment_id),
            ("network", &self.network),
            ("asset", &self.asset),
            ("transaction", &self.transaction),
            ("payer", &self.payer),
            ("payTo", &self.pay_to),
            ("amount", &self.amount),
            ("fee", &self.fee),
            ("method", &self.method),
            ("path", &self.path),
            ("settledAt", &self.settled_at),
        ]
    }

    /// The fields of the payment: the receipt's, and where it has none, those of block and canister.
    fn fields(&self, block: &Block, canister: Option<&Receipt>) -> Vec<CheckedField> {
        let payer = block.from.to_string();
        let said = |index: usize| canister.map_or("", |receipt| receipt.members()[index].1);
        let members = self.members().into_iter().enumerate();
        let fields = members.map(|(index, (field, claimed))| {
            let by_canister = !said(index).is_empty();
            let proven_by = match field {
                "fee" if block.fee.is_some() => ProvenBy::Block,
                "fee" | "method" | "path" | "settledAt" if by_canister => ProvenBy::Canister,
                "fee" | "method" | "path" | "settledAt" => ProvenBy::Nothing,
                _ => ProvenBy::Block,
            };
            let value = match (claimed, field) {
                ("", "payer") => &payer,
                ("", _) => said(index),
                _ => claimed,
            };
            CheckedField {
                field,
                value: value.into(),
                proven_by,
            }
        });
        fields.filter(|field| !field.value.is_empty()).collect()
    }
}

fn unreadable(field: &'static str) -> impl Fn(ValueError) -> ReceiptError {
    move |problem| ReceiptError::Unreadable(format!("{field} {problem}"))
}

#[cfg(test)]
mod tests;
