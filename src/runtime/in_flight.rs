//! Calls in flight, counted for as long as their replies can arrive.
//!
//! The reply to a call comes back to a raw address in the heap: that of the future that waits for it (`ic-cdk` 0.20,
//! `callback` in `call.rs`). That includes the timer's calls to the canister itself. After an upgrade this address
//! holds other data, and one payment's reply could be taken for another's. Calls are therefore counted ([`InFlight`]),
//! and `pre_upgrade` refuses to leave any in flight ([`nothing_in_flight`]).

use crate::{
    runtime::calls::CallsUnderWay,
    types::{Seconds, TimestampNs},
};
use candid::Principal;
use ic_cdk::{
    api::{self, CanisterStatusCode},
    futures::is_recovering_from_trap,
};
use std::cell::RefCell;

/// How long after its deadline the reply to a call can arrive.
const LATE: Seconds = Seconds(20);

thread_local! {
    static CALLS: RefCell<CallsUnderWay> = RefCell::default();
}

/// Counts a call, or the work that the timer started, from its beginning to its end, in whatever way it ends.
#[derive(Debug)]
#[must_use = "what is dropped at once is not counted"]
pub struct InFlight {
    callee: Principal,
    /// How long the reply is waited for.
    patience: Seconds,
}

impl InFlight {
    /// Counts a call whose reply is waited for this long.
    pub fn begin(callee: Principal, patience: Seconds) -> Self {
        CALLS.with_borrow_mut(|calls| calls.begin(callee));
        Self { callee, patience }
    }

    /// Counts the work of the timer's call. It waits only for its own calls, which are counted themselves.
    pub fn tick() -> Self {
        Self::begin(api::canister_self(), Seconds(0))
    }
}

impl Drop for InFlight {
    fn drop(&mut self) {
        let now = TimestampNs(api::time());
        CALLS.with_borrow_mut(|calls| {
            if is_recovering_from_trap() {
                // After a trap everything that waited in the same method is dropped, and the replies still arrive.
                let until = now.plus(Seconds(self.patience.0 + LATE.0));
                calls.lose(self.callee, until, now);
            } else {
                calls.end(self.callee);
            }
        });
    }
}

/// Whether the timer's call to this canister itself is in flight.
pub fn timer_runs() -> bool {
    let now = TimestampNs(api::time());
    CALLS.with_borrow(|calls| calls.to(&api::canister_self(), now) > 0)
}

/// The replies of this canister that can still arrive.
pub fn to(callee: &Principal) -> u32 {
    let now = TimestampNs(api::time());
    CALLS.with_borrow(|calls| calls.to(callee, now))
}

/// Whether no reply can arrive after this message: the canister is stopped, or nothing is in flight.
pub fn nothing_in_flight() -> bool {
    let now = TimestampNs(api::time());
    api::canister_status() == CanisterStatusCode::Stopped
        || CALLS.with_borrow(|calls| calls.none(now))
}
