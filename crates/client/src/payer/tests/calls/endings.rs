//! What ends a payment by call, and what does not.

use super::*;
use crate::ledger::Status;
use std::sync::atomic::Ordering;
use tollkeeper_types::PayError as Refusal;

#[tokio::test]
async fn what_the_canister_refuses_at_first_is_over_and_later_is_not() {
    let seller = shop().await;
    let request = get(&seller, "/a");
    let till = till_of(|_| Word::Refused("ledger_unavailable"));
    let first = buyer(memory(), &till);
    match first.pay(&request).await {
        Err(PayError::Refused { code, message, .. }) => {
            assert_eq!(code, Some(x402_icp::Code::LedgerUnavailable));
            assert_eq!(message.as_deref(), Some("not now"));
        }
        other => panic!("{other:?}"),
    }
    assert_eq!(first.unresolved().unwrap(), []);
    assert_eq!(till.sent().len(), 1);
    // An earlier call that was lost may arrive after the refusal of a later one.
    let till = till_of(|call| match call {
        0 => Word::Late(300),
        1 | 2 => Word::Refused("invalid_exact_icp_amount_mismatch"),
        _ => Word::Sold,
    });
    let folder = folder();
    for _ in 0..3 {
        let stuck = buyer(files(&folder), &till).with_patience(Duration::ZERO);
        assert!(is_unsettled(&stuck.pay(&request).await));
        assert_eq!(stuck.unresolved().unwrap().len(), 1);
    }
    tokio::time::sleep(Duration::from_millis(400)).await;
    proven(buyer(files(&folder), &till).pay(&request).await);
    assert_eq!((till.different(), till.moved().len()), (1, 1));
    std::fs::remove_dir_all(folder).unwrap();
}

#[tokio::test]
async fn a_failure_of_the_payment_itself_ends_it_at_any_time() {
    let seller = shop().await;
    let till = till_of(|call| match call {
        0 => Word::LostBefore,
        1 => Word::Failed("insufficient_allowance"),
        _ => Word::Sold,
    });
    let buyer = buyer(memory(), &till).with_patience(Duration::from_secs(2));
    match buyer.pay(&get(&seller, "/a")).await {
        Err(PayError::Refused { reason, .. }) => assert_eq!(reason, "insufficient_allowance"),
        other => panic!("{other:?}"),
    }
    assert_eq!(buyer.unresolved().unwrap(), []);
    proven(buyer.pay(&get(&seller, "/a")).await);
    assert_eq!((till.different(), till.moved().len()), (2, 1));
}

#[tokio::test]
async fn a_refusal_that_the_ledger_does_not_confirm_ends_nothing() {
    let seller = shop().await;
    for word in [
        Word::Refused("ledger_unavailable"),
        Word::Failed("insufficient_funds"),
    ] {
        for log in [
            Clean::No(Taken {
                block: 3,
                by_this_payment: false,
            }),
            Clean::Unknown("the log is silent".into()),
        ] {
            let said = word.clone();
            let till = till_of(move |_| said.clone());
            *till.log.lock().unwrap() = Some(log.clone());
            let buyer = buyer(memory(), &till);
            let outcome = buyer.pay(&get(&seller, "/a")).await;
            assert!(is_unsettled(&outcome), "{word:?} {log:?}: {outcome:?}");
            assert_eq!(buyer.unresolved().unwrap().len(), 1);
        }
    }
}

#[tokio::test]
async fn no_call_that_may_begin_a_payment_outlives_its_time() {
    let seller = shop().await;
    let till = till_of(|call| match call {
        0..3 => Word::LostBefore,
        _ => Word::Sold,
    });
    let buyer = buyer(memory(), &till).with_patience(Duration::from_secs(2));
    proven(buyer.pay(&get(&seller, "/a")).await);
    assert_eq!(till.sent().len(), 4);
    for (args, expires) in till.sent() {
        let end = (args.created_at_time / 1_000_000_000 + 60) * 1_000_000_000;
        assert!(expires.is_some_and(|at| at <= end), "{expires:?} {end}");
    }
}

/// A payer whose first call was made an hour ago by this machine's clock, and was processed or not.
async fn late(seller: &Seller, was_processed: bool) -> (Arc<Till>, Payer) {
    let till = till_of(move |call| match call {
        0 if was_processed => Word::LostAfter,
        0 => Word::LostBefore,
        _ => Word::Sold,
    });
    till.ahead.store(-3_600, Ordering::SeqCst);
    let buyer = buyer(memory(), &till).with_patience(Duration::ZERO);
    assert!(is_unsettled(&buyer.pay(&get(seller, "/a")).await));
    (till, buyer)
}

