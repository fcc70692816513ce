use super::*;
use crate::{
    domain::{
        outgoing::LOCK,
        payment::{Event, Failure, FailureKind, RefundCause},
        settlement::{self, CallOutcome},
        window::FORGOTTEN,
    },
    runtime::scripted::{ScriptedRuntime, poll, run},
    service::treasury::tests::*,
    storage::ledgers::tests::ledger,
    types::Seconds,
};
use candid::{Decode, Nat};
use icrc_ledger_types::icrc1::transfer::{TransferArg, TransferError};
use std::{pin::pin, task::Poll};

mod attacks;

type Reply = Result<Nat, TransferError>;

pub(crate) fn request(amount: u128) -> WithdrawRequest {
    WithdrawRequest {
        ledger: ledger(0).id,
        from_subaccount: None,
        to: Account::from(Principal::from_slice(&[5; 29])),
        amount: Amount(amount),
        created_at: None,
    }
}

/// A withdrawal whose `created_at_time` is this many seconds after [`NOW`].
fn named(amount: u128, seconds: u32) -> WithdrawRequest {
    WithdrawRequest {
        created_at: Some(NOW.plus(Seconds(seconds))),
        ..request(amount)
    }
}

fn bad_fee(runtime: &ScriptedRuntime, fee: u8) {
    runtime.will_reply(Reply::Err(TransferError::BadFee {
        expected_fee: Nat::from(fee),
    }));
}

/// Sets the ledger's fee.
fn set_fee(fee: u128) {
    let fee = Amount(fee);
    storage::ledgers::put(&crate::domain::ledger::Ledger { fee, ..ledger(0) }).unwrap();
}

/// A withdrawal of 10 that was made in block 7, with a fee of 10, some seconds ago.
fn first_of_two() -> (ScriptedRuntime, WithdrawRequest) {
    let runtime = set_up();
    let first = named(10, 0);
    has(&runtime, 1_000);
    runtime.will_reply(Reply::Ok(Nat::from(7u8)));
    assert_eq!(run(withdraw(&runtime, first)), Ok(BlockIndex(7)));
    runtime.now.set(NOW.plus(Seconds(10)));
    (runtime, first)
}

fn transfers(runtime: &ScriptedRuntime) -> Vec<TransferArg> {
    let calls = runtime.calls.borrow();
    let transfers = calls
        .iter()
        .filter(|call| call.method == settlement::TRANSFER);
    transfers
        .map(|call| Decode!(&call.argument, TransferArg).unwrap())
        .collect()
}

fn short(result: Result<BlockIndex, WithdrawError>) -> u128 {
    match result {
        Err(WithdrawError::InsufficientFree { available }) => available.0,
        other => panic!("expected a refusal, got {other:?}"),
    }
}

#[test]
fn a_withdrawal_leaves_what_is_owed() {
    let runtime = set_up();
    let key = open(1, own(None));
    settle(&key);
    // 10,000 are held, a fee is 10.
    has(&runtime, 10_510);
    assert_eq!(short(run(withdraw(&runtime, request(501)))), 500);
    happens(
        &key,
        Event::RefundDue {
            cause: RefundCause::NotFetched,
            approved: true,
        },
    );
    // Now 10,010 are owed.
    has(&runtime, 10_510);
    assert_eq!(short(run(withdraw(&runtime, request(500)))), 490);
    has(&runtime, 10_005);
    assert_eq!(short(run(withdraw(&runtime, request(1)))), 0);
    has(&runtime, 10_510);
    runtime.will_reply(Reply::Ok(Nat::from(8u8)));
    assert_eq!(run(withdraw(&runtime, request(490))), Ok(BlockIndex(8)));
    let made = transfers(&runtime);
    assert_eq!(made.len(), 1);
    assert_eq!(
        (&made[0].to, &made[0].amount, &made[0].fee),
        (&request(0).to, &Nat::from(490u16), &Some(Nat::from(10u8)))
    );
    assert_eq!(made[0].created_at_time, Some(NOW.0));
}

