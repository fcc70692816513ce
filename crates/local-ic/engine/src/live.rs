//! A wasm instance and the committed state it is compared with.

use std::sync::Arc;

use crate::api;
use crate::entry::Target;
use crate::error::CompileError;
use crate::host::{Host, Stop, WRONG_SIGNATURE, violation};
use crate::mode::Mode;
use crate::module::{Engine, Module};
use crate::rewrite;
use crate::stable::{OS_PAGE, StableMemory, WASM_PAGE};
use crate::types::Trap;
use crate::vm::{self, Error, Global, Instance, Memory, Result, Store, TypedFunc, Val};

/// Bytes of the heap page that is compared and charged for.
pub const PAGE: usize = OS_PAGE as usize;

/// Committed state.
#[derive(Clone, Default)]
pub struct State {
    pub heap: Vec<u8>,
    pub globals: Vec<Val>,
    pub stable: StableMemory,
}

/// A wasm instance with its exported state.
pub struct Live {
    pub store: Store<Host>,
    instance: Instance,
    memory: Option<Memory>,
    counter: Global,
    globals: Vec<Global>,
    /// Whether memory, and with it the argument of callbacks, has 64-bit addresses.
    wide: bool,
}

impl Live {
    pub fn heap(&self) -> &[u8] {
        match &self.memory {
            Some(memory) => memory.data(&self.store),
            None => &[],
        }
    }

    pub fn counter(&mut self) -> i64 {
        self.counter
            .get(&mut self.store)
            .i64()
            .expect("BUG: the counter is an i64")
    }

    pub fn set_counter(&mut self, instructions: i64) {
        self.counter
            .set(&mut self.store, Val::I64(instructions))
            .expect("BUG: the counter is a mutable i64");
    }

    pub fn read_globals(&mut self, to: &mut Vec<Val>) {
        to.clear();
        for global in &self.globals {
            to.push(global.get(&mut self.store));
        }
    }

    /// Overwrites heap and globals with `state`; the heap is of the same size.
    pub fn load(&mut self, state: &State) {
        for (global, value) in self.globals.iter().zip(&state.globals) {
            vm::restore(&mut self.store, global, value)
                .expect("BUG: the value was read from this global");
        }
        if let Some(memory) = &self.memory {
            let heap = memory.data_mut(&mut self.store);
            // Comparing first leaves untouched pages unmapped.
            for (to, from) in heap.chunks_mut(PAGE).zip(state.heap.chunks(PAGE)) {
                if to != from {
                    to.copy_from_slice(from);
                }
            }
        }
    }

    pub fn run_start(&mut self) -> Result<()> {
        let start: TypedFunc<(), ()> = self
            .instance
            .get_typed_func(&mut self.store, rewrite::START)?;
        let message = self.store.data_mut().message();
        let mode = std::mem::replace(&mut message.mode, Mode::Start);
        start.call(&mut self.store, ())?;
        self.store.data_mut().message().mode = mode;
        Ok(())
    }

    pub fn run(&mut self, target: &Target) -> Result<()> {
        match target {
            Target::Nothing => Ok(()),
            Target::Export(name) => {
                let function: TypedFunc<(), ()> =
                    self.instance.get_typed_func(&mut self.store, name)?;
                function.call(&mut self.store, ())
            }
            Target::Table(index, argument) => {
                let missing = || Stop(Trap::Wasm(format!("no function {index} in table 0")));
                let function =
                    vm::table_function(&mut self.store, &self.instance, rewrite::TABLE, *index)
                        .ok_or_else(missing)?;
                let wrong = |_| violation(WRONG_SIGNATURE);
                if self.wide {
                    let function: TypedFunc<u64, ()> =
                        function.typed(&self.store).map_err(wrong)?;
                    function.call(&mut self.store, u64::from(*argument))
                } else {
                    let function: TypedFunc<u32, ()> =
                        function.typed(&self.store).map_err(wrong)?;
                    function.call(&mut self.store, *argument)
                }
            }
        }
    }
}

/// State and instance right after instantiation.
pub fn fresh(
    engine: &Engine,
    module: &Arc<Module>,
) -> std::result::Result<(State, Live), CompileError> {
    let mut live = create(engine, module).map_err(|error| instantiation(&error))?;
    let mut state = State {
        heap: live.heap().to_vec(),
        ..State::default()
    };
    live.read_globals(&mut state.globals);
    Ok((state, live))
}

fn instantiation(error: &Error) -> CompileError {
    CompileError::Instantiate(format!("{error:#}"))
}

/// A wasm instance that holds `state`.
pub fn instantiate(
    engine: &Engine,
    module: &Arc<Module>,
    state: &State,
) -> std::result::Result<Live, CompileError> {
    let mut live = create(engine, module).map_err(|error| instantiation(&error))?;
    if let Some(memory) = live.memory {
        let missing = state.heap.len().saturating_sub(live.heap().len()) as u64;
        let pages = missing / WASM_PAGE;
        vm::grow(&mut live.store, memory, pages).map_err(|error| instantiation(&error))?;
    }
    live.load(state);
    Ok(live)
}

fn create(engine: &Engine, module: &Module) -> Result<Live> {
    let mut store = Store::new(engine.vm(), Host::default());
    let instance = vm::instantiate(&mut store, engine.linker(module.wide), &module.ready)?;
    if module.wide {
        let narrow = api::wide::narrow(&mut store, engine.linker(false));
        store.data_mut().narrow = narrow;
    }
    let memory = instance.get_memory(&mut store, rewrite::MEMORY);
    let counter = instance
        .get_global(&mut store, rewrite::COUNTER)
        .expect("BUG: every rewritten module has a counter");
    let globals = module
        .mutable_globals
        .iter()
        .map(|index| {
            instance
                .get_global(&mut store, &rewrite::global_name(*index))
                .expect("BUG: rewriting exports all mutable globals")
        })
        .collect();
    let host = store.data_mut();
    host.memory = memory;
    host.counter = Some(counter);
    Ok(Live {
        store,
        instance,
        memory,
        counter,
        globals,
        wide: module.wide,
    })
}

/// How many pages of `new` differ from `old`, which may be shorter.
pub fn changed_pages(new: &[u8], old: &[u8]) -> u64 {
    let common = old.len().min(new.len());
    let changed = new[..common]
        .chunks(PAGE)
        .zip(old[..common].chunks(PAGE))
        .filter(|(new, old)| new != old)
        .count();
    let added = new[common..]
        .chunks(PAGE)
        .filter(|page| page.iter().any(|byte| *byte != 0))
        .count();
    (changed + added) as u64
}
