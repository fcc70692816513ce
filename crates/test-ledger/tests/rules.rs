//! The rules, natively: each measured fact of the ICRC ledger suite is a test here, and again on wasm in
//! `canister.rs`.

mod support;

use candid::Nat;
use support::native::{Native, account, minter, sub};
use test_ledger::domain::{
    ApproveRefusal, PERMITTED_DRIFT_NS, TRANSACTION_WINDOW_NS, TimeRefusal, TransferRefusal,
    Violation,
};

const FEE: u128 = 10_000;
const NOW: u64 = 1_700_000_000_000_000_000;
const ALICE: u8 = 1;
const BOB: u8 = 2;
const CAROL: u8 = 3;

fn ledger() -> Native {
    Native::new(FEE, NOW, &[(account(ALICE), 1_000_000)])
}

mod transfer {
    use super::*;

    #[test]
    fn should_move_the_amount_and_burn_the_fee() {
        let mut ledger = ledger();
        let supply = ledger.supply();
        assert_eq!(ledger.transfer(ALICE, BOB, 500_000), Ok(1));
        assert_eq!(ledger.balance(ALICE), 1_000_000 - 500_000 - FEE);
        assert_eq!(ledger.balance(BOB), 500_000);
        assert_eq!(ledger.supply(), supply - FEE);
    }

    #[test]
    fn should_allow_amount_zero_and_transfers_to_oneself_for_the_fee() {
        let mut ledger = ledger();
        assert_eq!(ledger.transfer(ALICE, BOB, 0), Ok(1));
        assert_eq!(ledger.transfer(ALICE, ALICE, 100), Ok(2));
        assert_eq!(ledger.balance(ALICE), 1_000_000 - 2 * FEE);
        assert_eq!(ledger.balance(BOB), 0);
    }

    #[test]
    fn should_refuse_a_memo_above_the_limit_before_anything_else() {
        let mut ledger = ledger();
        let mut request = ledger.transfer_request(ALICE, BOB, 1);
        request.memo = Some(vec![0; 33]);
        request.fee = Some(Nat::from(1_u8));
        assert_eq!(
            ledger.apply(request.clone()),
            Err(TransferRefusal::Violation(Violation::MemoTooLong {
                bytes: 33,
                limit: 32
            }))
        );
        request.memo = Some(vec![0; 32]);
        request.fee = None;
        assert_eq!(ledger.apply(request), Ok(1));
    }

    #[test]
    fn should_check_the_fee_before_the_time() {
        let mut ledger = ledger();
        let mut request = ledger.transfer_request(ALICE, BOB, u128::MAX);
        request.fee = Some(Nat::from(FEE - 1));
        request.created_at_time = Some(0);
        assert_eq!(
            ledger.apply(request),
            Err(TransferRefusal::BadFee { expected_fee: FEE })
        );
    }

    #[test]
    fn should_name_a_bad_fee_even_for_a_duplicate() {
        let mut ledger = ledger();
        let mut request = ledger.transfer_request(ALICE, BOB, 5);
        request.created_at_time = Some(NOW);
        assert_eq!(ledger.apply(request.clone()), Ok(1));
        request.fee = Some(Nat::from(FEE + 1));
        assert_eq!(
            ledger.apply(request),
            Err(TransferRefusal::BadFee { expected_fee: FEE })
        );
    }

    #[test]
    fn should_check_the_time_before_the_balance() {
        let mut ledger = ledger();
        let mut request = ledger.transfer_request(BOB, ALICE, 5_000_000);
        request.created_at_time = Some(NOW - TRANSACTION_WINDOW_NS - 1);
        assert_eq!(
            ledger.apply(request.clone()),
            Err(TransferRefusal::Time(TimeRefusal::TooOld))
        );
        request.created_at_time = Some(NOW - TRANSACTION_WINDOW_NS);
        assert_eq!(
            ledger.apply(request),
            Err(TransferRefusal::InsufficientFunds { balance: 0 })
        );
    }

