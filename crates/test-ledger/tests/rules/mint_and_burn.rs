use super::*;

#[test]
fn should_want_no_fee() {
    let mut ledger = ledger();
    for (from, to) in [(minter(), account(BOB)), (account(ALICE), minter())] {
        let mut request = ledger.transfer_request(ALICE, BOB, 20_000);
        (request.from, request.to) = (from, to);
        request.fee = Some(Nat::from(FEE));
        assert_eq!(
            ledger.apply(request.clone()),
            Err(TransferRefusal::BadFee { expected_fee: 0 })
        );
        request.fee = Some(Nat::from(0_u8));
        assert!(ledger.apply(request.clone()).is_ok());
        request.fee = None;
        assert!(ledger.apply(request).is_ok());
    }
    assert_eq!(ledger.balance(BOB), 40_000);
    assert_eq!(ledger.balance(ALICE), 960_000);
    assert_eq!(ledger.supply(), 1_000_000);
}

#[test]
fn should_refuse_to_burn_less_than_a_fee() {
    let mut ledger = ledger();
    let mut burn = |amount: u128| {
        let mut request = ledger.transfer_request(ALICE, BOB, amount);
        request.to = minter();
        ledger.apply(request)
    };
    for amount in [0, 1, FEE - 1] {
        assert_eq!(
            burn(amount),
            Err(TransferRefusal::BadBurn {
                min_burn_amount: FEE
            })
        );
    }
    assert!(burn(FEE).is_ok());
}

#[test]
fn should_let_a_balance_below_the_fee_be_burned_whole() {
    let mut ledger = ledger();
    ledger.transfer(ALICE, BOB, 30).expect("a transfer");
    let mut request = ledger.transfer_request(BOB, ALICE, 30);
    request.to = minter();
    assert!(ledger.apply(request).is_ok());
    assert_eq!(ledger.balance(BOB), 0);
}

#[test]
fn should_find_no_funds_for_the_minter_to_burn() {
    let mut ledger = ledger();
    let mut request = ledger.transfer_request(ALICE, BOB, 5);
    (request.from, request.to) = (minter(), minter());
    assert_eq!(
        ledger.apply(request),
        Err(TransferRefusal::InsufficientFunds { balance: 0 })
    );
}

#[test]
fn should_refuse_to_mint_beyond_128_bits() {
    let mut ledger = ledger();
    let mut request = ledger.transfer_request(ALICE, BOB, u128::MAX);
    request.from = minter();
    assert_eq!(
        ledger.apply(request),
        Err(TransferRefusal::Violation(Violation::SupplyOverflow))
    );
}
