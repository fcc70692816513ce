//! A response of one node is accepted only with the subnet's signature.

use crate::support::{
    Request, Setup,
    interface::{HttpResponse, Payment},
};
use ic_http_certification as http;
use x402_icp::{encode_header, wire::PAYMENT_REQUIRED};

const PRICE: u128 = 30_000;

fn proven(setup: &Setup, request: &Request) -> HttpResponse {
    let response = request.query(&setup.pic, setup.canister);
    assert!(
        request.verifies(&setup.pic, setup.canister, &response),
        "{request:?}"
    );
    response
}

#[test]
fn forged_402_of_a_node_is_refused_by_response_verification() {
    let setup = Setup::with_any_ledger();
    setup.sell("/article", PRICE);
    let request = Request::get("/article");
    let honest = proven(&setup, &request);
    let refused = |what: &str, forge: &dyn Fn(&mut HttpResponse)| {
        let mut forged = honest.clone();
        forge(&mut forged);
        assert!(
            !request.verifies(&setup.pic, setup.canister, &forged),
            "{what}"
        );
    };
    refused("payTo of the node's operator", &|response| {
        for (name, value) in &mut response.headers {
            if name.eq_ignore_ascii_case(PAYMENT_REQUIRED) {
                let offers = setup.get("/article").payment_required().unwrap();
                let mut forged = offers;
                forged.accepts[0].pay_to = crate::support::setup::stranger().to_text();
                *value = encode_header(&forged);
            }
        }
    });
    refused("another status", &|response| response.status_code = 200);
    refused("another body", &|response| response.body.push(b' '));
    refused("a free answer", &|response| {
        response.status_code = 200;
        response
            .headers
            .retain(|(name, _)| !name.eq_ignore_ascii_case(PAYMENT_REQUIRED));
    });
    for index in 0..honest.headers.len() {
        let name = honest.headers[index].0.clone();
        refused(&format!("without {name}"), &|response| {
            response.headers.remove(index);
        });
    }
    refused("a cookie", &|response| {
        response
            .headers
            .push(("set-cookie".into(), "session=1".into()));
    });
}

/// A client that gets a 402 with offers after it has paid signs again, and pays twice.
#[test]
fn a_node_cannot_answer_a_paid_request_with_the_unpaid_402() {
    let setup = Setup::with_any_ledger();
    let payer = setup.payer(135);
    let article = setup.sell("/article", PRICE);
    setup.sell("/data/{id}", PRICE);
    setup.sell_at("POST", "/article", PRICE);
    let free = crate::support::setup::free("DELETE", "/article");
    setup.route_put(free).unwrap();
    setup.upload("DELETE", "/article", b"gone");
    let header = payer.sign(&article.offer(), setup.now()).header();
    for url in ["/article", "/data/7"] {
        for method in ["GET", "HEAD", "POST", "PUT", "DELETE", "OPTIONS"] {
            let unpaid = Request::new(method, url);
            let answer = proven(&setup, &unpaid);
            for payment in [&header, "garbage", ""] {
                for name in [
                    "PAYMENT-SIGNATURE",
                    "payment-signature",
                    "Payment-Signature",
                ] {
                    let paid = unpaid.clone().header(name, payment);
                    assert!(
                        !paid.verifies(&setup.pic, setup.canister, &answer),
                        "{method} {url} {name}: {payment}"
                    );
                    let honest = paid.query(&setup.pic, setup.canister);
                    assert_eq!(honest.upgrade, Some(true), "{method} {url}");
                }
            }
            let twice = unpaid.clone().payment(&header).payment(&header);
            assert!(!twice.verifies(&setup.pic, setup.canister, &answer));
            // Any other header makes no difference.
            let other = unpaid.header("x-payment", "e30=");
            assert!(other.verifies(&setup.pic, setup.canister, &answer));
        }
    }
}

#[test]
fn a_node_cannot_deny_a_payment() {
    let setup = Setup::with_any_ledger();
    let payer = setup.payer(136);
    let settled = setup
        .sell("/article", PRICE)
        .pay(&payer)
        .send()
        .expect_settled();
    let denial = proven(&setup, &Request::get("/missing"));
    assert_eq!(denial.status_code, 404);
    for place in ["receipts", "payments"] {
        let request = Request::get(&format!("/x402/{place}/{}", settled.signed.id));
        assert!(!request.verifies(&setup.pic, setup.canister, &denial));
        let upgrade = request.query(&setup.pic, setup.canister).upgrade;
        assert_eq!(upgrade, Some(true));
    }
}

