//! The end of a payment: the statements of the collecting canister *and* the ledger, compared with the ledger's blocks.

mod support;

use serde_bytes::ByteBuf;
use std::{
    sync::{Arc, Mutex},
    time::{Duration, SystemTime, UNIX_EPOCH},
};
use support::{
    CONTENT, FEE, FUNDS, PRICE, Shop,
    gateway::{Answer, Gateway},
    handmade::{Payment, confirming},
    merchant,
    sellers::{identity, impatient, refusal, refusing, signed, take},
};
use tokio::runtime::Runtime;
use tollkeeper_client::{
    Amount, Network, Outcome, PayError, Payer, Quote, Request, Resolution, SpendControls,
};
use tollkeeper_types::{CancelError, PaymentStatus};

fn now() -> u64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    now.as_secs()
}

#[test]
fn a_canister_that_took_the_money_cannot_confirm_that_it_did_not() {
    let shop = Shop::open();
    let runtime = Runtime::new().unwrap();
    let canister = shop.install(confirming(shop.ledger, Ok(()), None));
    let host = format!("{canister}.localhost");
    let mut taken = 0;
    for (seed, memo) in [
        (1, Some("id")),
        (2, None),
        (3, Some("other")),
        (4, Some("nothing taken")),
    ] {
        let account = identity(seed).account();
        shop.fund(account, FUNDS);
        runtime.block_on(async {
            let payer = shop.payer(identity(seed)).await.with_approval(None);
            let gateway = refusing(shop.ledger, payer.network().id(), canister, 60);
            let payment = signed(&payer, &gateway.url(&host, "/report")).await;
            let memo = match memo {
                Some("id") => Some(Some(payment.id().unwrap().0.to_vec())),
                Some("other") => Some(Some(vec![7; 32])),
                None => Some(None),
                Some(_) => None,
            };
            if let Some(memo) = memo.clone() {
                take(&shop, canister, &payer, memo);
                taken += 1;
            }
            match payer.send(&payment).await {
                Err(PayError::Unsettled { reason, .. }) => {
                    assert!(reason.contains("block"), "{reason}");
                    assert!(memo.is_some());
                    assert_eq!(payer.unresolved().unwrap().len(), 1);
                    // It is not paid a second time.
                    let request = payment.request().unwrap();
                    assert!(payer.pay(&request).await.is_err());
                    let first = payment.header();
                    assert!(gateway.payments().iter().all(|sent| *sent == first));
                }
                Err(PayError::Refused { .. }) => {
                    assert_eq!(memo, None);
                    assert_eq!(payer.unresolved().unwrap(), []);
                }
                other => panic!("{other:?}"),
            }
        });
    }
    assert_eq!(shop.balance(merchant()), taken * PRICE);
}

#[test]
fn what_a_canister_says_of_a_good_authorization_does_not_make_it_dead() {
    let shop = Shop::open();
    let runtime = Runtime::new().unwrap();
    shop.fund(identity(1).account(), FUNDS);
    let settled = |block: u64| Payment {
        status: PaymentStatus::Settled {
            block_index: block.into(),
            settled_at: 0,
            work: None,
        },
    };
    let cases = [
        // Too far ahead is not expired, and expired by its own clock is not expired by the subnet's.
        (
            Err(CancelError::TooFarAhead { limit_seconds: 1 }),
            None,
            "too late to be cancelled",
        ),
        (
            Err(CancelError::Expired {
                now_seconds: u64::MAX,
            }),
            None,
            "still valid",
        ),
        // The block that it names is another transfer's, or does not exist.
        (
            Err(CancelError::AlreadyUsed {
                payment_id: ByteBuf::new(),
            }),
            Some(settled(0)),
            "not a transfer",
        ),
        (
            Err(CancelError::AlreadyUsed {
                payment_id: ByteBuf::new(),
            }),
            Some(settled(999_999)),
            "no block",
        ),
    ];
    for (cancel, payment, words) in cases {
        let canister = shop.install(confirming(shop.ledger, cancel, payment));
        let host = format!("{canister}.localhost");
        runtime.block_on(async {
            let payer = shop.payer(identity(1)).await.with_approval(None);
            let gateway = refusing(shop.ledger, payer.network().id(), canister, 60);
            match payer
                .pay(&Request::get(&gateway.url(&host, "/report")).unwrap())
                .await
            {
                Err(PayError::Unsettled { reason, .. }) => {
                    assert!(reason.contains(words), "{reason}")
                }
                other => panic!("{words}: {other:?}"),
            }
            assert_eq!(payer.unresolved().unwrap().len(), 1);
        });
    }
    assert_eq!(shop.balance(merchant()), 0);
}

