//! Rules for redirects.

use super::{HttpError, Request, Response, is_local};
use reqwest::Url;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// The next step after a response.
#[derive(Debug)]
pub(super) enum Next {
    /// The response is final.
    Answered,
    /// The response redirects to another request.
    Ask {
        request: Request,
        /// The reason why a price that is found there must not be paid.
        elsewhere: Option<String>,
    },
}

/// Follows one redirect. Refused are redirects from https to http, from a public host to this machine or a private
/// address, and with a body to another origin. The response of another origin may be read without the caller's headers,
/// but not paid for.
pub(super) fn next(request: &Request, response: &Response) -> Result<Next, HttpError> {
    if !matches!(response.status, 301 | 302 | 303 | 307 | 308) {
        return Ok(Next::Answered);
    }
    let Some(location) = response.header("location") else {
        return Ok(Next::Answered);
    };
    let refused = |problem: &str| HttpError::Redirect(format!("the seller redirects {problem}"));
    let from = Url::parse(&request.url).map_err(|_| refused("from a malformed URL"))?;
    let mut to = from
        .join(location)
        .map_err(|_| refused("to a malformed URL"))?;
    // The seller must not choose a user name.
    let _ = to.set_username("").and_then(|()| to.set_password(None));
    match (from.scheme(), to.scheme()) {
        ("https", "http") => return Err(refused("from https to http")),
        (_, "http" | "https") => {}
        _ => return Err(refused("to a scheme other than http and https")),
    }
    if is_inside(&to) && !is_inside(&from) {
        return Err(refused("from a public host to a private address"));
    }
    let same_origin = from.origin() == to.origin();
    let reads = matches!(request.method.as_str(), "GET" | "HEAD");
    let becomes_get = match response.status {
        303 => request.method != "HEAD",
        301 | 302 => !reads,
        _ => false,
    };
    let mut next = request.clone();
    next.url = to.to_string();
    if becomes_get {
        next.method = "GET".into();
        next.body.clear();
    }
    if !same_origin {
        if !next.body.is_empty() || !matches!(next.method.as_str(), "GET" | "HEAD") {
            return Err(refused("a request with a body to another origin"));
        }
        // Any of the caller's headers may be for the first origin only.
        next.headers.clear();
    }
    let elsewhere = match (same_origin, reads) {
        (true, true) => None,
        (false, _) => Some(format!(
            "another origin ({})",
            to.origin().ascii_serialization()
        )),
        (true, false) => Some(format!("another request than {}", request.method)),
    };
    Ok(Next::Ask {
        request: next,
        elsewhere,
    })
}

/// Whether a URL names this machine or an address that is not public.
fn is_inside(url: &Url) -> bool {
    let host = url.host_str().unwrap_or_default().trim_matches(['[', ']']);
    is_local(url.as_str())
        || match host.parse() {
            Ok(IpAddr::V4(a)) => is_inside_v4(a),
            Ok(IpAddr::V6(a)) => {
                a.is_unique_local()
                    || a.is_unicast_link_local()
                    || a.is_unspecified()
                    || a.to_ipv4_mapped().is_some()
                    || translated(a).is_some_and(is_inside_v4)
            }
            Err(_) => false,
        }
}

fn is_inside_v4(a: Ipv4Addr) -> bool {
    // 100.64.0.0/10 is shared by providers with their customers (RFC 6598).
    let shared = a.octets()[0] == 100 && a.octets()[1] & 0xc0 == 64;
    a.is_loopback() || a.is_private() || a.is_link_local() || a.octets()[0] == 0 || shared
}

