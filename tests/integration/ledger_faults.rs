//! Ledgers that refuse, fail, answer falsely or not at all: nothing is charged twice, nothing is lost.

use crate::support::{
    Setup,
    flow::{ARTICLE, Paying},
    interface::{Payment, PaymentStatus},
    ledger::TRANSFER_FROM,
    setup::{controller, merchant},
};
use candid::Nat;
use icrc_ledger_types::icrc2::transfer_from::TransferFromError;
use test_ledger::testing::{Fault, Hold};
use x402_icp::Code;

const PRICE: u128 = 30_000;
/// A little longer than the canister waits for a ledger.
const PATIENCE_SECONDS: u64 = 120;

/// Pays while the ledger misbehaves once.
fn pay_with<'a>(setup: &'a Setup, fault: &Fault) -> Paying<'a> {
    let payer = setup.payer(80);
    let sale = setup.sell("/article", PRICE);
    let paying = sale.pay(&payer);
    setup.ledger.fault(setup, 1, fault);
    paying
}

fn only_payment(setup: &Setup) -> Payment {
    let mut payments = setup.payments();
    assert_eq!(payments.len(), 1);
    payments.remove(0)
}

/// The ledger provably moved nothing. One authorization has one outcome, so a payer who signs a new one after a failure
/// is not charged for both; the new payment is accepted.
fn known_failure(code: Code, fault: Fault) {
    let setup = Setup::new();
    let payer = setup.payer(86);
    let sale = setup.sell("/article", PRICE);
    let first = payer.sign(&sale.offer(), setup.now());
    setup.ledger.fault(&setup, 1, &fault);
    sale.present(first.clone()).send().expect_failed(code);
    assert!(setup.ledger.pulled_by(&setup, setup.canister).is_empty());
    sale.present(first.clone()).send().expect_failed(code);
    sale.pay(&payer).send().expect_settled();
    sale.present(first).send().expect_failed(code);
    assert_eq!(setup.ledger.pulled_by(&setup, setup.canister).len(), 1);
}

#[test]
fn failed_then_paid_again_then_replayed_charges_once() {
    let balance = Nat::from(1_u8);
    known_failure(
        Code::InsufficientFunds,
        typed(TransferFromError::InsufficientFunds { balance }),
    );
}

/// The answer proves nothing: the payment is pending, and the same request finds out. There is one block in the end.
fn unknown(fault: Fault) {
    let setup = Setup::new();
    let paying = pay_with(&setup, &fault);
    let request = paying.request();
    let id = paying.signed.id;
    paying.send().expect_pending();
    assert!(matches!(
        setup.payment(id.0).unwrap().status,
        PaymentStatus::Unknown { .. }
    ));
    assert_eq!(setup.receipt(id.0), None);
    let again = setup.send(&request);
    assert_eq!((again.status, again.body.as_slice()), (200, ARTICLE));
    assert_eq!(setup.ledger.pulled_by(&setup, setup.canister).len(), 1);
    let status = only_payment(&setup).status;
    assert!(matches!(status, PaymentStatus::Delivered { .. }));
    assert!(status.is_paid());
    setup.check_conservation();
}

fn typed(error: TransferFromError) -> Fault {
    Fault::transfer_from_error(error)
}

#[test]
fn insufficient_allowance_is_a_known_failure() {
    let allowance = Nat::from(0_u8);
    known_failure(
        Code::InsufficientAllowance,
        typed(TransferFromError::InsufficientAllowance { allowance }),
    );
}

#[test]
fn bad_burn_is_a_known_failure() {
    let min_burn_amount = Nat::from(9_u8);
    known_failure(
        Code::LedgerUnavailable,
        typed(TransferFromError::BadBurn { min_burn_amount }),
    );
}

#[test]
fn too_old_is_a_known_failure() {
    known_failure(Code::LedgerUnavailable, typed(TransferFromError::TooOld));
}

#[test]
fn created_in_future_is_a_known_failure() {
    known_failure(
        Code::LedgerUnavailable,
        typed(TransferFromError::CreatedInFuture { ledger_time: 5 }),
    );
}

