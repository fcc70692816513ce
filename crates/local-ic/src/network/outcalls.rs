//! In live mode HTTP outcalls are made for real, once for the whole subnet.

use super::Network;
use super::fetch::{FetchError, fetch};
use bytes::Bytes;
use http::{HeaderName, HeaderValue, Method, Request};
use http_body_util::{Full, LengthLimitError};
use local_ic_replica::{HttpAnswer, HttpOutcall, HttpResult, OutcallMethod, Principal};
use std::collections::HashSet;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

/// Limit on a response when the canister gives none.
const DEFAULT_MAX_RESPONSE_BYTES: u64 = 2_000_000;
/// A little less than the time after which the replica gives up by itself.
const TIMEOUT: Duration = Duration::from_secs(55);
const SYS_FATAL: u32 = 1;
const SYS_TRANSIENT: u32 = 2;

/// Outcalls that are under way, so that none is made twice.
#[derive(Default)]
pub(super) struct InFlight(Mutex<HashSet<(Principal, u64)>>);

impl InFlight {
    fn enter(&self, key: (Principal, u64)) -> bool {
        self.0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .insert(key)
    }

    fn leave(&self, key: &(Principal, u64)) {
        self.0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .remove(key);
    }
}

/// Starts every outcall that is waiting and not under way yet.
pub(super) async fn perform_pending(network: &Arc<Network>) {
    let Ok(pending) = network.run(|core| core.replica.pending_http()).await else {
        return;
    };
    for outcall in pending {
        let key = (outcall.subnet, outcall.request_id);
        if !network.in_flight.enter(key) {
            continue;
        }
        let network = Arc::downgrade(network);
        tokio::spawn(async move {
            let result = perform(outcall).await;
            let Some(network) = network.upgrade() else {
                return;
            };
            // The outcall may have timed out or been answered by a mock meanwhile: then nobody waits for this.
            let _ = network
                .run(move |core| {
                    core.replica
                        .answer_http(key.0, key.1, HttpAnswer::from(result))
                })
                .await;
            network.in_flight.leave(&key);
            network.wake();
        });
    }
}

async fn perform(outcall: HttpOutcall) -> HttpResult {
    match try_perform(outcall).await {
        Ok(reply) => reply,
        Err((code, message)) => HttpResult::Reject { code, message },
    }
}

async fn try_perform(outcall: HttpOutcall) -> Result<HttpResult, (u32, String)> {
    let limit = outcall
        .max_response_bytes
        .unwrap_or(DEFAULT_MAX_RESPONSE_BYTES);
    let fatal = |error: String| (SYS_FATAL, error);
    let failed = |error: FetchError| match error.downcast_ref::<LengthLimitError>() {
        Some(_) => fatal(format!("Http body exceeds size limit of {limit} bytes.")),
        None => (
            SYS_TRANSIENT,
            format!("Connecting to {} failed: {error}", outcall.url),
        ),
    };
    let mut request = Request::new(Full::new(Bytes::from(outcall.body)));
    *request.method_mut() = match outcall.method {
        OutcallMethod::Get => Method::GET,
        OutcallMethod::Post => Method::POST,
        OutcallMethod::Head => Method::HEAD,
        OutcallMethod::Put => Method::PUT,
        OutcallMethod::Delete => Method::DELETE,
        OutcallMethod::Patch => Method::PATCH,
    };
    *request.uri_mut() = outcall
        .url
        .parse()
        .map_err(|error| fatal(format!("invalid address {}: {error}", outcall.url)))?;
    for (name, value) in &outcall.headers {
        let invalid = |what: &str| fatal(format!("invalid header {what}: {name}"));
        request.headers_mut().append(
            HeaderName::try_from(name).map_err(|_| invalid("name"))?,
            HeaderValue::try_from(value).map_err(|_| invalid("value"))?,
        );
    }
    let size = usize::try_from(limit).unwrap_or(usize::MAX);
    let response = tokio::time::timeout(TIMEOUT, fetch(request, size))
        .await
        .map_err(|elapsed| failed(elapsed.into()))?
        .map_err(failed)?;
    let headers = response
        .headers()
        .iter()
        .map(|(name, value)| {
            let value = String::from_utf8_lossy(value.as_bytes()).into_owned();
            (name.to_string(), value)
        })
        .collect();
    Ok(HttpResult::Reply {
        status: response.status().as_u16(),
        headers,
        body: response.into_body().to_vec(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::TcpListener;

    /// A web server that answers one request with these bytes and hands the request back.
    async fn answer_once(answer: &'static str) -> (String, tokio::task::JoinHandle<String>) {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("port");
        let url = format!("http://{}/path", listener.local_addr().expect("address"));
        let server = tokio::spawn(async move {
            let (mut stream, _) = listener.accept().await.expect("connection");
            let mut request = vec![0; 4_096];
            let length = stream.read(&mut request).await.expect("request");
            stream
                .write_all(answer.as_bytes())
                .await
                .expect("answer is taken");
            String::from_utf8_lossy(&request[..length]).into_owned()
        });
        (url, server)
    }

    fn outcall(url: String, max_response_bytes: Option<u64>) -> HttpOutcall {
        HttpOutcall {
            subnet: Principal::anonymous(),
            request_id: 1,
            canister: Principal::anonymous(),
            method: OutcallMethod::Get,
            url,
            headers: vec![("x-note".into(), "hello".into())],
            body: Vec::new(),
            max_response_bytes,
            replicated: true,
        }
    }

    #[tokio::test]
    async fn should_bring_back_status_headers_and_body() {
        let (url, server) =
            answer_once("HTTP/1.1 302 Found\r\nlocation: /else\r\ncontent-length: 2\r\n\r\nhi")
                .await;
        let result = perform(outcall(url, None)).await;
        let HttpResult::Reply {
            status,
            headers,
            body,
        } = result
        else {
            panic!("{result:?}");
        };
        // A redirect is not followed.
        assert_eq!((status, body.as_slice()), (302, &b"hi"[..]));
        assert!(headers.contains(&("location".into(), "/else".into())));
        let request = server.await.expect("served");
        assert!(request.starts_with("GET /path HTTP/1.1"), "{request}");
        assert!(request.contains("x-note: hello"), "{request}");
    }

    #[tokio::test]
    async fn should_reject_a_body_above_the_limit_and_a_dead_address() {
        let (url, _server) = answer_once("HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nhello").await;
        let reject = perform(outcall(url, Some(4))).await;
        assert!(
            matches!(reject, HttpResult::Reject { code: SYS_FATAL, message } if message.contains("4 bytes"))
        );
        let free = TcpListener::bind("127.0.0.1:0")
            .await
            .expect("port")
            .local_addr()
            .expect("address");
        let reject = perform(outcall(format!("http://{free}/"), None)).await;
        assert!(matches!(
            reject,
            HttpResult::Reject {
                code: SYS_TRANSIENT,
                ..
            }
        ));
    }
}