#[tokio::test]
async fn after_its_time_the_canisters_record_and_the_log_decide() {
    let seller = shop().await;
    let request = get(&seller, "/a");
    // The canister knows it: the call is repeated, and gets what was bought.
    let (till, buyer) = late(&seller, true).await;
    till.ahead.store(0, Ordering::SeqCst);
    proven(buyer.pay(&request).await);
    assert_eq!((till.different(), till.moved().len()), (1, 1));
    // The canister does not know it, and its time is over: it is dead, and another one is made.
    let (till, buyer) = late(&seller, false).await;
    till.ahead.store(0, Ordering::SeqCst);
    proven(buyer.pay(&request).await);
    assert_eq!((till.different(), till.moved().len()), (2, 1));
    // By the subnet's clock it is not over yet: the same call is made.
    let (till, buyer) = late(&seller, false).await;
    proven(buyer.pay(&request).await);
    assert_eq!((till.different(), till.moved().len()), (1, 1));
    // The canister does not answer, or the log shows a block: nothing is called, nothing ends.
    let (till, buyer) = late(&seller, false).await;
    till.ahead.store(0, Ordering::SeqCst);
    *till.record.lock().unwrap() = Some(Err("no answer".into()));
    assert!(is_unsettled(&buyer.pay(&request).await));
    *till.record.lock().unwrap() = None;
    *till.log.lock().unwrap() = Some(Clean::No(Taken {
        block: 3,
        by_this_payment: true,
    }));
    assert!(is_unsettled(&buyer.pay(&request).await));
    assert_eq!(
        (till.sent().len(), buyer.unresolved().unwrap().len()),
        (1, 1)
    );
}

#[tokio::test]
async fn a_call_that_is_held_back_begins_nothing_after_its_time_even_if_the_seller_allows_it() {
    let seller = shop().await;
    let request = get(&seller, "/a");
    let till = till_of(|call| match call {
        0 => Word::Late(150),
        _ => Word::Sold,
    });
    till.ahead.store(-3_600, Ordering::SeqCst);
    let buyer = buyer(memory(), &till).with_patience(Duration::ZERO);
    assert!(is_unsettled(&buyer.pay(&request).await));
    // Its time is over, and it is found dead. Then the seller allows calls that are a day old, and it arrives.
    till.ahead.store(0, Ordering::SeqCst);
    proven(buyer.pay(&request).await);
    till.seconds.store(86_400, Ordering::SeqCst);
    tokio::time::sleep(Duration::from_millis(250)).await;
    assert_eq!((till.different(), till.moved().len()), (2, 1));
}

#[tokio::test]
async fn a_call_has_nothing_to_cancel_and_its_canister_and_ledger_are_asked() {
    let seller = shop().await;
    for was_processed in [true, false] {
        let (till, buyer) = late(&seller, was_processed).await;
        let payment = buyer.unresolved().unwrap().remove(0).payment;
        let early = buyer.resolve(&payment).await;
        till.ahead.store(0, Ordering::SeqCst);
        let at_last = buyer.resolve(&payment).await;
        match was_processed {
            true => {
                assert!(matches!(early, Resolution::Paid { .. }), "{early:?}");
                let paid = Resolution::Paid {
                    block: "0".into(),
                    state: "delivered".into(),
                    refund_block: None,
                };
                assert_eq!(at_last, paid);
                assert_eq!(buyer.unresolved().unwrap().len(), 1);
            }
            false => {
                assert!(matches!(early, Resolution::Unknown { .. }), "{early:?}");
                assert!(matches!(at_last, Resolution::Dead { .. }), "{at_last:?}");
                assert_eq!(buyer.unresolved().unwrap(), []);
            }
        }
        assert_eq!(till.sent().len(), 1);
    }
}

#[tokio::test]
async fn what_is_not_delivered_any_more_is_used_and_stays_recorded() {
    let seller = shop().await;
    let till = till_of(|_| Word::Duplicate);
    let buyer = buyer(memory(), &till);
    for _ in 0..2 {
        match buyer.pay(&get(&seller, "/a")).await {
            Err(PayError::Used { reason, block, .. }) => {
                assert_eq!(reason, "duplicate_settlement");
                assert_eq!(block.as_deref(), Some("0"));
            }
            other => panic!("{other:?}"),
        }
    }
    let till_2 = till_of(|_| Word::Refused("invalid_exact_icp_nonce_used"));
    let other = super::buyer(memory(), &till_2);
    assert!(matches!(
        other.pay(&get(&seller, "/a")).await,
        Err(PayError::Used { .. })
    ));
    for buyer in [buyer, other] {
        assert_eq!(buyer.unresolved().unwrap().len(), 1);
    }
    assert_eq!((till.different(), till.moved().len()), (1, 1));
}