/// The IPv4 address that a translator reaches by an address of 64:ff9b::/96 (RFC 6052).
fn translated(a: Ipv6Addr) -> Option<Ipv4Addr> {
    match a.segments() {
        [0x64, 0xff9b, 0, 0, 0, 0, high, low] => {
            Some(Ipv4Addr::from(u32::from(high) << 16 | u32::from(low)))
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn redirect(method: &str, from: &str, status: u16, to: &str) -> Result<Next, HttpError> {
        let body = if method == "POST" { vec![1] } else { vec![] };
        let request = Request::new(method, from, body)
            .unwrap()
            .with_header("Authorization", "Bearer secret")
            .with_header("X-Mine", "1");
        let response = Response {
            url: from.into(),
            status,
            headers: vec![("location".into(), to.into())],
            body: vec![],
        };
        next(&request, &response)
    }

    #[test]
    fn a_redirect_within_the_origin_is_followed_with_everything() {
        for (status, to, url) in [
            (302, "/b?c", "https://shop.example/b?c"),
            (307, "b", "https://shop.example/b"),
            (308, "https://shop.example:443/b", "https://shop.example/b"),
        ] {
            match redirect("GET", "https://shop.example/a", status, to).unwrap() {
                Next::Ask { request, elsewhere } => {
                    assert_eq!((request.url.as_str(), elsewhere), (url, None));
                    assert_eq!(request.headers.len(), 2);
                }
                other => panic!("{other:?}"),
            }
        }
    }

    #[test]
    fn another_origin_gets_no_headers_and_is_not_paid() {
        for to in [
            "https://other.example/b",
            "https://shop.example:8443/b",
            "https://sub.shop.example/",
        ] {
            match redirect("GET", "https://shop.example/a", 302, to).unwrap() {
                Next::Ask { request, elsewhere } => {
                    assert!(request.headers.is_empty());
                    assert!(elsewhere.unwrap().contains("another origin"));
                }
                other => panic!("{other:?}"),
            }
        }
    }

    #[test]
    fn dangerous_redirects_are_refused() {
        for (method, from, status, to) in [
            ("GET", "https://shop.example/", 302, "http://shop.example/"),
            ("GET", "http://shop.example/", 302, "http://127.0.0.1:4943/"),
            ("GET", "http://shop.example/", 302, "http://x.localhost/"),
            ("GET", "http://shop.example/", 307, "http://[::1]/"),
            ("GET", "http://shop.example/", 307, "http://192.168.0.1/"),
            (
                "GET",
                "http://shop.example/",
                302,
                "http://169.254.169.254/",
            ),
            (
                "GET",
                "http://shop.example/",
                302,
                "http://localhost.:4943/",
            ),
            ("GET", "http://shop.example/", 302, "http://x.localhost./"),
            (
                "GET",
                "http://shop.example/",
                302,
                "http://100.100.100.200/",
            ),
            ("GET", "http://shop.example/", 302, "http://0.1.2.3/"),
            (
                "GET",
                "http://shop.example/",
                302,
                "http://[64:ff9b::7f00:1]/",
            ),
            ("GET", "http://shop.example/", 302, "file:///etc/passwd"),
            ("POST", "http://shop.example/", 307, "http://other.example/"),
        ] {
            assert!(
                matches!(
                    redirect(method, from, status, to),
                    Err(HttpError::Redirect(_))
                ),
                "{method} {from} {to}"
            );
        }
    }

    #[test]
    fn what_became_of_a_redirected_post_is_not_paid() {
        for status in [301, 302, 303, 307, 308] {
            match redirect("POST", "https://shop.example/a", status, "/b").unwrap() {
                Next::Ask { request, elsewhere } => {
                    assert!(elsewhere.is_some());
                    let kept = matches!(status, 307 | 308);
                    assert_eq!(request.method, if kept { "POST" } else { "GET" });
                    assert_eq!(request.body.is_empty(), !kept);
                }
                other => panic!("{other:?}"),
            }
        }
    }

    #[test]
    fn other_answers_are_answers() {
        for status in [200, 304, 402, 404, 503] {
            assert!(matches!(
                redirect("GET", "https://shop.example/", status, "/b"),
                Ok(Next::Answered)
            ));
        }
    }
}
