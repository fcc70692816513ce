//! Purchases by a call of `pay`.

mod crashes;
mod endings;
mod records;
pub(super) mod till;

use super::{
    seller::{Act, CONTENT, SPENDER, Seller, offer, price, priced},
    *,
};
use crate::{
    ledger::{Clean, Quoted, Taken},
    offer::By,
    payment::Payload,
};
use till::{Open, Till, Word};
use tollkeeper_types::Receipt;

fn buyer(journal: Arc<dyn Journal>, till: &Arc<Till>) -> Payer {
    calling(payer(journal), till)
}

/// The same payer, by calls of this canister.
pub(super) fn calling(payer: Payer, till: &Arc<Till>) -> Payer {
    Payer {
        test_rail: Some(Arc::new(Open(till.clone()))),
        by: By::Call,
        ..payer
    }
}

/// A seller whose price is asked over HTTP, and who gets no payment there.
async fn shop() -> Seller {
    Seller::open(|got, _| {
        assert_eq!(got.payment, None);
        price(got)
    })
    .await
}

fn till_of(script: impl Fn(usize) -> Word + Send + Sync + 'static) -> Arc<Till> {
    Till::open(identity().principal(), script)
}

#[tokio::test]
async fn a_call_is_recorded_before_it_is_made() {
    let folder = folder();
    let watched = folder.clone();
    let till = Till::watched(
        identity().principal(),
        |_| Word::Sold,
        move |_| {
            let recorded = FileJournal::open(&watched).unwrap().unresolved().unwrap();
            assert!(recorded[0].payment.is_call());
        },
    );
    let seller = shop().await;
    let buyer = buyer(files(&folder), &till).with_subaccount([3; 32]);
    let paid = proven(buyer.pay(&get(&seller, "/caf%C3%A9")).await);
    assert_eq!(paid.response.body, CONTENT);
    assert_eq!(paid.response.header("Content-Type"), Some("text/plain"));
    assert!(matches!(paid.payment.payment.payload, Payload::Call(_)));
    let receipt = paid.receipt.unwrap();
    assert_eq!(receipt.transaction, "0");
    let (id, args) = till.moved().remove(0);
    assert_eq!(id.to_string(), paid.payment.payment_id);
    assert_eq!((&*args.method, &*args.path), ("GET", "/café"));
    assert_eq!(args.from_subaccount.unwrap().to_vec(), [3; 32]);
    assert_eq!(buyer.unresolved().unwrap(), []);
    assert_eq!(seller.paid_requests(), 0);
    std::fs::remove_dir_all(folder).unwrap();
}

#[tokio::test]
async fn a_lost_reply_makes_the_same_call_again() {
    for lost in [
        Word::LostAfter,
        Word::LostBefore,
        Word::Pending,
        Word::Late(30),
    ] {
        let till = till_of(move |call| match call {
            0 | 1 => lost.clone(),
            _ => Word::Sold,
        });
        let seller = shop().await;
        let folder = folder();
        let first = buyer(files(&folder), &till).with_patience(Duration::ZERO);
        assert!(is_unsettled(&first.pay(&get(&seller, "/a")).await));
        let second = buyer(files(&folder), &till).with_patience(Duration::from_secs(2));
        proven(second.pay(&get(&seller, "/a")).await);
        tokio::time::sleep(Duration::from_millis(60)).await;
        assert_eq!((till.different(), till.moved().len()), (1, 1));
        assert_eq!(second.unresolved().unwrap(), []);
        std::fs::remove_dir_all(folder).unwrap();
    }
}

#[tokio::test]
async fn a_call_that_is_dropped_while_the_canister_is_silent_pays_once() {
    let till = till_of(|call| match call {
        0 => Word::SilentAfter,
        _ => Word::Sold,
    });
    let seller = shop().await;
    let folder = folder();
    let (first, request) = (buyer(files(&folder), &till), get(&seller, "/a"));
    let dropped = tokio::time::timeout(Duration::from_millis(200), first.pay(&request)).await;
    assert!(dropped.is_err());
    proven(buyer(files(&folder), &till).pay(&request).await);
    assert_eq!((till.different(), till.moved().len()), (1, 1));
    std::fs::remove_dir_all(folder).unwrap();
}

