//! What a canister learns about itself and its surroundings, and what it sets.

use super::{BASE, copied};
use crate::host::{Call, Host, Result, violation};
use crate::mode;
use crate::types::Principal;
use crate::vm::{Caller, Linker};

const MAX_CERTIFIED_DATA: u32 = 32;
const MAX_VARIABLE_NAME: u32 = 128;

pub fn link(linker: &mut Linker<Host>) -> Result<()> {
    identity(linker)?;
    balance(linker)?;
    certification(linker)?;
    clock(linker)?;
    environment(linker)
}

fn identity(linker: &mut Linker<Host>) -> Result<()> {
    linker
        .func_wrap(
            "ic0",
            "canister_self_size",
            |c: Caller<'_, Host>| -> Result<u32> {
                let mut call = Call::enter(c, "canister_self_size", mode::ALL, BASE)?;
                Ok(call.message().env.canister_id.as_slice().len() as u32)
            },
        )?
        .func_wrap(
            "ic0",
            "canister_self_copy",
            |c: Caller<'_, Host>, dst: u32, offset: u32, size: u32| -> Result<()> {
                Call::enter(c, "canister_self_copy", mode::ALL, copied(size))?.copy_to_heap(
                    dst,
                    offset,
                    size,
                    "id",
                    |message| message.env.canister_id.as_slice(),
                )
            },
        )?
        .func_wrap(
            "ic0",
            "subnet_self_size",
            |c: Caller<'_, Host>| -> Result<u32> {
                let mut call = Call::enter(c, "subnet_self_size", mode::ALL, BASE)?;
                Ok(call.message().env.subnet_id.as_slice().len() as u32)
            },
        )?
        .func_wrap(
            "ic0",
            "subnet_self_copy",
            |c: Caller<'_, Host>, dst: u32, offset: u32, size: u32| -> Result<()> {
                Call::enter(c, "subnet_self_copy", mode::ALL, copied(size))?.copy_to_heap(
                    dst,
                    offset,
                    size,
                    "id",
                    |message| message.env.subnet_id.as_slice(),
                )
            },
        )?
        .func_wrap(
            "ic0",
            "subnet_self_node_count",
            |c: Caller<'_, Host>| -> Result<u32> {
                let mut call = Call::enter(c, "subnet_self_node_count", mode::ALL, BASE)?;
                Ok(call.message().env.subnet_size)
            },
        )?
        .func_wrap(
            "ic0",
            "canister_status",
            |c: Caller<'_, Host>| -> Result<u32> {
                let mut call = Call::enter(c, "canister_status", mode::ALL, BASE)?;
                Ok(call.message().env.status)
            },
        )?
        .func_wrap(
            "ic0",
            "canister_version",
            |c: Caller<'_, Host>| -> Result<u64> {
                let mut call = Call::enter(c, "canister_version", mode::ALL, BASE)?;
                Ok(call.message().env.canister_version)
            },
        )?
        .func_wrap(
            "ic0",
            "is_controller",
            |c: Caller<'_, Host>, src: u32, size: u32| -> Result<u32> {
                let mut call =
                    Call::enter(c, "is_controller", mode::ANYWHERE, 1_000 + u64::from(size))?;
                let bytes = call.read("ic0.is_controller", src, size)?;
                let principal = principal(&bytes)?;
                Ok(call.message().env.controllers.contains(&principal).into())
            },
        )?
        .func_wrap(
            "ic0",
            "in_replicated_execution",
            |c: Caller<'_, Host>| -> Result<u32> {
                let mut call = Call::enter(c, "in_replicated_execution", mode::ANYWHERE, BASE)?;
                Ok(call.message().mode.is_replicated().into())
            },
        )?
        .func_wrap(
            "ic0",
            "root_key_size",
            |c: Caller<'_, Host>| -> Result<u32> {
                let mut call = Call::enter(c, "root_key_size", mode::ROOT_KEY, BASE)?;
                Ok(call.message().env.root_key.len() as u32)
            },
        )?
        .func_wrap(
            "ic0",
            "root_key_copy",
            |c: Caller<'_, Host>, dst: u32, offset: u32, size: u32| -> Result<()> {
                Call::enter(c, "root_key_copy", mode::ROOT_KEY, copied(size))?.copy_to_heap(
                    dst,
                    offset,
                    size,
                    "bytes",
                    |message| &message.env.root_key,
                )
            },
        )?;
    Ok(())
}

/// The principal with these bytes.
pub(super) fn principal(bytes: &[u8]) -> Result<Principal> {
    Principal::try_from_slice(bytes)
        .map_err(|error| violation(format!("Invalid principal id: {error}")).into())
}

