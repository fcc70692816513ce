//! Serving HTTP/1.1: one accept loop for the REST server, the agent endpoints and the gateways.

use bytes::Bytes;
use http::{HeaderValue, Request, Response, StatusCode, header};
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt, Full, LengthLimitError, Limited};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use std::future::Future;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::TcpListener;
use tokio::sync::{mpsc, watch};

/// Any error of a body that is still being sent.
pub type BoxError = Box<dyn std::error::Error + Send + Sync>;
/// A response body: whole or streamed.
pub type Body = UnsyncBoxBody<Bytes, BoxError>;
/// What handlers answer with.
pub type HttpResponse = Response<Body>;

/// The handler refuses to answer: the connection is closed without a response.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct Hangup(pub &'static str);

/// Room for request headers: well above the 240 KB that production lets through.
const MAX_HEADER_BYTES: usize = 512 * 1024;
const MAX_HEADERS: usize = 512;

/// A whole body.
pub fn full(bytes: impl Into<Bytes>) -> Body {
    Full::new(bytes.into())
        .map_err(|never| match never {})
        .boxed_unsync()
}

/// A response with a content type.
pub fn response(
    status: StatusCode,
    content_type: &'static str,
    body: impl Into<Bytes>,
) -> HttpResponse {
    let mut response = Response::new(full(body));
    *response.status_mut() = status;
    response
        .headers_mut()
        .insert(header::CONTENT_TYPE, HeaderValue::from_static(content_type));
    response
}

/// A plain text response.
pub fn text(status: StatusCode, body: impl Into<String>) -> HttpResponse {
    response(status, "text/plain; charset=utf-8", body.into())
}

/// A JSON response.
pub fn json<T: serde::Serialize>(status: StatusCode, value: &T) -> HttpResponse {
    match serde_json::to_vec(value) {
        Ok(body) => response(status, "application/json", body),
        Err(error) => text(
            StatusCode::INTERNAL_SERVER_ERROR,
            format!("no JSON for the answer: {error}"),
        ),
    }
}

/// Why a request body could not be had.
#[derive(Debug, thiserror::Error)]
pub enum BodyError {
    /// Longer than allowed.
    #[error("request body is larger than the {0} bytes allowed")]
    TooLarge(usize),
    /// The connection failed meanwhile.
    #[error("request body could not be read: {0}")]
    Unreadable(String),
}

/// Collects a request body of at most `limit` bytes.
pub async fn collect(body: Incoming, limit: usize) -> Result<Bytes, BodyError> {
    match Limited::new(body, limit).collect().await {
        Ok(collected) => Ok(collected.to_bytes()),
        Err(error) if error.downcast_ref::<LengthLimitError>().is_some() => {
            Err(BodyError::TooLarge(limit))
        }
        Err(error) => Err(BodyError::Unreadable(error.to_string())),
    }
}

/// How long open requests are waited for at the end.
const DRAIN: Duration = Duration::from_secs(5);

/// Accepts connections until `stop` becomes true, then returns when open requests are answered.
pub async fn serve<H, F>(listener: TcpListener, mut stop: watch::Receiver<bool>, handler: H)
where
    H: Fn(Request<Incoming>) -> F + Send + Sync + 'static,
    F: Future<Output = Result<HttpResponse, Hangup>> + Send + 'static,
{
    let handler = Arc::new(handler);
    // Every connection holds a sender: the channel closes when the last one has ended.
    let (open, mut all_closed) = mpsc::channel::<()>(1);
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            _ = stopped(&mut stop) => break,
        };
        let stream = match accepted {
            Ok((stream, _)) => stream,
            Err(_) => {
                // Out of file descriptors, usually: give open connections a moment to end.
                tokio::time::sleep(Duration::from_millis(50)).await;
                continue;
            }
        };
        // Small answers to small requests: waiting to fill packets only costs time.
        let _ = stream.set_nodelay(true);
        let handler = handler.clone();
        let (mut stop, open) = (stop.clone(), open.clone());
        tokio::spawn(async move {
            let _open = open;
            let service = service_fn(move |request| handler(request));
            let connection = hyper::server::conn::http1::Builder::new()
                .timer(TokioTimer::new())
                .max_buf_size(MAX_HEADER_BYTES)
                .max_headers(MAX_HEADERS)
                .serve_connection(TokioIo::new(stream), service);
            tokio::pin!(connection);
            tokio::select! {
                // A broken connection concerns its client only.
                _ = connection.as_mut() => {}
                _ = stopped(&mut stop) => {
                    connection.as_mut().graceful_shutdown();
                    let _ = tokio::time::timeout(DRAIN, connection).await;
                }
            }
        });
    }
    drop((listener, open));
    let _ = tokio::time::timeout(DRAIN, all_closed.recv()).await;
}

/// Waits until the flag is set or its owner is gone.
pub async fn stopped(stop: &mut watch::Receiver<bool>) {
    let _ = stop.wait_for(|stopped| *stopped).await;
}
