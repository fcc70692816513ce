use super::*;

#[test]
fn should_mint_and_burn_without_fee() {
    let ledger = Pocket::new();
    let mut mint = transfer_arg(merchant(), 50_000);
    mint.fee = Some(Nat::from(FEE));
    let expected_fee = Nat::from(0_u8);
    let bad_fee = Err(TransferError::BadFee { expected_fee });
    assert_eq!(ledger.transfer(minter(), mint.clone()), bad_fee);
    mint.fee = Some(Nat::from(0_u8));
    assert!(ledger.transfer(minter(), mint).is_ok());
    let mut burn = transfer_arg(minter(), FEE);
    burn.fee = Some(Nat::from(FEE));
    assert_eq!(ledger.transfer(merchant(), burn.clone()), bad_fee);
    burn.fee = None;
    assert!(ledger.transfer(merchant(), burn.clone()).is_ok());
    assert_eq!(ledger.balance(merchant()), 40_000);
    burn.amount = Nat::from(FEE - 1);
    let min_burn_amount = Nat::from(FEE);
    assert_eq!(
        ledger.transfer(merchant(), burn),
        Err(TransferError::BadBurn { min_burn_amount })
    );
}

#[test]
fn should_find_no_funds_when_the_minter_pays_itself() {
    let ledger = Pocket::new();
    let balance = Nat::from(0_u8);
    assert_eq!(
        ledger.transfer(minter(), transfer_arg(minter(), 5)),
        Err(TransferError::InsufficientFunds { balance })
    );
}
