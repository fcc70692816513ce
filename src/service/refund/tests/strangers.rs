//! Money that went to somebody else's account: the treasury does not answer for it.

use super::*;
use crate::{
    domain::config::Config,
    service::{
        recover::{
            self,
            resolve::{Outcome, ResolveError, resolve},
        },
        retention,
    },
    storage::config,
};

fn treasury() -> Account {
    Account::from(Principal::from_slice(&ScriptedRuntime::CANISTER))
}

/// A payment to `to` that settled while nobody waited, and that nobody fetches.
fn never_fetched(to: Account) -> ScriptedRuntime {
    let runtime = settled(to);
    later(&runtime, config::read().limits.retention);
    later(&runtime, Seconds(1));
    retention::sweep(&runtime);
    runtime
}

fn owed_refunds() -> u64 {
    liabilities::owed_by(&ledger(0).id, &treasury()).refunds
}

fn approve(runtime: &ScriptedRuntime) -> Result<Payment, RefundError> {
    owe(runtime, &storage::payments::by_nonce(&KEY).unwrap().id)
}

#[test]
fn a_merchant_with_an_own_account_and_a_payer_who_never_fetches_do_not_drain_the_treasury() {
    let runtime = never_fetched(merchant());
    assert_eq!(problem(), RefundProblem::NeedsController);
    assert_eq!(owed_refunds(), 0);
    assert_eq!(liabilities::refund(&KEY), None);
    // Nothing asks for it: not the timer, not an operator, not an upgrade, not the time.
    assert!(!storage::payments::has_work());
    runtime.caller.set(config::read().operators[0]);
    let id = storage::payments::by_nonce(&KEY).unwrap().id;
    let rechecked = run(recover::recheck(&runtime, &id)).unwrap();
    assert!(matches!(rechecked.state, State::Refunding { .. }));
    examples::reload();
    liabilities::rebuild();
    for _ in 0..10 {
        later(&runtime, Seconds::DAY);
        run(recover::tick(&runtime));
    }
    assert_eq!(runtime.made(), 0, "the ledger was never asked");
    assert_eq!(problem(), RefundProblem::NeedsController);
    assert_eq!(owed_refunds(), 0);
    assert_eq!(
        approve(&runtime),
        Err(RefundError::Unauthorized(Unauthorized))
    );
}

#[test]
fn a_controller_approves_and_the_refund_goes_out_once() {
    let runtime = never_fetched(merchant());
    let approved = approve(&runtime).unwrap();
    assert!(matches!(approved.state, State::Refunding { .. }));
    assert_eq!(problem(), RefundProblem::NotTried);
    assert_eq!(owed_refunds(), 1);
    assert_eq!(approve(&runtime), Err(RefundError::NotRefundable));
    assert_eq!(owed_refunds(), 1);
    answered(&runtime, Ok(Nat::from(9u8)));
    assert_eq!(refunded_in(), BlockIndex(9));
    assert_eq!(
        asked(&runtime, 0).from_subaccount,
        None,
        "out of the treasury"
    );
    assert_eq!(owed_refunds(), 0);
    assert_eq!(approve(&runtime), Err(RefundError::NotRefundable));
    later(&runtime, Seconds::DAY);
    run(step(&runtime));
    assert_eq!(made(&runtime), 1);
}

#[test]
fn a_merchant_who_paid_back_himself_is_believed_at_once_and_nothing_is_paid_twice() {
    let runtime = never_fetched(merchant());
    let id = storage::payments::by_nonce(&KEY).unwrap().id;
    let block = BlockIndex(40);
    let moved = Outcome::Moved { block };
    let of_another = BlockIndex(39);
    let another = Claimant::Withdrawal(NOW);
    storage::claims::take(&ledger(0).id, of_another, another, NOW);
    let elsewhere = Outcome::Moved { block: of_another };
    for (outcome, error) in [
        (Outcome::NotMoved, ResolveError::NotInDoubt),
        (elsewhere, ResolveError::OtherBlock),
    ] {
        assert_eq!(resolve(&runtime, &id, outcome), Err(error));
        assert_eq!(problem(), RefundProblem::NeedsController);
    }
    let made = resolve(&runtime, &id, moved).unwrap();
    assert_eq!(refunded_in(), block);
    assert_eq!(resolve(&runtime, &id, moved), Ok(made));
    let notes = storage::audit::admin_after(0, 1_000).into_iter();
    let notes = notes.filter(|entry| entry.action == "payment_resolve");
    assert_eq!(notes.count(), 1);
    assert_eq!(approve(&runtime), Err(RefundError::NotRefundable));
    assert_eq!((owed_refunds(), liabilities::refund(&KEY)), (0, None));
    examples::reload();
    liabilities::rebuild();
    assert_eq!((owed_refunds(), refunded_in()), (0, block));
    for _ in 0..3 {
        later(&runtime, Seconds::DAY);
        run(recover::tick(&runtime));
        run(step(&runtime));
    }
    assert_eq!(runtime.made(), 0, "the ledger was never asked");
}

#[test]
fn a_controller_may_refund_at_once_what_went_to_a_stranger() {
    let runtime = settled(merchant());
    assert!(approve(&runtime).is_ok());
    assert_eq!((problem(), owed_refunds()), (RefundProblem::NotTried, 1));
}

/// What was decided when the refund became due stays so, whatever account the host names later.
#[test]
fn the_host_answers_for_the_account_that_is_his_when_the_refund_becomes_due() {
    let runtime = settled(merchant());
    let of_host = |pay_to| {
        let config = Config {
            pay_to,
            ..config::read()
        };
        config::write(&config).unwrap();
    };
    of_host(merchant());
    later(&runtime, config::read().limits.retention);
    retention::sweep(&runtime);
    assert_eq!((problem(), owed_refunds()), (RefundProblem::NotTried, 1));
    of_host(payer());
    examples::reload();
    liabilities::rebuild();
    assert_eq!((problem(), owed_refunds()), (RefundProblem::NotTried, 1));
    answered(&runtime, Ok(Nat::from(9u8)));
    assert_eq!(refunded_in(), BlockIndex(9));
}

#[test]
fn a_subaccount_that_is_not_the_hosts_is_a_strangers() {
    let host = config::tests::config().pay_to;
    let runtime = never_fetched(Account {
        subaccount: Some([1; 32]),
        ..host
    });
    assert_eq!(problem(), RefundProblem::NeedsController);
    assert_eq!(runtime.made(), 0);
}

#[test]
fn what_went_to_the_canister_is_refunded_by_itself() {
    let runtime = never_fetched(Account {
        subaccount: Some([5; 32]),
        ..treasury()
    });
    assert_eq!(problem(), RefundProblem::NotTried);
    answered(&runtime, Ok(Nat::from(9u8)));
    assert_eq!(refunded_in(), BlockIndex(9));
}
