//! Calls to other canisters.

use super::canister::principal;
use super::{BASE, TRANSMITTED_BYTE};
use crate::host::{Call, Draft, Host, Message, Result, slice, violation};
use crate::mode;
use crate::prices;
use crate::types::{Callback, Cycles, OutgoingCall};
use crate::vm::{Caller, Linker};

/// Longest method name plus argument: five times what fits between subnets.
const MAX_PAYLOAD: usize = 10 << 20;
const MAX_METHOD_NAME: u32 = 20_000;
/// Outstanding calls one canister may have to another.
const MAX_OUTSTANDING: usize = 500;
/// Longest wait of a call with best-effort response.
const MAX_TIMEOUT_SECONDS: u32 = 300;
/// `call_perform`: the call was not made, it may work later.
const SYS_TRANSIENT: u32 = 2;

/// An amount given as two halves.
pub(super) fn amount(high: u64, low: u64) -> Cycles {
    Cycles::from(high) << 64 | Cycles::from(low)
}

fn draft<'m>(message: &'m mut Message, function: &str) -> Result<&'m mut Draft> {
    message.draft.as_mut().ok_or_else(|| {
        violation(format!(
            "ic0.{function} called when no call is under construction"
        ))
        .into()
    })
}

pub fn link(linker: &mut Linker<Host>) -> Result<()> {
    linker
        .func_wrap("ic0", "call_new", new)?
        .func_wrap(
            "ic0",
            "call_on_cleanup",
            |c: Caller<'_, Host>, fun: u32, env: u32| -> Result<()> {
                let mut call = Call::enter(c, "call_on_cleanup", mode::CALL, BASE)?;
                let draft = draft(call.message(), "call_on_cleanup")?;
                if draft.callback.cleanup.is_some() {
                    return Err(violation(
                        "ic0.call_on_cleanup can be called at most once between `ic0.call_new` and `ic0.call_perform`",
                    )
                    .into());
                }
                draft.callback.cleanup = Some((fun, env));
                Ok(())
            },
        )?
        .func_wrap("ic0", "call_data_append", data_append)?
        .func_wrap(
            "ic0",
            "call_with_best_effort_response",
            |c: Caller<'_, Host>, seconds: u32| -> Result<()> {
                let mut call =
                    Call::enter(c, "call_with_best_effort_response", mode::CALL, BASE)?;
                let draft = draft(call.message(), "call_with_best_effort_response")?;
                if draft.timeout_seconds.is_some() {
                    return Err(violation(
                        "ic0_call_with_best_effort_response failed because a timeout is already set",
                    )
                    .into());
                }
                draft.timeout_seconds = Some(seconds.min(MAX_TIMEOUT_SECONDS));
                Ok(())
            },
        )?
        .func_wrap(
            "ic0",
            "call_cycles_add",
            |c: Caller<'_, Host>, cycles: u64| -> Result<()> {
                let mut call = Call::enter(c, "call_cycles_add", mode::ATTACH_CYCLES, BASE)?;
                attach(call.message(), "call_cycles_add", cycles.into())
            },
        )?
        .func_wrap(
            "ic0",
            "call_cycles_add128",
            |c: Caller<'_, Host>, high: u64, low: u64| -> Result<()> {
                let mut call = Call::enter(c, "call_cycles_add128", mode::ATTACH_CYCLES, BASE)?;
                attach(call.message(), "call_cycles_add128", amount(high, low))
            },
        )?
        .func_wrap("ic0", "call_perform", |c: Caller<'_, Host>| -> Result<u32> {
            let mut call = Call::enter(c, "call_perform", mode::CALL, 5_000)?;
            let message = call.message();
            draft(message, "call_perform")?;
            Ok(perform(message))
        })?;
    Ok(())
}

