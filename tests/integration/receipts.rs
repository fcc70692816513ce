//! Receipts over HTTP and Candid.

use crate::support::{
    Request, Setup,
    interface::*,
    setup::{FEE, controller, merchant, operator, stranger},
};
use candid::Principal;
use serde_bytes::ByteBuf;
use serde_json::Value;
use test_ledger::testing::Fault;

const PRICE: u128 = 30_000;

#[test]
fn receipt_over_http_agrees_with_the_stored_payment() {
    let setup = Setup::with_any_ledger();
    let payer = setup.payer(110);
    let settled = setup
        .sell("/article", PRICE)
        .pay(&payer)
        .send()
        .expect_settled();
    let url = format!("/x402/receipts/{}", settled.signed.id);
    let by_consensus = setup.get(&url);
    let answer = setup.send(&Request::get_raw(setup.canister, &url));
    for (answer, upgraded) in [(&by_consensus, true), (&answer, false)] {
        assert_eq!((answer.status, answer.upgraded), (200, upgraded));
        assert_eq!(answer.header("content-type"), Some("application/json"));
        assert_eq!(answer.header("cache-control"), Some("private, no-store"));
        assert_eq!(answer.header("x-content-type-options"), Some("nosniff"));
    }
    let json: Value = serde_json::from_slice(&answer.body).unwrap();
    assert!(json["witness"].is_string() && json["certificate"].is_string());
    let unproven: Value = serde_json::from_slice(&by_consensus.body).unwrap();
    let there = serde_json::json!({"canister": setup.canister.to_text(), "query": "receipt_proof"});
    assert_eq!(
        (&unproven["receipt"], &unproven["proofAt"]),
        (&json["receipt"], &there)
    );
    assert_eq!(unproven["certificate"], Value::Null);
    assert_eq!(
        (&json["version"], &json["status"]),
        (&1.into(), &"delivered".into())
    );
    let offer = setup
        .get("/article")
        .payment_required()
        .unwrap()
        .accepts
        .remove(0);
    let expected = serde_json::json!({
        "canister": setup.canister.to_text(),
        "symbol": offer.extra.symbol,
        "decimals": offer.extra.decimals,
        "commitment": json["receipt"]["commitment"],
        "paymentId": settled.signed.id.to_string(),
        "network": setup.config().network,
        "asset": setup.ledger.0.to_text(),
        "transaction": settled.block.to_string(),
        "payTo": merchant().to_string(),
        "amount": PRICE.to_string(),
        "fee": FEE.to_string(),
        "settledAt": setup.receipt(settled.signed.id.0).unwrap().settled_at.to_string(),
    });
    assert_eq!(json["receipt"], expected);
    // The Candid method says the same, and to the payer who paid for what.
    let id = ByteBuf::from(settled.signed.id.0.to_vec());
    let asked = |caller| -> Value {
        let proof: Option<String> = setup.query(caller, "receipt_proof", (id.clone(),));
        serde_json::from_str(&proof.unwrap()).unwrap()
    };
    for (caller, payer) in [
        (stranger(), Value::Null),
        (payer.account.owner, payer.account.to_string().into()),
    ] {
        let proof = asked(caller);
        assert_eq!(
            (&proof["receipt"], &proof["index"]),
            (&expected, &"0".into())
        );
        assert_eq!(proof["details"]["payer"], payer);
        assert!(proof["witness"].is_string() && proof["certificate"].is_string());
    }
    // An update has no certificate, and says the same of the payment.
    let update: Option<String> = setup.update(stranger(), "receipt_proof", (id.clone(),));
    let update: Value = serde_json::from_str(&update.unwrap()).unwrap();
    assert_eq!(
        (&update["receipt"], &update["certificate"]),
        (&expected, &Value::Null)
    );
    let extra = settled.answer.payment_response().unwrap().extra.unwrap();
    assert_eq!(extra["paymentId"], settled.signed.id.to_string());
    let head = setup.send(&Request::new("HEAD", &url));
    assert_eq!((head.status, head.body.len()), (200, 0));
}