#[test]
fn a_confirmation_from_another_network_does_not_count() {
    let shop = Shop::open();
    // Here a canister with the spender's id confirms everything; the payment is one of the mainnet.
    let canister = shop.install(confirming(shop.ledger, Ok(()), None));
    Runtime::new().unwrap().block_on(async {
        let mainnet = Network::mainnet_at("http://127.0.0.1:9", &identity(1)).unwrap();
        let controls = SpendControls::none().allow(shop.ledger, Amount(PRICE));
        let payer = Payer::new(identity(1), mainnet).unwrap();
        let payer = payer.with_spend_controls(controls);
        let gateway = refusing(shop.ledger, "icp:1", canister, 60);
        let request = Request::get(&gateway.url(&format!("{canister}.localhost"), "/report"));
        let Quote::Priced(priced) = payer.quote(&request.unwrap()).await.unwrap() else {
            panic!("must be priced");
        };
        let payment = payer.sign(&priced, &priced.offers[0]).unwrap();
        let here = shop.payer(identity(1)).await;
        for resolution in [here.resolve(&payment).await, here.status(&payment).await] {
            match resolution {
                Resolution::Unknown { reason } => {
                    assert!(reason.contains("a payment on icp:1"), "{reason}");
                }
                other => panic!("{other:?}"),
            }
        }
        // Nor when the seller refuses it and this payer is to find out.
        match here.send(&payment).await {
            Err(PayError::Unsettled { reason, .. }) => {
                assert!(reason.contains("a payment on icp:1"), "{reason}");
            }
            other => panic!("{other:?}"),
        }
        assert_eq!(here.unresolved().unwrap().len(), 1);
    });
}

/// Every answer that leaves the outcome unknown, whatever the payment's age.
fn silent_answers() -> Vec<(&'static str, Answer)> {
    let none = Vec::new;
    vec![
        ("404", Some((404, none(), String::new()))),
        ("503", Some((503, none(), String::new()))),
        ("hangs up", None),
        (
            "unreadable 402",
            Some((402, vec![("PAYMENT-REQUIRED", "???".into())], String::new())),
        ),
        (
            "302",
            Some((302, vec![("location", "/elsewhere".into())], String::new())),
        ),
    ]
}

#[test]
fn after_its_end_every_payment_gets_its_last_word() {
    let shop = Shop::open();
    shop.publish_for("/report", Some(PRICE), CONTENT, Some(10));
    let account = identity(1).account();
    shop.fund(account, FUNDS);
    Runtime::new().unwrap().block_on(async {
        let mut waiting = Vec::new();
        for (name, answer) in silent_answers() {
            // Each payer has a journal of its own, and no journal contains another's purchases.
            let payer = shop
                .payer(identity(1))
                .await
                .with_approval(Some(Amount(10 * (PRICE + FEE))))
                .with_patience(Duration::ZERO);
            let gateway = Gateway::open(move |_| answer.clone());
            let mut payment = signed(&payer, &shop.url("/report")).await;
            payment.url = gateway.url("localhost", "/report");
            match payer.send(&payment).await {
                Err(PayError::Unsettled { .. }) => {}
                other => panic!("{name}: {other:?}"),
            }
            assert!(
                matches!(payer.status(&payment).await, Resolution::Unknown { .. }),
                "{name}"
            );
            waiting.push((name, payer, gateway, payment));
        }
        let end = waiting
            .iter()
            .filter_map(|(_, _, _, payment)| payment.valid_before())
            .max();
        tokio::time::sleep(Duration::from_secs(end.unwrap().saturating_sub(now()) + 2)).await;
        for (name, payer, _gateway, payment) in waiting {
            match payer.send(&payment).await {
                Err(PayError::Refused { reason, .. }) => {
                    assert!(reason.contains("never used"), "{name}: {reason}")
                }
                other => panic!("{name}: {other:?}"),
            }
            assert_eq!(payer.unresolved().unwrap(), [], "{name}");
        }
    });
    assert_eq!(shop.balance(merchant()), 0);
}

