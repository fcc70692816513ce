use super::*;
use crate::domain::purchase::Purchase;

/// The state that a refused payment must not change.
fn stored() -> (Vec<Payment>, u64, usize, usize) {
    (
        storage::payments::open(0, 1_000),
        storage::payments::settled_count(),
        storage::payments::failures(0, 100).len(),
        storage::audit::payments_after(0, 100).len(),
    )
}

fn refuse(shop: &Shop, request: &PaymentRequest, code: Code) {
    let before = stored();
    assert_eq!(refused(shop.settle(request)), code);
    assert_eq!(stored(), before);
    assert_eq!(shop.runtime.made(), 0);
}

#[test]
fn should_store_nothing_and_make_no_call() {
    let shop = shop();
    let request = shop.request(1, 1);
    let mut wrong = request.clone();
    wrong.signed_mut().payload.accepted.amount = "1".into();
    refuse(&shop, &wrong, Code::AmountMismatch);
    let nowhere = PaymentRequest {
        purchase: Purchase::Route(RouteKey::new(Method::Post, "/a")),
        route: RouteKey::new(Method::Post, "/a"),
        ..request.clone()
    };
    refuse(&shop, &nowhere, Code::OfferMismatch);
    shop.runtime.now.set(NOW.plus(Seconds(600)));
    refuse(&shop, &request, Code::Expired);
}

#[test]
fn should_refuse_a_cancelled_authorization() {
    let shop = shop();
    let request = shop.request(1, 1);
    let owner = request.signed().authorization.from.owner;
    shop.runtime.caller.set(owner);
    let before = request.signed().authorization.valid_before;
    cancel::cancel(&shop.runtime, Nonce([1; 32]), before).unwrap();
    refuse(&shop, &request, Code::Cancelled);
    // Another authorization of the same payer is accepted.
    shop.will(block(1));
    let other = shop.request(1, 2);
    paid(shop.settle(&other));
    assert_eq!(
        cancel::cancel(&shop.runtime, Nonce([2; 32]), before),
        Err(cancel::CancelError::AlreadyUsed {
            payment_id: id(&other)
        })
    );
}

#[test]
fn should_cancel_a_failed_authorization() {
    let shop = shop();
    let request = shop.request(1, 1);
    shop.will(Err(TransferFromError::InsufficientFunds {
        balance: Nat::from(0u8),
    }));
    failed(shop.settle(&request));
    shop.runtime
        .caller
        .set(request.signed().authorization.from.owner);
    let before = request.signed().authorization.valid_before;
    assert_eq!(
        cancel::cancel(&shop.runtime, Nonce([1; 32]), before),
        Ok(())
    );
    assert!(storage::cancellations::contains(&request.claim_key()));
}

#[test]
fn should_refuse_when_cycles_run_low() {
    let shop = shop();
    let request = shop.request(1, 1);
    shop.runtime
        .cycles
        .set(Cycles(config().limits.cycles_floor.0 - 1));
    refuse(&shop, &request, Code::LedgerUnavailable);
    let floor = config().limits.cycles_floor.0;
    let one_call = with_spare(ScriptedRuntime::CALL_COST).0;
    shop.runtime.cycles.set(Cycles(floor + one_call));
    shop.will(block(1));
    let receipt = paid(shop.settle(&request));
    // A payment that was made is delivered all the same.
    shop.runtime.cycles.set(Cycles(0));
    assert_eq!(paid(shop.settle(&request)), receipt);
}

#[test]
fn should_refuse_at_the_limit_of_settled_payments() {
    let shop = shop();
    let limits = Limits {
        max_payments: 1,
        ..Limits::default()
    };
    storage::config::write(&Config { limits, ..config() }).unwrap();
    let request = shop.request(1, 1);
    shop.will(block(1));
    paid(shop.settle(&request));
    assert_eq!(
        refused(shop.settle(&shop.request(1, 2))),
        Code::LedgerUnavailable
    );
}

#[test]
fn should_bound_what_is_in_flight() {
    let shop = shop();
    shop.runtime.hold.set(true);
    let mut waiting = vec![];
    for nonce in 0..MAX_OPEN_PER_PAYER {
        let mut future = Box::pin(settle(&shop.runtime, shop.request(1, nonce as u8)));
        assert!(poll(future.as_mut()).is_pending());
        waiting.push(future);
    }
    let one_more = shop.request(1, MAX_OPEN_PER_PAYER as u8);
    assert_eq!(refused(shop.settle(&one_more)), Code::LedgerUnavailable);
    let mut other = Box::pin(settle(&shop.runtime, shop.request(2, 1)));
    assert!(poll(other.as_mut()).is_pending());
}
