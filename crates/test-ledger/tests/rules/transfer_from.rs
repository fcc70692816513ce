use super::*;

#[test]
fn should_debit_amount_and_fee_from_the_allowance() {
    let mut ledger = ledger();
    ledger.approve(ALICE, BOB, 50_000).expect("an approval");
    assert_eq!(ledger.transfer_from(BOB, ALICE, CAROL, 40_000), Ok(2));
    assert_eq!(ledger.allowance(ALICE, BOB).amount, 0);
    assert_eq!(ledger.balance(CAROL), 40_000);
    assert_eq!(ledger.balance(ALICE), 1_000_000 - FEE - 40_000 - FEE);
}

#[test]
fn should_check_fee_then_allowance_then_balance() {
    let mut ledger = ledger();
    let mut request = ledger.transfer_from_request(BOB, ALICE, CAROL, 5_000_000);
    request.fee = Some(Nat::from(FEE + 1));
    assert_eq!(
        ledger.apply(request.clone()),
        Err(TransferRefusal::BadFee { expected_fee: FEE })
    );
    request.fee = Some(Nat::from(FEE));
    assert_eq!(
        ledger.apply(request.clone()),
        Err(TransferRefusal::InsufficientAllowance { allowance: 0 })
    );
    ledger
        .approve(ALICE, BOB, 5_000_000 + FEE - 1)
        .expect("an approval");
    assert_eq!(
        ledger.apply(request.clone()),
        Err(TransferRefusal::InsufficientAllowance {
            allowance: 5_000_000 + FEE - 1
        })
    );
    ledger
        .approve(ALICE, BOB, 5_000_000 + FEE)
        .expect("an approval");
    assert_eq!(
        ledger.apply(request),
        Err(TransferRefusal::InsufficientFunds {
            balance: 1_000_000 - 2 * FEE
        })
    );
    assert_eq!(ledger.allowance(ALICE, BOB).amount, 5_000_000 + FEE);
}

#[test]
fn should_need_no_allowance_to_spend_ones_own() {
    let mut ledger = ledger();
    assert_eq!(ledger.transfer_from(ALICE, ALICE, BOB, 5), Ok(1));
    assert_eq!(ledger.balance(BOB), 5);
}

#[test]
fn should_need_an_allowance_to_burn() {
    let mut ledger = ledger();
    let mut request = ledger.transfer_from_request(BOB, ALICE, CAROL, 20_000);
    request.to = minter();
    assert_eq!(
        ledger.apply(request.clone()),
        Err(TransferRefusal::InsufficientAllowance { allowance: 0 })
    );
    ledger.approve(ALICE, BOB, 20_000).expect("an approval");
    assert_eq!(ledger.apply(request), Ok(2));
    assert_eq!(ledger.allowance(ALICE, BOB).amount, 0);
    assert_eq!(ledger.balance(ALICE), 1_000_000 - FEE - 20_000);
}

#[test]
fn should_trap_where_the_minter_would_delegate() {
    let mut ledger = ledger();
    let mut request = ledger.transfer_from_request(BOB, ALICE, CAROL, 1);
    request.from = minter();
    assert_eq!(
        ledger.apply(request),
        Err(TransferRefusal::Violation(Violation::MinterDelegates))
    );
}