fn balance(linker: &mut Linker<Host>) -> Result<()> {
    linker
        .func_wrap("ic0", "canister_cycle_balance", |c: Caller<'_, Host>| -> Result<u64> {
            let mut call = Call::enter(c, "canister_cycle_balance", mode::ALL, BASE)?;
            u64::try_from(call.message().balance).map_err(|_| {
                crate::host::Stop(crate::types::Trap::Wasm(
                    "cycles amount too big for 64 bit API".into(),
                ))
                .into()
            })
        })?
        .func_wrap(
            "ic0",
            "canister_cycle_balance128",
            |c: Caller<'_, Host>, dst: u32| -> Result<()> {
                let mut call = Call::enter(c, "canister_cycle_balance128", mode::ALL, BASE)?;
                let amount = call.message().balance;
                call.write_cycles(dst, amount)
            },
        )?
        .func_wrap(
            "ic0",
            "canister_liquid_cycle_balance128",
            |c: Caller<'_, Host>, dst: u32| -> Result<()> {
                let mut call =
                    Call::enter(c, "canister_liquid_cycle_balance128", mode::ALL, BASE)?;
                let message = call.message();
                let amount = message.balance.saturating_sub(message.env.frozen_balance);
                call.write_cycles(dst, amount)
            },
        )?
        .func_wrap(
            "ic0",
            "cycles_burn128",
            |c: Caller<'_, Host>, high: u64, low: u64, dst: u32| -> Result<()> {
                let mut call = Call::enter(c, "cycles_burn128", mode::BURN, BASE)?;
                let message = call.message();
                let liquid = message.balance.saturating_sub(message.env.frozen_balance);
                let amount = super::calls::amount(high, low).min(liquid);
                message.balance -= amount;
                message.cycles_burned += amount;
                call.write_cycles(dst, amount)
            },
        )?
        .func_wrap(
            "ic0",
            "mint_cycles128",
            |c: Caller<'_, Host>, _high: u64, _low: u64, _dst: u32| -> Result<()> {
                Call::enter(c, "mint_cycles128", mode::ANYWHERE, 0)?;
                Err(violation(
                    "ic0.mint_cycles128 cannot be executed on a canister that is not the Cycles Minting Canister, which this runtime has not",
                )
                .into())
            },
        )?;
    Ok(())
}

fn certification(linker: &mut Linker<Host>) -> Result<()> {
    linker
        .func_wrap(
            "ic0",
            "certified_data_set",
            |c: Caller<'_, Host>, src: u32, size: u32| -> Result<()> {
                let mut call =
                    Call::enter(c, "certified_data_set", mode::CERTIFY, copied(size))?;
                if size > MAX_CERTIFIED_DATA {
                    return Err(violation(format!(
                        "ic0_certified_data_set failed because the passed data must be no larger than {MAX_CERTIFIED_DATA} bytes. Found {size} bytes"
                    ))
                    .into());
                }
                let data = call.read("ic0_certified_data_set", src, size)?;
                call.message().certified_data = Some(data);
                Ok(())
            },
        )?
        .func_wrap("ic0", "data_certificate_present", |c: Caller<'_, Host>| -> Result<u32> {
            let mut call = Call::enter(c, "data_certificate_present", mode::ALL, BASE)?;
            let message = call.message();
            Ok((mode::CERTIFICATE.contains(message.mode)
                && message.env.data_certificate.is_some())
            .into())
        })?
        .func_wrap("ic0", "data_certificate_size", |c: Caller<'_, Host>| -> Result<u32> {
            let mut call = Call::enter(c, "data_certificate_size", mode::CERTIFICATE, BASE)?;
            match &call.message().env.data_certificate {
                Some(certificate) => Ok(certificate.len() as u32),
                None => Err(call.wrong_mode()),
            }
        })?
        .func_wrap(
            "ic0",
            "data_certificate_copy",
            |c: Caller<'_, Host>, dst: u32, offset: u32, size: u32| -> Result<()> {
                let mut call =
                    Call::enter(c, "data_certificate_copy", mode::CERTIFICATE, copied(size))?;
                if call.message().env.data_certificate.is_none() {
                    return Err(call.wrong_mode());
                }
                call.copy_to_heap(dst, offset, size, "certificate", |message| {
                    message.env.data_certificate.as_deref().unwrap_or_default()
                })
            },
        )?;
    Ok(())
}

