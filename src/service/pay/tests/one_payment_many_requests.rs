use super::*;

#[test]
fn should_make_one_call_for_identical_requests_in_flight() {
    let shop = shop();
    let request = shop.request(1, 1);
    shop.runtime.hold.set(true);
    let mut first = pin!(settle(&shop.runtime, request.clone()));
    assert!(poll(first.as_mut()).is_pending());
    for _ in 0..19 {
        assert_eq!(
            shop.settle(&request),
            PayOutcome::Pending {
                payment_id: id(&request),
                payer: request.signed().authorization.from
            }
        );
    }
    let other = PaymentRequest {
        fingerprint: [2; 32],
        ..request.clone()
    };
    assert!(matches!(shop.settle(&other), PayOutcome::Duplicate { .. }));
    shop.runtime.hold.set(false);
    shop.will(block(3));
    assert!(matches!(
        poll(first.as_mut()),
        Poll::Ready(PayOutcome::Paid { .. })
    ));
    assert_eq!(shop.runtime.made(), 1);
}

#[test]
fn should_keep_the_nonce_of_a_payment_in_flight() {
    let shop = shop();
    let first = shop.request(1, 1);
    // The same nonce in another authorization, with another validity.
    shop.runtime.now.set(TimestampNs(NOW.0 + 5_000_000_000));
    let second = shop.request(1, 1);
    assert_ne!(id(&first), id(&second));
    shop.runtime.hold.set(true);
    let mut waiting = pin!(settle(&shop.runtime, first));
    assert!(poll(waiting.as_mut()).is_pending());
    assert_eq!(refused(shop.settle(&second)), Code::NonceUsed);
    // Another payer may use the nonce.
    shop.runtime.hold.set(false);
    shop.will(block(1));
    paid(shop.settle(&shop.request(2, 1)));
}
