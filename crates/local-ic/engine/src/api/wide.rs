//! The functions of `ic0` for modules whose memory has 64-bit addresses, as Motoko's compiler makes them.
//!
//! Each calls the function for 32-bit addresses. A heap has at most 4 GiB here, so every address in it fits 32 bits.

use std::collections::HashMap;

use crate::host::{Host, Result, violation};
use crate::signatures::functions;
use crate::vm::{self, Caller, Engine, Func, Linker, Store, Val, ValType};

/// Defines every function of `ic0` that such modules may import.
pub fn link(engine: &Engine, linker: &mut Linker<Host>) -> Result<()> {
    for (name, params, results) in functions(true) {
        let ty = vm::function_type(engine, types(params), types(results));
        let called = |mut caller: Caller<'_, Host>, args: &[Val], answers: &mut [Val]| {
            let function = caller.data().narrow.get(name).cloned();
            let function = function.expect("BUG: instances of such modules have all functions");
            let mut narrow = args.to_vec();
            for (letter, arg) in params.chars().zip(&mut narrow) {
                if let ('a', Some(address)) = (letter, arg.i64()) {
                    *arg = Val::I32(short(name, address)?);
                }
            }
            function.call(&mut caller, &narrow, answers_as(results, answers))?;
            for (letter, answer) in results.chars().zip(answers) {
                if let ('a', Some(size)) = (letter, answer.i32()) {
                    *answer = Val::I64(i64::from(size as u32));
                }
            }
            Ok(())
        };
        linker.func_new("ic0", name, ty, called)?;
    }
    Ok(())
}

/// The functions for 32-bit addresses, for one instance.
pub fn narrow(store: &mut Store<Host>, linker: &Linker<Host>) -> HashMap<&'static str, Func> {
    let all = functions(true).map(|(name, _, _)| {
        let function = vm::host_function(store, linker, name);
        (*name, function.expect("BUG: every function is defined"))
    });
    all.collect()
}

/// Room for the answers of the narrower function.
fn answers_as<'a>(results: &str, answers: &'a mut [Val]) -> &'a mut [Val] {
    for (letter, answer) in results.chars().zip(&mut *answers) {
        if letter == 'a' {
            *answer = Val::I32(0);
        }
    }
    answers
}

/// An address in 32 bits; all ones, where there is no callback, stay all ones.
fn short(name: &str, address: i64) -> Result<i32> {
    let address = address as u64;
    match u32::try_from(address) {
        Ok(short) => Ok(short as i32),
        Err(_) if address == u64::MAX => Ok(-1),
        Err(_) => Err(violation(format!(
            "ic0.{name}: {address} is beyond the 4 GiB that a heap may have here"
        ))
        .into()),
    }
}

fn types(letters: &str) -> Vec<ValType> {
    let wide = |letter| match letter {
        'i' => ValType::I32,
        _ => ValType::I64,
    };
    letters.chars().map(wide).collect()
}
