//! Every fault of the test interface, on our ledger as a canister.

mod support;

use std::time::Duration;

use candid::{CandidType, Nat, Principal};
use icrc_ledger_types::icrc1::transfer::{Memo, TransferError};
use icrc_ledger_types::icrc2::allowance::{Allowance, AllowanceArgs};
use icrc_ledger_types::icrc2::approve::ApproveError;
use icrc_ledger_types::icrc2::transfer_from::{TransferFromArgs, TransferFromError};
use pocket_ic::common::rest::RawMessageId;
use pocket_ic::{RejectCode, RejectResponse};
use support::pocket::{
    FEE, FUNDS, Pocket, approve_arg, merchant, payer, shop, transfer_arg, transfer_from_arg,
};
use test_ledger::testing::{Answer, Effect, Fault, Hold};

const TRANSFER_FROM: &str = "icrc2_transfer_from";
const AMOUNT: u128 = 50_000;

type Pulled = Result<Nat, TransferFromError>;

/// A ledger on which the shop may take from the payer; two blocks exist.
fn ledger() -> Pocket {
    let ledger = Pocket::own();
    ledger
        .approve(payer(), approve_arg(shop(), FUNDS))
        .expect("an approval");
    ledger
}

/// A pull that the ledger can deduplicate.
fn pull(ledger: &Pocket) -> TransferFromArgs {
    let mut arg = transfer_from_arg(payer(), merchant(), AMOUNT);
    arg.memo = Some(Memo::from(vec![9; 32]));
    arg.created_at_time = Some(ledger.now());
    arg
}

fn send(ledger: &Pocket, arg: &TransferFromArgs) -> Result<Pulled, RejectResponse> {
    ledger.try_update(shop(), TRANSFER_FROM, (arg.clone(),))
}

/// The bytes of the reply, whatever they are.
fn send_raw(ledger: &Pocket, arg: &TransferFromArgs) -> Vec<u8> {
    let arg = candid::encode_one(arg).expect("encodes");
    let reply = ledger
        .pic
        .update_call(ledger.id, shop(), TRANSFER_FROM, arg);
    reply.expect("a reply")
}

fn submit(ledger: &Pocket, arg: &TransferFromArgs) -> RawMessageId {
    let arg = candid::encode_one(arg).expect("encodes");
    let submitted = ledger
        .pic
        .submit_call(ledger.id, shop(), TRANSFER_FROM, arg);
    submitted.expect("the call is accepted")
}

fn answered(ledger: &Pocket, id: &RawMessageId) -> Option<Pulled> {
    let reply = ledger.pic.ingress_status(id.clone())?;
    let reply = reply.unwrap_or_else(|reject| panic!("rejected: {reject:?}"));
    Some(candid::decode_one(&reply).expect("the method's type"))
}

fn ticks(ledger: &Pocket, rounds: usize) {
    for _ in 0..rounds {
        ledger.pic.tick();
    }
}

fn assert_nothing_moved(ledger: &Pocket) {
    assert_eq!(ledger.balance(merchant()), 0);
    assert_eq!(ledger.balance(payer()), FUNDS - FEE);
    assert_eq!(ledger.allowance(payer(), shop()).allowance, FUNDS);
}

fn assert_moved_once(ledger: &Pocket) {
    assert_eq!(ledger.balance(merchant()), AMOUNT);
    assert_eq!(ledger.balance(payer()), FUNDS - 2 * FEE - AMOUNT);
}

mod typed_errors {
    use super::*;

    fn nat(n: u8) -> Nat {
        Nat::from(n)
    }

    #[test]
    fn should_answer_each_transfer_from_error() {
        let ledger = ledger();
        let arg = pull(&ledger);
        for error in [
            TransferFromError::BadFee {
                expected_fee: nat(1),
            },
            TransferFromError::BadBurn {
                min_burn_amount: nat(2),
            },
            TransferFromError::InsufficientFunds { balance: nat(3) },
            TransferFromError::InsufficientAllowance { allowance: nat(4) },
            TransferFromError::TooOld,
            TransferFromError::CreatedInFuture { ledger_time: 5 },
            TransferFromError::Duplicate {
                duplicate_of: nat(6),
            },
            TransferFromError::TemporarilyUnavailable,
            TransferFromError::GenericError {
                error_code: nat(7),
                message: "generic".to_string(),
            },
        ] {
            ledger.queue_fault(TRANSFER_FROM, 1, &Fault::transfer_from_error(error.clone()));
            assert_eq!(send(&ledger, &arg), Ok(Err(error)));
        }
        assert_nothing_moved(&ledger);
        assert!(send(&ledger, &arg).expect("a reply").is_ok());
    }

