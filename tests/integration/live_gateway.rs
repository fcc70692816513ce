//! A plain HTTP client through the server's own gateway.

use crate::support::{Setup, flow::ARTICLE};
use reqwest::{Client, Method, RequestBuilder, Response, header::HeaderMap};
use std::time::{Duration, SystemTime};
use tokio::runtime::Runtime;
use x402_icp::{
    decode::decode_header,
    wire::{
        PAYMENT_REQUIRED, PAYMENT_RESPONSE, PAYMENT_SIGNATURE, PaymentRequired, SettleResponse,
    },
};

const PRICE: u128 = 30_000;

struct Live {
    setup: Setup,
    runtime: Runtime,
    client: Client,
    port: u16,
}

impl Live {
    fn start(publish: impl FnOnce(&Setup)) -> Self {
        let mut setup = Setup::with_any_ledger();
        publish(&setup);
        // A gateway compares certificates with its own clock.
        setup.pic.set_time(SystemTime::now().into());
        setup.pic.tick();
        let url = setup.pic.make_live(None);
        let port = url.port().expect("a gateway has a port");
        let runtime = Runtime::new().unwrap();
        let client = Client::builder()
            .timeout(Duration::from_secs(60))
            .no_proxy()
            .build()
            .unwrap();
        Self {
            setup,
            runtime,
            client,
            port,
        }
    }

    fn request(&self, method: Method, path: &str) -> RequestBuilder {
        self.request_to("", method, path)
    }

    /// A request to a part of the gateway's domain: all, or `.raw`.
    fn request_to(&self, part: &str, method: Method, path: &str) -> RequestBuilder {
        let host = format!("{}{part}.localhost:{}", self.setup.canister, self.port);
        self.client
            .request(method, format!("http://127.0.0.1:{}{path}", self.port))
            .header("host", host)
    }

    fn send(&self, request: RequestBuilder) -> (u16, HeaderMap, Vec<u8>) {
        self.runtime.block_on(async {
            let response: Response = request.send().await.expect("the gateway answers");
            let (status, headers) = (response.status().as_u16(), response.headers().clone());
            let body = response.bytes().await.expect("a body").to_vec();
            (status, headers, body)
        })
    }
}

fn text<'a>(headers: &'a HeaderMap, name: &str) -> &'a str {
    headers
        .get(name)
        .unwrap_or_else(|| panic!("no {name}"))
        .to_str()
        .expect("printable")
}

#[test]
fn paid_get_through_a_live_gateway() {
    let live = Live::start(|setup| drop(setup.sell("/article", PRICE)));
    let (status, headers, body) = live.send(live.request(Method::GET, "/article"));
    assert_eq!((status, body.as_slice()), (402, &b"{}"[..]));
    let offers: PaymentRequired =
        decode_header("offers", text(&headers, PAYMENT_REQUIRED).as_bytes()).unwrap();
    let payer = live.setup.payer(130);
    let now = SystemTime::now()
        .duration_since(SystemTime::UNIX_EPOCH)
        .unwrap()
        .as_secs();
    let signed = payer.sign(&offers.accepts[0], now);
    let request = || {
        live.request(Method::GET, "/article")
            .header(PAYMENT_SIGNATURE, signed.header())
    };
    let (status, headers, body) = live.send(request());
    assert_eq!((status, body.as_slice()), (200, ARTICLE), "{headers:?}");
    let outcome: SettleResponse =
        decode_header("outcome", text(&headers, PAYMENT_RESPONSE).as_bytes()).unwrap();
    assert!(outcome.success);
    assert_eq!(text(&headers, "cache-control"), "private, no-store");
    let (status, again, _) = live.send(request());
    assert_eq!(
        (status, text(&again, PAYMENT_RESPONSE)),
        (200, text(&headers, PAYMENT_RESPONSE))
    );
    let receipt = format!("/x402/receipts/{}", signed.id);
    for (part, is_proven) in [("", false), (".raw", true)] {
        let (status, _, body) = live.send(live.request_to(part, Method::GET, &receipt));
        let json: serde_json::Value = serde_json::from_slice(&body).unwrap();
        assert_eq!(
            (status, json["receipt"]["transaction"].as_str()),
            (200, Some(outcome.transaction.as_str()))
        );
        assert_eq!(json["certificate"].is_string(), is_proven);
        assert_eq!(json["proofAt"].is_object(), !is_proven);
    }
    live.setup.check_conservation();
}

#[test]
fn head_options_404_and_405_through_a_live_gateway() {
    let live = Live::start(|setup| {
        setup.publish_free("/about", b"about us");
        drop(setup.sell("/article", PRICE));
    });
    let (status, headers, body) = live.send(live.request(Method::HEAD, "/article"));
    assert_eq!((status, body.len()), (402, 0));
    assert!(headers.contains_key(PAYMENT_REQUIRED));
    let (status, _, body) = live.send(live.request(Method::HEAD, "/about"));
    assert_eq!((status, body.len()), (200, 0));
    let (status, _, body) = live.send(live.request(Method::GET, "/about?q=1"));
    assert_eq!((status, body.as_slice()), (200, &b"about us"[..]));
    let (status, _, _) = live.send(live.request(Method::GET, "/missing"));
    assert_eq!(status, 404);
    let (status, _, _) = live.send(live.request(Method::DELETE, "/article"));
    assert_eq!(status, 405);
    // PocketIC's own gateway answers preflights itself; production gateways forward them.
    let preflight = live
        .request(Method::OPTIONS, "/article")
        .header("origin", "https://shop.example")
        .header("access-control-request-method", "GET");
    let (status, headers, _) = live.send(preflight);
    assert!((200..300).contains(&status));
    assert_eq!(text(&headers, "access-control-allow-origin"), "*");
}
