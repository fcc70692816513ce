//! Unusual payments: decoding is strict in what is signed, tolerant in the rest, and the error names the supported
//! version.

use crate::support::{Request, Setup, Signed, interface::PaymentIdentifier};
use serde_json::{Value, json};
use x402_icp::{
    Code,
    values::to_base64,
    wire::{PaymentPayload, PaymentRequirements, X402_VERSION},
};

const PRICE: u128 = 30_000;

struct Shop {
    setup: Setup,
    payers: std::cell::Cell<u8>,
}

impl Shop {
    fn open() -> Self {
        let setup = Setup::new();
        setup.sell("/article", PRICE);
        let payers = std::cell::Cell::new(200);
        Self { setup, payers }
    }

    fn signed(&self, path: &str) -> Signed {
        self.payers.set(self.payers.get() + 1);
        let payer = self.setup.payer(self.payers.get());
        let offer = self.setup.sale(Request::get(path)).offer();
        payer.sign(&offer, self.setup.now())
    }

    /// Sends a valid payment with changed text.
    fn sent(&self, path: &str, change: impl FnOnce(Value) -> String) -> crate::support::Answer {
        let json = serde_json::to_value(&self.signed(path).payload).unwrap();
        let header = to_base64(change(json).as_bytes());
        self.setup.send(&Request::get(path).payment(&header))
    }

    fn is_taken(&self, what: &str, change: impl FnOnce(&mut Value)) {
        let answer = self.sent("/article", |mut json| {
            change(&mut json);
            json.to_string()
        });
        assert_eq!(
            answer.status,
            200,
            "{what}: {:?}",
            answer.payment_required()
        );
        self.setup.check_conservation();
    }
}

#[test]
fn numbers_are_read_by_value() {
    let shop = Shop::open();
    let timeout = shop.signed("/article").payload.accepted.max_timeout_seconds;
    shop.is_taken("a timeout with a point", |json| {
        json["accepted"]["maxTimeoutSeconds"] = json!(f64::from(timeout))
    });
    shop.is_taken("decimals with a point", |json| {
        let decimals = json["accepted"]["extra"]["decimals"].as_f64().unwrap();
        json["accepted"]["extra"]["decimals"] = json!(decimals)
    });
    shop.is_taken("a version with a point", |json| {
        json["x402Version"] = json!(2.0)
    });
    shop.is_taken("a revision with a point", |json| {
        let revision = json["accepted"]["extra"]["revision"].as_f64().unwrap();
        json["accepted"]["extra"]["revision"] = json!(revision)
    });
    let answer = shop.sent("/article", |json| {
        let text = json.to_string();
        let exponent = text.replacen(
            &format!("\"maxTimeoutSeconds\":{timeout}"),
            &format!("\"maxTimeoutSeconds\":{}e-1", timeout * 10),
            1,
        );
        assert_ne!(text, exponent);
        exponent
    });
    assert_eq!(answer.status, 200);
}

#[test]
fn null_and_empty_lists_are_nothing_and_odd_members_that_are_not_signed_are_passed_over() {
    let shop = Shop::open();
    shop.is_taken("extensions are an empty list", |json| {
        json["extensions"] = json!([])
    });
    shop.is_taken("extensions are null", |json| {
        json["extensions"] = json!(null)
    });
    shop.is_taken("extensions are a text", |json| {
        json["extensions"] = json!("")
    });
    shop.is_taken("the resource is null", |json| {
        json["resource"] = json!(null)
    });
    shop.is_taken("the resource is a list", |json| {
        json["resource"] = json!([1])
    });
    shop.is_taken("the resource has a number for a URL", |json| {
        json["resource"] = json!({"url": 7, "tags": "x"})
    });
    shop.is_taken("the flow is null", |json| {
        json["accepted"]["extra"]["paymentFlow"] = json!(null)
    });
    shop.is_taken("the flow is the default", |json| {
        json["accepted"]["extra"]["paymentFlow"] = json!("authorization")
    });
    shop.is_taken("delegations are null", |json| {
        json["payload"]["delegations"] = json!(null)
    });
    shop.is_taken("the route's own keys are left out", |json| {
        for key in ["method", "route", "revision"] {
            json["accepted"]["extra"]
                .as_object_mut()
                .unwrap()
                .remove(key);
        }
    });
    shop.is_taken("the route's own keys are others", |json| {
        json["accepted"]["extra"]["method"] = json!("POST");
        json["accepted"]["extra"]["route"] = json!(["/other"]);
        json["accepted"]["extra"]["revision"] = json!("7");
    });
}