    #[test]
    fn should_answer_each_transfer_error() {
        let ledger = ledger();
        for error in [
            TransferError::BadFee {
                expected_fee: nat(1),
            },
            TransferError::BadBurn {
                min_burn_amount: nat(2),
            },
            TransferError::InsufficientFunds { balance: nat(3) },
            TransferError::TooOld,
            TransferError::CreatedInFuture { ledger_time: 4 },
            TransferError::TemporarilyUnavailable,
            TransferError::Duplicate {
                duplicate_of: nat(5),
            },
            TransferError::GenericError {
                error_code: nat(6),
                message: "generic".to_string(),
            },
        ] {
            ledger.queue_fault("icrc1_transfer", 1, &Fault::transfer_error(error.clone()));
            let answer = ledger.transfer(payer(), transfer_arg(merchant(), 1));
            assert_eq!(answer, Err(error));
        }
        assert_nothing_moved(&ledger);
    }

    #[test]
    fn should_answer_each_approve_error() {
        let ledger = ledger();
        for error in [
            ApproveError::BadFee {
                expected_fee: nat(1),
            },
            ApproveError::InsufficientFunds { balance: nat(2) },
            ApproveError::AllowanceChanged {
                current_allowance: nat(3),
            },
            ApproveError::Expired { ledger_time: 4 },
            ApproveError::TooOld,
            ApproveError::CreatedInFuture { ledger_time: 5 },
            ApproveError::Duplicate {
                duplicate_of: nat(6),
            },
            ApproveError::TemporarilyUnavailable,
            ApproveError::GenericError {
                error_code: nat(7),
                message: "generic".to_string(),
            },
        ] {
            ledger.queue_fault("icrc2_approve", 1, &Fault::approve_error(error.clone()));
            let answer = ledger.approve(payer(), approve_arg(shop(), 1));
            assert_eq!(answer, Err(error));
        }
        assert_nothing_moved(&ledger);
    }
}

mod lost_replies {
    use super::*;

    /// The caller sees `code`; afterwards the same call tells the truth.
    fn lost(fault: Fault, code: RejectCode, moved: bool) {
        let ledger = ledger();
        let arg = pull(&ledger);
        ledger.queue_fault(TRANSFER_FROM, 1, &fault);
        let reject = send(&ledger, &arg).expect_err("the reply is lost");
        assert_eq!(reject.reject_code, code);
        if moved {
            assert_moved_once(&ledger);
            assert_eq!(
                send(&ledger, &arg),
                Ok(Err(TransferFromError::Duplicate {
                    duplicate_of: Nat::from(2_u8)
                }))
            );
        } else {
            assert_nothing_moved(&ledger);
            assert_eq!(send(&ledger, &arg), Ok(Ok(Nat::from(2_u8))));
        }
        assert_moved_once(&ledger);
    }

    #[test]
    fn should_reject_without_effect() {
        lost(Fault::reject(), RejectCode::CanisterReject, false);
    }

    #[test]
    fn should_trap_without_effect() {
        lost(Fault::trap(), RejectCode::CanisterError, false);
    }

    #[test]
    fn should_reject_after_the_transfer() {
        lost(
            Fault::lost_after_transfer(),
            RejectCode::CanisterReject,
            true,
        );
    }

    #[test]
    fn should_trap_after_the_transfer_was_committed() {
        lost(
            Fault::trap_after_transfer(),
            RejectCode::CanisterError,
            true,
        );
    }
}

mod held_replies {
    use super::*;

    #[test]
    fn should_hold_the_reply_after_the_transfer_until_released() {
        let ledger = ledger();
        let arg = pull(&ledger);
        ledger.queue_fault(TRANSFER_FROM, 1, &Fault::delayed_after_transfer());
        let id = submit(&ledger, &arg);
        ticks(&ledger, 10);
        assert_eq!(answered(&ledger, &id), None);
        assert_eq!(ledger.fault_status(TRANSFER_FROM).held, 1);
        assert_moved_once(&ledger);
        assert_eq!(ledger.test_update::<u32>("test_release", ()), 1);
        ticks(&ledger, 10);
        assert_eq!(answered(&ledger, &id), Some(Ok(Nat::from(2_u8))));
        assert_eq!(ledger.fault_status(TRANSFER_FROM).held, 0);
        assert_moved_once(&ledger);
    }

