use super::*;

fn query<T: CandidType + serde::de::DeserializeOwned>(
    ledger: &Pocket,
    method: &str,
) -> Result<T, RejectResponse> {
    let account = icrc_ledger_types::icrc1::account::Account::from(payer());
    match method {
        "icrc1_balance_of" => ledger.try_query(method, (account,)),
        "icrc2_allowance" => {
            let spender = shop().into();
            ledger.try_query(method, (AllowanceArgs { account, spender },))
        }
        _ => ledger.try_query(method, ()),
    }
}

#[test]
fn should_lie_until_cleared() {
    let ledger = ledger();
    let five = Fault::instead(Answer::Nat(Nat::from(5_u8)));
    for method in ["icrc1_fee", "icrc1_balance_of"] {
        ledger.queue_fault(method, 1, &five);
        for _ in 0..3 {
            assert_eq!(query::<Nat>(&ledger, method), Ok(Nat::from(5_u8)));
        }
    }
    ledger.queue_fault("icrc2_allowance", 1, &five);
    let allowance: Allowance = query(&ledger, "icrc2_allowance").expect("a reply");
    assert_eq!(allowance.allowance, 5_u8);
    ledger.test_update::<()>("test_clear_faults", ());
    assert_eq!(query::<Nat>(&ledger, "icrc1_fee"), Ok(Nat::from(FEE)));
    assert_eq!(
        query::<Nat>(&ledger, "icrc1_balance_of"),
        Ok(Nat::from(FUNDS - FEE))
    );
}

#[test]
fn should_fail_as_told() {
    let ledger = ledger();
    for method in [
        "icrc1_fee",
        "icrc1_symbol",
        "icrc1_decimals",
        "icrc1_supported_standards",
        "icrc1_balance_of",
        "icrc2_allowance",
    ] {
        ledger.queue_fault(method, 1, &Fault::reject());
        let reject = query::<Nat>(&ledger, method).expect_err("a reject");
        assert_eq!(reject.reject_code, RejectCode::CanisterReject, "{method}");
        ledger.queue_fault(method, 1, &Fault::trap());
        let reject = query::<Nat>(&ledger, method).expect_err("a trap");
        assert_eq!(reject.reject_code, RejectCode::CanisterError, "{method}");
        ledger.queue_fault(method, 1, &Fault::instead(Answer::Text(1_000)));
        let text = query::<String>(&ledger, method).expect("a text");
        assert_eq!(text.len(), 1_000);
    }
}

#[test]
fn should_trap_before_transfers_although_decimals_are_spoilt() {
    // The commit before a trap calls `icrc1_decimals`; a fault there must not change what is committed.
    let ledger = ledger();
    let arg = pull(&ledger);
    ledger.queue_fault("icrc1_decimals", 1, &Fault::trap());
    ledger.queue_fault(TRANSFER_FROM, 1, &Fault::trap_after_transfer());
    assert!(send(&ledger, &arg).is_err());
    assert_moved_once(&ledger);
}
