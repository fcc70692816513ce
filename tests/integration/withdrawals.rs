//! Withdrawals by controllers: once for each `created_at_time`, and nothing that is owed.

use crate::{
    refunds::{PRICE, TRANSFER, owing},
    support::{
        Setup,
        gateway::Request,
        interface::*,
        ledger::number,
        payer::Payer,
        setup::{FEE, controller},
    },
};
use candid::{Nat, Principal};
use icrc_ledger_types::icrc1::transfer::TransferError;
use test_ledger::testing::Fault;

impl Setup {
    pub fn withdraw(&self, args: WithdrawArgs) -> Result<Nat, WithdrawError> {
        self.update(controller(), "withdraw", (args,))
    }

    pub fn withdrawal(&self, amount: u128) -> WithdrawArgs {
        WithdrawArgs {
            ledger: self.ledger.0,
            from_subaccount: None,
            to: Principal::self_authenticating([8; 32]).into(),
            amount: Nat::from(amount),
            created_at_time: None,
        }
    }

    pub fn available(&self, amount: u128) -> u128 {
        match self.withdraw(self.withdrawal(amount)) {
            Err(WithdrawError::InsufficientFree { available }) => number(&available),
            other => panic!("expected a refusal, got {other:?}"),
        }
    }
}

/// A treasury of ten, from which a withdrawal with a `created_at_time` was made.
fn withdrawn_once() -> (Setup, WithdrawArgs, Nat) {
    let setup = Setup::new();
    setup.ledger.mint(&setup, setup.treasury(), 10 * PRICE);
    let first = WithdrawArgs {
        created_at_time: Some(setup.now_ns()),
        ..setup.withdrawal(PRICE)
    };
    let block = setup.withdraw(first.clone()).expect("it is free");
    setup.advance(1);
    (setup, first, block)
}

/// Repeating the first returns its block, and it was made once.
fn made_once(setup: &Setup, first: WithdrawArgs, block: Nat) {
    assert_eq!(setup.withdraw(first.clone()), Ok(block.clone()));
    setup.upgrade();
    assert_eq!(setup.withdraw(first), Ok(block));
    let left = setup.ledger.balance(setup, setup.treasury());
    assert_eq!(left, 9 * PRICE - FEE);
    setup.check_conservation();
}

/// The later one was refused because of a new fee; with that fee, the earlier one would be another transfer.
#[test]
fn earlier_withdrawal_is_made_once_after_a_later_one_was_refused() {
    let (setup, first, block) = withdrawn_once();
    setup.ledger.set_fee(&setup, 2 * FEE);
    let later = WithdrawArgs {
        created_at_time: Some(setup.now_ns()),
        ..setup.withdrawal(2 * PRICE)
    };
    let refused = setup.withdraw(later.clone());
    assert!(matches!(refused, Err(WithdrawError::NotMoved { .. })));
    made_once(&setup, first, block);
    // The refused one is made with the new fee, and once.
    let block = setup.withdraw(later.clone()).expect("it is free");
    assert_eq!(setup.withdraw(later), Ok(block));
    let left = setup.ledger.balance(&setup, setup.treasury());
    assert_eq!(left, 7 * PRICE - 3 * FEE);
}

#[test]
fn earlier_withdrawal_is_made_once_after_a_later_one_is_unknown() {
    let (setup, first, block) = withdrawn_once();
    let reject = Fault::reject();
    setup.ledger.fault_of(&setup, TRANSFER, 1, &reject);
    let later = setup.withdraw(setup.withdrawal(PRICE));
    assert!(matches!(later, Err(WithdrawError::Unknown { .. })));
    setup.ledger.set_fee(&setup, 2 * FEE);
    made_once(&setup, first, block);
}

#[test]
fn time_of_a_withdrawal_names_no_other() {
    let (setup, first, block) = withdrawn_once();
    for other in [
        WithdrawArgs {
            amount: Nat::from(2 * PRICE),
            ..first.clone()
        },
        WithdrawArgs {
            to: Principal::self_authenticating([9; 32]).into(),
            ..first.clone()
        },
    ] {
        match setup.withdraw(other) {
            Err(WithdrawError::InvalidArgument(error)) => {
                assert_eq!(error.field, "created_at_time");
            }
            other => panic!("expected a refusal, got {other:?}"),
        }
    }
    made_once(&setup, first, block);
}

