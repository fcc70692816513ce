//! What operations cost in cycles.

use super::{BASE, copied};
use crate::host::{Call, Host, Result, violation};
use crate::mode;
use crate::prices;
use crate::types::Cycles;
use crate::vm::{Caller, Error, Linker};

const SUCCESS: u32 = 0;
const UNKNOWN_CURVE_OR_ALGORITHM: u32 = 1;
const UNKNOWN_KEY: u32 = 2;
const ECDSA_CURVES: u32 = 1;
const SCHNORR_ALGORITHMS: u32 = 2;

pub fn link(linker: &mut Linker<Host>) -> Result<()> {
    linker
        .func_wrap(
            "ic0",
            "cost_call",
            |c: Caller<'_, Host>, name_size: u64, payload_size: u64, dst: u32| -> Result<()> {
                let mut call = Call::enter(c, "cost_call", mode::ANYWHERE, BASE)?;
                let bytes = name_size.saturating_add(payload_size);
                let cost = here(&mut call, |subnet_size| prices::call(bytes, subnet_size));
                call.write_cycles(dst, cost)
            },
        )?
        .func_wrap(
            "ic0",
            "cost_create_canister",
            |c: Caller<'_, Host>, dst: u32| -> Result<()> {
                let mut call = Call::enter(c, "cost_create_canister", mode::ANYWHERE, BASE)?;
                let cost = here(&mut call, prices::create_canister);
                call.write_cycles(dst, cost)
            },
        )?
        .func_wrap(
            "ic0",
            "cost_http_request",
            |c: Caller<'_, Host>, request: u64, max_response: u64, dst: u32| -> Result<()> {
                let mut call = Call::enter(c, "cost_http_request", mode::ANYWHERE, BASE)?;
                let cost = here(&mut call, |subnet_size| {
                    prices::http_request(request, max_response, subnet_size)
                });
                call.write_cycles(dst, cost)
            },
        )?
        .func_wrap(
            "ic0",
            "cost_http_request_v2",
            |c: Caller<'_, Host>, _src: u32, _size: u32, _dst: u32| -> Result<()> {
                Call::enter(c, "cost_http_request_v2", mode::ANYWHERE, BASE)?;
                Err(unsupported("cost_http_request_v2"))
            },
        )?
        .func_wrap(
            "ic0",
            "cost_sign_with_ecdsa",
            |c: Caller<'_, Host>, src: u32, size: u32, curve: u32, dst: u32| -> Result<u32> {
                let call = Call::enter(c, "cost_sign_with_ecdsa", mode::ANYWHERE, copied(size))?;
                signature(
                    call,
                    "ic0.cost_sign_with_ecdsa heap",
                    src,
                    size,
                    curve < ECDSA_CURVES,
                    dst,
                )
            },
        )?
        .func_wrap(
            "ic0",
            "cost_sign_with_schnorr",
            |c: Caller<'_, Host>, src: u32, size: u32, algorithm: u32, dst: u32| -> Result<u32> {
                let call = Call::enter(c, "cost_sign_with_schnorr", mode::ANYWHERE, copied(size))?;
                let known = algorithm < SCHNORR_ALGORITHMS;
                signature(
                    call,
                    "ic0.cost_sign_with_schnorr heap",
                    src,
                    size,
                    known,
                    dst,
                )
            },
        )?
        .func_wrap(
            "ic0",
            "cost_vetkd_derive_key",
            |c: Caller<'_, Host>, _src: u32, size: u32, _curve: u32, _dst: u32| -> Result<u32> {
                Call::enter(c, "cost_vetkd_derive_key", mode::ANYWHERE, copied(size))?;
                Err(unsupported("cost_vetkd_derive_key"))
            },
        )?;
    Ok(())
}

fn unsupported(function: &str) -> Error {
    violation(format!(
        "ic0.{function} is not supported by this runtime, which does not know the price"
    ))
    .into()
}

/// A price on the canister's own subnet; system subnets charge nothing.
fn here(call: &mut Call<'_>, price: impl FnOnce(u32) -> Cycles) -> Cycles {
    let env = &call.message().env;
    if env.charges_cycles {
        price(env.subnet_size)
    } else {
        0
    }
}

fn signature(
    mut call: Call<'_>,
    what: &str,
    src: u32,
    size: u32,
    known_algorithm: bool,
    dst: u32,
) -> Result<u32> {
    let name = call.read_text(what, src, size)?;
    if !known_algorithm {
        return Ok(UNKNOWN_CURVE_OR_ALGORITHM);
    }
    if !prices::is_key_name(&name) {
        return Ok(UNKNOWN_KEY);
    }
    call.write_cycles(dst, prices::signature())?;
    Ok(SUCCESS)
}
