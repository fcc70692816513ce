use super::*;
use crate::{
    domain::{
        outgoing::FORGOTTEN,
        payment::{Payment, RefundCause},
        settlement::CallOutcome,
    },
    runtime::scripted::{ScriptedRuntime, poll, run},
    storage::{
        ledgers::tests::ledger,
        payments::{Change, NewPayment, tests as examples},
    },
    types::{NonceKey, Seconds},
};
use candid::Decode;
use icrc_ledger_types::icrc1::transfer::{TransferArg, TransferError};
use std::{pin::pin, task::Poll};

const NOW: TimestampNs = TimestampNs(1_800_000_000_000_000_000);

type Reply = Result<Nat, TransferError>;

fn set_up() -> ScriptedRuntime {
    examples::set_up();
    let runtime = ScriptedRuntime::new(NOW);
    runtime.will_name_fee(Nat::from(10u8));
    liabilities::set_canister(runtime.canister_id());
    runtime
}

fn own(subaccount: Option<[u8; 32]>) -> Account {
    Account {
        owner: Principal::from_slice(&ScriptedRuntime::CANISTER),
        subaccount,
    }
}

/// The n-th payment, of 10,000 to this account, whose ledger has been asked.
fn open(n: u8, to: Account) -> NonceKey {
    let key = NonceKey([n; 16]);
    let payment = Payment {
        to,
        ..examples::payment(n.into(), 1)
    };
    let new = NewPayment {
        payment,
        valid_before: None,
        known_block: None,
    };
    storage::payments::record(&key, Change::Open(Box::new(new)), NOW).unwrap();
    key
}

fn happens(key: &NonceKey, event: Event) {
    storage::payments::record(key, Change::Event(event), NOW).unwrap();
}

fn settle(key: &NonceKey) {
    let block = BlockIndex(3);
    happens(key, Event::Moved { block });
}

fn request(amount: u128) -> WithdrawRequest {
    WithdrawRequest {
        ledger: ledger(0).id,
        from_subaccount: None,
        to: Account::from(Principal::from_slice(&[5; 29])),
        amount: Amount(amount),
        created_at: None,
    }
}

fn has(runtime: &ScriptedRuntime, balance: u128) {
    runtime.will_reply(Nat::from(balance));
}

fn lost(runtime: &ScriptedRuntime) {
    runtime.will(CallOutcome::Rejected {
        code: 6,
        message: "late".into(),
    });
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
        other => panic!("expected to be refused, got {other:?}"),
    }
}

#[test]
fn controllers_withdraw_and_operators_look() {
    let runtime = set_up();
    let operator = storage::config::read().operators[0];
    for caller in [operator, Principal::anonymous()] {
        runtime.caller.set(caller);
        let refused = run(withdraw(&runtime, request(1)));
        assert_eq!(refused, Err(WithdrawError::Unauthorized(Unauthorized)));
    }
    assert_eq!(run(solvency(&runtime)), Err(Unauthorized));
    runtime.caller.set(operator);
    has(&runtime, 7);
    let known = run(solvency(&runtime)).unwrap();
    assert_eq!(
        known,
        [Solvency {
            ledger: ledger(0).id,
            balance: Some(Amount(7)),
            owed_refunds: Amount(0),
            held: Amount(0),
            solvent: Some(true),
        }]
    );
}

#[test]
fn a_withdrawal_leaves_what_is_owed() {
    let runtime = set_up();
    let key = open(1, own(None));
    settle(&key);
    // 10,000 are held, a fee is 10.
    has(&runtime, 10_510);
    assert_eq!(short(run(withdraw(&runtime, request(501)))), 500);
    happens(&key, Event::RefundDue(RefundCause::NotFetched));
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
        "that was answered from memory"
    );
}

#[test]
fn an_earlier_withdrawal_is_not_repeated_after_a_later_one() {
    let runtime = set_up();
    let first = WithdrawRequest {
        created_at: Some(NOW),
        ..request(10)
    };
    let second = WithdrawRequest {
        created_at: Some(NOW.plus(Seconds(1))),
        ..request(20)
    };
    runtime.now.set(NOW.plus(Seconds(1)));
    for (block, withdrawal) in [(7u8, first), (8, second)] {
        has(&runtime, 1_000);
        runtime.will_reply(Reply::Ok(Nat::from(block)));
        let made = run(withdraw(&runtime, withdrawal));
        assert_eq!(made, Ok(BlockIndex(block.into())));
    }
    // With a fee that has changed since, it would be another transfer.
    let error = run(withdraw(&runtime, first)).unwrap_err();
    assert!(error.to_string().contains("created_at_time"), "{error}");
    assert_eq!(transfers(&runtime).len(), 2);
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
    assert_eq!(run(withdraw(&runtime, repeated)), busy, "it asks no more");
    runtime.now.set(NOW.plus(FORGOTTEN).plus(Seconds(1)));
    has(&runtime, 90);
    runtime.will_reply(Reply::Ok(Nat::from(8u8)));
    assert_eq!(run(withdraw(&runtime, request(80))), Ok(BlockIndex(8)));
}

