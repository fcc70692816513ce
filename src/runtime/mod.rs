//! The outside world, as the services see it: clock, identity, cycles, other canisters.

pub mod ic;
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

    /// How many cycles this canister has.
    fn cycles_balance(&self) -> Cycles;

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
}

/// How long an answer is waited for, in seconds.
///
/// Bounded, although ledgers are on a list that controllers made: a ledger that never answers must not be
/// able to keep this canister from being stopped and upgraded. What a bounded wait costs is that the
/// answer can be SYS_UNKNOWN, which the state machine of payments has to know anyway: the payment is
/// unknown, and the same call again finds out, because the ledger drops duplicates.
pub const CALL_TIMEOUT_SECONDS: u32 = 60;
