//! A gateway that holds payments back and says "refused": the payer believes the canister only.

mod support;

use std::{
    io::{Read, Write},
    net::TcpListener,
};
use support::{CONTENT, FEE, FUNDS, PRICE, Shop, merchant};
use tokio::runtime::Runtime;
use tollkeeper_client::{
    Amount, Code, Identity, PayError, Payer, Quote, Request, Resolution, SignedPayment,
};
use x402_icp::{encode_header, wire::SettleResponse};

/// Serves `answers` refusals and keeps what it was given.
fn liar(answers: usize) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}/report", listener.local_addr().unwrap());
    let refusal = SettleResponse {
        success: false,
        error_reason: Some(Code::InsufficientFunds.as_str().into()),
        network: "icp:1".into(),
        ..Default::default()
    };
    std::thread::spawn(move || {
        for _ in 0..answers {
            let (mut stream, _) = listener.accept().unwrap();
            let mut read = Vec::new();
            let mut byte = [0];
            while !read.ends_with(b"\r\n\r\n") && stream.read(&mut byte).unwrap() == 1 {
                read.push(byte[0]);
            }
            let header = encode_header(&refusal);
            let answer = format!(
                "HTTP/1.1 402 X\r\nPAYMENT-RESPONSE: {header}\r\ncontent-length: 2\r\nconnection: close\r\n\r\n{{}}"
            );
            stream.write_all(answer.as_bytes()).unwrap();
        }
    });
    url
}

fn identity() -> Identity {
    let key = ic_ed25519::PrivateKey::deserialize_raw_32(&[7; 32]);
    Identity::from_pem(&key.serialize_pkcs8_pem(ic_ed25519::PrivateKeyFormat::Pkcs8v1)).unwrap()
}

/// A signed payment for the shop's report, not sent yet.
async fn signed(shop: &Shop, payer: &Payer) -> SignedPayment {
    let request = Request::get(&shop.url("/report")).unwrap();
    let Quote::Priced(priced) = payer.quote(&request).await.unwrap() else {
        panic!("must be priced");
    };
    let offer = payer.fund(&priced).await.unwrap();
    payer.sign(&priced, &offer).unwrap()
}

fn by_way_of(gateway: &str, payment: &SignedPayment) -> SignedPayment {
    let mut payment = payment.clone();
    payment.url = gateway.into();
    payment
}

#[test]
fn a_payment_that_a_gateway_held_back_can_never_be_charged() {
    let shop = Shop::open();
    let account = identity().account();
    shop.fund(account, FUNDS);
    Runtime::new().unwrap().block_on(async {
        let payer = shop
            .payer(identity())
            .await
            .with_approval(Some(Amount(FUNDS)));
        let payment = signed(&shop, &payer).await;
        match payer.send(&by_way_of(&liar(1), &payment)).await {
            Err(PayError::Refused { code, .. }) => assert_eq!(code, Some(Code::InsufficientFunds)),
            other => panic!("{other:?}"),
        }
        // What was called refused is refused from now on, whoever presents it.
        match payer.send(&payment).await {
            Err(PayError::Refused { code, .. }) => assert_eq!(code, Some(Code::Cancelled)),
            other => panic!("{other:?}"),
        }
    });
    assert_eq!(shop.balance(account), FUNDS - FEE, "the approval's fee");
    assert_eq!(shop.balance(merchant()), 0);
}

#[test]
fn a_payment_that_a_gateway_used_is_not_called_refused() {
    let shop = Shop::open();
    let account = identity().account();
    shop.fund(account, FUNDS);
    Runtime::new().unwrap().block_on(async {
        let payer = shop
            .payer(identity())
            .await
            .with_approval(Some(Amount(FUNDS)));
        let payment = signed(&shop, &payer).await;
        // The gateway presents it itself, keeps the content, and tells another story.
        payer.send(&payment).await.unwrap();
        // Another process has another journal.
        let elsewhere = shop.payer(identity()).await;
        match elsewhere.send(&by_way_of(&liar(1), &payment)).await {
            Err(PayError::NotDelivered { receipt, .. }) => {
                let block: u64 = receipt.transaction.parse().unwrap();
                assert!(block > 0);
            }
            other => panic!("{other:?}"),
        }
        // By another way the payer gets what was paid for.
        assert_eq!(payer.send(&payment).await.unwrap().response.body, CONTENT);
    });
    assert_eq!(shop.balance(merchant()), PRICE);
}

#[test]
fn a_payment_that_somebody_changed_is_not_sent() {
    let shop = Shop::open();
    shop.fund(identity().account(), FUNDS);
    Runtime::new().unwrap().block_on(async {
        let payer = shop
            .payer(identity())
            .await
            .with_approval(Some(Amount(FUNDS)));
        let payment = signed(&shop, &payer).await;
        let mut others = vec![payment.clone(), payment.clone(), payment.clone()];
        // The canister that would confirm, the amount, the id.
        others[0].payment.accepted.extra["spender"] = shop.ledger.to_text().into();
        others[1].payment.accepted.amount = "1".into();
        others[2].payment_id = "07".repeat(32);
        for other in others {
            match payer.send(&other).await {
                Err(PayError::Unsettled { reason, .. }) => {
                    assert!(reason.contains("its terms"), "{reason}");
                }
                other => panic!("{other:?}"),
            }
            assert!(matches!(
                payer.resolve(&other).await,
                Resolution::Unknown { .. }
            ));
        }
        assert_eq!(payer.unresolved().unwrap(), []);
    });
    assert_eq!(shop.balance(merchant()), 0);
}
