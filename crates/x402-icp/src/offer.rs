//! Offer ids (section 4.2), and whether an offer is for a request (section 4.3).

use crate::{
    number::MAX_SAFE_INTEGER,
    template,
    values::{ValueError, parse_principal},
    wire::{ExactIcrc1Extra, ExactIcrc2Extra},
};
use candid::Principal;
use ic_representation_independent_hash::{Value, representation_independent_hash};
use sha2::{Digest, Sha256};

const DOMAIN: &[u8] = b"\x0ex402-icp-offer";

/// The id of one route at one price: 32 hexadecimal digits.
///
/// The first 16 bytes of SHA-256 over the length-prefixed domain `x402-icp-offer` and the representation-independent
/// hash of `{canister: bytes, method: text, route: text, revision: nat}`. `price_revision` grows whenever any price of
/// the route changes, so an authorization for the old price never pays the new one. Clients compute it, too
/// ([`offer_matches`]).
pub fn offer_id(
    canister: Principal,
    method: &str,
    route_template: &str,
    price_revision: u64,
) -> String {
    let hash = representation_independent_hash(&[
        (
            "canister".into(),
            Value::Bytes(canister.as_slice().to_vec()),
        ),
        ("method".into(), Value::String(method.into())),
        ("route".into(), Value::String(route_template.into())),
        ("revision".into(), Value::Number(price_revision)),
    ]);
    let digest: [u8; 32] = Sha256::new()
        .chain_update(DOMAIN)
        .chain_update(hash)
        .finalize()
        .into();
    let mut id = hex::encode(digest);
    id.truncate(32);
    id
}

/// The members of an offer that its id is made of.
#[derive(Clone, Copy, Debug)]
pub struct OfferParts<'a> {
    /// The canister that made the offer: `extra.spender`, or `extra.canister` of `icrc1`.
    pub canister: &'a str,
    /// The id.
    pub offer: &'a str,
    /// The HTTP method.
    pub method: Option<&'a str>,
    /// The path template.
    pub route: Option<&'a str>,
    /// The price revision.
    pub revision: Option<u64>,
}

impl<'a> From<&'a ExactIcrc2Extra> for OfferParts<'a> {
    fn from(extra: &'a ExactIcrc2Extra) -> Self {
        OfferParts {
            canister: &extra.spender,
            offer: &extra.offer,
            method: extra.method.as_deref(),
            route: extra.route.as_deref(),
            revision: extra.revision,
        }
    }
}

impl<'a> From<&'a ExactIcrc1Extra> for OfferParts<'a> {
    fn from(extra: &'a ExactIcrc1Extra) -> Self {
        OfferParts {
            canister: &extra.canister,
            offer: &extra.offer,
            method: Some(&extra.method),
            route: Some(&extra.route),
            revision: Some(extra.revision),
        }
    }
}

/// The reason why an offer is not for a request.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum OfferMismatch {
    /// A member of `extra` that the id depends on is absent or of another type.
    #[error("extra.{0} is missing")]
    Missing(&'static str),
    /// `extra.spender`, or `extra.canister` of `icrc1`, is not a principal.
    #[error("extra.spender or extra.canister {0}")]
    Spender(ValueError),
    /// `extra.revision` is greater than [`MAX_SAFE_INTEGER`], which not every JSON parser represents exactly.
    #[error("extra.revision is greater than {MAX_SAFE_INTEGER}")]
    Revision,
    /// `extra.offer` is not the id of spender, method, route and revision.
    #[error("extra.offer is {offered}, but spender, method, route and revision make {computed}")]
    Id {
        /// The id in the offer.
        offered: String,
        /// The computed id.
        computed: String,
    },
    /// The offer is for another method.
    #[error("the offer is for {offered}, the request is {requested}")]
    Method {
        /// The offer's method.
        offered: String,
        /// The request's method.
        requested: String,
    },
    /// The offer is for other paths.
    #[error("the offer is for {template}, the request is for {path}")]
    Path {
        /// The offer's path template.
        template: String,
        /// The request's path.
        path: String,
    },
}

/// Whether an offer is for this request: what a client MUST check before it signs (sections 4.3 and 10).
///
/// `method` is the request's as it is sent (`HEAD` never matches: it is not a method of a route and buys nothing),
/// `path` the path of its URL without decoding, and without query and fragment. The id is computed from `extra`, so an
/// offer of one route is never accepted as that of another.
pub fn offer_matches<'a>(
    offer: impl Into<OfferParts<'a>>,
    method: &str,
    path: &str,
) -> Result<(), OfferMismatch> {
    let parts = offer.into();
    let (offered, template) = is_of_its_parts(&parts)?;
    if offered != method {
        return Err(OfferMismatch::Method {
            offered: offered.to_string(),
            requested: method.to_string(),
        });
    }
    if !template::matches_url_path(template, path) {
        return Err(OfferMismatch::Path {
            template: template.to_string(),
            path: path.to_string(),
        });
    }
    Ok(())
}

