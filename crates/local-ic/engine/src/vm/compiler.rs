//! Wasmtime, which compiles modules to machine code.

use std::path::PathBuf;

pub use wasmtime::{
    AsContextMut, Caller, Engine, Error, Func, FuncType, Global, Instance, Linker, Memory, Result,
    Store, Trap, TypedFunc, Val, ValType,
};
use wasmtime::{Cache, CacheConfig, Config, InstancePre, Module, OptLevel, Ref, ResourceLimiter};

use super::{MAX_TABLE, WASM_STACK};
use crate::host::{HeapLimit, Host, Stop};
use crate::types;

/// A compiled module with its imports.
pub struct Ready(InstancePre<Host>);

/// An engine that keeps what it compiles in `directory`, or nowhere. A directory that cannot be used is done without.
pub fn engine(directory: Option<PathBuf>) -> Result<Engine> {
    let mut config = Config::new();
    config
        .cranelift_opt_level(OptLevel::Speed)
        .cranelift_nan_canonicalization(true)
        .max_wasm_stack(WASM_STACK)
        // Unused, but the engine insists that it is not smaller than the stack above.
        .async_stack_size(2 * WASM_STACK)
        .wasm_backtrace_max_frames(None)
        .wasm_relaxed_simd(false)
        .wasm_multi_memory(false)
        .wasm_memory64(true);
    config.cache(directory.and_then(|directory| {
        std::fs::create_dir_all(&directory).ok()?;
        let mut cache = CacheConfig::new();
        cache.with_directory(directory.canonicalize().ok()?);
        Cache::new(cache).ok()
    }));
    Engine::new(&config)
}

/// Compiles `wasm`.
pub fn compile(engine: &Engine, linker: &Linker<Host>, wasm: &[u8]) -> Result<Ready> {
    linker
        .instantiate_pre(&Module::new(engine, wasm)?)
        .map(Ready)
}

/// An instance without state of its own yet.
pub fn instantiate(store: &mut Store<Host>, _: &Linker<Host>, module: &Ready) -> Result<Instance> {
    store.limiter(|host| &mut host.heap_limit);
    module.0.instantiate(store)
}

/// The function at `index` of a table; `None` if there is none.
pub fn table_function(
    store: &mut Store<Host>,
    instance: &Instance,
    table: &str,
    index: u32,
) -> Option<Func> {
    let table = instance.get_table(&mut *store, table)?;
    match table.get(&mut *store, u64::from(index)) {
        Some(Ref::Func(function)) => function,
        _ => None,
    }
}

/// The function `ic0.<name>` that the host defines.
pub fn host_function(store: &mut Store<Host>, linker: &Linker<Host>, name: &str) -> Option<Func> {
    linker.get(store, "ic0", name).ok()?.into_func()
}

/// The type of a function.
pub fn function_type(engine: &Engine, params: Vec<ValType>, results: Vec<ValType>) -> FuncType {
    FuncType::new(engine, params, results)
}

/// Sets `global` to a value that was read from it.
pub fn restore(store: &mut Store<Host>, global: &Global, value: &Val) -> Result<()> {
    global.set(store, *value)
}

/// Adds `pages` to a memory.
pub fn grow(store: &mut Store<Host>, memory: Memory, pages: u64) -> Result<()> {
    memory.grow(store, pages)?;
    Ok(())
}

/// Why this runtime ended the execution.
pub fn stop(error: &Error) -> Option<types::Trap> {
    error.downcast_ref().map(|Stop(trap)| trap.clone())
}

/// The trap of WebAssembly that `error` is.
pub fn trap(error: &Error) -> Option<Trap> {
    error.downcast_ref().copied()
}

impl ResourceLimiter for HeapLimit {
    fn memory_growing(
        &mut self,
        _current: usize,
        desired: usize,
        maximum: Option<usize>,
    ) -> Result<bool> {
        if maximum.is_some_and(|maximum| desired > maximum) || Self::too_large(desired) {
            return Ok(false);
        }
        if self.refuses(desired) {
            return Err(Stop(types::Trap::WasmMemoryLimit).into());
        }
        Ok(true)
    }

    fn table_growing(
        &mut self,
        _current: usize,
        desired: usize,
        maximum: Option<usize>,
    ) -> Result<bool> {
        Ok(desired <= maximum.unwrap_or(MAX_TABLE).min(MAX_TABLE))
    }
}
