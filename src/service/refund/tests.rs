mod in_doubt;
mod strangers;

use super::*;
use crate::{
    domain::{
        outgoing::LOCK,
        rail::TxRef,
        settlement::CallOutcome,
        window::{DEDUP_WINDOW, FORGOTTEN},
    },
    runtime::scripted::{ScriptedRuntime, poll, run},
    service::recover::tests as logs,
    storage::{
        ledgers::tests::ledger,
        payments::{Lane, tests as examples},
    },
    types::{Amount, BlockIndex, TimestampNs},
};
use candid::{Decode, Nat, Principal};
use icrc_ledger_types::{
    icrc::generic_value::ICRC3Value,
    icrc1::transfer::{TransferArg, TransferError},
};
use std::{pin::pin, task::Poll};

const NOW: TimestampNs = TimestampNs(1_800_000_000_000_000_000);
const KEY: ClaimKey = ClaimKey([7; 16]);

type Reply = Result<Nat, TransferError>;

fn payer() -> Account {
    Account {
        owner: Principal::from_slice(&[1; 29]),
        subaccount: Some([3; 32]),
    }
}

fn happens(event: Event, now: TimestampNs) -> Payment {
    storage::payments::record(&KEY, Change::Event(event), now).unwrap()
}

/// A payment to `to` that was settled and is to be refunded.
fn owing(to: Account) -> ScriptedRuntime {
    let runtime = settled(to);
    let due = Event::RefundDue {
        cause: RefundCause::NotFetched,
        approved: true,
    };
    happens(due, NOW);
    runtime
}

fn begins(to: Account) {
    let payment = Payment {
        from: payer(),
        to,
        ..examples::payment(1, 1)
    };
    storage::payments::record(&KEY, examples::begun(payment), NOW).unwrap();
}

/// A payment to `to` that was settled while no request waited.
fn settled(to: Account) -> ScriptedRuntime {
    examples::set_up();
    let runtime = ScriptedRuntime::new(NOW);
    runtime.will_name_fee(Nat::from(10u8));
    liabilities::set_canister(runtime.canister_id());
    begins(to);
    happens(examples::moved(3), NOW);
    runtime
}

fn merchant() -> Account {
    Account::from(Principal::from_slice(&[9; 29]))
}

fn state() -> State {
    storage::payments::by_key(&KEY).unwrap().state
}

fn problem() -> RefundProblem {
    match state() {
        State::Refunding { problem, .. } => problem,
        other => panic!("expected a refund that is owed, got {other:?}"),
    }
}

fn refunded_in() -> BlockIndex {
    match state() {
        State::Refunded {
            refund_tx: TxRef::Block(refund_block),
            ..
        } => refund_block,
        other => panic!("expected a refund that is made, got {other:?}"),
    }
}

/// The transfers that the ledger was called for.
fn transfers(runtime: &ScriptedRuntime) -> Vec<TransferArg> {
    let calls = runtime.calls.borrow();
    assert!(calls.iter().all(|call| call.canister == ledger(0).id));
    let transfers = calls.iter().filter(|call| call.method == "icrc1_transfer");
    transfers
        .map(|call| Decode!(&call.argument, TransferArg).unwrap())
        .collect()
}

fn made(runtime: &ScriptedRuntime) -> usize {
    transfers(runtime).len()
}

fn asked(runtime: &ScriptedRuntime, n: usize) -> TransferArg {
    transfers(runtime).remove(n)
}

/// Answers the balance query that precedes a transfer which is not a repetition.
fn covered(runtime: &ScriptedRuntime) {
    let known = liabilities::refund(&KEY).expect("a refund is owed");
    if known.doubt.is_none() {
        runtime.will_reply(Nat::from(1_000_000_000_000u64));
    }
}

fn later(runtime: &ScriptedRuntime, span: Seconds) {
    runtime.now.set(runtime.now().plus(span));
}

/// Does what is due, as the timer does.
async fn step(runtime: &ScriptedRuntime) {
    for key in storage::payments::due(Lane::Refund, runtime.now(), 10) {
        super::step(runtime, &key).await;
    }
}

/// Sets the answer to the next call, and does what is due an hour later.
fn answered(runtime: &ScriptedRuntime, reply: Reply) {
    later(runtime, Seconds(3_600));
    covered(runtime);
    runtime.will_reply(reply);
    run(step(runtime));
}

fn rejected(runtime: &ScriptedRuntime) {
    later(runtime, Seconds(3_600));
    covered(runtime);
    runtime.will(CallOutcome::Rejected {
        code: 4,
        message: "lost".into(),
    });
    run(step(runtime));
}

