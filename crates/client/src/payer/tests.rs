//! Purchases from a scripted seller. There is no canister and no ledger here, so nothing is ever proven dead: `tests/`
//! covers them on a network.

mod calls;
mod crashes;
mod delegations;
mod ending;
mod invoices;
mod limits;
mod property;
mod requests;
mod seller;
mod signing;
mod transfers;

use super::*;
use crate::journal::FileJournal;
use seller::{
    Act, CONTENT, Got, RECEIPT_KINDS, ReceiptKind, Seller, delivered, offer, price, priced, receipt,
};
use serde_json::json;
use std::{path::PathBuf, sync::atomic::AtomicU32};

/// A new folder for one test.
pub(super) fn folder() -> PathBuf {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    let number = NEXT.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
    let folder =
        std::env::temp_dir().join(format!("tollkeeper-payer-{}-{number}", std::process::id()));
    let _ = std::fs::remove_dir_all(&folder);
    folder
}

pub(super) fn identity() -> Identity {
    let key = ic_ed25519::PrivateKey::deserialize_raw_32(&[1; 32]);
    Identity::from_pem(&key.serialize_pkcs8_pem(ic_ed25519::PrivateKeyFormat::Pkcs8v1)).unwrap()
}

/// Short enough for a test, long enough for a loaded machine.
pub(super) fn short() -> Limits {
    Limits {
        connect: Duration::from_secs(5),
        idle: Duration::from_millis(400),
        whole: Duration::from_secs(5),
        body_bytes: 10_000,
        offer_bytes: 100_000,
        agent: Duration::from_millis(300),
        first_pause: Duration::from_millis(10),
    }
}

/// A payer on the mainnet's id, whose canisters do not answer.
pub(super) fn payer(journal: Arc<dyn Journal>) -> Payer {
    let identity = identity();
    let network = Network::mainnet_at("http://127.0.0.1:9", &identity).unwrap();
    let payer = Payer::new(identity, network).unwrap();
    let payer = payer.with_limits(short()).unwrap();
    Payer {
        asks_ledgers: false,
        ..payer
            .with_patience(Duration::from_millis(50))
            .with_journal(journal)
    }
}

fn files(folder: &PathBuf) -> Arc<dyn Journal> {
    Arc::new(FileJournal::open(folder).unwrap())
}

fn memory() -> Arc<dyn Journal> {
    Arc::new(MemoryJournal::new())
}

/// What was bought, with a receipt that matches the payment.
fn proven(outcome: Result<Outcome, PayError>) -> Box<Paid> {
    match outcome {
        Ok(Outcome::Paid(paid)) if paid.proven => paid,
        other => panic!("{other:?}"),
    }
}

fn is_unsettled(outcome: &Result<Outcome, PayError>) -> bool {
    matches!(outcome, Err(PayError::Unsettled { .. }))
}

fn get(seller: &Seller, path: &str) -> Request {
    Request::get(&seller.url(path)).unwrap()
}

/// What a seller may do with the first payment, besides delivering it with a matching receipt.
fn mischief(got: &Got) -> Vec<(String, Act)> {
    let mut acts = vec![
        ("hangs up".into(), Act::HangUp),
        ("says nothing".into(), Act::Silent),
        (
            "cuts the content".into(),
            Act::Cut(200, receipt(got, ReceiptKind::Good)),
        ),
        (
            "stops in the content".into(),
            Act::Stall(200, receipt(got, ReceiptKind::Good)),
        ),
        (
            "is slower than the caller".into(),
            Act::Late(Duration::from_secs(4), Box::new(delivered(got))),
        ),
        (
            "redirects".into(),
            Act::Answer(302, vec![("location".into(), "/elsewhere".into())], vec![]),
        ),
        ("quotes again".into(), price(got)),
    ];
    for status in [200, 204, 400, 402, 404, 410, 500, 503] {
        for kind in RECEIPT_KINDS {
            if kind == ReceiptKind::Good && status < 300 {
                continue;
            }
            acts.push((
                format!("answers {status} with {kind:?}"),
                Act::Answer(status, receipt(got, kind), b"?".to_vec()),
            ));
        }
    }
    acts
}

