//! The names of this machine, and a client that resolves them.

use reqwest::{
    Client, Url,
    dns::{Addrs, Name, Resolve, Resolving},
};
use std::{net::SocketAddr, sync::Arc};

/// Whether a URL names this machine, which a proxy cannot reach.
pub(crate) fn is_local(url: &str) -> bool {
    let Ok(url) = Url::parse(url) else {
        return false;
    };
    let host = url.host_str().unwrap_or_default().trim_matches(['[', ']']);
    // The root may be explicit: `localhost.` is the same name.
    let host = host.strip_suffix('.').unwrap_or(host);
    host == "localhost"
        || host.ends_with(".localhost")
        || host
            .parse()
            .is_ok_and(|address: std::net::IpAddr| address.is_loopback())
}

/// A builder that resolves the names of this machine.
pub(crate) fn client_builder(local: bool) -> reqwest::ClientBuilder {
    let builder = Client::builder().dns_resolver(Arc::new(LocalNames));
    if local { builder.no_proxy() } else { builder }
}

/// Resolves `localhost` and everything below it to this machine (RFC 6761), which not all systems do. Leaves other
/// names to the system.
pub(super) struct LocalNames;

impl Resolve for LocalNames {
    fn resolve(&self, name: Name) -> Resolving {
        Box::pin(async move {
            let name = name.as_str();
            let name = name.strip_suffix('.').unwrap_or(name);
            if name == "localhost" || name.ends_with(".localhost") {
                let local = [
                    SocketAddr::from(([127, 0, 0, 1], 0)),
                    SocketAddr::from(([0u16, 0, 0, 0, 0, 0, 0, 1], 0)),
                ];
                return Ok(Box::new(local.into_iter()) as Addrs);
            }
            let found: Vec<SocketAddr> = tokio::net::lookup_host((name, 0)).await?.collect();
            Ok(Box::new(found.into_iter()) as Addrs)
        })
    }
}
