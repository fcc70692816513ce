//! One canister: settings, balance, code, call contexts and queues.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use ic_management_canister_types::{LogVisibility, SnapshotVisibility, StatusVisibility};
use local_ic_engine::{Callback, Instance, Module, Outcome};

use crate::fees::{INSTALL_INSTRUCTIONS, Prices, UPDATE_INSTRUCTIONS};
use crate::history::History;
use crate::logs::{DEFAULT_LOG_BYTES, Logs};
use crate::message::{InputQueues, Origin};
use crate::types::{Cycles, Principal};

/// Bytes a stored chunk takes, whatever its length.
pub const CHUNK_BYTES: u64 = 1 << 20;

/// What a controller can set. Units as in the management canister's interface.
#[derive(Clone, Debug)]
pub struct Settings {
    pub controllers: Vec<Principal>,
    pub compute_allocation: u64,
    pub memory_allocation: u64,
    pub freezing_threshold: u64,
    pub reserved_cycles_limit: u128,
    pub log_visibility: LogVisibility,
    pub log_memory_limit: u64,
    pub snapshot_visibility: SnapshotVisibility,
    pub status_visibility: StatusVisibility,
    pub wasm_memory_limit: u64,
    pub wasm_memory_threshold: u64,
    pub environment_variables: Arc<BTreeMap<String, String>>,
}

impl Settings {
    /// The defaults of a new canister.
    pub fn new(controllers: Vec<Principal>) -> Self {
        Self {
            controllers,
            compute_allocation: 0,
            memory_allocation: 0,
            freezing_threshold: 2_592_000,
            reserved_cycles_limit: 5_000_000_000_000,
            log_visibility: LogVisibility::Controllers,
            log_memory_limit: DEFAULT_LOG_BYTES,
            snapshot_visibility: SnapshotVisibility::Controllers,
            status_visibility: StatusVisibility::Controllers,
            wasm_memory_limit: 3_221_225_472,
            wasm_memory_threshold: 0,
            environment_variables: Arc::default(),
        }
    }
}

/// A caller that waits for the canister to stop.
#[derive(Clone, Debug)]
pub struct StopRequest {
    pub origin: Origin,
    pub cycles: Cycles,
    /// When the wait is given up, nanoseconds.
    pub deadline: u64,
}

/// Whether the canister takes messages.
#[derive(Clone, Debug)]
pub enum Status {
    Running,
    Stopping(Vec<StopRequest>),
    Stopped,
}

impl Status {
    /// The number `ic0.canister_status` gives.
    pub fn number(&self) -> u32 {
        match self {
            Self::Running => 1,
            Self::Stopping(_) => 2,
            Self::Stopped => 3,
        }
    }

    pub fn is_running(&self) -> bool {
        matches!(self, Self::Running)
    }
}

/// A message that is being processed, from its first execution until it is answered and all calls made for it have returned.
#[derive(Clone, Debug)]
pub struct CallContext {
    pub origin: Origin,
    pub caller: Principal,
    /// Cycles of the call that were not accepted yet.
    pub cycles_available: Cycles,
    /// Nanoseconds, 0 for none.
    pub deadline: u64,
    pub answered: bool,
    /// Calls made for it whose responses have not been processed.
    pub outstanding: usize,
    pub instructions: u64,
}

/// A call this canister made and whose response has not been processed.
#[derive(Clone, Debug)]
pub struct PendingCall {
    /// `None` once the context is gone (code uninstalled): the response only brings back cycles.
    pub context: Option<u64>,
    pub callee: Principal,
    pub callback: Callback,
    /// Cycles set aside for the response and the callback's execution.
    pub reserved: Cycles,
    /// Nanoseconds, 0 for none.
    pub deadline: u64,
    /// Its response waits in the input queue; a later one is ignored.
    pub responded: bool,
}

/// An execution that takes several rounds; its effects become visible in `finish_round`.
pub struct Paused {
    pub finish_round: u64,
    pub work: Executed,
}

/// What was executed and what came out of it, before its effects are applied.
pub struct Executed {
    pub kind: ExecutedKind,
    /// Label for the metering.
    pub label: String,
    pub outcome: Outcome,
    /// What the cleanup callback did or why it failed.
    pub cleanup: Option<Outcome>,
    pub started: u64,
    /// Balance before the execution was paid for.
    pub balance_before: Cycles,
    /// Balance the execution started with.
    pub balance_during: Cycles,
    /// Cycles set aside for the execution.
    pub prepaid: Cycles,
    pub limit: u64,
}

/// Which message an execution belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ExecutedKind {
    /// The first execution of a context: an update, replicated query, timer or heartbeat.
    First { context: u64 },
    /// A callback.
    Callback { context: u64 },
}

/// Installed code with its memory.
pub struct Code {
    pub instance: Instance,
    pub module: Arc<Module>,
}

