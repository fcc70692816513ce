//! A canister's wasm state, and the execution of one message on it.

use std::sync::Arc;

use wasmtime::{Global, Memory, Ref, Store, TypedFunc, Val};

use crate::error::CompileError;
use crate::host::{Host, Message, Stop, used};
use crate::mode::Mode;
use crate::module::{Engine, Module, WASM_STACK};
use crate::rewrite;
use crate::stable::{OS_PAGE, StableMemory};
use crate::types::{Done, Entry, Env, MemorySizes, Outcome, Trap};

/// Instructions for each 4 KiB heap page whose content a message changed, charged at its end.
const CHANGED_HEAP_PAGE: u64 = 1_000;
const PAGE: usize = OS_PAGE as usize;
/// Stack that system calls and the native compiler's glue may need beyond [`WASM_STACK`].
const HOST_STACK: usize = 1 << 20;
/// Callback number of a one-way call.
const NO_CALLBACK: u32 = u32::MAX;

/// A canister with a module: heap, globals and stable memory.
pub struct Instance {
    engine: Engine,
    module: Arc<Module>,
    state: State,
    /// A wasm instance that holds `state`; absent after anything only a new instance undoes.
    live: Option<Live>,
    /// What was there before a composite query that still waits for callbacks.
    before_composite: Option<State>,
}

/// Committed state.
#[derive(Clone, Default)]
struct State {
    heap: Vec<u8>,
    globals: Vec<Val>,
    stable: StableMemory,
}

/// State to go back to, see [`Instance::snapshot`].
#[derive(Clone)]
pub struct Snapshot {
    module: Arc<Module>,
    state: State,
}

struct Live {
    store: Store<Host>,
    instance: wasmtime::Instance,
    memory: Option<Memory>,
    counter: Global,
    globals: Vec<Global>,
}

/// What an entry point means for the wasm instance.
enum Target {
    Export(String),
    /// A function in table 0 and its argument.
    Table(u32, u32),
    Nothing,
}

impl Instance {
    /// A canister with a fresh heap (data segments applied, start function not run) and empty stable memory.
    ///
    /// # Errors
    /// If the module cannot be instantiated.
    pub fn new(engine: &Engine, module: Arc<Module>) -> Result<Self, CompileError> {
        let (state, live) = fresh(engine, &module)?;
        Ok(Self {
            engine: engine.clone(),
            module,
            state,
            live: Some(live),
            before_composite: None,
        })
    }

    /// The module.
    pub fn module(&self) -> &Arc<Module> {
        &self.module
    }

    /// Replaces the module by `module` with a fresh heap; empties stable memory (install, reinstall).
    ///
    /// # Errors
    /// If the module cannot be instantiated; nothing has changed then.
    pub fn install(&mut self, engine: &Engine, module: Arc<Module>) -> Result<(), CompileError> {
        *self = Self::new(engine, module)?;
        Ok(())
    }

    /// Replaces the module by `module` with a fresh heap; keeps stable memory.
    ///
    /// # Errors
    /// If the module cannot be instantiated; nothing has changed then.
    pub fn upgrade(&mut self, engine: &Engine, module: Arc<Module>) -> Result<(), CompileError> {
        self.end_composite();
        let mut next = Self::new(engine, module)?;
        next.state.stable = std::mem::take(&mut self.state.stable);
        *self = next;
        Ok(())
    }

    /// The state to [`Self::restore`] when something that spans executions fails. Stable memory is
    /// shared, not copied.
    pub fn snapshot(&self) -> Snapshot {
        Snapshot {
            module: self.module.clone(),
            state: self.state.clone(),
        }
    }

    /// Goes back to a snapshot, module included.
    pub fn restore(&mut self, saved: Snapshot) {
        self.module = saved.module;
        self.state = saved.state;
        self.live = None;
        self.before_composite = None;
    }

    /// Ends a composite query that waited for callbacks: all its changes are discarded.
    pub fn end_composite(&mut self) {
        if let Some(state) = self.before_composite.take() {
            self.state = state;
            self.live = None;
        }
    }

    /// The whole stable memory.
    pub fn stable_bytes(&self) -> Vec<u8> {
        self.state.stable.to_vec()
    }

    /// Replaces stable memory, rounded up to whole WebAssembly pages.
    pub fn set_stable_bytes(&mut self, bytes: &[u8]) {
        self.state.stable = StableMemory::from_bytes(bytes);
    }

