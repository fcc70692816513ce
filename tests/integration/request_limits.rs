//! The update accepts what the query offers; both refuse other requests at once, with the same status.

use crate::support::{Answer, Request, Setup, Signed, setup::controller};
use serde_json::json;
use x402_icp::{MAX_HEADER_BYTES, values::to_base64};

const PRICE: u128 = 30_000;

/// The payment in a header of the greatest length, padded with ignored data.
fn longest_header(signed: &Signed) -> String {
    let mut json = serde_json::to_value(&signed.payload).unwrap();
    json["padding"] = json!("");
    let room = MAX_HEADER_BYTES / 4 * 3 - json.to_string().len();
    json["padding"] = json!("x".repeat(room));
    let header = to_base64(json.to_string().as_bytes());
    assert_eq!(header.len(), MAX_HEADER_BYTES);
    header
}

/// A shop where everything is sold, and a new payer for each request.
struct Shop {
    setup: Setup,
    payers: std::cell::Cell<u8>,
}

impl Shop {
    fn open() -> Self {
        let setup = Setup::new();
        for method in ["GET", "POST"] {
            setup.sell_at(method, "/article", PRICE);
            setup.sell_at(method, "/data/{id}", PRICE);
        }
        let payers = std::cell::Cell::new(180);
        Self { setup, payers }
    }

    /// There are offers for this request, and accepting one delivers the content.
    fn can_be_bought(&self, what: &str, request: &Request) {
        let answer = self.setup.send(request);
        assert_eq!(answer.status, 402, "{what}");
        let offer = answer.payment_required().expect("offers").accepts.remove(0);
        self.payers.set(self.payers.get() + 1);
        let payer = self.setup.payer(self.payers.get());
        let signed = payer.sign(&offer, self.setup.now());
        let paid = request.clone().payment(&longest_header(&signed));
        let answer = self.setup.send(&paid);
        assert_eq!(
            answer.status,
            200,
            "{what}: {:?}",
            answer.payment_response()
        );
        self.setup.check_conservation();
    }

    /// There is no offer for this request: neither from the query nor from the update, with or without a payment.
    fn is_refused(&self, what: &str, status: u16, request: &Request) {
        let same = |answer: &Answer| {
            assert_eq!(answer.status, status, "{what}");
            assert!(answer.payment_required().is_none(), "{what}");
            assert_eq!(answer.header("access-control-allow-origin"), Some("*"));
            assert_eq!(answer.header("cache-control"), Some("private, no-store"));
        };
        let payment = to_base64(b"{\"x402Version\":2}");
        let before = self.setup.payments().len();
        for request in [request.clone(), request.clone().payment(&payment)] {
            let answer = self.setup.send(&request);
            same(&answer);
            // A canister's call does not pass the filter, and gets the same answer.
            let update = self.setup.pic.update_call(
                self.setup.canister,
                controller(),
                "http_request_update",
                request.update_argument(),
            );
            if let Ok(reply) = update {
                let update = Answer::from_update(&reply);
                same(&update);
                assert_eq!(update.body, answer.body, "{what}");
            } else {
                assert!(
                    !answer.upgraded,
                    "{what}: the query asked for an update that is dropped"
                );
            }
        }
        assert_eq!(self.setup.payments().len(), before, "{what}");
    }
}

#[test]
fn bodies_that_get_a_402_can_be_paid_for() {
    let shop = Shop::open();
    for bytes in [1, 60_000, 63_500, 64_000, 65_000, 65_400] {
        let request = Request::new("POST", "/article").body(&vec![7; bytes]);
        shop.can_be_bought(&format!("a body of {bytes}"), &request);
    }
}

#[test]
fn bodies_that_are_too_large_are_413_at_once() {
    let shop = Shop::open();
    for bytes in [65_536, 70_000, 81_000, 90_000, 1_000_000] {
        let request = Request::new("POST", "/article").body(&vec![7; bytes]);
        shop.is_refused(&format!("a body of {bytes}"), 413, &request);
        let request = Request::new("POST", "/data/7?q=1").body(&vec![7; bytes]);
        shop.is_refused(&format!("{bytes} for a template"), 413, &request);
    }
    let request = Request::new("PUT", "/missing").body(&vec![7; 100_000]);
    let answer = shop.setup.send(&request);
    assert_eq!((answer.status, answer.upgraded), (404, false));
}

