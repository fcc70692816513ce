//! Wasmi, which interprets modules.

use std::path::PathBuf;

use wasmi::errors::HostError;
pub use wasmi::{
    AsContextMut, Caller, Engine, Error, Func, FuncType, Global, Instance, Linker, Memory, Store,
    TrapCode as Trap, TypedFunc, Val, ValType,
};
use wasmi::{Config, Module, Ref, ResourceLimiter};
use wasmi_core::LimiterError;

use super::{MAX_TABLE, WASM_STACK};
use crate::host::{HeapLimit, Host, Stop};
use crate::types;

pub type Result<T> = std::result::Result<T, Error>;

impl HostError for Stop {}

impl From<Stop> for Error {
    fn from(stop: Stop) -> Self {
        Self::host(stop)
    }
}

/// Tables that a module may have.
const MAX_TABLES: usize = 100;

/// A module that was validated.
pub struct Ready(Module);

/// An engine; nothing is kept on disk.
#[allow(clippy::unnecessary_wraps)] // as the compiler's
pub fn engine(_: Option<PathBuf>) -> Result<Engine> {
    let mut config = Config::default();
    config
        .set_max_stack_height(WASM_STACK)
        // The stack is the limit.
        .set_max_recursion_depth(WASM_STACK)
        .wasm_multi_memory(false);
    Ok(Engine::new(&config))
}

/// Validates `wasm`.
pub fn compile(engine: &Engine, _: &Linker<Host>, wasm: &[u8]) -> Result<Ready> {
    Module::new(engine, wasm).map(Ready)
}

/// An instance without state of its own yet.
pub fn instantiate(
    store: &mut Store<Host>,
    linker: &Linker<Host>,
    module: &Ready,
) -> Result<Instance> {
    store.limiter(|host| &mut host.heap_limit);
    linker.instantiate_and_start(store, &module.0)
}

/// The function at `index` of a table; `None` if there is none.
pub fn table_function(
    store: &mut Store<Host>,
    instance: &Instance,
    table: &str,
    index: u32,
) -> Option<Func> {
    let table = instance.get_table(&*store, table)?;
    match table.get(&*store, u64::from(index)) {
        Some(Ref::Func(function)) => Option::from(function),
        _ => None,
    }
}

/// The function `ic0.<name>` that the host defines.
pub fn host_function(store: &mut Store<Host>, linker: &Linker<Host>, name: &str) -> Option<Func> {
    linker.get(&*store, "ic0", name)?.into_func()
}

/// The type of a function.
pub fn function_type(_: &Engine, params: Vec<ValType>, results: Vec<ValType>) -> FuncType {
    FuncType::new(params, results)
}

/// Sets `global` to a value that was read from it.
pub fn restore(store: &mut Store<Host>, global: &Global, value: &Val) -> Result<()> {
    global.set(store, value.clone())?;
    Ok(())
}

/// Adds `pages` to a memory.
pub fn grow(store: &mut Store<Host>, memory: Memory, pages: u64) -> Result<()> {
    memory.grow(store, pages)?;
    Ok(())
}

/// Why this runtime ended the execution.
pub fn stop(error: &Error) -> Option<types::Trap> {
    match error.as_trap_code() {
        Some(Trap::GrowthOperationLimited) => Some(types::Trap::WasmMemoryLimit),
        _ => error.downcast_ref().map(|Stop(trap)| trap.clone()),
    }
}

/// The trap of WebAssembly that `error` is.
pub fn trap(error: &Error) -> Option<Trap> {
    error.as_trap_code()
}

impl ResourceLimiter for HeapLimit {
    fn memory_growing(
        &mut self,
        _current: usize,
        desired: usize,
        maximum: Option<usize>,
    ) -> std::result::Result<bool, LimiterError> {
        if maximum.is_some_and(|maximum| desired > maximum) || Self::too_large(desired) {
            return Ok(false);
        }
        if self.refuses(desired) {
            return Err(LimiterError::ResourceLimiterDeniedAllocation);
        }
        Ok(true)
    }

    fn table_growing(
        &mut self,
        _current: usize,
        desired: usize,
        maximum: Option<usize>,
    ) -> std::result::Result<bool, LimiterError> {
        Ok(desired <= maximum.unwrap_or(MAX_TABLE).min(MAX_TABLE))
    }

    fn instances(&self) -> usize {
        1
    }

    fn tables(&self) -> usize {
        MAX_TABLES
    }

    fn memories(&self) -> usize {
        1
    }
}
