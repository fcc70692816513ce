use super::*;
use crate::domain::purchase::Purchase;

#[test]
fn should_settle_with_one_ledger_call() {
    let shop = shop();
    let request = shop.request(1, 1);
    shop.will(block(7));
    let receipt = paid(shop.settle(&request));
    assert_eq!(shop.runtime.made(), 1);
    let asked = shop.asked(0);
    assert_eq!(asked.from, request.signed().authorization.from);
    assert_eq!(asked.to, config().pay_to);
    assert_eq!(asked.amount, 10_000u32);
    assert_eq!(asked.fee, Some(Nat::from(10u8)));
    assert_eq!(asked.memo.unwrap().0.to_vec(), id(&request).0.to_vec());
    let valid_after = request.signed().authorization.valid_after;
    assert_eq!(asked.created_at_time, Some(valid_after * 1_000_000_000));
    assert_eq!(asked.spender_subaccount, None);

    assert_eq!(receipt.payment_id, id(&request));
    assert_eq!(receipt.tx, TxRef::Block(BlockIndex(7)));
    assert_eq!(payments::receipt(&id(&request)), Some(receipt));
    assert_eq!(storage::payments::settled_count(), 1);
}

/// Loading an old snapshot removes the payments made after it from the canister, but not from the ledger. The same call
/// is identical to the byte at any time, and therefore a duplicate.
#[test]
fn should_send_the_same_transfer_after_losing_the_payment() {
    let argument = |later: u32| {
        std::thread::spawn(move || {
            let shop = shop();
            let request = shop.request(1, 1);
            let now = NOW.plus(Seconds(later));
            shop.runtime.now.set(now);
            shop.will(block(7));
            paid(shop.settle(&request));
            shop.runtime.calls.borrow()[0].argument.clone()
        })
        .join()
        .unwrap()
    };
    assert_eq!(argument(0), argument(20));
}

#[test]
fn should_deliver_again_without_a_second_charge() {
    let shop = shop();
    let request = shop.request(1, 1);
    shop.will(block(7));
    let receipt = paid(shop.settle(&request));
    assert_eq!(paid(shop.settle(&request)), receipt);

    // Even after the route changed and the authorization expired.
    let mut dearer = Route::clone(&storage::routes::get(&shop.route).unwrap());
    dearer.price_revision += 100;
    storage::routes::put(dearer);
    let retention = config().limits.retention;
    shop.runtime.now.set(NOW.plus(retention));
    assert_eq!(paid(shop.settle(&request)), receipt);
    shop.runtime.now.set(NOW.plus(Seconds(retention.0 + 1)));
    assert!(matches!(
        shop.settle(&request),
        PayOutcome::Duplicate { .. }
    ));
    assert_eq!(shop.runtime.made(), 1);
}

#[test]
fn should_refuse_another_request_with_the_same_payment() {
    let shop = shop();
    let request = shop.request(1, 1);
    shop.will(block(7));
    paid(shop.settle(&request));
    let other_query = PaymentRequest {
        fingerprint: [2; 32],
        ..request.clone()
    };
    assert!(matches!(
        shop.settle(&other_query),
        PayOutcome::Duplicate { .. }
    ));
    let other_path = PaymentRequest {
        purchase: Purchase::Route(RouteKey::new(Method::Get, "/b")),
        ..request.clone()
    };
    assert!(matches!(
        shop.settle(&other_path),
        PayOutcome::Duplicate { .. }
    ));
    assert_eq!(shop.runtime.made(), 1);
}

#[test]
fn should_not_deliver_to_a_request_with_only_the_id() {
    let shop = shop();
    let request = shop.request(1, 1);
    shop.will(block(7));
    paid(shop.settle(&request));
    let mut forged = request.clone();
    forged.signed_mut().payload.payload.signature = x402_icp::values::to_base64(&[1; 64]);
    forged.signed_mut().authorization = forged.signed().payload.payload.parse().unwrap();
    assert_eq!(refused(shop.settle(&forged)), Code::NonceUsed);
}

#[test]
fn should_know_a_signature_in_its_other_form() {
    let shop = shop();
    let request = shop.request(1, 1);
    let mut bent = request.clone();
    let signature = &mut bent.signed_mut().authorization.signature;
    assert_eq!(signature.len(), 64);
    signature[63] ^= 1;
    assert!(
        matches!(shop.settle(&bent), PayOutcome::Refused(_)),
        "invalid by itself"
    );
    shop.will(block(7));
    let receipt = paid(shop.settle(&request));
    // If the altered form came first, the payer's own would still be the same payment.
    assert_eq!(paid(shop.settle(&bent)), receipt);
    assert_eq!(shop.runtime.made(), 1);
}

#[test]
fn should_let_one_payer_pay_many_times_at_once() {
    let shop = shop();
    shop.runtime.hold.set(true);
    let requests: Vec<_> = (0..100).map(|nonce| shop.request(1, nonce)).collect();
    let mut waiting: Vec<_> = requests
        .iter()
        .map(|request| Box::pin(settle(&shop.runtime, request.clone())))
        .collect();
    for future in &mut waiting {
        assert!(poll(future.as_mut()).is_pending());
    }
    assert_eq!(storage::payments::open(0, 1_000).len(), 100);
    shop.runtime.hold.set(false);
    for (n, future) in waiting.iter_mut().enumerate() {
        shop.will(block(n as u64));
        let Poll::Ready(outcome) = poll(future.as_mut()) else {
            panic!("the ledger has answered");
        };
        paid(outcome);
    }
    assert_eq!(storage::payments::settled_count(), 100);
}