    #[test]
    fn should_hold_the_transfer_too_when_told() {
        let ledger = ledger();
        let arg = pull(&ledger);
        ledger.queue_fault(TRANSFER_FROM, 1, &Fault::delayed_before_transfer());
        let id = submit(&ledger, &arg);
        ticks(&ledger, 10);
        assert_eq!(answered(&ledger, &id), None);
        assert_nothing_moved(&ledger);
        ledger.test_update::<u32>("test_release", ());
        ticks(&ledger, 10);
        assert_eq!(answered(&ledger, &id), Some(Ok(Nat::from(2_u8))));
        assert_moved_once(&ledger);
    }

    #[test]
    fn should_serve_others_while_a_reply_is_held() {
        let ledger = ledger();
        let arg = pull(&ledger);
        ledger.queue_fault(TRANSFER_FROM, 1, &Fault::delayed_before_transfer());
        let held = submit(&ledger, &arg);
        ticks(&ledger, 4);
        // The same transfer overtakes the held one, which then finds itself a duplicate.
        assert_eq!(send(&ledger, &arg), Ok(Ok(Nat::from(2_u8))));
        ledger.test_update::<u32>("test_release", ());
        ticks(&ledger, 10);
        assert_eq!(
            answered(&ledger, &held),
            Some(Err(TransferFromError::Duplicate {
                duplicate_of: Nat::from(2_u8)
            }))
        );
        assert_moved_once(&ledger);
    }

    #[test]
    fn should_hold_for_a_number_of_polls() {
        let ledger = ledger();
        let arg = pull(&ledger);
        let fault = Fault::afterwards(Answer::Honest).held(Hold::Polls(5));
        ledger.queue_fault(TRANSFER_FROM, 1, &fault);
        let id = submit(&ledger, &arg);
        ticks(&ledger, 5);
        assert_eq!(answered(&ledger, &id), None);
        ticks(&ledger, 20);
        assert_eq!(answered(&ledger, &id), Some(Ok(Nat::from(2_u8))));
    }

    #[test]
    fn should_hold_until_time_has_passed() {
        let ledger = ledger();
        let arg = pull(&ledger);
        let fault = Fault::afterwards(Answer::Honest).held(Hold::Nanos(60_000_000_000));
        ledger.queue_fault(TRANSFER_FROM, 1, &fault);
        let id = submit(&ledger, &arg);
        ticks(&ledger, 10);
        assert_eq!(answered(&ledger, &id), None);
        ledger.pic.advance_time(Duration::from_secs(61));
        ticks(&ledger, 10);
        assert_eq!(answered(&ledger, &id), Some(Ok(Nat::from(2_u8))));
    }

    #[test]
    fn should_lose_a_reply_after_holding_it() {
        let ledger = ledger();
        let arg = pull(&ledger);
        let fault = Fault::trap().held(Hold::UntilRelease);
        ledger.queue_fault(TRANSFER_FROM, 1, &fault);
        let id = submit(&ledger, &arg);
        ticks(&ledger, 4);
        ledger.test_update::<u32>("test_release", ());
        ticks(&ledger, 10);
        let reject = ledger
            .pic
            .ingress_status(id)
            .expect("an answer")
            .expect_err("a trap");
        assert_eq!(reject.reject_code, RejectCode::CanisterError);
        assert_eq!(ledger.fault_status(TRANSFER_FROM).held, 0);
        assert_nothing_moved(&ledger);
    }
}

mod lies {
    use super::*;

    #[test]
    fn should_say_ok_and_move_nothing() {
        let ledger = ledger();
        let arg = pull(&ledger);
        ledger.queue_fault(TRANSFER_FROM, 1, &Fault::lying_ok(999));
        assert_eq!(send(&ledger, &arg), Ok(Ok(Nat::from(999_u32))));
        ledger.queue_fault(TRANSFER_FROM, 1, &Fault::repeated_index());
        assert_eq!(send(&ledger, &arg), Ok(Ok(Nat::from(1_u8))));
        assert_nothing_moved(&ledger);
    }

    #[test]
    fn should_say_something_else_than_what_it_did() {
        let ledger = ledger();
        let arg = pull(&ledger);
        let error = TransferFromError::TemporarilyUnavailable;
        let fault = Fault::afterwards(Answer::TransferFromError(error.clone()));
        ledger.queue_fault(TRANSFER_FROM, 1, &fault);
        assert_eq!(send(&ledger, &arg), Ok(Err(error)));
        assert_moved_once(&ledger);
    }

    #[test]
    fn should_reply_garbage() {
        let ledger = ledger();
        let arg = pull(&ledger);
        ledger.queue_fault(TRANSFER_FROM, 1, &Fault::garbage());
        assert_eq!(send_raw(&ledger, &arg), b"not Candid");
        assert_nothing_moved(&ledger);
    }