    #[test]
    fn should_accept_the_window_to_the_nanosecond() {
        let mut ledger = ledger();
        let mut at = |created_at_time| {
            let mut request = ledger.transfer_request(ALICE, BOB, 1);
            request.created_at_time = Some(created_at_time);
            ledger.apply(request)
        };
        assert!(at(NOW - TRANSACTION_WINDOW_NS).is_ok());
        assert_eq!(
            at(NOW - TRANSACTION_WINDOW_NS - 1),
            Err(TransferRefusal::Time(TimeRefusal::TooOld))
        );
        assert!(at(NOW + PERMITTED_DRIFT_NS).is_ok());
        assert_eq!(
            at(NOW + PERMITTED_DRIFT_NS + 1),
            Err(TransferRefusal::Time(TimeRefusal::CreatedInFuture {
                ledger_time: NOW
            }))
        );
    }

    #[test]
    fn should_not_deduplicate_without_created_at_time() {
        let mut ledger = ledger();
        assert_eq!(ledger.transfer(ALICE, BOB, 7), Ok(1));
        assert_eq!(ledger.transfer(ALICE, BOB, 7), Ok(2));
    }

    #[test]
    fn should_deduplicate_the_transaction_as_sent() {
        let mut ledger = ledger();
        let mut request = ledger.transfer_request(ALICE, BOB, 7);
        request.created_at_time = Some(NOW);
        assert_eq!(ledger.apply(request.clone()), Ok(1));
        assert_eq!(
            ledger.apply(request.clone()),
            Err(TransferRefusal::Time(TimeRefusal::Duplicate {
                duplicate_of: 1
            }))
        );
        // The same transfer with the fee spelt out, or the default subaccount, is another transaction.
        let mut with_fee = request.clone();
        with_fee.fee = Some(Nat::from(FEE));
        assert_eq!(ledger.apply(with_fee), Ok(2));
        let mut from_zero = request.clone();
        from_zero.from = sub(ALICE, [0; 32]);
        assert_eq!(ledger.apply(from_zero), Ok(3));
        let mut to_zero = request.clone();
        to_zero.to = sub(BOB, [0; 32]);
        assert_eq!(ledger.apply(to_zero), Ok(4));
        let mut with_memo = request;
        with_memo.memo = Some(vec![]);
        assert_eq!(ledger.apply(with_memo), Ok(5));
    }

    #[test]
    fn should_answer_duplicate_to_the_end_of_the_window_and_too_old_after_it() {
        let mut ledger = ledger();
        let mut request = ledger.transfer_request(ALICE, BOB, 7);
        request.created_at_time = Some(NOW);
        assert_eq!(ledger.apply(request.clone()), Ok(1));
        ledger.now = NOW + TRANSACTION_WINDOW_NS;
        assert_eq!(
            ledger.apply(request.clone()),
            Err(TransferRefusal::Time(TimeRefusal::Duplicate {
                duplicate_of: 1
            }))
        );
        ledger.now += 1;
        assert_eq!(
            ledger.apply(request),
            Err(TransferRefusal::Time(TimeRefusal::TooOld))
        );
        assert_eq!(ledger.balance(BOB), 7);
    }

    #[test]
    fn should_say_insufficient_funds_to_more_than_anybody_can_have() {
        let mut ledger = ledger();
        let mut request = ledger.transfer_request(ALICE, BOB, u128::MAX);
        assert_eq!(
            ledger.apply(request.clone()),
            Err(TransferRefusal::InsufficientFunds { balance: 1_000_000 })
        );
        request.amount = Nat::from(u128::MAX) + 1_u8;
        assert_eq!(
            ledger.apply(request),
            Err(TransferRefusal::InsufficientFunds { balance: 1_000_000 })
        );
    }
}

mod mint_and_burn {
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
}

mod approve {
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
}

mod transfer_from {
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
}

mod dedup_index {
    use super::*;

    #[test]
    fn should_be_bounded_by_the_window() {
        let mut ledger = ledger();
        let before = ledger.remembered();
        for nanos in 0..250 {
            let mut request = ledger.transfer_request(ALICE, BOB, 0);
            request.created_at_time = Some(NOW + nanos);
            ledger.set_fee(0);
            ledger.apply(request).expect("a transfer");
        }
        assert_eq!(ledger.remembered(), before + 250);
        ledger.now = NOW + TRANSACTION_WINDOW_NS + 1_000;
        for _ in 0..3 {
            ledger.transfer(ALICE, BOB, 0).expect("a transfer");
        }
        assert_eq!(ledger.remembered(), 0);
    }
}
