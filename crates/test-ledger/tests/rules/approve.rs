use super::*;

#[test]
fn should_set_and_not_add_and_cost_the_fee() {
    let mut ledger = ledger();
    assert_eq!(ledger.approve(ALICE, BOB, 50_000), Ok(1));
    assert_eq!(ledger.approve(ALICE, BOB, 40_000), Ok(2));
    assert_eq!(ledger.allowance(ALICE, BOB).amount, 40_000);
    assert_eq!(ledger.balance(ALICE), 1_000_000 - 2 * FEE);
    assert_eq!(ledger.supply(), 1_000_000 - 2 * FEE);
    assert_eq!(ledger.approve(ALICE, BOB, 0), Ok(3));
    assert_eq!(ledger.allowance(ALICE, BOB).amount, 0);
}

#[test]
fn should_trap_on_self_approval_and_on_the_minter() {
    let mut ledger = ledger();
    assert_eq!(
        ledger.approve(ALICE, ALICE, 1),
        Err(ApproveRefusal::Violation(Violation::SelfApproval))
    );
    let mut request = ledger.approve_request(ALICE, BOB, 1);
    request.spender = sub(ALICE, [9; 32]);
    assert_eq!(
        ledger.apply_approve(request.clone()),
        Err(ApproveRefusal::Violation(Violation::SelfApproval))
    );
    (request.from, request.spender) = (minter(), account(BOB));
    assert_eq!(
        ledger.apply_approve(request.clone()),
        Err(ApproveRefusal::Violation(Violation::MinterDelegates))
    );
    request.from = account(ALICE);
    request.memo = Some(vec![0; 33]);
    assert_eq!(
        ledger.apply_approve(request),
        Err(ApproveRefusal::Violation(Violation::MemoTooLong {
            bytes: 33,
            limit: 32
        }))
    );
}

#[test]
fn should_check_fee_then_expiry_then_expected_allowance_then_balance() {
    let mut ledger = ledger();
    let mut request = ledger.approve_request(BOB, ALICE, 1);
    request.fee = Some(Nat::from(FEE - 1));
    request.expires_at = Some(NOW);
    request.expected_allowance = Some(Nat::from(7_u8));
    assert_eq!(
        ledger.apply_approve(request.clone()),
        Err(ApproveRefusal::BadFee { expected_fee: FEE })
    );
    request.fee = Some(Nat::from(FEE));
    assert_eq!(
        ledger.apply_approve(request.clone()),
        Err(ApproveRefusal::Expired { ledger_time: NOW })
    );
    request.expires_at = Some(NOW + 1);
    assert_eq!(
        ledger.apply_approve(request.clone()),
        Err(ApproveRefusal::AllowanceChanged {
            current_allowance: 0
        })
    );
    request.expected_allowance = Some(Nat::from(0_u8));
    assert_eq!(
        ledger.apply_approve(request),
        Err(ApproveRefusal::InsufficientFunds { balance: 0 })
    );
}

#[test]
fn should_deduplicate() {
    let mut ledger = ledger();
    let mut request = ledger.approve_request(ALICE, BOB, 1);
    request.created_at_time = Some(NOW);
    assert_eq!(ledger.apply_approve(request.clone()), Ok(1));
    assert_eq!(
        ledger.apply_approve(request),
        Err(ApproveRefusal::Time(TimeRefusal::Duplicate {
            duplicate_of: 1
        }))
    );
}

#[test]
fn should_count_an_expired_allowance_as_none() {
    let mut ledger = ledger();
    let mut request = ledger.approve_request(ALICE, BOB, 100_000);
    request.expires_at = Some(NOW + 10);
    ledger.apply_approve(request).expect("an approval");
    ledger.now = NOW + 9;
    assert_eq!(ledger.allowance(ALICE, BOB).amount, 100_000);
    ledger.now = NOW + 10;
    assert_eq!(ledger.allowance(ALICE, BOB).amount, 0);
    assert_eq!(ledger.allowance(ALICE, BOB).expires_at, None);
    assert_eq!(
        ledger.transfer_from(BOB, ALICE, CAROL, 1),
        Err(TransferRefusal::InsufficientAllowance { allowance: 0 })
    );
}
