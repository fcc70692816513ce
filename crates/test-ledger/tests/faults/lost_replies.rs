use super::*;

/// The caller sees `code`; afterwards the same call tells the truth.
fn lost(fault: Fault, code: RejectCode, moved: bool) {
    let ledger = ledger();
    let arg = pull(&ledger);
    ledger.queue_fault(TRANSFER_FROM, 1, &fault);
    let reject = send(&ledger, &arg).expect_err("the reply is lost");
    assert_eq!(reject.reject_code, code);
    if moved {
        assert_moved_once(&ledger);
        assert_eq!(
            send(&ledger, &arg),
            Ok(Err(TransferFromError::Duplicate {
                duplicate_of: Nat::from(2_u8)
            }))
        );
    } else {
        assert_nothing_moved(&ledger);
        assert_eq!(send(&ledger, &arg), Ok(Ok(Nat::from(2_u8))));
    }
    assert_moved_once(&ledger);
}

#[test]
fn should_reject_without_effect() {
    lost(Fault::reject(), RejectCode::CanisterReject, false);
}

#[test]
fn should_trap_without_effect() {
    lost(Fault::trap(), RejectCode::CanisterError, false);
}

#[test]
fn should_reject_after_the_transfer() {
    lost(
        Fault::lost_after_transfer(),
        RejectCode::CanisterReject,
        true,
    );
}

#[test]
fn should_trap_after_the_transfer_was_committed() {
    lost(
        Fault::trap_after_transfer(),
        RejectCode::CanisterError,
        true,
    );
}
