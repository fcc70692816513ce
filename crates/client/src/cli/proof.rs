//! Proofs of a payment: the ledger's block, and the reply of the collecting canister, which its subnet signs.

use candid::{CandidType, Nat, Principal, decode_one, encode_one};
use serde::Deserialize;
use serde_json::{Map, Value, json};
use tollkeeper_client::{Account, Amount, Block, Limits, Network, Party, PaymentId, plain_text};

/// A field of a receipt, and the result of checking it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Field {
    /// Its name, as in JSON.
    pub name: &'static str,
    /// The value in the receipt.
    pub said: String,
    /// What proves it; `None` if only the sender claims it.
    pub proof: Option<String>,
    /// The value that was found instead.
    pub found: Option<String>,
}

/// Fields with the result of checking each.
#[derive(Clone, Debug, Default)]
pub struct Fields(pub Vec<Field>);

impl Fields {
    /// Compares a field with the value in `proof`.
    pub fn compare(&mut self, name: &'static str, said: &str, found: &str, proof: &str) {
        let same = said == found;
        self.0.push(Field {
            name,
            said: said.into(),
            proof: same.then(|| proof.into()),
            found: (!same).then(|| found.into()),
        });
    }

    /// The first field whose value was contradicted.
    pub fn lie(&self) -> Option<&Field> {
        self.0.iter().find(|field| field.found.is_some())
    }

    /// For programs: what proves each field, or null.
    pub fn json(&self) -> Value {
        let proofs: Map<String, Value> = self
            .0
            .iter()
            .map(|field| (field.name.into(), json!(field.proof)))
            .collect();
        proofs.into()
    }

    /// For readers: a line for each field.
    pub fn lines(&self) -> Vec<String> {
        self.0
            .iter()
            .map(|field| {
                let about = match (&field.proof, &field.found) {
                    (Some(proof), _) => format!("proven by {proof}"),
                    (None, Some(found)) => format!("NOT TRUE: it is {}", plain_text(found)),
                    (None, None) => "not proven: only the sender of the receipt claims it".into(),
                };
                format!(
                    "{:<10} {:<12} ({about})",
                    field.name,
                    plain_text(&field.said)
                )
            })
            .collect()
    }
}

/// The state of a payment according to the canister's update call. The canister tells payer and purchase only to payer
/// and merchant.
#[derive(Clone, Debug, CandidType, Deserialize)]
pub struct PaymentRecord {
    pub network: String,
    pub ledger: Principal,
    pub payer: Option<Account>,
    pub pay_to: Account,
    pub amount: Nat,
    pub fee: Nat,
    pub method: Option<String>,
    pub path: Option<String>,
    pub status: PaymentStatus,
}

/// The shown part of `PaymentStatus` in canister.did.
#[derive(Clone, Debug, CandidType, Deserialize)]
pub enum PaymentStatus {
    Settling,
    Settled {
        block_index: Nat,
    },
    Failed {
        code: String,
        message: String,
    },
    Unknown {
        reason: String,
    },
    Delivered {
        block_index: Nat,
    },
    Refunding {
        block_index: Nat,
        /// Canisters of an earlier version do not say it.
        cause: Option<String>,
        problem: String,
    },
    Refunded {
        block_index: Nat,
        refund_block_index: Nat,
    },
}

impl PaymentStatus {
    /// The state in one word, the block that charged it, and the canister's message.
    pub fn parts(&self) -> (&'static str, Option<&Nat>, Option<String>) {
        match self {
            PaymentStatus::Settling => ("settling", None, None),
            PaymentStatus::Settled { block_index } => ("settled", Some(block_index), None),
            PaymentStatus::Failed { code, message } => {
                ("failed", None, Some(format!("{code}: {message}")))
            }
            PaymentStatus::Unknown { reason } => ("unknown", None, Some(reason.clone())),
            PaymentStatus::Delivered { block_index } => ("delivered", Some(block_index), None),
            PaymentStatus::Refunding {
                block_index,
                cause,
                problem,
            } => {
                let message = match cause {
                    Some(cause) => format!("{cause}; {problem}"),
                    None => problem.clone(),
                };
                ("refunding", Some(block_index), Some(message))
            }
            PaymentStatus::Refunded {
                block_index,
                refund_block_index,
            } => (
                "refunded",
                Some(block_index),
                Some(format!("refunded in block {}", refund_block_index.0)),
            ),
        }
    }
}

