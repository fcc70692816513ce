//! Payments by the client's own transfer (`assetTransferMethod: "icrc1"`, `paymentFlow: "upfront"`): the commitment in
//! the memo, and the proof that the client presents afterwards (`docs/scheme_exact_icp_transfer.md`).
//!
//! The client draws a secret, transfers with [`commitment`] as memo, and presents the block and the secret. The memo is
//! public and the secret is not, so nobody else can present the block.

use crate::{
    authorization::PaymentId,
    decode::DecodeError,
    values::{Amount, Nonce, parse_account, parse_block, parse_principal},
    wire::{ExactIcrc1Extra, ExactIcrc1Payload, PaymentRequirements},
};
use candid::Principal;
use ic_representation_independent_hash::{Value, representation_independent_hash};
use icrc_ledger_types::icrc1::account::Account;
use sha2::{Digest, Sha256};

const MEMO_DOMAIN: &[u8] = b"\x11x402-icp-transfer";
const ID_DOMAIN: &[u8] = b"\x14x402-icp-transfer-id";

/// The terms that the memo of a transfer commits to. Texts are as in the JSON of the offer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TransferTerms<'a> {
    /// CAIP-2 network id.
    pub network: &'a str,
    /// The ledger canister's id.
    pub asset: &'a str,
    /// The merchant's account.
    pub pay_to: &'a str,
    /// Atomic units.
    pub amount: &'a str,
    /// The offer id.
    pub offer: &'a str,
}

impl<'a> From<&'a PaymentRequirements<ExactIcrc1Extra>> for TransferTerms<'a> {
    fn from(offer: &'a PaymentRequirements<ExactIcrc1Extra>) -> Self {
        TransferTerms {
            network: &offer.network,
            asset: &offer.asset,
            pay_to: &offer.pay_to,
            amount: &offer.amount,
            offer: &offer.extra.offer,
        }
    }
}

/// The memo of the transfer: SHA-256 over the length-prefixed domain `x402-icp-transfer` and the
/// representation-independent hash of `{network, asset, payTo, amount, offer, secretHash}`, all of them texts.
/// `secretHash` is SHA-256 of the secret in lower-case hexadecimal digits.
pub fn commitment(terms: &TransferTerms<'_>, secret: &Nonce) -> [u8; 32] {
    let secret_hash = hex::encode(Sha256::digest(secret.0));
    hash(
        MEMO_DOMAIN,
        &[
            ("network", terms.network),
            ("asset", terms.asset),
            ("payTo", terms.pay_to),
            ("amount", terms.amount),
            ("offer", terms.offer),
            ("secretHash", &secret_hash),
        ],
    )
}

/// The id of the payment that this block makes: SHA-256 over the length-prefixed domain `x402-icp-transfer-id` and the
/// representation-independent hash of `{network, asset, blockIndex, memo}`, all of them texts. Public: every part of it
/// is in the ledger.
pub fn transfer_id(network: &str, asset: &str, block: u64, memo: &[u8; 32]) -> PaymentId {
    PaymentId(hash(
        ID_DOMAIN,
        &[
            ("network", network),
            ("asset", asset),
            ("blockIndex", &block.to_string()),
            ("memo", &hex::encode(memo)),
        ],
    ))
}

fn hash(domain: &[u8], texts: &[(&str, &str)]) -> [u8; 32] {
    let pairs = texts
        .iter()
        .map(|(key, text)| (key.to_string(), Value::String(text.to_string())));
    let map = representation_independent_hash(&pairs.collect::<Vec<_>>());
    Sha256::new()
        .chain_update(domain)
        .chain_update(map)
        .finalize()
        .into()
}

/// The decoded values of an [`ExactIcrc1Payload`] and of the accepted offer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TransferProof {
    /// The ledger.
    pub asset: Principal,
    /// The account that the money came from.
    pub from: Account,
    /// The block of the transfer.
    pub block: u64,
    /// What the memo commits to, beside the terms.
    pub secret: Nonce,
    /// The account that was to be paid.
    pub pay_to: Account,
    /// The amount that was to be paid.
    pub amount: Amount,
    /// The memo that the transfer must have.
    pub memo: [u8; 32],
}

impl TransferProof {
    /// Decodes the texts. The error names the first malformed one, as a path from the top of the payment.
    pub fn parse(
        accepted: &PaymentRequirements<ExactIcrc1Extra>,
        payload: &ExactIcrc1Payload,
    ) -> Result<Self, DecodeError> {
        let secret = payload
            .secret
            .parse()
            .map_err(DecodeError::invalid("payload.secret"))?;
        Ok(TransferProof {
            asset: parse_principal(&accepted.asset)
                .map_err(DecodeError::invalid("accepted.asset"))?,
            from: parse_account(&payload.from).map_err(DecodeError::invalid("payload.from"))?,
            block: parse_block(&payload.block_index)
                .map_err(DecodeError::invalid("payload.blockIndex"))?,
            pay_to: parse_account(&accepted.pay_to)
                .map_err(DecodeError::invalid("accepted.payTo"))?,
            amount: accepted
                .amount
                .parse()
                .map_err(DecodeError::invalid("accepted.amount"))?,
            memo: commitment(&TransferTerms::from(accepted), &secret),
            secret,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TERMS: TransferTerms<'_> = TransferTerms {
        network: "icp:1",
        asset: "xevnm-gaaaa-aaaar-qafnq-cai",
        pay_to: "aaaaa-aa",
        amount: "10000",
        offer: "000102030405060708090a0b0c0d0e0f",
    };

    #[test]
    fn every_term_and_the_secret_change_the_memo() {
        let base = commitment(&TERMS, &Nonce([7; 32]));
        assert_eq!(base, commitment(&TERMS, &Nonce([7; 32])));
        type Change = fn(&mut TransferTerms<'_>);
        let changes: [Change; 5] = [
            |terms| terms.network = "icp:0",
            |terms| terms.asset = "aaaaa-aa",
            |terms| terms.pay_to = "2vxsx-fae",
            |terms| terms.amount = "10001",
            |terms| terms.offer = "000102030405060708090a0b0c0d0e00",
        ];
        let mut memos = vec![base, commitment(&TERMS, &Nonce([8; 32]))];
        for change in changes {
            let mut terms = TERMS;
            change(&mut terms);
            memos.push(commitment(&terms, &Nonce([7; 32])));
        }
        memos.sort_unstable();
        memos.dedup();
        assert_eq!(memos.len(), 7);
    }

    #[test]
    fn every_part_changes_the_id() {
        let ids = [
            transfer_id("icp:1", "aaaaa-aa", 1, &[1; 32]),
            transfer_id("icp:0", "aaaaa-aa", 1, &[1; 32]),
            transfer_id("icp:1", "2vxsx-fae", 1, &[1; 32]),
            transfer_id("icp:1", "aaaaa-aa", 2, &[1; 32]),
            transfer_id("icp:1", "aaaaa-aa", 1, &[2; 32]),
        ];
        let different: std::collections::BTreeSet<_> = ids.into_iter().collect();
        assert_eq!(different.len(), ids.len());
    }
}