#[test]
fn temporarily_unavailable_is_a_known_failure() {
    known_failure(
        Code::LedgerUnavailable,
        typed(TransferFromError::TemporarilyUnavailable),
    );
}

#[test]
fn generic_error_with_a_long_message_is_a_known_failure() {
    let error = TransferFromError::GenericError {
        error_code: Nat::from(7_u8),
        message: "no ".repeat(3_000),
    };
    known_failure(Code::LedgerUnavailable, typed(error));
}

#[test]
fn bad_fee_changes_the_certified_offers() {
    let setup = Setup::new();
    let expected_fee = Nat::from(12_345_u32);
    let paying = pay_with(&setup, &typed(TransferFromError::BadFee { expected_fee }));
    paying.send().expect_failed(Code::OfferMismatch);
    let answer = setup.get("/article");
    assert_eq!(
        answer.payment_required().unwrap().accepts[0].extra.fee,
        "12345"
    );
}

#[test]
fn bad_fee_beyond_reason_is_not_believed() {
    let setup = Setup::new();
    let expected_fee = Nat::parse("9".repeat(60).as_bytes()).unwrap();
    let paying = pay_with(&setup, &typed(TransferFromError::BadFee { expected_fee }));
    let answer = paying.send().answer;
    assert_eq!(answer.status, 402);
    assert!(setup.ledger.pulled_by(&setup, setup.canister).is_empty());
    let fee = setup.get("/article").payment_required().unwrap().accepts[0]
        .extra
        .fee
        .clone();
    assert!(fee.len() < 40, "{fee}");
}

#[test]
fn explicit_reject_is_unknown() {
    unknown(Fault::reject());
}

#[test]
fn trap_is_unknown() {
    unknown(Fault::trap());
}

#[test]
fn reply_lost_after_the_transfer_is_settled_by_the_same_request() {
    unknown(Fault::lost_after_transfer());
}

#[test]
fn trap_after_the_transfer_is_settled_by_the_same_request() {
    unknown(Fault::trap_after_transfer());
}

#[test]
fn garbage_reply_is_unknown() {
    unknown(Fault::garbage());
}

#[test]
fn huge_text_reply_is_unknown() {
    unknown(Fault::huge_text());
}

#[test]
fn huge_block_index_is_unknown() {
    unknown(Fault::huge_nat());
}

#[test]
fn duplicate_of_our_own_transfer_is_success() {
    // The money moved and the reply was lost: the ledger answers the second call with Duplicate.
    let setup = Setup::new();
    let paying = pay_with(&setup, &Fault::lost_after_transfer());
    let request = paying.request();
    let signed = paying.send().expect_pending();
    let block = setup.ledger.pulled_by(&setup, setup.canister)[0].block;
    let again = setup.send(&request);
    assert_eq!(
        again.payment_response().unwrap().transaction,
        block.to_string()
    );
    assert_eq!(
        setup.receipt(signed.id.0).unwrap().block_index,
        Nat::from(block)
    );
    setup.check_conservation();
}

#[test]
fn several_lost_replies_in_a_row_still_make_one_block() {
    let setup = Setup::new();
    let paying = pay_with(&setup, &Fault::lost_after_transfer());
    let request = paying.request();
    setup.ledger.fault(&setup, 2, &Fault::lost_after_transfer());
    let signed = paying.send().expect_pending();
    for _ in 0..2 {
        let answer = setup.send(&request);
        let response = answer.payment_response().unwrap();
        assert_eq!(
            response.error_reason.as_deref(),
            Some(Code::SettlementPending.as_str())
        );
        assert_eq!(response.transaction, signed.id.to_string());
        assert_eq!(
            answer.payment_required(),
            None,
            "a fresh challenge would be paid twice"
        );
    }
    // Later tries have to keep a distance.
    setup.advance(6);
    assert_eq!(setup.send(&request).status, 200);
    assert_eq!(setup.ledger.pulled_by(&setup, setup.canister).len(), 1);
    setup.check_conservation();
}