#[test]
fn what_is_owed_out_of_one_account_does_not_bind_another() {
    let runtime = set_up();
    settle(&open(1, own(Some([4; 32]))));
    has(&runtime, 10_000);
    runtime.will_reply(Reply::Ok(Nat::from(8u8)));
    assert_eq!(run(withdraw(&runtime, request(9_990))), Ok(BlockIndex(8)));
    let from_the_other = WithdrawRequest {
        from_subaccount: Some([4; 32]),
        ..request(1)
    };
    has(&runtime, 10_000);
    assert_eq!(short(run(withdraw(&runtime, from_the_other))), 0);
}

#[test]
fn an_unknown_withdrawal_is_repeated_with_its_time_and_reserves_its_amount() {
    let runtime = set_up();
    has(&runtime, 1_000);
    lost(&runtime);
    let unknown = Err(WithdrawError::Unknown { created_at: NOW });
    assert_eq!(run(withdraw(&runtime, request(900))), unknown);
    let busy = Err(WithdrawError::InProgress { created_at: NOW });
    runtime.now.set(NOW.plus(Seconds(60)));
    assert_eq!(run(withdraw(&runtime, request(900))), busy, "which one?");
    let repeated = WithdrawRequest {
        created_at: Some(NOW),
        ..request(900)
    };
    // A later refusal proves nothing about the first try.
    runtime.will_reply(Reply::Err(TransferError::InsufficientFunds {
        balance: Nat::from(0u8),
    }));
    assert_eq!(run(withdraw(&runtime, repeated)), unknown);
    let duplicate_of = Nat::from(8u8);
    runtime.will_reply(Reply::Err(TransferError::Duplicate { duplicate_of }));
    assert_eq!(run(withdraw(&runtime, repeated)), Ok(BlockIndex(8)));
    let made = transfers(&runtime);
    assert_eq!((made.len(), &made[0], &made[1]), (3, &made[1], &made[2]));
    assert_eq!(run(withdraw(&runtime, repeated)), Ok(BlockIndex(8)));
    assert_eq!(
        transfers(&runtime).len(),
        3,
        "that was answered from the table"
    );
}

#[test]
fn an_earlier_withdrawal_is_known_after_a_later_one_was_made() {
    let (runtime, first) = first_of_two();
    has(&runtime, 1_000);
    runtime.will_reply(Reply::Ok(Nat::from(8u8)));
    assert_eq!(run(withdraw(&runtime, named(20, 1))), Ok(BlockIndex(8)));
    // With another fee it would be another transfer.
    set_fee(20);
    assert_eq!(run(withdraw(&runtime, first)), Ok(BlockIndex(7)));
    assert_eq!(run(withdraw(&runtime, named(20, 1))), Ok(BlockIndex(8)));
    assert_eq!(transfers(&runtime).len(), 2);
}

#[test]
fn an_earlier_withdrawal_is_made_once_though_a_later_one_was_refused() {
    let (runtime, first) = first_of_two();
    has(&runtime, 1_000);
    bad_fee(&runtime, 20);
    let refused = run(withdraw(&runtime, named(20, 1)));
    assert!(matches!(refused, Err(WithdrawError::NotMoved { .. })));
    assert_eq!(payout::fee(&first.ledger), Amount(20));
    assert_eq!(run(withdraw(&runtime, first)), Ok(BlockIndex(7)));
    assert_eq!(transfers(&runtime).len(), 2);
}

#[test]
fn an_earlier_withdrawal_is_made_once_though_a_later_one_was_not_sent() {
    let (runtime, first) = first_of_two();
    has(&runtime, 1_000);
    runtime.will(CallOutcome::NotSent("the queue is full".into()));
    let refused = run(withdraw(&runtime, named(20, 1)));
    assert!(matches!(refused, Err(WithdrawError::NotMoved { .. })));
    set_fee(20);
    assert_eq!(run(withdraw(&runtime, first)), Ok(BlockIndex(7)));
    assert_eq!(transfers(&runtime).len(), 2);
}

