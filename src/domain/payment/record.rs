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
use x402_icp::receipt::{self, Details};

/// What the payer was offered, as the payer signed it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Offered {
    /// The id of the offer.
    pub id: [u8; 16],
    /// The token's symbol.
    pub symbol: String,
    /// The token's decimals.
    pub decimals: u8,
}

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
    pub offered: Offered,
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

    /// What the receipt's commitment hides.
    pub fn receipt_details(&self) -> Details {
        let request = self.purchase.request();
        // A transfer that pays no offer bought nothing, whatever path it was presented for.
        let (method, path) = match self.fulfilment {
            Fulfilment::Nothing => ("", ""),
            _ => (request.method.as_str(), request.path.as_str()),
        };
        Details {
            payer: self.from,
            offer: self.offered.id,
            method: method.into(),
            path: path.into(),
            salt: self.authorization_digest.0,
        }
    }

    /// The receipt in the log of receipts, if the money moved. It is the same before and after delivery and refund.
    pub fn certified_receipt(&self, canister: Principal) -> Option<receipt::Receipt> {
        let (tx, settled_at) = self.state.moved()?;
        Some(receipt::Receipt {
            network: self.network.clone(),
            canister,
            payment_id: self.id,
            asset: self.ledger,
            symbol: self.offered.symbol.clone(),
            decimals: self.offered.decimals,
            pay_to: self.to,
            amount: self.amount,
            fee: self.fee,
            transaction: tx.to_string(),
            settled_at: settled_at.0,
            commitment: self.receipt_details().commitment(),
        })
    }
}
