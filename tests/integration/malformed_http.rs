//! Malformed payments and requests: the right status, no trap, no change.

use crate::support::{Request, Setup, Signed};
use serde_json::{Value, json};
use x402_icp::{Code, values::to_base64};

const PRICE: u128 = 30_000;

struct Shop {
    setup: Setup,
    good: Signed,
}

impl Shop {
    fn open() -> Self {
        let setup = Setup::new();
        let payer = setup.payer(140);
        let good = {
            let sale = setup.sell("/article", PRICE);
            payer.sign(&sale.offer(), setup.now())
        };
        Self { setup, good }
    }

    /// An update names the code, and sends new offers: nothing was recorded.
    fn is_no_payment(&self, what: &str, header: &str) {
        let request = Request::get("/article").payment(header);
        for request in [request.clone(), request.body(b"x")] {
            let answer = self.setup.send(&request);
            assert_eq!((answer.status, answer.upgraded), (402, true), "{what}");
            let error = answer.payment_required().unwrap().error;
            assert_eq!(
                error.as_deref(),
                Some(Code::InvalidPayload.as_str()),
                "{what}"
            );
        }
    }

    /// Too long for a message: the query refuses it with a proof, and no update call is accepted.
    fn is_dropped(&self, status: u16, request: &Request) {
        let answer = self.setup.send(request);
        assert_eq!((answer.status, answer.upgraded), (status, false));
        let reply = self.setup.raw_update(
            candid::Principal::anonymous(),
            "http_request_update",
            request.update_argument(),
        );
        assert!(reply.is_err());
    }

    fn json(&self) -> Value {
        serde_json::to_value(&self.good.payload).unwrap()
    }

    fn changed(&self, what: &str, change: impl FnOnce(&mut Value)) {
        let mut json = self.json();
        change(&mut json);
        self.is_no_payment(what, &to_base64(json.to_string().as_bytes()));
    }

    /// Nothing before has stored or moved anything, and the valid payment is still accepted.
    fn close(self) {
        assert!(self.setup.payments().is_empty());
        let sale = self.setup.sale(Request::get("/article"));
        sale.present(self.good.clone()).send().expect_settled();
    }
}

#[test]
fn base64_that_is_not_ours() {
    let shop = Shop::open();
    let good = shop.good.header();
    for (what, header) in [
        ("empty", String::new()),
        ("no base64", "!!!!".into()),
        ("spaces", format!(" {good}")),
        ("a line break", format!("{}\r\n{}", &good[..8], &good[8..])),
        ("base64url", good.replace(['+', '/'], "-") + "-_"),
        ("one character more", format!("{good}A")),
        ("one character less", good[..good.len() - 1].into()),
        ("padding in the middle", format!("{good}====")),
        ("two values in one", format!("{good}, {good}")),
        ("not UTF-8", to_base64(&[0xff, 0xfe, 0x80])),
        ("not JSON", to_base64(b"hello")),
        ("binary", "\u{0}\u{1}".into()),
        ("not ASCII", "ü".into()),
    ] {
        shop.is_no_payment(what, &header);
    }
    shop.close();
}

#[test]
fn json_of_another_shape() {
    let shop = Shop::open();
    for text in [
        "null",
        "1",
        "\"x\"",
        "[]",
        "{}",
        "{\"x402Version\":2}",
        "true",
        "{",
        "{}{}",
    ] {
        shop.is_no_payment(text, &to_base64(text.as_bytes()));
    }
    shop.changed("no payload", |json| {
        drop(json.as_object_mut().unwrap().remove("payload"))
    });
    shop.changed("no accepted", |json| {
        drop(json.as_object_mut().unwrap().remove("accepted"))
    });
    shop.changed("a list for an object", |json| json["payload"] = json!([]));
    shop.changed("a number for text", |json| {
        json["payload"]["validAfter"] = json!(5)
    });
    shop.changed("text for a number", |json| json["x402Version"] = json!("2"));
    shop.changed("a negative version", |json| json["x402Version"] = json!(-2));
    shop.changed("a broken version", |json| json["x402Version"] = json!(2.5));
    shop.changed("null for text", |json| {
        json["payload"]["nonce"] = json!(null)
    });
    shop.changed("an object for text", |json| {
        json["payload"]["from"] = json!({})
    });
    shop.changed("delegations that are none", |json| {
        json["payload"]["delegations"] = json!([{}])
    });
    shop.close();
}

