use super::*;

#[test]
fn should_debit_amount_and_fee_from_the_allowance() {
    let ledger = Pocket::new();
    ledger
        .approve(payer(), approve_arg(shop(), 40_000 + FEE))
        .expect("an approval");
    let arg = transfer_from_arg(payer(), merchant(), 40_000);
    assert!(ledger.transfer_from(shop(), arg.clone()).is_ok());
    assert_eq!(ledger.allowance(payer(), shop()).allowance, 0_u8);
    assert_eq!(ledger.balance(merchant()), 40_000);
    assert_eq!(
        ledger.transfer_from(shop(), arg),
        Err(TransferFromError::InsufficientAllowance {
            allowance: Nat::from(0_u8)
        })
    );
}

#[test]
fn should_check_fee_then_allowance_then_balance() {
    let ledger = Pocket::new();
    let mut arg = transfer_from_arg(payer(), merchant(), 2 * FUNDS);
    arg.fee = Some(Nat::from(FEE + 1));
    let expected_fee = Nat::from(FEE);
    assert_eq!(
        ledger.transfer_from(shop(), arg.clone()),
        Err(TransferFromError::BadFee { expected_fee })
    );
    arg.fee = Some(Nat::from(FEE));
    let enough = 2 * FUNDS + FEE;
    ledger
        .approve(payer(), approve_arg(shop(), enough - 1))
        .expect("an approval");
    assert_eq!(
        ledger.transfer_from(shop(), arg.clone()),
        Err(TransferFromError::InsufficientAllowance {
            allowance: Nat::from(enough - 1)
        })
    );
    ledger
        .approve(payer(), approve_arg(shop(), enough))
        .expect("an approval");
    let balance = Nat::from(FUNDS - 2 * FEE);
    assert_eq!(
        ledger.transfer_from(shop(), arg),
        Err(TransferFromError::InsufficientFunds { balance })
    );
}

#[test]
fn should_need_no_allowance_for_ones_own_but_one_for_burning() {
    let ledger = Pocket::new();
    let own = transfer_from_arg(payer(), merchant(), 5);
    assert!(ledger.transfer_from(payer(), own).is_ok());
    let burn = transfer_from_arg(payer(), minter(), FEE);
    assert_eq!(
        ledger.transfer_from(shop(), burn),
        Err(TransferFromError::InsufficientAllowance {
            allowance: Nat::from(0_u8)
        })
    );
}

#[test]
fn should_deduplicate_by_memo_and_time_so_that_a_retry_is_safe() {
    let ledger = Pocket::new();
    ledger
        .approve(payer(), approve_arg(shop(), FUNDS))
        .expect("an approval");
    let mut arg = transfer_from_arg(payer(), merchant(), 5);
    arg.memo = Some(Memo::from(vec![9; 32]));
    arg.created_at_time = Some(ledger.now());
    arg.fee = Some(Nat::from(FEE));
    let index = ledger.transfer_from(shop(), arg.clone()).expect("a block");
    assert_eq!(
        ledger.transfer_from(shop(), arg.clone()),
        Err(TransferFromError::Duplicate {
            duplicate_of: index
        })
    );
    arg.memo = Some(Memo::from(vec![8; 32]));
    assert!(ledger.transfer_from(shop(), arg).is_ok());
    assert_eq!(ledger.balance(merchant()), 10);
}