#[expect(clippy::too_many_arguments, reason = "the system interface has it so")]
fn new(
    c: Caller<'_, Host>,
    callee_src: u32,
    callee_size: u32,
    name_src: u32,
    name_size: u32,
    reply_fun: u32,
    reply_env: u32,
    reject_fun: u32,
    reject_env: u32,
) -> Result<()> {
    let bytes = u64::from(callee_size) + u64::from(name_size);
    let mut call = Call::enter(c, "call_new", mode::CALL, 1_500 + bytes)?;
    call.message().drop_draft();
    if name_size > MAX_METHOD_NAME {
        return Err(violation(format!(
            "Size of method_name {name_size} exceeds the allowed limit of {MAX_METHOD_NAME}"
        ))
        .into());
    }
    let method = call.read("ic0.call_new method_name", name_src, name_size)?;
    let callee = principal(&call.read("ic0.call_new callee_src", callee_src, callee_size)?)?;
    call.message().draft = Some(Draft {
        callee,
        method: String::from_utf8_lossy(&method).into_owned(),
        arg: Vec::new(),
        cycles: 0,
        timeout_seconds: None,
        callback: Callback {
            reply_fun,
            reply_env,
            reject_fun,
            reject_env,
            cleanup: None,
        },
    });
    Ok(())
}

fn data_append(c: Caller<'_, Host>, src: u32, size: u32) -> Result<()> {
    let mut call = Call::enter(
        c,
        "call_data_append",
        mode::CALL,
        BASE + TRANSMITTED_BYTE * u64::from(size),
    )?;
    let draft = draft(call.message(), "call_data_append")?;
    let total = draft.method.len() + draft.arg.len() + size as usize;
    if total > MAX_PAYLOAD {
        return Err(violation(format!(
            "Request to {}:{} has a payload size of {total}, which exceeds the allowed limit of {MAX_PAYLOAD}",
            draft.callee, draft.method
        ))
        .into());
    }
    call.with_heap(|heap, host| {
        let bytes = slice("ic0.call_data_append", src.into(), size.into(), heap)?;
        if let Some(draft) = &mut host.message().draft {
            draft.arg.extend_from_slice(bytes);
        }
        Ok(())
    })
}

fn attach(message: &mut Message, function: &str, cycles: Cycles) -> Result<()> {
    draft(message, function)?;
    let liquid = message.balance.saturating_sub(message.env.frozen_balance);
    if cycles > liquid {
        return Err(violation(format!(
            "Canister {} is out of cycles: please top up the canister with at least {} additional cycles",
            message.env.canister_id,
            cycles - liquid
        ))
        .into());
    }
    message.balance -= cycles;
    draft(message, function)?.cycles += cycles;
    Ok(())
}

/// Makes the call under construction, or drops it and says why not.
fn perform(message: &mut Message) -> u32 {
    let Some(draft) = &message.draft else {
        return SYS_TRANSIENT;
    };
    let outstanding = message
        .env
        .outstanding_calls
        .get(&draft.callee)
        .copied()
        .unwrap_or(0)
        + message.calls_to.get(&draft.callee).copied().unwrap_or(0);
    let free = !message.env.charges_cycles || message.mode.is_composite();
    let reserved = if free {
        0
    } else {
        let bytes = (draft.method.len() + draft.arg.len()) as u64;
        prices::call(bytes, message.env.subnet_size)
    };
    let liquid = message.balance.saturating_sub(message.env.frozen_balance);
    if outstanding >= MAX_OUTSTANDING || reserved > liquid {
        message.drop_draft();
        return SYS_TRANSIENT;
    }
    let Some(draft) = message.draft.take() else {
        return SYS_TRANSIENT;
    };
    message.balance -= reserved;
    *message.calls_to.entry(draft.callee).or_default() += 1;
    message.calls.push(OutgoingCall {
        callee: draft.callee,
        method: draft.method,
        arg: draft.arg,
        cycles: draft.cycles,
        reserved,
        timeout_seconds: draft.timeout_seconds,
        callback: draft.callback,
    });
    0
}
