//! Conversion of the request's `url` to the path that routes and certification are looked up with.
//!
//! A gateway's verifier reads the path in its own way: it parses the URL, percent-decodes the path once and ignores
//! empty segments, but not a trailing slash. The canister must get exactly the same path, or a response that is correct
//! here would be refused there (or the reverse).

use ic_http_certification::HttpRequest as CertifiedRequest;

/// The longest URL that is accepted, in bytes.
pub const MAX_URL_BYTES: usize = 4_096;
/// The most segments of a path that is looked up: proofs of absence grow with it.
pub const MAX_SEGMENTS: usize = 32;

/// A request's path and query.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RequestUrl {
    /// Percent-decoded once, one slash before each segment, trailing slash kept.
    pub path: String,
    /// The text after `?`, not decoded; empty when there is none.
    pub query: String,
    /// Whether the verifier is sure to read this path as a plain one. The certification tree gives a special meaning to
    /// some labels (`http_expr`, `<$>`, `<*>`); no route has them.
    pub plain: bool,
}

/// The reason why a URL cannot be served.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum UrlError {
    /// Neither a path nor a URL, or its percent-encoding is not UTF-8.
    #[error("the URL is malformed")]
    Malformed,
    /// Longer than [`MAX_URL_BYTES`] or more than [`MAX_SEGMENTS`] segments.
    #[error("the URL is too long")]
    TooLong,
}

impl RequestUrl {
    /// Parses the `url` field of a request.
    pub fn parse(url: &str) -> Result<Self, UrlError> {
        if url.len() > MAX_URL_BYTES {
            return Err(UrlError::TooLong);
        }
        let (path, query) = match simple_path_end(url) {
            Some(end) => {
                let query = url[end..].strip_prefix('?').unwrap_or_default();
                (url[..end].to_string(), query.to_string())
            }
            None => general(url)?,
        };
        if path.bytes().filter(|byte| *byte == b'/').count() > MAX_SEGMENTS {
            return Err(UrlError::TooLong);
        }
        let plain = !path.contains('<') && path != "/http_expr" && !path.starts_with("/http_expr/");
        Ok(Self { path, query, plain })
    }
}

/// The length of the path if the URL is a path of ordinary characters without empty segments. Then nothing needs
/// decoding, and the much slower general parser is not needed.
fn simple_path_end(url: &str) -> Option<usize> {
    let bytes = url.as_bytes();
    if bytes.first() != Some(&b'/') {
        return None;
    }
    let mut previous_is_slash = false;
    for (index, byte) in bytes.iter().enumerate() {
        match byte {
            b'/' if previous_is_slash => return None,
            b'/' => previous_is_slash = true,
            b'a'..=b'z'
            | b'A'..=b'Z'
            | b'0'..=b'9'
            | b'-'
            | b'.'
            | b'_'
            | b'~'
            | b'!'
            | b'$'
            | b'&'
            | b'\''
            | b'('
            | b')'
            | b'*'
            | b'+'
            | b','
            | b';'
            | b'='
            | b':'
            | b'@' => {
                previous_is_slash = false;
            }
            b'?' => return bytes[index..].iter().all(is_plain_query).then_some(index),
            _ => return None,
        }
    }
    Some(bytes.len())
}

/// Whether a byte may be in a query that the general parser has not seen. With any other byte the URL may be invalid,
/// and no verifier would accept the response.
fn is_plain_query(byte: &u8) -> bool {
    byte.is_ascii_alphanumeric() || b"-._~!$&'()*+,;=:@/?%".contains(byte)
}