#[test]
fn a_null_identifier_is_none() {
    let shop = Shop::open();
    for (path, policy, status) in [
        ("/optional", PaymentIdentifier::Optional, 200),
        ("/required", PaymentIdentifier::Required, 400),
    ] {
        shop.setup
            .route_put(crate::support::interface::RouteArgs {
                payment_identifier: Some(policy),
                ..shop.setup.priced("GET", path, PRICE)
            })
            .unwrap();
        shop.setup.upload("GET", path, b"the article");
        for extension in [
            json!({"info": {"required": status == 400, "id": null}}),
            json!(null),
        ] {
            let answer = shop.sent(path, |mut json| {
                json["extensions"] = json!({ "payment-identifier": extension });
                json.to_string()
            });
            assert_eq!(answer.status, status, "{path} {extension}");
            if status == 400 {
                assert_eq!(answer.body, br#"{"error":"payment_identifier_required"}"#);
            }
        }
    }
}

#[test]
fn a_payment_of_version_1_is_told_the_version() {
    let shop = Shop::open();
    let of_version_1 = to_base64(
        br#"{"x402Version":1,"scheme":"exact","network":"base","payload":{"signature":"0x"}}"#,
    );
    let good = shop.signed("/article").header();
    for (what, request) in [
        (
            "a payload of version 1",
            Request::get("/article").payment(&of_version_1),
        ),
        (
            "its header",
            Request::get("/article").header("X-PAYMENT", &of_version_1),
        ),
        (
            "its header in lower case",
            Request::get("/article").header("x-payment", "garbage"),
        ),
        (
            "ours in its header",
            Request::get("/article").header("x-payment", &good),
        ),
    ] {
        let answer = shop.setup.send(&request);
        assert_eq!((answer.status, answer.upgraded), (402, true), "{what}");
        let required = answer.payment_required().unwrap();
        assert_eq!(required.x402_version, X402_VERSION);
        let code = required.error.as_deref().and_then(Code::from_text);
        assert_eq!(code, Some(Code::InvalidX402Version), "{what}");
    }
    assert!(shop.setup.payments().is_empty());
    // Nothing is sold there, so the response is not about a payment.
    let request = Request::get("/missing").header("x-payment", &of_version_1);
    assert_eq!(shop.setup.send(&request).status, 404);
    // Beside a payment of version 2 it is ignored.
    let both = Request::get("/article")
        .header("x-payment", "old")
        .payment(&good);
    assert_eq!(shop.setup.send(&both).status, 200);
    shop.setup.check_conservation();
}

#[test]
fn routes_whose_402_leaves_no_room_for_a_payment_are_not_put() {
    use crate::support::interface::{RouteArgs, RouteError};
    let setup = Setup::with_any_ledger();
    let route = |description: &str| RouteArgs {
        description: description.into(),
        mime_type: format!("text/{}", "m".repeat(123)),
        payment_identifier: Some(PaymentIdentifier::Required),
        ..setup.priced("GET", &format!("/{}", "p".repeat(255)), PRICE)
    };
    for description in [
        "\u{fc}".repeat(128),
        "\u{1f980}".repeat(64),
        "\"\\".repeat(128),
    ] {
        let refused = setup.route_put(route(&description));
        assert!(
            matches!(&refused, Err(RouteError::InvalidArgument(e)) if e.field == "description" && e.limit.is_some()),
            "{refused:?}"
        );
    }
    let longest = route(&"d".repeat(256));
    setup.route_put(longest.clone()).unwrap();
    setup.upload("GET", &longest.path, b"x");
    let answer = setup.get(&longest.path);
    let required = answer.payment_required().unwrap();
    let echo: PaymentPayload<_, Value> = PaymentPayload {
        x402_version: X402_VERSION,
        resource: Some(required.resource),
        accepted: required.accepts.into_iter().next().unwrap() as PaymentRequirements,
        payload: Value::Null,
        extensions: required.extensions,
    };
    let room = x402_icp::MAX_HEADER_BYTES / 4 * 3 - serde_json::to_vec(&echo).unwrap().len();
    assert!(room > 9_792, "{room} bytes are left for the authorization");
}