    /// What the canister occupies.
    pub fn memory_sizes(&self) -> MemorySizes {
        MemorySizes {
            heap: self.state.heap.len() as u64,
            stable: self.state.stable.len(),
            globals: 8 * self.state.globals.len() as u64,
            wasm_binary: self.module.binary_size(),
            custom_sections: self
                .module
                .custom_sections()
                .iter()
                .map(|section| section.size() as u64)
                .sum(),
        }
    }

    /// Runs one message. On a trap the canister is exactly as before.
    pub fn execute(&mut self, entry: Entry, env: Env) -> Outcome {
        let (mode, target) = match self.target(&entry) {
            Ok(found) => found,
            Err(trap) => return failed(trap, 0, Vec::new()),
        };
        if !mode.is_composite() {
            self.end_composite();
        }
        if matches!(target, Target::Nothing) && !self.runs_start(&entry) {
            return nothing_to_run(mode, env);
        }
        let (method, reject) = match entry {
            Entry::InspectMessage { method } => (method, None),
            Entry::RejectCallback { code, message, .. } => (String::new(), Some((code, message))),
            _ => (String::new(), None),
        };
        let limited = matches!(mode, Mode::Init | Mode::Update | Mode::SystemTask);
        let heap_limit = if limited { env.wasm_memory_limit } else { 0 };
        if heap_limit != 0 && self.state.heap.len() as u64 > heap_limit {
            return failed(Trap::WasmMemoryLimit, 0, Vec::new());
        }
        let message = Message::new(mode, method, reject, env);
        // Any thread may call this, with whatever stack it has.
        stacker::maybe_grow(WASM_STACK + HOST_STACK, WASM_STACK + 2 * HOST_STACK, || {
            self.run(target, message, heap_limit)
        })
    }

    fn runs_start(&self, entry: &Entry) -> bool {
        self.module.has_start && matches!(entry, Entry::Init | Entry::PostUpgrade)
    }

    fn target(&self, entry: &Entry) -> Result<(Mode, Target), Trap> {
        let module = &self.module;
        let method = |exists: bool, kind: &str, what: &str, name: &str| {
            if exists {
                Ok(Target::Export(format!("canister_{kind} {name}")))
            } else {
                Err(Trap::MethodNotFound(format!(
                    "Canister has no {what} method '{name}'"
                )))
            }
        };
        let query = |name: &str| method(module.has_query(name), "query", "query", name);
        let system = |name: &str| {
            if module.has_system(name) {
                Target::Export(name.to_string())
            } else {
                Target::Nothing
            }
        };
        let callback = |fun: u32, env: u32| {
            if fun == NO_CALLBACK {
                Target::Nothing
            } else {
                Target::Table(fun, env)
            }
        };
        let either = |composite: bool, yes: Mode, no: Mode| if composite { yes } else { no };
        Ok(match entry {
            Entry::Init => (Mode::Init, system("canister_init")),
            Entry::PostUpgrade => (Mode::Init, system("canister_post_upgrade")),
            Entry::PreUpgrade => (Mode::PreUpgrade, system("canister_pre_upgrade")),
            Entry::GlobalTimer => (Mode::SystemTask, system("canister_global_timer")),
            Entry::Heartbeat => (Mode::SystemTask, system("canister_heartbeat")),
            Entry::InspectMessage { .. } => {
                (Mode::InspectMessage, system("canister_inspect_message"))
            }
            Entry::Update(name) => (
                Mode::Update,
                method(module.has_update(name), "update", "update", name)?,
            ),
            Entry::Query(name) | Entry::Transform(name) => (Mode::Query, query(name)?),
            Entry::ReplicatedQuery(name) => (Mode::ReplicatedQuery, query(name)?),
            Entry::CompositeQuery(name) => (
                Mode::CompositeQuery,
                method(
                    module.has_composite_query(name),
                    "composite_query",
                    "composite query",
                    name,
                )?,
            ),
            Entry::ReplyCallback {
                fun,
                env,
                composite,
            } => (
                either(
                    *composite,
                    Mode::CompositeReplyCallback,
                    Mode::ReplyCallback,
                ),
                callback(*fun, *env),
            ),
            Entry::RejectCallback {
                fun,
                env,
                composite,
                ..
            } => (
                either(
                    *composite,
                    Mode::CompositeRejectCallback,
                    Mode::RejectCallback,
                ),
                callback(*fun, *env),
            ),
            Entry::Cleanup {
                fun,
                env,
                composite,
            } => (
                either(*composite, Mode::CompositeCleanup, Mode::Cleanup),
                callback(*fun, *env),
            ),
        })
    }

