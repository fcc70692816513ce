//! Plain HTTP, with the names of local canisters.

use reqwest::{
    Client, Method, Url,
    dns::{Addrs, Name, Resolve, Resolving},
    header::{HeaderMap, HeaderName, HeaderValue},
    redirect::Policy,
};
use std::{net::SocketAddr, str::FromStr, sync::Arc, time::Duration};
use x402_icp::wire::PAYMENT_SIGNATURE;

/// Why a request got no answer.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum HttpError {
    /// The request cannot be written.
    #[error("{0}")]
    Malformed(String),
    /// No connection was made: nothing was sent.
    #[error("no connection: {0}")]
    NotSent(String),
    /// The connection broke, or no answer came in time: the request may have arrived.
    #[error("no answer: {0}")]
    NoAnswer(String),
}

/// What to ask for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Request {
    /// The HTTP method.
    pub method: String,
    /// The whole URL.
    pub url: String,
    /// Headers besides the payment.
    pub headers: Vec<(String, String)>,
    /// The body.
    pub body: Vec<u8>,
}

impl Request {
    /// A request with any method, checked as far as it can be without sending it.
    pub fn new(method: &str, url: &str, body: Vec<u8>) -> Result<Self, HttpError> {
        let parsed = Url::parse(url).map_err(|e| HttpError::Malformed(format!("{url:?}: {e}")))?;
        if !matches!(parsed.scheme(), "http" | "https") {
            return Err(HttpError::Malformed(format!(
                "{url:?} is neither http nor https"
            )));
        }
        let method = method.to_ascii_uppercase();
        Method::from_str(&method)
            .map_err(|_| HttpError::Malformed(format!("{method:?} is no HTTP method")))?;
        Ok(Request {
            method,
            url: parsed.into(),
            headers: Vec::new(),
            body,
        })
    }

    /// `GET` of a URL.
    pub fn get(url: &str) -> Result<Self, HttpError> {
        Self::new("GET", url, Vec::new())
    }

    /// The same with one more header.
    pub fn with_header(mut self, name: &str, value: &str) -> Self {
        self.headers.push((name.into(), value.into()));
        self
    }
}

/// What was answered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Response {
    /// The URL that answered, after redirects.
    pub url: String,
    /// The HTTP status.
    pub status: u16,
    /// The headers in order, names in lower case.
    pub headers: Vec<(String, String)>,
    /// The body.
    pub body: Vec<u8>,
}

impl Response {
    /// The first header with this name, in any case.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers
            .iter()
            .find(|(own, _)| own.eq_ignore_ascii_case(name))
            .map(|(_, value)| value.as_str())
    }
}

/// The client for both halves of a purchase.
#[derive(Clone, Debug)]
pub(crate) struct Http {
    asking: Client,
    paying: Client,
    asking_here: Client,
    paying_here: Client,
}

/// Whether a URL names this machine, which no proxy can reach for us.
pub(crate) fn is_local(url: &str) -> bool {
    let Ok(url) = Url::parse(url) else {
        return false;
    };
    let host = url.host_str().unwrap_or_default().trim_matches(['[', ']']);
    host == "localhost"
        || host.ends_with(".localhost")
        || host
            .parse()
            .is_ok_and(|address: std::net::IpAddr| address.is_loopback())
}

/// A builder that knows the names of this machine.
pub(crate) fn client_builder(local: bool) -> reqwest::ClientBuilder {
    let builder = Client::builder().dns_resolver(Arc::new(LocalNames));
    if local { builder.no_proxy() } else { builder }
}

impl Http {
    pub(crate) fn new(timeout: Duration) -> Result<Self, HttpError> {
        let client = |redirects: Policy, local: bool| {
            client_builder(local)
                .timeout(timeout)
                .redirect(redirects)
                .build()
                .map_err(|e| HttpError::Malformed(deepest(&e)))
        };
        // A payment goes to whom it was made out for and is shown to nobody else: no redirects.
        Ok(Http {
            asking: client(Policy::limited(5), false)?,
            paying: client(Policy::none(), false)?,
            asking_here: client(Policy::limited(5), true)?,
            paying_here: client(Policy::none(), true)?,
        })
    }

    /// Sends a request without a payment.
    pub(crate) async fn ask(&self, request: &Request) -> Result<Response, HttpError> {
        let client = match is_local(&request.url) {
            true => &self.asking_here,
            false => &self.asking,
        };
        send(client, request, None).await
    }