#[test]
fn an_id_reveals_neither_payer_nor_path() {
    let setup = Setup::with_any_ledger();
    let payer = setup.payer(113);
    let settled = setup
        .sell("/article", PRICE)
        .pay(&payer)
        .send()
        .expect_settled();
    let id = ByteBuf::from(settled.signed.id.0.to_vec());
    let me = payer.account.owner;
    for (caller, all) in [
        (me, true),
        (operator(), true),
        (controller(), true),
        (stranger(), false),
        (merchant().owner, true),
        (Principal::anonymous(), false),
    ] {
        let payment: Option<Payment> = setup.query(caller, "payment", (id.clone(),));
        let receipt: Option<Receipt> = setup.query(caller, "receipt", (id.clone(),));
        let (payment, receipt) = (payment.unwrap(), receipt.unwrap());
        let who = all.then_some(payer.account);
        let what = all.then(|| ("GET".to_string(), "/article".to_string()));
        assert_eq!((payment.payer, receipt.payer), (who, who), "{caller}");
        assert_eq!(payment.method.zip(payment.path), what, "{caller}");
        assert_eq!(receipt.method.zip(receipt.path), what, "{caller}");
        // The data in the ledger, and whether the payment is delivered, are public.
        assert_eq!(receipt.amount, payment.amount);
        assert!(matches!(payment.status, PaymentStatus::Delivered { .. }));
    }
    // The same by consensus and by query.
    let receipt: Option<Receipt> = setup.update(stranger(), "receipt", (id.clone(),));
    assert_eq!(receipt.unwrap().path, None);
    let payment: Option<Payment> = setup.update(me, "payment", (id,));
    assert_eq!(payment.unwrap().path, Some("/article".into()));
    for place in ["receipts", "payments"] {
        let answer = setup.get(&format!("/x402/{place}/{}", settled.signed.id));
        let text = String::from_utf8(answer.body).unwrap();
        for secret in [&*payer.account.to_string(), "/article", "GET"] {
            assert!(!text.contains(secret), "{secret} in {text}");
        }
    }
}

#[test]
fn every_receipt_is_proven_before_and_after_an_upgrade() {
    let setup = Setup::with_any_ledger();
    let payer = setup.payer(114);
    let sale = setup.sell("/article", PRICE);
    for _ in 0..6 {
        sale.pay(&payer).send().expect_settled();
        assert_eq!(setup.receipts_that_prove_nothing(), Vec::<String>::new());
    }
    setup.upgrade();
    assert_eq!(setup.receipts_that_prove_nothing(), Vec::<String>::new());
    sale.pay(&payer).send().expect_settled();
    assert_eq!(setup.receipts_that_prove_nothing(), Vec::<String>::new());
    assert_eq!(setup.settled().len(), 7);
}

#[test]
fn receipts_that_do_not_exist_are_404s_by_consensus() {
    let setup = Setup::with_any_ledger();
    for id in [
        "00".repeat(32),
        "AB".repeat(32),
        "zz".repeat(32),
        "00".repeat(31),
        String::new(),
    ] {
        let answer = setup.get(&format!("/x402/receipts/{id}"));
        assert_eq!((answer.status, answer.upgraded), (404, true), "{id}");
    }
}

#[test]
fn open_and_failed_payments_have_no_receipt() {
    let setup = Setup::new();
    let payer = setup.payer(111);
    let sale = setup.sell("/article", PRICE);
    setup.ledger.fault(&setup, 1, &Fault::lost_after_transfer());
    let signed = sale.pay(&payer).send().expect_pending();
    let answer = setup.get(&format!("/x402/receipts/{}", signed.id));
    assert_eq!((answer.status, answer.upgraded), (404, true));
    sale.present(signed.clone()).send().expect_settled();
    assert_eq!(
        setup.get(&format!("/x402/receipts/{}", signed.id)).status,
        200
    );
}

#[test]
fn payments_are_listed_by_page() {
    let setup = Setup::with_any_ledger();
    let payer = setup.payer(112);
    let sale = setup.sell("/article", PRICE);
    let ids: Vec<_> = (0..5)
        .map(|_| {
            sale.pay(&payer)
                .send()
                .expect_settled()
                .signed
                .id
                .0
                .to_vec()
        })
        .collect();
    let page = |after, limit| -> Vec<Payment> {
        let page = PageArgs { after, limit };
        let page: Result<Vec<Payment>, PaymentsError> =
            setup.query(operator(), "payments", (page,));
        page.unwrap()
    };
    let first = page(None, Some(2));
    let second = page(first[1].sequence, Some(2));
    let third = page(second[1].sequence, Some(2));
    assert_eq!((first.len(), second.len(), third.len()), (2, 2, 1));
    let listed: Vec<_> = [first, second, third]
        .concat()
        .iter()
        .map(|payment| payment.id.to_vec())
        .collect();
    assert_eq!(listed, ids);
    let refused: Result<Vec<Payment>, PaymentsError> =
        setup.query(stranger(), "payments", (PageArgs::default(),));
    assert_eq!(refused, Err(PaymentsError::Unauthorized));
    for limit in [0, 101, u32::MAX] {
        let page = PageArgs {
            after: None,
            limit: Some(limit),
        };
        let refused: Result<Vec<Payment>, PaymentsError> =
            setup.query(operator(), "payments", (page,));
        assert!(
            matches!(refused, Err(PaymentsError::InvalidArgument(_))),
            "{limit}: {refused:?}"
        );
    }
}
