//! Refunds out of an account that holds other payers' money, too.

use super::*;
use crate::domain::{ledger::Ledger, payment::FailureKind};

/// The terms of the payment [`KEY`] that is to be refunded.
const AMOUNT: u128 = 10_000;
const OTHER: ClaimKey = ClaimKey([8; 16]);

fn own() -> Account {
    Account {
        owner: Principal::from_slice(&ScriptedRuntime::CANISTER),
        subaccount: Some([5; 32]),
    }
}

fn happens_to(key: &ClaimKey, event: Event) {
    storage::payments::record(key, Change::Event(event), NOW).unwrap();
}

/// Another payment of this amount to the same account, for which the ledger has been called.
fn open(key: ClaimKey, amount: u128) {
    open_to(own(), key, amount);
}

fn open_to(to: Account, key: ClaimKey, amount: u128) {
    let payment = Payment {
        to,
        amount: Amount(amount),
        ..examples::payment(key.0[0].into(), 1)
    };
    storage::payments::record(&key, examples::begun(payment), NOW).unwrap();
}

fn settled(amount: u128) {
    open(OTHER, amount);
    happens_to(&OTHER, examples::moved(4));
}

fn due(amount: u128) {
    settled(amount);
    happens_to(&OTHER, not_fetched());
}

fn not_fetched() -> Event {
    Event::RefundDue {
        cause: RefundCause::NotFetched,
        approved: true,
    }
}

fn has(runtime: &ScriptedRuntime, balance: u128) {
    runtime.will_reply(Nat::from(balance));
}

fn pays(runtime: &ScriptedRuntime) {
    runtime.will_reply(Reply::Ok(Nat::from(9u8)));
}

/// The merchant has that money, and the refund takes it out of the canister's default account.
#[test]
fn should_not_be_held_up_by_one_that_is_larger_than_the_account() {
    let runtime = owing(Principal::from_slice(&ScriptedRuntime::CANISTER).into());
    open_to(merchant(), OTHER, 1_000_000);
    happens_to(&OTHER, examples::moved(4));
    happens_to(&OTHER, not_fetched());
    has(&runtime, AMOUNT + 10);
    pays(&runtime);
    has(&runtime, 0);
    run(step(&runtime));
    assert_eq!(refunded_in(), BlockIndex(9));
    let other = storage::payments::by_key(&OTHER).unwrap().state;
    let State::Refunding { problem, .. } = other else {
        panic!("the refund waits for money");
    };
    assert_eq!(problem, RefundProblem::InsufficientFunds);
}

#[test]
fn should_never_take_what_is_held() {
    let runtime = owing(own());
    settled(5_000);
    for balance in [AMOUNT + 10, AMOUNT + 10 + 4_999] {
        has(&runtime, balance);
        run(super::super::step(&runtime, &KEY));
        assert_eq!(problem(), RefundProblem::InsufficientFunds);
    }
    assert_eq!(made(&runtime), 0);
    has(&runtime, AMOUNT + 10 + 5_000);
    pays(&runtime);
    run(super::super::step(&runtime, &KEY));
    assert_eq!(refunded_in(), BlockIndex(9));
}

/// Many small refunds would spend on fees what was paid in for a large one, which could not be made any more.
#[test]
fn attack_fees_of_small_refunds_take_nothing_that_is_to_be_refunded_to_others() {
    let runtime = owing(own());
    due(1_000_000);
    has(&runtime, AMOUNT + 1_000_000 + 9);
    run(super::super::step(&runtime, &KEY));
    assert_eq!(problem(), RefundProblem::InsufficientFunds);
    has(&runtime, AMOUNT + 1_000_000 + 9);
    run(super::super::step(&runtime, &OTHER));
    assert_eq!(made(&runtime), 0);
    // One fee more is enough for one of them, whichever comes first.
    has(&runtime, AMOUNT + 1_000_000 + 10);
    pays(&runtime);
    run(super::super::step(&runtime, &KEY));
    assert_eq!(refunded_in(), BlockIndex(9));
}

#[test]
fn should_never_take_what_another_in_doubt_may_take() {
    let runtime = owing(own());
    due(5_000);
    has(&runtime, 1_000_000);
    runtime.will(CallOutcome::Rejected {
        code: 4,
        message: "lost".into(),
    });
    run(super::super::step(&runtime, &OTHER));
    // A refund in doubt keeps the fee of its first try.
    let fee = Amount(20);
    storage::ledgers::put(&Ledger { fee, ..ledger(0) }).unwrap();
    has(&runtime, AMOUNT + 20 + 5_010 - 1);
    run(super::super::step(&runtime, &KEY));
    assert_eq!(problem(), RefundProblem::InsufficientFunds);
    assert_eq!(made(&runtime), 1);
    has(&runtime, AMOUNT + 20 + 5_010);
    pays(&runtime);
    run(super::super::step(&runtime, &KEY));
    assert_eq!(refunded_in(), BlockIndex(9));
}

#[test]
fn should_not_wait_for_a_stream_of_unfunded_payments() {
    let runtime = owing(own());
    open(OTHER, 1_000_000);
    runtime.hold.set(true);
    {
        let mut asking = pin!(step(&runtime));
        assert!(poll(asking.as_mut()).is_pending());
        // The ledger answers in the order of the calls.
        let failed = crate::domain::payment::Failure {
            kind: FailureKind::InsufficientFunds,
            message: String::new(),
        };
        happens_to(&OTHER, Event::NotMoved(failed));
        for n in 20..40 {
            open(ClaimKey([n; 16]), 1_000_000);
        }
        has(&runtime, AMOUNT + 10);
        pays(&runtime);
        assert!(poll(asking.as_mut()).is_ready());
    }
    assert_eq!(refunded_in(), BlockIndex(9));
}

/// A balance that was queried before money left must not be compared with what is owed afterwards.
#[test]
fn should_ask_for_the_balance_again_when_money_left_meanwhile() {
    let runtime = owing(own());
    due(5_000);
    settle_and_hold();
    runtime.hold.set(true);
    let mut asking = pin!(super::super::step(&runtime, &KEY));
    assert!(poll(asking.as_mut()).is_pending());
    let block = BlockIndex(8);
    happens_to(
        &OTHER,
        Event::RefundMoved {
            tx: TxRef::Block(block),
        },
    );
    has(&runtime, AMOUNT + 10 + 5_010);
    has(&runtime, AMOUNT + 10);
    assert!(poll(asking.as_mut()).is_ready());
    assert_eq!(problem(), RefundProblem::InsufficientFunds);
    assert_eq!((runtime.made(), made(&runtime)), (2, 0));
}

/// The amount that the account holds for another payer: 5,000.
fn settle_and_hold() {
    let third = ClaimKey([9; 16]);
    open(third, 5_000);
    happens_to(&third, examples::moved(5));
}
