//! The one timer of the canister: none while nothing is due, and never more than one.
//!
//! An interval timer, although each firing replaces it: it is replaced in the message that it fires, so
//! when that message traps, everything it did is undone, the replacement too, and the interval goes on.
//! (A one-shot timer of `ic-cdk-timers` 1.0 is gone after a trap. An interval is put back before the
//! task runs, in a call of its own; see `global_timer.rs` there, step 7.)
//! An upgrade forgets timers: `post_upgrade` has to call [`on_tick`] and to ask to be woken again.

use crate::types::{Seconds, TimestampNs};
use ic_cdk_timers::{TimerId, clear_timer, set_timer_interval};
use std::{
    cell::{Cell, RefCell},
    future::Future,
    pin::Pin,
    time::Duration,
};

/// What runs when the timer fires.
pub type Tick = fn() -> Pin<Box<dyn Future<Output = ()>>>;

/// The shortest time from asking to firing: a firing costs about 15 million cycles.
const SHORTEST: Duration = Duration::from_secs(5);
/// The longest: what is due later is looked at once a day until then.
const LONGEST: Duration = Duration::from_secs(86_400);
/// A timer that is late by more than this does not come any more.
const LOST: Seconds = Seconds(60);

thread_local! {
    static TICK: Cell<Option<Tick>> = const { Cell::new(None) };
    static ARMED: RefCell<Option<(TimestampNs, TimerId)>> = const { RefCell::new(None) };
}

/// Says what runs when the timer fires; for `init` and `post_upgrade`.
pub fn on_tick(tick: Tick) {
    TICK.set(Some(tick));
}

/// Arms the timer for this time, and for no other; without a time, disarms it. Returns the time for which
/// it was armed just now.
///
/// The caller has to see to it that the system's own timer fires then: the system drops a timer that comes
/// due while the canister is frozen, and `ic-cdk-timers` 1.0 goes on believing that it is set, so that it
/// sets no later one (`update_ic0_timer` in its `state.rs`). When it fires, both agree again.
#[must_use]
pub fn wake(now: TimestampNs, at: Option<TimestampNs>) -> Option<TimestampNs> {
    let (Some(at), Some(tick)) = (at, TICK.get()) else {
        disarm();
        return None;
    };
    let wait = Duration::from_nanos(at.0.saturating_sub(now.0)).clamp(SHORTEST, LONGEST);
    let target = TimestampNs(now.0.saturating_add(wait.as_nanos() as u64));
    // What is due already stays due: asking again and again must not put it off for ever.
    let stands = |armed: TimestampNs| {
        let lost = now > armed.plus(LOST);
        at <= armed && armed <= target && !lost
    };
    if ARMED.with_borrow(|armed| armed.is_some_and(|(armed, _)| stands(armed))) {
        return None;
    }
    disarm();
    let id = set_timer_interval(wait, move || async move {
        disarm();
        tick().await;
    });
    ARMED.set(Some((target, id)));
    Some(target)
}

/// Whether the timer should have fired, so that its task may be about to begin.
pub fn due(now: TimestampNs) -> bool {
    ARMED.with_borrow(|armed| armed.is_some_and(|(at, _)| at <= now))
}

fn disarm() {
    if let Some((_, id)) = ARMED.take() {
        clear_timer(id);
    }
}
