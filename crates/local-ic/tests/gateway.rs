//! The HTTP gateway in front of a live instance: production's rules, on canned answers.

mod support;

use candid::Principal;
use pocket_ic::nonblocking::PocketIc;
use reqwest::{Client, Method, RequestBuilder, Response, Url};
use support::{HttpAnswer, install, instance, wasm};

struct Site {
    instance: PocketIc,
    gateway: Url,
    canister: Principal,
}

impl Site {
    /// A live instance with one canister that always gives this answer.
    async fn new(answer: &HttpAnswer) -> Self {
        Self::with_module(wasm::answering(&[(
            "canister_query http_request",
            answer.encode(),
        )]))
        .await
    }

    async fn with_module(module: Vec<u8>) -> Self {
        let mut instance = instance().await;
        let canister = install(&instance, module).await;
        let gateway = instance.make_live(None).await;
        Self {
            instance,
            gateway,
            canister,
        }
    }

    /// A request with the host of the canister, sent to the gateway's address.
    fn request(&self, method: Method, kind: &str, path: &str) -> RequestBuilder {
        self.request_to(method, &format!("{}.{kind}", self.canister), path)
    }

    fn request_to(&self, method: Method, host: &str, path: &str) -> RequestBuilder {
        let port = self.gateway.port().expect("a port");
        Client::builder()
            .redirect(reqwest::redirect::Policy::none())
            .build()
            .expect("client")
            .request(method, format!("http://127.0.0.1:{port}{path}"))
            .header("host", format!("{host}:{port}"))
    }

    async fn get(&self, kind: &str, path: &str) -> Response {
        self.request(Method::GET, kind, path)
            .send()
            .await
            .expect("answer")
    }

    async fn end(self) {
        self.instance.drop().await;
    }
}

fn header<'a>(response: &'a Response, name: &str) -> &'a str {
    response
        .headers()
        .get(name)
        .unwrap_or_else(|| panic!("no {name}"))
        .to_str()
        .expect("text")
}

#[tokio::test]
async fn uncertified_answers_are_for_the_raw_domain_only() {
    let site = Site::new(&HttpAnswer::new(
        402,
        &[("Content-Type", "text/plain")],
        "pay",
    ))
    .await;
    let raw = site.get("raw.localhost", "/").await;
    assert_eq!(raw.status(), 402);
    assert_eq!(header(&raw, "content-type"), "text/plain");
    assert_eq!(header(&raw, "x-ic-canister-id"), site.canister.to_text());
    assert_eq!(raw.text().await.expect("body"), "pay");
    let verified = site.get("localhost", "/").await;
    assert_eq!(verified.status(), 503);
    let page = verified.text().await.expect("body");
    assert!(
        page.contains("Internet Computer - Error: response verification error"),
        "{page}"
    );
    site.end().await;
}

#[tokio::test]
async fn upgraded_requests_are_answered_by_the_update_method() {
    let mut upgrade = HttpAnswer::new(200, &[], "not this");
    upgrade.upgrade = Some(true);
    let update = HttpAnswer::new(201, &[("x-from", "update")], "made");
    let site = Site::with_module(wasm::answering(&[
        ("canister_query http_request", upgrade.encode()),
        ("canister_update http_request_update", update.encode()),
    ]))
    .await;
    let answer = site
        .request(Method::POST, "localhost", "/things")
        .body("x")
        .send()
        .await
        .expect("answer");
    assert_eq!(answer.status(), 201);
    assert_eq!(header(&answer, "x-from"), "update");
    assert_eq!(answer.text().await.expect("body"), "made");
    site.end().await;
}

#[tokio::test]
async fn the_canisters_cors_headers_count_and_missing_ones_are_filled_in() {
    let own = [
        ("Access-Control-Allow-Origin", "https://shop.example"),
        ("Access-Control-Expose-Headers", "PAYMENT-REQUIRED"),
        ("X-Ic-Canister-Id", "forged"),
    ];
    let site = Site::new(&HttpAnswer::new(200, &own, "")).await;
    let answer = site.get("raw.localhost", "/").await;
    assert_eq!(
        header(&answer, "access-control-allow-origin"),
        "https://shop.example"
    );
    assert_eq!(
        header(&answer, "access-control-expose-headers"),
        "PAYMENT-REQUIRED"
    );
    assert!(header(&answer, "vary").contains("origin"));
    assert_eq!(header(&answer, "x-ic-canister-id"), site.canister.to_text());
    site.end().await;
}

#[tokio::test]
async fn a_proper_preflight_answer_of_the_canister_is_used() {
    let own = [("Access-Control-Allow-Headers", "payment-signature")];
    let site = Site::new(&HttpAnswer::new(204, &own, "")).await;
    for _ in 0..2 {
        let answer = site
            .request(Method::OPTIONS, "raw.localhost", "/")
            .send()
            .await
            .expect("answer");
        assert_eq!(answer.status(), 204);
        assert_eq!(
            header(&answer, "access-control-allow-headers"),
            "payment-signature"
        );
        assert_eq!(header(&answer, "access-control-max-age"), "7200");
    }
    site.end().await;
}

