//! The Internet Computer.

use crate::{
    domain::settlement::CallOutcome,
    runtime::{
        CALL_TIMEOUT_SECONDS, Runtime,
        in_flight::{self, InFlight},
        timers,
    },
    types::{Cycles, Seconds, TimestampNs},
};
use candid::Principal;
use ic_cdk::{
    api::{self, CanisterStatusCode},
    call::{Call, CallFailed},
};

/// The number of the algorithm in the system's interface.
const ED25519: u32 = 1;

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
        in_flight::to(canister)
    }

    fn is_running(&self) -> bool {
        api::canister_status() == CanisterStatusCode::Running
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

    fn signature_cost(&self, key_name: &str) -> Option<Cycles> {
        api::cost_sign_with_schnorr(key_name, ED25519)
            .ok()
            .map(Cycles)
    }

    async fn call_with(
        &self,
        canister: Principal,
        method: &str,
        argument: Vec<u8>,
        cycles: Cycles,
    ) -> CallOutcome {
        if !self.is_running() {
            // Waiting for one call after the other would delay the stop.
            return CallOutcome::NotSent("the canister is being stopped".into());
        }
        let _in_flight = InFlight::begin(canister, Seconds(CALL_TIMEOUT_SECONDS));
        let call = Call::bounded_wait(canister, method)
            .change_timeout(CALL_TIMEOUT_SECONDS)
            .take_raw_args(argument)
            .with_cycles(cycles.0);
        match call.await {
            Ok(response) => CallOutcome::Reply(response.into_bytes()),
            Err(CallFailed::InsufficientLiquidCycleBalance(_)) => {
                CallOutcome::NotSent("this canister has too few cycles for the call".into())
            }
            Err(CallFailed::CallPerformFailed(_)) => {
                CallOutcome::NotSent("too many calls are in flight".into())
            }
            Err(CallFailed::CallRejected(rejected)) => CallOutcome::Rejected {
                code: rejected.raw_reject_code(),
                message: rejected.reject_message().to_string(),
            },
        }
    }
}
