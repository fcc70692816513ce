//! Attacks by a ledger, or on one: every false answer, and every way not to answer.

use crate::support::{Setup, ledger::TRANSFER_FROM, setup::controller};
use candid::{CandidType, encode_one};
use icrc_ledger_types::icrc1::transfer::TransferError;
use icrc_ledger_types::icrc2::{approve::ApproveError, transfer_from::TransferFromError};
use serde_bytes::ByteBuf;
use test_ledger::testing::{Answer as LedgerAnswer, Fault};
use x402_icp::Code;

const PRICE: u128 = 30_000;

/// A reply that is valid Candid, but not the answer to a transfer.
fn bytes<T: CandidType>(value: &T) -> Fault {
    let bytes = encode_one(value).expect("can be encoded");
    Fault::instead(LedgerAnswer::Bytes(ByteBuf::from(bytes)))
}

#[test]
fn lying_replies_of_every_shape_prove_nothing() {
    #[derive(CandidType)]
    struct Nothing {}
    let setup = Setup::new();
    let payer = setup.payer(30);
    let sale = setup.sell("/article", PRICE);
    let empty = Fault::instead(LedgerAnswer::Bytes(ByteBuf::new()));
    let truncated = {
        let good: Result<candid::Nat, ()> = Ok(candid::Nat::from(7_u8));
        let mut bytes = encode_one(good).expect("can be encoded");
        bytes.pop();
        Fault::instead(LedgerAnswer::Bytes(ByteBuf::from(bytes)))
    };
    let lies = [
        ("garbage", Fault::garbage()),
        ("nothing at all", empty),
        ("a truncated Ok", truncated),
        ("two million letters", Fault::huge_text()),
        ("a number of 10,000 digits", Fault::huge_nat()),
        ("a bare number", bytes(&7_u64)),
        ("an empty record", bytes(&Nothing {})),
        ("true", bytes(&true)),
        ("an index that is text", bytes(&Ok::<_, ()>("7"))),
        (
            "a negative index",
            bytes(&Ok::<_, ()>(candid::Int::from(-7))),
        ),
        (
            "an error of another method",
            bytes(&Err::<candid::Nat, _>(ApproveError::AllowanceChanged {
                current_allowance: candid::Nat::from(1_u8),
            })),
        ),
        (
            "another error of another method",
            bytes(&Err::<candid::Nat, _>(TransferError::TooOld)),
        ),
    ];
    for (name, lie) in lies {
        let before = setup.ledger.pulled_by(&setup, setup.canister).len();
        setup.ledger.fault(&setup, 1, &lie);
        let answer = sale.pay(&payer).send();
        assert_eq!(answer.answer.status, 402, "{name}");
        let outcome = answer.answer.payment_response().expect("an outcome");
        // `TooOld` is an error of both methods, and proves the outcome of a first try.
        let reason = outcome.error_reason.expect("a reason");
        let expected = match name {
            "another error of another method" => Code::LedgerUnavailable,
            _ => Code::SettlementPending,
        };
        assert_eq!(reason, expected.as_str(), "{name}");
        assert_eq!(
            setup.ledger.pulled_by(&setup, setup.canister).len(),
            before,
            "{name}"
        );
        if expected == Code::SettlementPending {
            // The ledger is honest again: the same payment, once.
            sale.present(answer.signed).send().expect_settled();
            assert_eq!(
                setup.ledger.pulled_by(&setup, setup.canister).len(),
                before + 1,
                "{name}"
            );
        }
    }
    setup.check_conservation();
}

#[test]
fn ledger_stopped_between_debit_and_reply_is_settled_when_it_runs_again() {
    let setup = Setup::new();
    let payer = setup.payer(31);
    let sale = setup.sell("/article", PRICE);
    let paying = sale.pay(&payer);
    let call = setup.debited(&paying);
    // It cannot stop while it owes a reply: it is stopping, and accepts no messages.
    let stop = setup
        .submit_management("stop_canister", setup.ledger.0)
        .expect("the controller may stop it");
    setup.advance(120);
    let answer = setup.collect(call);
    let outcome = answer.payment_response().expect("an outcome");
    assert_eq!(
        outcome.error_reason.as_deref(),
        Some(Code::SettlementPending.as_str())
    );
    // A repetition meanwhile proves nothing and moves nothing.
    let again = sale.present(paying.signed.clone()).send();
    assert_eq!(again.answer.status, 402);
    setup
        .pic
        .start_canister(setup.ledger.0, Some(controller()))
        .expect("it can be started again");
    let _ = setup.pic.await_call(stop);
    setup.ledger.release(&setup);
    setup.advance(10);
    // The canister may be calling by itself at the same time.
    for _ in 0..14 {
        setup.pic.tick();
    }
    sale.present(paying.signed).send().expect_settled();
    assert_eq!(setup.ledger.pulled_by(&setup, setup.canister).len(), 1);
}

