//! The Internet Computer.

use crate::{
    domain::settlement::CallOutcome,
    runtime::{CALL_TIMEOUT_SECONDS, Runtime, timers},
    types::{Cycles, TimestampNs},
};
use candid::Principal;
use ic_cdk::{
    api,
    call::{Call, CallFailed},
};

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
        if let Some(at) = timers::wake(self.now(), at) {
            let before = api::global_timer_set(at.0);
            if before != 0 && before < at.0 {
                // Something else comes first; the one after it is set when that fires.
                api::global_timer_set(before);
            }
        }
    }

    async fn call(&self, canister: Principal, method: &str, argument: Vec<u8>) -> CallOutcome {
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