#[test]
fn frozen_ledger_is_a_known_failure() {
    // SYS_TRANSIENT: the call was never delivered.
    let setup = Setup::new();
    let payer = setup.payer(81);
    let sale = setup.sell("/article", PRICE);
    let paying = sale.pay(&payer);
    let request = paying.request();
    let freeze = |seconds: u128| {
        setup
            .pic
            .update_canister_settings(
                setup.ledger.0,
                Some(controller()),
                pocket_ic::CanisterSettings {
                    freezing_threshold: Some(Nat::from(seconds)),
                    ..Default::default()
                },
            )
            .expect("controllers change settings");
    };
    freeze(1 << 50);
    let answer = paying.send().answer;
    let response = answer.payment_response().expect("an outcome");
    assert_eq!(
        response.error_reason.as_deref(),
        Some(Code::LedgerUnavailable.as_str())
    );
    assert_eq!(
        (response.transaction.as_str(), answer.payment_required()),
        ("", None)
    );
    setup
        .pic
        .add_cycles(setup.ledger.0, 10_000_000_000_000_000_000);
    let again = setup.send(&request);
    assert_eq!(again.payment_response(), Some(response));
    sale.pay(&payer).send().expect_settled();
}

#[test]
fn ledger_that_is_gone_is_a_known_failure() {
    // DESTINATION_INVALID: there is no canister that could move money.
    let setup = Setup::new();
    let payer = setup.payer(82);
    let sale = setup.sell("/article", PRICE);
    let paying = sale.pay(&payer);
    let (pic, ledger) = (&setup.pic, setup.ledger.0);
    pic.stop_canister(ledger, Some(controller())).unwrap();
    pic.delete_canister(ledger, Some(controller())).unwrap();
    let answer = paying.send().answer;
    let response = answer.payment_response().expect("an outcome");
    assert_eq!(
        response.error_reason.as_deref(),
        Some(Code::LedgerUnavailable.as_str())
    );
    assert_eq!(answer.payment_required(), None);
}

#[test]
fn stopped_ledger_is_unknown_until_it_runs_again() {
    // CANISTER_ERROR proves nothing by itself: a ledger can act and then trap.
    let setup = Setup::new();
    let payer = setup.payer(83);
    let sale = setup.sell("/article", PRICE);
    let paying = sale.pay(&payer);
    let request = paying.request();
    setup
        .pic
        .stop_canister(setup.ledger.0, Some(controller()))
        .unwrap();
    let answer = paying.send().answer;
    let response = answer.payment_response().expect("an outcome");
    assert_eq!(
        response.error_reason.as_deref(),
        Some(Code::SettlementPending.as_str())
    );
    setup
        .pic
        .start_canister(setup.ledger.0, Some(controller()))
        .unwrap();
    assert_eq!(setup.send(&request).status, 200);
    setup.check_conservation();
}

/// The ledger holds the reply back until the canister no longer waits: SYS_UNKNOWN.
fn silent(fault: Fault) {
    let setup = Setup::new();
    let paying = pay_with(&setup, &fault.held(Hold::UntilRelease));
    let request = paying.request();
    let call = setup.under_way(&request);
    setup.advance(PATIENCE_SECONDS);
    let answer = setup.collect(call);
    let response = answer.payment_response().expect("an outcome");
    assert_eq!(
        response.error_reason.as_deref(),
        Some(Code::SettlementPending.as_str())
    );
    assert_eq!(response.transaction, paying.signed.id.to_string());
    assert!(matches!(
        only_payment(&setup).status,
        PaymentStatus::Unknown { .. }
    ));
    setup.ledger.release(&setup);
    // Whatever the late reply was, after the same request canister and ledger agree.
    let again = setup.send(&request);
    assert_eq!(again.status, 200, "{:?}", again.payment_response());
    assert_eq!(setup.ledger.pulled_by(&setup, setup.canister).len(), 1);
    setup.check_conservation();
}

