//! URLs of requests: the canister sees the path that a gateway's verifier sees.

// The module is not public; it needs nothing but the crate of the verifier.
#[path = "../../../src/api/http/url.rs"]
#[allow(dead_code, reason = "the canister uses more of it")]
mod real;

use ic_http_certification::HttpRequest;
use real::{MAX_SEGMENTS, MAX_URL_BYTES, RequestUrl};

pub fn run(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else {
        return;
    };
    let Ok(url) = RequestUrl::parse(text) else {
        return;
    };
    assert!(text.len() <= MAX_URL_BYTES);
    assert!(
        url.path.starts_with('/') && !url.path.contains("//"),
        "{url:?}"
    );
    assert!(url.path.matches('/').count() <= MAX_SEGMENTS);
    let seen = HttpRequest::get(text)
        .build()
        .get_path()
        .expect("what is served can be verified");
    let segments = |path: &str| -> Vec<String> {
        let parts = path.split('/').filter(|segment| !segment.is_empty());
        parts.map(str::to_string).collect()
    };
    assert_eq!(segments(&url.path), segments(&seen), "{text:?}");
    assert!(!url.path.ends_with('/') || seen.ends_with('/') || segments(&seen).is_empty());
    if url.plain {
        let reserved = ["<$>", "<*>"];
        let labels = segments(&url.path);
        assert!(labels.first().is_none_or(|first| first != "http_expr"));
        assert!(
            labels
                .iter()
                .all(|label| !reserved.contains(&label.as_str()))
        );
    }
}
