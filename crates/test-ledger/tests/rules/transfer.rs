use super::*;

#[test]
fn should_move_the_amount_and_burn_the_fee() {
    let mut ledger = ledger();
    let supply = ledger.supply();
    assert_eq!(ledger.transfer(ALICE, BOB, 500_000), Ok(1));
    assert_eq!(ledger.balance(ALICE), 1_000_000 - 500_000 - FEE);
    assert_eq!(ledger.balance(BOB), 500_000);
    assert_eq!(ledger.supply(), supply - FEE);
}

#[test]
fn should_allow_amount_zero_and_transfers_to_oneself_for_the_fee() {
    let mut ledger = ledger();
    assert_eq!(ledger.transfer(ALICE, BOB, 0), Ok(1));
    assert_eq!(ledger.transfer(ALICE, ALICE, 100), Ok(2));
    assert_eq!(ledger.balance(ALICE), 1_000_000 - 2 * FEE);
    assert_eq!(ledger.balance(BOB), 0);
}

#[test]
fn should_refuse_a_memo_above_the_limit_before_anything_else() {
    let mut ledger = ledger();
    let mut request = ledger.transfer_request(ALICE, BOB, 1);
    request.memo = Some(vec![0; 33]);
    request.fee = Some(Nat::from(1_u8));
    assert_eq!(
        ledger.apply(request.clone()),
        Err(TransferRefusal::Violation(Violation::MemoTooLong {
            bytes: 33,
            limit: 32
        }))
    );
    request.memo = Some(vec![0; 32]);
    request.fee = None;
    assert_eq!(ledger.apply(request), Ok(1));
}

#[test]
fn should_check_the_fee_before_the_time() {
    let mut ledger = ledger();
    let mut request = ledger.transfer_request(ALICE, BOB, u128::MAX);
    request.fee = Some(Nat::from(FEE - 1));
    request.created_at_time = Some(0);
    assert_eq!(
        ledger.apply(request),
        Err(TransferRefusal::BadFee { expected_fee: FEE })
    );
}

#[test]
fn should_name_a_bad_fee_even_for_a_duplicate() {
    let mut ledger = ledger();
    let mut request = ledger.transfer_request(ALICE, BOB, 5);
    request.created_at_time = Some(NOW);
    assert_eq!(ledger.apply(request.clone()), Ok(1));
    request.fee = Some(Nat::from(FEE + 1));
    assert_eq!(
        ledger.apply(request),
        Err(TransferRefusal::BadFee { expected_fee: FEE })
    );
}

#[test]
fn should_check_the_time_before_the_balance() {
    let mut ledger = ledger();
    let mut request = ledger.transfer_request(BOB, ALICE, 5_000_000);
    request.created_at_time = Some(NOW - TRANSACTION_WINDOW_NS - 1);
    assert_eq!(
        ledger.apply(request.clone()),
        Err(TransferRefusal::Time(TimeRefusal::TooOld))
    );
    request.created_at_time = Some(NOW - TRANSACTION_WINDOW_NS);
    assert_eq!(
        ledger.apply(request),
        Err(TransferRefusal::InsufficientFunds { balance: 0 })
    );
}

#[test]
fn should_accept_the_window_to_the_nanosecond() {
    let mut ledger = ledger();
    let mut at = |created_at_time| {
        let mut request = ledger.transfer_request(ALICE, BOB, 1);
        request.created_at_time = Some(created_at_time);
        ledger.apply(request)
    };
    assert!(at(NOW - TRANSACTION_WINDOW_NS).is_ok());
    assert_eq!(
        at(NOW - TRANSACTION_WINDOW_NS - 1),
        Err(TransferRefusal::Time(TimeRefusal::TooOld))
    );
    assert!(at(NOW + PERMITTED_DRIFT_NS).is_ok());
    assert_eq!(
        at(NOW + PERMITTED_DRIFT_NS + 1),
        Err(TransferRefusal::Time(TimeRefusal::CreatedInFuture {
            ledger_time: NOW
        }))
    );
}

#[test]
fn should_not_deduplicate_without_created_at_time() {
    let mut ledger = ledger();
    assert_eq!(ledger.transfer(ALICE, BOB, 7), Ok(1));
    assert_eq!(ledger.transfer(ALICE, BOB, 7), Ok(2));
}

#[test]
fn should_deduplicate_the_transaction_as_sent() {
    let mut ledger = ledger();
    let mut request = ledger.transfer_request(ALICE, BOB, 7);
    request.created_at_time = Some(NOW);
    assert_eq!(ledger.apply(request.clone()), Ok(1));
    assert_eq!(
        ledger.apply(request.clone()),
        Err(TransferRefusal::Time(TimeRefusal::Duplicate {
            duplicate_of: 1
        }))
    );
    // The same transfer with the fee spelt out, or the default subaccount, is another transaction.
    let mut with_fee = request.clone();
    with_fee.fee = Some(Nat::from(FEE));
    assert_eq!(ledger.apply(with_fee), Ok(2));
    let mut from_zero = request.clone();
    from_zero.from = sub(ALICE, [0; 32]);
    assert_eq!(ledger.apply(from_zero), Ok(3));
    let mut to_zero = request.clone();
    to_zero.to = sub(BOB, [0; 32]);
    assert_eq!(ledger.apply(to_zero), Ok(4));
    let mut with_memo = request;
    with_memo.memo = Some(vec![]);
    assert_eq!(ledger.apply(with_memo), Ok(5));
}

#[test]
fn should_answer_duplicate_to_the_end_of_the_window_and_too_old_after_it() {
    let mut ledger = ledger();
    let mut request = ledger.transfer_request(ALICE, BOB, 7);
    request.created_at_time = Some(NOW);
    assert_eq!(ledger.apply(request.clone()), Ok(1));
    ledger.now = NOW + TRANSACTION_WINDOW_NS;
    assert_eq!(
        ledger.apply(request.clone()),
        Err(TransferRefusal::Time(TimeRefusal::Duplicate {
            duplicate_of: 1
        }))
    );
    ledger.now += 1;
    assert_eq!(
        ledger.apply(request),
        Err(TransferRefusal::Time(TimeRefusal::TooOld))
    );
    assert_eq!(ledger.balance(BOB), 7);
}

#[test]
fn should_say_insufficient_funds_to_more_than_anybody_can_have() {
    let mut ledger = ledger();
    let mut request = ledger.transfer_request(ALICE, BOB, u128::MAX);
    assert_eq!(
        ledger.apply(request.clone()),
        Err(TransferRefusal::InsufficientFunds { balance: 1_000_000 })
    );
    request.amount = Nat::from(u128::MAX) + 1_u8;
    assert_eq!(
        ledger.apply(request),
        Err(TransferRefusal::InsufficientFunds { balance: 1_000_000 })
    );
}