#[test]
fn should_pay_what_was_paid_to_the_account_that_paid_once() {
    let runtime = owing(merchant());
    answered(&runtime, Ok(Nat::from(9u8)));
    assert_eq!(refunded_in(), BlockIndex(9));
    let payment = storage::payments::by_key(&KEY).unwrap();
    let transfer = asked(&runtime, 0);
    assert_eq!(
        (transfer.to, transfer.from_subaccount),
        (payer(), None),
        "out of the treasury"
    );
    assert_eq!(transfer.amount, Nat::from(payment.amount.0));
    assert_eq!(transfer.fee, Some(Nat::from(10u8)));
    assert_eq!(transfer.created_at_time, Some(runtime.now().0));
    let memo = transfer.memo.unwrap().0.into_vec();
    assert_eq!(memo, refund_memo(&payment.id));
    later(&runtime, Seconds::DAY);
    run(step(&runtime));
    run(super::step(&runtime, &KEY));
    assert_eq!(made(&runtime), 1);
}

#[test]
fn should_pay_out_of_the_account_that_was_paid() {
    let own = Account {
        owner: Principal::from_slice(&ScriptedRuntime::CANISTER),
        subaccount: Some([5; 32]),
    };
    let runtime = owing(own);
    answered(&runtime, Ok(Nat::from(9u8)));
    assert_eq!(asked(&runtime, 0).from_subaccount, Some([5; 32]));
}

/// Found by the simulator: with nothing but two payments in the account, the fee of one refund was taken out of the
/// other.
#[test]
fn should_not_pay_the_fee_with_what_another_payer_is_owed() {
    let own = Account {
        owner: Principal::from_slice(&ScriptedRuntime::CANISTER),
        subaccount: Some([5; 32]),
    };
    let runtime = owing(own);
    let another = ClaimKey([8; 16]);
    let payment = Payment {
        to: own,
        ..examples::payment(2, 2)
    };
    storage::payments::record(&another, examples::begun(payment), NOW).unwrap();
    let ledger = storage::payments::by_key(&KEY).unwrap().ledger;
    let owed = liabilities::owed_by(&ledger, &own).total(Amount(0)).0;
    runtime.will_reply(Nat::from(owed + 9));
    run(step(&runtime));
    assert_eq!(problem(), RefundProblem::InsufficientFunds);
    assert_eq!(made(&runtime), 0, "only the balance was queried");

    later(&runtime, Seconds::DAY);
    runtime.will_reply(Nat::from(owed + 10));
    runtime.will_reply(Reply::Ok(Nat::from(9u8)));
    run(step(&runtime));
    assert_eq!(refunded_in(), BlockIndex(9));
}

#[test]
fn should_ask_the_same_again_when_the_reply_is_lost() {
    let runtime = owing(merchant());
    rejected(&runtime);
    assert_eq!(problem(), RefundProblem::Unclear);
    let duplicate_of = Nat::from(9u8);
    answered(&runtime, Err(TransferError::Duplicate { duplicate_of }));
    assert_eq!(refunded_in(), BlockIndex(9));
    assert_eq!(asked(&runtime, 0), asked(&runtime, 1));
}

/// A trap or an upgrade after the call: the answer is lost.
#[test]
fn should_ask_the_same_again_when_the_callback_never_ends() {
    let runtime = owing(merchant());
    runtime.hold.set(true);
    covered(&runtime);
    {
        let mut lost = pin!(step(&runtime));
        assert_eq!(poll(lost.as_mut()), Poll::Pending);
        run(super::step(&runtime, &KEY));
        assert_eq!(made(&runtime), 1, "one try excludes others");
    }
    runtime.hold.set(false);
    later(&runtime, LOCK);
    runtime.will_reply(Reply::Ok(Nat::from(9u8)));
    run(step(&runtime));
    assert_eq!(refunded_in(), BlockIndex(9));
    assert_eq!(asked(&runtime, 0), asked(&runtime, 1));
}

#[test]
fn should_take_the_new_fee_only_if_nothing_is_in_doubt() {
    let runtime = owing(merchant());
    let bad_fee = |fee: u8| {
        Err(TransferError::BadFee {
            expected_fee: Nat::from(fee),
        })
    };
    answered(&runtime, bad_fee(20));
    assert_eq!(problem(), RefundProblem::Refused);
    assert_eq!(
        storage::ledgers::get(&ledger(0).id).unwrap().fee,
        Amount(20)
    );
    rejected(&runtime);
    let second = asked(&runtime, 1);
    assert_eq!(second.fee, Some(Nat::from(20u8)));
    assert_eq!(second.created_at_time, Some(runtime.now().0));
    // Now the second try may have been made, and a ledger whose fee changed again reports that first.
    for _ in 0..3 {
        answered(&runtime, bad_fee(30));
        let again = asked(&runtime, made(&runtime) - 1);
        assert_eq!(again, second);
    }
    answered(&runtime, Ok(Nat::from(9u8)));
    assert_eq!(refunded_in(), BlockIndex(9));
}