    #[test]
    fn should_reply_two_megabytes_of_text() {
        let ledger = ledger();
        let arg = pull(&ledger);
        ledger.queue_fault(TRANSFER_FROM, 1, &Fault::huge_text());
        let reply = send_raw(&ledger, &arg);
        assert!(reply.len() > 2_000_000);
        let text: String = candid::decode_one(&reply).expect("a text");
        assert_eq!(text.len(), 2_000_000);
        let largest = Fault::instead(Answer::Text(test_ledger::faults::MAX_TEXT_BYTES));
        ledger.queue_fault(TRANSFER_FROM, 1, &largest);
        assert!(send_raw(&ledger, &arg).len() <= 2 * 1024 * 1024);
    }

    #[test]
    fn should_reply_a_number_of_ten_thousand_digits() {
        let ledger = ledger();
        let arg = pull(&ledger);
        ledger.queue_fault(TRANSFER_FROM, 1, &Fault::huge_nat());
        let index = send(&ledger, &arg).expect("a reply").expect("an index");
        assert_eq!(index.0.to_string().len(), 10_000);
        assert_nothing_moved(&ledger);
    }
}

mod queries {
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
}

mod queue {
    use super::*;

    #[test]
    fn should_play_faults_in_order_for_the_calls_asked_for() {
        let ledger = ledger();
        let arg = pull(&ledger);
        ledger.queue_fault(TRANSFER_FROM, 2, &Fault::lying_ok(7));
        ledger.queue_fault(TRANSFER_FROM, 1, &Fault::reject());
        let status = ledger.fault_status(TRANSFER_FROM);
        assert_eq!((status.queued, status.calls, status.faults_hit), (3, 0, 0));
        assert_eq!(send(&ledger, &arg), Ok(Ok(Nat::from(7_u8))));
        assert_eq!(send(&ledger, &arg), Ok(Ok(Nat::from(7_u8))));
        assert!(send(&ledger, &arg).is_err());
        assert_eq!(send(&ledger, &arg), Ok(Ok(Nat::from(2_u8))));
        let status = ledger.fault_status(TRANSFER_FROM);
        assert_eq!((status.queued, status.calls, status.faults_hit), (0, 4, 3));
    }

    #[test]
    fn should_spoil_only_the_method_named() {
        let ledger = ledger();
        ledger.queue_fault(TRANSFER_FROM, 5, &Fault::reject());
        let honest = ledger.transfer(payer(), transfer_arg(merchant(), 1));
        assert!(honest.is_ok());
        ledger.test_update::<()>("test_clear_faults", ());
        let arg = pull(&ledger);
        assert!(send(&ledger, &arg).expect("a reply").is_ok());
    }

    #[test]
    fn should_refuse_faults_that_cannot_be_played() {
        let ledger = ledger();
        let held = Fault::reject().held(Hold::UntilRelease);
        let honest = Fault::instead(Answer::Honest);
        let with_effect = Fault::lost_after_transfer();
        let wrong_type = Fault::transfer_error(TransferError::TooOld);
        let number = Fault::instead(Answer::Nat(Nat::from(1_u8)));
        let huge = Fault::instead(Answer::Text(u32::MAX));
        for (method, calls, fault, field) in [
            ("icrc1_nonsense", 1, Fault::reject(), "method"),
            (TRANSFER_FROM, 0, Fault::reject(), "calls"),
            ("icrc1_fee", 1, held, "hold"),
            ("icrc1_fee", 1, with_effect, "effect"),
            (TRANSFER_FROM, 1, honest, "Honest"),
            (TRANSFER_FROM, 1, wrong_type, "TransferError"),
            (TRANSFER_FROM, 1, number, "Nat"),
            ("icrc1_symbol", 1, Fault::lying_ok(1), "Index"),
            (TRANSFER_FROM, 1, huge, "limit"),
        ] {
            let error = ledger
                .try_queue_fault(method, calls, &fault)
                .expect_err("refused");
            assert!(error.contains(field), "{field}: {error}");
        }
        assert_eq!(ledger.fault_status(TRANSFER_FROM).queued, 0);
    }
}

mod fee_and_clock {
    use super::*;

    #[test]
    fn should_change_the_fee() {
        let ledger = ledger();
        let mut arg = pull(&ledger);
        arg.fee = Some(Nat::from(FEE));
        ledger.test_update::<()>("test_set_fee", (Nat::from(2 * FEE),));
        let expected_fee = Nat::from(2 * FEE);
        assert_eq!(
            send(&ledger, &arg),
            Ok(Err(TransferFromError::BadFee {
                expected_fee: expected_fee.clone()
            }))
        );
        assert_eq!(ledger.query::<Nat>("icrc1_fee", ()), expected_fee);
        arg.fee = Some(expected_fee);
        assert_eq!(send(&ledger, &arg), Ok(Ok(Nat::from(2_u8))));
    }

