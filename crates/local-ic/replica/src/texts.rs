//! The errors of the protocol with the texts facts D of crates/torture/README.md lists.

use local_ic_engine::Trap;

use crate::canister::{Canister, Status};
use crate::errors::{ErrorCode, UserError};
use crate::fees::grouped;
use crate::message::Payload;
use crate::types::{Cycles, Principal};

const ADVICE: &str = "Consider gracefully handling failures from this canister or altering the canister to handle exceptions. See documentation: https://internetcomputer.org/docs/current/references/execution-errors";

pub fn not_found(id: Principal) -> UserError {
    UserError::new(
        ErrorCode::CanisterNotFound,
        format!("Canister {id} not found"),
    )
}

/// A call to an id in no subnet's ranges.
pub fn no_route(id: Principal) -> UserError {
    UserError::new(
        ErrorCode::CanisterNotFound,
        format!("No route to canister {id}"),
    )
}

/// Why a canister that is not running takes no messages.
pub fn not_running(canister: &Canister) -> Option<UserError> {
    let id = canister.id;
    match canister.status {
        Status::Running => None,
        Status::Stopping(_) => Some(UserError::new(
            ErrorCode::CanisterStopping,
            format!("Canister {id} is stopping"),
        )),
        Status::Stopped => Some(UserError::new(
            ErrorCode::CanisterStopped,
            format!("Canister {id} is stopped"),
        )),
    }
}

/// A message to a canister without code.
pub fn no_module(id: Principal) -> UserError {
    UserError::new(
        ErrorCode::CanisterWasmModuleNotFound,
        format!(
            "Error from Canister {id}: Attempted to execute a message, but the canister contains no Wasm module."
        ),
    )
}

/// The same, refused when an ingress message is submitted.
pub fn no_module_at_submission() -> UserError {
    UserError::new(
        ErrorCode::CanisterWasmModuleNotFound,
        "Requested canister has no wasm module",
    )
}

/// An installation too soon after one that executed much.
pub fn rate_limited(id: Principal) -> UserError {
    UserError::new(
        ErrorCode::CanisterInstallCodeRateLimited,
        format!(
            "Canister {id} is rate limited because it executed too many instructions in the previous install_code messages. Please retry installation after several minutes."
        ),
    )
}

pub fn out_of_cycles(id: Principal, missing: Option<Cycles>) -> UserError {
    let advice = match missing {
        Some(missing) => format!(
            ": please top up the canister with at least {} additional cycles",
            grouped(missing)
        ),
        None => String::new(),
    };
    UserError::new(
        ErrorCode::CanisterOutOfCycles,
        format!("Canister {id} is out of cycles{advice}"),
    )
}

pub fn composite_in_update(id: Principal) -> UserError {
    UserError::new(
        ErrorCode::CompositeQueryCalledInReplicatedMode,
        format!("Error from Canister {id}: Composite query cannot be called in replicated mode"),
    )
}

pub fn did_not_reply(id: Principal) -> UserError {
    UserError::new(
        ErrorCode::CanisterDidNotReply,
        format!("Canister {id} did not reply to the call"),
    )
}

pub fn no_query_response(id: Principal) -> UserError {
    UserError::new(
        ErrorCode::CanisterDidNotReply,
        format!("Canister {id} did not produce a response"),
    )
}

pub fn deadline_expired() -> UserError {
    UserError::new(ErrorCode::DeadlineExpired, "Call deadline has expired.")
}

pub fn uninstalled() -> UserError {
    UserError::new(
        ErrorCode::CanisterRejectedMessage,
        "Canister has been uninstalled.",
    )
}

/// A request that is too large to leave the subnet.
pub fn message_too_large(caller: Principal, size: usize, limit: usize) -> Payload {
    Payload::Reject {
        code: ErrorCode::CanisterContractViolation.reject_code(),
        message: format!(
            "Canister {caller} violated contract: attempted to send a message of size {size} exceeding the limit {limit}"
        ),
    }
}

/// The error of a failed execution with this instruction limit.
pub fn trapped(id: Principal, trap: &Trap, limit: u64) -> UserError {
    let (code, text) = match trap {
        Trap::Called(message) => (
            ErrorCode::CanisterCalledTrap,
            format!("Canister called `ic0.trap` with message: '{message}'.\n{ADVICE}#trapped-explicitly"),
        ),
        Trap::Wasm(reason) => (
            ErrorCode::CanisterTrapped,
            format!("Canister trapped: {reason}.\n{ADVICE}#trapped"),
        ),
        Trap::ContractViolation(reason) => (
            ErrorCode::CanisterContractViolation,
            format!("Canister violated contract: {reason}."),
        ),
        Trap::InstructionLimit => (
            ErrorCode::CanisterInstructionLimitExceeded,
            format!("Canister exceeded the limit of {limit} instructions for single message execution."),
        ),
        Trap::MethodNotFound(reason) => (
            ErrorCode::CanisterMethodNotFound,
            format!("{reason}..\nCheck that the method being called is exported by the target canister."),
        ),
        Trap::WasmMemoryLimit => (
            ErrorCode::CanisterWasmMemoryLimitExceeded,
            "Canister exceeded its current Wasm memory limit. See `wasm_memory_limit` in the canister settings."
                .to_string(),
        ),
    };
    UserError::new(code, format!("Error from Canister {id}: {text}"))
}

/// A management method called by someone who is not a controller.
pub fn not_controller(canister: &Canister, caller: Principal) -> UserError {
    let controllers: Vec<String> = canister
        .settings
        .controllers
        .iter()
        .map(Principal::to_text)
        .collect();
    UserError::new(
        ErrorCode::CanisterInvalidController,
        format!(
            "Only the controllers of the canister {} can control it.\nCanister's controllers: {}\nSender's ID: {caller}",
            canister.id,
            controllers.join(" ")
        ),
    )
}