#[test]
fn json_with_duplicate_keys() {
    let shop = Shop::open();
    let json = shop.json().to_string();
    let twice = json.replacen("\"nonce\":", "\"nonce\":\"00\",\"nonce\":", 1);
    assert_ne!(json, twice);
    shop.is_no_payment("nonce twice", &to_base64(twice.as_bytes()));
    let twice = json.replacen("{", "{\"accepted\":{},", 1);
    shop.is_no_payment("accepted twice", &to_base64(twice.as_bytes()));
    shop.close();
}

#[test]
fn deep_nesting_and_long_lists() {
    let shop = Shop::open();
    for depth in [33, 200, 4_000] {
        let deep = format!("{}{}", "[".repeat(depth), "]".repeat(depth));
        shop.is_no_payment("nested lists", &to_base64(deep.as_bytes()));
        let objects = format!("{}1{}", "{\"a\":".repeat(depth / 2), "}".repeat(depth / 2));
        shop.is_no_payment("nested objects", &to_base64(objects.as_bytes()));
    }
    shop.changed("many delegations", |json| {
        let one = json!({"pubkey": "AA==", "expiration": "1", "signature": "AA=="});
        json["payload"]["delegations"] = Value::Array(vec![one; 21]);
    });
    shop.close();
}

#[test]
fn oversized_headers() {
    let shop = Shop::open();
    let long = |bytes| to_base64(format!("{{\"a\":\"{}\"}}", "x".repeat(bytes)).as_bytes());
    for bytes in [12_000, 16_384, 48_000] {
        shop.is_no_payment("long", &long(bytes));
        shop.is_no_payment("long garbage", &"A".repeat(bytes + 4));
    }
    for bytes in [70_000, 100_000, 600_000] {
        let request = Request::get("/article");
        shop.is_dropped(431, &request.clone().payment(&long(bytes)));
        shop.is_dropped(431, &request.payment(&"A".repeat(bytes + 16_384)));
    }
    shop.close();
}

#[test]
fn texts_that_are_no_values() {
    let shop = Shop::open();
    for nonce in [
        "",
        "00",
        "zz",
        &"AB".repeat(32),
        &"ab".repeat(33),
        &format!("0x{}", "ab".repeat(31)),
    ] {
        shop.changed(&format!("nonce {nonce}"), |json| {
            json["payload"]["nonce"] = json!(nonce)
        });
    }
    for time in [
        "",
        "-1",
        "+1",
        "1e9",
        "01",
        "1.0",
        " 1",
        "1 ",
        "18446744073709551616",
        "0x10",
        "١",
    ] {
        shop.changed(&format!("time {time}"), |json| {
            json["payload"]["validAfter"] = json!(time)
        });
        shop.changed(&format!("time {time}"), |json| {
            json["payload"]["validBefore"] = json!(time)
        });
    }
    for account in [
        "",
        "x",
        "aaaaa-aa-aa",
        "2vxsx-fae.",
        "AAAAA-AA",
        &"a-".repeat(500),
        "aaaaa-aa.1",
    ] {
        shop.changed(&format!("account {account}"), |json| {
            json["payload"]["from"] = json!(account)
        });
    }
    for bytes in ["AA", "A===", "-_==", "AB==", &"A".repeat(20_000)] {
        shop.changed("key", |json| json["payload"]["publicKey"] = json!(bytes));
        shop.changed("signature", |json| {
            json["payload"]["signature"] = json!(bytes)
        });
    }
    shop.close();
}

