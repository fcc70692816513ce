//! The one timer of the canister: none while nothing is due.
//!
//! It is the system's own, not that of `ic-cdk-timers`, for the sake of two hours in which that one fails:
//! - While the canister has fewer cycles than a call takes, `ic-cdk-timers` 1.0 tries again in every round,
//!   and each try costs five million cycles until nothing is left ([`POOR`] here).
//! - The system drops a timer that comes due while the canister is frozen. `ic-cdk-timers` goes on believing
//!   that it is set ([`LOST`] here).
//!
//! What runs when it fires runs in a call to this canister itself, so that a trap undoes what that call did
//! and not that the timer is set again ([`SAFETY_NET`]).
//! An upgrade forgets timers: `post_upgrade` has to ask to be woken again.

use crate::{
    domain::block_log::MAX_ARGUMENT_BYTES,
    runtime::{
        in_flight::{InFlight, timer_runs},
        with_spare,
    },
    types::{Cycles, Seconds, TimestampNs},
};
use ic_cdk::{api, call::Call};
use std::cell::Cell;

/// The method that runs when the timer fires; only this canister may call it.
pub const METHOD: &str = "__tick";

/// The shortest time from asking to firing: a firing costs about 15 million cycles.
const SHORTEST: Seconds = Seconds(5);
/// The longest: what is due later is looked at once a day until then.
const LONGEST: Seconds = Seconds(86_400);
/// A timer that is late by more than this does not come any more.
const LOST: Seconds = Seconds(60);
/// While there are too few cycles for the timer's call and one that it makes, nothing can be done but to look again
/// after this.
const POOR: Seconds = Seconds(300);
/// What runs says itself when the next firing is to be. If it traps, it is run again after this.
const SAFETY_NET: Seconds = Seconds(60);
/// How long the end of what runs is waited for: as long as the system allows.
pub(super) const PATIENCE_SECONDS: u32 = 300;

/// No method that is called in a ledger has a longer name.
const LONGEST_METHOD: u64 = 32;
/// Nor has one a longer argument.
const LONGEST_ARGUMENT: u64 = MAX_ARGUMENT_BYTES as u64;

thread_local! {
    /// For when the system's timer is set.
    static SET: Cell<Option<TimestampNs>> = const { Cell::new(None) };
    /// Something wants to go on in the next round.
    static SOON: Cell<bool> = const { Cell::new(false) };
}

/// Sets the timer for this time, or as soon after it as can be, and for no other; without a time, not at all.
pub fn wake(at: Option<TimestampNs>) {
    let now = TimestampNs(api::time());
    let at = if SOON.get() { Some(now) } else { at };
    let shortest = match (poor(timer_runs()), SOON.get()) {
        (true, _) => POOR,
        (false, true) => Seconds(0),
        (false, false) => SHORTEST,
    };
    if let Some(change) = change(now, SET.get(), at, shortest) {
        set(change);
    }
}

/// Has the timer fire in the next round.
pub fn wake_soon() {
    SOON.set(true);
    wake(None);
}

/// To be run by the system's timer.
pub fn fire() {
    SET.set(None);
    let now = TimestampNs(api::time());
    if poor(false) {
        set(Some(now.plus(POOR)));
        return;
    }
    set(Some(now.plus(SAFETY_NET)));
    SOON.set(false);
    let in_flight = InFlight::begin(api::canister_self(), Seconds(PATIENCE_SECONDS));
    ic_cdk::futures::spawn(async move {
        let _until_the_end = in_flight;
        // It is over, or goes on without anybody who waits, or trapped: nothing is to be done here.
        let _ = Call::bounded_wait(api::canister_self(), METHOD)
            .change_timeout(PATIENCE_SECONDS)
            .await;
    });
}

