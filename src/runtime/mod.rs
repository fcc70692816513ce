//! The outside world, as the services see it: clock, identity, cycles, other canisters.

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

    /// Who sent the present message. Only good before the first await of a method.
    fn caller(&self) -> Principal;

    /// Whether `principal` controls this canister.
    fn is_controller(&self, principal: &Principal) -> bool;

    /// This canister.
    fn canister_id(&self) -> Principal;

    /// How many cycles this canister can spend: without those that keep its memory alive, and without those
    /// that calls in flight hold back.
    fn liquid_cycles(&self) -> Cycles;

    /// How many cycles a call of `method` with an argument of so many bytes takes when it is made. What it
    /// does not need comes back with the answer.
    fn call_cost(&self, method: &str, argument_bytes: usize) -> Cycles;

    /// How many calls to this canister wait for its answer.
    fn calls_to(&self, canister: &Principal) -> u32;

    /// Whether this call can be made now. To be asked before anything is written down for it: a call that
    /// cannot be made must leave no trace.
    fn can_call(&self, canister: &Principal, method: &str, argument_bytes: usize) -> bool {
        let cost = self.call_cost(method, argument_bytes);
        self.liquid_cycles() >= with_spare(cost) && self.calls_to(canister) < MAX_CALLS_TO
    }

    /// DER of the root key of this network. Not available in queries.
    fn root_key(&self) -> Vec<u8>;

    /// Calls another canister without cycles, and waits [`CALL_TIMEOUT_SECONDS`] at most.
    fn call(
        &self,
        canister: Principal,
        method: &str,
        argument: Vec<u8>,
    ) -> impl Future<Output = CallOutcome>;

    /// Has the periodic job run next at this time, or as soon after it as can be; without a time, not at
    /// all.
    fn wake(&self, at: Option<TimestampNs>);

    /// Has the periodic job run in the next round.
    fn wake_soon(&self);

    /// Certifies the root hash of the answers. Only updates can.
    fn set_certified_data(&self, root_hash: &[u8; 32]);

    /// The certificate that covers the root hash; none outside of a query that was called as one.
    fn data_certificate(&self) -> Option<Vec<u8>>;
}

/// How long an answer is waited for, in seconds.
///
/// Bounded, although ledgers are on a list that controllers made: a ledger that never answers must not be
/// able to keep this canister from being stopped and upgraded. What a bounded wait costs is that the
/// answer can be SYS_UNKNOWN, which the state machine of payments has to know anyway: the payment is
/// unknown, and the same call again finds out, because the ledger drops duplicates.
pub const CALL_TIMEOUT_SECONDS: u32 = 60;

/// The most calls that wait for one canister; the system carries 500.
pub const MAX_CALLS_TO: u32 = 480;

/// What a call costs, and an eighth: memory that the same message comes to use raises what the system keeps
/// back of the cycles.
pub fn with_spare(cost: Cycles) -> Cycles {
    Cycles(cost.0.saturating_add(cost.0 / 8))
}
