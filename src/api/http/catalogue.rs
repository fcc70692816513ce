//! Conversion of the catalogue's routes to the responses of the site.

use super::{site::SiteRoute, static_response::StaticResponse};
use crate::{
    domain::{challenge, origin, route::Route},
    service, storage,
    types::Method,
};
use candid::Principal;
use std::rc::Rc;
use x402_icp::{
    encode_header,
    jws::{self, DID_PATH},
    network::MAINNET,
    wire::{PaymentRequired, X402_VERSION},
};

/// The path where agents look for the canisters of an origin (the service-discoverability convention of the Internet
/// Computer).
pub const ARCHITECTURE: &str = "/.well-known/ic-architecture";

/// The parts that the offers of all routes share.
#[derive(Clone, Debug)]
pub struct Seller {
    /// The canister that pulls the payments: this one.
    pub canister: Principal,
    /// CAIP-2 id of the network.
    pub network: String,
    /// The origin under which clients reach the canister, if a controller has set it.
    pub origin: Option<String>,
}

impl Seller {
    /// The URL of a path template: under the origin that was set, else under this canister's host on mainnet, else
    /// relative to the request, because the host and port of another network are not known. The response is certified
    /// before it is requested, so it cannot contain the host that a client used.
    fn url(&self, template: &str) -> String {
        match &self.origin {
            Some(origin) => format!("{origin}{template}"),
            None if self.network == MAINNET => {
                format!("https://{}.icp0.io{template}", self.canister)
            }
            None => template.to_string(),
        }
    }

    /// The value of `PAYMENT-REQUIRED` for a route; `None` if it has no offer now. `error` describes what was wrong
    /// with a payment.
    pub fn payment_required(&self, route: &Route, error: Option<&str>) -> Option<String> {
        let accepts = service::catalogue::all_methods(route, self.canister);
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

    /// The site's responses for the routes of one path. The path of the architecture without a route of the seller's
    /// has one of the canister's own.
    pub fn site_routes(&self, path: &str, routes: &[Rc<Route>]) -> Vec<SiteRoute> {
        if path == ARCHITECTURE && routes.is_empty() {
            return vec![SiteRoute {
                method: Method::Get.as_str(),
                priced: false,
                unpaid: Some(StaticResponse::public_json(self.architecture())),
            }];
        }
        if path == DID_PATH {
            return self.did_document().map_or(vec![], |json| {
                vec![SiteRoute {
                    method: Method::Get.as_str(),
                    priced: false,
                    unpaid: Some(StaticResponse::public_json(json)),
                }]
            });
        }
        routes
            .iter()
            .map(|route| SiteRoute {
                method: route.key.method.as_str(),
                priced: !route.is_free(),
                unpaid: self.unpaid(route),
            })
            .collect()
    }

    /// The canisters of this origin, for agents: this one, what it is for, and what to read next. Ledgers are not among
    /// them, because they are not the seller's.
    fn architecture(&self) -> String {
        serde_json::json!({ "canisters": [{
            "id": self.canister.to_text(),
            "name": "Tollkeeper",
            "role": "backend",
            "description": "Sells the paths of this origin: over HTTP (402, x402), and by the Candid methods quote and \
                pay. Call get_api_doc first.",
            "candid": "metadata candid:service",
            "apiDoc": "get_api_doc",
        }] })
        .to_string()
    }

    /// The keys that sign receipts, or have; `None` if there are none.
    fn did_document(&self) -> Option<String> {
        let keys = storage::receipt_signatures::keys();
        let keys: Vec<_> = keys.iter().map(|(name, key)| (&**name, *key)).collect();
        let site = origin::site(self.origin.as_deref(), &self.network, self.canister);
        (!keys.is_empty()).then(|| jws::did_document(&jws::did_of(&site), &keys))
    }

    /// The response to a request without a payment; `None` while there is nothing to deliver or to sell.
    fn unpaid(&self, route: &Route) -> Option<StaticResponse> {
        if !route.on_sale || !route.is_deliverable() {
            return None;
        }
        if route.is_free() {
            return Some(StaticResponse::content(route.content?, &route.mime_type));
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
