//! The Internet Computer.
//!
//! The reply to a call comes back to a raw address in the heap: that of the future that waits for it (`ic-cdk`
//! 0.20, `callback` in `call.rs`), those to itself in which the timer runs included. After an upgrade something else
//! lives there: one payment's answer could be taken for another's. So calls are counted ([`InFlight`]), and
//! `pre_upgrade` refuses to leave any behind ([`nothing_in_flight`]).

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
use std::{
    cell::{Cell, RefCell},
    collections::BTreeMap,
};

/// How long the answer to a call can come after a trap that nobody waits for any more.
const LOST_CALL: Seconds = Seconds(CALL_TIMEOUT_SECONDS + 20);

thread_local! {
    static UNDER_WAY: Cell<u32> = const { Cell::new(0) };
    static ON_THE_WAY_UNTIL: Cell<TimestampNs> = const { Cell::new(TimestampNs(0)) };
    /// How many calls wait for each canister.
    static WAITING: RefCell<BTreeMap<Principal, u32>> = const { RefCell::new(BTreeMap::new()) };
}

/// Stands for a call, or for what runs in the timer, from before it begins until it is over, however it ends.
pub struct InFlight {
    callee: Option<Principal>,
}

impl InFlight {
    fn begin(callee: Option<Principal>) -> Self {
        UNDER_WAY.set(UNDER_WAY.get().saturating_add(1));
        if let Some(callee) = callee {
            WAITING.with_borrow_mut(|waiting| *waiting.entry(callee).or_default() += 1);
        }
        Self { callee }
    }

    /// For what runs in the timer.
    #[must_use]
    pub fn timer() -> Self {
        Self::begin(None)
    }
}

impl Drop for InFlight {
    fn drop(&mut self) {
        UNDER_WAY.set(UNDER_WAY.get().saturating_sub(1));
        if let Some(callee) = self.callee {
            WAITING.with_borrow_mut(|waiting| {
                let left = waiting.get(&callee).copied().unwrap_or_default();
                match left {
                    0 | 1 => drop(waiting.remove(&callee)),
                    _ => drop(waiting.insert(callee, left - 1)),
                }
            });
        }
        if is_recovering_from_trap() {
            // After a trap what waited is dropped, and the answers come all the same.
            let until = TimestampNs(api::time()).plus(LOST_CALL);
            ON_THE_WAY_UNTIL.set(until.max(ON_THE_WAY_UNTIL.get()));
        }
    }
}

/// Whether no reply can come home after this message: the canister is stopped, or nothing is under way.
pub fn nothing_in_flight() -> bool {
    let now = TimestampNs(api::time());
    api::canister_status() == CanisterStatusCode::Stopped
        || UNDER_WAY.get() == 0 && now > ON_THE_WAY_UNTIL.get()
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
        WAITING.with_borrow(|waiting| waiting.get(canister).copied().unwrap_or_default())
    }

    fn root_key(&self) -> Vec<u8> {
        api::root_key()
    }

    fn wake(&self, at: Option<TimestampNs>) {
        #[cfg(feature = "traps")]
        if UNDER_WAY.get() > 0 {
            trap_now_and_then("at the end");
        }
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
        let _in_flight = InFlight::begin(Some(canister));
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