#[tokio::test]
async fn what_was_delivered_is_bought_again_by_another_call() {
    let till = till_of(|_| Word::Sold);
    let seller = shop().await;
    let buyer = buyer(memory(), &till);
    for _ in 0..2 {
        proven(buyer.pay(&get(&seller, "/a")).await);
    }
    assert_eq!((till.different(), till.moved().len()), (2, 2));
}

#[tokio::test]
async fn of_calls_at_once_one_calls_and_all_get_what_it_bought() {
    let till = till_of(|_| Word::SlowAfter(300));
    let seller = shop().await;
    let folder = folder();
    let calls: Vec<_> = (0..6)
        .map(|_| {
            let buyer = buyer(files(&folder), &till).with_patience(Duration::from_secs(20));
            let request = get(&seller, "/a");
            tokio::spawn(async move { buyer.pay(&request).await })
        })
        .collect();
    for call in calls {
        proven(call.await.unwrap());
    }
    assert_eq!((till.different(), till.moved().len()), (1, 1));
    std::fs::remove_dir_all(folder).unwrap();
}

#[tokio::test]
async fn of_calls_at_once_a_refused_call_holds_up_nobody() {
    for word in [
        Word::Refused("ledger_unavailable"),
        Word::Failed("insufficient_allowance"),
    ] {
        let till = till_of(move |_| {
            std::thread::sleep(Duration::from_millis(100));
            word.clone()
        });
        let seller = shop().await;
        let folder = folder();
        let calls: Vec<_> = (0..3)
            .map(|_| {
                let buyer = buyer(files(&folder), &till).with_patience(Duration::from_secs(20));
                let request = get(&seller, "/a");
                tokio::spawn(async move { buyer.pay(&request).await })
            })
            .collect();
        for call in calls {
            let outcome = call.await.unwrap();
            assert!(
                matches!(outcome, Err(PayError::Refused { .. })),
                "{outcome:?}"
            );
        }
        assert_eq!(files(&folder).unresolved().unwrap(), []);
        std::fs::remove_dir_all(folder).unwrap();
    }
}

#[tokio::test]
async fn a_request_with_more_than_method_and_path_is_not_called() {
    let till = till_of(|_| Word::Sold);
    let seller = Seller::open(|got, _| match &got.payment {
        Some(_) => delivered(got),
        None => {
            let path = got.path.split('?').next().unwrap();
            priced(json!([offer(&got.method, path)]))
        }
    })
    .await;
    let posted = Request::new("POST", &seller.url("/a"), b"1".to_vec()).unwrap();
    let named = get(&seller, "/b").with_payment_identifier("0123456789abcdef");
    for (request, missing) in [
        (posted, "a body"),
        (get(&seller, "/c?x=1"), "a query"),
        (
            get(&seller, "/d").with_header("authorization", "secret"),
            "headers",
        ),
        (named.unwrap(), "a payment identifier"),
    ] {
        match buyer(memory(), &till).pay(&request).await {
            Err(PayError::NotByCall { part }) => assert_eq!(part, missing),
            other => panic!("{missing}: {other:?}"),
        }
        // It can be paid in another way.
        let any = buyer(memory(), &till).with_ways(By::Any);
        proven(any.pay(&request).await);
    }
    assert_eq!(till.sent(), []);
    assert_eq!(seller.paid_requests(), 4);
}

#[tokio::test]
async fn a_call_is_made_only_if_the_user_allows_it() {
    let till = till_of(|_| Word::Sold);
    let seller = Seller::open(|got, _| match &got.payment {
        Some(_) => delivered(got),
        None => price(got),
    })
    .await;
    for by in [By::Allowance, By::Any] {
        let paid = proven(
            buyer(memory(), &till)
                .with_ways(by)
                .pay(&get(&seller, "/a"))
                .await,
        );
        assert!(!paid.payment.is_call());
    }
    assert_eq!(till.sent(), []);
}