/// Checks that the id is that of the other parts. Returns the method and the path template.
pub fn is_of_its_parts<'a>(parts: &OfferParts<'a>) -> Result<(&'a str, &'a str), OfferMismatch> {
    let method = parts.method.ok_or(OfferMismatch::Missing("method"))?;
    let template = parts.route.ok_or(OfferMismatch::Missing("route"))?;
    let revision = parts.revision.ok_or(OfferMismatch::Missing("revision"))?;
    if revision > MAX_SAFE_INTEGER {
        return Err(OfferMismatch::Revision);
    }
    let canister = parse_principal(parts.canister).map_err(OfferMismatch::Spender)?;
    let computed = offer_id(canister, method, template, revision);
    match parts.offer == computed {
        true => Ok((method, template)),
        false => Err(OfferMismatch::Id {
            offered: parts.offer.to_string(),
            computed,
        }),
    }
}

/// The globally unique key of a settled payment: `network/asset/blockIndex`.
pub fn transaction_key(network: &str, asset: &str, block_index: &str) -> String {
    format!("{network}/{asset}/{block_index}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_part_changes_the_id() {
        let canister = Principal::from_slice(&[1, 2, 3]);
        let base = offer_id(canister, "GET", "/a", 1);
        assert_eq!(base.len(), 32);
        assert_eq!(base, offer_id(canister, "GET", "/a", 1));
        for other in [
            offer_id(Principal::from_slice(&[1, 2, 4]), "GET", "/a", 1),
            offer_id(canister, "POST", "/a", 1),
            offer_id(canister, "GET", "/b", 1),
            offer_id(canister, "GET", "/a", 2),
        ] {
            assert_ne!(base, other);
        }
    }

    fn extra() -> ExactIcrc2Extra {
        let canister = Principal::from_slice(&[1, 2, 3]);
        ExactIcrc2Extra {
            asset_transfer_method: "icrc2".into(),
            symbol: "T".into(),
            decimals: 6,
            fee: "10".into(),
            spender: canister.to_text(),
            offer: offer_id(canister, "GET", "/items/{id}", 7),
            method: Some("GET".into()),
            route: Some("/items/{id}".into()),
            revision: Some(7),
            payment_flow: None,
        }
    }

    #[test]
    fn an_offer_is_for_its_method_and_its_paths_only() {
        let matches = |method, path| offer_matches(&extra(), method, path);
        assert_eq!(matches("GET", "/items/7"), Ok(()));
        for method in ["POST", "get", "HEAD", ""] {
            let refused = matches(method, "/items/7");
            assert!(
                matches!(refused, Err(OfferMismatch::Method { .. })),
                "{method}"
            );
        }
        for path in [
            "/items",
            "/items/",
            "/items/7/",
            "/Items/7",
            "/data/7",
            "",
            "*",
        ] {
            let refused = matches("GET", path);
            assert!(matches!(refused, Err(OfferMismatch::Path { .. })), "{path}");
        }
    }

    #[test]
    fn an_offer_whose_id_is_another_ones_is_refused() {
        type Spoil = fn(&mut ExactIcrc2Extra);
        let spoilt: [Spoil; 5] = [
            |extra| extra.spender = Principal::from_slice(&[1, 2, 4]).to_text(),
            |extra| extra.method = Some("POST".into()),
            |extra| extra.route = Some("/items/7".into()),
            |extra| extra.revision = Some(8),
            |extra| extra.offer = extra.offer.to_uppercase(),
        ];
        for (case, spoil) in spoilt.into_iter().enumerate() {
            let mut extra = extra();
            spoil(&mut extra);
            let method = extra.method.clone().unwrap();
            let refused = offer_matches(&extra, &method, "/items/7");
            assert!(
                matches!(refused, Err(OfferMismatch::Id { .. })),
                "case {case}"
            );
        }
    }

    #[test]
    fn an_offer_that_does_not_say_what_it_is_for_is_refused() {
        type Spoil = fn(&mut ExactIcrc2Extra);
        let spoilt: [(&str, Spoil); 3] = [
            ("method", |extra| extra.method = None),
            ("route", |extra| extra.route = None),
            ("revision", |extra| extra.revision = None),
        ];
        for (name, spoil) in spoilt {
            let mut extra = extra();
            spoil(&mut extra);
            let refused = offer_matches(&extra, "GET", "/items/7");
            assert_eq!(refused, Err(OfferMismatch::Missing(name)));
        }
        let mut nobody = extra();
        nobody.spender = "nobody".into();
        let refused = offer_matches(&nobody, "GET", "/items/7");
        assert!(matches!(refused, Err(OfferMismatch::Spender(_))));
        let mut huge = extra();
        huge.revision = Some(MAX_SAFE_INTEGER + 1);
        assert_eq!(
            offer_matches(&huge, "GET", "/items/7"),
            Err(OfferMismatch::Revision)
        );
    }
}