    fn run(&mut self, target: Target, message: Message, heap_limit: u64) -> Outcome {
        let mut live = match self.live.take() {
            Some(live) => live,
            None => match instantiate(&self.engine, &self.module, &self.state) {
                Ok(live) => live,
                Err(error) => return failed(Trap::Wasm(error.to_string()), 0, Vec::new()),
            },
        };
        let limit = message.env.instruction_limit;
        let mode = message.mode;
        let balance_before = message.env.balance;
        let host = live.store.data_mut();
        host.heap_limit.bytes = heap_limit;
        host.stable = std::mem::take(&mut self.state.stable);
        host.stable.begin();
        host.message = Some(Box::new(message));

        live.set_counter(i64::try_from(limit).unwrap_or(i64::MAX));
        let result = if mode == Mode::Init && self.module.has_start {
            live.run_start().and_then(|()| live.run(&target))
        } else {
            live.run(&target)
        };
        let left = live.counter();
        let result = result.map_err(|error| trap_of(&error, left));

        let host = live.store.data_mut();
        host.heap_limit.bytes = 0;
        let mut message = *host.message.take().expect("BUG: put there above");
        self.state.stable = std::mem::take(&mut host.stable);
        let mut instructions = match result {
            Err(Trap::InstructionLimit) => limit,
            _ => used(limit, left).min(limit),
        };
        message.drop_draft();
        match result {
            Ok(()) => {
                let keeps = self.keeps_changes(&message);
                let pages = if keeps {
                    self.commit(&mut live)
                } else {
                    let pages = changed_pages(live.heap(), &self.state.heap);
                    self.roll_back(live);
                    return done(
                        message,
                        instructions + CHANGED_HEAP_PAGE * pages,
                        balance_before,
                    );
                };
                instructions += CHANGED_HEAP_PAGE * pages;
                if !self.module.needs_new_instances {
                    self.live = Some(live);
                }
                done(message, instructions, balance_before)
            }
            Err(trap) => {
                self.roll_back(live);
                failed(trap, instructions, message.logs)
            }
        }
    }

    /// Whether the changes of an execution that ended well stay. Those of a composite query stay while
    /// it waits for callbacks, after putting aside what was there before.
    fn keeps_changes(&mut self, message: &Message) -> bool {
        if message.mode.is_composite() {
            if self.before_composite.is_none() {
                if message.calls.is_empty() {
                    return false;
                }
                // The stable memory at hand already has this message's changes: undo them in the copy.
                let mut before = self.state.clone();
                before.stable.rollback();
                self.before_composite = Some(before);
            }
            return true;
        }
        !message.mode.discards_state()
    }

    /// Takes over the live state; returns how many 4 KiB pages of the heap changed.
    fn commit(&mut self, live: &mut Live) -> u64 {
        self.state.stable.commit();
        live.read_globals(&mut self.state.globals);
        let heap = live.heap();
        self.state.heap.resize(heap.len(), 0);
        let mut changed = 0;
        for (new, old) in heap.chunks(PAGE).zip(self.state.heap.chunks_mut(PAGE)) {
            if new != old {
                old.copy_from_slice(new);
                changed += 1;
            }
        }
        changed
    }

    /// Makes the live state what was committed, or drops the instance if that cannot be done.
    fn roll_back(&mut self, mut live: Live) {
        self.state.stable.rollback();
        // Memory cannot shrink, tables and dropped segments cannot be reset.
        if live.heap().len() == self.state.heap.len() && !self.module.needs_new_instances {
            live.load(&self.state);
            self.live = Some(live);
        }
    }
}

impl std::fmt::Debug for Instance {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Instance")
            .field("module", &self.module)
            .field("sizes", &self.memory_sizes())
            .finish_non_exhaustive()
    }
}

impl Live {
    fn heap(&self) -> &[u8] {
        match &self.memory {
            Some(memory) => memory.data(&self.store),
            None => &[],
        }
    }

    fn counter(&mut self) -> i64 {
        self.counter.get(&mut self.store).unwrap_i64()
    }

    fn set_counter(&mut self, instructions: i64) {
        self.counter
            .set(&mut self.store, Val::I64(instructions))
            .expect("BUG: the counter is a mutable i64");
    }

    fn read_globals(&mut self, to: &mut Vec<Val>) {
        to.clear();
        for global in &self.globals {
            to.push(global.get(&mut self.store));
        }
    }