/// A page that a node can show on the shop's origin runs its script there.
#[test]
fn a_page_forged_by_a_node_below_the_receipts_is_refused_by_the_gateway() {
    let setup = Setup::with_any_ledger();
    let payer = setup.payer(137);
    let sale = setup.sell("/article", PRICE);
    let settled = sale.pay(&payer).send().expect_settled();
    let url = format!("/x402/receipts/{}", settled.signed.id);
    let skip = http::DefaultCelBuilder::skip_certification().to_string();
    // The proofs that the node has are those of honest answers.
    for honest in [
        Request::new("OPTIONS", &url),
        Request::get("/article"),
        Request::get("/missing"),
    ] {
        let mut forged = proven(&setup, &honest);
        forged.status_code = 200;
        forged.body = b"<script>alert(1)</script>".to_vec();
        for expression in [None, Some(&skip)] {
            for (name, value) in &mut forged.headers {
                if name.eq_ignore_ascii_case("ic-certificateexpression")
                    && let Some(expression) = expression
                {
                    value.clone_from(expression);
                }
            }
            for place in [&*url, "/x402/receipts/7", "/x402/receipts", "/article", "/"] {
                let request = Request::get(place);
                let verifies = request.verifies(&setup.pic, setup.canister, &forged);
                assert!(!verifies, "{place} with the proof of {}", honest.url);
            }
        }
    }
    // Nor does the honest answer of the raw domain pass where gateways verify.
    let raw = Request::get_raw(setup.canister, &url).query(&setup.pic, setup.canister);
    assert_eq!((raw.status_code, raw.upgrade), (200, None));
    assert!(!Request::get(&url).verifies(&setup.pic, setup.canister, &raw));
}

#[test]
fn answer_of_one_request_does_not_pass_for_another() {
    let setup = Setup::with_any_ledger();
    setup.sell("/article", PRICE);
    setup.sell("/cheap", 10);
    setup.sell_at("POST", "/article", 5);
    setup.publish_free("/about", b"about us");
    let requests = [
        Request::get("/article"),
        Request::get("/cheap"),
        Request::new("POST", "/article"),
        Request::get("/about"),
        Request::get("/missing"),
        Request::new("HEAD", "/article"),
        Request::new("OPTIONS", "/article"),
    ];
    for (i, asked) in requests.iter().enumerate() {
        for (j, other) in requests.iter().enumerate() {
            let answer = proven(&setup, other);
            let verdict = asked.verifies(&setup.pic, setup.canister, &answer);
            assert_eq!(verdict, i == j, "{asked:?} answered as {other:?}");
        }
    }
}

#[test]
fn tampered_certified_data_is_refused() {
    let setup = Setup::with_any_ledger();
    setup.sell("/article", PRICE);
    let request = Request::get("/article");
    let old = proven(&setup, &request);
    setup
        .route_put(setup.priced("GET", "/article", PRICE + 1))
        .unwrap();
    let new = proven(&setup, &request);
    let proof = |response: &HttpResponse| {
        let header = response
            .headers
            .iter()
            .find(|(name, _)| name.eq_ignore_ascii_case("ic-certificate"))
            .map(|(_, value)| value.clone())
            .expect("a proof");
        let part = |key: &str| {
            header
                .split(", ")
                .find_map(|part| part.strip_prefix(key))
                .expect("a part of the proof")
                .to_string()
        };
        (part("certificate="), part("tree="), part("expr_path="))
    };
    let ((certificate, ..), (_, old_tree, path)) = (proof(&new), proof(&old));
    // The old price with its own tree, but under the present certificate.
    let mut forged = old.clone();
    for (name, value) in &mut forged.headers {
        if name.eq_ignore_ascii_case("ic-certificate") {
            *value =
                format!("certificate={certificate}, tree={old_tree}, expr_path={path}, version=2");
        }
    }
    assert!(!request.verifies(&setup.pic, setup.canister, &forged));
    // One bit of the certificate, one of the tree.
    for (index, key) in ["certificate=:", "tree=:"].iter().enumerate() {
        let mut forged = new.clone();
        for (name, value) in &mut forged.headers {
            if name.eq_ignore_ascii_case("ic-certificate") {
                let at = value.find(key).unwrap() + key.len() + 200 - 100 * index;
                let changed = if value.as_bytes()[at] == b'A' {
                    "B"
                } else {
                    "A"
                };
                value.replace_range(at..=at, changed);
            }
        }
        assert!(
            !request.verifies(&setup.pic, setup.canister, &forged),
            "{key}"
        );
    }
}

#[test]
fn proof_of_another_canister_is_refused() {
    let setup = Setup::with_any_ledger();
    setup.sell("/article", PRICE);
    let twin = setup.another_canister();
    let request = Request::get("/article");
    let answer = proven(&setup, &request);
    assert!(!request.verifies(&setup.pic, twin, &answer));
}

#[test]
fn stale_proof_is_refused() {
    let setup = Setup::with_any_ledger();
    setup.sell("/article", PRICE);
    let request = Request::get("/article");
    let answer = proven(&setup, &request);
    setup.advance(301);
    assert!(!request.verifies(&setup.pic, setup.canister, &answer));
    proven(&setup, &request);
}

