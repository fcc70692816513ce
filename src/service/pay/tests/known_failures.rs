use super::*;

#[test]
fn should_give_one_authorization_one_outcome() {
    let shop = shop();
    let mut nonce = 0;
    // Fails with this code, and then again without a call to the ledger.
    let mut fails = |code: Code| {
        nonce += 1;
        let request = shop.request(1, nonce);
        assert_eq!(failed(shop.settle(&request)), code);
        assert!(storage::payments::open(0, 1_000).is_empty());
        let calls = shop.runtime.calls.borrow().len();
        assert_eq!(failed(shop.settle(&request)), code);
        assert_eq!(shop.runtime.calls.borrow().len(), calls);
    };
    let zero = || Nat::from(0u8);
    let errors = [
        (
            TransferFromError::InsufficientFunds { balance: zero() },
            Code::InsufficientFunds,
        ),
        (
            TransferFromError::InsufficientAllowance { allowance: zero() },
            Code::InsufficientAllowance,
        ),
        (TransferFromError::TooOld, Code::LedgerUnavailable),
        (
            TransferFromError::CreatedInFuture { ledger_time: 0 },
            Code::LedgerUnavailable,
        ),
        (
            TransferFromError::TemporarilyUnavailable,
            Code::LedgerUnavailable,
        ),
        (
            TransferFromError::BadBurn {
                min_burn_amount: zero(),
            },
            Code::LedgerUnavailable,
        ),
        (
            TransferFromError::GenericError {
                error_code: zero(),
                message: "x".into(),
            },
            Code::LedgerUnavailable,
        ),
    ];
    for (error, code) in errors {
        shop.will(Err(error));
        fails(code);
    }
    for code in [1, 2, 3] {
        shop.will_reject(code);
        fails(Code::LedgerUnavailable);
    }
    shop.runtime.will(CallOutcome::NotSent("no cycles".into()));
    fails(Code::LedgerUnavailable);

    // The payer has obtained the money and signs a new authorization; somebody repeats the first one.
    let first = shop.request(1, 1);
    shop.will(block(5));
    paid(shop.settle(&shop.request(1, 99)));
    assert_eq!(failed(shop.settle(&first)), Code::InsufficientFunds);
    assert_eq!(storage::payments::settled_count(), 1);
}

#[test]
fn should_learn_a_new_fee_and_want_the_offer_accepted_again() {
    let shop = shop();
    let request = shop.request(1, 1);
    storage::changes::take();
    shop.will(Err(TransferFromError::BadFee {
        expected_fee: Nat::from(25u8),
    }));
    assert_eq!(failed(shop.settle(&request)), Code::OfferMismatch);
    assert!(
        storage::changes::take().stale.contains("/a"),
        "the 402 has to be certified again"
    );
    assert_eq!(
        storage::ledgers::get(&ledger(0).id).unwrap().fee,
        Amount(25)
    );
    // The payer agreed to the old fee only, in this authorization and in others.
    assert_eq!(failed(shop.settle(&request)), Code::OfferMismatch);
    let mut stale = shop.request(1, 3);
    stale.signed_mut().payload.accepted.extra.fee = "10".into();
    assert_eq!(refused(shop.settle(&stale)), Code::OfferMismatch);
    let again = shop.request(1, 2);
    shop.will(block(1));
    assert_eq!(paid(shop.settle(&again)).fee, Amount(25));
}

#[test]
fn should_tell_why_it_failed() {
    let shop = shop();
    let request = shop.request(1, 1);
    shop.will(Err(TransferFromError::InsufficientFunds {
        balance: Nat::from(0u8),
    }));
    failed(shop.settle(&request));
    let State::Failed { failure, .. } = payments::payment(&id(&request)).unwrap().state else {
        panic!("the failure is remembered");
    };
    assert_eq!(failure.kind, FailureKind::InsufficientFunds);
}