/// Whether there are too few cycles for what is to run: the timer's call holds back what it takes while a ledger is
/// asked. What wants to go on in the next round asks nobody. `held`: the timer's call is under way, so that what it
/// takes is held back already, and comes back.
fn poor(held: bool) -> bool {
    let own = || Cycles(api::cost_call(METHOD.len() as u64, 8));
    let of_ledger = || Cycles(api::cost_call(LONGEST_METHOD, LONGEST_ARGUMENT));
    let liquid = Cycles(api::canister_liquid_cycle_balance());
    !enough(liquid, (!held).then(own), (!SOON.get()).then(of_ledger))
}

/// Whether there are cycles for the timer's call and for one to a ledger, as far as they are to be made.
fn enough(liquid: Cycles, own: Option<Cycles>, of_ledger: Option<Cycles>) -> bool {
    let calls = own.into_iter().chain(of_ledger);
    let needed = calls.fold(0_u128, |sum, cost| sum.saturating_add(with_spare(cost).0));
    liquid.0 >= needed
}

fn set(at: Option<TimestampNs>) {
    SET.set(at);
    api::global_timer_set(at.unwrap_or_default().0);
}

/// For when the timer has to be set, if it has to be set anew at all.
fn change(
    now: TimestampNs,
    set: Option<TimestampNs>,
    at: Option<TimestampNs>,
    shortest: Seconds,
) -> Option<Option<TimestampNs>> {
    let Some(at) = at else {
        return set.is_some().then_some(None);
    };
    let target = at.max(now.plus(shortest)).min(now.plus(LONGEST));
    // What is due already stays due: asking again and again must not put it off for ever.
    let stands = set.is_some_and(|set| at <= set && set <= target && now <= set.plus(LOST));
    (!stands).then_some(Some(target))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn s(seconds: u64) -> TimestampNs {
        TimestampNs::from_seconds(seconds)
    }

    #[test]
    fn the_timer_is_set_for_the_first_thing_that_is_due() {
        let change = |set, at| change(s(1_000), set, at, SHORTEST);
        assert_eq!(change(None, None), None);
        assert_eq!(change(Some(s(1_100)), None), Some(None));
        assert_eq!(change(None, Some(s(1_100))), Some(Some(s(1_100))));
        assert_eq!(change(Some(s(1_100)), Some(s(1_100))), None);
        assert_eq!(change(Some(s(1_100)), Some(s(1_200))), Some(Some(s(1_200))));
        assert_eq!(change(Some(s(1_100)), Some(s(1_050))), Some(Some(s(1_050))));
        assert_eq!(
            change(None, Some(s(999_999))),
            Some(Some(s(1_000 + 86_400)))
        );
        // Overdue: soon, and asking again does not put it off.
        assert_eq!(change(None, Some(s(900))), Some(Some(s(1_005))));
        assert_eq!(change(Some(s(1_003)), Some(s(900))), None);
        // What should have come long ago comes no more.
        assert_eq!(change(Some(s(950)), Some(s(900))), None);
        assert_eq!(change(Some(s(930)), Some(s(900))), Some(Some(s(1_005))));
    }

    #[test]
    fn the_timer_runs_only_with_cycles_for_its_own_call_and_one_to_a_ledger() {
        let (own, ledger) = (Some(Cycles(800)), Some(Cycles(1_600)));
        let with = |liquid, own, of_ledger| enough(Cycles(liquid), own, of_ledger);
        for liquid in [0, 899, 900, 1_800, 2_699] {
            assert!(!with(liquid, own, ledger), "{liquid}");
        }
        assert!(with(2_700, own, ledger));
        // What asks no ledger needs its own call only, and that is held back while it runs.
        assert!(!with(899, own, None) && with(900, own, None));
        assert!(!with(1_799, None, ledger) && with(1_800, None, ledger));
    }

    #[test]
    fn without_cycles_for_a_call_the_timer_is_in_no_hurry() {
        let change = |set, at| change(s(1_000), set, at, POOR);
        assert_eq!(change(None, Some(s(900))), Some(Some(s(1_300))));
        assert_eq!(change(Some(s(1_250)), Some(s(900))), None);
        assert_eq!(change(None, Some(s(2_000))), Some(Some(s(2_000))));
    }
}
