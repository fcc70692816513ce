use super::*;
use crate::{
    domain::{
        fulfilment::Fulfilment,
        payment::{RefundCause, RefundProblem},
    },
    service::refund::{self, RefundError},
    storage::payments::Lane,
};

/// A payment whose money moved while no request waited.
fn settled_by_itself(shop: &Shop, request: &PaymentRequest, n: u64) {
    shop.will_reject(6);
    assert!(is_pending(&shop.settle(request)));
    shop.will(block(n));
    let payment = run(call_again(&shop.runtime, request.claim_key())).unwrap();
    let at = shop.runtime.now();
    let block = BlockIndex(n);
    assert_eq!(
        payment.state,
        State::Settled {
            tx: TxRef::Block(block),
            at
        }
    );
}

#[test]
fn should_deliver_what_was_bought_whatever_the_route_delivers_now() {
    let shop = shop();
    let request = shop.request(1, 1);
    shop.will(block(7));
    assert_eq!(shop.fetch(&request), b"goods");
    let receipt = paid(shop.settle(&request));
    shop.stock(b"other goods");
    assert_eq!(shop.fetch(&request), b"goods");
    shop.will(block(8));
    assert_eq!(shop.fetch(&shop.request(1, 2)), b"other goods");
    assert_eq!(catalogue::remove(&shop.runtime, &shop.route), Ok(()));
    assert_eq!(shop.fetch(&request), b"goods");
    let retention = config().limits.retention;
    shop.runtime.now.set(NOW.plus(retention));
    retention::sweep(&shop.runtime);
    assert_eq!(shop.fetch(&request), b"goods");
    assert_eq!(paid(shop.settle(&request)), receipt);
    let kept = storage::responses::get(1).unwrap().content;

    shop.runtime.now.set(NOW.plus(Seconds(retention.0 + 1)));
    assert!(matches!(
        shop.settle(&request),
        PayOutcome::Duplicate { .. }
    ));
    assert!(schedule::next_sweep().is_some());
    retention::sweep(&shop.runtime);
    assert_eq!(schedule::next_sweep(), None);
    assert_eq!(storage::content::read(&kept), None);
    assert_eq!(storage::responses::kept_bytes(), 0);
    assert_eq!(shop.runtime.made(), 2);
}

#[test]
fn should_count_what_is_kept_as_content() {
    let shop = shop();
    let limits = Limits {
        max_content_total_bytes: 12,
        ..Limits::default()
    };
    storage::config::write(&Config { limits, ..config() }).unwrap();
    let request = shop.request(1, 1);
    shop.will(block(7));
    paid(shop.settle(&request));
    shop.stock(b"more!");
    let begin = || content::begin(&shop.runtime, shop.route.clone(), 5, [0; 32]);
    assert_eq!(
        begin(),
        Err(content::ContentError::StorageFull { limit: 12 })
    );
    let retention = Seconds(limits.retention.0 + 1);
    shop.runtime.now.set(NOW.plus(retention));
    retention::sweep(&shop.runtime);
    assert!(begin().is_ok());
}

#[test]
fn should_owe_what_settled_unattended_until_the_payer_fetches_it() {
    let shop = shop();
    let request = shop.request(1, 1);
    settled_by_itself(&shop, &request, 7);
    assert!(storage::payments::has_work());
    shop.stock(b"other goods");
    let almost = NOW.plus(config().limits.retention);
    shop.runtime.now.set(TimestampNs(almost.0 - 1));
    retention::sweep(&shop.runtime);
    let other = PaymentRequest {
        fingerprint: [2; 32],
        ..request.clone()
    };
    assert!(matches!(shop.settle(&other), PayOutcome::Duplicate { .. }));
    assert_eq!(shop.fetch(&request), b"goods");
    let at = shop.runtime.now();
    assert_eq!(
        shop.state(&request),
        State::Delivered {
            tx: TxRef::Block(BlockIndex(7)),
            settled_at: NOW,
            at
        }
    );
    assert!(!storage::payments::has_work());
    // The content is kept for another retention from its delivery on, and so is the answer.
    shop.runtime.now.set(at.plus(config().limits.retention));
    retention::sweep(&shop.runtime);
    assert_eq!(shop.fetch(&request), b"goods");
    assert_eq!(shop.runtime.made(), 2);
}