#[tokio::test]
async fn any_other_answer_to_options_is_replaced() {
    let own = [("Access-Control-Allow-Headers", "payment-signature")];
    let site = Site::new(&HttpAnswer::new(200, &own, "a body")).await;
    let answer = site
        .request(Method::OPTIONS, "raw.localhost", "/")
        .send()
        .await
        .expect("answer");
    assert_eq!(answer.status(), 200);
    assert!(!header(&answer, "access-control-allow-headers").contains("payment"));
    assert_eq!(answer.text().await.expect("body"), "");
    site.end().await;
}

#[tokio::test]
async fn errors_are_pages() {
    let site = Site::with_module(wasm::answering(&[])).await;
    let checks = [
        // No `http_request`.
        (site.get("localhost", "/").await, 503, "canister error"),
        (
            site.request_to(Method::GET, "mxzaz-hqaaa-aaaar-qaada-cai.localhost", "/")
                .send()
                .await
                .expect("answer"),
            404,
            "canister not found",
        ),
        (
            site.request_to(Method::GET, "www.localhost", "/")
                .send()
                .await
                .expect("answer"),
            400,
            "canister id not resolved",
        ),
        (
            site.request(
                Method::from_bytes(b"PROPFIND").expect("method"),
                "localhost",
                "/",
            )
            .send()
            .await
            .expect("answer"),
            405,
            "method not allowed",
        ),
        (
            site.request(Method::POST, "localhost", "/")
                .body(vec![0; 11 << 20])
                .send()
                .await
                .expect("answer"),
            413,
            "request too large",
        ),
    ];
    for (answer, status, title) in checks {
        assert_eq!(answer.status(), status, "{title}");
        let page = answer.text().await.expect("body");
        assert!(
            page.contains(&format!(
                "<title>Internet Computer - Error: {title}</title>"
            )),
            "{page}"
        );
    }
    site.end().await;
}

#[tokio::test]
async fn the_bare_domain_needs_a_canister_id() {
    let site = Site::new(&HttpAnswer::new(200, &[], "hello")).await;
    let nobody = site
        .request_to(Method::GET, "localhost", "/")
        .send()
        .await
        .expect("answer");
    assert_eq!(nobody.status(), 307);
    assert!(header(&nobody, "location").contains("dashboard.internetcomputer.org"));
    let path = format!("/?canisterId={}", site.canister);
    // Found, and refused because it is not certified.
    let found = site
        .request_to(Method::GET, "localhost", &path)
        .send()
        .await
        .expect("answer");
    assert_eq!(found.status(), 503);
    site.end().await;
}

#[tokio::test]
async fn head_has_headers_only_and_big_headers_pass() {
    let site = Site::new(&HttpAnswer::new(200, &[("X-Note", "yes")], "hello")).await;
    let answer = site
        .request(Method::HEAD, "raw.localhost", "/")
        .header("x-big", "a".repeat(240 * 1024))
        .send()
        .await
        .expect("answer");
    assert_eq!(answer.status(), 200);
    assert_eq!(header(&answer, "x-note"), "yes");
    assert_eq!(answer.text().await.expect("body"), "");
    site.end().await;
}

#[tokio::test]
async fn a_canister_that_contradicts_the_framing_gets_no_answer_through() {
    for headers in [
        [("Content-Length", "3")],
        [("Transfer-Encoding", "chunked")],
    ] {
        let site = Site::new(&HttpAnswer::new(200, &headers, "hello")).await;
        let answer = site.request(Method::GET, "raw.localhost", "/").send().await;
        assert!(answer.is_err(), "{headers:?}: {answer:?}");
        site.end().await;
    }
    let site = Site::new(&HttpAnswer::new(200, &[("Content-Length", "5")], "hello")).await;
    let answer = site.get("raw.localhost", "/").await;
    assert_eq!(header(&answer, "content-length"), "5");
    site.end().await;
}

#[tokio::test]
async fn a_gateway_can_come_with_the_instance_and_stops_with_it() {
    let config = pocket_ic::common::rest::InstanceHttpGatewayConfig {
        ip_addr: None,
        port: None,
        domains: None,
        https_config: None,
        domain_custom_provider_local_file: None,
    };
    let instance = support::builder()
        .with_application_subnet()
        .with_http_gateway(config)
        .build_async()
        .await;
    let url = instance.url().expect("a gateway");
    let topology = url.join("_/topology").expect("url");
    let answer = reqwest::get(topology.clone()).await.expect("answer");
    assert_eq!(answer.status(), 200);
    instance.drop().await;
    reqwest::get(topology)
        .await
        .expect_err("nobody listens any more");
}