#[test]
fn ledger_whose_code_is_replaced_between_debit_and_reply_is_never_charged_again() {
    // Uninstalling answers the open call with a reject, which proves nothing.
    let setup = Setup::new();
    let payer = setup.payer(32);
    let sale = setup.sell("/article", PRICE);
    let paying = sale.pay(&payer);
    let call = setup.debited(&paying);
    setup
        .pic
        .uninstall_canister(setup.ledger.0, Some(controller()))
        .expect("the controller may uninstall it");
    let answer = setup.collect(call);
    let outcome = answer.payment_response().expect("an outcome");
    assert_eq!(
        outcome.error_reason.as_deref(),
        Some(Code::SettlementPending.as_str())
    );
    // The empty canister rejects everything: the payment has not failed.
    for _ in 0..3 {
        let again = sale.present(paying.signed.clone()).send();
        assert_eq!(again.answer.status, 402);
        let outcome = again.answer.payment_response().expect("an outcome");
        assert_eq!(
            outcome.error_reason.as_deref(),
            Some(Code::SettlementPending.as_str())
        );
    }
    assert!(setup.receipt(paying.signed.id.0).is_none());
}

/// Attack 40: two concurrent payments, both answered with the block of the first.
#[test]
fn attack_40_two_payments_answered_with_one_block_are_not_both_booked() {
    let setup = Setup::new();
    let sale = setup.sell("/article", PRICE);
    let payers = [setup.payer(33), setup.payer(34)];
    let block = setup.ledger.blocks(&setup).len() as u64;
    let index = LedgerAnswer::Index(candid::Nat::from(block));
    let lie = Fault::afterwards(index);
    setup.ledger.fault_of(&setup, TRANSFER_FROM, 2, &lie);
    let begun = payers.each_ref().map(|payer| {
        let paying = sale.pay(payer);
        let call = setup.submit(&paying.request());
        (paying.signed, call)
    });
    let mut pending = vec![];
    for (signed, call) in begun {
        let answer = setup.collect(call);
        let outcome = answer.payment_response().expect("an outcome");
        match outcome.success {
            true => assert_eq!(outcome.transaction, block.to_string()),
            false => {
                let code = Code::SettlementPending.as_str();
                assert_eq!(outcome.error_reason.as_deref(), Some(code));
                pending.push(signed);
            }
        }
    }
    assert_eq!(pending.len(), 1, "one of them is settled");
    let pulled = || setup.ledger.pulled_by(&setup, setup.canister).len();
    assert_eq!(pulled(), 2);
    // The ledger answers falsely once more, and then truthfully.
    let signed = pending.remove(0);
    setup.ledger.fault(&setup, 1, &duplicate_of(block));
    let signed = sale.present(signed).send().expect_pending();
    let settled = sale.present(signed).send().expect_settled();
    assert_ne!(settled.block, u128::from(block));
    assert_eq!(pulled(), 2);
    setup.check_conservation();
}

fn duplicate_of(block: u64) -> Fault {
    Fault::transfer_from_error(TransferFromError::Duplicate {
        duplicate_of: candid::Nat::from(block),
    })
}

/// Attack 40: a first try is answered with the block of another payer's payment.
#[test]
fn attack_40_the_block_of_another_payment_is_not_believed() {
    let setup = Setup::new();
    let sale = setup.sell("/article", PRICE);
    let paid = sale.pay(&setup.payer(35)).send().expect_settled();
    let block = u64::try_from(paid.block).expect("a small number");
    setup.ledger.fault(&setup, 1, &duplicate_of(block));
    let signed = sale.pay(&setup.payer(36)).send().expect_pending();
    assert_eq!(setup.ledger.pulled_by(&setup, setup.canister).len(), 1);
    let settled = sale.present(signed).send().expect_settled();
    assert_ne!(settled.block, paid.block);
    setup.check_conservation();
}