#[test]
fn should_owe_a_refund_for_what_was_not_fetched_in_time() {
    let shop = shop();
    let (request, other) = (shop.request(1, 1), shop.request(1, 2));
    settled_by_itself(&shop, &request, 7);
    shop.will(block(8));
    paid(shop.settle(&other));
    let over = NOW.plus(config().limits.retention);
    shop.runtime.now.set(over);
    retention::sweep(&shop.runtime);
    let State::Refunding { cause, since, .. } = shop.state(&request) else {
        panic!("the refund is due");
    };
    assert_eq!((cause, since), (RefundCause::NotFetched, over));
    assert_eq!(
        storage::payments::due(Lane::Refund, over, 9),
        [request.claim_key()]
    );
    // Not both: a request now gets the refund's status and no resource.
    let late = shop.settle(&request);
    assert!(matches!(late, PayOutcome::Duplicate { .. }), "{late:?}");
    assert_eq!(shop.fetch(&other), b"goods");
    assert_eq!(shop.runtime.made(), 3);
}

/// The settings name another account, so the account that was paid is a stranger's now.
fn paid_a_stranger() {
    let pay_to = Account::from(Principal::from_slice(&[77; 29]));
    storage::config::write(&Config { pay_to, ..config() }).unwrap();
}

fn waits_for_a_controller(shop: &Shop, request: &PaymentRequest) -> bool {
    let waits = RefundProblem::NeedsController;
    matches!(shop.state(request), State::Refunding { problem, .. } if problem == waits)
}

/// A refund that a controller has to agree to is not owed yet. Until the controller agrees, the resource is owed,
/// without a time limit.
#[test]
fn should_owe_what_a_stranger_was_paid_for_until_a_controller_refunds_it() {
    let shop = shop();
    let (fetched, refunded) = (shop.request(1, 1), shop.request(1, 2));
    settled_by_itself(&shop, &fetched, 7);
    settled_by_itself(&shop, &refunded, 8);
    shop.stock(b"other goods");
    paid_a_stranger();
    let retention = config().limits.retention;
    for days in [0, 1, 100] {
        let late = NOW.plus(Seconds(retention.0 + days * 86_400));
        shop.runtime.now.set(late);
        retention::sweep(&shop.runtime);
        storage::payments::tests::reload();
    }
    assert!(waits_for_a_controller(&shop, &fetched));
    assert!(waits_for_a_controller(&shop, &refunded));
    let other = PaymentRequest {
        fingerprint: [2; 32],
        ..fetched.clone()
    };
    assert!(matches!(shop.settle(&other), PayOutcome::Duplicate { .. }));
    assert_eq!(shop.fetch(&fetched), b"goods");
    let at = shop.runtime.now();
    let delivered = State::Delivered {
        tx: TxRef::Block(BlockIndex(7)),
        settled_at: NOW,
        at,
    };
    storage::payments::tests::reload();
    assert_eq!(shop.state(&fetched), delivered);
    assert_eq!(shop.fetch(&fetched), b"goods");
    // Not both.
    let owe = |request| refund::owe(&shop.runtime, &id(request));
    assert_eq!(owe(&fetched), Err(RefundError::NotRefundable));
    assert!(owe(&refunded).is_ok());
    let late = shop.settle(&refunded);
    assert!(matches!(late, PayOutcome::Duplicate { .. }), "{late:?}");
    // No payment waits for the content any more.
    let over = at.plus(Seconds(retention.0 + 1));
    shop.runtime.now.set(over);
    retention::sweep(&shop.runtime);
    assert_eq!(storage::responses::kept_bytes(), 0);
    assert!(matches!(
        shop.settle(&fetched),
        PayOutcome::Duplicate { .. }
    ));
    assert_eq!(shop.runtime.made(), 4);
}

/// A merchant pays the payer back himself: the payer cannot fetch the resource at the same time.
#[test]
fn should_deliver_nothing_once_the_merchant_pays_back_himself() {
    let shop = shop();
    let (settled, waiting) = (shop.request(1, 1), shop.request(1, 2));
    settled_by_itself(&shop, &settled, 7);
    settled_by_itself(&shop, &waiting, 8);
    shop.stock(b"other goods");
    paid_a_stranger();
    let retention = config().limits.retention;
    for request in [&settled, &waiting] {
        refund::leave_to_merchant(&shop.runtime, &id(request)).unwrap();
        shop.runtime.now.set(NOW.plus(retention));
        retention::sweep(&shop.runtime);
        for _ in 0..2 {
            let outcome = shop.settle(request);
            assert!(
                matches!(outcome, PayOutcome::Duplicate { .. }),
                "{outcome:?}"
            );
            storage::payments::tests::reload();
        }
        let State::Refunding { problem, .. } = shop.state(request) else {
            panic!("the refund is not left to the merchant");
        };
        assert_eq!(problem, RefundProblem::MerchantPays);
        let first = id(request) == id(&settled);
        assert_eq!(waits_for_a_controller(&shop, &waiting), first);
    }
    // Content is kept for neither.
    let over = shop.runtime.now().plus(Seconds(retention.0 + 1));
    shop.runtime.now.set(over);
    retention::sweep(&shop.runtime);
    assert_eq!(storage::responses::kept_bytes(), 0);
}

