use super::*;

#[test]
fn should_change_the_fee() {
    let ledger = ledger();
    let mut arg = pull(&ledger);
    arg.fee = Some(Nat::from(FEE));
    ledger.test_update::<()>("test_set_fee", (Nat::from(2 * FEE),));
    let expected_fee = Nat::from(2 * FEE);
    assert_eq!(
        send(&ledger, &arg),
        Ok(Err(TransferFromError::BadFee {
            expected_fee: expected_fee.clone()
        }))
    );
    assert_eq!(ledger.query::<Nat>("icrc1_fee", ()), expected_fee);
    arg.fee = Some(expected_fee);
    assert_eq!(send(&ledger, &arg), Ok(Ok(Nat::from(2_u8))));
}

#[test]
fn should_run_ahead_and_behind() {
    let ledger = ledger();
    let arg = pull(&ledger);
    let hours = |n: i64| n * 3_600_000_000_000;
    ledger.test_update::<()>("test_set_time_skew", (hours(25),));
    assert_eq!(send(&ledger, &arg), Ok(Err(TransferFromError::TooOld)));
    ledger.test_update::<()>("test_set_time_skew", (-hours(1),));
    assert!(matches!(
        send(&ledger, &arg),
        Ok(Err(TransferFromError::CreatedInFuture { .. }))
    ));
    ledger.test_update::<()>("test_set_time_skew", (0_i64,));
    assert!(send(&ledger, &arg).expect("a reply").is_ok());
}

#[test]
fn should_have_effects_and_answers_in_any_combination() {
    let ledger = ledger();
    let arg = pull(&ledger);
    let fault = Fault {
        effect: Effect::AfterHold,
        hold: Hold::Polls(2),
        answer: Answer::Reject("late and lost".to_string()),
    };
    ledger.queue_fault(TRANSFER_FROM, 1, &fault);
    let reject = send(&ledger, &arg).expect_err("a reject");
    assert_eq!(reject.reject_code, RejectCode::CanisterReject);
    assert_moved_once(&ledger);
}
