//! HTTP with limits, and the names of local canisters.

mod names;
mod redirect;
mod retry;

pub(crate) use names::{client_builder, is_local};
pub(crate) use retry::retry_after;

use crate::{limits::Limits, plain_text::plain_text};
use redirect::Next;
use reqwest::{
    Client, Method, Url,
    header::{HeaderMap, HeaderName, HeaderValue},
    redirect::Policy,
};
use std::{fmt, str::FromStr, time::Instant};
use x402_icp::wire::PAYMENT_SIGNATURE;

/// The most redirects that are followed.
const MAX_REDIRECTS: usize = 5;

/// The reason why a request got no response.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum HttpError {
    /// The request is malformed.
    #[error("{0}")]
    Malformed(String),
    /// No connection was made: nothing was sent.
    #[error("no connection: {0}")]
    NotSent(String),
    /// The connection broke, or no response arrived in time: the request may have arrived.
    #[error("no answer: {0}")]
    NoAnswer(String),
    /// The response is longer than the limit.
    #[error("the answer is longer than {limit} bytes")]
    TooLong {
        /// The most bytes that are read.
        limit: usize,
    },
    /// The response redirects to a URL where this request must not be sent.
    #[error("{0}")]
    Redirect(String),
}

/// A request for a resource.
#[derive(Clone, PartialEq, Eq)]
pub struct Request {
    /// The HTTP method.
    pub method: String,
    /// The whole URL.
    pub url: String,
    /// Headers besides the payment.
    pub headers: Vec<(String, String)>,
    /// The body.
    pub body: Vec<u8>,
    /// The payer's own payment identifier, see [`Request::with_payment_identifier`].
    pub payment_identifier: Option<String>,
}

impl fmt::Debug for Request {
    /// Without possible secrets: the values of headers, and the body.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Request")
            .field("method", &self.method)
            .field("url", &self.url)
            .field("headers", &header_names(&self.headers))
            .field("body_bytes", &self.body.len())
            .finish_non_exhaustive()
    }
}

fn header_names(headers: &[(String, String)]) -> Vec<&str> {
    headers.iter().map(|(name, _)| name.as_str()).collect()
}

/// Whether the values of a header are secrets, which are neither stored nor sent to another origin.
pub(crate) fn is_secret(name: &str) -> bool {
    [
        "authorization",
        "proxy-authorization",
        "cookie",
        "x-api-key",
        "x-auth-token",
    ]
    .iter()
    .any(|secret| name.eq_ignore_ascii_case(secret))
}

impl Request {
    /// A request with any method, checked as far as possible without sending it.
    pub fn new(method: &str, url: &str, body: Vec<u8>) -> Result<Self, HttpError> {
        let parsed = Url::parse(url).map_err(|e| HttpError::Malformed(format!("{url:?}: {e}")))?;
        if !matches!(parsed.scheme(), "http" | "https") {
            return Err(HttpError::Malformed(format!(
                "{url:?} is neither http nor https"
            )));
        }
        if !parsed.username().is_empty() || parsed.password().is_some() {
            // The URL is recorded and shown.
            return Err(HttpError::Malformed(
                "a URL must not hold a name or password: send them in a header (Authorization)"
                    .into(),
            ));
        }
        let method = method.to_ascii_uppercase();
        Method::from_str(&method)
            .map_err(|_| HttpError::Malformed(format!("{method:?} is not an HTTP method")))?;
        Ok(Request {
            method,
            url: parsed.into(),
            headers: Vec::new(),
            body,
            payment_identifier: None,
        })
    }

    /// `GET` of a URL.
    pub fn get(url: &str) -> Result<Self, HttpError> {
        Self::new("GET", url, Vec::new())
    }

    /// The same with one more header. A malformed header is reported when the request is sent, and by
    /// [`Request::check`].
    pub fn with_header(mut self, name: &str, value: &str) -> Self {
        self.headers.push((name.into(), value.into()));
        self
    }

