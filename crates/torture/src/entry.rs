//! The exported entry points that take programs.

use crate::machine;
use crate::program::{self, Op};

fn argument() -> Vec<Op> {
    let mut bytes = vec![0; ic0::msg_arg_data_size()];
    ic0::msg_arg_data_copy(&mut bytes, 0);
    match program::decode(&bytes) {
        Ok(program) => program,
        Err(error) => ic0::trap(format!("not a program: {error}").as_bytes()),
    }
}

fn run_argument() {
    machine::run(&argument());
}

/// Runs the program in the argument, in an update.
#[cfg_attr(target_family = "wasm", unsafe(export_name = "canister_update run"))]
pub extern "C" fn update() {
    run_argument();
}

/// Runs the program in the argument, in a query.
#[cfg_attr(target_family = "wasm", unsafe(export_name = "canister_query look"))]
pub extern "C" fn query() {
    run_argument();
}

/// Runs the program in the argument, in a composite query.
#[cfg_attr(
    target_family = "wasm",
    unsafe(export_name = "canister_composite_query compose")
)]
pub extern "C" fn composite_query() {
    run_argument();
}

/// Runs the program in the argument.
#[cfg_attr(target_family = "wasm", unsafe(export_name = "canister_init"))]
pub extern "C" fn init() {
    run_argument();
}

/// Runs the program kept for it.
#[cfg_attr(target_family = "wasm", unsafe(export_name = "canister_pre_upgrade"))]
pub extern "C" fn pre_upgrade() {
    machine::run(&machine::pre_upgrade_program());
}

/// Runs the program in the argument.
#[cfg_attr(target_family = "wasm", unsafe(export_name = "canister_post_upgrade"))]
pub extern "C" fn post_upgrade() {
    run_argument();
}

/// Runs the program kept for it; without one, accepts.
#[cfg_attr(
    target_family = "wasm",
    unsafe(export_name = "canister_inspect_message")
)]
pub extern "C" fn inspect_message() {
    match machine::inspect_program() {
        Some(program) => machine::run(&program),
        None => ic0::accept_message(),
    }
}