/// Content that is kept for payers whose refunds wait counts in the limit of content.
#[test]
fn should_count_what_is_kept_for_refunds_that_wait() {
    let shop = shop();
    let limits = Limits {
        max_content_total_bytes: 12,
        ..Limits::default()
    };
    let request = shop.request(1, 1);
    settled_by_itself(&shop, &request, 7);
    paid_a_stranger();
    let configured = storage::config::read();
    storage::config::write(&Config {
        limits,
        ..configured.clone()
    })
    .unwrap();
    shop.stock(b"more!");
    let begin = || content::begin(&shop.runtime, shop.route.clone(), 5, [0; 32]);
    let full = Err(content::ContentError::StorageFull { limit: 12 });
    for n in 1..=3 {
        let late = NOW.plus(Seconds(n * (limits.retention.0 + 1)));
        shop.runtime.now.set(late);
        retention::sweep(&shop.runtime);
        assert!(waits_for_a_controller(&shop, &request));
        assert_eq!(
            (begin(), storage::responses::kept_bytes()),
            (full.clone(), 5)
        );
    }
    refund::leave_to_merchant(&shop.runtime, &id(&request)).unwrap();
    retention::sweep(&shop.runtime);
    assert!(begin().is_ok(), "nothing is kept for it any more");
}

#[test]
fn should_not_owe_what_cannot_be_delivered_while_a_controller_is_waited_for() {
    let shop = shop();
    let request = shop.request(1, 1);
    settled_by_itself(&shop, &request, 7);
    let kept = storage::responses::get(1).unwrap().content;
    paid_a_stranger();
    storage::content::remove(kept.blob);
    for _ in 0..2 {
        let outcome = shop.settle(&request);
        assert!(
            matches!(outcome, PayOutcome::Duplicate { .. }),
            "{outcome:?}"
        );
        assert!(waits_for_a_controller(&shop, &request));
    }
}

#[test]
fn should_let_a_route_go_whose_payments_are_open() {
    let shop = shop();
    let request = shop.request(1, 1);
    shop.will_reject(6);
    assert!(is_pending(&shop.settle(&request)));
    assert_eq!(catalogue::remove(&shop.runtime, &shop.route), Ok(()));
    // Another route for the same path makes no difference either.
    let free = crate::domain::route::RouteDraft {
        prices: vec![],
        ..draft("/a")
    };
    catalogue::put(&shop.runtime, free).unwrap();
    shop.stock(b"free for all");
    shop.will(block(3));
    assert_eq!(shop.fetch(&request), b"goods");
    assert_eq!(shop.fetch(&request), b"goods");
}

#[test]
fn should_pay_back_what_is_owed_and_not_stored() {
    let shop = shop();
    let request = shop.request(1, 1);
    shop.will_reject(6);
    assert!(is_pending(&shop.settle(&request)));
    let mut payment = storage::payments::by_key(&request.claim_key()).unwrap();
    payment.fulfilment = Fulfilment::Stored(99);
    let change = storage::payments::tests::begun(payment);
    let key = ClaimKey([9; 16]);
    storage::payments::record(&key, change, NOW).unwrap();
    let moved = Event::Moved {
        tx: TxRef::Block(BlockIndex(1)),
    };
    let payment = storage::payments::record(&key, Change::Event(moved), NOW).unwrap();
    assert_eq!(resource(&payment), None);
    let (payment, delivered) = deliver(&shop.runtime, &key, payment);
    assert_eq!(delivered, None);
    assert!(matches!(
        outcome(payment, delivered),
        PayOutcome::Duplicate { .. }
    ));
    assert!(matches!(
        storage::payments::by_key(&key).unwrap().state,
        State::Refunding {
            cause: RefundCause::NotDeliverable,
            ..
        }
    ));
}

