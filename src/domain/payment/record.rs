//! A payment with its terms, and the proof of one.

use super::State;
use crate::{
    domain::{
        fulfilment::Fulfilment,
        purchase::Purchase,
        rail::{Rail, TxRef},
        scheme::Scheme,
    },
    types::{
        Account, Amount, AuthorizationDigest, Fingerprint, MerchantId, PaymentId, RouteKey,
        TimestampNs,
    },
};
use candid::Principal;

/// A payment, as the books know it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Payment {
    /// SHA-256 of the signed message.
    pub id: PaymentId,
    /// What the payer promised.
    pub scheme: Scheme,
    /// How the money moves.
    pub rail: Rail,
    /// CAIP-2 network id.
    pub network: String,
    /// The asset: on the rail [`Rail::Icrc2`] its ledger.
    pub ledger: Principal,
    /// Who sells.
    pub merchant: MerchantId,
    /// Who pays.
    pub from: Account,
    /// Who is paid.
    pub to: Account,
    /// What the merchant gets.
    pub amount: Amount,
    /// What the ledger gets, paid by the payer on top.
    pub fee: Amount,
    /// What is bought.
    pub purchase: Purchase,
    /// The request, hashed.
    pub fingerprint: Fingerprint,
    /// The authorization as presented, hashed.
    pub authorization_digest: AuthorizationDigest,
    /// `created_at_time` of the transfer in every try: the authorization's `validAfter`. Memo and time
    /// follow from what the payer signed alone, so that the ledger takes the transfer for a duplicate
    /// even if this canister has forgotten that it asked (an old snapshot was loaded).
    pub created_at: TimestampNs,
    /// What is owed for it.
    pub fulfilment: Fulfilment,
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
    /// The proof that the money moved.
    pub tx: TxRef,
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
        let (tx, at) = match self.state {
            State::Refunded { .. } => return None,
            ref state => state.moved()?,
        };
        Some(Receipt {
            payment_id: self.id,
            network: self.network.clone(),
            ledger: self.ledger,
            tx,
            payer: self.from,
            pay_to: self.to,
            amount: self.amount,
            fee: self.fee,
            request: self.purchase.request().clone(),
            settled_at: at,
        })
    }
}