/// Two controllers at once, each with a balance that would cover one.
#[test]
fn two_withdrawals_at_once_do_not_spend_the_same_money() {
    let runtime = set_up();
    runtime.hold.set(true);
    let mut first = pin!(withdraw(&runtime, request(900)));
    let mut second = pin!(withdraw(&runtime, request(800)));
    assert_eq!(poll(first.as_mut()), Poll::Pending, "asks for the balance");
    assert_eq!(poll(second.as_mut()), Poll::Pending);
    runtime.hold.set(false);
    has(&runtime, 1_000);
    runtime.will_reply(Reply::Ok(Nat::from(8u8)));
    has(&runtime, 1_000);
    assert_eq!(poll(first.as_mut()), Poll::Ready(Ok(BlockIndex(8))));
    // Money has left since the second asked: it asks again.
    has(&runtime, 90);
    let Poll::Ready(refused) = poll(second.as_mut()) else {
        panic!("every call is answered");
    };
    assert_eq!(short(refused), 80);

    runtime.hold.set(true);
    let mut third = pin!(withdraw(&runtime, request(10)));
    let mut fourth = pin!(withdraw(&runtime, request(10)));
    assert!(poll(third.as_mut()).is_pending() && poll(fourth.as_mut()).is_pending());
    runtime.hold.set(false);
    has(&runtime, 90);
    lost(&runtime);
    let unknown = Err(WithdrawError::Unknown { created_at: NOW });
    assert_eq!(poll(third.as_mut()), Poll::Ready(unknown));
    has(&runtime, 90);
    let busy = Err(WithdrawError::InProgress { created_at: NOW });
    assert_eq!(poll(fourth.as_mut()), Poll::Ready(busy));
}

#[test]
fn a_refused_withdrawal_leaves_nothing_behind() {
    let runtime = set_up();
    has(&runtime, 1_000);
    runtime.will_reply(Reply::Err(TransferError::BadFee {
        expected_fee: Nat::from(20u8),
    }));
    let refused = run(withdraw(&runtime, request(900)));
    assert!(matches!(refused, Err(WithdrawError::NotMoved { .. })));
    has(&runtime, 1_000);
    runtime.will_reply(Reply::Ok(Nat::from(8u8)));
    assert_eq!(run(withdraw(&runtime, request(900))), Ok(BlockIndex(8)));
    assert_eq!(transfers(&runtime)[1].fee, Some(Nat::from(20u8)));
}

#[test]
fn senseless_withdrawals_are_refused_without_a_call() {
    let runtime = set_up();
    let field = |request| match run(withdraw(&runtime, request)) {
        Err(WithdrawError::InvalidArgument(error)) => error.field,
        other => panic!("expected to be refused, got {other:?}"),
    };
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
    assert_eq!(field(at(TimestampNs(NOW.0 + 1))), "created_at_time");
    assert_eq!(
        field(at(TimestampNs(NOW.0 - 86_400_000_000_000))),
        "created_at_time"
    );
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

#[test]
fn solvency_is_said_account_by_account_and_only_if_known() {
    let runtime = set_up();
    let one = |balances: &[Option<u128>]| {
        for balance in balances {
            match balance {
                Some(balance) => has(&runtime, *balance),
                None => lost(&runtime),
            }
        }
        run(solvency(&runtime)).unwrap().remove(0)
    };
    let merchant = examples::payment(1, 1).to;
    let refunding = open(1, merchant);
    settle(&refunding);
    happens(&refunding, Event::RefundDue(RefundCause::NotFetched));
    open(2, own(Some([4; 32])));
    let known = one(&[Some(10_010), Some(10_000)]);
    assert_eq!(
        (known.owed_refunds, known.held),
        (Amount(10_010), Amount(10_000))
    );
    assert_eq!(
        (known.balance, known.solvent),
        (Some(Amount(20_010)), Some(true))
    );
    assert_eq!(one(&[Some(10_009), Some(20_000)]).solvent, Some(false));
    assert_eq!(one(&[Some(20_020), Some(9_999)]).solvent, Some(false));
    let silent = one(&[Some(20_020), None]);
    assert_eq!((silent.balance, silent.solvent), (None, None));

    // A withdrawal that nobody knows the end of may have been made or not.
    has(&runtime, 10_110);
    lost(&runtime);
    run(withdraw(&runtime, request(90))).unwrap_err();
    assert_eq!(one(&[Some(10_110), Some(10_000)]).solvent, Some(true));
    assert_eq!(one(&[Some(10_010), Some(10_000)]).solvent, None);
}

/// A refund that is made between the question and its answer lowers what is owed, not what was there.
#[test]
fn solvency_is_not_said_of_a_balance_that_money_has_left() {
    let runtime = set_up();
    let refunding = open(1, own(None));
    settle(&refunding);
    happens(&refunding, Event::RefundDue(RefundCause::NotFetched));
    open(2, own(None));
    runtime.hold.set(true);
    let mut asking = pin!(solvency(&runtime));
    assert!(poll(asking.as_mut()).is_pending());
    let block = BlockIndex(9);
    happens(&refunding, Event::RefundMoved { block });
    runtime.hold.set(false);
    has(&runtime, 15_000);
    let Poll::Ready(Ok(known)) = poll(asking.as_mut()) else {
        panic!("every call is answered");
    };
    assert_eq!((known[0].held, known[0].solvent), (Amount(10_000), None));
}
