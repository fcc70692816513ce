use super::*;

#[test]
fn should_move_the_amount_and_burn_the_fee() {
    let ledger = Pocket::new();
    let supply: Nat = ledger.query("icrc1_total_supply", ());
    let index = ledger.transfer(payer(), transfer_arg(merchant(), 1_000));
    assert_eq!(index, Ok(Nat::from(1_u8)));
    assert_eq!(ledger.balance(payer()), FUNDS - 1_000 - FEE);
    assert_eq!(ledger.balance(merchant()), 1_000);
    let after: Nat = ledger.query("icrc1_total_supply", ());
    assert_eq!(after, supply - FEE);
}

#[test]
fn should_trap_on_a_memo_of_33_bytes() {
    let ledger = Pocket::new();
    let mut arg = transfer_arg(merchant(), 1);
    arg.memo = Some(Memo::from(vec![1; 33]));
    let reject = ledger
        .try_update::<Result<Nat, TransferError>>(payer(), "icrc1_transfer", (arg,))
        .expect_err("a trap");
    assert_eq!(reject.reject_code, RejectCode::CanisterError);
    assert_eq!(ledger.balance(payer()), FUNDS);
}

#[test]
fn should_trap_on_a_subaccount_of_31_bytes() {
    #[derive(candid::CandidType)]
    struct Loose {
        owner: Principal,
        subaccount: Option<Vec<u8>>,
    }
    let ledger = Pocket::new();
    let account = Loose {
        owner: payer(),
        subaccount: Some(vec![0; 31]),
    };
    let reject = ledger
        .try_query::<Nat>("icrc1_balance_of", (account,))
        .expect_err("a trap");
    assert_eq!(reject.reject_code, RejectCode::CanisterError);
}

#[test]
fn should_check_fee_then_time_then_balance() {
    let ledger = Pocket::new();
    jump(&ledger, 2 * DAY);
    let mut arg = transfer_arg(merchant(), 100 * FUNDS);
    arg.fee = Some(Nat::from(FEE - 1));
    arg.created_at_time = Some(0);
    let expected_fee = Nat::from(FEE);
    assert_eq!(
        ledger.transfer(payer(), arg.clone()),
        Err(TransferError::BadFee { expected_fee })
    );
    arg.fee = Some(Nat::from(FEE));
    assert_eq!(
        ledger.transfer(payer(), arg.clone()),
        Err(TransferError::TooOld)
    );
    arg.created_at_time = None;
    let balance = Nat::from(FUNDS);
    assert_eq!(
        ledger.transfer(payer(), arg),
        Err(TransferError::InsufficientFunds { balance })
    );
}

#[test]
fn should_accept_24_hours_back_and_60_seconds_ahead_exactly() {
    let ledger = Pocket::new();
    let day = DAY.as_nanos() as u64;
    let drift = 60_000_000_000;
    // Jumping makes the next round run at exactly the time read.
    let at = |offset: i64| {
        let now = jump(&ledger, DAY);
        let mut arg = transfer_arg(merchant(), 1);
        arg.created_at_time = Some(now.saturating_add_signed(offset));
        (now, ledger.transfer(payer(), arg))
    };
    assert!(at(-(day as i64)).1.is_ok());
    assert_eq!(at(-(day as i64) - 1).1, Err(TransferError::TooOld));
    assert!(at(drift).1.is_ok());
    let (ledger_time, answer) = at(drift + 1);
    assert_eq!(answer, Err(TransferError::CreatedInFuture { ledger_time }));
}

#[test]
fn should_deduplicate_the_transaction_as_sent_for_24_hours() {
    let ledger = Pocket::new();
    let start = jump(&ledger, DAY);
    let mut arg = transfer_arg(merchant(), 5);
    arg.created_at_time = Some(start);
    let index = ledger.transfer(payer(), arg.clone()).expect("a transfer");
    let duplicate = Err(TransferError::Duplicate {
        duplicate_of: index,
    });
    assert_eq!(ledger.transfer(payer(), arg.clone()), duplicate);

    let mut with_fee = arg.clone();
    with_fee.fee = Some(Nat::from(FEE));
    assert!(ledger.transfer(payer(), with_fee.clone()).is_ok());
    let mut with_subaccount = arg.clone();
    with_subaccount.from_subaccount = Some([0; 32]);
    assert!(ledger.transfer(payer(), with_subaccount).is_ok());
    with_fee.fee = Some(Nat::from(FEE + 1));
    let expected_fee = Nat::from(FEE);
    assert_eq!(
        ledger.transfer(payer(), with_fee),
        Err(TransferError::BadFee { expected_fee })
    );

    jump(&ledger, DAY - Duration::from_secs(1));
    assert_eq!(ledger.transfer(payer(), arg.clone()), duplicate);
    jump(&ledger, Duration::from_secs(2));
    assert_eq!(ledger.transfer(payer(), arg), Err(TransferError::TooOld));
    assert_eq!(ledger.balance(merchant()), 15);
}

#[test]
fn should_allow_amount_zero_and_transfers_to_oneself() {
    let ledger = Pocket::new();
    assert!(
        ledger
            .transfer(payer(), transfer_arg(merchant(), 0))
            .is_ok()
    );
    assert!(ledger.transfer(payer(), transfer_arg(payer(), 7)).is_ok());
    assert_eq!(ledger.balance(payer()), FUNDS - 2 * FEE);
}