/// The first withdrawal's first try is answered while the second is in progress.
#[test]
fn an_earlier_withdrawal_is_made_once_though_tries_end_in_another_order() {
    let runtime = set_up();
    runtime.hold.set(true);
    let first = named(10, 0);
    let mut slow = pin!(withdraw(&runtime, first));
    has(&runtime, 1_000);
    assert!(poll(slow.as_mut()).is_pending());
    runtime.now.set(NOW.plus(LOCK));
    runtime.will_reply(Reply::Ok(Nat::from(7u8)));
    assert_eq!(run(withdraw(&runtime, first)), Ok(BlockIndex(7)));

    let mut second = pin!(withdraw(&runtime, named(20, 1)));
    has(&runtime, 1_000);
    assert!(poll(second.as_mut()).is_pending());
    bad_fee(&runtime, 20);
    let late = poll(slow.as_mut());
    assert_eq!(late, Poll::Ready(Ok(BlockIndex(7))), "it was made");
    bad_fee(&runtime, 30);
    let Poll::Ready(Err(WithdrawError::NotMoved { .. })) = poll(second.as_mut()) else {
        panic!("the first try says nothing about the second");
    };
    assert_eq!(run(withdraw(&runtime, first)), Ok(BlockIndex(7)));
    assert_eq!(transfers(&runtime).len(), 3);
}

#[test]
fn a_late_refusal_says_nothing_of_a_later_try() {
    let runtime = set_up();
    runtime.hold.set(true);
    let first = named(10, 0);
    let mut slow = pin!(withdraw(&runtime, first));
    has(&runtime, 1_000);
    assert!(poll(slow.as_mut()).is_pending());
    runtime.now.set(NOW.plus(LOCK));
    lost(&runtime);
    let unknown = Err(WithdrawError::Unknown { created_at: NOW });
    assert_eq!(run(withdraw(&runtime, first)), unknown);
    bad_fee(&runtime, 20);
    assert_eq!(poll(slow.as_mut()), Poll::Ready(unknown));
    runtime.will_reply(Reply::Ok(Nat::from(7u8)));
    assert_eq!(run(withdraw(&runtime, first)), Ok(BlockIndex(7)));
    let made = transfers(&runtime);
    assert_eq!((made.len(), &made[0], &made[1]), (3, &made[1], &made[2]));
}

#[test]
fn a_time_names_one_withdrawal_however_it_ended() {
    let (runtime, made) = first_of_two();
    has(&runtime, 1_000);
    bad_fee(&runtime, 20);
    let refused = named(10, 1);
    run(withdraw(&runtime, refused)).unwrap_err();
    has(&runtime, 1_000);
    lost(&runtime);
    let unknown = named(10, 2);
    run(withdraw(&runtime, unknown)).unwrap_err();
    let before = runtime.made();
    for known in [made, refused, unknown] {
        let to = Account::from(Principal::from_slice(&[6; 29]));
        for other in [
            WithdrawRequest { to, ..known },
            WithdrawRequest {
                amount: Amount(11),
                ..known
            },
            WithdrawRequest {
                from_subaccount: Some([4; 32]),
                ..known
            },
        ] {
            let Err(WithdrawError::InvalidArgument(error)) = run(withdraw(&runtime, other)) else {
                panic!("another withdrawal is named");
            };
            assert_eq!(error.field, "created_at_time");
        }
    }
    assert_eq!(runtime.made(), before);
}

#[test]
fn withdrawals_without_a_name_at_one_moment_are_two() {
    let runtime = set_up();
    for block in [7u8, 8] {
        has(&runtime, 1_000);
        runtime.will_reply(Reply::Ok(Nat::from(block)));
        let made = run(withdraw(&runtime, request(10)));
        assert_eq!(made, Ok(BlockIndex(block.into())));
    }
    let made = transfers(&runtime);
    assert_ne!(made[0].created_at_time, made[1].created_at_time);
}

