//! The fields that all rows of payments have.

use crate::{
    domain::{
        combination,
        fulfilment::{Fulfilment, FulfilmentKind},
        payment::{Payment, State},
        purchase::{Purchase, PurchaseKind},
        rail::Rail,
        scheme::Scheme,
    },
    storage::{
        accounts,
        codec::{StoredAccount, StoredTime, StoredU128, number_in, of_number},
        config, ledgers, tokens,
    },
    types::{AuthorizationDigest, Fingerprint, MerchantId, Method, PaymentId, RouteKey},
};
use minicbor::{Decode, Encode};

/// The fields of a payment that never change.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub struct TermsRow {
    #[cbor(n(0), with = "minicbor::bytes")]
    pub id: [u8; 32],
    #[n(1)]
    scheme: u8,
    #[n(2)]
    rail: u8,
    #[n(3)]
    network: u8,
    /// The index of the ledger.
    #[n(4)]
    pub asset: u16,
    #[n(5)]
    merchant: u32,
    #[n(6)]
    from: StoredAccount,
    /// The number of the account that is paid.
    #[n(7)]
    to: u32,
    #[n(8)]
    amount: StoredU128,
    #[n(9)]
    fee: StoredU128,
    /// The kind of purchase. Method and path are those of the request.
    #[n(10)]
    purchase: u8,
    #[n(11)]
    method: u8,
    #[n(12)]
    path: String,
    #[cbor(n(13), with = "minicbor::bytes")]
    fingerprint: [u8; 16],
    #[cbor(n(14), with = "minicbor::bytes")]
    authorization_digest: [u8; 16],
    #[n(15)]
    created_at: StoredTime,
    /// The kind of fulfilment.
    #[n(16)]
    fulfilment: u8,
    /// The number of the stored response; zero if none is owed.
    #[n(17)]
    response: u32,
    /// The number of the token's symbol and decimals in the offer.
    #[n(18)]
    token: u32,
    #[cbor(n(19), with = "minicbor::bytes")]
    offer: [u8; 16],
}

impl TermsRow {
    /// `None` if the ledger is not registered, or the network was never this canister's.
    pub fn new(payment: &Payment) -> Option<Self> {
        let request = payment.purchase.request();
        Some(TermsRow {
            id: payment.id.0,
            scheme: number_in(&Scheme::ALL, payment.scheme),
            rail: number_in(&Rail::ALL, payment.rail),
            network: config::network_number(&payment.network)?,
            asset: ledgers::index(&payment.ledger)?,
            merchant: payment.merchant.0,
            from: StoredAccount(payment.from),
            to: accounts::number(&payment.to),
            amount: payment.amount.into(),
            fee: payment.fee.into(),
            purchase: number_in(&PurchaseKind::ALL, payment.purchase.kind()),
            method: number_in(&Method::ALL, request.method),
            path: request.path.clone(),
            fingerprint: payment.fingerprint.0,
            authorization_digest: payment.authorization_digest.0,
            created_at: StoredTime(payment.created_at),
            fulfilment: number_in(&FulfilmentKind::ALL, payment.fulfilment.kind()),
            response: payment.fulfilment.response().unwrap_or_default(),
            token: tokens::number(&payment.offered),
            offer: payment.offered.id,
        })
    }

    /// `None` if this version does not know one of the numbers, or their combination.
    pub fn payment(self, state: State) -> Option<Payment> {
        let (scheme, rail) = (
            of_number(&Scheme::ALL, self.scheme)?,
            of_number(&Rail::ALL, self.rail)?,
        );
        let purchase = of_number(&PurchaseKind::ALL, self.purchase)?;
        let fulfilment = of_number(&FulfilmentKind::ALL, self.fulfilment)?;
        if !combination::is_supported(scheme, rail, purchase, fulfilment) {
            return None;
        }
        let request = RouteKey::new(of_number(&Method::ALL, self.method)?, self.path);
        Some(Payment {
            id: PaymentId(self.id),
            scheme,
            rail,
            network: config::network(self.network)?,
            ledger: ledgers::by_index(self.asset)?,
            merchant: MerchantId(self.merchant),
            from: self.from.0,
            to: accounts::get(self.to)?,
            amount: self.amount.into(),
            fee: self.fee.into(),
            purchase: match purchase {
                PurchaseKind::Route => Purchase::Route(request),
                PurchaseKind::Call => Purchase::Call(request),
            },
            offered: tokens::get(self.token, self.offer)?,
            fingerprint: Fingerprint(self.fingerprint),
            authorization_digest: AuthorizationDigest(self.authorization_digest),
            created_at: self.created_at.0,
            fulfilment: match fulfilment {
                FulfilmentKind::Stored => Fulfilment::Stored(self.response),
                FulfilmentKind::Forward => Fulfilment::Forward,
                FulfilmentKind::Nothing => Fulfilment::Nothing,
            },
            state,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::storage::payments::tests::{payment, set_up};

    /// An unknown number is not read as the first of a list, the management canister, or an empty name.
    #[test]
    fn unknown_values_are_not_read() {
        set_up();
        let payment = payment(1, 1);
        let row = || TermsRow::new(&payment).unwrap();
        assert_eq!(row().payment(payment.state.clone()), Some(payment.clone()));
        let unknown: [fn(&mut TermsRow); 9] = [
            |row| row.scheme = 1,
            |row| row.rail = 3,
            |row| row.network = 1,
            |row| row.asset = 1,
            |row| row.to = 1,
            |row| row.purchase = 2,
            |row| row.method = 5,
            |row| row.fulfilment = 3,
            |row| row.token = 1,
        ];
        for (n, change) in unknown.into_iter().enumerate() {
            let mut row = row();
            change(&mut row);
            assert_eq!(row.payment(payment.state.clone()), None, "{n}");
        }
    }
}
