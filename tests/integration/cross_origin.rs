//! What a page of another origin may send and read.

use crate::support::{Answer, Request, Setup};

const PRICE: u128 = 30_000;

fn names(answer: &Answer, header: &str) -> Vec<String> {
    let list = answer.header(header).unwrap_or_else(|| panic!("{header}"));
    list.split(", ").map(str::to_ascii_lowercase).collect()
}

#[test]
fn every_answer_lets_a_page_read_what_x402_and_the_gateway_put_there() {
    let setup = Setup::new();
    let payer = setup.payer(175);
    let sale = setup.sell("/article", PRICE);
    setup.publish_free("/about", b"about us");
    let paid = sale.pay(&payer).send().expect_settled();
    let id = paid.signed.id;
    let mut answers = vec![("the content", paid.answer.clone())];
    for (what, request) in [
        ("the 402 of a query", Request::get("/article")),
        (
            "the 402 of an update",
            Request::get("/article").payment("garbage"),
        ),
        ("free content", Request::get("/about")),
        ("404", Request::get("/missing")),
        ("405", Request::new("POST", "/article")),
        ("400", Request::get("/article/%ff").payment("garbage")),
        ("a receipt", Request::get(&format!("/x402/receipts/{id}"))),
        ("a payment", Request::get(&format!("/x402/payments/{id}"))),
        ("HEAD", Request::new("HEAD", "/article")),
    ] {
        answers.push((what, setup.send(&request)));
    }
    for (what, answer) in answers {
        assert_eq!(answer.header("access-control-allow-origin"), Some("*"));
        let exposed = names(&answer, "access-control-expose-headers");
        for name in [
            "payment-required",
            "payment-response",
            "x-payment-response",
            "retry-after",
            "content-length",
            "content-range",
            "accept-ranges",
            "x-request-id",
            "x-ic-canister-id",
        ] {
            assert!(exposed.iter().any(|one| one == name), "{what}: {name}");
        }
    }
}

#[test]
fn every_preflight_allows_what_x402_clients_and_the_gateway_send() {
    let setup = Setup::with_any_ledger();
    setup.sell("/article", PRICE);
    for url in ["/article", "/missing", "/x402/payments/7", "/"] {
        let answer = setup.send(&Request::new("OPTIONS", url));
        assert_eq!((answer.status, answer.upgraded), (204, false));
        let allowed = names(&answer, "access-control-allow-headers");
        for name in [
            "content-type",
            "payment-signature",
            "x-payment",
            "sign-in-with-x",
            "access-control-expose-headers",
            "authorization",
            "range",
            "if-none-match",
            "if-modified-since",
            "cache-control",
            "x-requested-with",
            "x-ic-canister-id",
        ] {
            assert!(allowed.iter().any(|one| one == name), "{url}: {name}");
        }
        assert_eq!(answer.header("access-control-max-age"), Some("7200"));
    }
}
