//! One request and its response, as the production gateway translates them (`ic-http-gateway`): a query, an update call
//! if the canister asks for one, the rest of a body that comes in pieces, verification.
//!
//! Bodies are collected before they are passed on; production streams the long ones.

use super::calls::Caller;
use super::interface::{CallbackStrategy, Chunk, HttpResponse, StreamingStrategy};
use super::pages::Page;
use super::ranges::ContentRange;
use crate::network::wall_clock;
use bytes::Bytes;
use candid::types::value::IDLArgs;
use candid::{Decode, Encode};
use http::{HeaderMap, HeaderName, HeaderValue, Request, Response, StatusCode, header};
use ic_http_certification::HttpRequest;
use ic_response_verification::types::VerificationInfo;
use ic_response_verification::{
    MAX_VERIFICATION_VERSION, MIN_VERIFICATION_VERSION, verify_request_response_pair,
};
use local_ic_replica::Principal;

/// Age of a certificate, in either direction.
const MAX_CERTIFICATE_OFFSET_NS: u128 = 300_000_000_000;
/// Pieces that are verified together with the beginning; a body of more is passed on without.
const MAX_VERIFIED_PIECES: usize = 4;
/// Pieces of a body, at most.
const MAX_PIECES: usize = 1_000;

/// A request on its way to a canister.
pub(super) struct Exchange<'a> {
    caller: Caller<'a>,
    canister: Principal,
    root_key: &'a [u8],
    /// Answers are taken as they are.
    raw: bool,
    /// As it came: this is what certificates are about.
    request: HttpRequest<'static>,
    /// As the canister is asked.
    asked: HttpRequest<'static>,
    /// Whether the client asks for a part.
    ranged: bool,
}

impl<'a> Exchange<'a> {
    pub fn new(
        caller: Caller<'a>,
        canister: Principal,
        raw: bool,
        request: &Request<Bytes>,
    ) -> Result<Self, Page> {
        let url = request
            .uri()
            .path_and_query()
            .map_or("/", |path_and_query| path_and_query.as_str());
        let headers = request
            .headers()
            .iter()
            .map(|(name, value)| {
                let value = value.to_str().map_err(|_| Page::MalformedRequest)?;
                Ok((name.to_string(), value.to_owned()))
            })
            .collect::<Result<Vec<_>, _>>()?;
        let ranged = [header::RANGE, header::IF_RANGE]
            .iter()
            .any(|name| request.headers().contains_key(name));
        let with = |headers| {
            HttpRequest::builder()
                .with_method(request.method().clone())
                .with_url(url)
                .with_headers(headers)
                .with_body(request.body().to_vec())
                .with_certificate_version(MAX_VERIFICATION_VERSION.into())
                .build()
        };
        Ok(Self {
            caller,
            canister,
            root_key: caller.0.root_key_der(),
            raw,
            asked: with(headers.iter().filter_map(asked_header).collect()),
            request: with(headers),
            ranged,
        })
    }

    /// Asks the canister.
    pub async fn run(self) -> Result<Response<Bytes>, Page> {
        let mut answer = self.query(&self.asked).await?;
        let upgraded = answer.upgrade == Some(true);
        if upgraded {
            answer = self.update().await?;
        }
        let mut whole = true;
        if let Some(StreamingStrategy::Callback(strategy)) = answer.streaming_strategy.take() {
            whole = self.collect_pieces(strategy, &mut answer.body).await?;
        }
        // What consensus has seen needs no certificate; what is not whole has none.
        let verified = match upgraded || !whole {
            true => None,
            false => self.verify(self.request.clone(), &answer)?,
        };
        let mut status = status(&answer)?;
        let mut headers = match passed_on(&answer, verified) {
            Some(headers) => headers?,
            None => return Ok(redirect_refused()),
        };
        // Half an answer to who has not asked for half of it.
        if status == StatusCode::PARTIAL_CONTENT && !self.ranged {
            if !whole {
                return Err(Page::Upstream);
            }
            answer.body = self.join_parts(&answer).await?;
            headers.remove(header::CONTENT_RANGE);
            headers.remove(header::CONTENT_LENGTH);
            status = StatusCode::OK;
        }
        let mut response = Response::new(Bytes::from(answer.body));
        *response.status_mut() = status;
        *response.headers_mut() = headers;
        Ok(response)
    }

    async fn query(&self, request: &HttpRequest<'_>) -> Result<HttpResponse, Page> {
        let argument = Encode!(request).map_err(|_| Page::Upstream)?;
        let reply = self
            .caller
            .query(self.canister, "http_request", argument)
            .await?;
        Decode!(&reply, HttpResponse).map_err(|_| Page::Upstream)
    }

