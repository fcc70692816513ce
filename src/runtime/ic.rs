//! The Internet Computer.
//!
//! The reply to a call comes back to a raw address in the heap: that of the future that waits for it (`ic-cdk`
//! 0.20, `callback` in `call.rs`), and for the call to itself in which each timer runs, that of the timer
//! (`ic-cdk-timers` 1.0, `timer_scope_callback` in `global_timer.rs`). After an upgrade something else lives there:
//! one payment's answer could be taken for another's. So calls are counted ([`InFlight`]), and `pre_upgrade` refuses
//! to leave any behind ([`nothing_in_flight`]).

use crate::{
    domain::settlement::CallOutcome,
    runtime::{CALL_TIMEOUT_SECONDS, Runtime, timers},
    types::{Cycles, Seconds, TimestampNs},
};
use candid::Principal;
use ic_cdk::{
    api::{self, CanisterStatusCode},
    call::{Call, CallFailed},
    futures::is_recovering_from_trap,
};
use std::cell::Cell;

/// How long after the end of its task a timer's call may still be on its way home.
const HOMECOMING: Seconds = Seconds(10);
/// How long the answer to a call can come after a trap that nobody waits for any more.
const LOST_CALL: Seconds = Seconds(CALL_TIMEOUT_SECONDS + 20);

thread_local! {
    static UNDER_WAY: Cell<u32> = const { Cell::new(0) };
    static ON_THE_WAY_UNTIL: Cell<TimestampNs> = const { Cell::new(TimestampNs(0)) };
}

/// Stands for a call, or for the task of a timer, from before it begins until it is over, however it ends.
pub struct InFlight {
    timer: bool,
}

impl InFlight {
    fn begin(timer: bool) -> Self {
        UNDER_WAY.set(UNDER_WAY.get().saturating_add(1));
        Self { timer }
    }

    /// For what runs in a timer, from when it is set or begins.
    #[must_use]
    pub fn timer() -> Self {
        Self::begin(true)
    }
}

impl Drop for InFlight {
    fn drop(&mut self) {
        UNDER_WAY.set(UNDER_WAY.get().saturating_sub(1));
        // After a trap what waited is dropped, and the answers come all the same.
        let on_the_way = match (is_recovering_from_trap(), self.timer) {
            (true, _) => LOST_CALL,
            (false, true) => HOMECOMING,
            (false, false) => return,
        };
        let until = TimestampNs(api::time()).plus(on_the_way);
        ON_THE_WAY_UNTIL.set(until.max(ON_THE_WAY_UNTIL.get()));
    }
}

/// Whether no reply can come home after this message: the canister is stopped, or nothing is under way, and no timer
/// has just ended or is about to begin.
pub fn nothing_in_flight() -> bool {
    let now = TimestampNs(api::time());
    api::canister_status() == CanisterStatusCode::Stopped
        || UNDER_WAY.get() == 0 && now > ON_THE_WAY_UNTIL.get() && !timers::due(now)
}

/// The system this canister runs on.
#[derive(Clone, Copy, Debug, Default)]
pub struct IcRuntime;

impl Runtime for IcRuntime {
    fn now(&self) -> TimestampNs {
        TimestampNs(api::time())
    }

    fn caller(&self) -> Principal {
        api::msg_caller()
    }

    fn is_controller(&self, principal: &Principal) -> bool {
        api::is_controller(principal)
    }

    fn canister_id(&self) -> Principal {
        api::canister_self()
    }

    fn cycles_balance(&self) -> Cycles {
        Cycles(api::canister_cycle_balance())
    }

    fn root_key(&self) -> Vec<u8> {
        api::root_key()
    }

    fn wake(&self, at: Option<TimestampNs>) {
        #[cfg(feature = "traps")]
        if UNDER_WAY.get() > 0 {
            trap_now_and_then("at the end");
        }
        if let Some(at) = timers::wake(self.now(), at) {
            let before = api::global_timer_set(at.0);
            if before != 0 && before < at.0 {
                // Something else comes first; the one after it is set when that fires.
                api::global_timer_set(before);
            }
        }
    }

    async fn call(&self, canister: Principal, method: &str, argument: Vec<u8>) -> CallOutcome {
        if api::canister_status() != CanisterStatusCode::Running {
            // One call after the other could hold up the stop for long.
            return CallOutcome::NotSent("the canister is being stopped".into());
        }
        let _in_flight = InFlight::begin(false);
        #[cfg(feature = "traps")]
        trap_now_and_then("before a call");
        let call = Call::bounded_wait(canister, method)
            .change_timeout(CALL_TIMEOUT_SECONDS)
            .take_raw_args(argument);
        let answer = call.await;
        #[cfg(feature = "traps")]
        trap_now_and_then("after a call");
        match answer {
            Ok(response) => CallOutcome::Reply(response.into_bytes()),
            Err(CallFailed::InsufficientLiquidCycleBalance(_)) => {
                CallOutcome::NotSent("this canister has too few cycles for the call".into())
            }
            Err(CallFailed::CallPerformFailed(_)) => {
                CallOutcome::NotSent("too many calls are under way".into())
            }
            Err(CallFailed::CallRejected(rejected)) => CallOutcome::Rejected {
                code: rejected.raw_reject_code(),
                message: rejected.reject_message().to_string(),
            },
        }
    }
}

/// Ends one message of six as running out of instructions would: whatever it did is undone.
#[cfg(feature = "traps")]
fn trap_now_and_then(place: &str) {
    let mix = |seed: u64| (seed ^ seed >> 31).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    let mixed = mix(mix(api::time()) ^ api::instruction_counter());
    assert!((mixed >> 32) % 6 != 0, "trapped for a test, {place}");
}