    /// Sends a request with a payment.
    pub(crate) async fn pay(
        &self,
        request: &Request,
        payment: &str,
    ) -> Result<Response, HttpError> {
        let client = match is_local(&request.url) {
            true => &self.paying_here,
            false => &self.paying,
        };
        send(client, request, Some(payment)).await
    }
}

async fn send(
    client: &Client,
    request: &Request,
    payment: Option<&str>,
) -> Result<Response, HttpError> {
    let malformed = |problem: &dyn std::fmt::Display| HttpError::Malformed(problem.to_string());
    let method = Method::from_str(&request.method).map_err(|e| malformed(&e))?;
    let mut headers = HeaderMap::new();
    let all = request
        .headers
        .iter()
        .map(|(name, value)| (name.as_str(), value.as_str()));
    for (name, value) in all.chain(payment.map(|payment| (PAYMENT_SIGNATURE, payment))) {
        headers.append(
            HeaderName::from_str(name).map_err(|e| malformed(&e))?,
            HeaderValue::from_str(value).map_err(|e| malformed(&e))?,
        );
    }
    let no_answer = |e: reqwest::Error| match e.is_connect() || e.is_builder() {
        true => HttpError::NotSent(deepest(&e)),
        false => HttpError::NoAnswer(deepest(&e)),
    };
    let response = client
        .request(method, &request.url)
        .headers(headers)
        .body(request.body.clone())
        .send()
        .await
        .map_err(no_answer)?;
    let url = response.url().to_string();
    let status = response.status().as_u16();
    let headers = response
        .headers()
        .iter()
        .map(|(name, value)| {
            (
                name.to_string(),
                String::from_utf8_lossy(value.as_bytes()).into_owned(),
            )
        })
        .collect();
    let body = response
        .bytes()
        .await
        .map_err(|e| HttpError::NoAnswer(deepest(&e)))?;
    Ok(Response {
        url,
        status,
        headers,
        body: body.to_vec(),
    })
}

/// The innermost cause, which is what a reader can act upon.
fn deepest(error: &dyn std::error::Error) -> String {
    let mut cause = error;
    while let Some(source) = cause.source() {
        cause = source;
    }
    cause.to_string()
}

/// Resolves `localhost` and everything below it to this machine (RFC 6761), which systems' resolvers do
/// not all do; leaves other names to the system.
struct LocalNames;

impl Resolve for LocalNames {
    fn resolve(&self, name: Name) -> Resolving {
        Box::pin(async move {
            let name = name.as_str();
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requests_are_checked_before_they_are_sent() {
        assert_eq!(
            Request::new("post", "http://a.b/c?d", vec![1])
                .unwrap()
                .method,
            "POST"
        );
        for (method, url) in [
            ("GET", "a.b/c"),
            ("GET", "ftp://a.b/"),
            ("G T", "http://a.b/"),
            ("", "http://a.b/"),
        ] {
            assert!(
                matches!(
                    Request::new(method, url, vec![]),
                    Err(HttpError::Malformed(_))
                ),
                "{method} {url}"
            );
        }
    }

    #[test]
    fn this_machine_is_told_from_others() {
        for url in [
            "http://localhost:1/",
            "http://x.localhost/",
            "http://127.0.0.1/",
            "http://[::1]:80/",
        ] {
            assert!(is_local(url), "{url}");
        }
        for url in [
            "https://icp0.io/",
            "http://10.0.0.1/",
            "http://localhost.evil/",
            "?",
        ] {
            assert!(!is_local(url), "{url}");
        }
    }

    #[tokio::test]
    async fn local_names_are_this_machine() {
        let addresses =
            LocalNames.resolve("xevnm-gaaaa-aaaar-qafnq-cai.localhost".parse().unwrap());
        assert!(
            addresses
                .await
                .unwrap()
                .all(|address| address.ip().is_loopback())
        );
    }

    #[tokio::test]
    async fn a_refused_connection_sent_nothing() {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        drop(listener);
        let http = Http::new(Duration::from_secs(5)).unwrap();
        let request = Request::get(&format!("http://127.0.0.1:{port}/")).unwrap();
        assert!(matches!(
            http.pay(&request, "x").await,
            Err(HttpError::NotSent(_))
        ));
    }
}