    async fn update(&self) -> Result<HttpResponse, Page> {
        let request = HttpRequest::builder()
            .with_method(self.asked.method().clone())
            .with_url(self.asked.url())
            .with_headers(self.asked.headers().to_vec())
            .with_body(self.asked.body())
            .build_update();
        let argument = Encode!(&request).map_err(|_| Page::Upstream)?;
        let reply = self
            .caller
            .update(self.canister, "http_request_update", argument)
            .await?;
        Decode!(&reply, HttpResponse).map_err(|_| Page::Upstream)
    }

    /// Fetches what the canister hands out by a callback. Returns whether these were few pieces.
    async fn collect_pieces(
        &self,
        strategy: CallbackStrategy,
        body: &mut Vec<u8>,
    ) -> Result<bool, Page> {
        let callback = strategy.callback.0;
        let mut token = Some(strategy.token);
        for piece in 0..MAX_PIECES {
            let Some(next) = token else {
                return Ok(piece <= MAX_VERIFIED_PIECES);
            };
            let argument = IDLArgs::new(&[next.0])
                .to_bytes()
                .map_err(|_| Page::Upstream)?;
            let reply = self
                .caller
                .query(callback.principal, &callback.method, argument)
                .await?;
            let chunk = Decode!(&reply, Chunk).map_err(|_| Page::Upstream)?;
            body.extend(chunk.body);
            token = chunk.token;
        }
        Ok(false)
    }

    /// Fetches the parts after the first. Each is verified by itself.
    async fn join_parts(&self, first: &HttpResponse) -> Result<Vec<u8>, Page> {
        let range = ContentRange::of(first, 0)?;
        let (mut body, mut fetched, total) = (first.body.clone(), range.end + 1, range.total);
        for _ in 0..MAX_PIECES {
            if fetched >= total {
                break;
            }
            let mut request = self.request.clone();
            request
                .headers_mut()
                .push(("Range".into(), format!("bytes={fetched}-")));
            let part = self.query(&request).await?;
            if part.streaming_strategy.is_some() {
                return Err(Page::Upstream);
            }
            let range = ContentRange::of(&part, fetched)?;
            let known = fetched - range.begin;
            body.extend(part.body.get(known..).ok_or(Page::Upstream)?);
            self.verify(request, &part)?;
            fetched = range.end + 1;
        }
        Ok(body)
    }

    fn verify(
        &self,
        request: HttpRequest<'_>,
        answer: &HttpResponse,
    ) -> Result<Option<VerificationInfo>, Page> {
        if self.raw {
            return Ok(None);
        }
        let response = ic_http_certification::HttpResponse::builder()
            .with_status_code(status(answer)?)
            .with_headers(answer.headers.clone())
            .with_body(answer.body.as_slice())
            .build();
        verify_request_response_pair(
            request,
            response,
            self.canister.as_slice(),
            wall_clock().into(),
            MAX_CERTIFICATE_OFFSET_NS,
            self.root_key,
            MIN_VERIFICATION_VERSION,
        )
        .map(Some)
        .map_err(|_| Page::Verification)
    }
}

fn status(answer: &HttpResponse) -> Result<StatusCode, Page> {
    StatusCode::from_u16(answer.status_code).map_err(|_| Page::Upstream)
}

/// A header of the request as the canister sees it, if it does.
fn asked_header((name, value): &(String, String)) -> Option<(String, String)> {
    let mut value = value.clone();
    if name == "x-request-id" {
        return None;
    }
    if name == header::ACCEPT_ENCODING.as_str()
        && !value
            .split(',')
            .any(|encoding| encoding.trim().eq_ignore_ascii_case("identity"))
    {
        value.push_str(", identity");
    }
    Some((name.clone(), value))
}

/// The headers that go to the client: those that are certified, or all where certification says nothing about them.
/// None for a redirection whose status is not certified.
fn passed_on(
    answer: &HttpResponse,
    verified: Option<VerificationInfo>,
) -> Option<Result<HeaderMap, Page>> {
    let first_version = verified
        .as_ref()
        .is_some_and(|info| info.verification_version < 2);
    if first_version && (300..400).contains(&answer.status_code) {
        return None;
    }
    let certified = verified
        .filter(|_| !first_version)
        .and_then(|info| info.response);
    let headers = certified
        .as_ref()
        .map_or(&answer.headers, |response| &response.headers);
    let kept = headers
        .iter()
        .filter(|(name, _)| !(first_version && name.eq_ignore_ascii_case("cache-control")));
    Some(
        kept.map(|(name, value)| {
            let name = HeaderName::try_from(name).map_err(|_| Page::Upstream)?;
            Ok((
                name,
                HeaderValue::try_from(value).map_err(|_| Page::Upstream)?,
            ))
        })
        .collect::<Result<Vec<_>, _>>()
        .map(|headers| {
            let mut map = HeaderMap::new();
            for (name, value) in headers {
                map.append(name, value);
            }
            map
        }),
    )
}

fn redirect_refused() -> Response<Bytes> {
    let text = Bytes::from_static(b"Response verification v1 does not allow redirects");
    let mut response = Response::new(text);
    *response.status_mut() = StatusCode::INTERNAL_SERVER_ERROR;
    response
}