/// The canister's record of a payment, settled or not; `None` if it has none.
pub async fn payment_of(
    network: &Network,
    canister: Principal,
    id: PaymentId,
) -> Result<Option<PaymentRecord>, String> {
    update(network, canister, "payment", id).await
}

async fn update<T: CandidType + for<'de> Deserialize<'de>>(
    network: &Network,
    canister: Principal,
    method: &str,
    id: PaymentId,
) -> Result<T, String> {
    let failed = |problem: &dyn std::fmt::Display| {
        let problem = plain_text(&problem.to_string());
        format!("canister {canister} did not answer {method}: {problem}")
    };
    let argument = encode_one(serde_bytes::ByteBuf::from(id.0.to_vec())).map_err(|e| failed(&e))?;
    let call = network.agent().update(&canister, method).with_arg(argument);
    let limit = Limits::default().agent;
    let reply = tokio::time::timeout(limit, call.call_and_wait())
        .await
        .map_err(|_| failed(&format!("no answer within {} s", limit.as_secs())))?
        .map_err(|e| failed(&e))?;
    decode_one(&reply).map_err(|e| failed(&e))
}

/// A transfer that a block is compared with; `None` for unknown fields.
pub struct Transfer<'a> {
    pub payer: Option<&'a str>,
    pub pay_to: &'a str,
    pub amount: &'a str,
    pub id: &'a str,
    pub spender: Option<Principal>,
}

/// Compares a transfer with the block that was named for it. `place`: network, ledger and index of the block.
pub fn compare_block(
    fields: &mut Fields,
    transfer: &Transfer<'_>,
    block: &Block,
    (network, ledger, index): (&str, Principal, &Nat),
    proof: &str,
) {
    let account = |said: &str, found: &Party| match x402_icp::values::parse_account(said) {
        // Another text of the same account is the same account.
        Ok(account) if found.is(&account) => said.to_string(),
        _ => found.to_string(),
    };
    let from = block.from.to_string();
    let payer = transfer.payer.unwrap_or(&from);
    fields.compare("payer", payer, &account(payer, &block.from), proof);
    fields.compare(
        "payTo",
        transfer.pay_to,
        &account(transfer.pay_to, &block.to),
        proof,
    );
    let amount: Option<Amount> = transfer.amount.parse().ok();
    let found = match amount == Some(block.amount) {
        true => transfer.amount.to_string(),
        false => block.amount.to_string(),
    };
    fields.compare("amount", transfer.amount, &found, proof);
    let by_transfer = block.payment_by_transfer(network, ledger, index);
    if let Some(id) = by_transfer.filter(|id| id.to_string() == transfer.id) {
        // The payer's own transfer, which nobody collects.
        fields.compare("paymentId", transfer.id, &id.to_string(), proof);
        return;
    }
    let memo = hex::encode(block.memo.as_deref().unwrap_or_default());
    fields.compare("paymentId", transfer.id, &memo, proof);
    let collector = match (block.spender, transfer.spender) {
        (None, _) => "nobody".into(),
        (Some(Party::Account(spender)), _) => spender.owner.to_text(),
        (Some(spender), Some(expected)) if spender.is_of(&expected) => expected.to_text(),
        (Some(spender), _) => spender.to_string(),
    };
    let expected = transfer
        .spender
        .map_or_else(|| collector.clone(), |spender| spender.to_text());
    fields.compare("spender", &expected, &collector, proof);
}
