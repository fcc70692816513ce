//! The message being handled: argument, caller, answer, cycles of the call, logs and traps.

use super::{BASE, TRANSMITTED_BYTE, copied};
use crate::host::{Call, Host, Message, Result, Stop, slice, violation};
use crate::mode::{self, Mode};
use crate::types::{Answer, Cycles, Trap};
use crate::vm::{Caller, Linker};

/// Longest reply of an update or a replicated query.
const MAX_REPLICATED_REPLY: usize = 2 << 20;
/// Longest reply of a query that only one node runs.
const MAX_QUERY_REPLY: usize = 3 << 20;
/// Instructions for a byte of a log line: kept twice, sent once, printed once.
const LOGGED_BYTE: u64 = 2 + TRANSMITTED_BYTE + 1;
const MAX_TEXT: u32 = 32 << 10;

fn max_reply(message: &Message) -> usize {
    if message.mode == Mode::Query || message.mode.is_composite() {
        MAX_QUERY_REPLY
    } else {
        MAX_REPLICATED_REPLY
    }
}

pub fn link(linker: &mut Linker<Host>) -> Result<()> {
    argument(linker)?;
    answer(linker)?;
    rejects(linker)?;
    cycles(linker)?;
    text(linker)
}

fn argument(linker: &mut Linker<Host>) -> Result<()> {
    linker
        .func_wrap(
            "ic0",
            "msg_arg_data_size",
            |c: Caller<'_, Host>| -> Result<u32> {
                let mut call = Call::enter(c, "msg_arg_data_size", mode::ARGUMENT, BASE)?;
                Ok(call.message().env.arg.len() as u32)
            },
        )?
        .func_wrap(
            "ic0",
            "msg_arg_data_copy",
            |c: Caller<'_, Host>, dst: u32, offset: u32, size: u32| -> Result<()> {
                Call::enter(c, "msg_arg_data_copy", mode::ARGUMENT, copied(size))?.copy_to_heap(
                    dst,
                    offset,
                    size,
                    "payload",
                    |message| &message.env.arg,
                )
            },
        )?
        .func_wrap(
            "ic0",
            "msg_caller_size",
            |c: Caller<'_, Host>| -> Result<u32> {
                let mut call = Call::enter(c, "msg_caller_size", mode::ALL, BASE)?;
                Ok(call.message().env.caller.as_slice().len() as u32)
            },
        )?
        .func_wrap(
            "ic0",
            "msg_caller_copy",
            |c: Caller<'_, Host>, dst: u32, offset: u32, size: u32| -> Result<()> {
                Call::enter(c, "msg_caller_copy", mode::ALL, copied(size))?.copy_to_heap(
                    dst,
                    offset,
                    size,
                    "id",
                    |message| message.env.caller.as_slice(),
                )
            },
        )?
        .func_wrap(
            "ic0",
            "msg_method_name_size",
            |c: Caller<'_, Host>| -> Result<u32> {
                let mut call = Call::enter(c, "msg_method_name_size", mode::INSPECT, BASE)?;
                Ok(call.message().method.len() as u32)
            },
        )?
        .func_wrap(
            "ic0",
            "msg_method_name_copy",
            |c: Caller<'_, Host>, dst: u32, offset: u32, size: u32| -> Result<()> {
                Call::enter(c, "msg_method_name_copy", mode::INSPECT, copied(size))?.copy_to_heap(
                    dst,
                    offset,
                    size,
                    "payload",
                    |message| message.method.as_bytes(),
                )
            },
        )?
        .func_wrap(
            "ic0",
            "accept_message",
            |c: Caller<'_, Host>| -> Result<()> {
                let mut call = Call::enter(c, "accept_message", mode::INSPECT, BASE)?;
                let message = call.message();
                if message.accepted_message {
                    return Err(
                        violation("ic0.accept_message: the function was already called.").into(),
                    );
                }
                message.accepted_message = true;
                Ok(())
            },
        )?
        .func_wrap(
            "ic0",
            "msg_deadline",
            |c: Caller<'_, Host>| -> Result<u64> {
                let mut call = Call::enter(c, "msg_deadline", mode::DEADLINE, BASE)?;
                Ok(call.message().env.deadline)
            },
        )?;
    // No caller information is ever attached to a message here, which the empty text says.
    for (size, copy) in [
        ("msg_caller_info_data_size", "msg_caller_info_data_copy"),
        ("msg_caller_info_signer_size", "msg_caller_info_signer_copy"),
    ] {
        linker
            .func_wrap("ic0", size, move |c: Caller<'_, Host>| -> Result<u32> {
                Call::enter(c, size, mode::ALL, BASE)?;
                Ok(0)
            })?
            .func_wrap(
                "ic0",
                copy,
                move |c: Caller<'_, Host>, dst: u32, offset: u32, size: u32| -> Result<()> {
                    Call::enter(c, copy, mode::ALL, copied(size))?.copy_to_heap(
                        dst,
                        offset,
                        size,
                        "info",
                        |_| &[],
                    )
                },
            )?;
    }
    Ok(())
}

