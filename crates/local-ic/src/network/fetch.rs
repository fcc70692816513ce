//! One HTTP/1.1 request over a connection of its own, with TLS for `https`.

use bytes::Bytes;
use http::uri::Scheme;
use http::{HeaderValue, Request, Response, Uri, header};
use http_body_util::{BodyExt, Full, Limited};
use hyper::client::conn::http1::handshake;
use hyper_util::rt::TokioIo;
use std::error::Error;
use std::sync::{Arc, OnceLock};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::pki_types::ServerName;
use tokio_rustls::rustls::{ClientConfig, RootCertStore};

/// Why there is no response.
pub(super) type FetchError = Box<dyn Error + Send + Sync>;

/// Sends the request. A redirect is an answer; a body of more than `limit` bytes is a
/// [`LengthLimitError`](http_body_util::LengthLimitError).
pub(super) async fn fetch(
    mut request: Request<Full<Bytes>>,
    limit: usize,
) -> Result<Response<Bytes>, FetchError> {
    let uri = request.uri().clone();
    let authority = uri.authority().ok_or("the address has no host")?;
    let secure = match uri.scheme() {
        Some(scheme) if *scheme == Scheme::HTTPS => true,
        Some(scheme) if *scheme == Scheme::HTTP => false,
        _ => return Err("the address is neither http nor https".into()),
    };
    if !request.headers().contains_key(header::HOST) {
        let host = HeaderValue::from_str(authority.as_str())?;
        request.headers_mut().insert(header::HOST, host);
    }
    // What stands before the host is for the server's host field, not for its path.
    let target = uri.path_and_query().map_or("/", |target| target.as_str());
    *request.uri_mut() = Uri::try_from(target)?;

    let host = authority.host();
    let port = authority
        .port_u16()
        .unwrap_or(if secure { 443 } else { 80 });
    let address = host.trim_start_matches('[').trim_end_matches(']');
    let stream = TcpStream::connect((address, port)).await?;
    if !secure {
        return exchange(stream, request, limit).await;
    }
    let name = ServerName::try_from(address.to_owned())?;
    exchange(tls()?.connect(name, stream).await?, request, limit).await
}

async fn exchange<S>(
    stream: S,
    request: Request<Full<Bytes>>,
    limit: usize,
) -> Result<Response<Bytes>, FetchError>
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let (mut sender, connection) = handshake(TokioIo::new(stream)).await?;
    // Ends with the request: errors are the sender's as well.
    let driver = tokio::spawn(connection);
    let response = sender.send_request(request).await?;
    let (parts, body) = response.into_parts();
    let body = Limited::new(body, limit).collect().await?.to_bytes();
    driver.abort();
    Ok(Response::from_parts(parts, body))
}

/// Trusts what the system trusts.
fn tls() -> Result<TlsConnector, FetchError> {
    static TLS: OnceLock<Result<TlsConnector, String>> = OnceLock::new();
    let connector = TLS.get_or_init(|| {
        let mut roots = RootCertStore::empty();
        roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
        let provider = Arc::new(ring::default_provider());
        let config = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .map_err(|error| error.to_string())?
            .with_root_certificates(roots)
            .with_no_client_auth();
        Ok(TlsConnector::from(Arc::new(config)))
    });
    Ok(connector.clone()?)
}
