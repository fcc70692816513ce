//! From the catalogue's routes to what the site answers.

use super::{answer::Answer, site::SiteRoute};
use crate::{
    domain::{identifier, route::Route},
    service,
};
use candid::Principal;
use std::rc::Rc;
use x402_icp::{
    encode_header,
    network::MAINNET,
    wire::{PaymentRequired, ResourceInfo, X402_VERSION},
};

/// What every route's offers have in common.
#[derive(Clone, Debug)]
pub struct Seller {
    /// The canister that pulls the payments: this one.
    pub canister: Principal,
    /// CAIP-2 id of the network.
    pub network: String,
}

impl Seller {
    /// The address of a path template. The host a client used is not known when the answer is
    /// certified, and need not be: clients echo this text and nobody verifies it.
    fn url(&self, template: &str) -> String {
        match self.network == MAINNET {
            true => format!("https://{}.icp0.io{template}", self.canister),
            false => format!("http://{}.localhost{template}", self.canister),
        }
    }

    /// The value of `PAYMENT-REQUIRED` for a route; none if nothing is offered for it now. `error` says
    /// what was wrong with a payment that was sent.
    pub fn payment_required(&self, route: &Route, error: Option<&str>) -> Option<String> {
        let accepts = service::catalogue::offers(route, self.canister);
        if accepts.is_empty() {
            return None;
        }
        let text = |text: &str| Some(text.to_string()).filter(|text| !text.is_empty());
        Some(encode_header(&PaymentRequired {
            x402_version: X402_VERSION,
            error: error.map(str::to_string),
            resource: ResourceInfo {
                url: self.url(&route.key.path),
                description: text(&route.description),
                mime_type: text(&route.mime_type),
                ..ResourceInfo::default()
            },
            accepts,
            extensions: route.payment_identifier.map(|policy| {
                let declaration = identifier::declaration(policy);
                [(identifier::KEY.to_string(), declaration)]
                    .into_iter()
                    .collect()
            }),
        }))
    }

    /// What the site answers for the routes of one path.
    pub fn site_routes(&self, routes: &[Rc<Route>]) -> Vec<SiteRoute> {
        routes
            .iter()
            .map(|route| SiteRoute {
                method: route.key.method.as_str(),
                priced: !route.is_free(),
                unpaid: self.unpaid(route),
            })
            .collect()
    }

    /// The answer to a request without a payment; none while there is nothing to deliver or to sell.
    fn unpaid(&self, route: &Route) -> Option<Answer> {
        let content = route.content.as_ref().filter(|_| route.on_sale)?;
        if route.is_free() {
            return Some(Answer::content(*content, &route.mime_type));
        }
        self.payment_required(route, None)
            .map(|offers| Answer::payment_required(&offers))
    }
}
