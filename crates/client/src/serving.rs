//! The canister that serves a URL.

use crate::network::Network;
use candid::Principal;
use reqwest::Url;
use std::net::IpAddr;
use x402_icp::values::parse_principal;

/// The domains of HTTP gateways, under which the first label of a host is a canister's id. Under any other domain the
/// owner chose it.
const GATEWAYS: [&str; 7] = [
    "icp0.io",
    "raw.icp0.io",
    "ic0.app",
    "raw.ic0.app",
    "icp.net",
    "localhost",
    "raw.localhost",
];

/// Whether a principal is an opaque id, as canisters have (Interface Specification, "Principals"): neither a key's nor
/// the anonymous one nor that of the management canister.
pub fn is_canister(principal: Principal) -> bool {
    principal.as_slice().len() > 1 && principal.as_slice().last() == Some(&0x01)
}

/// The evidence for the canister that serves a URL.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ServedBy {
    /// The host contains the canister's id.
    Host,
    /// The gateway names it, and the canister names the origin.
    Header,
    /// The query parameter of a bare gateway.
    Parameter,
}

/// The canister that serves a URL, according to the URL itself: the host `<canister id>.<gateway domain>`, or
/// `canisterId` in the query of a bare gateway (a gateway domain, `localhost` or a loopback address).
pub fn serving_canister(url: &str) -> Option<Principal> {
    by_host(url).or_else(|| by_parameter(url))
}

/// Whether a URL names its canister in the query, which the gateway reads.
pub(crate) fn names_canister(url: &str) -> bool {
    by_host(url).is_none() && by_parameter(url).is_some()
}

fn by_host(url: &str) -> Option<Principal> {
    let url = Url::parse(url).ok()?;
    let (label, domain) = url.host_str()?.split_once('.')?;
    GATEWAYS
        .contains(&domain)
        .then(|| parse_principal(label).ok())
        .flatten()
}

fn by_parameter(url: &str) -> Option<Principal> {
    let url = Url::parse(url).ok()?;
    let host = url.host_str()?.trim_matches(['[', ']']);
    let loopback = host.parse().is_ok_and(|ip: IpAddr| ip.is_loopback());
    if !loopback && !GATEWAYS.contains(&host) {
        return None;
    }
    let mut named = url
        .query_pairs()
        .filter(|(key, _)| key == "canisterId")
        .map(|(_, value)| parse_principal(&value).ok());
    // Gateways differ in which of several they use.
    match (named.next(), named.next()) {
        (Some(canister), None) => canister,
        _ => None,
    }
}

/// The same with the gateway's header (`x-ic-canister-id`), which counts if that canister confirms that the URL's
/// origin is its own.
pub(crate) async fn serving(
    network: &Network,
    url: &str,
    header: Option<&str>,
) -> Option<(Principal, ServedBy)> {
    if let Some(canister) = by_host(url) {
        return Some((canister, ServedBy::Host));
    }
    if let Some(canister) = header.and_then(|text| parse_principal(text).ok()) {
        let own = Url::parse(url).ok()?.origin();
        let named = network.origin_of(canister).await;
        if named.is_some_and(|named| Url::parse(&named).is_ok_and(|named| named.origin() == own)) {
            return Some((canister, ServedBy::Header));
        }
    }
    by_parameter(url).map(|canister| (canister, ServedBy::Parameter))
}

#[cfg(test)]
mod tests {
    use super::*;

    const A: &str = "be2us-64aaa-aaaaa-qaabq-cai";
    const B: &str = "ryjl3-tyaaa-aaaaa-aaaba-cai";

    fn id(text: &str) -> Option<Principal> {
        Some(Principal::from_text(text).unwrap())
    }

    #[test]
    fn the_host_beats_the_parameter() {
        for (url, expected) in [
            (format!("https://{A}.icp0.io/x?canisterId={B}"), id(A)),
            (format!("https://{A}.raw.ic0.app/x"), id(A)),
            (format!("https://{A}.icp.net/"), id(A)),
            (format!("http://{A}.localhost:4943/?canisterId={B}"), id(A)),
            (format!("http://{A}.raw.localhost/"), id(A)),
        ] {
            assert_eq!(serving_canister(&url), expected, "{url}");
        }
    }

    #[test]
    fn a_parameter_counts_on_a_bare_gateway_only() {
        for (url, expected) in [
            (format!("http://localhost:4943/x?canisterId={B}"), id(B)),
            (format!("http://127.0.0.1:4943/x?canisterId={B}"), id(B)),
            (format!("http://[::1]:1/?a=b&canisterId={B}"), id(B)),
            (format!("https://icp0.io/?canisterId={B}"), id(B)),
            (format!("https://shop.example/?canisterId={B}"), None),
            (format!("https://icp0.io.evil/?canisterId={B}"), None),
            (format!("http://10.0.0.1/?canisterId={B}"), None),
            (
                format!("http://localhost/?canisterId={B}&canisterId={A}"),
                None,
            ),
            (
                format!("http://localhost/?canisterId={}", B.to_uppercase()),
                None,
            ),
        ] {
            assert_eq!(serving_canister(&url), expected, "{url}");
        }
    }

    #[test]
    fn a_first_label_under_another_domain_proves_nothing() {
        for url in [
            format!("https://{A}.evil.example/"),
            format!("https://{A}.icp0.io.evil.example/"),
            format!("https://{A}.x.icp0.io/"),
            format!("https://x.{A}.icp0.io/"),
            format!("https://{A}/"),
        ] {
            assert_eq!(serving_canister(&url), None, "{url}");
        }
    }

    #[test]
    fn keys_and_special_principals_are_no_canisters() {
        for canister in ["ryjl3-tyaaa-aaaaa-aaaba-cai", "mxqf3-4h777-77775-qaaaa-cai"] {
            assert!(is_canister(Principal::from_text(canister).unwrap()));
        }
        for other in [
            Principal::anonymous(),
            Principal::management_canister(),
            Principal::self_authenticating([1; 32]),
            Principal::from_slice(&[1]),
            Principal::from_slice(&[1, 2, 3]),
        ] {
            assert!(!is_canister(other), "{other}");
        }
    }
}
