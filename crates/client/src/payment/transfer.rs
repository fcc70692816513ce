//! Payments by the payer's own transfer (`docs/scheme_exact_icp_transfer.md`).
//!
//! Everything that the ledger compares is fixed and recorded before the transfer is sent, so that a repetition is the
//! same transfer, and the ledger answers it with the block of the first.

use super::{Payload, Purchase, SignedPayment};
use icrc_ledger_types::icrc1::transfer::{Memo, TransferArg};
use serde::{Deserialize, Serialize};
use std::fmt;
use x402_icp::{
    Nonce, PaymentId, encode_header,
    transfer::{TransferTerms, commitment, transfer_id},
    values::{parse_account, parse_block},
    wire::{ExactIcrc1Extra, PaymentRequirements},
};

/// How long ledgers find a repetition of a transfer, in seconds after its `created_at_time` (ICRC-1: 24 hours). Later
/// they refuse it, whether it was made or not.
const WINDOW_SECONDS: u64 = 24 * 3_600;
/// How much longer than the window a ledger may take a transfer, in seconds: it allows for clocks that differ.
const DRIFT_SECONDS: u64 = 600;

/// The payer's part of a payment by transfer.
#[derive(Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct TransferPayload {
    /// The account that the money comes from.
    pub from: String,
    /// The block of the transfer; `None` while it is not known.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub block_index: Option<String>,
    /// 64 hexadecimal digits. Whoever knows them may present the block.
    secret: String,
}

impl fmt::Debug for TransferPayload {
    /// Without the secret.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TransferPayload")
            .field("from", &self.from)
            .field("block_index", &self.block_index)
            .finish_non_exhaustive()
    }
}

/// What a transfer has beside the terms, so that every repetition is the same.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct OwnTransfer {
    /// Nanoseconds since 1970-01-01.
    created_at_time: String,
    /// The ledger's fee, in atomic units.
    fee: String,
}

impl SignedPayment {
    /// Draws a secret and fixes the transfer. `now` is in seconds since 1970-01-01.
    pub(super) fn by_transfer(
        purchase: &Purchase<'_>,
        terms: &PaymentRequirements<ExactIcrc1Extra>,
        now: u64,
    ) -> Self {
        let secret = Nonce(rand::random());
        let memo = commitment(&TransferTerms::from(terms), &secret);
        let payload = TransferPayload {
            from: purchase.from.to_string(),
            block_index: None,
            secret: hex::encode(secret.0),
        };
        let mut payment = Self::of(purchase, Payload::Transfer(payload), PaymentId(memo));
        payment.transfer = Some(OwnTransfer {
            created_at_time: now.saturating_mul(1_000_000_000).to_string(),
            fee: purchase.offer.fee.to_string(),
        });
        payment
    }

    /// The memo of these terms with this secret; the error says what cannot be decoded.
    pub(super) fn commitment(
        &self,
        payload: &TransferPayload,
        terms: &PaymentRequirements<ExactIcrc1Extra>,
    ) -> Result<PaymentId, String> {
        let secret = payload
            .secret
            .parse()
            .map_err(|e| format!("its secret cannot be decoded: {e}"))?;
        if self.arguments().is_none() {
            return Err("its transfer cannot be decoded".into());
        }
        Ok(PaymentId(commitment(&TransferTerms::from(terms), &secret)))
    }

    /// Whether it is paid by the payer's own transfer.
    pub fn is_transfer(&self) -> bool {
        matches!(self.payment.payload, Payload::Transfer(_))
    }

    /// Whether it is a transfer whose block is not known.
    pub fn has_no_block(&self) -> bool {
        matches!(&self.payment.payload, Payload::Transfer(payload) if payload.block_index.is_none())
    }

    /// The block of the payer's own transfer; `None` of other payments, and while it is not known.
    pub fn block(&self) -> Option<u64> {
        match &self.payment.payload {
            Payload::Authorization(_) | Payload::Call(_) => None,
            Payload::Transfer(payload) => parse_block(payload.block_index.as_deref()?).ok(),
        }
    }

    /// The same with its block: now it can be presented.
    pub(crate) fn with_block(mut self, block: u64) -> Self {
        if let Payload::Transfer(payload) = &mut self.payment.payload {
            payload.block_index = Some(block.to_string());
            self.header = encode_header(&self.payment);
        }
        self
    }

    pub(super) fn id_of_block(&self) -> Option<PaymentId> {
        let accepted = &self.payment.accepted;
        let (memo, block) = (self.id()?, self.block()?);
        Some(transfer_id(
            &accepted.network,
            &accepted.asset,
            block,
            &memo.0,
        ))
    }

    /// The argument of `icrc1_transfer`: the same whenever it is sent. `None` of an authorization, or if a part cannot
    /// be decoded.
    pub(crate) fn arguments(&self) -> Option<TransferArg> {
        let own = self.transfer.as_ref()?;
        Some(TransferArg {
            from_subaccount: self.from()?.subaccount,
            to: parse_account(&self.payment.accepted.pay_to).ok()?,
            fee: Some(own.fee.parse::<x402_icp::Amount>().ok()?.0.into()),
            created_at_time: Some(own.created_at_time.parse().ok()?),
            memo: Some(Memo::from(self.id()?.0.to_vec())),
            amount: self.amount()?.0.into(),
        })
    }

    /// When the transfer was made, in seconds since 1970-01-01.
    pub fn transfer_made_at(&self) -> Option<u64> {
        let at: u64 = self.transfer.as_ref()?.created_at_time.parse().ok()?;
        Some(at / 1_000_000_000)
    }

    /// Until when the same transfer is sent again, in seconds since 1970-01-01.
    pub fn repeated_until(&self) -> Option<u64> {
        Some(self.transfer_made_at()?.saturating_add(WINDOW_SECONDS))
    }

    /// From when on no ledger makes the transfer any more, in seconds since 1970-01-01.
    pub(crate) fn impossible_from(&self) -> Option<u64> {
        Some(self.repeated_until()?.saturating_add(DRIFT_SECONDS))
    }
}