#[test]
fn a_dead_payment_gives_way_to_a_new_one() {
    let shop = Arc::new(Shop::open());
    shop.publish_for("/report", Some(PRICE), CONTENT, Some(10));
    shop.fund(identity(1).account(), FUNDS);
    Runtime::new().unwrap().block_on(async {
        let payer = impatient(&shop, 1).await;
        let request = Request::get(&shop.url("/report")).unwrap();
        // Recorded, and never sent.
        let payment = signed(&payer, &request.url).await;
        payer.journal().record(&payment).unwrap();
        let end = payment.valid_before().unwrap();
        tokio::time::sleep(Duration::from_secs(end.saturating_sub(now()) + 2)).await;
        match payer.pay(&request).await {
            Ok(Outcome::Paid(paid)) => {
                assert_ne!(paid.payment.payment_id, payment.payment_id);
                assert!(paid.proven);
            }
            other => panic!("{other:?}"),
        }
        assert_eq!(payer.unresolved().unwrap(), []);
    });
    assert_eq!(shop.balance(merchant()), PRICE);
}

#[test]
fn a_payment_that_was_charged_is_found_and_fetched_again() {
    let shop = Shop::open();
    shop.publish_for("/report", Some(PRICE), CONTENT, Some(10));
    shop.fund(identity(1).account(), FUNDS);
    Runtime::new().unwrap().block_on(async {
        let payer = impatient(&shop, 1).await;
        let payment = signed(&payer, &shop.url("/report")).await;
        // It arrives, and every response is lost.
        let elsewhere = shop.payer(identity(1)).await;
        let paid = elsewhere.send(&payment).await.unwrap();
        let block = paid.receipt.unwrap().transaction;
        let gateway = Gateway::open(|_| Some((404, vec![], String::new())));
        let mut lost = payment.clone();
        lost.url = gateway.url("localhost", "/report");
        assert!(matches!(
            payer.send(&lost).await,
            Err(PayError::Unsettled { .. })
        ));
        for resolution in [payer.status(&lost).await, payer.resolve(&lost).await] {
            match resolution {
                Resolution::Paid {
                    block: found,
                    state,
                    ..
                } => {
                    assert_eq!((found, state.as_str()), (block.clone(), "delivered"));
                }
                other => panic!("{other:?}"),
            }
        }
        // After its end, too: paid, and owed.
        let end = payment.valid_before().unwrap();
        tokio::time::sleep(Duration::from_secs(end.saturating_sub(now()) + 2)).await;
        match payer.send(&lost).await {
            Err(PayError::NotDelivered { receipt, .. }) => assert_eq!(receipt.transaction, block),
            other => panic!("{other:?}"),
        }
        assert_eq!(payer.unresolved().unwrap().len(), 1);
        let id = payment.id().unwrap();
        assert!(payer.forget(id).unwrap());
        // By the shop itself the content is delivered again, for the same money.
        assert_eq!(payer.send(&payment).await.unwrap().response.body, CONTENT);
    });
    assert_eq!(shop.balance(merchant()), PRICE);
}