#[tokio::test]
async fn whatever_the_seller_does_the_same_request_sends_the_same_payment() {
    let count = mischief(&Got {
        method: String::new(),
        path: String::new(),
        headers: vec![],
        payment: None,
    })
    .len();
    let base = payer(Arc::new(MemoryJournal::new()));
    let mut running = tokio::task::JoinSet::new();
    for number in 0..count {
        if running.len() >= 12 {
            running.join_next().await.unwrap().unwrap();
        }
        running.spawn(same_payment_after(base.clone(), number));
    }
    while let Some(ended) = running.join_next().await {
        ended.unwrap();
    }
}

async fn same_payment_after(base: Payer, number: usize) {
    let seller = Seller::open(move |got, before| match (&got.payment, before) {
        (None, _) => price(got),
        (Some(_), 0) => mischief(got).swap_remove(number).1,
        (Some(_), _) => delivered(got),
    })
    .await;
    let folder = folder();
    let first = base
        .clone()
        .with_journal(files(&folder))
        .with_patience(Duration::ZERO);
    // The caller's own timeout drops the call.
    let request = get(&seller, "/a");
    let ended = tokio::time::timeout(Duration::from_secs(2), first.pay(&request)).await;
    if let Ok(Ok(Outcome::Paid(paid))) = &ended {
        assert!(!paid.proven, "{number}: {paid:?}");
    }
    // Another process.
    let second = base.with_journal(files(&folder));
    assert_eq!(second.unresolved().unwrap().len(), 1, "{number}: {ended:?}");
    match second.pay(&get(&seller, "/a")).await {
        Ok(Outcome::Paid(paid)) => {
            assert!(paid.proven);
            assert_eq!(paid.response.body, CONTENT);
        }
        other => panic!("{number}: {other:?} after {ended:?}"),
    }
    assert_eq!(seller.authorizations("/a").len(), 1, "{number}");
    assert_eq!(second.unresolved().unwrap(), []);
    std::fs::remove_dir_all(folder).unwrap();
}

#[tokio::test]
async fn a_payment_whose_first_sending_fails_is_not_lost() {
    // The seller answers the first request and is gone for the payment.
    let seller = Seller::open(|got, before| match (&got.payment, before) {
        (None, _) => price(got),
        (Some(_), 0..3) => Act::HangUp,
        (Some(_), _) => delivered(got),
    })
    .await;
    let folder = folder();
    for attempt in 0..3 {
        let payer = payer(files(&folder)).with_patience(Duration::ZERO);
        assert!(payer.pay(&get(&seller, "/a")).await.is_err(), "{attempt}");
    }
    assert!(payer(files(&folder)).pay(&get(&seller, "/a")).await.is_ok());
    assert_eq!(seller.authorizations("/a").len(), 1);
    std::fs::remove_dir_all(folder).unwrap();
}

#[tokio::test]
async fn a_payment_is_recorded_before_it_leaves() {
    let folder = folder();
    let watched = folder.clone();
    let seller = Seller::open(move |got, _| {
        if got.payment.is_some() {
            let recorded = FileJournal::open(&watched).unwrap().unresolved().unwrap();
            assert_eq!(recorded[0].payment.header(), got.payment.clone().unwrap());
            return delivered(got);
        }
        price(got)
    })
    .await;
    let steps = Arc::new(std::sync::Mutex::new(Vec::new()));
    let seen = steps.clone();
    let payer =
        payer(files(&folder)).with_watcher(move |step| seen.lock().unwrap().push(step.clone()));
    assert!(matches!(
        payer.pay(&get(&seller, "/a")).await,
        Ok(Outcome::Paid(_))
    ));
    let steps = steps.lock().unwrap().clone();
    let named = steps
        .iter()
        .position(|step| matches!(step, Step::Recorded { path: Some(_), .. }));
    let sent = steps.iter().position(|step| *step == Step::Paying(1));
    assert!(named < sent, "{steps:?}");
    std::fs::remove_dir_all(folder).unwrap();
}

#[tokio::test]
async fn nothing_is_sent_that_cannot_be_recorded() {
    let seller = Seller::open(|got, _| match got.payment {
        None => price(got),
        Some(_) => delivered(got),
    })
    .await;
    let folder = folder();
    let payer = payer(files(&folder));
    std::fs::remove_dir_all(&folder).unwrap();
    assert!(matches!(
        payer.pay(&get(&seller, "/a")).await,
        Err(PayError::Journal(_))
    ));
    assert_eq!(seller.paid_requests(), 0);
}

