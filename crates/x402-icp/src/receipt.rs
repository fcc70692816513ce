//! Receipts that prove themselves: the hash of a receipt, and its JSON (docs/receipts.md).
//!
//! The hash is a leaf of the canister's log of receipts, whose root the canister certifies. What the ledger does not
//! show is in the hash as a salted commitment, so a receipt without it can be public and be verified.

use crate::{
    authorization::PaymentId,
    jws::Artifact,
    values::{Amount, ValueError, decimal, parse_account, parse_principal},
};
use candid::Principal;
use icrc_ledger_types::icrc1::account::Account;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

/// The version of the hashes and of the JSON.
pub const VERSION: u32 = 1;
/// The label of the log of receipts in the canister's certified tree.
pub const LABEL: &str = "log";

const RECEIPT: &[u8] = b"\x12x402-icp-receipt-1";
const DETAILS: &[u8] = b"\x1ax402-icp-receipt-details-1";

/// What a receipt says to everybody.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Receipt {
    /// CAIP-2 id.
    pub network: String,
    /// The canister that collected the payment.
    pub canister: Principal,
    /// The payment.
    pub payment_id: PaymentId,
    /// The ledger.
    pub asset: Principal,
    /// The token's symbol in the offer.
    pub symbol: String,
    /// The token's decimals in the offer.
    pub decimals: u8,
    /// The account that received the amount.
    pub pay_to: Account,
    /// What it received, in atomic units.
    pub amount: Amount,
    /// The fee that the ledger took in addition.
    pub fee: Amount,
    /// The proof that the money moved: the index of the ledger's block.
    pub transaction: String,
    /// When the canister found out, in nanoseconds.
    pub settled_at: u64,
    /// The commitment to [`Details`].
    pub commitment: [u8; 32],
}

/// What a receipt says to payer, merchant and operators only.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Details {
    /// The account that paid.
    pub payer: Account,
    /// The id of the offer.
    pub offer: [u8; 16],
    /// The HTTP method that was paid for.
    pub method: String,
    /// The path that was paid for.
    pub path: String,
    /// Keeps others from guessing what the commitment commits to: the digest of the authorization.
    pub salt: [u8; 16],
}

/// Parts, each with its length before it.
struct Parts(Vec<u8>);

impl Parts {
    fn new(domain: &[u8]) -> Self {
        let mut bytes = Vec::with_capacity(320);
        bytes.extend_from_slice(domain);
        Parts(bytes)
    }

    fn part(mut self, bytes: &[u8]) -> Self {
        // Nobody hashes a longer part: a canister has none, and a verifier reads no file that has one.
        let length = u16::try_from(bytes.len()).unwrap_or(u16::MAX);
        self.0.extend_from_slice(&length.to_be_bytes());
        self.0.extend_from_slice(bytes);
        self
    }

    fn account(self, account: &Account) -> Self {
        let subaccount = account.subaccount.filter(|bytes| *bytes != [0; 32]);
        self.part(account.owner.as_slice())
            .part(subaccount.as_ref().map_or(&[], |bytes| &bytes[..]))
    }

    fn hash(self) -> [u8; 32] {
        Sha256::digest(&self.0).into()
    }
}

impl Receipt {
    /// The leaf of this receipt in the log.
    pub fn hash(&self) -> [u8; 32] {
        Parts::new(RECEIPT)
            .part(self.network.as_bytes())
            .part(self.canister.as_slice())
            .part(&self.payment_id.0)
            .part(self.asset.as_slice())
            .part(self.symbol.as_bytes())
            .part(&[self.decimals])
            .account(&self.pay_to)
            .part(&self.amount.0.to_be_bytes())
            .part(&self.fee.0.to_be_bytes())
            .part(self.transaction.as_bytes())
            .part(&self.settled_at.to_be_bytes())
            .part(&self.commitment)
            .hash()
    }
}

impl Receipt {
    /// Appends the JSON of [`ReceiptFields`]. By hand, because a canister makes a proof of each in a query: nothing in
    /// these texts has to be escaped but network, symbol and transaction.
    pub fn write_json(&self, to: &mut String) {
        fn part(to: &mut String, name: &str, value: &str) {
            to.push_str(name);
            to.push_str(value);
        }
        fn free(to: &mut String, name: &str, value: &str) {
            part(to, name, &serde_json::to_string(value).unwrap_or_default());
        }
        free(to, "{\"network\":", &self.network);
        part(to, ",\"canister\":\"", &self.canister.to_text());
        part(to, "\",\"paymentId\":\"", &hex::encode(self.payment_id.0));
        part(to, "\",\"asset\":\"", &self.asset.to_text());
        free(to, "\",\"symbol\":", &self.symbol);
        part(to, ",\"decimals\":", &self.decimals.to_string());
        part(to, ",\"payTo\":\"", &self.pay_to.to_string());
        part(to, "\",\"amount\":\"", &self.amount.to_string());
        part(to, "\",\"fee\":\"", &self.fee.to_string());
        free(to, "\",\"transaction\":", &self.transaction);
        part(to, ",\"settledAt\":\"", &self.settled_at.to_string());
        part(to, "\",\"commitment\":\"", &hex::encode(self.commitment));
        to.push_str("\"}");
    }
}

