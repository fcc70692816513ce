//! A payment with its terms, and the proof of one.

use super::State;
use crate::types::{
    Account, Amount, BlockIndex, Fingerprint, PaymentId, Proof, RouteKey, TimestampNs,
};
use candid::Principal;

/// A payment, as the books know it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Payment {
    /// SHA-256 of the signed message.
    pub id: PaymentId,
    /// CAIP-2 network id.
    pub network: String,
    /// The ledger.
    pub ledger: Principal,
    /// Who pays.
    pub from: Account,
    /// Who is paid.
    pub to: Account,
    /// What the merchant gets.
    pub amount: Amount,
    /// What the ledger gets, paid by the payer on top.
    pub fee: Amount,
    /// What was asked for: the method and the path of the request, not the template.
    pub request: RouteKey,
    /// The request, hashed.
    pub fingerprint: Fingerprint,
    /// The authorization as presented, hashed.
    pub proof: Proof,
    /// `created_at_time` of the transfer in every try: the authorization's `validAfter`. Memo and time
    /// follow from what the payer signed alone, so that the ledger takes the transfer for a duplicate
    /// even if this canister has forgotten that it asked (an old snapshot was loaded).
    pub created_at: TimestampNs,
    /// The number of the stored response that was bought; `None` for payments older than these numbers.
    pub response: Option<u32>,
    /// Where it stands.
    pub state: State,
}

/// Proof of a payment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Receipt {
    /// Which payment.
    pub payment_id: PaymentId,
    /// CAIP-2 network id.
    pub network: String,
    /// The ledger.
    pub ledger: Principal,
    /// The block that shows the transfer.
    pub block_index: BlockIndex,
    /// Who paid.
    pub payer: Account,
    /// Who was paid.
    pub pay_to: Account,
    /// What the merchant got.
    pub amount: Amount,
    /// What the ledger got on top.
    pub fee: Amount,
    /// Method and path of the request.
    pub request: RouteKey,
    /// When the canister learnt it.
    pub settled_at: TimestampNs,
}

impl Payment {
    /// The receipt, if the money moved and was not given back.
    pub fn receipt(&self) -> Option<Receipt> {
        let (block, at) = match self.state {
            State::Refunded { .. } => return None,
            ref state => state.moved()?,
        };
        Some(Receipt {
            payment_id: self.id,
            network: self.network.clone(),
            ledger: self.ledger,
            block_index: block,
            payer: self.from,
            pay_to: self.to,
            amount: self.amount,
            fee: self.fee,
            request: self.request.clone(),
            settled_at: at,
        })
    }
}
