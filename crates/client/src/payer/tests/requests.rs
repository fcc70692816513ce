//! The offers that are accepted for a request, and the content of the payment.

use super::{
    seller::{Act, SPENDER, Seller, delivered, offer, price, priced},
    *,
};
use crate::OfferProblem;
use x402_icp::decode::decode_header;

/// The reason why the only offer was refused.
fn refused(result: Result<Outcome, PayError>) -> OfferProblem {
    match result {
        Err(PayError::NoAcceptableOffer(mut refused)) if refused.len() == 1 => {
            refused.remove(0).problem
        }
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn an_offer_that_a_stranger_relays_is_refused() {
    // The exact offer of a trusted shop, under another host.
    let seller = Seller::open(|got, _| match got.payment {
        None => price(got),
        Some(_) => delivered(got),
    })
    .await;
    let port = seller.port;
    for url in [
        format!("http://127.0.0.1:{port}/a"),
        format!("http://ryjl3-tyaaa-aaaaa-aaaba-cai.localhost:{port}/a"),
        format!("http://{SPENDER}.evil.localhost:{port}/a"),
        format!("http://ryjl3-tyaaa-aaaaa-aaaba-cai.localhost:{port}/a?canisterId={SPENDER}"),
    ] {
        let problem = refused(payer(memory()).pay(&Request::get(&url).unwrap()).await);
        assert!(
            matches!(
                problem,
                OfferProblem::UnknownServer(_)
                    | OfferProblem::Spender { .. }
                    | OfferProblem::OtherRequest(_)
            ),
            "{url}: {problem:?}"
        );
        assert!(
            !matches!(problem, OfferProblem::OtherRequest(_)) || url.contains('?'),
            "{url}"
        );
    }
    assert_eq!(seller.paid_requests(), 0);
    // Named by the user, or as the typed parameter of a bare gateway.
    let named = payer(memory()).with_spender(Principal::from_text(SPENDER).unwrap());
    let request = Request::get(&format!("http://127.0.0.1:{port}/a")).unwrap();
    assert!(named.pay(&request).await.is_ok());
}

#[tokio::test]
async fn the_offer_of_another_resource_is_refused() {
    for (method, path) in [
        ("GET", "/b"),
        ("POST", "/a"),
        ("GET", "/a/b"),
        ("GET", "/{any}/b"),
    ] {
        let seller = Seller::open(move |got, _| match got.payment {
            None => priced(json!([offer(method, path)])),
            Some(_) => delivered(got),
        })
        .await;
        let problem = refused(payer(memory()).pay(&get(&seller, "/a")).await);
        assert!(
            matches!(problem, OfferProblem::OtherRequest(_)),
            "{method} {path}: {problem:?}"
        );
    }
    // A template that matches belongs to the route.
    let seller = Seller::open(|got, _| match got.payment {
        None => priced(json!([offer("GET", "/data/{id}")])),
        Some(_) => delivered(got),
    })
    .await;
    assert!(
        payer(memory())
            .pay(&get(&seller, "/data/7?x=y"))
            .await
            .is_ok()
    );
    assert!(
        payer(memory())
            .pay(&get(&seller, "/data/7/8"))
            .await
            .is_err()
    );
}

#[tokio::test]
async fn a_gateways_claim_needs_the_canisters_confirmation() {
    // The header names the spender, but nothing confirms it: no canister answers here.
    let seller = Seller::open(|got, _| match price(got) {
        Act::Answer(status, mut headers, body) => {
            headers.push(("x-ic-canister-id".into(), SPENDER.into()));
            Act::Answer(status, headers, body)
        }
        other => other,
    })
    .await;
    let request = Request::get(&format!("http://127.0.0.1:{}/a", seller.port)).unwrap();
    let problem = refused(payer(memory()).pay(&request).await);
    assert!(
        matches!(problem, OfferProblem::UnknownServer(_)),
        "{problem:?}"
    );
}

#[tokio::test]
async fn money_does_not_follow_a_redirect_to_another_origin() {
    let other = Seller::open(|got, _| match got.payment {
        None => price(got),
        Some(_) => delivered(got),
    })
    .await;
    for status in [301, 302, 303, 307, 308] {
        let to = other.url("/a");
        let seller = Seller::open(move |_, _| {
            Act::Answer(status, vec![("location".into(), to.clone())], vec![])
        })
        .await;
        let request = get(&seller, "/a")
            .with_header("Authorization", "Bearer x")
            .with_header("X-Mine", "1");
        match payer(memory()).pay(&request).await {
            Err(PayError::Redirected { url, .. }) => assert_eq!(url, other.url("/a")),
            result => panic!("{status}: {result:?}"),
        }
    }
    for got in other.got() {
        assert_eq!(got.payment, None);
        let leaked = |(name, _): &&(String, String)| name == "authorization" || name == "x-mine";
        assert_eq!(got.headers.iter().find(leaked), None);
    }
}

#[tokio::test]
async fn the_request_that_got_the_402_is_the_one_paid() {
    let seller = Seller::open(|got, _| match (got.path.as_str(), &got.payment) {
        ("/start", None) => Act::Answer(302, vec![("location".into(), "/end?x=1".into())], vec![]),
        (_, None) => priced(json!([offer("GET", "/end")])),
        (_, Some(_)) => delivered(got),
    })
    .await;
    let request = get(&seller, "/start").with_header("X-Mine", "1");
    let payer = payer(memory());
    assert!(payer.pay(&request).await.is_ok());
    let paid: Vec<_> = seller
        .got()
        .into_iter()
        .filter(|got| got.payment.is_some())
        .collect();
    assert_eq!(paid.len(), 1);
    assert_eq!(
        (paid[0].method.as_str(), paid[0].path.as_str()),
        ("GET", "/end?x=1")
    );
    assert!(paid[0].headers.iter().any(|(name, _)| name == "x-mine"));
    // A POST is not bought as another request.
    for status in [301, 302, 303, 307, 308] {
        let seller = Seller::open(move |got, _| match got.path.as_str() {
            "/start" => Act::Answer(status, vec![("location".into(), "/end".into())], vec![]),
            _ => price(got),
        })
        .await;
        let request = Request::new("POST", &seller.url("/start"), b"body".to_vec()).unwrap();
        assert!(
            matches!(payer.pay(&request).await, Err(PayError::Redirected { .. })),
            "{status}"
        );
        assert_eq!(seller.paid_requests(), 0);
    }
}

#[tokio::test]
async fn a_redirected_purchase_that_is_unresolved_is_found_again() {
    let seller = Seller::open(|got, before| match (got.path.as_str(), &got.payment) {
        // Each time to another place.
        ("/start", None) => Act::Answer(
            302,
            vec![("location".into(), format!("/end?token={before}"))],
            vec![],
        ),
        (_, None) => priced(json!([offer("GET", "/end")])),
        (_, Some(_)) if before < 2 => Act::HangUp,
        (_, Some(_)) => delivered(got),
    })
    .await;
    let payer = payer(memory()).with_patience(Duration::ZERO);
    assert!(payer.pay(&get(&seller, "/start")).await.is_err());
    assert!(payer.pay(&get(&seller, "/start")).await.is_err());
    assert!(payer.pay(&get(&seller, "/start")).await.is_ok());
    assert_eq!(seller.authorizations("/end?token=0").len(), 1);
    assert_eq!(seller.paid_requests(), 3);
}

#[tokio::test]
async fn the_payer_names_the_purchase() {
    let with = |extension: serde_json::Value| {
        move |got: &Got, _: usize| match got.payment {
            None => {
                let required = json!({
                    "x402Version": 2, "accepts": [offer(&got.method, &got.path)],
                    "extensions": {"payment-identifier": extension.clone()},
                });
                let header = x402_icp::encode_header(&required);
                Act::Answer(402, vec![("PAYMENT-REQUIRED".into(), header)], vec![])
            }
            Some(_) => delivered(got),
        }
    };
    let planted = "planted_by_a_gateway_0001";
    let own = "order-2026-11-29_0001";
    for extension in [
        json!({"info": {"required": true}, "schema": {}}),
        json!({"info": {"required": false, "id": planted}}),
        json!({"info": {"id": null}}),
    ] {
        let seller = Seller::open(with(extension)).await;
        let payer = payer(memory());
        let request = get(&seller, "/a");
        payer.pay(&request).await.unwrap();
        payer
            .pay(&request.clone().with_payment_identifier(own).unwrap())
            .await
            .unwrap();
        let ids: Vec<String> = seller
            .got()
            .iter()
            .filter_map(|got| got.payment.clone())
            .map(|payment| {
                let payment: serde_json::Value =
                    decode_header("payment", payment.as_bytes()).unwrap();
                payment["extensions"]["payment-identifier"]["info"]["id"]
                    .as_str()
                    .unwrap()
                    .to_string()
            })
            .collect();
        assert_eq!(ids.len(), 2);
        assert!(ids[0].starts_with("pay_") && ids[0] != planted, "{ids:?}");
        assert_eq!(ids[1], own);
    }
    // A missing or empty extension has no identifier.
    for extension in [json!(null), json!([]), json!("x")] {
        let seller = Seller::open(with(extension)).await;
        let request = get(&seller, "/a").with_payment_identifier(own).unwrap();
        assert!(payer(memory()).pay(&request).await.is_ok());
    }
    for id in [
        "short",
        &"x".repeat(129),
        "with space in the middle",
        "ümläut-ümläut-ümläut",
    ] {
        assert!(
            Request::get("http://shop/")
                .unwrap()
                .with_payment_identifier(id)
                .is_err(),
            "{id}"
        );
    }
}

#[tokio::test]
async fn an_odd_entry_does_not_spoil_the_others() {
    let seller = Seller::open(|got, _| match got.payment {
        None => {
            let mut dear = offer(&got.method, &got.path);
            dear["amount"] = json!("20000");
            let mut long = offer(&got.method, &got.path);
            long["maxTimeoutSeconds"] = json!(4_294_967_295u32);
            let mut odd = offer(&got.method, &got.path);
            odd["amount"] = json!(1);
            let good = offer(&got.method, &got.path);
            priced(json!([null, {"scheme": "exact"}, dear, long, odd, good, "x"]))
        }
        Some(_) => delivered(got),
    })
    .await;
    let payer = payer(memory());
    match payer.quote(&get(&seller, "/a")).await.unwrap() {
        Quote::Priced(priced) => {
            let totals: Vec<_> = priced.offers.iter().map(|offer| offer.total().0).collect();
            assert_eq!(totals, [20_000, 30_000]);
            assert_eq!(priced.refused.len(), 5);
        }
        other => panic!("{other:?}"),
    }
    match payer.pay(&get(&seller, "/a")).await.unwrap() {
        Outcome::Paid(paid) => assert_eq!(paid.payment.amount(), Some(Amount(10_000))),
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn numbers_by_value_in_an_offer_do_not_make_its_payment_unprovable() {
    // 1.0 is 1 in an offer that is accepted, and has to be 1 in the payment that was made for it.
    for odd in [
        json!({"revision": 1.0}),
        json!({"decimals": 6.0}),
        json!({"more": 0.300_000_000_000_000_04, "other": 1.7976931348623157e308}),
    ] {
        let extra = odd.clone();
        let seller = Seller::open(move |got, _| match got.payment {
            None => {
                let mut offer = offer("GET", "/a");
                for (name, value) in extra.as_object().unwrap() {
                    offer["extra"][name] = value.clone();
                }
                priced(json!([offer]))
            }
            Some(_) => Act::HangUp,
        })
        .await;
        let folder = folder();
        let payer = payer(files(&folder)).with_patience(Duration::ZERO);
        match payer.pay(&get(&seller, "/a")).await {
            Err(PayError::Unsettled { payment, .. }) => {
                assert_eq!(payment.check(), Ok(()), "{odd}")
            }
            other => panic!("{odd}: {other:?}"),
        }
        let stored = payer.unresolved().unwrap().remove(0).payment;
        assert_eq!(stored.check(), Ok(()), "{odd}");
        assert!(seller.paid_requests() > 0);
        std::fs::remove_dir_all(folder).unwrap();
    }
}

#[tokio::test]
async fn a_payment_whose_file_names_another_request_is_not_sent() {
    let seller = Seller::open(|got, _| match got.payment {
        None => price(got),
        Some(_) => Act::HangUp,
    })
    .await;
    let payer = payer(memory()).with_patience(Duration::ZERO);
    let Err(PayError::Unsettled { payment, .. }) = payer.pay(&get(&seller, "/a")).await else {
        panic!("must be unsettled");
    };
    let whole = serde_json::to_value(&*payment).unwrap();
    let sent = seller.paid_requests();
    for (member, value) in [
        ("url", json!(seller.url("/b"))),
        ("url", json!(seller.url("/a/b"))),
        ("url", json!("no URL")),
        ("method", json!("POST")),
        ("method", json!("get")),
    ] {
        let mut tampered = whole.clone();
        tampered[member] = value.clone();
        let tampered: SignedPayment = serde_json::from_value(tampered).unwrap();
        let other = super::payer(memory()).with_patience(Duration::ZERO);
        match other.send(&tampered).await {
            Err(PayError::Unsettled { reason, .. }) => {
                assert!(
                    reason.contains("request") || reason.contains("URL"),
                    "{reason}"
                );
            }
            other => panic!("{member} {value}: {other:?}"),
        }
        assert_eq!(other.unresolved().unwrap(), []);
        // In the journal, where the request that it names would find it.
        let url = tampered.url.clone();
        other.journal().record(&tampered).unwrap();
        if let (Ok(request), "url") = (Request::get(&url), member) {
            match other.pay(&request).await {
                Err(PayError::Unsettled { .. }) => {}
                other => panic!("{member} {value}: {other:?}"),
            }
        }
    }
    assert_eq!(seller.paid_requests(), sent);
}

#[tokio::test]
async fn a_payment_that_was_sent_before_is_never_said_not_to_have_been_sent() {
    let seller = Seller::open(|got, _| match got.payment {
        None => price(got),
        Some(_) => Act::HangUp,
    })
    .await;
    let payer = payer(memory()).with_patience(Duration::ZERO);
    let Ok(Quote::Priced(priced)) = payer.quote(&get(&seller, "/a")).await else {
        panic!("must be priced");
    };
    let mut payment = payer.sign(&priced, &priced.offers[0]).unwrap();
    // Nothing listens there, and it was never sent before.
    let port = seller.port;
    payment.url = payment.url.replace(&format!(":{port}"), ":9");
    let first = payer.send(&payment).await;
    assert!(matches!(first, Err(PayError::Unreachable(_))), "{first:?}");
    // It may have been sent by now, so the same value means unknown.
    let second = payer.send(&payment).await;
    assert!(
        matches!(second, Err(PayError::Unsettled { .. })),
        "{second:?}"
    );
    let problem = PayError::from(crate::JournalError::NotAnId("x".into())).to_string();
    assert!(!problem.contains("nothing was paid"), "{problem}");
}

#[test]
fn a_password_in_a_url_is_neither_recorded_nor_shown() {
    for url in [
        "https://user:s3cret@shop.example/a",
        "https://:s3cret@shop.example/",
        "https://s3cret@shop.example/",
    ] {
        let problem = Request::get(url).unwrap_err().to_string();
        assert!(problem.contains("header"), "{problem}");
        assert!(!problem.contains("s3cret"), "{problem}");
    }
}