#[test]
fn silence_after_the_transfer_is_unknown_then_settled() {
    silent(Fault::delayed_after_transfer());
}

#[test]
fn silence_before_a_late_transfer_is_unknown_then_settled_once() {
    silent(Fault::delayed_before_transfer());
}

#[test]
fn silence_without_any_transfer_is_unknown_then_settled() {
    silent(Fault::reject());
}

#[test]
fn upgrade_stays_possible_while_a_ledger_keeps_silent() {
    let setup = Setup::new();
    let paying = pay_with(&setup, &Fault::delayed_after_transfer());
    let request = paying.request();
    let call = setup.under_way(&request);
    setup.advance(PATIENCE_SECONDS);
    let _ = setup.pic.await_call(call);
    setup
        .pic
        .stop_canister(setup.canister, Some(controller()))
        .expect("nothing holds it");
    setup.upgrade();
    setup
        .pic
        .start_canister(setup.canister, Some(controller()))
        .unwrap();
    setup.ledger.release(&setup);
    assert_eq!(setup.send(&request).status, 200);
    assert_eq!(setup.ledger.pulled_by(&setup, setup.canister).len(), 1);
    setup.check_conservation();
}

#[test]
fn lying_ledger_is_booked_as_it_claims_and_shows_in_an_audit() {
    // A registered ledger can answer Ok without a transfer, and its answer does not show that. The settled payment then
    // names a block that does not exist, which an auditor detects.
    let setup = Setup::new();
    let paying = pay_with(&setup, &Fault::lying_ok(999));
    let id = paying.signed.id;
    let answer = paying.send().answer;
    assert_eq!(answer.status, 200);
    assert_eq!(answer.payment_response().unwrap().transaction, "999");
    assert_eq!(setup.receipt(id.0).unwrap().block_index, Nat::from(999_u32));
    assert!(setup.ledger.pulled_by(&setup, setup.canister).is_empty());
    assert_eq!(setup.ledger.balance(&setup, merchant()), 0);
}

#[test]
fn index_that_repeats_is_not_a_second_payment() {
    let setup = Setup::new();
    let payer = setup.payer(84);
    let sale = setup.sell("/article", PRICE);
    let first = sale.pay(&payer).send().expect_settled();
    let paying = sale.pay(&payer);
    let id = paying.signed.id;
    setup.ledger.fault(&setup, 1, &Fault::repeated_index());
    let answer = paying.send().answer;
    assert_ne!(
        answer.status, 200,
        "block {} is the first payment's",
        first.block
    );
    assert_eq!(setup.receipt(id.0), None);
}

#[test]
fn ledgers_method_is_called_once_on_the_happy_path() {
    let setup = Setup::new();
    let payer = setup.payer(85);
    let sale = setup.sell("/article", PRICE);
    let calls = || {
        let status: Vec<test_ledger::testing::FaultStatus> =
            setup.query_at(setup.ledger.0, controller(), "test_fault_status", ());
        status
            .iter()
            .map(|method| (method.method.clone(), method.calls))
            .filter(|(_, calls)| *calls > 0)
            .collect::<Vec<_>>()
    };
    let count = |calls: &[(String, u64)]| {
        calls
            .iter()
            .find(|(method, _)| method == TRANSFER_FROM)
            .map_or(0, |(_, calls)| *calls)
    };
    let before = count(&calls());
    sale.pay(&payer).send().expect_settled();
    assert_eq!(count(&calls()), before + 1);
}

#[test]
fn unknown_payment_is_never_transferred_after_its_expiry() {
    let setup = Setup::new();
    let payer = setup.payer(87);
    let sale = setup.sell("/article", PRICE);
    let signed = payer.sign(&sale.offer(), setup.now());
    setup.ledger.fault(&setup, 1, &Fault::reject());
    sale.present(signed.clone()).send().expect_pending();
    setup.advance(3_600);
    sale.present(signed).send().expect_pending();
    assert!(setup.ledger.pulled_by(&setup, setup.canister).is_empty());
}
