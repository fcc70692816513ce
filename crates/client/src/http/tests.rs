use super::{names::LocalNames, *};
use reqwest::dns::Resolve;

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
    let addresses = LocalNames.resolve("xevnm-gaaaa-aaaar-qafnq-cai.localhost".parse().unwrap());
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
    let http = Http::new(Limits::default()).unwrap();
    let request = Request::get(&format!("http://127.0.0.1:{port}/")).unwrap();
    assert!(matches!(
        http.pay(&request, "x").await,
        Err(HttpError::NotSent(_))
    ));
}