    /// Overwrites heap and globals with `state`; the heap is of the same size.
    fn load(&mut self, state: &State) {
        for (global, value) in self.globals.iter().zip(&state.globals) {
            global
                .set(&mut self.store, *value)
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

    fn run_start(&mut self) -> wasmtime::Result<()> {
        let start: TypedFunc<(), ()> = self
            .instance
            .get_typed_func(&mut self.store, rewrite::START)?;
        let message = self.store.data_mut().message();
        let mode = std::mem::replace(&mut message.mode, Mode::Start);
        start.call(&mut self.store, ())?;
        self.store.data_mut().message().mode = mode;
        Ok(())
    }

    fn run(&mut self, target: &Target) -> wasmtime::Result<()> {
        match target {
            Target::Nothing => Ok(()),
            Target::Export(name) => {
                let function: TypedFunc<(), ()> =
                    self.instance.get_typed_func(&mut self.store, name)?;
                function.call(&mut self.store, ())
            }
            Target::Table(index, argument) => {
                let missing = || Stop(Trap::Wasm(format!("no function {index} in table 0")));
                let table = self
                    .instance
                    .get_table(&mut self.store, rewrite::TABLE)
                    .ok_or_else(missing)?;
                let Some(Ref::Func(Some(function))) = table.get(&mut self.store, u64::from(*index))
                else {
                    return Err(missing().into());
                };
                let function: TypedFunc<u32, ()> = function.typed(&self.store).map_err(|_| {
                    Stop(Trap::Wasm(
                        "function invocation does not match its signature".into(),
                    ))
                })?;
                function.call(&mut self.store, *argument)
            }
        }
    }
}

fn fresh(engine: &Engine, module: &Arc<Module>) -> Result<(State, Live), CompileError> {
    let mut live = create(engine, module).map_err(|error| instantiation(&error))?;
    let mut state = State {
        heap: live.heap().to_vec(),
        ..State::default()
    };
    live.read_globals(&mut state.globals);
    Ok((state, live))
}

fn instantiation(error: &wasmtime::Error) -> CompileError {
    CompileError::Instantiate(format!("{error:#}"))
}

/// A wasm instance that holds `state`.
fn instantiate(engine: &Engine, module: &Arc<Module>, state: &State) -> Result<Live, CompileError> {
    let mut live = create(engine, module).map_err(|error| instantiation(&error))?;
    if let Some(memory) = live.memory {
        let missing = state.heap.len().saturating_sub(live.heap().len()) as u64;
        let pages = missing / crate::stable::WASM_PAGE;
        memory
            .grow(&mut live.store, pages)
            .map_err(|error| instantiation(&error))?;
    }
    live.load(state);
    Ok(live)
}

fn create(engine: &Engine, module: &Module) -> wasmtime::Result<Live> {
    let mut store = Store::new(engine.wasmtime(), Host::default());
    store.limiter(|host| &mut host.heap_limit);
    let instance = module.ready.instantiate(&mut store)?;
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
    })
}

fn changed_pages(new: &[u8], old: &[u8]) -> u64 {
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

fn trap_of(error: &wasmtime::Error, instructions_left: i64) -> Trap {
    if let Some(Stop(trap)) = error.downcast_ref::<Stop>() {
        return trap.clone();
    }
    let text = match error.downcast_ref::<wasmtime::Trap>() {
        // The code that counts instructions ends in `unreachable` when there are none left.
        Some(wasmtime::Trap::UnreachableCodeReached) if instructions_left < 0 => {
            return Trap::InstructionLimit;
        }
        Some(trap) => match trap {
            wasmtime::Trap::UnreachableCodeReached => "unreachable",
            wasmtime::Trap::MemoryOutOfBounds => "heap out of bounds",
            wasmtime::Trap::StackOverflow => "stack overflow",
            wasmtime::Trap::TableOutOfBounds => "table out of bounds",
            wasmtime::Trap::IndirectCallToNull => "indirect call to null",
            wasmtime::Trap::BadSignature => "indirect call signature mismatch",
            wasmtime::Trap::IntegerOverflow => "integer overflow",
            wasmtime::Trap::IntegerDivisionByZero => "integer division by zero",
            wasmtime::Trap::BadConversionToInteger => "bad conversion to integer",
            other => return Trap::Wasm(other.to_string()),
        }
        .to_string(),
        None => format!("{error:#}"),
    };
    Trap::Wasm(text)
}

fn failed(trap: Trap, instructions: u64, mut logs: Vec<String>) -> Outcome {
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
fn nothing_to_run(mode: Mode, env: Env) -> Outcome {
    let balance = env.balance;
    let mut message = Message::new(mode, String::new(), None, env);
    message.accepted_message = mode == Mode::InspectMessage;
    done(message, 0, balance)
}

fn done(message: Message, instructions: u64, balance_before: u128) -> Outcome {
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

// The replica moves canisters between threads.
const _: fn() = || {
    fn is_send<T: Send>() {}
    is_send::<Instance>();
    is_send::<Engine>();
    is_send::<Snapshot>();
};
