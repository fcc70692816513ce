//! The Internet Computer.
//!
//! The reply to a call comes back to a raw address in the heap: that of the future that waits for it (`ic-cdk`
//! 0.20, `callback` in `call.rs`), those to itself in which the timer runs included. After an upgrade something else
//! lives there: one payment's answer could be taken for another's. So calls are counted ([`InFlight`]), and
//! `pre_upgrade` refuses to leave any behind ([`nothing_in_flight`]).

use crate::{
    domain::settlement::CallOutcome,
    runtime::{CALL_TIMEOUT_SECONDS, Runtime, calls::CallsUnderWay, timers},
    types::{Cycles, Seconds, TimestampNs},
};
use candid::Principal;
use ic_cdk::{
    api::{self, CanisterStatusCode},
    call::{Call, CallFailed},
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
    fn begin(callee: Principal, patience: Seconds) -> Self {
        CALLS.with_borrow_mut(|calls| calls.begin(callee));
        Self { callee, patience }
    }

    /// For the timer's call to this canister itself.
    pub fn timer() -> Self {
        Self::begin(api::canister_self(), Seconds(timers::PATIENCE_SECONDS))
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
pub(super) fn timer_runs() -> bool {
    let now = TimestampNs(api::time());
    CALLS.with_borrow(|calls| calls.to(&api::canister_self(), now) > 0)
}

/// Whether no reply can come home after this message: the canister is stopped, or nothing is under way.
pub fn nothing_in_flight() -> bool {
    let now = TimestampNs(api::time());
    api::canister_status() == CanisterStatusCode::Stopped
        || CALLS.with_borrow(|calls| calls.none(now))
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

    fn liquid_cycles(&self) -> Cycles {
        Cycles(api::canister_liquid_cycle_balance())
    }

    fn call_cost(&self, method: &str, argument_bytes: usize) -> Cycles {
        Cycles(api::cost_call(method.len() as u64, argument_bytes as u64))
    }

    fn calls_to(&self, canister: &Principal) -> u32 {
        CALLS.with_borrow(|calls| calls.to(canister, self.now()))
    }

    fn root_key(&self) -> Vec<u8> {
        api::root_key()
    }

    fn wake(&self, at: Option<TimestampNs>) {
        timers::wake(at);
    }

    fn wake_soon(&self) {
        timers::wake_soon();
    }

    fn set_certified_data(&self, root_hash: &[u8; 32]) {
        api::certified_data_set(root_hash);
    }

    fn data_certificate(&self) -> Option<Vec<u8>> {
        api::data_certificate()
    }

    async fn call(&self, canister: Principal, method: &str, argument: Vec<u8>) -> CallOutcome {
        if api::canister_status() != CanisterStatusCode::Running {
            // One call after the other could hold up the stop for long.
            return CallOutcome::NotSent("the canister is being stopped".into());
        }
        let _in_flight = InFlight::begin(canister, Seconds(CALL_TIMEOUT_SECONDS));
        let call = Call::bounded_wait(canister, method)
            .change_timeout(CALL_TIMEOUT_SECONDS)
            .take_raw_args(argument);
        match call.await {
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
