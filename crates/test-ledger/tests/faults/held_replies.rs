use super::*;

#[test]
fn should_hold_the_reply_after_the_transfer_until_released() {
    let ledger = ledger();
    let arg = pull(&ledger);
    ledger.queue_fault(TRANSFER_FROM, 1, &Fault::delayed_after_transfer());
    let id = submit(&ledger, &arg);
    ticks(&ledger, 10);
    assert_eq!(answered(&ledger, &id), None);
    assert_eq!(ledger.fault_status(TRANSFER_FROM).held, 1);
    assert_moved_once(&ledger);
    assert_eq!(ledger.test_update::<u32>("test_release", ()), 1);
    ticks(&ledger, 10);
    assert_eq!(answered(&ledger, &id), Some(Ok(Nat::from(2_u8))));
    assert_eq!(ledger.fault_status(TRANSFER_FROM).held, 0);
    assert_moved_once(&ledger);
}

#[test]
fn should_hold_the_transfer_too_when_told() {
    let ledger = ledger();
    let arg = pull(&ledger);
    ledger.queue_fault(TRANSFER_FROM, 1, &Fault::delayed_before_transfer());
    let id = submit(&ledger, &arg);
    ticks(&ledger, 10);
    assert_eq!(answered(&ledger, &id), None);
    assert_nothing_moved(&ledger);
    ledger.test_update::<u32>("test_release", ());
    ticks(&ledger, 10);
    assert_eq!(answered(&ledger, &id), Some(Ok(Nat::from(2_u8))));
    assert_moved_once(&ledger);
}

#[test]
fn should_serve_others_while_a_reply_is_held() {
    let ledger = ledger();
    let arg = pull(&ledger);
    ledger.queue_fault(TRANSFER_FROM, 1, &Fault::delayed_before_transfer());
    let held = submit(&ledger, &arg);
    ticks(&ledger, 4);
    // The same transfer overtakes the held one, which then finds itself a duplicate.
    assert_eq!(send(&ledger, &arg), Ok(Ok(Nat::from(2_u8))));
    ledger.test_update::<u32>("test_release", ());
    ticks(&ledger, 10);
    assert_eq!(
        answered(&ledger, &held),
        Some(Err(TransferFromError::Duplicate {
            duplicate_of: Nat::from(2_u8)
        }))
    );
    assert_moved_once(&ledger);
}

#[test]
fn should_hold_for_a_number_of_polls() {
    let ledger = ledger();
    let arg = pull(&ledger);
    let fault = Fault::afterwards(Answer::Honest).held(Hold::Polls(5));
    ledger.queue_fault(TRANSFER_FROM, 1, &fault);
    let id = submit(&ledger, &arg);
    ticks(&ledger, 5);
    assert_eq!(answered(&ledger, &id), None);
    ticks(&ledger, 20);
    assert_eq!(answered(&ledger, &id), Some(Ok(Nat::from(2_u8))));
}

#[test]
fn should_hold_until_time_has_passed() {
    let ledger = ledger();
    let arg = pull(&ledger);
    let fault = Fault::afterwards(Answer::Honest).held(Hold::Nanos(60_000_000_000));
    ledger.queue_fault(TRANSFER_FROM, 1, &fault);
    let id = submit(&ledger, &arg);
    ticks(&ledger, 10);
    assert_eq!(answered(&ledger, &id), None);
    ledger.pic.advance_time(Duration::from_secs(61));
    ticks(&ledger, 10);
    assert_eq!(answered(&ledger, &id), Some(Ok(Nat::from(2_u8))));
}

#[test]
fn should_lose_a_reply_after_holding_it() {
    let ledger = ledger();
    let arg = pull(&ledger);
    let fault = Fault::trap().held(Hold::UntilRelease);
    ledger.queue_fault(TRANSFER_FROM, 1, &fault);
    let id = submit(&ledger, &arg);
    ticks(&ledger, 4);
    ledger.test_update::<u32>("test_release", ());
    ticks(&ledger, 10);
    let reject = ledger
        .pic
        .ingress_status(id)
        .expect("an answer")
        .expect_err("a trap");
    assert_eq!(reject.reject_code, RejectCode::CanisterError);
    assert_eq!(ledger.fault_status(TRANSFER_FROM).held, 0);
    assert_nothing_moved(&ledger);
}