/// A canister.
pub struct Canister {
    pub id: Principal,
    /// Index of its subnet.
    pub subnet: usize,
    pub settings: Settings,
    pub balance: Cycles,
    pub version: u64,
    pub status: Status,
    pub code: Option<Code>,
    pub certified_data: Vec<u8>,
    /// Nanoseconds, 0 for none.
    pub global_timer: u64,
    pub contexts: BTreeMap<u64, CallContext>,
    pub calls: BTreeMap<u64, PendingCall>,
    pub inputs: InputQueues,
    pub paused: Option<Paused>,
    /// When storage was last paid for, nanoseconds.
    pub last_charge: u64,
    pub chunks: BTreeMap<[u8; 32], Vec<u8>>,
    pub history: History,
    pub logs: Logs,
    /// Instructions used in this round, for the limit of a round.
    pub round_instructions: u64,
    /// Instructions of code installations that are not credited back yet; with any, no code is installed.
    pub install_debit: u64,
    /// Whether a heartbeat or timer is due in this round.
    pub heartbeat_due: bool,
    pub timer_due: bool,
}

/// Sizes of everything that counts as a canister's memory, in bytes.
#[derive(Clone, Copy, Debug, Default)]
pub struct Memory {
    pub heap: u64,
    pub stable: u64,
    pub globals: u64,
    pub wasm_binary: u64,
    pub custom_sections: u64,
    pub history: u64,
    pub chunk_store: u64,
}

impl Memory {
    pub fn total(&self) -> u64 {
        self.heap
            + self.stable
            + self.globals
            + self.wasm_binary
            + self.custom_sections
            + self.history
            + self.chunk_store
    }
}

impl Canister {
    /// An empty running canister.
    pub fn new(
        id: Principal,
        subnet: usize,
        settings: Settings,
        balance: Cycles,
        now: u64,
    ) -> Self {
        Self {
            id,
            subnet,
            settings,
            balance,
            version: 0,
            status: Status::Running,
            code: None,
            certified_data: Vec::new(),
            global_timer: 0,
            contexts: BTreeMap::new(),
            calls: BTreeMap::new(),
            inputs: InputQueues::default(),
            paused: None,
            last_charge: now,
            chunks: BTreeMap::new(),
            history: History::default(),
            logs: Logs::default(),
            round_instructions: 0,
            install_debit: 0,
            heartbeat_due: false,
            timer_due: false,
        }
    }

    pub fn is_controller(&self, principal: &Principal) -> bool {
        self.settings.controllers.contains(principal)
    }

    /// Whether anybody but its controllers and itself may read its status.
    pub fn shows_status_to(&self, principal: &Principal) -> bool {
        match &self.settings.status_visibility {
            StatusVisibility::Controllers => false,
            StatusVisibility::Public => true,
            StatusVisibility::AllowedViewers(viewers) => viewers.contains(principal),
        }
    }

    pub fn memory(&self) -> Memory {
        let code = self
            .code
            .as_ref()
            .map(|code| code.instance.memory_sizes())
            .unwrap_or_default();
        Memory {
            heap: code.heap,
            stable: code.stable,
            globals: code.globals,
            wasm_binary: code.wasm_binary,
            custom_sections: code.custom_sections,
            history: self.history.bytes(),
            chunk_store: self.chunks.len() as u64 * CHUNK_BYTES,
        }
    }

    /// What the canister costs in `nanos` without doing anything.
    pub fn idle_cost(&self, prices: Prices, nanos: u64) -> Cycles {
        let bytes = self.memory().total().max(self.settings.memory_allocation);
        prices.resources(bytes, self.settings.compute_allocation, nanos)
    }

    /// The balance below which it is frozen.
    pub fn frozen_balance(&self, prices: Prices) -> Cycles {
        const DAY_NANOS: u64 = 86_400_000_000_000;
        const DAY_SECONDS: u128 = 86_400;
        self.idle_cost(prices, DAY_NANOS)
            .saturating_mul(u128::from(self.settings.freezing_threshold))
            / DAY_SECONDS
    }

    /// Takes `amount` unless that would freeze the canister; gives the missing cycles otherwise.
    pub fn withdraw(&mut self, prices: Prices, amount: Cycles) -> Result<(), Cycles> {
        let needed = self.frozen_balance(prices).saturating_add(amount);
        if prices.charges() && self.balance < needed {
            return Err(needed - self.balance);
        }
        self.balance = self.balance.saturating_sub(amount);
        Ok(())
    }

    /// What must be set aside before a message runs.
    pub fn message_prepayment(prices: Prices) -> Cycles {
        prices.execution(UPDATE_INSTRUCTIONS)
    }

    /// What must be set aside before code is installed.
    pub fn install_prepayment(prices: Prices) -> Cycles {
        prices.execution(INSTALL_INSTRUCTIONS)
    }

    /// Calls without a response, by callee.
    pub fn outstanding_calls(&self) -> HashMap<Principal, usize> {
        let mut calls = HashMap::new();
        for call in self.calls.values() {
            *calls.entry(call.callee).or_default() += 1;
        }
        calls
    }

    /// Appends log lines.
    pub fn log(&mut self, time: u64, lines: &[String]) {
        for line in lines {
            self.logs.push(time, line, self.settings.log_memory_limit);
        }
    }

    /// Nothing is open: a stopping canister may stop.
    pub fn is_quiet(&self) -> bool {
        self.contexts.is_empty() && self.calls.is_empty() && self.paused.is_none()
    }
}
