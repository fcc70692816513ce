//! What an execution comes to.

use crate::host::{Message, WRONG_SIGNATURE};
use crate::mode::Mode;
use crate::types::{Done, Env, Outcome, Trap};
use crate::vm;

/// Why wasm stopped, with `instructions_left` on the counter.
pub fn trap_of(error: &vm::Error, instructions_left: i64) -> Trap {
    if let Some(trap) = vm::stop(error) {
        return trap;
    }
    let text = match vm::trap(error) {
        Some(vm::Trap::BadSignature) => {
            return Trap::ContractViolation(WRONG_SIGNATURE.into());
        }
        // The code that counts instructions ends in `unreachable` when there are none left.
        Some(vm::Trap::UnreachableCodeReached) if instructions_left < 0 => {
            return Trap::InstructionLimit;
        }
        Some(trap) => match trap {
            vm::Trap::UnreachableCodeReached => "unreachable",
            vm::Trap::MemoryOutOfBounds => "heap out of bounds",
            vm::Trap::StackOverflow => "stack overflow",
            vm::Trap::TableOutOfBounds => "table out of bounds",
            vm::Trap::IndirectCallToNull => "indirect call to null",
            vm::Trap::IntegerOverflow => "integer overflow",
            vm::Trap::IntegerDivisionByZero => "integer division by zero",
            vm::Trap::BadConversionToInteger => "bad conversion to integer",
            other => return Trap::Wasm(other.to_string()),
        }
        .to_string(),
        None => format!("{error:#}"),
    };
    Trap::Wasm(text)
}

/// The outcome of an execution that was undone.
pub fn failed(trap: Trap, instructions: u64, mut logs: Vec<String>) -> Outcome {
    match &trap {
        Trap::Called(text) => logs.push(format!("[TRAP]: {text}")),
        Trap::Wasm(text) => logs.push(format!("[TRAP]: {text}")),
        _ => {}
    }
    Outcome {
        result: Err(trap),
        instructions,
        logs,
    }
}

/// The outcome of an entry point the canister has not.
pub fn nothing_to_run(mode: Mode, env: Env) -> Outcome {
    let balance = env.balance;
    let mut message = Message::new(mode, String::new(), None, env);
    message.accepted_message = mode == Mode::InspectMessage;
    done(message, 0, balance)
}

/// The outcome of an execution that ended well: only what its mode may change.
pub fn done(message: Message, instructions: u64, balance_before: u128) -> Outcome {
    let mut done = Done {
        answer: message.answer,
        accepted_message: message.accepted_message,
        balance: balance_before,
        ..Done::default()
    };
    if message.mode.is_composite() {
        done.calls = message.calls;
    } else if message.mode.is_replicated() {
        done.calls = message.calls;
        done.balance = message.balance;
        done.cycles_accepted = message.cycles_accepted;
        done.cycles_burned = message.cycles_burned;
        done.new_certified_data = message.certified_data;
        done.new_global_timer = message.global_timer;
    }
    Outcome {
        result: Ok(done),
        instructions,
        logs: message.logs,
    }
}
