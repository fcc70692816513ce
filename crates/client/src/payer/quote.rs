//! Requesting the price of a resource.

use super::{Payer, sign::callable};
use crate::{
    error::PayError,
    http::{Asked, HttpError, Request, Response},
    offer::{By, Expectations, Offer, RefusedOffer, select},
    required,
    serving::{ServedBy, serving, serving_canister},
    step::Step,
};
use candid::Principal;
use reqwest::Url;
use serde_json::{Map, Value};
use x402_icp::wire::ResourceInfo;

/// The result of requesting a resource.
#[derive(Clone, Debug)]
pub enum Quote {
    /// It costs nothing, or does not exist: any response other than a 402.
    Free(Response),
    /// It has a price.
    Priced(Box<Priced>),
}

/// A resource with a price, and the acceptable offers.
#[derive(Clone, Debug)]
pub struct Priced {
    /// The request, with the URL that responded.
    pub request: Request,
    /// The seller's description of the resource; `None` if there is none.
    pub resource: Option<ResourceInfo>,
    /// The acceptable offers, at least one: the payer's order of ledgers first, then the cheapest.
    pub offers: Vec<Offer>,
    /// The other entries of `accepts`, with the reasons why they are not acceptable.
    pub refused: Vec<RefusedOffer>,
    /// The requested URL.
    pub(super) asked_url: String,
    /// Whether the canister that serves the resource may get an allowance without being named.
    pub(super) typed: bool,
    pub(super) extensions: Option<Map<String, Value>>,
}

impl Payer {
    /// Requests the price of a resource; sends no payment and calls no ledger. [`Offer::total`] is price and fee.
    pub async fn quote(&self, request: &Request) -> Result<Quote, PayError> {
        self.tell(Step::Asking);
        let asked = self
            .http
            .ask(request)
            .await
            .map_err(PayError::Unreachable)?;
        let Asked {
            answer,
            request: answered,
            elsewhere,
        } = asked;
        let response = answer.response;
        if response.status != 402 {
            return match answer.cut {
                // An incomplete resource is an error.
                Some(cut) => Err(PayError::Unreachable(cut)),
                None => Ok(Quote::Free(response)),
            };
        }
        if let Some(problem) = elsewhere {
            return Err(PayError::Redirected {
                url: answered.url,
                problem,
            });
        }
        if self.by == By::Call {
            callable(&answered)?;
        }
        let required = required::read(&response).map_err(PayError::UnreadableOffer)?;
        let (server, typed) = self.server(request, &answered, &response).await;
        let path = Url::parse(&answered.url).map_err(|e| {
            PayError::Unreachable(HttpError::Malformed(format!("{:?}: {e}", answered.url)))
        })?;
        let expected = Expectations {
            network: self.network.id(),
            spender: server,
            method: &answered.method,
            path: path.path(),
            controls: &self.controls,
            by: self.by,
        };
        let (offers, refused) = select(&required.accepts, &expected);
        if offers.is_empty() {
            return Err(PayError::NoAcceptableOffer(refused));
        }
        Ok(Quote::Priced(Box::new(Priced {
            request: answered,
            resource: required.resource,
            offers,
            refused,
            asked_url: request.url.clone(),
            typed,
            extensions: required.extensions,
        })))
    }

    /// The canister that has to collect, and whether the user named it: by the option, or by the typed host.
    async fn server(
        &self,
        request: &Request,
        answered: &Request,
        response: &Response,
    ) -> (Option<Principal>, bool) {
        if let Some(named) = self.spender {
            return (Some(named), true);
        }
        let header = response.header("x-ic-canister-id");
        match serving(&self.network, &answered.url, header).await {
            Some((canister, ServedBy::Header)) => (Some(canister), false),
            Some((canister, ServedBy::Host | ServedBy::Parameter)) => {
                // A redirect may have put another canister into the query.
                let typed = serving_canister(&request.url) == Some(canister);
                (typed.then_some(canister), typed)
            }
            None => (None, false),
        }
    }
}
