//! Attacks with withdrawals.

use super::*;

#[test]
fn attack_33_a_withdrawal_that_cannot_be_paid_for_leaves_no_trace() {
    let runtime = set_up();
    let trace = || storage::audit::admin_after(0, 10_000).len();
    let wanted = named(900, 0);
    let before = trace();
    // Cycles for the query before it. While that is in flight, the rest is spent.
    let one = ScriptedRuntime::CALL_COST;
    let cycles = runtime.cycles.replace(one);
    has(&runtime, 1_000);
    let refused = run(withdraw(&runtime, wanted));
    let Err(WithdrawError::NotMoved { problem }) = refused else {
        panic!("expected that nothing moved, got {refused:?}");
    };
    assert_eq!(
        problem,
        "the canister has too few cycles for the call at present, or too many calls to that ledger are under way"
    );
    assert_eq!((trace(), transfers(&runtime).len()), (before, 0));
    assert_eq!(withdrawals::get(&wanted.ledger, NOW), None);
    // A withdrawal in doubt is not repeated either.
    runtime.cycles.set(cycles);
    has(&runtime, 1_000);
    lost(&runtime);
    let unknown = Err(WithdrawError::Unknown { created_at: NOW });
    assert_eq!(run(withdraw(&runtime, wanted)), unknown);
    let (before, terms) = (trace(), withdrawals::get(&wanted.ledger, NOW));
    runtime.now.set(NOW.plus(Seconds(600)));
    runtime.cycles.set(one);
    assert_eq!(run(withdraw(&runtime, wanted)), unknown);
    assert_eq!((trace(), transfers(&runtime).len()), (before, 1));
    assert_eq!(withdrawals::get(&wanted.ledger, NOW), terms);
    runtime.cycles.set(cycles);
    runtime.will_reply(Reply::Ok(Nat::from(7u8)));
    assert_eq!(run(withdraw(&runtime, wanted)), Ok(BlockIndex(7)));
}

/// Attack 40: a withdrawal answered with the block of another transfer.
#[test]
fn attack_40_the_block_of_another_transfer_is_not_believed() {
    let (runtime, _) = first_of_two();
    let id = ledger(0).id;
    let claimed = storage::claims::of(&id, BlockIndex(7));
    assert_eq!(claimed, Some(Claimant::Withdrawal(NOW)));
    storage::claims::take(&id, BlockIndex(9), Claimant::Payment(4), NOW);
    let (second, created_at) = (named(10, 5), NOW.plus(Seconds(5)));
    has(&runtime, 1_000);
    for of in [7u8, 9, 7, 8] {
        runtime.now.set(runtime.now.get().plus(LOCK));
        let duplicate_of = Nat::from(of);
        runtime.will_reply(Reply::Err(TransferError::Duplicate { duplicate_of }));
        let result = run(withdraw(&runtime, second));
        match of {
            8 => assert_eq!(result, Ok(BlockIndex(8))),
            _ => assert_eq!(result, Err(WithdrawError::Unknown { created_at })),
        }
    }
}