#[tokio::test]
async fn what_was_delivered_is_bought_again() {
    let seller = Seller::open(|got, _| match got.payment {
        None => price(got),
        Some(_) => delivered(got),
    })
    .await;
    let payer = payer(Arc::new(MemoryJournal::new()));
    for _ in 0..3 {
        let outcome = payer.pay(&get(&seller, "/a")).await.unwrap();
        assert!(matches!(outcome, Outcome::Paid(paid) if paid.proven));
    }
    assert_eq!(seller.authorizations("/a").len(), 3);
    assert_eq!(payer.journal().ended().unwrap().len(), 3);
}

#[tokio::test]
async fn the_terms_that_were_signed_stay_when_the_offer_changes() {
    for change in ["amount", "payTo", "none"] {
        let seller = Seller::open(move |got, before| match (&got.payment, before) {
            (None, 0) => price(got),
            (None, _) => {
                let mut other = offer(&got.method, &got.path);
                match change {
                    "amount" => other["amount"] = json!("20000"),
                    "payTo" => other["payTo"] = json!(seller::SPENDER),
                    _ => return Act::Answer(200, vec![], CONTENT.to_vec()),
                }
                priced(json!([other]))
            }
            (Some(_), 0 | 1) => Act::HangUp,
            (Some(_), _) => delivered(got),
        })
        .await;
        let payer = payer(Arc::new(MemoryJournal::new())).with_patience(Duration::ZERO);
        for _ in 0..3 {
            let _ = payer.pay(&get(&seller, "/a")).await;
        }
        assert_eq!(seller.authorizations("/a").len(), 1, "{change}");
        assert_eq!(seller.paid_requests(), 3, "{change}");
    }
}

#[tokio::test]
async fn an_authorization_goes_out_with_its_own_request_only() {
    let seller = Seller::open(|got, before| match (&got.payment, before) {
        (None, _) => price(got),
        (Some(_), 0..4) => Act::Answer(402, receipt(got, ReceiptKind::Pending), vec![]),
        (Some(_), _) => delivered(got),
    })
    .await;
    let payer = payer(Arc::new(MemoryJournal::new())).with_patience(Duration::ZERO);
    // One after another, then two at once.
    for path in ["/data/1", "/data/2", "/data/1"] {
        assert!(payer.pay(&get(&seller, path)).await.is_err());
    }
    let (one, two) = (get(&seller, "/data/1"), get(&seller, "/data/2"));
    let _ = tokio::join!(payer.pay(&one), payer.pay(&two));
    let _ = tokio::join!(payer.pay(&one), payer.pay(&two));
    let (one, two) = (
        seller.authorizations("/data/1"),
        seller.authorizations("/data/2"),
    );
    assert!(one.is_disjoint(&two));
    assert!(
        one.len() <= 2 && two.len() <= 2,
        "one each, and one more after it was delivered"
    );
    // Another body and another query are other requests.
    for (method, path, body) in [
        ("POST", "/data/3", "1"),
        ("POST", "/data/3", "2"),
        ("GET", "/data/3", ""),
    ] {
        let request = Request::new(method, &seller.url(path), body.into()).unwrap();
        payer.pay(&request).await.unwrap();
    }
    assert_eq!(seller.authorizations("/data/3").len(), 3);
}

#[tokio::test]
async fn of_calls_at_once_one_pays() {
    let seller = Seller::open(|got, _| match got.payment {
        None => price(got),
        // Content without a receipt does not end the record.
        Some(_) => Act::Late(
            Duration::from_millis(30),
            Box::new(Act::Answer(200, vec![], CONTENT.to_vec())),
        ),
    })
    .await;
    let folder = folder();
    let calls = (0..6).map(|_| {
        // Each call is a process of its own.
        let payer = payer(files(&folder)).with_patience(Duration::from_secs(20));
        let request = get(&seller, "/a");
        tokio::spawn(async move { payer.pay(&request).await })
    });
    for call in calls.collect::<Vec<_>>() {
        match call.await.unwrap() {
            Ok(Outcome::Paid(paid)) => assert!(!paid.proven),
            other => panic!("{other:?}"),
        }
    }
    assert_eq!(seller.authorizations("/a").len(), 1);
    std::fs::remove_dir_all(folder).unwrap();
}

