use super::*;

fn doubtful(shop: &Shop) -> [Box<dyn Fn() + '_>; 6] {
    let lie: Reply = Ok("9".repeat(10_000).parse().unwrap());
    [
        Box::new(|| {
            shop.will_reject(4);
        }),
        Box::new(|| {
            shop.will_reject(5);
        }),
        Box::new(|| {
            shop.will_reject(6);
        }),
        Box::new(|| {
            shop.runtime.will(CallOutcome::Reply(b"garbage".to_vec()));
        }),
        Box::new(|| {
            shop.runtime.will(CallOutcome::Reply(vec![0; 2_000_000]));
        }),
        Box::new(move || {
            shop.will(lie.clone());
        }),
    ]
}

#[test]
fn should_ask_the_same_again_until_the_ledger_knows() {
    for n in 0..6 {
        let shop = shop();
        let request = shop.request(1, n);
        doubtful(&shop)[usize::from(n)]();
        assert!(is_pending(&shop.settle(&request)));
        assert!(matches!(
            payments::payment(&id(&request)).unwrap().state,
            State::Unknown { .. }
        ));

        // Later, with another doubt; then the ledger recognises the duplicate.
        shop.runtime.now.set(NOW.plus(Seconds(150)));
        shop.will_reject(6);
        assert!(is_pending(&shop.settle(&request)));
        shop.will(Err(TransferFromError::Duplicate {
            duplicate_of: Nat::from(40 + n),
        }));
        let receipt = paid(shop.settle(&request));
        assert_eq!(receipt.tx, TxRef::Block(BlockIndex(40 + u64::from(n))));
        let first = shop.asked(0);
        assert_eq!((shop.asked(1), shop.asked(2)), (first.clone(), first));
    }
}

#[test]
fn should_never_ask_for_a_transfer_after_the_signed_expiry() {
    let shop = shop();
    let request = shop.request(1, 1);
    shop.will_reject(6);
    assert!(is_pending(&shop.settle(&request)));
    let expiry = request.signed().authorization.valid_before;
    shop.runtime.now.set(TimestampNs(expiry * 1_000_000_000));
    assert!(is_pending(&shop.settle(&request)));
    assert_eq!(shop.runtime.calls.borrow().len(), 1);
}

#[test]
fn should_leave_the_ledger_alone_between_later_tries() {
    let shop = shop();
    let request = shop.request(1, 1);
    for _ in 0..known::EAGER_TRIES {
        shop.will_reject(6);
        assert!(is_pending(&shop.settle(&request)));
    }
    assert!(is_pending(&shop.settle(&request)));
    assert_eq!(shop.runtime.made(), 3);
    shop.runtime.now.set(NOW.plus(known::RETRY_PAUSE));
    shop.will(block(1));
    paid(shop.settle(&request));
}

#[test]
fn should_never_take_a_refused_retry_for_proof() {
    let shop = shop();
    let request = shop.request(1, 1);
    shop.will_reject(6);
    assert!(is_pending(&shop.settle(&request)));
    let zero = || Nat::from(0u8);
    for error in [
        TransferFromError::InsufficientFunds { balance: zero() },
        TransferFromError::InsufficientAllowance { allowance: zero() },
        TransferFromError::BadFee {
            expected_fee: Nat::from(11u8),
        },
        TransferFromError::TooOld,
        TransferFromError::TemporarilyUnavailable,
    ] {
        let later = shop.runtime.now().plus(known::RETRY_PAUSE);
        shop.runtime.now.set(later);
        shop.will(Err(error));
        assert!(is_pending(&shop.settle(&request)));
    }
    shop.runtime.now.set(NOW.plus(Seconds(60)));
    shop.will_reject(3);
    assert!(is_pending(&shop.settle(&request)));
    // The nonce is not free for another authorization either.
    shop.runtime.now.set(TimestampNs(NOW.0 + 1_000_000_000));
    assert_eq!(refused(shop.settle(&shop.request(1, 1))), Code::NonceUsed);
    shop.runtime.now.set(NOW.plus(Seconds(70)));
    shop.will(block(2));
    paid(shop.settle(&request));
}

#[test]
fn should_not_ask_when_the_ledger_has_forgotten() {
    let shop = shop();
    let request = shop.request(1, 1);
    shop.will_reject(6);
    assert!(is_pending(&shop.settle(&request)));
    shop.runtime.now.set(NOW.plus(Seconds::DAY));
    assert!(is_pending(&shop.settle(&request)));
    assert_eq!(shop.runtime.made(), 1);
}