#[test]
fn amounts_with_signs_exponents_zeros_and_2_to_the_256() {
    // The accepted offer is compared as text values: none of these is equal to it.
    let shop = Shop::open();
    let two_to_256 =
        "115792089237316195423570985008687907853269984665640564039457584007913129639936";
    for amount in [
        "+30000", "-30000", "3e4", "030000", "30000.0", " 30000", "", two_to_256, "0", "٣",
    ] {
        let mut json = shop.json();
        json["accepted"]["amount"] = json!(amount);
        let request = Request::get("/article").payment(&to_base64(json.to_string().as_bytes()));
        let answer = shop.setup.send(&request);
        assert_eq!(answer.status, 402, "{amount}");
        assert!(answer.payment_required().is_some(), "{amount}");
    }
    shop.changed("a number", |json| {
        json["accepted"]["amount"] = json!(30_000)
    });
    shop.close();
}

#[test]
fn two_payment_headers_are_refused() {
    let shop = Shop::open();
    let good = shop.good.header();
    for (first, second) in [
        ("PAYMENT-SIGNATURE", "PAYMENT-SIGNATURE"),
        ("payment-signature", "Payment-Signature"),
    ] {
        let request = Request::get("/article")
            .header(first, &good)
            .header(second, &good);
        let answer = shop.setup.send(&request);
        assert_eq!((answer.status, answer.upgraded), (402, true));
        let error = answer.payment_required().unwrap().error;
        assert_eq!(error.as_deref(), Some(Code::InvalidPayload.as_str()));
    }
    shop.close();
}

#[test]
fn header_name_in_any_case_is_a_payment() {
    let shop = Shop::open();
    let request = Request::get("/article").header("pAyMeNt-SiGnAtUrE", &shop.good.header());
    assert_eq!(shop.setup.send(&request).status, 200);
    shop.setup.check_conservation();
}

#[test]
fn unknown_keys_in_a_payload_change_nothing() {
    let shop = Shop::open();
    let mut json = shop.json();
    json["extra"] = json!({"anything": [1, 2, 3]});
    json["accepted"]["more"] = json!("x");
    json["accepted"]["extra"]["more"] = json!(null);
    json["resource"] = json!({"url": "https://elsewhere.example/"});
    let request = Request::get("/article").payment(&to_base64(json.to_string().as_bytes()));
    assert_eq!(shop.setup.send(&request).status, 200);
    shop.setup.check_conservation();
}

#[test]
fn huge_bodies_are_refused_before_they_are_read() {
    let shop = Shop::open();
    let paid = Request::get("/article").payment(&shop.good.header());
    let post = Request::new("POST", "/article");
    for bytes in [90_000, 200_000, 1_048_577, 1_500_000] {
        shop.is_dropped(413, &paid.clone().body(&vec![7; bytes]));
        shop.is_dropped(413, &post.clone().body(&vec![7; bytes]));
    }
    // A request within the limits is processed.
    let answer = shop.setup.send(&post.body(&vec![7; 60_000]));
    assert_eq!((answer.status, answer.upgraded), (405, true));
    shop.close();
}

#[test]
fn bodies_of_a_message_can_be_paid_for() {
    let shop = Shop::open();
    let request = Request::get("/article").payment(&shop.good.header());
    assert_eq!(shop.setup.send(&request.body(&vec![7; 60_000])).status, 200);
    shop.setup.check_conservation();
}

#[test]
fn thousands_of_headers_are_survived() {
    let shop = Shop::open();
    let mut request = Request::get("/article");
    for number in 0..4_000 {
        request = request.header(&format!("x-{number}"), "value");
    }
    assert_eq!(shop.setup.send(&request).status, 402);
    let request = request
        .header("", "")
        .header("\u{0}", "\u{ffff}")
        .payment(&shop.good.header());
    assert_eq!(shop.setup.send(&request).status, 200);
    shop.setup.check_conservation();
}

#[test]
fn paid_path_longer_than_a_purchase_allows_is_refused_uncharged() {
    let setup = Setup::new();
    let payer = setup.payer(141);
    let sale = setup.sell("/data/{id}", PRICE).url("/data/7");
    let payment = sale.pay(&payer).signed.header();
    let long = Request::get(&format!("/data/{}", "x".repeat(300)));
    // There is no offer, so nobody signs for it.
    assert_eq!(setup.send(&long).status, 414);
    assert_eq!(setup.send(&long.payment(&payment)).status, 414);
    assert!(setup.payments().is_empty());
    setup.check_conservation();
}
