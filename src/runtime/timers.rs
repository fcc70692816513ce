//! The one timer of the canister. None is set while nothing is due.
//!
//! It is the system's own, not that of `ic-cdk-timers`, because of two situations in which that one fails:
//! - While the canister has fewer cycles than a call takes, `ic-cdk-timers` 1.0 tries again in every round, and each
//!   try costs five million cycles until none are left ([`LOW_CYCLES_PAUSE`] here).
//! - The system drops a timer that is due while the canister is frozen. `ic-cdk-timers` continues as if it were set
//!   ([`LOST`] here).
//!
//! The work runs in a call to this canister itself, so that a trap undoes that call, but not the setting of the next
//! timer ([`SAFETY_NET`]). An upgrade drops timers: `post_upgrade` has to set it again.

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

/// The shortest time from setting to firing: each firing costs cycles (`recovery.cycles` of `scripts/bench`).
const SHORTEST: Seconds = Seconds(5);
/// The longest time from setting to firing: work that is due later is checked once a day until then.
const LONGEST: Seconds = Seconds(86_400);
/// A timer that is late by more than this was dropped.
const LOST: Seconds = Seconds(60);
/// The pause while there are too few cycles for the timer's call and one that it makes.
const LOW_CYCLES_PAUSE: Seconds = Seconds(300);
/// The work sets the time of the next firing itself. If it traps, it runs again after this.
const SAFETY_NET: Seconds = Seconds(60);
/// How long the end of the work is waited for: as long as the system allows.
pub(super) const PATIENCE_SECONDS: u32 = 300;

/// The longest name of a method that is called in a ledger.
const LONGEST_METHOD: u64 = 32;
/// The longest argument of such a method.
const LONGEST_ARGUMENT: u64 = MAX_ARGUMENT_BYTES as u64;

thread_local! {
    /// The time for which the system's timer is set.
    static SET: Cell<Option<TimestampNs>> = const { Cell::new(None) };
    /// Work is to continue in the next round.
    static SOON: Cell<bool> = const { Cell::new(false) };
}

/// Sets the timer for this time, or as soon after it as possible, and for no other; `None`: not at all.
pub fn wake(at: Option<TimestampNs>) {
    let now = TimestampNs(api::time());
    let at = if SOON.get() { Some(now) } else { at };
    let shortest = match (lacks_cycles(timer_runs()), SOON.get()) {
        (true, _) => LOW_CYCLES_PAUSE,
        (false, true) => Seconds(0),
        (false, false) => SHORTEST,
    };
    if let Some(change) = change(now, SET.get(), at, shortest) {
        set(change);
    }
}

/// Sets the timer for the next round.
pub fn wake_soon() {
    SOON.set(true);
    wake(None);
}

/// Called when the system's timer fires.
pub fn fire() {
    SET.set(None);
    let now = TimestampNs(api::time());
    if lacks_cycles(false) {
        set(Some(now.plus(LOW_CYCLES_PAUSE)));
        return;
    }
    set(Some(now.plus(SAFETY_NET)));
    SOON.set(false);
    let in_flight = InFlight::begin(api::canister_self(), Seconds(PATIENCE_SECONDS));
    ic_cdk::futures::spawn(async move {
        let _until_the_end = in_flight;
        // The work ended, continues without a waiting caller, or trapped: nothing is left to do here.
        let _ = Call::bounded_wait(api::canister_self(), METHOD)
            .change_timeout(PATIENCE_SECONDS)
            .await;
    });
}

/// Whether there are too few cycles for the work: the timer's call holds back its cost while a ledger is called. Work
/// for the next round calls no ledger. `held`: the timer's call is in flight, so its cost is held back already, and is
/// returned.
fn lacks_cycles(held: bool) -> bool {
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

/// The time for which the timer has to be set, if it has to be changed at all.
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
    // A timer for work that is due stays: setting it repeatedly must not postpone it for ever.
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
        // Overdue: soon, and setting it again does not postpone it.
        assert_eq!(change(None, Some(s(900))), Some(Some(s(1_005))));
        assert_eq!(change(Some(s(1_003)), Some(s(900))), None);
        // A timer that should have fired long ago was dropped.
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
        // Work without a ledger call needs only the timer's own call, which is held back while it runs.
        assert!(!with(899, own, None) && with(900, own, None));
        assert!(!with(1_799, None, ledger) && with(1_800, None, ledger));
    }

    #[test]
    fn without_cycles_for_a_call_the_timer_waits_longer() {
        let change = |set, at| change(s(1_000), set, at, LOW_CYCLES_PAUSE);
        assert_eq!(change(None, Some(s(900))), Some(Some(s(1_300))));
        assert_eq!(change(Some(s(1_250)), Some(s(900))), None);
        assert_eq!(change(None, Some(s(2_000))), Some(Some(s(2_000))));
    }
}