    /// The same with a payment identifier of the payer's own (the x402 extension `payment-identifier`), for sellers
    /// that accept one: 16 to 128 of `a-z`, `A-Z`, `0-9`, `_` and `-`. Without it each purchase gets a random one.
    pub fn with_payment_identifier(mut self, id: &str) -> Result<Self, HttpError> {
        let known = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'-');
        if !(16..=128).contains(&id.len()) || !id.bytes().all(known) {
            return Err(HttpError::Malformed(format!(
                "{id:?} is not a payment identifier: it needs 16 to 128 of a-z, A-Z, 0-9, _ and -"
            )));
        }
        self.payment_identifier = Some(id.into());
        Ok(self)
    }

    /// Checks the method and the headers.
    pub fn check(&self) -> Result<(), HttpError> {
        self.header_map().map(drop)
    }

    fn header_map(&self) -> Result<HeaderMap, HttpError> {
        let mut headers = HeaderMap::new();
        for (name, value) in &self.headers {
            // The value may be a secret, so the message names the header only.
            let malformed = |problem: &dyn fmt::Display| {
                HttpError::Malformed(format!("header {name:?}: {problem}"))
            };
            headers.append(
                HeaderName::from_str(name).map_err(|e| malformed(&e))?,
                HeaderValue::from_str(value).map_err(|e| malformed(&e))?,
            );
        }
        Ok(headers)
    }
}

/// A response.
#[derive(Clone, PartialEq, Eq)]
pub struct Response {
    /// The URL that responded, after redirects.
    pub url: String,
    /// The HTTP status.
    pub status: u16,
    /// The headers in order, names in lower case.
    pub headers: Vec<(String, String)>,
    /// The body.
    pub body: Vec<u8>,
}

impl fmt::Debug for Response {
    /// Without the values of headers and without the body.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Response")
            .field("url", &self.url)
            .field("status", &self.status)
            .field("headers", &header_names(&self.headers))
            .field("body_bytes", &self.body.len())
            .finish()
    }
}

impl Response {
    /// The text in the body of an error, as one plain line; `None` if it is a page, not text, or empty.
    pub fn said(&self) -> Option<String> {
        let page = self
            .header("content-type")
            .is_some_and(|kind| kind.to_ascii_lowercase().contains("html"));
        let text = std::str::from_utf8(&self.body).ok()?.trim();
        (!page && !matches!(text, "" | "{}")).then(|| plain_text(text))
    }

    /// The first header with this name, in any case.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers
            .iter()
            .find(|(own, _)| own.eq_ignore_ascii_case(name))
            .map(|(_, value)| value.as_str())
    }
}

/// A response, and the reason why its body did not arrive completely, if so.
#[derive(Clone, Debug)]
pub(crate) struct Answer {
    pub response: Response,
    pub cut: Option<HttpError>,
}

/// The response to a request without a payment.
#[derive(Debug)]
pub(crate) struct Asked {
    pub answer: Answer,
    /// The request that got the response, after redirects.
    pub request: Request,
    /// The reason why this response must not be paid for, if it came after a redirect to another place.
    pub elsewhere: Option<String>,
}

/// The HTTP client for both halves of a purchase.
#[derive(Clone, Debug)]
pub(crate) struct Http {
    away: Client,
    here: Client,
    limits: Limits,
}

impl Http {
    pub(crate) fn new(limits: Limits) -> Result<Self, HttpError> {
        // `ask` follows redirects after checking them. A payment follows none.
        let client = |local: bool| {
            client_builder(local)
                .connect_timeout(limits.connect)
                .redirect(Policy::none())
                .build()
                .map_err(|e| HttpError::Malformed(deepest(&e)))
        };
        Ok(Http {
            away: client(false)?,
            here: client(true)?,
            limits,
        })
    }

