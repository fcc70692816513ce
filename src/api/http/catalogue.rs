//! From the catalogue's routes to what the site answers.

use super::{site::SiteRoute, static_response::StaticResponse};
use crate::{
    domain::{challenge, route::Route},
    service,
};
use candid::Principal;
use std::rc::Rc;
use x402_icp::{
    encode_header,
    network::MAINNET,
    wire::{PaymentRequired, X402_VERSION},
};

/// What every route's offers have in common.
#[derive(Clone, Debug)]
pub struct Seller {
    /// The canister that pulls the payments: this one.
    pub canister: Principal,
    /// CAIP-2 id of the network.
    pub network: String,
    /// Where clients reach the canister, if a controller has said so.
    pub origin: Option<String>,
}

impl Seller {
    /// The address of a path template: below the origin that was set, else below the mainnet's host of this
    /// canister, else relative to the request, because nobody knows the host and port of another network. The
    /// answer is certified before anybody asks, so the host that a client used cannot be in it.
    fn url(&self, template: &str) -> String {
        match &self.origin {
            Some(origin) => format!("{origin}{template}"),
            None if self.network == MAINNET => {
                format!("https://{}.icp0.io{template}", self.canister)
            }
            None => template.to_string(),
        }
    }

    /// The value of `PAYMENT-REQUIRED` for a route; none if nothing is offered for it now. `error` says
    /// what was wrong with a payment that was sent.
    pub fn payment_required(&self, route: &Route, error: Option<&str>) -> Option<String> {
        let accepts = service::catalogue::offers(route, self.canister);
        if accepts.is_empty() {
            return None;
        }
        Some(encode_header(&PaymentRequired {
            x402_version: X402_VERSION,
            error: error.map(str::to_string),
            resource: challenge::resource(route, self.url(&route.key.path)),
            accepts,
            extensions: challenge::extensions(route),
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
    fn unpaid(&self, route: &Route) -> Option<StaticResponse> {
        let content = route.content.as_ref().filter(|_| route.on_sale)?;
        if route.is_free() {
            return Some(StaticResponse::content(*content, &route.mime_type));
        }
        self.payment_required(route, None)
            .map(|offers| StaticResponse::payment_required(&offers))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn urls_begin_with_the_origin_that_was_set() {
        let canister = Principal::from_slice(&[1, 2, 3, 4, 5]);
        let url = |network: &str, origin: Option<&str>| {
            Seller {
                canister,
                network: network.into(),
                origin: origin.map(str::to_string),
            }
            .url("/items/{id}")
        };
        let own = Some("https://shop.example");
        assert_eq!(url(MAINNET, own), "https://shop.example/items/{id}");
        let port = Some("http://localhost:4943");
        assert_eq!(url("icp:0", port), "http://localhost:4943/items/{id}");
        assert_eq!(
            url(MAINNET, None),
            format!("https://{canister}.icp0.io/items/{{id}}")
        );
        assert_eq!(url("icp:b590137b6b254aab", None), "/items/{id}");
    }
}