    #[test]
    fn should_run_ahead_and_behind() {
        let ledger = ledger();
        let arg = pull(&ledger);
        let hours = |n: i64| n * 3_600_000_000_000;
        ledger.test_update::<()>("test_set_time_skew", (hours(25),));
        assert_eq!(send(&ledger, &arg), Ok(Err(TransferFromError::TooOld)));
        ledger.test_update::<()>("test_set_time_skew", (-hours(1),));
        assert!(matches!(
            send(&ledger, &arg),
            Ok(Err(TransferFromError::CreatedInFuture { .. }))
        ));
        ledger.test_update::<()>("test_set_time_skew", (0_i64,));
        assert!(send(&ledger, &arg).expect("a reply").is_ok());
    }

    #[test]
    fn should_have_effects_and_answers_in_any_combination() {
        let ledger = ledger();
        let arg = pull(&ledger);
        let fault = Fault {
            effect: Effect::AfterHold,
            hold: Hold::Polls(2),
            answer: Answer::Reject("late and lost".to_string()),
        };
        ledger.queue_fault(TRANSFER_FROM, 1, &fault);
        let reject = send(&ledger, &arg).expect_err("a reject");
        assert_eq!(reject.reject_code, RejectCode::CanisterReject);
        assert_moved_once(&ledger);
    }
}

mod other_reject_classes {
    use super::*;

    fn code_of(ledger: &Pocket) -> RejectCode {
        let arg = pull(ledger);
        send(ledger, &arg).expect_err("a reject").reject_code
    }

    #[test]
    fn should_be_canister_error_when_stopped_or_uninstalled() {
        let ledger = ledger();
        ledger.pic.stop_canister(ledger.id, None).expect("stops");
        assert_eq!(code_of(&ledger), RejectCode::CanisterError);
        ledger.pic.start_canister(ledger.id, None).expect("starts");
        ledger
            .pic
            .uninstall_canister(ledger.id, None)
            .expect("uninstalls");
        assert_eq!(code_of(&ledger), RejectCode::CanisterError);
    }

    #[test]
    fn should_be_destination_invalid_when_deleted() {
        let ledger = ledger();
        ledger.pic.stop_canister(ledger.id, None).expect("stops");
        ledger
            .pic
            .delete_canister(ledger.id, None)
            .expect("deletes");
        assert_eq!(code_of(&ledger), RejectCode::DestinationInvalid);
    }

    #[test]
    fn should_be_sys_transient_when_frozen() {
        let ledger = ledger();
        let settings = pocket_ic::CanisterSettings {
            freezing_threshold: Some(Nat::from(u64::MAX)),
            ..pocket_ic::CanisterSettings::default()
        };
        ledger
            .pic
            .update_canister_settings(ledger.id, None, settings)
            .expect("freezes");
        assert_eq!(code_of(&ledger), RejectCode::SysTransient);
    }

    #[test]
    fn should_not_stop_while_a_reply_is_held() {
        let ledger = ledger();
        let arg = pull(&ledger);
        ledger.queue_fault(TRANSFER_FROM, 1, &Fault::delayed_after_transfer());
        let id = submit(&ledger, &arg);
        ticks(&ledger, 4);
        #[derive(CandidType)]
        struct CanisterId {
            canister_id: Principal,
        }
        let stop = candid::encode_one(CanisterId {
            canister_id: ledger.id,
        });
        let stop = ledger
            .pic
            .submit_call_with_effective_principal(
                Principal::management_canister(),
                pocket_ic::common::rest::RawEffectivePrincipal::CanisterId(
                    ledger.id.as_slice().to_vec(),
                ),
                Principal::anonymous(),
                "stop_canister",
                stop.expect("encodes"),
            )
            .expect("accepted");
        ticks(&ledger, 10);
        assert!(ledger.pic.ingress_status(stop.clone()).is_none());
        assert_eq!(answered(&ledger, &id), None);
        // A stopping canister takes no calls, so the release must come before: start it again.
        ledger.pic.start_canister(ledger.id, None).expect("starts");
        ledger.test_update::<u32>("test_release", ());
        ticks(&ledger, 10);
        assert_eq!(answered(&ledger, &id), Some(Ok(Nat::from(2_u8))));
    }
}
