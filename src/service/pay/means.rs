//! The calls and payments that the canister can afford.

use crate::{
    domain::{
        capacity::{self, Capacity, Means, NoCapacity},
        config::Limits,
        forward::Forward,
        request::PaymentRequest,
        route::Route,
        settlement::{MAX_ARGUMENT_BYTES, METHOD},
        work::{MAX_ARGUMENT_OVERHEAD, Room, Work, WorkRequest},
    },
    runtime::{MAX_CALLS_TO, Runtime, with_spare},
    service::content,
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
/// cycles that are available now suffice. `wanted`: the work that it buys. The target is called in the message in which
/// the ledger answers, when the cycles of that call are back.
pub fn capacity<R: Runtime>(
    runtime: &R,
    limits: &Limits,
    payer: &Principal,
    ledger: &Principal,
    wanted: Option<Wanted<'_>>,
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
    if let (Ok(()), Some(wanted)) = (capacity.public, wanted) {
        capacity.public = capacity_for_work(runtime, limits, wanted);
    }
    capacity
}

/// The canister that a new payment will have work done by, and the request that it gets.
#[derive(Clone, Copy, Debug)]
pub struct Wanted<'a> {
    pub forward: &'a Forward,
    pub request_bytes: usize,
}

/// The work that this request wants of this route, if another canister does it.
pub fn wanted<'a>(route: Option<&'a Route>, request: &PaymentRequest) -> Option<Wanted<'a>> {
    Some(Wanted {
        forward: route?.forward.as_ref()?,
        request_bytes: request.work.as_ref().map_or(0, WorkRequest::bytes),
    })
}

/// The cost of the call of a target.
fn work_cost<R: Runtime>(runtime: &R, wanted: Wanted<'_>) -> Cycles {
    let method = wanted.forward.mode.method();
    runtime.call_cost(method, wanted.request_bytes + MAX_ARGUMENT_OVERHEAD)
}

/// Whether the work of one more payment could begin after its transfer, and its answer be stored.
fn capacity_for_work<R: Runtime>(
    runtime: &R,
    limits: &Limits,
    wanted: Wanted<'_>,
) -> Result<(), NoCapacity> {
    let transfer = runtime.call_cost(METHOD, MAX_ARGUMENT_BYTES);
    let both = Cycles(transfer.0.saturating_add(work_cost(runtime, wanted).0));
    if runtime.liquid_cycles() < with_spare(both) {
        return Err(NoCapacity::Places);
    }
    if runtime.calls_to(&wanted.forward.canister) >= MAX_CALLS_TO {
        return Err(NoCapacity::Target);
    }
    match room(limits).is_left(wanted.request_bytes as u64) {
        true => Ok(()),
        false => Err(NoCapacity::Answers),
    }
}

/// Whether the target of this work can be called now, and its answer be stored.
pub fn can_work<R: Runtime>(runtime: &R, work: &Work) -> bool {
    let argument_bytes = work.request.bytes() + MAX_ARGUMENT_OVERHEAD;
    let forward = &work.forward;
    runtime.can_call(&forward.canister, forward.mode.method(), argument_bytes)
        && room(&storage::config::read().limits).is_left(0)
}

fn room(limits: &Limits) -> Room {
    Room {
        limit: limits.max_content_total_bytes,
        all: content::taken_bytes(),
        works: content::work_bytes(),
        in_progress: storage::works::in_progress(),
    }
}

/// The cycles above the floor.
pub fn spare<R: Runtime>(runtime: &R, limits: &Limits) -> Cycles {
    let liquid = runtime.liquid_cycles().0;
    Cycles(liquid.saturating_sub(limits.cycles_floor.0))
}