#[test]
fn withdrawals_of_a_day_are_bounded() {
    let runtime = set_up();
    for n in 0..u64::from(MAX_WITHDRAWALS) {
        let created_at = TimestampNs(NOW.0 + n);
        let to = request(0).to;
        let known = Withdrawal::new(own(None), to, Amount(1), created_at);
        withdrawals::put(&ledger(0).id, &known);
    }
    runtime.now.set(NOW.plus(Seconds(1)));
    let from = TimestampNs(NOW.plus(FORGOTTEN).0 + 1);
    let limit = MAX_WITHDRAWALS;
    let many = Err(WithdrawError::TooMany { limit, from });
    assert_eq!(run(withdraw(&runtime, request(1))), many);
    // A known withdrawal does not count as a new one.
    has(&runtime, 1_000);
    runtime.will_reply(Reply::Ok(Nat::from(7u8)));
    assert_eq!(run(withdraw(&runtime, named(1, 0))), Ok(BlockIndex(7)));
    runtime.now.set(TimestampNs(from.0 - 1));
    assert_eq!(run(withdraw(&runtime, request(1))), many);
    runtime.now.set(from);
    has(&runtime, 1_000);
    runtime.will_reply(Reply::Ok(Nat::from(8u8)));
    assert_eq!(run(withdraw(&runtime, request(1))), Ok(BlockIndex(8)));
}

#[test]
fn an_unknown_withdrawal_is_over_when_the_ledger_has_forgotten() {
    let runtime = set_up();
    has(&runtime, 1_000);
    lost(&runtime);
    run(withdraw(&runtime, request(900))).unwrap_err();
    let busy = Err(WithdrawError::InProgress { created_at: NOW });
    runtime.now.set(NOW.plus(FORGOTTEN));
    assert_eq!(run(withdraw(&runtime, request(80))), busy);
    let repeated = WithdrawRequest {
        created_at: Some(NOW),
        ..request(900)
    };
    assert_eq!(run(withdraw(&runtime, repeated)), busy, "no further call");
    runtime.now.set(NOW.plus(FORGOTTEN).plus(Seconds(1)));
    has(&runtime, 90);
    runtime.will_reply(Reply::Ok(Nat::from(8u8)));
    assert_eq!(run(withdraw(&runtime, request(80))), Ok(BlockIndex(8)));
}

/// Two controllers at once, each with a balance that would cover one withdrawal.
#[test]
fn two_withdrawals_at_once_do_not_spend_the_same_money() {
    let runtime = set_up();
    runtime.hold.set(true);
    let mut first = pin!(withdraw(&runtime, request(900)));
    let mut second = pin!(withdraw(&runtime, request(800)));
    assert_eq!(poll(first.as_mut()), Poll::Pending, "queries the balance");
    assert_eq!(poll(second.as_mut()), Poll::Pending);
    runtime.hold.set(false);
    has(&runtime, 1_000);
    runtime.will_reply(Reply::Ok(Nat::from(8u8)));
    has(&runtime, 1_000);
    assert_eq!(poll(first.as_mut()), Poll::Ready(Ok(BlockIndex(8))));
    // Money has left since the second query: the balance is queried again.
    has(&runtime, 90);
    let Poll::Ready(refused) = poll(second.as_mut()) else {
        panic!("every call is answered");
    };
    assert_eq!(short(refused), 80);

    let created_at = NOW.plus(Seconds(1));
    runtime.now.set(created_at);
    runtime.hold.set(true);
    let mut third = pin!(withdraw(&runtime, request(10)));
    let mut fourth = pin!(withdraw(&runtime, request(10)));
    assert!(poll(third.as_mut()).is_pending() && poll(fourth.as_mut()).is_pending());
    runtime.hold.set(false);
    has(&runtime, 90);
    lost(&runtime);
    let unknown = Err(WithdrawError::Unknown { created_at });
    assert_eq!(poll(third.as_mut()), Poll::Ready(unknown));
    has(&runtime, 90);
    let busy = Err(WithdrawError::InProgress { created_at });
    assert_eq!(poll(fourth.as_mut()), Poll::Ready(busy));
}

