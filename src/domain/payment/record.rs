//! A payment with its terms, and its receipt.

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

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Payment {
    /// SHA-256 of the signed message.
    pub id: PaymentId,
    pub scheme: Scheme,
    pub rail: Rail,
    /// CAIP-2 network id.
    pub network: String,
    /// The asset: on the rail [`Rail::Icrc2`] its ledger.
    pub ledger: Principal,
    pub merchant: MerchantId,
    pub from: Account,
    pub to: Account,
    /// The amount that the merchant receives; on the rail [`Rail::Icrc1`] that of the block, which may be more than the
    /// price.
    pub amount: Amount,
    /// The fee that the ledger takes, paid by the payer in addition.
    pub fee: Amount,
    pub purchase: Purchase,
    /// The hash of the request.
    pub fingerprint: Fingerprint,
    /// The hash of the authorization as presented.
    pub authorization_digest: AuthorizationDigest,
    /// `created_at_time` of the transfer in every try: the authorization's `validAfter`. Memo and time follow from what
    /// the payer signed alone. The ledger therefore recognises the duplicate even if this canister has lost the payment
    /// (an old snapshot was loaded).
    pub created_at: TimestampNs,
    pub fulfilment: Fulfilment,
    pub state: State,
}

/// The receipt of a payment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Receipt {
    pub payment_id: PaymentId,
    /// CAIP-2 network id.
    pub network: String,
    pub ledger: Principal,
    /// The proof that the money moved.
    pub tx: TxRef,
    pub payer: Account,
    pub pay_to: Account,
    /// The amount that the merchant received.
    pub amount: Amount,
    /// The fee that the ledger took in addition.
    pub fee: Amount,
    /// Method and path of the request.
    pub request: RouteKey,
    /// When the canister found out that the money moved.
    pub settled_at: TimestampNs,
}

impl Payment {
    /// The amount that a refund returns. A transfer that pays no offer was the payer's mistake, and costs the merchant
    /// no fee.
    pub fn refund_amount(&self) -> Amount {
        match self.fulfilment {
            Fulfilment::Nothing => Amount(self.amount.0.saturating_sub(self.fee.0)),
            Fulfilment::Stored(_) | Fulfilment::Forward => self.amount,
        }
    }

    /// The receipt, if the money moved and was not refunded.
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