#[test]
fn should_count_an_answer_as_lost_when_it_can_come_no_more() {
    let shop = shop();
    let request = shop.request(1, 1);
    shop.runtime
        .leave_waiting(settle(&shop.runtime, request.clone()));
    shop.runtime.now.set(NOW.plus(Seconds(100)));
    assert!(is_pending(&shop.settle(&request)));
    assert_eq!(shop.runtime.made(), 1, "the transfer may still be made");
    shop.runtime.now.set(NOW.plus(storage::payments::NO_ANSWER));
    let outcome = shop.settle(&request);
    assert!(is_pending(&outcome), "the window is over: {outcome:?}");
    assert!(matches!(
        shop.state(&request),
        State::Unknown {
            doubt: Doubt::NoAnswer,
            ..
        }
    ));
}

/// Every await of a flow is cut off, one by one. The money is taken once, and the same request gets the resource in the
/// end.
#[test]
fn should_lose_nothing_when_an_upgrade_cuts_off_any_await() {
    type Flow = fn(&Shop, &PaymentRequest);
    // What happens before the flow that is cut off.
    let flows: [(&str, Flow, bool); 3] = [
        ("first try", |_, _| {}, false),
        (
            "retry of the payer",
            |shop, request| {
                shop.will_reject(6);
                assert!(is_pending(&shop.settle(request)));
            },
            false,
        ),
        (
            "retry of the canister",
            |shop, request| {
                shop.will_reject(6);
                assert!(is_pending(&shop.settle(request)));
            },
            true,
        ),
    ];
    for (name, before, by_itself) in flows {
        // Whether the ledger made the transfer before the cut, and whether by trap or by upgrade.
        for (moved, trap) in [(false, false), (true, false), (false, true), (true, true)] {
            std::thread::spawn(move || {
                let shop = shop();
                let request = shop.request(1, 1);
                before(&shop, &request);
                shop.runtime.hold.set(true);
                let key = request.claim_key();
                if by_itself {
                    let mut waiting = Box::pin(call_again(&shop.runtime, key));
                    assert!(poll(waiting.as_mut()).is_pending());
                    if trap {
                        drop(waiting);
                    } else {
                        std::mem::forget(waiting);
                    }
                } else {
                    let mut waiting = Box::pin(settle(&shop.runtime, request.clone()));
                    assert!(poll(waiting.as_mut()).is_pending());
                    if trap {
                        drop(waiting);
                    } else {
                        std::mem::forget(waiting);
                    }
                }
                shop.runtime.hold.set(false);
                lifecycle::upgrade(&shop.runtime, Default::default()).unwrap();
                storage::payments::tests::reload();
                assert!(storage::payments::has_work(), "{name}");
                assert!(matches!(shop.state(&request), State::Unknown { .. }));
                shop.stock(b"other goods");
                shop.runtime.now.set(NOW.plus(Seconds(60)));
                shop.will(if moved {
                    Err(TransferFromError::Duplicate {
                        duplicate_of: Nat::from(5u8),
                    })
                } else {
                    block(5)
                });
                assert_eq!(shop.fetch(&request), b"goods", "{name}");
                assert_eq!(shop.fetch(&request), b"goods", "{name}");
                let first = shop.asked(0);
                for n in 1..shop.runtime.made() {
                    assert_eq!(shop.asked(n), first, "{name}");
                }
                assert!(!storage::payments::has_work(), "{name}");
            })
            .join()
            .unwrap();
        }
    }
}

/// A key without money was given a place for this content. Its payment stays unknown, and the content is not kept for
/// it.
#[test]
fn content_of_lapsed_payments_is_not_kept_for_ever() {
    let shop = shop();
    let request = shop.request(1, 1);
    shop.will_reject(5);
    assert!(is_pending(&shop.settle(&request)));
    let balance = Nat::from(0u8);
    shop.will(Err(TransferFromError::InsufficientFunds { balance }));
    assert!(is_pending(&shop.settle(&request)));
    shop.stock(b"other goods");
    let retention = Seconds(config().limits.retention.0 + 1);
    let after_a_day = NOW.plus(Seconds(2 * 86_400));
    shop.runtime.now.set(after_a_day);
    run(crate::service::recover::tick(&shop.runtime));
    assert!(shop.state(&request).has_lapsed());
    assert_eq!(
        storage::responses::kept_bytes(),
        5,
        "as long as for a payment that is owed"
    );
    shop.runtime.now.set(NOW.plus(retention));
    run(crate::service::recover::tick(&shop.runtime));
    assert_eq!(storage::responses::kept_bytes(), 0);
    assert!(
        is_pending(&shop.settle(&request)),
        "the outcome stays unknown"
    );
}
