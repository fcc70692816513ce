//! The origin under which a canister is reached: scheme, host and port, as browsers write it.

use crate::domain::validate::{InvalidArgument, text_length};
use candid::Principal;
use std::net::{Ipv4Addr, Ipv6Addr};
use x402_icp::network::MAINNET;

/// The longest origin, in bytes: it is part of every 402.
pub const MAX_ORIGIN_BYTES: usize = 255;

/// Checks an origin, given as `field`: `https://shop.example`, `http://localhost:4943`.
///
/// Only the form that clients derive from a URL is accepted, so that they can compare texts: scheme `http` or `https`,
/// host in lower case (international names in their `xn--` form), port only if it is not the scheme's default; no user,
/// path, query, fragment or trailing slash.
pub fn check(field: &str, origin: &str) -> Result<(), InvalidArgument> {
    let invalid = |problem: &str| InvalidArgument::new(field, problem);
    text_length(field, origin, MAX_ORIGIN_BYTES)?;
    let (default_port, rest) = match origin.split_once("://") {
        Some(("https", rest)) => ("443", rest),
        Some(("http", rest)) => ("80", rest),
        _ => return Err(invalid("does not begin with https:// or http://")),
    };
    if rest.contains('@') {
        return Err(invalid("has a user"));
    }
    if rest.contains(['/', '\\', '?', '#']) {
        return Err(invalid("has more than scheme, host and port"));
    }
    let (host, port) = match rest.rfind(':').filter(|at| !rest[*at..].contains(']')) {
        Some(at) => (&rest[..at], Some(&rest[at + 1..])),
        None => (rest, None),
    };
    if !is_host(host) {
        return Err(invalid(
            "has a host that is no lower-case domain name or address",
        ));
    }
    match port {
        Some(port) if !is_port(port) => Err(invalid("has a port that is not 1 to 65535")),
        Some(port) if port == default_port => Err(invalid("names the port of its scheme")),
        _ => Ok(()),
    }
}

/// The origin of a canister's site: the one that a controller has set, else that of its host on the mainnet, else that of
/// its host on a local network.
pub fn site(origin: Option<&str>, network: &str, canister: Principal) -> String {
    match origin {
        Some(origin) => origin.to_string(),
        None if network == MAINNET => format!("https://{canister}.icp0.io"),
        None => format!("http://{canister}.localhost"),
    }
}

fn is_port(port: &str) -> bool {
    // `parse` accepts a sign and leading zeros, too.
    port.parse::<u16>()
        .is_ok_and(|number| number > 0 && number.to_string() == port)
}

fn is_host(host: &str) -> bool {
    if let Some(address) = host.strip_prefix('[') {
        return address.strip_suffix(']').is_some_and(|address| {
            address
                .parse::<Ipv6Addr>()
                .is_ok_and(|parsed| parsed.to_string() == address)
        });
    }
    let label = |label: &str| {
        (1..=63).contains(&label.len())
            && !label.starts_with('-')
            && !label.ends_with('-')
            && label
                .bytes()
                .all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-')
    };
    let last = host.rsplit('.').next().unwrap_or_default();
    match last.bytes().all(|b| b.is_ascii_digit()) {
        // A host that ends with a number is an address.
        true => host.parse::<Ipv4Addr>().is_ok(),
        false => host.len() <= 253 && host.split('.').all(label),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn origins_are_accepted() {
        for origin in [
            "https://shop.example",
            "http://localhost",
            "http://localhost:4943",
            "https://be2us-64aaa-aaaaa-qaabq-cai.icp0.io",
            "http://127.0.0.1:8000",
            "http://[::1]:8000",
            "https://[2001:db8::1]",
            "https://xn--bcher-kva.example:8443",
            "http://shop.example:443",
        ] {
            assert_eq!(check("origin", origin), Ok(()), "{origin}");
        }
    }

    #[test]
    fn what_is_more_or_less_than_an_origin_is_refused() {
        let long_label = format!("https://{}.example", "a".repeat(64));
        let long_name = format!("https://{}example", "abc.".repeat(62));
        for origin in [
            "",
            "shop.example",
            "//shop.example",
            "ftp://shop.example",
            "HTTPS://shop.example",
            "https:shop.example",
            "https://",
            "https://shop.example/",
            "https://shop.example/path",
            "https://shop.example?query",
            "https://shop.example#fragment",
            "https://shop.example\\path",
            "https://user@shop.example",
            "https://user:password@shop.example",
            "https://Shop.example",
            "https://b\u{fc}cher.example",
            "https://shop..example",
            "https://shop.example.",
            "https://-shop.example",
            "https://shop_.example",
            "https://shop example",
            "https://shop.example\r\n",
            "https://*.example",
            "https://shop.example:",
            "https://shop.example:0",
            "https://shop.example:080",
            "https://shop.example:+80",
            "https://shop.example:65536",
            "https://shop.example:443",
            "http://shop.example:80",
            "https://shop.example:8080:8080",
            "https://1.2.3",
            "https://1.2.3.256",
            "https://shop.1",
            "https://[::1",
            "https://[::G]",
            "https://[0:0:0:0:0:0:0:1]",
            "null",
            &long_label,
            &long_name,
        ] {
            assert_eq!(check("origin", origin).expect_err(origin).field, "origin");
        }
    }
}