fn clock(linker: &mut Linker<Host>) -> Result<()> {
    linker
        .func_wrap("ic0", "time", |c: Caller<'_, Host>| -> Result<u64> {
            let mut call = Call::enter(c, "time", mode::ALL, BASE)?;
            Ok(call.message().env.time)
        })?
        .func_wrap(
            "ic0",
            "global_timer_set",
            |c: Caller<'_, Host>, time: u64| -> Result<u64> {
                let mut call = Call::enter(c, "global_timer_set", mode::TIMER, BASE)?;
                let message = call.message();
                let previous = message.global_timer.unwrap_or(message.env.global_timer);
                message.global_timer = Some(time);
                Ok(previous)
            },
        )?
        .func_wrap(
            "ic0",
            "performance_counter",
            |c: Caller<'_, Host>, kind: u32| -> Result<u64> {
                let mut call = Call::enter(c, "performance_counter", mode::ANYWHERE, 200)?;
                let used = call.used();
                match kind {
                    0 => Ok(used),
                    1 => Ok(call.message().env.context_instructions.saturating_add(used)),
                    _ => Err(
                        violation(format!("Error getting performance counter type {kind}")).into(),
                    ),
                }
            },
        )?;
    Ok(())
}

fn environment(linker: &mut Linker<Host>) -> Result<()> {
    linker
        .func_wrap(
            "ic0",
            "env_var_count",
            |c: Caller<'_, Host>| -> Result<u32> {
                let mut call = Call::enter(c, "env_var_count", mode::ALL, BASE)?;
                Ok(call.message().env.environment_variables.len() as u32)
            },
        )?
        .func_wrap(
            "ic0",
            "env_var_name_size",
            |c: Caller<'_, Host>, index: u32| -> Result<u32> {
                let mut call = Call::enter(c, "env_var_name_size", mode::ALL, BASE)?;
                Ok(variable_name(&mut call, index)?.len() as u32)
            },
        )?
        .func_wrap(
            "ic0",
            "env_var_name_copy",
            |c: Caller<'_, Host>, index: u32, dst: u32, offset: u32, size: u32| -> Result<()> {
                let mut call = Call::enter(c, "env_var_name_copy", mode::ALL, copied(size))?;
                let name = variable_name(&mut call, index)?;
                call.copy_text_to_heap(dst, offset, size, "name", &name)
            },
        )?
        .func_wrap(
            "ic0",
            "env_var_name_exists",
            |c: Caller<'_, Host>, src: u32, size: u32| -> Result<u32> {
                let mut call = Call::enter(c, "env_var_name_exists", mode::ALL, BASE)?;
                let name = read_variable_name(&mut call, "env_var_name_exists", src, size)?;
                Ok(call
                    .message()
                    .env
                    .environment_variables
                    .contains_key(&name)
                    .into())
            },
        )?
        .func_wrap(
            "ic0",
            "env_var_value_size",
            |c: Caller<'_, Host>, src: u32, size: u32| -> Result<u32> {
                let mut call = Call::enter(c, "env_var_value_size", mode::ALL, BASE)?;
                let name = read_variable_name(&mut call, "env_var_value_size", src, size)?;
                Ok(variable_value(&mut call, &name)?.len() as u32)
            },
        )?
        .func_wrap(
            "ic0",
            "env_var_value_copy",
            |c: Caller<'_, Host>,
             name_src: u32,
             name_size: u32,
             dst: u32,
             offset: u32,
             size: u32|
             -> Result<()> {
                let mut call = Call::enter(c, "env_var_value_copy", mode::ALL, copied(size))?;
                let name =
                    read_variable_name(&mut call, "env_var_value_copy", name_src, name_size)?;
                let value = variable_value(&mut call, &name)?;
                call.copy_text_to_heap(dst, offset, size, "value", &value)
            },
        )?;
    Ok(())
}

fn variable_name(call: &mut Call<'_>, index: u32) -> Result<String> {
    let variables = call.message().env.environment_variables.clone();
    match variables.keys().nth(index as usize) {
        Some(name) => Ok(name.clone()),
        None => Err(violation(format!(
            "Environment variable index {index} is out of bounds, there are {}",
            variables.len()
        ))
        .into()),
    }
}

fn read_variable_name(call: &mut Call<'_>, function: &str, src: u32, size: u32) -> Result<String> {
    if size > MAX_VARIABLE_NAME {
        return Err(violation(format!("ic0.{function}: Variable name is too large.")).into());
    }
    call.read_text(&format!("ic0.{function} heap"), src, size)
}

fn variable_value(call: &mut Call<'_>, name: &str) -> Result<String> {
    match call.message().env.environment_variables.get(name) {
        Some(value) => Ok(value.clone()),
        None => Err(violation(format!("Environment variable {name} not found")).into()),
    }
}
