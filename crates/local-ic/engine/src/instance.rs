//! A canister's wasm state, and the execution of one message on it.

use std::sync::Arc;

use crate::entry::{Target, resolve};
use crate::error::CompileError;
use crate::host::{Message, used};
use crate::live::{Live, PAGE, State, changed_pages, fresh, instantiate};
use crate::mode::Mode;
use crate::module::{Engine, Module};
use crate::outcome::{done, failed, nothing_to_run, trap_of};
use crate::stable::StableMemory;
use crate::types::{Entry, Env, MemorySizes, Outcome, Trap};
use crate::vm::WASM_STACK;

/// Instructions for each 4 KiB heap page whose content a message changed, charged at its end.
const CHANGED_HEAP_PAGE: u64 = 1_000;
/// Stack that system calls and the native compiler's glue may need beyond [`WASM_STACK`].
const HOST_STACK: usize = 1 << 20;

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

/// State to go back to, see [`Instance::snapshot`].
#[derive(Clone)]
pub struct Snapshot {
    module: Arc<Module>,
    state: State,
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
        let (mode, target) = match resolve(&self.module, &entry) {
            Ok(found) => found,
            Err(trap) => return failed(trap, 0, Vec::new()),
        };
        if mode == Mode::Query && self.before_composite.is_some() {
            return self.execute_beside_composite(entry, env);
        }
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

    /// Runs a query while a composite query waits for callbacks: it sees what was there before, and the
    /// callbacks still find what their query left.
    fn execute_beside_composite(&mut self, entry: Entry, env: Env) -> Outcome {
        let Some(before) = self.before_composite.take() else {
            return self.execute(entry, env);
        };
        let waiting = std::mem::replace(&mut self.state, before);
        self.live = None;
        let outcome = self.execute(entry, env);
        self.before_composite = Some(std::mem::replace(&mut self.state, waiting));
        self.live = None;
        outcome
    }

    fn runs_start(&self, entry: &Entry) -> bool {
        self.module.has_start && matches!(entry, Entry::Init | Entry::PostUpgrade)
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

// The replica moves canisters between threads.
const _: fn() = || {
    fn is_send<T: Send>() {}
    is_send::<Instance>();
    is_send::<Engine>();
    is_send::<Snapshot>();
};