fn answer(linker: &mut Linker<Host>) -> Result<()> {
    linker
        .func_wrap(
            "ic0",
            "msg_reply_data_append",
            |c: Caller<'_, Host>, src: u32, size: u32| -> Result<()> {
                let mut call = Call::enter(
                    c,
                    "msg_reply_data_append",
                    mode::ANSWER,
                    BASE + TRANSMITTED_BYTE * u64::from(size),
                )?;
                let message = call.message();
                if message.is_answered() {
                    return Err(violation(
                        "ic0.msg_reply_data_append: the call is already replied",
                    )
                    .into());
                }
                let (total, max) = (message.reply.len() + size as usize, max_reply(message));
                if total > max {
                    return Err(violation(format!(
                        "ic0.msg_reply_data_append: application payload size ({total}) cannot be larger than {max}"
                    ))
                    .into());
                }
                call.with_heap(|heap, host| {
                    let bytes = slice("msg.reply", src.into(), size.into(), heap)?;
                    host.message().reply.extend_from_slice(bytes);
                    Ok(())
                })
            },
        )?
        .func_wrap("ic0", "msg_reply", |c: Caller<'_, Host>| -> Result<()> {
            let mut call = Call::enter(c, "msg_reply", mode::ANSWER, BASE)?;
            let message = call.message();
            if message.is_answered() {
                return Err(violation("ic0.msg_reply: the call is already replied").into());
            }
            message.answer = Some(Answer::Reply(std::mem::take(&mut message.reply)));
            Ok(())
        })?
        .func_wrap(
            "ic0",
            "msg_reject",
            |c: Caller<'_, Host>, src: u32, size: u32| -> Result<()> {
                let mut call = Call::enter(
                    c,
                    "msg_reject",
                    mode::ANSWER,
                    BASE + TRANSMITTED_BYTE * u64::from(size),
                )?;
                let message = call.message();
                if message.is_answered() {
                    return Err(violation("ic0.msg_reject: the call is already replied").into());
                }
                let max = max_reply(message);
                if size as usize > max {
                    return Err(violation(format!(
                        "ic0.msg_reject: application payload size ({size}) cannot be larger than {max}"
                    ))
                    .into());
                }
                let text = call.read_text("ic0.msg_reject", src, size)?;
                call.message().answer = Some(Answer::Reject(text));
                Ok(())
            },
        )?;
    Ok(())
}

fn rejects(linker: &mut Linker<Host>) -> Result<()> {
    linker
        .func_wrap(
            "ic0",
            "msg_reject_code",
            |c: Caller<'_, Host>| -> Result<u32> {
                let mut call = Call::enter(c, "msg_reject_code", mode::RESPONSE, BASE)?;
                Ok(call.message().reject.as_ref().map_or(0, |(code, _)| *code))
            },
        )?
        .func_wrap(
            "ic0",
            "msg_reject_msg_size",
            |c: Caller<'_, Host>| -> Result<u32> {
                let mut call = Call::enter(c, "msg_reject_msg_size", mode::REJECTED, BASE)?;
                Ok(reject_text(call.message()).len() as u32)
            },
        )?
        .func_wrap(
            "ic0",
            "msg_reject_msg_copy",
            |c: Caller<'_, Host>, dst: u32, offset: u32, size: u32| -> Result<()> {
                Call::enter(c, "msg_reject_msg_copy", mode::REJECTED, copied(size))?.copy_to_heap(
                    dst,
                    offset,
                    size,
                    "msg",
                    reject_text,
                )
            },
        )?;
    Ok(())
}