#[test]
fn should_wait_for_an_empty_treasury() {
    let runtime = owing(merchant());
    let empty = || {
        Err(TransferError::InsufficientFunds {
            balance: Nat::from(0u8),
        })
    };
    for _ in 0..3 {
        answered(&runtime, empty());
        assert_eq!(problem(), RefundProblem::InsufficientFunds);
        run(step(&runtime));
    }
    assert_eq!(made(&runtime), 3, "not again at once");
    assert_ne!(asked(&runtime, 0), asked(&runtime, 1));
    answered(&runtime, Ok(Nat::from(9u8)));
    assert_eq!(refunded_in(), BlockIndex(9));
}

/// A ledger that checks the balance before the fee does not report that its fee rose.
#[test]
fn should_learn_a_new_fee_from_a_ledger_that_looks_at_the_balance_first() {
    let runtime = owing(merchant());
    runtime.will_name_fee(Nat::from(25u8));
    answered(
        &runtime,
        Err(TransferError::InsufficientFunds {
            balance: Nat::from(10_010u32),
        }),
    );
    assert_eq!(problem(), RefundProblem::InsufficientFunds);
    assert_eq!(asked(&runtime, 0).fee, Some(Nat::from(10u8)));
    answered(&runtime, Ok(Nat::from(9u8)));
    assert_eq!(asked(&runtime, 1).fee, Some(Nat::from(25u8)));
    assert_eq!(refunded_in(), BlockIndex(9));
}

/// A try that stays in doubt is repeated while the account may hold what others paid. It must be covered from the
/// beginning.
#[test]
fn should_try_no_refund_that_is_not_covered_though_nobody_else_is_owed() {
    let runtime = owing(merchant());
    let owed = storage::payments::by_key(&KEY).unwrap().amount.0 + 10;
    for balance in [0, owed - 1] {
        later(&runtime, Seconds(3_600));
        runtime.will_reply(Nat::from(balance));
        run(step(&runtime));
        assert_eq!(problem(), RefundProblem::InsufficientFunds);
    }
    assert_eq!(made(&runtime), 0);
    later(&runtime, Seconds(3_600));
    runtime.will_reply(Nat::from(owed));
    runtime.will_reply(Reply::Ok(Nat::from(9u8)));
    run(step(&runtime));
    assert_eq!(refunded_in(), BlockIndex(9));
}

#[test]
fn should_not_ask_when_the_ledger_has_forgotten() {
    let runtime = owing(merchant());
    rejected(&runtime);
    later(&runtime, DEDUP_WINDOW);
    later(&runtime, Seconds(1));
    run(step(&runtime));
    assert_eq!((made(&runtime), problem()), (1, RefundProblem::Unclear));
}

#[test]
fn should_book_no_block_that_was_known_before() {
    let runtime = owing(merchant());
    answered(&runtime, Ok(Nat::from(3u8)));
    assert_eq!(problem(), RefundProblem::Unclear);
}

/// Attack 40: a refund answered with the block of a payment, or of another transfer.
#[test]
fn attack_40_the_block_of_another_transfer_is_not_believed() {
    let runtime = owing(merchant());
    let duplicate = |of: u64| {
        Err(TransferError::Duplicate {
            duplicate_of: Nat::from(of),
        })
    };
    let id = ledger(0).id;
    storage::claims::take(&id, BlockIndex(5), Claimant::Withdrawal(NOW), NOW);
    storage::claims::take(&id, BlockIndex(6), Claimant::Payment(8), NOW);
    for reply in [duplicate(3), duplicate(5), Ok(Nat::from(6u8)), duplicate(6)] {
        answered(&runtime, reply);
        assert_eq!(problem(), RefundProblem::Unclear);
    }
    answered(&runtime, duplicate(9));
    assert_eq!(refunded_in(), BlockIndex(9));
    let claimant = storage::claims::of(&id, BlockIndex(9));
    assert_eq!(claimant, Some(Claimant::Refund(0)));
}

fn refund_in_doubt() -> Transfer {
    let payment = storage::payments::by_key(&KEY).unwrap();
    let doubt = liabilities::refund(&KEY).unwrap().doubt.unwrap();
    Transfer {
        memo: refund_memo(&payment.id),
        from: Account::from(Principal::from_slice(&ScriptedRuntime::CANISTER)),
        to: payer(),
        spender: None,
        amount: payment.amount,
        created_at: doubt.created_at,
    }
}