    /// Sends a request without a payment, and follows safe redirects.
    pub(crate) async fn ask(&self, request: &Request) -> Result<Asked, HttpError> {
        let mut request = request.clone();
        let mut elsewhere = None;
        for _ in 0..=MAX_REDIRECTS {
            let answer = self.send(&request, None).await?;
            match redirect::next(&request, &answer.response)? {
                Next::Answered => {
                    return Ok(Asked {
                        answer,
                        request,
                        elsewhere,
                    });
                }
                Next::Ask {
                    request: next,
                    elsewhere: reason,
                } => {
                    elsewhere = elsewhere.or(reason);
                    request = next;
                }
            }
        }
        let problem = format!("more than {MAX_REDIRECTS} redirects");
        Err(HttpError::Redirect(problem))
    }

    /// Sends a request with a payment. No redirect is followed.
    pub(crate) async fn pay(&self, request: &Request, payment: &str) -> Result<Answer, HttpError> {
        self.send(request, Some(payment)).await
    }

    async fn send(&self, request: &Request, payment: Option<&str>) -> Result<Answer, HttpError> {
        let malformed = |problem: &dyn fmt::Display| HttpError::Malformed(problem.to_string());
        let method = Method::from_str(&request.method).map_err(|e| malformed(&e))?;
        let mut headers = request.header_map()?;
        // A payment header of the caller is not sent with this request.
        headers.remove(PAYMENT_SIGNATURE);
        if let Some(payment) = payment {
            let value = HeaderValue::from_str(payment).map_err(|e| malformed(&e))?;
            headers.insert(
                HeaderName::from_str(PAYMENT_SIGNATURE).map_err(|e| malformed(&e))?,
                value,
            );
        }
        let client = if is_local(&request.url) {
            &self.here
        } else {
            &self.away
        };
        let started = Instant::now();
        let sent = client
            .request(method, &request.url)
            .headers(headers)
            .body(request.body.clone())
            .send();
        // The connection has a limit of its own, so this is the wait for the first byte.
        let wait = self.limits.connect.saturating_add(self.limits.idle);
        let response = match tokio::time::timeout(wait.min(self.limits.whole), sent).await {
            Ok(Ok(response)) => response,
            Ok(Err(e)) if e.is_connect() || e.is_builder() => {
                return Err(HttpError::NotSent(deepest(&e)));
            }
            Ok(Err(e)) => return Err(HttpError::NoAnswer(deepest(&e))),
            Err(_) => return Err(HttpError::NoAnswer("nothing came in time".into())),
        };
        Ok(self.receive(response, started).await)
    }

    /// Reads the body as far as it arrives. A response that was cut off keeps its headers, which may have a receipt.
    async fn receive(&self, mut response: reqwest::Response, started: Instant) -> Answer {
        let status = response.status().as_u16();
        let limit = match status {
            402 => self.limits.offer_bytes,
            _ => self.limits.body_bytes,
        };
        let headers = response.headers().iter().map(|(name, value)| {
            let value = String::from_utf8_lossy(value.as_bytes()).into_owned();
            (name.to_string(), value)
        });
        let (url, headers) = (response.url().to_string(), headers.collect());
        let mut body = Vec::new();
        let cut = loop {
            let left = self.limits.whole.saturating_sub(started.elapsed());
            let wait = left.min(self.limits.idle);
            match tokio::time::timeout(wait, response.chunk()).await {
                Ok(Ok(None)) => break None,
                Ok(Ok(Some(chunk))) if body.len() + chunk.len() > limit => {
                    break Some(HttpError::TooLong { limit });
                }
                Ok(Ok(Some(chunk))) => body.extend_from_slice(&chunk),
                Ok(Err(e)) => break Some(HttpError::NoAnswer(deepest(&e))),
                Err(_) => break Some(HttpError::NoAnswer("the body stopped".into())),
            }
        };
        Answer {
            response: Response {
                url,
                status,
                headers,
                body,
            },
            cut,
        }
    }
}

/// The innermost cause, which is the most useful one for a reader.
fn deepest(error: &dyn std::error::Error) -> String {
    let mut cause = error;
    while let Some(source) = cause.source() {
        cause = source;
    }
    cause.to_string()
}

#[cfg(test)]
mod tests;