#[test]
fn a_refused_withdrawal_is_repeated_with_the_present_fee() {
    let runtime = set_up();
    has(&runtime, 1_000);
    bad_fee(&runtime, 20);
    let refused = run(withdraw(&runtime, named(900, 0)));
    assert!(matches!(refused, Err(WithdrawError::NotMoved { .. })));
    // As for a first try, the amount has to be free.
    has(&runtime, 919);
    assert_eq!(short(run(withdraw(&runtime, named(900, 0)))), 899);
    has(&runtime, 920);
    runtime.will_reply(Reply::Ok(Nat::from(8u8)));
    assert_eq!(run(withdraw(&runtime, named(900, 0))), Ok(BlockIndex(8)));
    let made = transfers(&runtime);
    assert_eq!(made[1].fee, Some(Nat::from(20u8)));
    assert_eq!(made[0].created_at_time, made[1].created_at_time);
    set_fee(30);
    assert_eq!(run(withdraw(&runtime, named(900, 0))), Ok(BlockIndex(8)));
    assert_eq!(transfers(&runtime).len(), 2);
}

/// Payments without funds that come all the time: some are open whenever a balance is queried.
#[test]
fn a_stream_of_unfunded_payments_does_not_block_a_withdrawal() {
    let runtime = set_up();
    runtime.hold.set(true);
    let before = [1, 2, 3].map(|n| open(n, own(None)));
    let mut asking = pin!(withdraw(&runtime, request(900)));
    assert!(poll(asking.as_mut()).is_pending());
    // The ledger answers in the order of the calls.
    for key in before {
        happens(
            &key,
            Event::NotMoved(Failure {
                kind: FailureKind::InsufficientFunds,
                message: String::new(),
            }),
        );
    }
    for n in 4..40 {
        open(n, own(None));
    }
    has(&runtime, 910);
    runtime.will_reply(Reply::Ok(Nat::from(7u8)));
    assert_eq!(poll(asking.as_mut()), Poll::Ready(Ok(BlockIndex(7))));
}

/// The money of a payment that was open when the balance was queried may be the whole balance.
#[test]
fn payments_from_before_the_query_are_held() {
    let runtime = set_up();
    runtime.hold.set(true);
    let key = open(1, own(None));
    let mut asking = pin!(withdraw(&runtime, request(1)));
    assert!(poll(asking.as_mut()).is_pending());
    open(2, own(None));
    settle(&key);
    has(&runtime, 10_010);
    let Poll::Ready(refused) = poll(asking.as_mut()) else {
        panic!("every call is answered");
    };
    assert_eq!(short(refused), 0);
}

#[test]
fn senseless_withdrawals_are_refused_without_a_call() {
    let runtime = set_up();
    let invalid = |request| match run(withdraw(&runtime, request)) {
        Err(WithdrawError::InvalidArgument(error)) => error,
        other => panic!("expected a refusal, got {other:?}"),
    };
    let field = |request| invalid(request).field;
    assert_eq!(field(request(0)), "amount");
    let to_itself = WithdrawRequest {
        to: own(Some([0; 32])),
        ..request(1)
    };
    assert_eq!(field(to_itself), "to");
    let at = |created_at| WithdrawRequest {
        created_at: Some(created_at),
        ..request(1)
    };
    let early = invalid(at(TimestampNs(NOW.0 + 1)));
    assert_eq!(early.to_string(), "created_at_time: is in the future");
    assert_eq!(early.limit, None);
    let late = invalid(at(TimestampNs(NOW.0 - 85_800_000_000_001)));
    assert_eq!(
        late.to_string(),
        "created_at_time: is more than 85,800 seconds (23 hours and 50 minutes) ago"
    );
    assert_eq!(late.limit, Some(85_800));
    let elsewhere = WithdrawRequest {
        ledger: ledger(5).id,
        ..request(1)
    };
    assert_eq!(
        run(withdraw(&runtime, elsewhere)),
        Err(WithdrawError::UnknownLedger)
    );
    assert_eq!(runtime.made(), 0);
}