#[test]
fn whatever_a_gateway_does_one_purchase_is_one_block() {
    let shop = Shop::open();
    let account = identity(1).account();
    shop.fund(account, FUNDS);
    let runtime = Runtime::new().unwrap();
    let mut bought = 0;
    // The gateway's change of the shop's first response to a payment, which it did forward.
    type Broken = fn(u16, String) -> Answer;
    let broken: [(&str, Broken); 6] = [
        ("hangs up", |_, _| None),
        ("answers 502", |_, _| Some((502, vec![], String::new()))),
        ("answers 404", |_, _| Some((404, vec![], String::new()))),
        ("drops the receipt", |_, body| Some((200, vec![], body))),
        ("garbles the receipt", |_, body| {
            Some((200, vec![("PAYMENT-RESPONSE", "???".into())], body))
        }),
        ("refuses", |_, _| {
            Some((402, vec![("PAYMENT-RESPONSE", refusal())], String::new()))
        }),
    ];
    for (name, broken) in broken {
        let sent: Arc<Mutex<Vec<String>>> = Arc::default();
        let (seen, url, host) = (sent.clone(), shop.url("/report"), shop.canister);
        let client = reqwest::blocking::Client::builder()
            .no_proxy()
            .build()
            .unwrap();
        let forward = move |payment: Option<&str>| {
            let resolved = url.replace(&format!("{host}.localhost"), "127.0.0.1");
            let mut request = client
                .get(resolved)
                .header("host", url.split('/').nth(2).unwrap());
            if let Some(payment) = payment {
                request = request.header("PAYMENT-SIGNATURE", payment);
            }
            let answer = request.send().unwrap();
            let header = |name: &'static str| {
                let value = answer.headers().get(name)?.to_str().unwrap().to_string();
                Some((name, value))
            };
            let headers = ["PAYMENT-REQUIRED", "PAYMENT-RESPONSE"]
                .into_iter()
                .filter_map(header)
                .collect();
            let status = answer.status().as_u16();
            let body = answer.text().unwrap();
            let Some(payment) = payment else {
                return Some((status, headers, body));
            };
            let mut seen = seen.lock().unwrap();
            seen.push(payment.into());
            match seen.len() {
                1 => broken(status, body),
                _ => Some((status, headers, body)),
            }
        };
        let gateway = std::thread::spawn(move || Gateway::open(forward))
            .join()
            .unwrap();
        runtime.block_on(async {
            let payer = impatient(&shop, 1).await.with_spender(shop.canister);
            let request = Request::get(&gateway.url("localhost", "/report")).unwrap();
            // The caller gives up, and sends the request again.
            let _ = tokio::time::timeout(Duration::from_secs(20), payer.pay(&request)).await;
            assert_eq!(payer.unresolved().unwrap().len(), 1, "{name}");
            match payer.pay(&request).await {
                Ok(Outcome::Paid(paid)) => {
                    assert_eq!(paid.response.body, CONTENT, "{name}");
                    assert!(paid.proven, "{name}: {:?}", paid.problems);
                }
                other => panic!("{name}: {other:?}"),
            }
        });
        bought += 1;
        let sent = sent.lock().unwrap();
        assert!(sent.iter().all(|payment| *payment == sent[0]), "{name}");
        assert_eq!(shop.balance(merchant()), bought * PRICE, "{name}");
    }
}

#[test]
fn an_offer_with_another_fee_than_the_ledgers_is_not_signed() {
    let shop = Shop::open();
    shop.fund(identity(1).account(), FUNDS);
    Runtime::new().unwrap().block_on(async {
        let payer = shop.payer(identity(1)).await.with_approval(None);
        // The first one makes the seller update its offers; the seller does not query its ledger again so soon.
        for (fee, seen) in [(FEE + 1, FEE), (FEE - 1, FEE + 1), (0, FEE + 1)] {
            shop.set_fee(fee);
            match payer
                .pay(&Request::get(&shop.url("/report")).unwrap())
                .await
            {
                Err(PayError::FeeMismatch {
                    offered, ledger, ..
                }) => {
                    assert_eq!((offered.0, ledger.0), (seen, fee));
                }
                other => panic!("{other:?}"),
            }
        }
        assert_eq!(payer.unresolved().unwrap(), []);
    });
    assert_eq!(shop.balance(merchant()), 0);
}
