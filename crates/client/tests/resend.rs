//! A seller whose connections break: the payer sends the same payment again, and never a second one.

#[allow(dead_code, reason = "a part of it is enough here")]
#[path = "support/gateway.rs"]
mod gateway;

use candid::Principal;
use gateway::{payment_of, respond};
use std::{
    net::TcpListener,
    sync::mpsc::{Receiver, channel},
    time::Duration,
};
use tollkeeper_client::{
    Code, Identity, Network, PayError, Payer, Priced, Quote, Request, SignedPayment,
};
use x402_icp::{
    encode_header,
    offer::offer_id,
    wire::{ExactIcrc2Extra, PaymentRequired, PaymentRequirements, ResourceInfo, SettleResponse},
};

/// The canister that serves and collects.
const SPENDER: &str = "ryjl3-tyaaa-aaaaa-aaaba-cai";

/// The seller's behaviour for one request.
enum Act {
    /// Reads it and hangs up.
    HangUp,
    /// Responds with status, headers and body.
    Answer(u16, Vec<(&'static str, String)>, &'static str),
}

fn offers() -> Act {
    let required = PaymentRequired {
        x402_version: 2,
        error: None,
        resource: ResourceInfo {
            url: "/report".into(),
            ..Default::default()
        },
        accepts: vec![PaymentRequirements {
            scheme: "exact".into(),
            network: "icp:1".into(),
            amount: "10000".into(),
            asset: "xevnm-gaaaa-aaaar-qafnq-cai".into(),
            pay_to: "aaaaa-aa".into(),
            max_timeout_seconds: 60,
            extra: ExactIcrc2Extra {
                asset_transfer_method: "icrc2".into(),
                symbol: "ckUSDC".into(),
                decimals: 6,
                fee: "10000".into(),
                spender: SPENDER.into(),
                offer: offer_id(Principal::from_text(SPENDER).unwrap(), "GET", "/report", 1),
                method: Some("GET".into()),
                route: Some("/report".into()),
                revision: Some(1),
                payment_flow: None,
            },
        }],
        extensions: None,
    };
    Act::Answer(
        402,
        vec![("PAYMENT-REQUIRED", encode_header(&required))],
        "{}",
    )
}

fn outcome(success: bool, reason: Option<&str>) -> Vec<(&'static str, String)> {
    let response = SettleResponse {
        success,
        error_reason: reason.map(String::from),
        transaction: "7".into(),
        network: "icp:1".into(),
        payer: Some(identity().account().to_string()),
        amount: Some("10000".into()),
        ..Default::default()
    };
    vec![("PAYMENT-RESPONSE", encode_header(&response))]
}

/// Serves a script, one connection a request, and reports the payment header of each.
fn seller(script: Vec<Act>) -> (String, Receiver<Option<String>>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!(
        "http://{SPENDER}.localhost:{}/report",
        listener.local_addr().unwrap().port()
    );
    let (tell, told) = channel();
    std::thread::spawn(move || {
        for act in script {
            let (mut stream, _) = listener.accept().unwrap();
            tell.send(payment_of(&mut stream)).unwrap();
            if let Act::Answer(status, headers, body) = act {
                respond(&mut stream, status, &headers, body).unwrap();
            }
        }
    });
    (url, told)
}

fn identity() -> Identity {
    let key = ic_ed25519::PrivateKey::deserialize_raw_32(&[1; 32]);
    Identity::from_pem(&key.serialize_pkcs8_pem(ic_ed25519::PrivateKeyFormat::Pkcs8v1)).unwrap()
}

/// A payer on the mainnet's id, whose canisters do not answer: no test here calls them.
fn payer(patience: Duration) -> Payer {
    let identity = identity();
    let network = Network::mainnet_at("http://127.0.0.1:9", &identity).unwrap();
    Payer::new(identity, network)
        .unwrap()
        .with_patience(patience)
}

async fn signed(payer: &Payer, url: &str) -> SignedPayment {
    let Quote::Priced(priced) = payer.quote(&Request::get(url).unwrap()).await.unwrap() else {
        panic!("must be priced");
    };
    let Priced { offers, .. } = &*priced;
    payer.sign(&priced, &offers[0]).unwrap()
}

#[tokio::test]
async fn the_same_payment_is_sent_until_the_content_arrives() {
    let (url, told) = seller(vec![
        offers(),
        Act::HangUp,
        Act::Answer(402, outcome(false, Some("settlement_pending")), "{}"),
        Act::Answer(503, vec![], ""),
        Act::Answer(200, outcome(true, None), "content"),
    ]);
    let payer = payer(Duration::from_secs(60));
    let payment = signed(&payer, &url).await;
    let paid = payer.send(&payment).await.unwrap();
    assert_eq!(paid.response.body, b"content");
    assert_eq!(paid.receipt.unwrap().transaction, "7");
    let sent: Vec<_> = told.try_iter().collect();
    assert_eq!(sent.len(), 5);
    assert_eq!(sent[0], None, "the question carries no payment");
    for header in &sent[1..] {
        assert_eq!(header.as_deref(), Some(payment.header()));
    }
}

#[tokio::test]
async fn an_unknown_outcome_is_an_error_that_keeps_the_payment() {
    let (url, told) = seller(vec![offers(), Act::HangUp]);
    let payer = payer(Duration::ZERO);
    let payment = signed(&payer, &url).await;
    match payer.send(&payment).await {
        Err(PayError::Unsettled { payment: kept, .. }) => assert_eq!(*kept, payment),
        other => panic!("{other:?}"),
    }
    assert_eq!(told.try_iter().filter(Option::is_some).count(), 1);
}

#[tokio::test]
async fn a_refusal_that_nobody_confirms_keeps_the_payment() {
    let (url, told) = seller(vec![
        offers(),
        Act::HangUp,
        Act::Answer(402, outcome(false, Some("insufficient_funds")), "{}"),
    ]);
    // No canister answers here: a payment that was refused over HTTP alone may still be presented.
    let payer = payer(Duration::from_secs(60));
    let payment = signed(&payer, &url).await;
    match payer.send(&payment).await {
        Err(PayError::Unsettled {
            payment: kept,
            reason,
        }) => {
            assert_eq!(*kept, payment);
            assert!(
                reason.contains(Code::InsufficientFunds.as_str()),
                "{reason}"
            );
        }
        other => panic!("{other:?}"),
    }
    assert_eq!(told.try_iter().filter(Option::is_some).count(), 2);
}

#[tokio::test]
async fn a_payment_does_not_follow_a_redirect() {
    let (elsewhere, stranger) = seller(vec![Act::Answer(200, vec![], "stolen")]);
    let (url, _told) = seller(vec![
        offers(),
        Act::Answer(307, vec![("location", elsewhere)], ""),
    ]);
    let payer = payer(Duration::ZERO);
    let payment = signed(&payer, &url).await;
    match payer.send(&payment).await {
        Err(PayError::Unsettled { reason, .. }) => assert!(reason.contains("307"), "{reason}"),
        other => panic!("{other:?}"),
    }
    assert_eq!(stranger.try_iter().count(), 0);
}

#[tokio::test]
async fn a_seller_that_is_away_was_sent_nothing() {
    let (url, _told) = seller(vec![offers()]);
    let payer = payer(Duration::ZERO);
    let payment = signed(&payer, &url).await;
    // The script is over and the listener is gone.
    std::thread::sleep(Duration::from_millis(50));
    assert!(matches!(
        payer.send(&payment).await,
        Err(PayError::Unreachable(_))
    ));
}

#[tokio::test]
async fn a_stored_payment_may_have_been_sent_before() {
    let (url, _told) = seller(vec![offers()]);
    let payer = payer(Duration::ZERO);
    let text = serde_json::to_string(&signed(&payer, &url).await).unwrap();
    let stored: SignedPayment = serde_json::from_str(&text).unwrap();
    std::thread::sleep(Duration::from_millis(50));
    match payer.send(&stored).await {
        Err(PayError::Unsettled { payment, .. }) => assert_eq!(*payment, stored),
        other => panic!("{other:?}"),
    }
    // Even if it cannot be sent at all.
    let broken = text.replace("\"body\":\"\"", "\"body\":\"?\"");
    let broken: SignedPayment = serde_json::from_str(&broken).unwrap();
    assert!(matches!(
        payer.send(&broken).await,
        Err(PayError::Unsettled { .. })
    ));
}

#[tokio::test]
async fn two_purchases_are_two_payments() {
    let (url, _told) = seller(vec![offers(), offers()]);
    let payer = payer(Duration::ZERO);
    let (a, b) = (signed(&payer, &url).await, signed(&payer, &url).await);
    assert_ne!(a.payment_id, b.payment_id);
}

/// The result of a script of responses, and the number of payments that were sent.
async fn fails(script: Vec<Act>, patience: Duration) -> (PayError, SignedPayment, usize) {
    let (url, told) = seller([vec![offers()], script].into_iter().flatten().collect());
    let payer = payer(patience);
    let payment = signed(&payer, &url).await;
    let error = payer.send(&payment).await.unwrap_err();
    (
        error,
        payment,
        told.try_iter().filter(Option::is_some).count(),
    )
}

#[tokio::test]
async fn what_is_paid_and_gone_is_not_asked_for_again() {
    let gone = Act::Answer(410, outcome(true, None), "");
    match fails(vec![gone], Duration::from_secs(60)).await {
        (
            PayError::NotDelivered {
                payment,
                status,
                receipt,
                ..
            },
            sent,
            1,
        ) => {
            assert_eq!((*payment, status, &*receipt.transaction), (sent, 410, "7"));
        }
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn what_was_paid_stays_paid_whatever_is_answered_later() {
    for later in [
        Act::Answer(503, vec![], ""),
        Act::Answer(404, vec![], ""),
        Act::Answer(402, outcome(false, Some("insufficient_funds")), ""),
        Act::HangUp,
    ] {
        let paid = Act::Answer(404, outcome(true, None), "");
        // Enough for the first pause (0.5 s) and not for the second (1 s more).
        match fails(vec![paid, later], Duration::from_millis(1_200)).await {
            (
                PayError::NotDelivered {
                    status, receipt, ..
                },
                _,
                2,
            ) => {
                assert_eq!((status, &*receipt.transaction), (404, "7"));
            }
            other => panic!("{other:?}"),
        }
    }
}

#[tokio::test]
async fn a_payment_used_before_may_have_moved_money() {
    let used = Act::Answer(402, outcome(false, Some("duplicate_settlement")), "");
    match fails(vec![used], Duration::from_secs(60)).await {
        (PayError::Used { payment, block, .. }, sent, 1) => {
            assert_eq!((*payment, block.as_deref()), (sent, Some("7")));
        }
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn the_answer_to_an_unpaid_request_keeps_the_payment() {
    match fails(vec![offers()], Duration::from_secs(60)).await {
        (PayError::Unsettled { payment, .. }, sent, 1) => assert_eq!(*payment, sent),
        other => panic!("{other:?}"),
    }
}
