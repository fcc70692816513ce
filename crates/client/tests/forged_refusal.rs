//! A gateway that holds payments back and reports them as refused: the payer believes the canister only.

mod support;

use std::{
    io::{Read, Write},
    net::TcpStream,
};
use support::{
    CONTENT, FEE, FUNDS, PRICE, Shop,
    gateway::Gateway,
    merchant,
    sellers::{identity, refusal, signed},
};
use tokio::runtime::Runtime;
use tollkeeper_client::{
    Amount, Code, Outcome, PayError, Payer, Request, Resolution, SignedPayment,
};
use x402_icp::{
    decode::decode_header,
    encode_header,
    wire::{PAYMENT_REQUIRED, PaymentRequired},
};

/// Refuses every payment.
fn liar() -> Gateway {
    Gateway::open(|_| Some((402, vec![("PAYMENT-RESPONSE", refusal())], "{}".into())))
}

/// A payer who lets the canister take all the funds.
async fn buyer(shop: &Shop) -> Payer {
    let payer = shop.payer(identity(7)).await;
    payer.with_approval(Some(Amount(FUNDS)))
}

fn by_way_of(gateway: &Gateway, payment: &SignedPayment) -> SignedPayment {
    let mut payment = payment.clone();
    payment.url = gateway.url("127.0.0.1", "/report");
    payment
}

#[test]
fn a_payment_that_a_gateway_held_back_can_never_be_charged() {
    let shop = Shop::open();
    let account = identity(7).account();
    shop.fund(account, FUNDS);
    Runtime::new().unwrap().block_on(async {
        let payer = buyer(&shop).await;
        let payment = signed(&payer, &shop.url("/report")).await;
        match payer.send(&by_way_of(&liar(), &payment)).await {
            Err(PayError::Refused { code, .. }) => assert_eq!(code, Some(Code::InsufficientFunds)),
            other => panic!("{other:?}"),
        }
        // A payment that was reported as refused is refused from now on, whoever presents it.
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
    let account = identity(7).account();
    shop.fund(account, FUNDS);
    Runtime::new().unwrap().block_on(async {
        let payer = buyer(&shop).await;
        let payment = signed(&payer, &shop.url("/report")).await;
        // The gateway presents it itself, keeps the content, and reports something else.
        payer.send(&payment).await.unwrap();
        // Another process has another journal.
        let elsewhere = shop.payer(identity(7)).await;
        match elsewhere.send(&by_way_of(&liar(), &payment)).await {
            Err(PayError::NotDelivered { receipt, .. }) => {
                let block: u64 = receipt.transaction.parse().unwrap();
                assert!(block > 0);
            }
            other => panic!("{other:?}"),
        }
        // By another connection the payer gets the resource.
        assert_eq!(payer.send(&payment).await.unwrap().response.body, CONTENT);
    });
    assert_eq!(shop.balance(merchant()), PRICE);
}

#[test]
fn a_changed_payment_is_not_sent() {
    let shop = Shop::open();
    shop.fund(identity(7).account(), FUNDS);
    Runtime::new().unwrap().block_on(async {
        let payer = buyer(&shop).await;
        let payment = signed(&payer, &shop.url("/report")).await;
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

/// A stranger who saw a payment presents a header. The code of the refusal; `None` if the response is not a refusal.
fn presented(shop: &Shop, header: &str) -> Option<String> {
    let url = shop.url("/report");
    let (host, path) = url
        .strip_prefix("http://")
        .and_then(|rest| rest.split_once('/'))
        .unwrap();
    let port = host.rsplit(':').next().unwrap();
    let mut stream = TcpStream::connect(format!("127.0.0.1:{port}")).unwrap();
    let request = format!(
        "GET /{path} HTTP/1.1\r\nHost: {host}\r\nPAYMENT-SIGNATURE: {header}\r\nConnection: close\r\n\r\n"
    );
    stream.write_all(request.as_bytes()).unwrap();
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).unwrap();
    let answer = String::from_utf8_lossy(&answer).into_owned();
    let fresh = answer.lines().find_map(|line| {
        let (name, value) = line.split_once(':')?;
        name.eq_ignore_ascii_case(PAYMENT_REQUIRED)
            .then(|| value.trim())
    })?;
    let required: PaymentRequired = decode_header(PAYMENT_REQUIRED, fresh.as_bytes()).unwrap();
    required.error
}

/// The same payment with another fee in `accepted`.
fn with_fee(payment: &SignedPayment, fee: u128) -> String {
    let mut edited = payment.payment.clone();
    edited.accepted.extra["fee"] = fee.to_string().into();
    encode_header(&edited)
}

async fn bought(payer: &Payer, shop: &Shop) {
    let request = Request::get(&shop.url("/report")).unwrap();
    match payer.pay(&request).await {
        Ok(Outcome::Paid(paid)) => assert_eq!(paid.response.body, CONTENT),
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_fee_edited_by_an_observer_of_the_first_charges_nothing() {
    let shop = Shop::open();
    shop.fund(identity(7).account(), 4 * FUNDS);
    Runtime::new().unwrap().block_on(async {
        let payer = buyer(&shop).await;
        let first = signed(&payer, &shop.url("/report")).await;
        shop.set_fee(2 * FEE);
        shop.refresh();
        let edited = with_fee(&first, 2 * FEE);
        let code = tokio::task::block_in_place(|| presented(&shop, &edited));
        assert_eq!(code.as_deref(), Some(Code::Signature.as_str()));
        // The payer finds out about the fee, and the first is dead before another is signed.
        match payer.send(&first).await {
            Err(PayError::Refused { code, .. }) => assert_eq!(code, Some(Code::OfferMismatch)),
            other => panic!("{other:?}"),
        }
        assert_eq!(payer.unresolved().unwrap(), []);
        bought(&payer, &shop).await;
        for header in [first.header(), &edited] {
            let code = tokio::task::block_in_place(|| presented(&shop, header));
            assert!(code.is_some(), "refused as something");
        }
    });
    assert_eq!(shop.balance(merchant()), PRICE);
}

#[test]
fn ledger_unavailable_bought_again_and_the_first_replayed_charges_once() {
    let shop = Shop::open();
    shop.fund(identity(7).account(), FUNDS);
    Runtime::new().unwrap().block_on(async {
        let payer = buyer(&shop).await;
        let first = signed(&payer, &shop.url("/report")).await;
        shop.set_floor(1 << 100);
        match payer.send(&first).await {
            Err(PayError::Refused { code, .. }) => assert_eq!(code, Some(Code::LedgerUnavailable)),
            other => panic!("{other:?}"),
        }
        shop.set_floor(0);
        bought(&payer, &shop).await;
        let code = tokio::task::block_in_place(|| presented(&shop, first.header()));
        assert_eq!(code.as_deref(), Some(Code::Cancelled.as_str()));
    });
    assert_eq!(shop.balance(merchant()), PRICE);
}