#[tokio::test]
async fn of_calls_at_once_one_pays_and_all_get_what_it_bought() {
    for in_files in [false, true] {
        let seller = Seller::open(|got, _| match got.payment {
            None => price(got),
            Some(_) => Act::Late(Duration::from_millis(400), Box::new(delivered(got))),
        })
        .await;
        let folder = folder();
        let memory: Arc<dyn Journal> = Arc::new(MemoryJournal::new());
        let calls = (0..6).map(|_| {
            let journal = match in_files {
                true => files(&folder),
                false => memory.clone(),
            };
            let payer = payer(journal).with_patience(Duration::from_secs(20));
            let request = get(&seller, "/a");
            tokio::spawn(async move { payer.pay(&request).await })
        });
        for call in calls.collect::<Vec<_>>() {
            match call.await.unwrap() {
                Ok(Outcome::Paid(paid)) => assert!(paid.proven),
                other => panic!("{other:?}"),
            }
        }
        assert_eq!(seller.authorizations("/a").len(), 1);
        // A later call buys again.
        let later = payer(match in_files {
            true => files(&folder),
            false => memory,
        });
        later.pay(&get(&seller, "/a")).await.unwrap();
        assert_eq!(seller.authorizations("/a").len(), 2);
        let _ = std::fs::remove_dir_all(folder);
    }
}

#[tokio::test]
async fn a_turn_that_does_not_come_ends_with_the_patience() {
    let seller = Seller::open(|got, _| match got.payment {
        None => price(got),
        Some(_) => Act::Silent,
    })
    .await;
    let payer = payer(Arc::new(MemoryJournal::new()));
    let (patient, request) = (payer.clone(), get(&seller, "/a"));
    let busy = tokio::spawn(async move { patient.pay(&request).await });
    while seller.paid_requests() == 0 {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    assert!(matches!(
        payer.pay(&get(&seller, "/a")).await,
        Err(PayError::InProgress)
    ));
    busy.abort();
    let _ = busy.await;
    // A call that was dropped holds no lock.
    assert!(matches!(
        payer.pay(&get(&seller, "/a")).await,
        Err(PayError::Unsettled { .. })
    ));
    assert_eq!(seller.authorizations("/a").len(), 1);
}

#[tokio::test]
async fn unresolved_payments_are_limited_for_each_canister_and_can_be_forgotten() {
    let seller = Seller::open(|got, _| match got.payment {
        None => price(got),
        Some(_) => Act::HangUp,
    })
    .await;
    let payer = payer(Arc::new(MemoryJournal::new()))
        .with_patience(Duration::ZERO)
        .with_unresolved_limit(2);
    for path in ["/1", "/2"] {
        assert!(matches!(
            payer.pay(&get(&seller, path)).await,
            Err(PayError::Unsettled { .. })
        ));
    }
    match payer.pay(&get(&seller, "/3")).await {
        Err(PayError::TooManyUnresolved { spender, limit: 2 }) => {
            assert_eq!(spender.to_text(), seller::SPENDER);
        }
        other => panic!("{other:?}"),
    }
    assert_eq!(seller.authorizations("/3").len(), 0);
    // A recorded payment may still be sent again.
    assert!(matches!(
        payer.pay(&get(&seller, "/2")).await,
        Err(PayError::Unsettled { .. })
    ));
    let first = payer.unresolved().unwrap().remove(0).payment.id().unwrap();
    assert!(payer.forget(first).unwrap());
    assert!(matches!(
        payer.pay(&get(&seller, "/3")).await,
        Err(PayError::Unsettled { .. })
    ));
}

#[tokio::test]
async fn a_second_signature_for_the_same_request_is_not_sent() {
    let seller = Seller::open(|got, _| match got.payment {
        None => price(got),
        Some(_) => Act::HangUp,
    })
    .await;
    let payer = payer(Arc::new(MemoryJournal::new())).with_patience(Duration::ZERO);
    let mut signed = Vec::new();
    for _ in 0..2 {
        let Quote::Priced(priced) = payer.quote(&get(&seller, "/a")).await.unwrap() else {
            panic!("must be priced");
        };
        signed.push(payer.sign(&priced, &priced.offers[0]).unwrap());
    }
    assert!(payer.send(&signed[0]).await.is_err());
    match payer.send(&signed[1]).await {
        Err(PayError::Unsettled { payment, .. }) => {
            assert_eq!(payment.payment_id, signed[0].payment_id)
        }
        other => panic!("{other:?}"),
    }
    // The first is not sent with another request either.
    let mut elsewhere = signed[0].clone();
    elsewhere.url = seller.url("/a?b");
    assert!(matches!(
        payer.send(&elsewhere).await,
        Err(PayError::Journal(_))
    ));
    assert_eq!(seller.paid_requests(), 1);
}