#[test]
fn many_and_long_headers_are_payable_or_431_at_once() {
    let shop = Shop::open();
    let many = |count: usize| {
        (0..count).fold(Request::get("/article"), |request, number| {
            request.header(&format!("x-{number}"), "value")
        })
    };
    let long = |bytes: usize| Request::get("/article").header("cookie", &"c".repeat(bytes));
    shop.can_be_bought("2,000 headers", &many(2_000));
    shop.can_be_bought("4,000 headers", &many(4_000));
    for bytes in [16_000, 50_000, 65_000] {
        shop.can_be_bought(&format!("a header of {bytes}"), &long(bytes));
    }
    shop.is_refused("5,000 headers", 431, &many(5_000));
    for bytes in [65_536, 80_000, 300_000] {
        shop.is_refused(&format!("a header of {bytes}"), 431, &long(bytes));
    }
    let both = long(34_000).body(&[7; 33_000]);
    shop.is_refused("headers and body", 431, &both);
    let both = long(33_000).body(&[7; 34_000]);
    shop.is_refused("body and headers", 413, &both);
}

#[test]
fn urls_are_payable_or_refused_at_once() {
    let shop = Shop::open();
    for url in [
        "/data/a+b",
        "/data/caf%C3%A9",
        "/data/%F0%9F%A6%80",
        "/data/a%20b",
        "/data/%3Cx%3E",
        "/data/%7Bid%7D",
        "/data/100%25",
        "//data//7",
        "/%64ata/7",
        "/article?a=b&c=%2F%ff+",
        "https://shop.example/data/7",
        &format!("/data/{}", "x".repeat(250)),
        &format!("/article?{}", "q".repeat(4_000)),
    ] {
        shop.can_be_bought(url, &Request::get(url));
    }
    let shop = Shop::open();
    for url in [
        "/data/%ff",
        "/data/%C3",
        "/%fe%ff",
        "/data/7/%80x",
        "/data/a b",
        "/data/\u{c}",
        "",
    ] {
        shop.is_refused(url, 400, &Request::get(url));
        shop.is_refused(url, 400, &Request::new("POST", url).body(b"x"));
    }
    for url in [
        &format!("/data/{}", "x".repeat(251)),
        &format!("/data/{}", "%C3%A9".repeat(126)),
        &format!("/data/{}", "x".repeat(4_000)),
        &format!("/article?{}", "q".repeat(4_100)),
        &format!("/article?{}", "q".repeat(60_000)),
        &"/x".repeat(40),
    ] {
        shop.is_refused(url, 414, &Request::get(url));
    }
    // An encoded slash stays a slash to the canister: another path, with nothing for sale.
    let answer = shop.setup.send(&Request::get("/data/a%2Fb"));
    assert_eq!(answer.status, 404);
    // Preflights of long paths are answered nevertheless.
    let preflight = Request::new("OPTIONS", &format!("/data/{}", "x".repeat(300)));
    assert_eq!(shop.setup.send(&preflight).status, 204);
}

#[test]
fn methods_are_payable_or_show_no_offer_of_their_own() {
    let shop = Shop::open();
    shop.can_be_bought("GET", &Request::get("/article"));
    shop.can_be_bought("POST", &Request::new("POST", "/article"));
    for method in ["PUT", "DELETE", "PROPFIND", "get", "Post"] {
        let answer = shop.setup.send(&Request::new(method, "/article"));
        assert_eq!(
            (answer.status, answer.payment_required()),
            (405, None),
            "{method}"
        );
    }
    // HEAD shows the offers of GET.
    let answer = shop.setup.send(&Request::new("HEAD", "/article"));
    let offer = answer.payment_required().unwrap().accepts.remove(0);
    assert_eq!(offer.extra.method.as_deref(), Some("GET"));
}
