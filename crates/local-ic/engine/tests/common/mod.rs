//! Small canisters in WebAssembly text for tests.
#![allow(dead_code, reason = "each test file uses its part")]

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, OnceLock};

use local_ic_engine::{
    Answer, Callback, CompileError, Engine, Entry, Env, Instance, Module, Outcome, OutgoingCall,
    Principal, Trap,
};

/// Imports of every system call, as `$name`.
pub const IMPORTS: &str = include_str!("imports.wat");

pub const BALANCE: u128 = 1_000_000_000_000_000;

pub fn engine() -> &'static Engine {
    static ENGINE: OnceLock<Engine> = OnceLock::new();
    ENGINE.get_or_init(|| Engine::with_cache_dir(None).expect("this machine can run wasm"))
}

pub fn compile(text: &str) -> Result<Arc<Module>, CompileError> {
    engine().compile(&wat::parse_str(text).expect("the test's text is well-formed"))
}

/// A canister with all imports, one page of memory, a table of 16 functions and `body`.
pub fn canister(body: &str) -> Instance {
    let module = compile(&module_text(body)).expect("the module is valid");
    Instance::new(engine(), module).expect("the module can be instantiated")
}

pub fn module_text(body: &str) -> String {
    format!("(module {IMPORTS} (memory 1) (table 16 funcref) {body})")
}

/// A canister whose update `t` is `body`, which may use locals `$a` and `$b` (i64).
pub fn with_update(body: &str) -> Instance {
    canister(&update_text("t", body))
}

pub fn update_text(name: &str, body: &str) -> String {
    format!(r#"(func (export "canister_update {name}") (local $a i64) (local $b i64) {body})"#)
}

pub fn env() -> Env {
    Env {
        time: 1_620_328_630_000_000_005,
        caller: Principal::anonymous(),
        arg: Vec::new(),
        canister_id: id(1),
        controllers: vec![id(2)],
        canister_version: 3,
        status: 1,
        balance: BALANCE,
        frozen_balance: 0,
        cycles_available: 0,
        cycles_refunded: 0,
        deadline: 0,
        answered: false,
        subnet_id: id(9),
        subnet_size: 13,
        root_key: Arc::new(vec![7; 133]),
        certified_data: Vec::new(),
        data_certificate: None,
        global_timer: 0,
        environment_variables: Arc::new(BTreeMap::new()),
        outstanding_calls: HashMap::new(),
        context_instructions: 0,
        instruction_limit: 40_000_000_000,
        wasm_memory_limit: 0,
        charges_cycles: true,
    }
}

pub fn id(n: u8) -> Principal {
    Principal::from_slice(&[0, 0, 0, 0, 0, 0, 0, n, 1, 1])
}

pub fn update(canister: &mut Instance, name: &str) -> Outcome {
    canister.execute(Entry::Update(name.to_string()), env())
}

pub fn query(canister: &mut Instance, name: &str) -> Outcome {
    canister.execute(Entry::Query(name.to_string()), env())
}

/// The reply, or a panic with what happened instead.
pub fn reply(outcome: &Outcome) -> Vec<u8> {
    match &outcome.result {
        Ok(done) => match &done.answer {
            Some(Answer::Reply(bytes)) => bytes.clone(),
            other => panic!("no reply but {other:?}"),
        },
        Err(trap) => panic!("trapped: {trap:?}"),
    }
}

/// The reply as a number, little endian.
pub fn number(outcome: &Outcome) -> u64 {
    let bytes = reply(outcome);
    u64::from_le_bytes(bytes.try_into().expect("eight bytes"))
}

pub fn trap(outcome: &Outcome) -> Trap {
    match &outcome.result {
        Ok(done) => panic!("no trap but {done:?}"),
        Err(trap) => trap.clone(),
    }
}

/// The text of a contract violation.
pub fn violation(outcome: &Outcome) -> String {
    match trap(outcome) {
        Trap::ContractViolation(text) => text,
        other => panic!("no contract violation but {other:?}"),
    }
}

pub fn calls(outcome: &Outcome) -> Vec<OutgoingCall> {
    match &outcome.result {
        Ok(done) => done.calls.clone(),
        Err(trap) => panic!("trapped: {trap:?}"),
    }
}

/// Replies with the i64 that `value` leaves on the stack.
pub fn reply_number(value: &str) -> String {
    format!(
        "(i64.store (i32.const 0) {value})
         (call $msg_reply_data_append (i32.const 0) (i32.const 8))
         (call $msg_reply)"
    )
}

/// `call_new` to [`id`]`(5)`, method `work`, with callbacks 1 and 2 of the table.
pub const CALL_NEW: &str =
    "(call $call_new (i32.const 1000) (i32.const 10) (i32.const 1010) (i32.const 4)
    (i32.const 1) (i32.const 11) (i32.const 2) (i32.const 22))";
/// The data [`CALL_NEW`] points to.
pub const CALL_DATA: &str = r#"(data (i32.const 1000) "\00\00\00\00\00\00\00\05\01\01work")"#;

pub fn callback() -> Callback {
    Callback {
        reply_fun: 1,
        reply_env: 11,
        reject_fun: 2,
        reject_env: 22,
        cleanup: None,
    }
}
