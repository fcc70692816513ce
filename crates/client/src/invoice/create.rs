//! Invoices are made, looked at and given back, by update calls that the subnet certifies. No key is needed.

use super::{InvoiceLink, InvoiceProblem};
use crate::{ledger::Rail, network::Network, payer::Payer, payment::decoded_path};
use candid::{Principal, encode_one};
use reqwest::Url;
use serde_bytes::ByteBuf;
use tollkeeper_types::{
    AccountArg, Invoice, InvoiceArgs, InvoiceError, InvoiceReturnArgs, Returned,
};
use x402_icp::{Account, Amount};

/// What an invoice is wanted for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InvoiceOrder {
    /// The URL of the resource.
    pub url: String,
    /// Its canister, if the host does not name it.
    pub canister: Option<Principal>,
    /// The ledger of the token to pay with.
    pub ledger: Principal,
    /// The price, if there are several in this ledger.
    pub price: Option<Amount>,
    /// The account that gets back what buys nothing; `None`: whoever knows the id names one later.
    pub refund_to: Option<Account>,
}

impl InvoiceOrder {
    /// The member of an invoice that is not as ordered.
    pub(super) fn differs(&self, path: &str, invoice: &Invoice) -> Option<&'static str> {
        let priced = self.price.is_none_or(|price| invoice.price == price.0);
        [
            ("ledger", invoice.ledger == self.ledger),
            ("path", invoice.method == "GET" && invoice.path == path),
            ("price", priced && invoice.amount >= invoice.price),
            ("account for refunds", invoice.refund_to == self.refund_to),
        ]
        .into_iter()
        .find_map(|(member, same)| (!same).then_some(member))
    }
}

/// The reply of a call about an invoice.
type Reply<T> = Result<T, InvoiceError>;

impl Network {
    /// Makes an invoice with a new random id, which is a secret. Keep its link: without the id neither what it buys nor
    /// what it gives back can be had.
    pub async fn create_invoice(
        &self,
        order: &InvoiceOrder,
    ) -> Result<(InvoiceLink, Invoice), InvoiceProblem> {
        let link = InvoiceLink::beside(&order.url, order.canister, rand::random())
            .map_err(InvoiceProblem::Malformed)?;
        let has_query = Url::parse(&order.url).is_ok_and(|url| {
            url.query_pairs().any(|(key, _)| key != "canisterId")
                || (url.query().is_some() && !crate::serving::names_canister(&order.url))
        });
        if has_query {
            let problem = "an invoice is for a path: the URL must not have a query";
            return Err(InvoiceProblem::Malformed(problem.into()));
        }
        let path = decoded_path(&order.url).map_err(InvoiceProblem::Malformed)?;
        let args = InvoiceArgs {
            id: ByteBuf::from(link.id.to_vec()),
            method: "GET".into(),
            path: path.clone(),
            ledger: order.ledger,
            price: order.price.map(|price| price.0.into()),
            refund_to: order.refund_to.map(AccountArg::from),
        };
        let argument = encode_one(args).map_err(|e| InvoiceProblem::Malformed(e.to_string()))?;
        let invoice: Invoice = self.ask(&link, "invoice_create", argument).await?.0;
        link.check(&invoice)?;
        match order.differs(&path, &invoice) {
            None => Ok((link, invoice)),
            Some(member) => Err(InvoiceProblem::Silent {
                canister: link.canister,
                problem: format!("the invoice has another {member} than it was asked for"),
            }),
        }
    }

    /// Has the canister look for the money, and returns the invoice.
    pub async fn check_invoice(&self, link: &InvoiceLink) -> Result<Invoice, InvoiceProblem> {
        let canister = link.canister;
        let asked = self.invoice(canister, link.id).await;
        let (reply, _) = asked.map_err(|problem| InvoiceProblem::Silent { canister, problem })?;
        let invoice = reply.map_err(|problem| InvoiceProblem::Refused { canister, problem })?;
        link.check(&invoice)?;
        Ok(invoice)
    }

    async fn give_back(
        &self,
        link: &InvoiceLink,
        ledger: Principal,
        to: Option<Account>,
    ) -> Result<Returned, InvoiceProblem> {
        let args = InvoiceReturnArgs {
            id: ByteBuf::from(link.id.to_vec()),
            ledger,
            to: to.map(AccountArg::from),
        };
        let argument = encode_one(args).map_err(|e| InvoiceProblem::Malformed(e.to_string()))?;
        Ok(self.ask(link, "invoice_return", argument).await?.0)
    }

    async fn ask<T: candid::CandidType + serde::de::DeserializeOwned>(
        &self,
        link: &InvoiceLink,
        method: &str,
        argument: Vec<u8>,
    ) -> Result<(T, u64), InvoiceProblem> {
        let canister = link.canister;
        let called = self.update_one(canister, method, argument).await;
        let (reply, at): (Reply<T>, u64) = called.map_err(|e| InvoiceProblem::Silent {
            canister,
            problem: format!("{method}: {e}"),
        })?;
        match reply {
            Ok(value) => Ok((value, at)),
            Err(problem) => Err(InvoiceProblem::Refused { canister, problem }),
        }
    }
}

impl Payer {
    /// Has the canister give back what is in the account of an invoice that has ended, less the ledger's fee. `ledger`:
    /// the tokens of another one than the invoice's. `to`: needed unless an account was named before.
    ///
    /// The record of the payer's transfer ends if the money that was given back includes it.
    pub async fn return_invoice(
        &self,
        link: &InvoiceLink,
        ledger: Option<Principal>,
        to: Option<Account>,
    ) -> Result<Returned, InvoiceProblem> {
        let ledger = match ledger {
            Some(ledger) => ledger,
            None => match (self.network().check_invoice(link).await, self.paid_in(link)) {
                (Ok(invoice), _) => invoice.ledger,
                // The canister may have forgotten it.
                (Err(_), Some(ledger)) => ledger,
                (Err(problem), None) => return Err(problem),
            },
        };
        let returned = self.network().give_back(link, ledger, to).await;
        let block = match &returned {
            Ok(returned) => Some(returned.block_index.clone()),
            // It went back by itself, or in an earlier call.
            Err(InvoiceProblem::Refused {
                problem: InvoiceError::NothingToReturn { .. },
                ..
            }) => {
                let known = self.network().check_invoice(link).await.ok();
                let returned = known.filter(|invoice| invoice.ledger == ledger);
                let made = returned.and_then(|invoice| invoice.returned?.made);
                made.map(|made| made.block_index)
            }
            Err(_) => None,
        };
        if let Some(block) = block {
            self.went_back(link, ledger, &block).await;
        }
        returned
    }
}