impl Details {
    /// The commitment to these details.
    pub fn commitment(&self) -> [u8; 32] {
        Parts::new(DETAILS)
            .part(&self.salt)
            .account(&self.payer)
            .part(&self.offer)
            .part(self.method.as_bytes())
            .part(self.path.as_bytes())
            .hash()
    }
}

/// The JSON of a receipt with its proof.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ReceiptProof {
    /// [`VERSION`].
    pub version: u32,
    /// What everybody may know.
    pub receipt: ReceiptFields,
    /// What payer, merchant and operators may know.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub details: Option<DetailFields>,
    /// The place in the log, from 0.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub index: Option<String>,
    /// The canister's tree, pruned to the leaf: CBOR in base64.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub witness: Option<String>,
    /// The certificate over the root of the tree: CBOR in base64.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub certificate: Option<String>,
    /// Where the proof can be had, if it is not here.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub proof_at: Option<ProofAt>,
    /// The receipt as a JWS, if it was signed: for payer, merchant and operators.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub signed_receipt: Option<Artifact>,
    /// Where the payment stands. Not proven.
    pub status: String,
    /// The block of the refund, if there was one. Not proven.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub refund_transaction: Option<String>,
}

/// Where the proof of a receipt can be had.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ProofAt {
    /// The canister.
    pub canister: String,
    /// Its query, which takes the payment's id.
    pub query: String,
    /// The same by a plain GET over HTTP/1.1, on the mainnet.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub url: Option<String>,
}

/// [`Receipt`] as JSON: numbers are decimal text, hashes hexadecimal digits.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[allow(missing_docs)]
pub struct ReceiptFields {
    pub network: String,
    pub canister: String,
    pub payment_id: String,
    pub asset: String,
    pub symbol: String,
    pub decimals: u8,
    pub pay_to: String,
    pub amount: String,
    pub fee: String,
    pub transaction: String,
    pub settled_at: String,
    pub commitment: String,
}

/// [`Details`] as JSON.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[allow(missing_docs)]
pub struct DetailFields {
    pub payer: String,
    pub offer: String,
    pub method: String,
    pub path: String,
    pub salt: String,
}

/// A field of a receipt that is not in its only text form.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{field} {problem}")]
pub struct FieldError {
    /// The field.
    pub field: &'static str,
    /// The reason.
    pub problem: ValueError,
}

fn named<T>(field: &'static str, value: Result<T, ValueError>) -> Result<T, FieldError> {
    value.map_err(|problem| FieldError { field, problem })
}

impl ReceiptFields {
    /// The receipt that the texts stand for. Every value has one text, so a receipt with another text is another one.
    pub fn parse(&self) -> Result<Receipt, FieldError> {
        Ok(Receipt {
            network: self.network.clone(),
            canister: named("canister", parse_principal(&self.canister))?,
            payment_id: named("paymentId", self.payment_id.parse())?,
            asset: named("asset", parse_principal(&self.asset))?,
            symbol: self.symbol.clone(),
            decimals: self.decimals,
            pay_to: named("payTo", parse_account(&self.pay_to))?,
            amount: named("amount", self.amount.parse())?,
            fee: named("fee", self.fee.parse())?,
            transaction: self.transaction.clone(),
            settled_at: named("settledAt", decimal(&self.settled_at, u64::MAX.into()))? as u64,
            commitment: named("commitment", hex_bytes(&self.commitment))?,
        })
    }
}

impl DetailFields {
    /// The details that the texts stand for.
    pub fn parse(&self) -> Result<Details, FieldError> {
        Ok(Details {
            payer: named("payer", parse_account(&self.payer))?,
            offer: named("offer", hex_bytes(&self.offer))?,
            method: self.method.clone(),
            path: self.path.clone(),
            salt: named("salt", hex_bytes(&self.salt))?,
        })
    }
}

fn hex_bytes<const N: usize>(text: &str) -> Result<[u8; N], ValueError> {
    if text.len() != 2 * N {
        return Err(ValueError::WrongLength {
            expected: 2 * N,
            actual: text.chars().count(),
        });
    }
    let mut bytes = [0; N];
    let lower = text.bytes().all(|byte| !byte.is_ascii_uppercase());
    match lower && hex::decode_to_slice(text, &mut bytes).is_ok() {
        true => Ok(bytes),
        false => Err(ValueError::NotLowerHex),
    }
}