#[tokio::test]
async fn a_reply_about_another_payment_ends_nothing() {
    let seller = shop().await;
    type Forge = fn(&mut Receipt);
    let forged: [Forge; 10] = [
        |receipt| receipt.payment_id = serde_bytes::ByteBuf::from(vec![7; 32]),
        |receipt| receipt.network = "icp:0011223344556677".into(),
        |receipt| receipt.ledger = Principal::from_slice(&[9, 1]),
        |receipt| receipt.payer = None,
        |receipt| receipt.payer = Some(Principal::from_slice(&[9, 1]).into()),
        |receipt| receipt.pay_to = Principal::from_slice(&[9, 1]).into(),
        |receipt| receipt.amount = 9_999u32.into(),
        |receipt| receipt.fee = 9_999u32.into(),
        |receipt| receipt.method = Some("POST".into()),
        |receipt| receipt.path = None,
    ];
    for (case, forge) in forged.into_iter().enumerate() {
        let till = till_of(|_| Word::Sold);
        *till.forge.lock().unwrap() = Some(Box::new(forge));
        let buyer = buyer(memory(), &till);
        for _ in 0..2 {
            match buyer.pay(&get(&seller, "/a")).await {
                Ok(Outcome::Paid(paid)) => {
                    assert!(!paid.proven, "case {case}");
                    assert_eq!(paid.problems.len(), 1, "case {case}: {:?}", paid.problems);
                }
                other => panic!("case {case}: {other:?}"),
            }
        }
        assert_eq!(buyer.unresolved().unwrap().len(), 1, "case {case}");
        assert_eq!(till.different(), 1, "case {case}");
    }
}

#[tokio::test]
async fn an_error_about_another_payment_ends_nothing() {
    let seller = shop().await;
    let payment_id = serde_bytes::ByteBuf::from(vec![7; 32]);
    for said in [
        Refusal::Failed {
            payment_id: payment_id.clone(),
            code: "insufficient_funds".into(),
            message: String::new(),
        },
        Refusal::Duplicate {
            payment_id: payment_id.clone(),
            receipt: None,
        },
        Refusal::Pending { payment_id },
    ] {
        let till = till_of(|_| Word::Failed("insufficient_funds"));
        *till.says.lock().unwrap() = Some(Err(said.clone()));
        let buyer = buyer(memory(), &till);
        let outcome = buyer.pay(&get(&seller, "/a")).await;
        assert!(is_unsettled(&outcome), "{said:?}: {outcome:?}");
        assert_eq!(buyer.unresolved().unwrap().len(), 1);
    }
}

#[tokio::test]
async fn arguments_that_the_canister_cannot_read_pay_nothing() {
    let seller = shop().await;
    for (said, words) in [
        (
            Refusal::InvalidArgument(tollkeeper_types::InvalidArgument {
                field: "path".into(),
                problem: "is too long".into(),
                limit: None,
            }),
            "path is too long",
        ),
        (Refusal::AnonymousCaller, "no identity"),
    ] {
        let till = till_of(|_| Word::Refused("ledger_unavailable"));
        *till.says.lock().unwrap() = Some(Err(said));
        let buyer = buyer(memory(), &till);
        match buyer.pay(&get(&seller, "/a")).await {
            Err(error @ PayError::Refused { .. }) => {
                assert!(error.to_string().contains(words), "{error}");
            }
            other => panic!("{other:?}"),
        }
        assert_eq!(buyer.unresolved().unwrap(), []);
    }
}

#[tokio::test]
async fn a_failed_record_of_a_call_is_its_end() {
    let seller = shop().await;
    let (till, buyer) = late(&seller, false).await;
    let failed = Status::Failed {
        code: "insufficient_funds".into(),
    };
    *till.record.lock().unwrap() = Some(Ok((Some(failed), 0)));
    let payment = buyer.unresolved().unwrap().remove(0).payment;
    match buyer.status(&payment).await {
        Resolution::Dead { reason } => assert!(reason.contains("insufficient_funds"), "{reason}"),
        other => panic!("{other:?}"),
    }
    assert_eq!(buyer.unresolved().unwrap(), []);
}
