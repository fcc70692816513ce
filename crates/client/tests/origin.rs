//! Behind a domain of its own, a shop's canister is the one that the gateway names and that names the domain.

mod support;

use std::sync::{Arc, Mutex};
use support::{
    FUNDS, Shop,
    gateway::Gateway,
    handmade::with_origin,
    sellers::{identity, offers},
};
use tokio::runtime::Runtime;
use tollkeeper_client::{OfferProblem, PayError, Quote, Request};

#[test]
fn a_gateways_claim_counts_if_the_canister_names_the_origin() {
    let shop = Shop::open();
    shop.fund(identity(1).account(), FUNDS);
    let runtime = Runtime::new().unwrap();
    let payer = runtime.block_on(shop.payer(identity(1)));
    let headers: Arc<Mutex<Vec<(&'static str, String)>>> = Arc::default();
    let answered = headers.clone();
    let gateway = Gateway::open(move |_| {
        let headers = answered.lock().unwrap().clone();
        Some((402, headers, String::new()))
    });
    let own = format!("http://localhost:{}", gateway.port);
    let request = Request::get(&format!("{own}/report")).unwrap();
    for (origin, good) in [
        (Some(own.clone()), true),
        (Some(format!("{own}/")), true),
        (Some(format!("http://127.0.0.1:{}", gateway.port)), false),
        (Some("http://localhost".into()), false),
        (Some(format!("https://localhost:{}", gateway.port)), false),
        (Some("no origin".into()), false),
        (None, false),
    ] {
        let canister = shop.install(with_origin(origin.as_deref()));
        *headers.lock().unwrap() = vec![
            ("x-ic-canister-id", canister.to_text()),
            (
                "PAYMENT-REQUIRED",
                offers(shop.ledger, payer.network().id(), canister, 60),
            ),
        ];
        match runtime.block_on(payer.quote(&request)) {
            Ok(Quote::Priced(priced)) => {
                assert!(good, "{origin:?}");
                assert_eq!(priced.offers[0].spender, canister);
                // A canister whose host was not typed gets no allowance.
                let approving = payer.clone().with_approval(None);
                assert!(matches!(
                    runtime.block_on(approving.pay(&request)),
                    Err(PayError::NoApproval { .. })
                ));
            }
            Err(PayError::NoAcceptableOffer(refused)) => {
                assert!(!good, "{origin:?}");
                assert!(matches!(refused[0].problem, OfferProblem::UnknownServer(_)));
            }
            other => panic!("{other:?}"),
        }
    }
    // The gateway may also name another canister, which has no such method, or a principal that is not a canister.
    for named in [
        shop.canister.to_text(),
        shop.ledger.to_text(),
        "aaaaa-aa".into(),
        "?".into(),
    ] {
        headers.lock().unwrap()[0].1.clone_from(&named);
        assert!(
            matches!(
                runtime.block_on(payer.quote(&request)),
                Err(PayError::NoAcceptableOffer(_))
            ),
            "{named}"
        );
    }
    assert_eq!(gateway.payments(), Vec::<String>::new());
}