fn general(url: &str) -> Result<(String, String), UrlError> {
    let request = CertifiedRequest::get(url).build();
    let decoded = request.get_path().map_err(|_| UrlError::Malformed)?;
    let query = request.get_query().map_err(|_| UrlError::Malformed)?;
    let mut path = String::with_capacity(decoded.len() + 1);
    for segment in decoded.split('/').filter(|segment| !segment.is_empty()) {
        path.push('/');
        path.push_str(segment);
    }
    if decoded.ends_with('/') || path.is_empty() {
        path.push('/');
    }
    Ok((path, query.unwrap_or_default()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use x402_icp::template::{matches, matches_url_path};

    fn path(url: &str) -> String {
        RequestUrl::parse(url).expect(url).path
    }

    #[test]
    fn should_read_plain_paths_and_queries() {
        assert_eq!(path("/"), "/");
        assert_eq!(path("/a/b"), "/a/b");
        assert_eq!(path("/a/b/"), "/a/b/");
        let url = RequestUrl::parse("/a/b?x=/y&z=%2F#frag").unwrap();
        assert_eq!(
            (url.path.as_str(), url.query.as_str()),
            ("/a/b", "x=/y&z=%2F")
        );
        assert!(url.plain);
    }

    #[test]
    fn should_see_the_path_a_verifier_sees() {
        for url in [
            "/a//b",
            "//a",
            "/a//",
            "/%61/b",
            "/a%2Fb",
            "/a/../b",
            "/./a",
            "/%7Bid%7D",
            "/caf%C3%A9",
            "https://example.com/a?b=c",
            "https://example.com",
            "/a%3Fb",
            "/a%20b?c",
            "*",
            "/a;b=c",
        ] {
            let decoded = CertifiedRequest::get(url).build().get_path().expect(url);
            let expected: Vec<&str> = decoded.split('/').filter(|s| !s.is_empty()).collect();
            let ours = path(url);
            let seen: Vec<&str> = ours.split('/').filter(|s| !s.is_empty()).collect();
            assert_eq!(seen, expected, "{url}");
            assert_eq!(
                ours.ends_with('/'),
                decoded.ends_with('/') || expected.is_empty(),
                "{url}"
            );
        }
    }

    #[test]
    fn should_decode_only_once() {
        assert_eq!(path("/%2561"), "/%61");
    }

    #[test]
    fn should_refuse_what_no_verifier_can_read() {
        assert_eq!(RequestUrl::parse(""), Err(UrlError::Malformed));
        assert_eq!(RequestUrl::parse("/%ff"), Err(UrlError::Malformed));
        assert_eq!(RequestUrl::parse("/a b"), Err(UrlError::Malformed));
        // Found by fuzzing: the path was valid, and the query was not checked.
        for query in ["/a?\u{c}", "/a?b c", "/a?\0#b", "/a?\"<>"] {
            assert_eq!(
                RequestUrl::parse(query).is_ok(),
                CertifiedRequest::get(query).build().get_path().is_ok(),
                "{query:?}"
            );
        }
        assert_eq!(
            RequestUrl::parse(&"/a".repeat(3_000)),
            Err(UrlError::TooLong)
        );
        assert_eq!(RequestUrl::parse(&"/a".repeat(33)), Err(UrlError::TooLong));
        assert_eq!(
            RequestUrl::parse(&format!("/{}", "x".repeat(4_096))),
            Err(UrlError::TooLong)
        );
    }

    #[test]
    fn should_mark_paths_with_labels_of_the_tree() {
        for url in ["/http_expr", "/http_expr/x", "/%3C$%3E", "/a/%3C*%3E"] {
            assert!(!RequestUrl::parse(url).expect(url).plain, "{url}");
        }
        assert!(RequestUrl::parse("/a/http_expr").unwrap().plain);
    }

    proptest! {
        /// A client compares the path as it is in the URL, the canister decodes it. If the client decides that an offer
        /// is for its path, so does the canister.
        #[test]
        fn should_serve_what_a_client_takes_for_its_own(
            template in "/[ab](/([abA.]{1,2}|\\{x\\})){0,3}/?",
            url in "/[ab](/([abA.é+ ]|%2[fF5eE]|%61|%C3%A9|%ff|%){0,3}){0,4}(\\?a=%2F)?",
        ) {
            let asked = url.split('?').next().unwrap_or_default();
            if matches_url_path(&template, asked)
                && let Ok(url) = RequestUrl::parse(&url)
            {
                prop_assert!(matches(&template, &url.path), "{}", url.path);
            }
        }
    }
}
