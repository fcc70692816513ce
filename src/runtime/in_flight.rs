//! Calls under way, counted for as long as their answers can come.
//!
//! The reply to a call comes back to a raw address in the heap: that of the future that waits for it (`ic-cdk`
//! 0.20, `callback` in `call.rs`), those to itself in which the timer runs included. After an upgrade something else
//! lives there: one payment's answer could be taken for another's. So calls are counted ([`InFlight`]), and
//! `pre_upgrade` refuses to leave any behind ([`nothing_in_flight`]).

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

/// How much later than its deadline the answer to a call can come.
const LATE: Seconds = Seconds(20);

thread_local! {
    static CALLS: RefCell<CallsUnderWay> = RefCell::default();
}

/// Stands for a call, or for what runs in the timer, from before it begins until it is over, however it ends.
#[derive(Debug)]
#[must_use = "what is dropped at once is not counted"]
pub struct InFlight {
    callee: Principal,
    /// How long the answer is waited for.
    patience: Seconds,
}

impl InFlight {
    /// For a call whose answer is waited for so long.
    pub fn begin(callee: Principal, patience: Seconds) -> Self {
        CALLS.with_borrow_mut(|calls| calls.begin(callee));
        Self { callee, patience }
    }

    /// For what the timer's call runs. It waits for nothing but its own calls, which count themselves.
    pub fn tick() -> Self {
        Self::begin(api::canister_self(), Seconds(0))
    }
}

impl Drop for InFlight {
    fn drop(&mut self) {
        let now = TimestampNs(api::time());
        CALLS.with_borrow_mut(|calls| {
            if is_recovering_from_trap() {
                // After a trap everything that waited in the same method is dropped, and the answers come all the same.
                let until = now.plus(Seconds(self.patience.0 + LATE.0));
                calls.lose(self.callee, until, now);
            } else {
                calls.end(self.callee);
            }
        });
    }
}

/// Whether the timer's call to this canister itself is under way.
pub fn timer_runs() -> bool {
    let now = TimestampNs(api::time());
    CALLS.with_borrow(|calls| calls.to(&api::canister_self(), now) > 0)
}

/// How many answers of this canister can come.
pub fn to(callee: &Principal) -> u32 {
    let now = TimestampNs(api::time());
    CALLS.with_borrow(|calls| calls.to(callee, now))
}

/// Whether no reply can come home after this message: the canister is stopped, or nothing is under way.
pub fn nothing_in_flight() -> bool {
    let now = TimestampNs(api::time());
    api::canister_status() == CanisterStatusCode::Stopped
        || CALLS.with_borrow(|calls| calls.none(now))
}