#[test]
fn should_leave_a_payment_unknown_when_the_callback_traps() {
    let shop = shop();
    let request = shop.request(1, 1);
    shop.runtime.hold.set(true);
    {
        // After a trap, the system drops the future.
        let mut waiting = pin!(settle(&shop.runtime, request.clone()));
        assert!(poll(waiting.as_mut()).is_pending());
    }
    assert!(matches!(
        payments::payment(&id(&request)).unwrap().state,
        State::Unknown {
            doubt: Doubt::Trapped,
            ..
        }
    ));
    shop.runtime.hold.set(false);
    shop.will(Err(TransferFromError::Duplicate {
        duplicate_of: Nat::from(8u8),
    }));
    assert_eq!(paid(shop.settle(&request)).tx, TxRef::Block(BlockIndex(8)));
}

#[test]
fn should_survive_an_upgrade_in_flight() {
    let shop = shop();
    let request = shop.request(1, 1);
    // The new code never gets the answer, nor the old code's future.
    shop.runtime
        .leave_waiting(settle(&shop.runtime, request.clone()));
    lifecycle::upgrade(&shop.runtime, Default::default()).unwrap();
    assert!(matches!(
        payments::payment(&id(&request)).unwrap().state,
        State::Unknown {
            doubt: Doubt::Upgraded,
            ..
        }
    ));
    shop.will(block(9));
    assert_eq!(paid(shop.settle(&request)).tx, TxRef::Block(BlockIndex(9)));
}

#[test]
fn should_not_let_an_unclear_ledger_fill_the_open_payments() {
    let shop = shop();
    let outage = |n: u32| {
        shop.will_reject(5);
        shop.settle(&shop.request(n as u8, 1))
    };
    for n in 0..MAX_DOUBTS {
        assert!(is_pending(&outage(n)));
    }
    // The number of keys makes no difference.
    for n in MAX_DOUBTS..200 {
        let refusal = shop.settle(&shop.request(n as u8, 1));
        assert_eq!(refused(refusal), Code::LedgerUnavailable);
    }
    assert_eq!(shop.runtime.made(), MAX_DOUBTS as usize);
    assert_eq!(storage::payments::open(0, 1_000).len(), MAX_DOUBTS as usize);

    // The ledger works again: after the pause a new payer can pay, and then everybody.
    let later = shop.runtime.now().plus(DOUBT_PAUSE);
    shop.runtime.now.set(later);
    for n in 200..203 {
        shop.will(block(u64::from(n)));
        paid(shop.settle(&shop.request(n, 1)));
    }
}

#[test]
fn should_take_a_repetition_before_the_pause_is_over() {
    let shop = shop();
    let request = shop.request(0, 1);
    for n in 0..MAX_DOUBTS {
        shop.will_reject(5);
        shop.settle(&shop.request(n as u8, 1));
    }
    shop.will(block(1));
    paid(shop.settle(&request));
    // A clear answer ends the pause.
    shop.will(block(2));
    paid(shop.settle(&shop.request(100, 1)));
}

#[test]
fn should_not_book_a_block_that_was_known_before() {
    let shop = shop();
    shop.will(block(7));
    paid(shop.settle(&shop.request(1, 1)));
    let request = shop.request(1, 2);
    shop.will(block(7));
    assert!(is_pending(&shop.settle(&request)));
    assert!(matches!(
        payments::payment(&id(&request)).unwrap().state,
        State::Unknown {
            doubt: Doubt::ImplausibleBlock,
            ..
        }
    ));
    assert_eq!(payments::receipt(&id(&request)), None);
    shop.will(block(8));
    paid(shop.settle(&request));
}

/// Whatever made one ledger leave so many payments unknown.
#[test]
fn one_ledgers_unknown_payments_do_not_take_other_ledgers_places() {
    let shop = shop();
    storage::ledgers::put(&ledger(1)).unwrap();
    for n in 0..MAX_OPEN_PER_LEDGER {
        let mut payment = storage::payments::tests::payment(n, 1);
        // Each from another payer.
        payment.from = Account::from(Principal::from_slice(&n.to_be_bytes()));
        let mut key = [9; 16];
        key[..4].copy_from_slice(&n.to_be_bytes());
        storage::payments::record(
            &ClaimKey(key),
            storage::payments::tests::begun(payment),
            NOW,
        )
        .unwrap();
        let unknown = Change::Event(Event::InDoubt(Doubt::NoAnswer));
        storage::payments::record(&ClaimKey(key), unknown, NOW).unwrap();
    }
    let refusal = shop.settle(&shop.request(1, 1));
    assert_eq!(refused(refusal), Code::LedgerUnavailable);
    assert_eq!(shop.runtime.made(), 0);

    let price = Price {
        ledger: ledger(1).id,
        amount: Amount(10_000),
    };
    let wanted = crate::domain::route::RouteDraft {
        prices: vec![price],
        ..draft("/a")
    };
    catalogue::put(&shop.runtime, wanted).unwrap();
    shop.will(block(5));
    paid(shop.settle(&shop.request(1, 2)));
}