#[test]
fn changes_of_the_catalogue_are_certified_at_once() {
    let setup = Setup::new();
    let request = Request::get("/article");
    assert_eq!(proven(&setup, &request).status_code, 404);
    setup.sell("/article", PRICE);
    assert_eq!(proven(&setup, &request).status_code, 402);
    let offer = || {
        setup
            .get("/article")
            .payment_required()
            .unwrap()
            .accepts
            .remove(0)
    };
    let first = offer();
    setup
        .route_put(setup.priced("GET", "/article", 2 * PRICE))
        .unwrap();
    let second = offer();
    assert_eq!(second.amount, (2 * PRICE).to_string());
    assert_ne!(first.extra.offer, second.extra.offer);
    setup
        .route_put(crate::support::setup::free("GET", "/article"))
        .unwrap();
    assert_eq!(proven(&setup, &request).status_code, 200);
    setup.upload("GET", "/article", b"another text");
    assert_eq!(setup.get("/article").body, b"another text");
    setup.route_remove("GET", "/article").unwrap();
    assert_eq!(proven(&setup, &request).status_code, 404);
}

#[test]
fn new_recipient_and_refreshed_ledger_are_certified_at_once() {
    let setup = Setup::new();
    let sale = setup.sell("/article", PRICE);
    let account =
        icrc_ledger_types::icrc1::account::Account::from(crate::support::setup::stranger());
    let done: Result<(), crate::support::interface::RouteError> = setup.update(
        crate::support::setup::controller(),
        "pay_to_set",
        (account,),
    );
    done.unwrap();
    assert_eq!(sale.offer().pay_to, account.to_string());
    setup.ledger.set_fee(&setup, 77);
    setup.ledger_add(setup.ledger.0).unwrap();
    assert_eq!(sale.offer().extra.fee, "77");
}

#[test]
fn unpaid_flood_leaves_state_unchanged() {
    let setup = Setup::with_any_ledger();
    setup.sell("/article", PRICE);
    setup.sell("/data/{id}", PRICE);
    let state = || {
        let payments: Vec<Payment> = setup.payments();
        (payments, setup.pic.get_stable_memory(setup.canister))
    };
    let (payments, stable) = state();
    let cycles = setup.pic.cycle_balance(setup.canister);
    for number in 0..100 {
        assert_eq!(setup.get("/article").status, 402);
        assert_eq!(setup.get(&format!("/data/{number}?q={number}")).status, 402);
        assert_eq!(setup.get(&format!("/missing/{number}")).status, 404);
        let garbage = Request::get(&format!("/missing/{number}")).payment("garbage");
        let answer = setup.send(&garbage);
        assert!(
            answer.status == 404 && !answer.upgraded,
            "garbage where nothing is sold costs nothing"
        );
    }
    assert_eq!(
        setup.pic.cycle_balance(setup.canister),
        cycles,
        "queries are free"
    );
    let (payments_after, stable_after) = state();
    assert_eq!(payments_after, payments);
    assert!(stable_after == stable, "stable memory changed");
}

/// A message that pays nothing is dropped before it runs, or leaves nothing behind.
#[test]
fn flood_of_updates_without_a_payment_leaves_state_unchanged() {
    let setup = Setup::with_any_ledger();
    setup.sell("/article", PRICE);
    let stable = setup.pic.get_stable_memory(setup.canister);
    for number in 0..20 {
        let garbage = format!("garbage{number}");
        let refused = setup.send(&Request::get("/article").payment(&garbage));
        assert_eq!((refused.status, refused.upgraded), (402, true));
        let unpaid = Request::get(&format!("/article?n={number}"));
        setup
            .raw_update(
                candid::Principal::anonymous(),
                "http_request_update",
                unpaid.update_argument(),
            )
            .expect_err("a query answers it");
    }
    assert!(setup.payments().is_empty());
    let after = setup.pic.get_stable_memory(setup.canister);
    assert!(after == stable, "stable memory changed");
}

#[test]
fn no_answer_skips_certification() {
    let setup = Setup::with_any_ledger();
    setup.sell("/article", PRICE);
    setup.publish_free("/about", b"about us");
    for url in ["/article", "/about", "/missing", "/"] {
        for method in ["GET", "HEAD", "OPTIONS", "DELETE"] {
            let response = proven(&setup, &Request::new(method, url));
            let expression = response
                .headers
                .iter()
                .find(|(name, _)| name.eq_ignore_ascii_case("ic-certificateexpression"))
                .map(|(_, value)| value.as_str())
                .expect("an expression");
            assert!(!expression.contains("no_certification"), "{method} {url}");
            assert!(
                expression.contains("response_header_exclusions:ResponseHeaderList{headers:[]}")
            );
        }
    }
}