/// The block of the refund that is in doubt, and others.
fn log(blocks: std::ops::Range<u64>, ours: u64, others_at: TimestampNs) -> Vec<(u64, ICRC3Value)> {
    let refund = refund_in_doubt();
    let block_at = |n| match n == ours {
        true => logs::block(&refund),
        false => logs::other_block(others_at),
    };
    blocks.map(|n| (n, block_at(n))).collect()
}

/// `named`: a block that the ledger named before.
fn in_doubt_and_forgotten(named: Option<BlockIndex>) -> ScriptedRuntime {
    let runtime = owing(merchant());
    if let Some(block) = named {
        storage::claims::acknowledge(&ledger(0).id, block);
    }
    let mut with_log = ledger(0);
    with_log.standards.push("ICRC-3".into());
    storage::ledgers::put(&with_log).unwrap();
    rejected(&runtime);
    later(&runtime, Seconds(FORGOTTEN.0 + 1));
    runtime
}

#[test]
fn attack_39_a_log_that_ends_before_a_named_block_makes_no_second_refund() {
    let runtime = in_doubt_and_forgotten(None);
    let id = ledger(0).id;
    storage::claims::take(&id, BlockIndex(6), Claimant::Withdrawal(NOW), NOW);
    runtime.will_reply(logs::reply(4, log(3..4, 99, NOW), vec![]));
    run(step(&runtime));
    assert_eq!(problem(), RefundProblem::Unclear);
    assert!(liabilities::refund(&KEY).unwrap().doubt.is_some());
    later(&runtime, Seconds(3_600));
    runtime.will_reply(logs::reply(8, log(4..8, 5, NOW), vec![]));
    run(step(&runtime));
    assert_eq!((refunded_in(), made(&runtime)), (BlockIndex(5), 1));
}

#[test]
fn attack_39_a_refund_gets_new_terms_when_the_whole_log_lacks_it() {
    let runtime = in_doubt_and_forgotten(None);
    runtime.will_reply(logs::reply(4, log(3..4, 99, NOW), vec![]));
    run(step(&runtime));
    assert_eq!(liabilities::refund(&KEY).unwrap().doubt, None);
}

/// A block that was named too high before the refund was sent: the log has passed it since.
#[test]
fn attack_39_a_block_that_was_named_too_high_hides_no_refund() {
    let runtime = in_doubt_and_forgotten(Some(BlockIndex(100)));
    let now = runtime.now();
    runtime.will_reply(logs::reply(150, log(100..150, 10, now), vec![]));
    runtime.will_reply(logs::reply(150, log(0..50, 10, now), vec![]));
    run(step(&runtime));
    assert_eq!((refunded_in(), made(&runtime)), (BlockIndex(10), 1));
}

#[test]
fn controllers_owe_refunds_of_what_is_settled_and_not_delivered() {
    let runtime = owing(merchant());
    let id = storage::payments::by_key(&KEY).unwrap().id;
    assert_eq!(owe(&runtime, &id), Err(RefundError::NotRefundable));
    let unknown = PaymentId([99; 32]);
    assert_eq!(owe(&runtime, &unknown), Err(RefundError::UnknownPayment));
    runtime.caller.set(Principal::anonymous());
    assert_eq!(
        owe(&runtime, &id),
        Err(RefundError::Unauthorized(Unauthorized))
    );
}

#[test]
fn attack_33_a_refund_that_cannot_be_paid_for_leaves_no_trace() {
    let runtime = owing(Account::from(Principal::from_slice(
        &ScriptedRuntime::CANISTER,
    )));
    let trace = || storage::audit::payments_after(0, 10_000).len();
    let (before, terms) = (trace(), liabilities::refund(&KEY));
    let cycles = runtime.cycles.replace(Default::default());
    for _ in 0..5 {
        later(&runtime, Seconds(3_600));
        run(step(&runtime));
    }
    assert_eq!((trace(), runtime.made()), (before, 0));
    assert_eq!(liabilities::refund(&KEY), terms);
    // A refund in doubt is not repeated either.
    runtime.cycles.set(cycles);
    covered(&runtime);
    runtime.will(CallOutcome::Rejected {
        code: 6,
        message: "lost".into(),
    });
    later(&runtime, Seconds(60));
    run(step(&runtime));
    let (before, terms, made) = (trace(), liabilities::refund(&KEY), runtime.made());
    runtime.cycles.set(Default::default());
    for _ in 0..5 {
        later(&runtime, Seconds(3_600));
        run(step(&runtime));
    }
    assert_eq!((trace(), runtime.made()), (before, made));
    assert_eq!(liabilities::refund(&KEY), terms);
    runtime.cycles.set(cycles);
    answered(&runtime, Ok(Nat::from(9u8)));
    assert_eq!(refunded_in(), BlockIndex(9));
}

mod shared_account;
