//! Limits in bytes and in time, and payments after they were reached.

use super::{
    seller::{Act, ReceiptKind, Seller, delivered, offer, price, priced, receipt},
    *,
};
use crate::{http::Http, plain_text::PLAIN_TEXT_CHARACTERS};
use serde_json::Value;
use x402_icp::decode::MAX_HEADER_BYTES;

#[tokio::test]
async fn bodies_without_end_are_cut_at_their_limit() {
    for (status, bytes) in [(200, 20_000), (404, 20_000), (200, 10_001)] {
        let seller = Seller::open(move |_, _| Act::Answer(status, vec![], vec![b'x'; bytes])).await;
        match payer(memory()).quote(&get(&seller, "/a")).await {
            Err(PayError::Unreachable(crate::HttpError::TooLong { limit: 10_000 })) => {}
            other => panic!("{status}: {other:?}"),
        }
    }
    // A resource of exactly the limit is read.
    let seller = Seller::open(|_, _| Act::Answer(200, vec![], vec![b'x'; 10_000])).await;
    assert!(payer(memory()).quote(&get(&seller, "/a")).await.is_ok());
    // Of a 402 the headers are enough.
    let seller = Seller::open(|got, _| match price(got) {
        Act::Answer(status, headers, _) => Act::Answer(status, headers, vec![b'x'; 200_000]),
        other => other,
    })
    .await;
    assert!(matches!(
        payer(memory()).quote(&get(&seller, "/a")).await,
        Ok(Quote::Priced(_))
    ));
}