fn reject_text(message: &Message) -> &[u8] {
    message
        .reject
        .as_ref()
        .map_or(&[], |(_, text)| text.as_bytes())
}

fn available(message: &Message) -> Cycles {
    message
        .env
        .cycles_available
        .saturating_sub(message.cycles_accepted)
}

fn accept(message: &mut Message, max: Cycles) -> Cycles {
    let amount = max.min(available(message));
    message.cycles_accepted += amount;
    message.balance += amount;
    amount
}

/// An amount for the functions that only know 64 bits.
fn narrow(cycles: Cycles) -> Result<u64> {
    u64::try_from(cycles)
        .map_err(|_| Stop(Trap::Wasm("cycles amount too big for 64 bit API".into())).into())
}

fn cycles(linker: &mut Linker<Host>) -> Result<()> {
    linker
        .func_wrap(
            "ic0",
            "msg_cycles_available",
            |c: Caller<'_, Host>| -> Result<u64> {
                let mut call = Call::enter(c, "msg_cycles_available", mode::ACCEPT_CYCLES, BASE)?;
                narrow(available(call.message()))
            },
        )?
        .func_wrap(
            "ic0",
            "msg_cycles_available128",
            |c: Caller<'_, Host>, dst: u32| -> Result<()> {
                let mut call =
                    Call::enter(c, "msg_cycles_available128", mode::ACCEPT_CYCLES, BASE)?;
                let amount = available(call.message());
                call.write_cycles(dst, amount)
            },
        )?
        .func_wrap(
            "ic0",
            "msg_cycles_refunded",
            |c: Caller<'_, Host>| -> Result<u64> {
                let mut call = Call::enter(c, "msg_cycles_refunded", mode::REFUND, BASE)?;
                narrow(call.message().env.cycles_refunded)
            },
        )?
        .func_wrap(
            "ic0",
            "msg_cycles_refunded128",
            |c: Caller<'_, Host>, dst: u32| -> Result<()> {
                let mut call = Call::enter(c, "msg_cycles_refunded128", mode::REFUND, BASE)?;
                let amount = call.message().env.cycles_refunded;
                call.write_cycles(dst, amount)
            },
        )?
        .func_wrap(
            "ic0",
            "msg_cycles_accept",
            |c: Caller<'_, Host>, max: u64| -> Result<u64> {
                let mut call = Call::enter(c, "msg_cycles_accept", mode::ACCEPT_CYCLES, BASE)?;
                narrow(accept(call.message(), max.into()))
            },
        )?
        .func_wrap(
            "ic0",
            "msg_cycles_accept128",
            |c: Caller<'_, Host>, high: u64, low: u64, dst: u32| -> Result<()> {
                let mut call = Call::enter(c, "msg_cycles_accept128", mode::ACCEPT_CYCLES, BASE)?;
                let amount = accept(call.message(), super::calls::amount(high, low));
                call.write_cycles(dst, amount)
            },
        )?;
    Ok(())
}

fn text(linker: &mut Linker<Host>) -> Result<()> {
    linker
        .func_wrap(
            "ic0",
            "debug_print",
            |c: Caller<'_, Host>, src: u32, size: u32| -> Result<()> {
                let mut call = Call::enter(
                    c,
                    "debug_print",
                    mode::ANYWHERE,
                    100 + LOGGED_BYTE * u64::from(size),
                )?;
                let line = lossy(
                    &mut call,
                    src,
                    size,
                    "(debug_print message out of memory bounds)",
                );
                call.message().logs.push(line);
                Ok(())
            },
        )?
        .func_wrap(
            "ic0",
            "trap",
            |c: Caller<'_, Host>, src: u32, size: u32| -> Result<()> {
                let mut call = Call::enter(
                    c,
                    "trap",
                    mode::ANYWHERE,
                    BASE + LOGGED_BYTE * u64::from(size),
                )?;
                let text = lossy(&mut call, src, size, "(trap message out of memory bounds)");
                Err(Stop(Trap::Called(text)).into())
            },
        )?;
    Ok(())
}

/// Heap bytes as text; a range out of bounds must not hide that something was said.
fn lossy(call: &mut Call<'_>, src: u32, size: u32, otherwise: &str) -> String {
    call.read("text", src, size.min(MAX_TEXT)).map_or_else(
        |_| otherwise.to_string(),
        |bytes| String::from_utf8_lossy(&bytes).into_owned(),
    )
}
