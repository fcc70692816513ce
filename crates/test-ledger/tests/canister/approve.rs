use super::*;

fn trapped(ledger: &Pocket, caller: Principal, spender: Principal) {
    let arg = approve_arg(spender, 1);
    let reject = ledger
        .try_update::<Result<Nat, ApproveError>>(caller, "icrc2_approve", (arg,))
        .expect_err("a trap");
    assert_eq!(reject.reject_code, RejectCode::CanisterError);
}

#[test]
fn should_trap_on_self_approval_and_on_the_minter() {
    let ledger = Pocket::new();
    trapped(&ledger, payer(), payer());
    trapped(&ledger, minter(), payer());
}

#[test]
fn should_set_and_not_add() {
    let ledger = Pocket::new();
    assert!(ledger.approve(payer(), approve_arg(shop(), 9)).is_ok());
    assert!(ledger.approve(payer(), approve_arg(shop(), 7)).is_ok());
    assert_eq!(ledger.allowance(payer(), shop()).allowance, 7_u8);
    assert_eq!(ledger.balance(payer()), FUNDS - 2 * FEE);
}

#[test]
fn should_check_fee_then_expiry_then_expected_allowance_then_balance() {
    let ledger = Pocket::new();
    let now = jump(&ledger, DAY);
    let mut arg = approve_arg(shop(), 9);
    arg.fee = Some(Nat::from(1_u8));
    arg.expires_at = Some(now);
    arg.expected_allowance = Some(Nat::from(3_u8));
    let expected_fee = Nat::from(FEE);
    assert_eq!(
        ledger.approve(merchant(), arg.clone()),
        Err(ApproveError::BadFee { expected_fee })
    );
    arg.fee = None;
    // The round before was the first one at `now`; expiry at the very time of the round is too late.
    let ledger_time = jump(&ledger, DAY);
    arg.expires_at = Some(ledger_time);
    assert_eq!(
        ledger.approve(merchant(), arg.clone()),
        Err(ApproveError::Expired { ledger_time })
    );
    arg.expires_at = None;
    let current_allowance = Nat::from(0_u8);
    assert_eq!(
        ledger.approve(merchant(), arg.clone()),
        Err(ApproveError::AllowanceChanged { current_allowance })
    );
    arg.expected_allowance = None;
    let balance = Nat::from(0_u8);
    assert_eq!(
        ledger.approve(merchant(), arg),
        Err(ApproveError::InsufficientFunds { balance })
    );
}

#[test]
fn should_forget_an_expired_allowance() {
    let ledger = Pocket::new();
    let mut arg = approve_arg(shop(), 900_000);
    let expires_at = ledger.now() + DAY.as_nanos() as u64;
    arg.expires_at = Some(expires_at);
    ledger.approve(payer(), arg).expect("an approval");
    assert_eq!(
        ledger.allowance(payer(), shop()).expires_at,
        Some(expires_at)
    );
    jump(&ledger, DAY);
    ledger.pic.tick();
    assert_eq!(ledger.allowance(payer(), shop()).allowance, 0_u8);
    assert_eq!(
        ledger.transfer_from(shop(), transfer_from_arg(payer(), merchant(), 1)),
        Err(TransferFromError::InsufficientAllowance {
            allowance: Nat::from(0_u8)
        })
    );
}
