//! Section B: cycles attached to calls, accepted, refunded, kept and lost.

use crate::support::*;
use candid::Principal;
use pocket_ic::{ErrorCode, RejectCode};
use torture::program::{Op, call_run};

const ATTACHED: u128 = 10_000_000;

/// What a callee running `program` leaves of [`ATTACHED`]: the refund, as the caller sees it.
fn refund(caller: &Canister, callee: Principal, program: &[Op]) -> u128 {
    let answer = caller.run(&[call_run(callee, program)
        .cycles(ATTACHED)
        .on_reply(vec![Op::CyclesRefunded, Op::Reply])
        .on_reject(vec![Op::CyclesRefunded, Op::Reply])
        .op()]);
    u128_at(&answer, 0)
}

fn accept(amount: u128, rest: Op) -> Vec<Op> {
    vec![Op::CyclesAccept(amount), rest]
}

#[test]
fn unaccepted_cycles_are_refunded() {
    let pic = two_subnets();
    let caller = Canister::torture_on(&pic, 0);
    for subnet in [0, 1] {
        let callee = Canister::torture_on(&pic, subnet).id;
        assert_eq!(
            refund(&caller, callee, &accept(3_000_000, Op::Reply)),
            7_000_000
        );
        assert_eq!(refund(&caller, callee, &accept(u128::MAX, Op::Reply)), 0);
        assert_eq!(refund(&caller, callee, &[Op::Reply]), ATTACHED, "ignored");
    }
}

#[test]
fn cycles_accepted_before_a_trap_are_refunded() {
    let pic = one_subnet();
    let (caller, callee) = (Canister::torture(&pic), Canister::torture(&pic));
    let program = accept(3_000_000, Op::Trap("no".into()));
    assert_eq!(refund(&caller, callee.id, &program), ATTACHED);
}

#[test]
fn cycles_accepted_before_a_reject_are_kept() {
    let pic = one_subnet();
    let (caller, callee) = (Canister::torture(&pic), Canister::torture(&pic));
    let program = accept(4_000_000, Op::Reject("no".into()));
    assert_eq!(refund(&caller, callee.id, &program), 6_000_000);
}

#[test]
fn cycles_accepted_before_an_await_are_kept_when_the_callback_traps() {
    let pic = one_subnet();
    let (caller, callee) = (Canister::torture(&pic), Canister::torture(&pic));
    let program = accept(
        4_000_000,
        call_run(callee.id, &[Op::Reply])
            .on_reply(vec![Op::CyclesAccept(1_000_000), Op::Trap("late".into())])
            .op(),
    );
    assert_eq!(refund(&caller, callee.id, &program), 6_000_000);
}

#[test]
fn accepted_cycles_arrive_and_available_ones_shrink() {
    let pic = one_subnet();
    let (caller, callee) = (Canister::torture(&pic), Canister::torture(&pic));
    let program = [
        Op::Balance,
        Op::CyclesAvailable,
        Op::CyclesAccept(4_000_000),
        Op::CyclesAvailable,
        Op::CyclesAccept(u128::MAX),
        Op::CyclesAvailable,
        Op::Balance,
        Op::Reply,
    ];
    let answer = caller.run(&[call_run(callee.id, &program)
        .cycles(ATTACHED)
        .forward()
        .op()]);
    let values: Vec<u128> = (0..7).map(|i| u128_at(&answer, 16 * i)).collect();
    assert_eq!(
        values[1..6],
        [10_000_000, 4_000_000, 6_000_000, 6_000_000, 0]
    );
    assert_eq!(values[6] - values[0], ATTACHED);
}

#[test]
fn ingress_messages_carry_no_cycles() {
    let pic = one_subnet();
    let canister = Canister::torture(&pic);
    let answer = canister.run(&[Op::CyclesAvailable, Op::CyclesAccept(1), Op::Reply]);
    assert_eq!((u128_at(&answer, 0), u128_at(&answer, 16)), (0, 0));
}

#[test]
fn attached_cycles_leave_the_caller_and_refunds_return() {
    let pic = one_subnet();
    let (caller, callee) = (Canister::torture(&pic), Canister::torture(&pic));
    let trillion = 1_000_000_000_000;
    let program = [Op::CyclesAccept(3 * trillion), Op::Reply];
    let call = call_run(callee.id, &program)
        .cycles(10 * trillion)
        .forward();
    let before = callee.cycles();
    let spent = caller.cost(|c| c.run(&[call.op()]));
    // What is left over are the fees of both.
    assert!(
        (3 * trillion..3 * trillion + 100_000_000).contains(&spent),
        "{spent}"
    );
    let gained = callee.cycles() - before;
    assert!(
        (3 * trillion - 100_000_000..3 * trillion).contains(&gained),
        "{gained}"
    );
}

#[test]
fn attaching_more_than_the_balance_traps() {
    let pic = one_subnet();
    let canister = Canister::torture(&pic);
    let call = call_run(canister.id, &[Op::Reply]).cycles(2 * START_CYCLES);
    expect_reject(
        canister.try_run(&[call.op(), Op::Reply]),
        RejectCode::CanisterError,
        ErrorCode::CanisterContractViolation,
    );
}

#[test]
fn burnt_cycles_are_gone() {
    let pic = one_subnet();
    let canister = Canister::torture(&pic);
    let answer = canister.run(&[
        Op::Balance,
        Op::CyclesBurn(5_000_000_000),
        Op::Balance,
        Op::Reply,
    ]);
    assert_eq!(u128_at(&answer, 16), 5_000_000_000);
    assert_eq!(u128_at(&answer, 0) - u128_at(&answer, 32), 5_000_000_000);
}

#[test]
fn liquid_balance_leaves_out_the_freezing_reserve() {
    let pic = one_subnet();
    let canister = Canister::torture(&pic);
    let answer = canister.run(&[Op::Balance, Op::LiquidBalance, Op::Reply]);
    let (balance, liquid) = (u128_at(&answer, 0), u128_at(&answer, 16));
    assert!(liquid < balance, "{liquid} < {balance}");
    assert!(balance - liquid < START_CYCLES / 100, "{liquid}, {balance}");
}