impl From<&Receipt> for ReceiptFields {
    fn from(receipt: &Receipt) -> Self {
        ReceiptFields {
            network: receipt.network.clone(),
            canister: receipt.canister.to_text(),
            payment_id: receipt.payment_id.to_string(),
            asset: receipt.asset.to_text(),
            symbol: receipt.symbol.clone(),
            decimals: receipt.decimals,
            pay_to: receipt.pay_to.to_string(),
            amount: receipt.amount.to_string(),
            fee: receipt.fee.to_string(),
            transaction: receipt.transaction.clone(),
            settled_at: receipt.settled_at.to_string(),
            commitment: hex::encode(receipt.commitment),
        }
    }
}

impl From<&Details> for DetailFields {
    fn from(details: &Details) -> Self {
        DetailFields {
            payer: details.payer.to_string(),
            offer: hex::encode(details.offer),
            method: details.method.clone(),
            path: details.path.clone(),
            salt: hex::encode(details.salt),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn receipt() -> Receipt {
        Receipt {
            network: "icp:1".into(),
            canister: Principal::from_slice(&[1; 10]),
            payment_id: PaymentId([2; 32]),
            asset: Principal::from_slice(&[3; 10]),
            symbol: "ckUSDC".into(),
            decimals: 6,
            pay_to: Account::from(Principal::from_slice(&[4; 29])),
            amount: Amount(10_000),
            fee: Amount(10),
            transaction: "17".into(),
            settled_at: 1_800_000_000_000_000_000,
            commitment: details().commitment(),
        }
    }

    fn details() -> Details {
        Details {
            payer: Account {
                owner: Principal::from_slice(&[5; 29]),
                subaccount: Some([6; 32]),
            },
            offer: [7; 16],
            method: "GET".into(),
            path: "/report".into(),
            salt: [8; 16],
        }
    }

    /// Each text is checked, and each changes the hash.
    #[test]
    fn one_changed_field_is_another_receipt() {
        let receipt = receipt();
        let fields = ReceiptFields::from(&receipt);
        assert_eq!(fields.parse(), Ok(receipt.clone()));
        let changes: [fn(&mut ReceiptFields); 12] = [
            |f| f.network.push('1'),
            |f| f.canister = "aaaaa-aa".into(),
            |f| f.payment_id.replace_range(..1, "1"),
            |f| f.asset = "aaaaa-aa".into(),
            |f| f.symbol.push(' '),
            |f| f.decimals = 7,
            |f| f.pay_to = "aaaaa-aa".into(),
            |f| f.amount = "10001".into(),
            |f| f.fee = "0".into(),
            |f| f.transaction = "18".into(),
            |f| f.settled_at.push('0'),
            |f| f.commitment.replace_range(..1, "z"),
        ];
        for (n, change) in changes.into_iter().enumerate() {
            let mut other = fields.clone();
            change(&mut other);
            let same = other.parse().is_ok_and(|r| r.hash() == receipt.hash());
            assert!(!same, "{n}");
        }
        let details = details();
        let fields = DetailFields::from(&details);
        assert_eq!(fields.parse(), Ok(details.clone()));
        let changes: [fn(&mut DetailFields); 5] = [
            |f| f.payer = "aaaaa-aa".into(),
            |f| f.offer.replace_range(..1, "1"),
            |f| f.method = "GE".into(),
            |f| f.path = "T/report".into(),
            |f| f.salt.replace_range(..1, "A"),
        ];
        for (n, change) in changes.into_iter().enumerate() {
            let mut other = fields.clone();
            change(&mut other);
            let same = other
                .parse()
                .is_ok_and(|d| d.commitment() == details.commitment());
            assert!(!same, "{n}");
        }
    }

    #[test]
    fn the_json_by_hand_is_that_of_the_library() {
        let mut odd = receipt();
        odd.symbol = "\"\\\n\u{1}€".into();
        odd.network = "icp:\"".into();
        odd.transaction = "\t".into();
        odd.amount = Amount(u128::MAX);
        odd.pay_to.subaccount = Some([9; 32]);
        for receipt in [receipt(), odd] {
            let mut text = "before".to_string();
            receipt.write_json(&mut text);
            let fields = serde_json::to_string(&ReceiptFields::from(&receipt)).unwrap();
            assert_eq!(text, format!("before{fields}"));
        }
    }

    #[test]
    fn parts_do_not_run_together() {
        let (mut a, mut b) = (details(), details());
        (a.method, a.path) = ("GET".into(), "/a".into());
        (b.method, b.path) = ("GET/".into(), "a".into());
        assert_ne!(a.commitment(), b.commitment());
    }
}