/// Payments of keys that never had any money, to the account that is withdrawn from, before and after the query of its
/// balance.
#[test]
fn stream_of_unfunded_payments_does_not_block_a_withdrawal() {
    let setup = Setup::new();
    setup.sell_into(None);
    setup.ledger.mint(&setup, setup.treasury(), 2 * PRICE);
    let offer = setup.sale(Request::get("/own")).offer();
    let pay = |seed: u8| {
        let signed = Payer::ed25519(seed).sign(&offer, setup.now());
        let sender = Principal::self_authenticating([seed; 9]);
        setup.submit_as(sender, &Request::get("/own").payment(&signed.header()))
    };
    let mut calls: Vec<_> = (50..55).map(pay).collect();
    let argument = candid::encode_one(setup.withdrawal(2 * PRICE - FEE)).unwrap();
    let withdrawal = setup
        .pic
        .submit_call(setup.canister, controller(), "withdraw", argument)
        .expect("the call is taken");
    for round in 0..6 {
        calls.extend((0..5).map(|n| pay(60 + 5 * round + n)));
        setup.pic.tick();
    }
    let reply = setup.pic.await_call(withdrawal).expect("no trap");
    let made: Result<Nat, WithdrawError> = candid::decode_one(&reply).unwrap();
    made.expect("nothing there is owed");
    let sent = calls.len();
    for call in calls {
        setup.pic.await_call(call).expect("no trap");
    }
    let mut stand = setup.payments().into_iter().map(|payment| payment.status);
    assert_eq!(stand.len(), sent, "the ledger was called for each");
    assert!(stand.all(|status| matches!(status, PaymentStatus::Failed { .. })));
    assert_eq!(setup.ledger.balance(&setup, setup.treasury()), 0);
    setup.check_conservation();
}

#[test]
fn withdraw_cannot_take_what_is_owed() {
    let (setup, _, signed) = owing();
    let waits = Fault::transfer_error(TransferError::TemporarilyUnavailable);
    setup.ledger.fault_of(&setup, TRANSFER, 3, &waits);
    setup.refund(&signed).expect("it is owed");
    let free = 10 * PRICE - (PRICE + FEE) - FEE;
    assert_eq!(setup.available(free + 1), free);
    setup.check_conservation();
    setup.refunded(&signed);
    let block = setup.withdraw(setup.withdrawal(free)).expect("it is free");
    let taken = setup.ledger.moves(&setup).pop().expect("a block");
    assert_eq!((taken.block, taken.amount), (number(&block), free));
    assert_eq!(setup.ledger.balance(&setup, setup.treasury()), 0);
    setup.check_conservation();
}

#[test]
fn withdrawal_whose_reply_is_lost_is_made_once_and_stays_reserved() {
    let setup = Setup::new();
    setup.ledger.mint(&setup, setup.treasury(), 10 * PRICE);
    let lost = Fault::lost_after_transfer();
    setup.ledger.fault_of(&setup, TRANSFER, 1, &lost);
    let Err(WithdrawError::Unknown { created_at_time }) = setup.withdraw(setup.withdrawal(PRICE))
    else {
        panic!("the outcome cannot be known");
    };
    let busy = Err(WithdrawError::InProgress { created_at_time });
    assert_eq!(setup.withdraw(setup.withdrawal(PRICE)), busy);
    let same = || WithdrawArgs {
        created_at_time: Some(created_at_time),
        ..setup.withdrawal(PRICE)
    };
    setup.upgrade();
    let block = setup.withdraw(same()).expect("the ledger recognises it");
    assert_eq!(setup.withdraw(same()), Ok(block));
    let left = setup.ledger.balance(&setup, setup.treasury());
    assert_eq!(left, 9 * PRICE - FEE);
    setup.check_conservation();
}

/// The response to the withdrawing controller is lost with the upgrade. With the same `created_at_time` it is the same
/// withdrawal.
#[test]
fn upgrade_at_any_moment_of_a_withdrawal_makes_it_once() {
    let setup = Setup::new();
    setup.ledger.mint(&setup, setup.treasury(), 100 * PRICE);
    let mut left = 100 * PRICE;
    for rounds in 0..8 {
        let args = WithdrawArgs {
            created_at_time: Some(setup.now_ns()),
            ..setup.withdrawal(PRICE)
        };
        let argument = candid::encode_one(&args).unwrap();
        let call = setup
            .pic
            .submit_call(setup.canister, controller(), "withdraw", argument)
            .expect("the call is taken");
        for _ in 0..rounds {
            setup.pic.tick();
        }
        setup.upgrade_by_force();
        let _ = setup.pic.await_call(call);
        // Not repeated before the first reply can have arrived.
        setup.advance(601);
        let block = setup.withdraw(args.clone()).expect("free, or made before");
        assert_eq!(setup.withdraw(args), Ok(block));
        left -= PRICE + FEE;
        let balance = setup.ledger.balance(&setup, setup.treasury());
        assert_eq!(balance, left, "after {rounds} rounds");
        setup.advance(60);
    }
    setup.check_conservation();
}
