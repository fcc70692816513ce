//! The calls and payments that the canister can afford.

use crate::{
    domain::{
        capacity::{self, Capacity, Means, NoCapacity},
        config::Limits,
        settlement::{MAX_ARGUMENT_BYTES, METHOD},
    },
    runtime::{Runtime, with_spare},
    storage,
    types::Cycles,
};
use candid::Principal;

/// Whether a ledger can be called for a transfer now. If not, nothing may be recorded as open: a first try would fail
/// for want of the canister's cycles, and a repetition would be recorded without having been made.
pub fn can_call_ledger<R: Runtime>(runtime: &R, ledger: &Principal) -> bool {
    runtime.can_call(ledger, METHOD, MAX_ARGUMENT_BYTES)
}

/// Whether one more payment of this payer in this ledger can be accepted. Its call is made in the same message, so
/// cycles that are available now suffice.
pub fn capacity<R: Runtime>(
    runtime: &R,
    limits: &Limits,
    payer: &Principal,
    ledger: &Principal,
) -> Capacity {
    let load = storage::payments::load(payer, ledger, runtime.now());
    let call = runtime.call_cost(METHOD, MAX_ARGUMENT_BYTES);
    let means = Means {
        liquid: runtime.liquid_cycles(),
        call,
        spare: Cycles(with_spare(call).0 - call.0),
    };
    let mut capacity = capacity::check(limits, &load, &means, runtime.now());
    if capacity.public.is_ok() && !can_call_ledger(runtime, ledger) {
        capacity.public = Err(NoCapacity::Ledger);
    }
    capacity
}

/// The cycles above the floor.
pub fn spare<R: Runtime>(runtime: &R, limits: &Limits) -> Cycles {
    let liquid = runtime.liquid_cycles().0;
    Cycles(liquid.saturating_sub(limits.cycles_floor.0))
}