#[tokio::test]
async fn content_that_is_slow_but_steady_arrives() {
    // Longer in total than the limit between two bytes.
    let seller = Seller::open(|got, _| match got.payment {
        None => price(got),
        Some(_) => Act::Drip(
            200,
            receipt(got, ReceiptKind::Good),
            10,
            Duration::from_millis(80),
        ),
    })
    .await;
    match payer(memory()).pay(&get(&seller, "/a")).await {
        Ok(Outcome::Paid(paid)) => assert!(paid.proven && paid.response.body.len() == 10),
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn the_receipt_of_content_that_does_not_arrive_is_kept() {
    for number in 0..3 {
        let seller = Seller::open(move |got, _| match got.payment {
            None => price(got),
            Some(_) => {
                let receipt = receipt(got, ReceiptKind::Good);
                match number {
                    0 => Act::Cut(200, receipt),
                    1 => Act::Stall(200, receipt),
                    _ => Act::Answer(200, receipt, vec![b'x'; 20_000]),
                }
            }
        })
        .await;
        let payer = payer(memory());
        match payer.pay(&get(&seller, "/a")).await {
            Err(PayError::NotDelivered { receipt, .. }) => assert_eq!(receipt.transaction, "7"),
            other => panic!("{number}: {other:?}"),
        }
        assert_eq!(payer.unresolved().unwrap().len(), 1);
        assert_eq!(seller.authorizations("/a").len(), 1);
    }
}

#[tokio::test]
async fn silence_ends() {
    let seller = Seller::open(|_, _| Act::Silent).await;
    let mut limits = short();
    limits.connect = Duration::from_millis(100);
    let payer = payer(memory()).with_limits(limits).unwrap();
    let started = Instant::now();
    assert!(matches!(
        payer.quote(&get(&seller, "/a")).await,
        Err(PayError::Unreachable(crate::HttpError::NoAnswer(_)))
    ));
    assert!(started.elapsed() < Duration::from_secs(4));
    // An endless slow response, too.
    let seller =
        Seller::open(|_, _| Act::Drip(200, vec![], 9_000, Duration::from_millis(30))).await;
    limits.whole = Duration::from_millis(500);
    let payer = payer.with_limits(limits).unwrap();
    let started = Instant::now();
    assert!(payer.quote(&get(&seller, "/a")).await.is_err());
    assert!(started.elapsed() < Duration::from_secs(4));
}

#[tokio::test]
async fn a_silent_replica_does_not_hang() {
    let replica = Seller::open(|_, _| Act::Silent).await;
    let url = format!("http://127.0.0.1:{}", replica.port);
    let started = Instant::now();
    let timeout = Duration::from_millis(300);
    match Network::local_within(&url, &identity(), timeout).await {
        Err(crate::NetworkError::NoRootKey { .. }) => {}
        other => panic!("{other:?}"),
    }
    let network = Network::mainnet_at(&url, &identity())
        .unwrap()
        .with_timeout(timeout);
    let ledger = network.ledger(Principal::from_text(seller::CKUSDC).unwrap());
    assert!(ledger.fee().await.is_err());
    assert!(started.elapsed() < Duration::from_secs(5));
}

#[tokio::test]
async fn a_local_network_with_the_key_of_the_mainnet_is_refused() {
    // CBOR of {"root_key": <133 bytes>}.
    let key = x402_icp::network::MAINNET_ROOT_KEY_DER;
    let status = [&[0xa1, 0x68], &b"root_key"[..], &[0x58, 133], key].concat();
    let replica = Seller::open(move |_, _| {
        let kind = ("content-type".to_string(), "application/cbor".to_string());
        Act::Answer(200, vec![kind], status.clone())
    })
    .await;
    for host in ["127.0.0.1", "localhost"] {
        let url = format!("http://{host}:{}", replica.port);
        match Network::local(&url, &identity()).await {
            Err(crate::NetworkError::IsMainnet { .. }) => {}
            other => panic!("{other:?}"),
        }
    }
}

#[tokio::test]
async fn a_replica_without_scheme_is_an_error() {
    for url in [
        "localhost:4943",
        "127.0.0.1:4943",
        "",
        "icp-api.io",
        "ftp://icp-api.io",
        "https://",
    ] {
        assert!(
            matches!(
                Network::local(url, &identity()).await,
                Err(crate::NetworkError::Agent { .. })
            ),
            "{url:?}"
        );
    }
}

#[tokio::test]
async fn retry_after_is_honoured_up_to_the_patience() {
    for (wait, patience, expected) in [
        ("1", 5_000, 2),
        ("60", 400, 1),
        ("99999999999999999999", 400, 1),
    ] {
        let seller = Seller::open(move |got, before| match (&got.payment, before) {
            (None, _) => price(got),
            (Some(_), 0) => Act::Answer(503, vec![("Retry-After".into(), wait.into())], vec![]),
            (Some(_), _) => delivered(got),
        })
        .await;
        let payer = payer(memory()).with_patience(Duration::from_millis(patience));
        let started = Instant::now();
        let outcome = payer.pay(&get(&seller, "/a")).await;
        assert_eq!(outcome.is_ok(), expected == 2, "{outcome:?}");
        assert_eq!(seller.paid_requests(), expected);
        assert_eq!(started.elapsed() >= Duration::from_secs(1), expected == 2);
    }
}

#[tokio::test]
async fn a_payment_that_nobody_would_read_is_not_signed() {
    for (resource, extensions) in [
        (
            json!({"url": "/", "description": "x".repeat(12_000)}),
            json!(null),
        ),
        (
            json!({"url": "/"}),
            json!({"long": {"info": {"x": "y".repeat(12_000)}}}),
        ),
        (
            json!({"url": "x".repeat(6_000)}),
            json!({"long": {"x": "y".repeat(6_000)}}),
        ),
    ] {
        let seller = Seller::open(move |got, _| {
            let required = json!({
                "x402Version": 2, "resource": resource.clone(), "extensions": extensions.clone(),
                "accepts": [offer(&got.method, &got.path)],
            });
            let header = x402_icp::encode_header(&required);
            // Short enough to be read.
            assert!(header.len() <= MAX_HEADER_BYTES + 1_500, "{}", header.len());
            Act::Answer(402, vec![("PAYMENT-REQUIRED".into(), header)], vec![])
        })
        .await;
        let payer = payer(memory());
        match payer.pay(&get(&seller, "/a")).await {
            Err(PayError::TooLong { actual, .. }) => assert!(actual > MAX_HEADER_BYTES),
            Err(PayError::UnreadableOffer(problem)) => {
                assert!(problem.contains("long"), "{problem}")
            }
            other => panic!("{other:?}"),
        }
        assert_eq!(payer.unresolved().unwrap(), []);
        assert_eq!(seller.paid_requests(), 0);
    }
}

#[tokio::test]
async fn secrets_are_not_printed() {
    let seller = Seller::open(|got, _| match got.payment {
        None => price(got),
        Some(_) => Act::HangUp,
    })
    .await;
    let request = Request::new("POST", &seller.url("/a"), b"s3cret-body".to_vec())
        .unwrap()
        .with_header("Authorization", "Bearer s3cret-token")
        .with_header("Cookie", "s3cret-cookie");
    let payer = payer(memory());
    let error = payer.pay(&request).await.unwrap_err();
    let payment = payer.unresolved().unwrap().remove(0).payment;
    let quote = payer.quote(&request).await.unwrap();
    let authorization = payment.payment.payload.authorization();
    let signature = authorization.unwrap().signature.clone();
    let header = payment.header();
    for text in [
        format!("{request:?}"),
        format!("{error:?}"),
        format!("{error}"),
        format!("{payment:?} {:?}", payment.payment),
        format!("{quote:?}"),
        format!("{payer:?} {:?}", payer.unresolved()),
    ] {
        for secret in ["s3cret", signature.as_str(), header] {
            assert!(!text.contains(secret), "{text}");
        }
    }
    // A malformed header is named without its value.
    let odd = Request::get(&seller.url("/a"))
        .unwrap()
        .with_header("Authorization", "s3cret\n");
    let problem = odd.check().unwrap_err().to_string();
    assert!(
        problem.contains("Authorization") && !problem.contains("s3cret"),
        "{problem}"
    );
}

#[tokio::test]
async fn words_of_the_seller_are_one_plain_line() {
    let words = format!(
        "no\u{1b}]52;c;AAAA\u{7}\r\nresume with: rm -rf {}",
        "x".repeat(5_000)
    );
    let reason = words.clone();
    let seller = Seller::open(move |got, _| match got.payment {
        None => price(got),
        Some(_) => {
            let refusal = json!({"success": false, "errorReason": reason, "transaction": "", "network": "icp:1", "errorMessage": reason});
            Act::Answer(402, vec![("PAYMENT-RESPONSE".into(), x402_icp::encode_header(&refusal))], vec![])
        }
    })
    .await;
    let text = payer(memory())
        .pay(&get(&seller, "/a"))
        .await
        .unwrap_err()
        .to_string();
    assert!(!text.chars().any(char::is_control), "{text:?}");
    assert!(
        text.chars().count() < 4 * PLAIN_TEXT_CHARACTERS,
        "{}",
        text.len()
    );
    let accepts: Value = json!([{"scheme": words}]);
    let seller = Seller::open(move |_, _| priced(accepts.clone())).await;
    let text = payer(memory())
        .pay(&get(&seller, "/a"))
        .await
        .unwrap_err()
        .to_string();
    // One line for each entry of `accepts`.
    assert_eq!(text.lines().count(), 2, "{text:?}");
    assert!(!text.contains('\u{1b}'));
}

#[tokio::test]
async fn the_limits_of_a_client_are_its_own() {
    let seller = Seller::open(|_, _| Act::Answer(200, vec![], vec![b'x'; 50_000])).await;
    let request = get(&seller, "/a");
    assert!(
        Http::new(Limits::default())
            .unwrap()
            .ask(&request)
            .await
            .unwrap()
            .answer
            .cut
            .is_none()
    );
    assert!(
        Http::new(short())
            .unwrap()
            .ask(&request)
            .await
            .unwrap()
            .answer
            .cut
            .is_some()
    );
}

#[tokio::test]
async fn a_seller_that_wants_no_pause_is_not_asked_without_one() {
    for wait in ["0", "Thu, 01 Jan 1970 00:00:00 GMT"] {
        let seller = Seller::open(move |got, _| match got.payment {
            None => price(got),
            Some(_) => Act::Answer(503, vec![("Retry-After".into(), wait.into())], vec![]),
        })
        .await;
        let payer = payer(memory()).with_patience(Duration::from_millis(200));
        assert!(payer.pay(&get(&seller, "/a")).await.is_err());
        // The first pause is 10 ms.
        let asked = seller.paid_requests();
        assert!((2..=21).contains(&asked), "{asked}");
    }
}

#[test]
fn attack_the_money_of_another_identity_is_not_moved() {
    let key = ic_agent::identity::BasicIdentity::from_raw_key(&[2; 32]);
    let other = Identity::new(Arc::new(key)).unwrap();
    let network = Network::mainnet_at("http://127.0.0.1:9", &other).unwrap();
    match Payer::new(identity(), network) {
        Err(PayError::OtherIdentity { caller, payer }) => {
            assert_eq!((caller, payer), (other.principal(), identity().principal()));
        }
        made => panic!("{made:?}"),
    }
}
