//! What the canister can pay for: whether a ledger can be asked, and for how many payments.

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

/// Whether a ledger can be asked for a transfer now. If not, nothing may be journalled for it: a first try
/// would fail for want of our cycles, and a repetition would leave its trace for nothing.
pub fn can_call_ledger<R: Runtime>(runtime: &R, ledger: &Principal) -> bool {
    runtime.can_call(ledger, METHOD, MAX_ARGUMENT_BYTES)
}

/// Whether one more payment of this payer in this ledger can be taken. Its call is made in the same message,
/// so what can be paid for now will be.
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

/// The cycles that can be spent above the floor.
pub fn spare<R: Runtime>(runtime: &R, limits: &Limits) -> Cycles {
    let liquid = runtime.liquid_cycles().0;
    Cycles(liquid.saturating_sub(limits.cycles_floor.0))
}
