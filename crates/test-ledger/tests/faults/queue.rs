use super::*;

#[test]
fn should_play_faults_in_order_for_the_calls_asked_for() {
    let ledger = ledger();
    let arg = pull(&ledger);
    ledger.queue_fault(TRANSFER_FROM, 2, &Fault::lying_ok(7));
    ledger.queue_fault(TRANSFER_FROM, 1, &Fault::reject());
    let status = ledger.fault_status(TRANSFER_FROM);
    assert_eq!((status.queued, status.calls, status.faults_hit), (3, 0, 0));
    assert_eq!(send(&ledger, &arg), Ok(Ok(Nat::from(7_u8))));
    assert_eq!(send(&ledger, &arg), Ok(Ok(Nat::from(7_u8))));
    assert!(send(&ledger, &arg).is_err());
    assert_eq!(send(&ledger, &arg), Ok(Ok(Nat::from(2_u8))));
    let status = ledger.fault_status(TRANSFER_FROM);
    assert_eq!((status.queued, status.calls, status.faults_hit), (0, 4, 3));
}

#[test]
fn should_spoil_only_the_method_named() {
    let ledger = ledger();
    ledger.queue_fault(TRANSFER_FROM, 5, &Fault::reject());
    let honest = ledger.transfer(payer(), transfer_arg(merchant(), 1));
    assert!(honest.is_ok());
    ledger.test_update::<()>("test_clear_faults", ());
    let arg = pull(&ledger);
    assert!(send(&ledger, &arg).expect("a reply").is_ok());
}

#[test]
fn should_refuse_faults_that_cannot_be_played() {
    let ledger = ledger();
    let held = Fault::reject().held(Hold::UntilRelease);
    let honest = Fault::instead(Answer::Honest);
    let with_effect = Fault::lost_after_transfer();
    let wrong_type = Fault::transfer_error(TransferError::TooOld);
    let number = Fault::instead(Answer::Nat(Nat::from(1_u8)));
    let huge = Fault::instead(Answer::Text(u32::MAX));
    for (method, calls, fault, field) in [
        ("icrc1_nonsense", 1, Fault::reject(), "method"),
        (TRANSFER_FROM, 0, Fault::reject(), "calls"),
        ("icrc1_fee", 1, held, "hold"),
        ("icrc1_fee", 1, with_effect, "effect"),
        (TRANSFER_FROM, 1, honest, "Honest"),
        (TRANSFER_FROM, 1, wrong_type, "TransferError"),
        (TRANSFER_FROM, 1, number, "Nat"),
        ("icrc1_symbol", 1, Fault::lying_ok(1), "Index"),
        (TRANSFER_FROM, 1, huge, "limit"),
    ] {
        let error = ledger
            .try_queue_fault(method, calls, &fault)
            .expect_err("refused");
        assert!(error.contains(field), "{field}: {error}");
    }
    assert_eq!(ledger.fault_status(TRANSFER_FROM).queued, 0);
}
