//! The system as the services see it: clock, identity, cycles, other canisters.

mod calls;
pub mod ic;
pub mod in_flight;
#[cfg(test)]
pub(crate) mod scripted;
pub mod timers;

use crate::{
    domain::settlement::CallOutcome,
    types::{Cycles, TimestampNs},
};
use candid::Principal;
use std::future::Future;

/// The system around the canister. [`ic::IcRuntime`] is the only one in production.
pub trait Runtime {
    /// The time of the present message.
    fn now(&self) -> TimestampNs;

    /// The sender of the present message. Only valid before the first await of a method.
    fn caller(&self) -> Principal;

    /// Whether `principal` controls this canister.
    fn is_controller(&self, principal: &Principal) -> bool;

    fn canister_id(&self) -> Principal;

    /// The cycles that this canister can spend: without those that keep its memory alive, and without those that calls
    /// in flight hold back.
    fn liquid_cycles(&self) -> Cycles;

    /// The cycles that a call of `method` with an argument of this size holds back. Unused ones are returned with the
    /// reply.
    fn call_cost(&self, method: &str, argument_bytes: usize) -> Cycles;

    /// The calls to this canister that wait for a reply.
    fn calls_to(&self, canister: &Principal) -> u32;

    /// Whether this canister runs. While it is being stopped it gets the replies that it waits for, and calls nobody.
    fn is_running(&self) -> bool;

    /// Whether this call can be made now. Check it before anything is recorded for the call: a call that cannot be made
    /// must leave no trace.
    fn can_call(&self, canister: &Principal, method: &str, argument_bytes: usize) -> bool {
        let cost = self.call_cost(method, argument_bytes);
        self.is_running()
            && self.liquid_cycles() >= with_spare(cost)
            && self.calls_to(canister) < MAX_CALLS_TO
    }

    /// DER of the root key of this network. Not available in queries.
    fn root_key(&self) -> Vec<u8>;

    /// The cycles that a signature by this threshold key of the system costs, with Ed25519; `None`: there is no such key.
    fn signature_cost(&self, key_name: &str) -> Option<Cycles>;

    /// Calls another canister without cycles, and waits at most [`CALL_TIMEOUT_SECONDS`].
    fn call(
        &self,
        canister: Principal,
        method: &str,
        argument: Vec<u8>,
    ) -> impl Future<Output = CallOutcome> {
        self.call_with(canister, method, argument, Cycles(0))
    }

    /// The same with cycles. Those that are not taken come back with the reply; after [`CALL_TIMEOUT_SECONDS`] they are
    /// lost.
    fn call_with(
        &self,
        canister: Principal,
        method: &str,
        argument: Vec<u8>,
        cycles: Cycles,
    ) -> impl Future<Output = CallOutcome>;

    /// Schedules the periodic job for this time, or as soon after it as possible; `None`: not at all.
    fn wake(&self, at: Option<TimestampNs>);

    /// Schedules the periodic job for the next round.
    fn wake_soon(&self);

    /// Certifies the root hash of the responses. Only updates can.
    fn set_certified_data(&self, root_hash: &[u8; 32]);

    /// The certificate that covers the root hash; `None` outside of a query that was called as one.
    fn data_certificate(&self) -> Option<Vec<u8>>;
}

/// How long a reply is waited for, in seconds.
///
/// The wait is bounded, although controllers chose the ledgers: a ledger that never answers must not be able to keep
/// this canister from being stopped and upgraded. With a bounded wait the outcome can be SYS_UNKNOWN, which the state
/// machine of payments handles anyway: the payment is unknown, and the same call again finds out, because the ledger
/// recognises duplicates.
pub const CALL_TIMEOUT_SECONDS: u32 = 60;

/// The most calls that wait for one canister; the system allows 500.
pub const MAX_CALLS_TO: u32 = 480;

/// The cost of a call, and an eighth: memory that the same message allocates raises the cycles that the system keeps
/// back.
pub fn with_spare(cost: Cycles) -> Cycles {
    Cycles(cost.0.saturating_add(cost.0 / 8))
}
