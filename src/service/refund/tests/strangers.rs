//! Money that went to somebody else's account: the treasury does not refund it without a controller.

use super::*;
use crate::{
    domain::{config::Config, payment::Doubt},
    service::{
        payments::{self, Page},
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

/// A payment to `to` that settled while no request waited, and that is never fetched.
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
    owe(runtime, &storage::payments::by_key(&KEY).unwrap().id)
}

#[test]
fn a_merchant_with_an_own_account_and_a_payer_who_never_fetches_do_not_drain_the_treasury() {
    let runtime = never_fetched(merchant());
    assert_eq!(problem(), RefundProblem::NeedsController);
    assert_eq!(owed_refunds(), 0);
    assert_eq!(liabilities::refund(&KEY), None);
    // Nothing sends it: not the timer, not an operator, not an upgrade, not the time.
    assert!(!storage::payments::has_work());
    runtime.caller.set(config::read().operators[0]);
    let id = storage::payments::by_key(&KEY).unwrap().id;
    let rechecked = run(recover::recheck(&runtime, &id)).unwrap();
    assert!(matches!(rechecked.state, State::Refunding { .. }));
    examples::reload();
    crate::storage::liabilities::tests::reload();
    for _ in 0..10 {
        later(&runtime, Seconds::DAY);
        run(recover::tick(&runtime));
    }
    assert_eq!(runtime.made(), 0, "the ledger was never called");
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
    let id = storage::payments::by_key(&KEY).unwrap().id;
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
    crate::storage::liabilities::tests::reload();
    assert_eq!((owed_refunds(), refunded_in()), (0, block));
    for _ in 0..3 {
        later(&runtime, Seconds::DAY);
        run(recover::tick(&runtime));
        run(step(&runtime));
    }
    assert_eq!(runtime.made(), 0, "the ledger was never called");
}

#[test]
fn a_controller_may_refund_at_once_what_went_to_a_stranger() {
    let runtime = settled(merchant());
    assert!(approve(&runtime).is_ok());
    assert_eq!((problem(), owed_refunds()), (RefundProblem::NotTried, 1));
}

/// The account that refunds is decided when the refund becomes due, whatever account the settings name later.
#[test]
fn the_account_that_counts_is_that_of_the_settings_when_the_refund_becomes_due() {
    let runtime = settled(merchant());
    let set = |pay_to| {
        let config = Config {
            pay_to,
            ..config::read()
        };
        config::write(&config).unwrap();
    };
    set(merchant());
    later(&runtime, config::read().limits.retention);
    retention::sweep(&runtime);
    assert_eq!((problem(), owed_refunds()), (RefundProblem::NotTried, 1));
    set(payer());
    examples::reload();
    crate::storage::liabilities::tests::reload();
    assert_eq!((problem(), owed_refunds()), (RefundProblem::NotTried, 1));
    answered(&runtime, Ok(Nat::from(9u8)));
    assert_eq!(refunded_in(), BlockIndex(9));
}

#[test]
fn a_subaccount_that_is_not_pay_to_is_a_strangers() {
    let pay_to = config::tests::config().pay_to;
    let runtime = never_fetched(Account {
        subaccount: Some([1; 32]),
        ..pay_to
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

fn left(runtime: &ScriptedRuntime) -> Result<Payment, RefundError> {
    leave_to_merchant(runtime, &storage::payments::by_key(&KEY).unwrap().id)
}

/// The number of refunds that wait, and their sum, according to the totals and to the list.
fn waiting(runtime: &ScriptedRuntime) -> (u64, Amount) {
    let owed = liabilities::owed_by(&ledger(0).id, &treasury());
    let listed = payments::waiting(runtime, Page::default()).unwrap();
    let amounts = listed.iter().map(|(_, payment)| payment.amount.0);
    let totals = (owed.waiting, owed.waiting_amounts.amount());
    assert_eq!(totals, (listed.len() as u64, Amount(amounts.sum())));
    totals
}

fn upgraded() {
    examples::reload();
    crate::storage::liabilities::tests::reload();
}

#[test]
fn what_waits_for_a_controller_is_listed_and_counted_and_not_owed() {
    let runtime = never_fetched(merchant());
    for _ in 0..2 {
        assert_eq!(waiting(&runtime), (1, Amount(10_000)));
        assert_eq!(owed_refunds(), 0);
        upgraded();
    }
    approve(&runtime).unwrap();
    for _ in 0..2 {
        assert_eq!((waiting(&runtime), owed_refunds()), ((0, Amount(0)), 1));
        upgraded();
    }
    runtime.caller.set(payer().owner);
    let unauthorized = payments::waiting(&runtime, Page::default());
    assert!(unauthorized.is_err());
}

#[test]
fn what_waits_is_listed_page_by_page_in_the_order_of_settlement() {
    let runtime = settled(merchant());
    let due = |approved| Event::RefundDue {
        cause: RefundCause::NotFetched,
        approved,
    };
    happens(due(false), NOW);
    for n in 2..=6u8 {
        let key = ClaimKey([100 + n; 16]);
        let change = |change| storage::payments::record(&key, change, NOW).unwrap();
        change(examples::begun(examples::payment(n.into(), n)));
        change(Change::Event(examples::moved(100 + u64::from(n))));
        // The fourth is owed, the fifth was delivered.
        match n {
            5 => change(Change::Event(Event::Delivered)),
            n => change(Change::Event(due(n == 4))),
        };
    }
    for _ in 0..2 {
        let page = |after, limit| -> Vec<u64> {
            let page = payments::waiting(&runtime, Page { after, limit }).unwrap();
            page.into_iter().map(|(n, _)| n).collect()
        };
        assert_eq!(page(None, None), [1, 2, 3, 6]);
        assert_eq!(page(None, Some(2)), [1, 2]);
        assert_eq!(page(Some(2), Some(2)), [3, 6]);
        assert_eq!(page(Some(6), Some(2)), [0; 0]);
        assert_eq!(page(Some(u64::MAX), None), [0; 0]);
        upgraded();
    }
    assert!(
        payments::waiting(
            &runtime,
            Page {
                after: None,
                limit: Some(101)
            }
        )
        .is_err()
    );
}

#[test]
fn a_refund_that_is_left_to_the_merchant_waits_for_his_block_and_the_canister_pays_nothing() {
    for begin in [settled, never_fetched] {
        // Each thread has its own tables.
        std::thread::spawn(move || left_to_the_merchant(&begin(merchant())))
            .join()
            .unwrap();
    }
}

fn left_to_the_merchant(runtime: &ScriptedRuntime) {
    let id = storage::payments::by_key(&KEY).unwrap().id;
    let first = left(runtime).unwrap();
    assert_eq!(problem(), RefundProblem::MerchantPays);
    assert_eq!(left(runtime), Ok(first), "repeated");
    let notes = storage::audit::admin_after(0, 1_000).into_iter();
    let notes = notes.filter(|entry| entry.action == "refund_by_merchant");
    assert_eq!(notes.count(), 1);
    for _ in 0..10 {
        later(runtime, Seconds::DAY);
        retention::sweep(runtime);
        run(recover::tick(runtime));
        run(step(runtime));
        assert_eq!(problem(), RefundProblem::MerchantPays);
        assert_eq!((waiting(runtime), owed_refunds()), ((1, Amount(10_000)), 0));
        upgraded();
    }
    let not_moved = resolve(runtime, &id, Outcome::NotMoved);
    assert_eq!(not_moved, Err(ResolveError::NotInDoubt));
    let block = BlockIndex(40);
    resolve(runtime, &id, Outcome::Moved { block }).unwrap();
    assert_eq!(refunded_in(), block);
    assert_eq!(waiting(runtime), (0, Amount(0)));
    assert_eq!(left(runtime), Err(RefundError::NotRefundable));
    assert_eq!(approve(runtime), Err(RefundError::NotRefundable));
    assert_eq!(runtime.made(), 0, "the ledger was never called");
}

/// A controller copies the block of the payment from its status instead of the refund's.
#[test]
fn attack_40_the_block_of_the_payment_is_not_that_of_its_refund() {
    for waits in [never_fetched, left_to_him, settled_by_a_controller] {
        // Each thread has its own tables.
        let refused = move || {
            let runtime = waits(merchant());
            let id = storage::payments::by_key(&KEY).unwrap().id;
            let before = problem();
            assert!(before.waits());
            let block = BlockIndex(3);
            for _ in 0..2 {
                let refused = resolve(&runtime, &id, Outcome::Moved { block });
                assert_eq!(refused, Err(ResolveError::OtherBlock));
                assert_eq!(problem(), before);
                upgraded();
            }
            let block = BlockIndex(4);
            assert!(resolve(&runtime, &id, Outcome::Moved { block }).is_ok());
            assert_eq!(refunded_in(), block);
        };
        std::thread::spawn(refused).join().unwrap();
    }
}

fn left_to_him(to: Account) -> ScriptedRuntime {
    let runtime = settled(to);
    left(&runtime).unwrap();
    runtime
}

/// A payment that a controller settled, which claims no block.
fn settled_by_a_controller(to: Account) -> ScriptedRuntime {
    examples::set_up();
    let runtime = ScriptedRuntime::new(NOW);
    begins(to);
    happens(Event::InDoubt(Doubt::Reject), NOW);
    let tx = TxRef::Block(BlockIndex(3));
    happens(Event::ResolvedMoved { tx }, NOW);
    left(&runtime).unwrap();
    runtime
}

#[test]
fn the_canister_pays_after_all_when_the_merchant_does_not() {
    let runtime = settled(merchant());
    left(&runtime).unwrap();
    approve(&runtime).unwrap();
    assert_eq!((problem(), owed_refunds()), (RefundProblem::NotTried, 1));
    assert_eq!(
        left(&runtime),
        Err(RefundError::NotRefundable),
        "it may be made"
    );
    answered(&runtime, Ok(Nat::from(9u8)));
    assert_eq!(refunded_in(), BlockIndex(9));
    assert_eq!(made(&runtime), 1);
}

#[test]
fn only_controllers_leave_refunds_to_merchants_and_only_of_money_that_went_to_them() {
    let own = Account {
        subaccount: Some([5; 32]),
        ..treasury()
    };
    for to in [own, treasury()] {
        let refused = move || {
            let runtime = settled(to);
            assert_eq!(left(&runtime), Err(RefundError::NotRefundable));
            assert!(matches!(state(), State::Settled { .. }));
            let held = liabilities::owed_by(&ledger(0).id, &to).held.amount();
            assert_eq!(held, Amount(10_000));
        };
        std::thread::spawn(refused).join().unwrap();
    }
    let runtime = settled(merchant());
    for caller in [config::read().operators[0], merchant().owner, payer().owner] {
        runtime.caller.set(caller);
        assert_eq!(left(&runtime), Err(RefundError::Unauthorized(Unauthorized)));
    }
    runtime.caller.set(runtime.controller);
    let unknown = leave_to_merchant(&runtime, &PaymentId([9; 32]));
    assert_eq!(unknown, Err(RefundError::UnknownPayment));
    happens(Event::Delivered, NOW);
    assert!(left(&runtime).is_err(), "it was fetched");
}
