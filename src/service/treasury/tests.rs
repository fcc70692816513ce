use super::*;
use crate::{
    domain::{
        payment::{Event, Payment, RefundCause},
        rail::TxRef,
        settlement::CallOutcome,
    },
    runtime::scripted::{ScriptedRuntime, poll, run},
    service::withdraw::{WithdrawError, tests::request, withdraw},
    storage::{
        ledgers::tests::ledger,
        payments::{Change, tests as examples},
    },
    types::{BlockIndex, ClaimKey, TimestampNs},
};
use candid::Nat;
use std::{pin::pin, task::Poll};

pub(crate) const NOW: TimestampNs = TimestampNs(1_800_000_000_000_000_000);

pub(crate) fn set_up() -> ScriptedRuntime {
    examples::set_up();
    let runtime = ScriptedRuntime::new(NOW);
    runtime.will_name_fee(Nat::from(10u8));
    liabilities::set_canister(runtime.canister_id());
    runtime
}

pub(crate) fn own(subaccount: Option<[u8; 32]>) -> Account {
    Account {
        owner: Principal::from_slice(&ScriptedRuntime::CANISTER),
        subaccount,
    }
}

/// The n-th payment, of 10,000 to this account, whose ledger has been called.
pub(crate) fn open(n: u8, to: Account) -> ClaimKey {
    let key = ClaimKey([n; 16]);
    let payment = Payment {
        to,
        ..examples::payment(n.into(), 1)
    };
    storage::payments::record(&key, examples::begun(payment), NOW).unwrap();
    key
}

pub(crate) fn happens(key: &ClaimKey, event: Event) {
    storage::payments::record(key, Change::Event(event), NOW).unwrap();
}

pub(crate) fn settle(key: &ClaimKey) {
    happens(key, examples::moved(3));
}

pub(crate) fn has(runtime: &ScriptedRuntime, balance: u128) {
    runtime.will_reply(Nat::from(balance));
}

pub(crate) fn lost(runtime: &ScriptedRuntime) {
    runtime.will(CallOutcome::Rejected {
        code: 6,
        message: "late".into(),
    });
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
            waiting: 0,
            waiting_amount: Amount(0),
            solvent: Some(true),
            open_invoices: 0,
            open_returns: 0,
        }]
    );
}

#[test]
fn solvency_is_judged_by_account_and_only_if_known() {
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
    happens(
        &refunding,
        Event::RefundDue {
            cause: RefundCause::NotFetched,
            approved: true,
        },
    );
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

    // A withdrawal with an unknown outcome may have been made or not.
    has(&runtime, 10_110);
    lost(&runtime);
    run(withdraw(&runtime, request(90))).unwrap_err();
    assert_eq!(one(&[Some(10_110), Some(10_000)]).solvent, Some(true));
    assert_eq!(one(&[Some(10_010), Some(10_000)]).solvent, None);
}

/// A refund that is made between a query and its answer lowers what is owed, not the balance in the answer.
#[test]
fn solvency_is_unknown_while_money_leaves_the_balance() {
    let runtime = set_up();
    let refunding = open(1, own(None));
    settle(&refunding);
    happens(
        &refunding,
        Event::RefundDue {
            cause: RefundCause::NotFetched,
            approved: true,
        },
    );
    open(2, own(None));
    runtime.hold.set(true);
    let mut asking = pin!(solvency(&runtime));
    assert!(poll(asking.as_mut()).is_pending());
    let block = BlockIndex(9);
    happens(
        &refunding,
        Event::RefundMoved {
            tx: TxRef::Block(block),
        },
    );
    runtime.hold.set(false);
    has(&runtime, 15_000);
    let Poll::Ready(Ok(known)) = poll(asking.as_mut()) else {
        panic!("every call is answered");
    };
    assert_eq!((known[0].held, known[0].solvent), (Amount(10_000), None));
}

#[test]
fn solvency_leaves_out_payments_opened_after_the_query() {
    let runtime = set_up();
    runtime.hold.set(true);
    let mut asking = pin!(solvency(&runtime));
    assert!(poll(asking.as_mut()).is_pending());
    open(1, own(None));
    has(&runtime, 0);
    let Poll::Ready(Ok(known)) = poll(asking.as_mut()) else {
        panic!("every call is answered");
    };
    assert_eq!(
        (known[0].held, known[0].solvent),
        (Amount(10_000), Some(true))
    );
    has(&runtime, 0);
    let known = run(solvency(&runtime)).unwrap();
    assert_eq!(
        known[0].solvent,
        Some(false),
        "the payment was open before the query"
    );
}
