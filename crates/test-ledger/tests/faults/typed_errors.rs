use super::*;

fn nat(n: u8) -> Nat {
    Nat::from(n)
}

#[test]
fn should_answer_each_transfer_from_error() {
    let ledger = ledger();
    let arg = pull(&ledger);
    for error in [
        TransferFromError::BadFee {
            expected_fee: nat(1),
        },
        TransferFromError::BadBurn {
            min_burn_amount: nat(2),
        },
        TransferFromError::InsufficientFunds { balance: nat(3) },
        TransferFromError::InsufficientAllowance { allowance: nat(4) },
        TransferFromError::TooOld,
        TransferFromError::CreatedInFuture { ledger_time: 5 },
        TransferFromError::Duplicate {
            duplicate_of: nat(6),
        },
        TransferFromError::TemporarilyUnavailable,
        TransferFromError::GenericError {
            error_code: nat(7),
            message: "generic".to_string(),
        },
    ] {
        ledger.queue_fault(TRANSFER_FROM, 1, &Fault::transfer_from_error(error.clone()));
        assert_eq!(send(&ledger, &arg), Ok(Err(error)));
    }
    assert_nothing_moved(&ledger);
    assert!(send(&ledger, &arg).expect("a reply").is_ok());
}

#[test]
fn should_answer_each_transfer_error() {
    let ledger = ledger();
    for error in [
        TransferError::BadFee {
            expected_fee: nat(1),
        },
        TransferError::BadBurn {
            min_burn_amount: nat(2),
        },
        TransferError::InsufficientFunds { balance: nat(3) },
        TransferError::TooOld,
        TransferError::CreatedInFuture { ledger_time: 4 },
        TransferError::TemporarilyUnavailable,
        TransferError::Duplicate {
            duplicate_of: nat(5),
        },
        TransferError::GenericError {
            error_code: nat(6),
            message: "generic".to_string(),
        },
    ] {
        ledger.queue_fault("icrc1_transfer", 1, &Fault::transfer_error(error.clone()));
        let answer = ledger.transfer(payer(), transfer_arg(merchant(), 1));
        assert_eq!(answer, Err(error));
    }
    assert_nothing_moved(&ledger);
}

#[test]
fn should_answer_each_approve_error() {
    let ledger = ledger();
    for error in [
        ApproveError::BadFee {
            expected_fee: nat(1),
        },
        ApproveError::InsufficientFunds { balance: nat(2) },
        ApproveError::AllowanceChanged {
            current_allowance: nat(3),
        },
        ApproveError::Expired { ledger_time: 4 },
        ApproveError::TooOld,
        ApproveError::CreatedInFuture { ledger_time: 5 },
        ApproveError::Duplicate {
            duplicate_of: nat(6),
        },
        ApproveError::TemporarilyUnavailable,
        ApproveError::GenericError {
            error_code: nat(7),
            message: "generic".to_string(),
        },
    ] {
        ledger.queue_fault("icrc2_approve", 1, &Fault::approve_error(error.clone()));
        let answer = ledger.approve(payer(), approve_arg(shop(), 1));
        assert_eq!(answer, Err(error));
    }
    assert_nothing_moved(&ledger);
}