#[tokio::test]
async fn an_offer_that_cannot_be_signed_is_called_if_any_way_is_allowed() {
    let till = till_of(|_| Word::Sold);
    let seller = Seller::open(|got, _| {
        // So long that no header has room for its payment.
        let mut long = offer(&got.method, &got.path);
        let limit = x402_icp::decode::MAX_HEADER_BYTES / 4 * 3;
        let others = long.to_string().len() + 100;
        long["extra"]["symbol"] = json!("x".repeat(limit - others));
        priced(json!([long]))
    })
    .await;
    let request = get(&seller, "/a");
    let allowance = buyer(memory(), &till).with_ways(By::Allowance);
    assert!(matches!(
        allowance.pay(&request).await,
        Err(PayError::TooLong { .. })
    ));
    let told = Arc::new(std::sync::Mutex::new(Vec::new()));
    let seen = told.clone();
    let any = buyer(memory(), &till)
        .with_ways(By::Any)
        .with_watcher(move |step| {
            if let Step::Chosen { by, why, .. } = step {
                seen.lock().unwrap().push((by.as_str(), *why));
            }
        });
    assert!(proven(any.pay(&request).await).payment.is_call());
    let why = "an authorization of it can be neither signed nor sent";
    assert_eq!(*told.lock().unwrap(), [("call", why)]);
    // What cannot be called keeps its own reason.
    let with_header = request.with_header("x", "y");
    assert!(matches!(
        any.pay(&with_header).await,
        Err(PayError::TooLong { .. })
    ));
}

#[tokio::test]
async fn after_a_redirect_the_final_path_is_called() {
    let seller = Seller::open(|got, _| match &*got.path {
        "/a" => Act::Answer(302, vec![("location".into(), "/b".into())], vec![]),
        _ => price(got),
    })
    .await;
    let till = till_of(|call| match call {
        0 => Word::LostAfter,
        _ => Word::Sold,
    });
    let buyer = buyer(memory(), &till).with_patience(Duration::ZERO);
    assert!(is_unsettled(&buyer.pay(&get(&seller, "/a")).await));
    // Under either URL it is the same payment.
    proven(buyer.pay(&get(&seller, "/b")).await);
    assert_eq!(till.different(), 1);
    assert_eq!(till.moved()[0].1.path, "/b");
}

#[tokio::test]
async fn an_offer_that_its_canister_does_not_confirm_is_not_called() {
    let seller = shop().await;
    let till = till_of(|_| Word::Sold);
    let buyer = buyer(memory(), &till);
    let request = get(&seller, "/a");
    let Quote::Priced(priced) = buyer.quote(&request).await.unwrap() else {
        panic!("it has a price");
    };
    let offer = &priced.offers[0];
    assert!(matches!(
        buyer.sign(&priced, offer),
        Err(PayError::Unconfirmed { .. })
    ));
    let honest = Quoted {
        ledger: offer.asset,
        amount: offer.amount.0.into(),
        fee: offer.fee.0.into(),
        pay_to: offer.pay_to,
        spender: offer.spender,
        offer: offer.verbatim.extra["offer"].as_str().unwrap().into(),
        max_timeout_seconds: 60,
    };
    let other = |change: fn(&mut Quoted)| {
        let mut offer = honest.clone();
        change(&mut offer);
        Ok(vec![offer])
    };
    for word in [
        other(|offer| offer.pay_to = Principal::from_slice(&[9, 1]).into()),
        other(|offer| offer.amount = 9_999u32.into()),
        other(|offer| offer.fee = 1u32.into()),
        other(|offer| offer.ledger = Principal::from_slice(&[9, 1])),
        other(|offer| offer.spender = Principal::from_slice(&[9, 1])),
        other(|offer| offer.offer = "00".repeat(16)),
        // With a shorter time a payment would be taken for dead that can still begin.
        other(|offer| offer.max_timeout_seconds = 61),
        Ok(vec![]),
        Err("there is no such method".into()),
    ] {
        *till.quoted.lock().unwrap() = Some(word.clone());
        let outcome = buyer.pay(&request).await;
        assert!(
            matches!(outcome, Err(PayError::Unconfirmed { .. })),
            "{word:?}: {outcome:?}"
        );
    }
    assert_eq!(till.sent(), []);
    assert_eq!(buyer.unresolved().unwrap(), []);
    *till.quoted.lock().unwrap() = Some(Ok(vec![honest]));
    proven(buyer.pay(&request).await);
}
