//! Which canister a request is for.

use http::{Request, header};
use local_ic_replica::Principal;

/// A canister and whether its answers are taken unverified.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Target {
    pub canister: Principal,
    /// Asked for on the `raw` domain.
    pub raw: bool,
}

/// Where a request goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Route {
    Canister(Target),
    /// The host is the bare domain and nothing else names a canister.
    Nobody,
    /// The host has a subdomain that is no canister id.
    Malformed,
}

/// Looks at the host, then at `?canisterId=`, then takes the default.
pub(super) fn route<B>(
    request: &Request<B>,
    domains: &[String],
    default: Option<Principal>,
) -> Route {
    let verified = |canister| {
        Route::Canister(Target {
            canister,
            raw: false,
        })
    };
    let subdomain = host(request).and_then(|host| subdomain(&host, domains));
    if let Some(labels) = subdomain {
        let (label, raw) = match labels.strip_suffix(".raw") {
            Some(label) => (label, true),
            None => (labels.as_str(), false),
        };
        return match Principal::from_text(label) {
            Ok(canister) => Route::Canister(Target { canister, raw }),
            Err(_) => Route::Malformed,
        };
    }
    match canister_id_parameter(request.uri().query()) {
        Some(Ok(canister)) => verified(canister),
        Some(Err(())) => Route::Malformed,
        None => default.map_or(Route::Nobody, verified),
    }
}

/// Host name in lower case, without port.
fn host<B>(request: &Request<B>) -> Option<String> {
    let from_header = || request.headers().get(header::HOST)?.to_str().ok();
    let authority = request
        .uri()
        .authority()
        .map(|authority| authority.as_str())
        .or_else(from_header)?;
    let host = match authority.rsplit_once(':') {
        // A bare IPv6 address has colons of its own, inside brackets.
        Some((host, port)) if !port.contains(']') => host,
        _ => authority,
    };
    Some(host.trim_end_matches('.').to_ascii_lowercase())
}

/// What stands before one of our domains, if anything does.
fn subdomain(host: &str, domains: &[String]) -> Option<String> {
    domains.iter().find_map(|domain| {
        let labels = host.strip_suffix(domain.as_str())?.strip_suffix('.')?;
        (!labels.is_empty()).then(|| labels.to_owned())
    })
}

fn canister_id_parameter(query: Option<&str>) -> Option<Result<Principal, ()>> {
    query?
        .split('&')
        .filter_map(|pair| pair.split_once('='))
        .find(|(name, _)| *name == "canisterId")
        .map(|(_, value)| Principal::from_text(value).map_err(|_| ()))
}

#[cfg(test)]
mod tests {
    use super::*;

    const ID: &str = "lxzze-o7777-77777-aaaaa-cai";
    const OTHER: &str = "ryjl3-tyaaa-aaaaa-aaaba-cai";

    fn routed(host: &str, uri: &str, default: Option<&str>) -> Route {
        let request = Request::builder()
            .uri(uri)
            .header("host", host)
            .body(())
            .expect("valid request");
        route(&request, &["localhost".into()], default.map(id))
    }

    fn id(text: &str) -> Principal {
        Principal::from_text(text).expect("valid principal")
    }

    fn to(text: &str, raw: bool) -> Route {
        Route::Canister(Target {
            canister: id(text),
            raw,
        })
    }

    #[test]
    fn should_find_the_canister_in_the_host() {
        assert_eq!(
            routed(&format!("{ID}.localhost:8000"), "/x", None),
            to(ID, false)
        );
        assert_eq!(
            routed(&format!("{ID}.raw.localhost:8000"), "/x", None),
            to(ID, true)
        );
        assert_eq!(
            routed(&format!("{}.LOCALHOST", ID.to_uppercase()), "/", None),
            to(ID, false)
        );
        // The host decides, whatever else there is.
        assert_eq!(
            routed(
                &format!("{ID}.localhost"),
                &format!("/?canisterId={OTHER}"),
                Some(OTHER)
            ),
            to(ID, false)
        );
    }

    #[test]
    fn should_find_the_canister_elsewhere_on_the_bare_domain() {
        let query = format!("/page?a=b&canisterId={OTHER}");
        assert_eq!(routed("localhost:8000", &query, Some(ID)), to(OTHER, false));
        assert_eq!(routed("127.0.0.1:8000", "/", Some(ID)), to(ID, false));
        assert_eq!(routed("[::1]:8000", "/", Some(ID)), to(ID, false));
        assert_eq!(routed("localhost", "/", None), Route::Nobody);
    }

    #[test]
    fn should_refuse_what_is_no_canister_id() {
        assert_eq!(routed("www.localhost", "/", Some(ID)), Route::Malformed);
        assert_eq!(
            routed(&format!("a.{ID}.localhost"), "/", Some(ID)),
            Route::Malformed
        );
        assert_eq!(
            routed("localhost", "/?canisterId=nonsense", Some(ID)),
            Route::Malformed
        );
    }
}
