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

#[test]
fn should_look_at_allowance_or_balance_first_if_told_so() {
    let mut ledger = ledger();
    ledger
        .approve(ALICE, BOB, 20_000 + FEE)
        .expect("an approval");
    let mut request = ledger.transfer_from_request(BOB, ALICE, CAROL, 20_000);
    request.fee = Some(Nat::from(FEE));
    request.created_at_time = Some(NOW);
    let order = |ledger: &mut Native, order| ledger.apply_in_order(request.clone(), order);
    // The fee rises: the allowance does not cover it, and nobody says why.
    ledger.set_fee(2 * FEE);
    let allowance = 20_000 + FEE;
    assert_eq!(
        order(&mut ledger, CheckOrder::AllowanceFirst),
        Err(TransferRefusal::InsufficientAllowance { allowance })
    );
    let bad_fee = Err(TransferRefusal::BadFee {
        expected_fee: 2 * FEE,
    });
    assert_eq!(order(&mut ledger, CheckOrder::FeeFirst), bad_fee);
    assert_eq!(order(&mut ledger, CheckOrder::BalanceFirst), bad_fee);
    // It falls: both cover it.
    ledger.set_fee(0);
    let bad_fee = Err(TransferRefusal::BadFee { expected_fee: 0 });
    assert_eq!(order(&mut ledger, CheckOrder::AllowanceFirst), bad_fee);
    // A repetition is refused before it is known as one.
    ledger.set_fee(FEE);
    assert_eq!(order(&mut ledger, CheckOrder::AllowanceFirst), Ok(2));
    assert_eq!(
        order(&mut ledger, CheckOrder::AllowanceFirst),
        Err(TransferRefusal::InsufficientAllowance { allowance: 0 })
    );
    let duplicate = TimeRefusal::Duplicate { duplicate_of: 2 };
    assert_eq!(
        order(&mut ledger, CheckOrder::BalanceFirst),
        Err(TransferRefusal::Time(duplicate))
    );
    ledger.set_fee(1_000_000);
    let balance = ledger.balance(ALICE);
    assert_eq!(
        order(&mut ledger, CheckOrder::BalanceFirst),
        Err(TransferRefusal::InsufficientFunds { balance })
    );
}
