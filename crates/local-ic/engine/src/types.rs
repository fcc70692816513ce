//! What goes into one execution and what comes out of it. Plain data: the replica decides what to do with it.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

pub use candid::Principal;

/// Cycles, as the IC counts them.
pub type Cycles = u128;

/// A callback pair and environment as registered by `ic0.call_new` and `ic0.call_on_cleanup`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Callback {
    pub reply_fun: u32,
    pub reply_env: u32,
    pub reject_fun: u32,
    pub reject_env: u32,
    pub cleanup: Option<(u32, u32)>,
}

/// An outgoing call as `ic0.call_perform` released it.
#[derive(Clone, Debug)]
pub struct OutgoingCall {
    pub callee: Principal,
    pub method: String,
    pub arg: Vec<u8>,
    /// Cycles attached with `call_cycles_add128`, already taken from the balance.
    pub cycles: Cycles,
    /// Cycles taken from the balance at `call_perform` beyond `cycles` (`ic0.cost_call`); the replica
    /// refunds the part that was not used when the response arrives.
    pub reserved: Cycles,
    /// `Some(seconds)` after `call_with_best_effort_response`; at most 300.
    pub timeout_seconds: Option<u32>,
    pub callback: Callback,
}

/// How the canister answered the call context in this execution, if it did.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Answer {
    Reply(Vec<u8>),
    Reject(String),
}

/// What runs.
#[derive(Clone, Debug)]
pub enum Entry {
    Init,
    PreUpgrade,
    PostUpgrade,
    /// `canister_update <method>`.
    Update(String),
    /// `canister_query <method>`, non-replicated: state is discarded afterwards.
    Query(String),
    /// `canister_query <method>` called as an update: state is discarded afterwards.
    ReplicatedQuery(String),
    /// `canister_composite_query <method>`. When it makes calls, its changes stay for its callbacks until
    /// [`Instance::end_composite`](crate::Instance::end_composite) or a message that is no query.
    CompositeQuery(String),
    InspectMessage {
        method: String,
    },
    /// Reply callback: the payload is the reply.
    ReplyCallback {
        fun: u32,
        env: u32,
        composite: bool,
    },
    /// Reject callback.
    RejectCallback {
        fun: u32,
        env: u32,
        code: u32,
        message: String,
        composite: bool,
    },
    Cleanup {
        fun: u32,
        env: u32,
        composite: bool,
    },
    GlobalTimer,
    Heartbeat,
    /// The transform function of an HTTP outcall: a query.
    Transform(String),
}

/// Everything a canister can learn during one execution.
#[derive(Clone, Debug)]
pub struct Env {
    /// Nanoseconds since 1970-01-01.
    pub time: u64,
    pub caller: Principal,
    /// Message argument, or the reply in a reply callback.
    pub arg: Vec<u8>,
    pub canister_id: Principal,
    pub controllers: Vec<Principal>,
    pub canister_version: u64,
    /// 1 running, 2 stopping, 3 stopped.
    pub status: u32,
    pub balance: Cycles,
    /// Balance below which outgoing calls and new executions are refused (freezing threshold in cycles).
    pub frozen_balance: Cycles,
    /// Cycles of the call that can still be accepted.
    pub cycles_available: Cycles,
    /// Cycles that came back with the response (callbacks only).
    pub cycles_refunded: Cycles,
    /// Nanoseconds, 0 for an unbounded-wait call.
    pub deadline: u64,
    /// Whether the call context was answered already.
    pub answered: bool,
    pub subnet_id: Principal,
    pub subnet_size: u32,
    pub root_key: Arc<Vec<u8>>,
    pub certified_data: Vec<u8>,
    /// CBOR certificate, in non-replicated queries only.
    pub data_certificate: Option<Vec<u8>>,
    pub global_timer: u64,
    pub environment_variables: Arc<BTreeMap<String, String>>,
    /// Outstanding calls by callee, for the limit of 500; the engine adds its own.
    pub outstanding_calls: HashMap<Principal, usize>,
    /// Instructions used by the call context before this execution, for `performance_counter(1)`.
    pub context_instructions: u64,
    pub instruction_limit: u64,
    /// Heap limit in bytes (`wasm_memory_limit`), 0 for none; applies to updates, init and post_upgrade.
    pub wasm_memory_limit: u64,
    /// Whether cycles are charged on this subnet (not on system subnets).
    pub charges_cycles: bool,
}

/// Why an execution failed; the replica turns it into reject code and error code.
/// Numbers in comments are the `IC0nnn` error codes of facts D of crates/torture/README.md.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Trap {
    /// 503: `ic0.trap` or a Rust panic.
    Called(String),
    /// 502: a wasm trap such as `unreachable` or `heap out of bounds`.
    Wasm(String),
    /// 504: a system call used where or as it may not be.
    ContractViolation(String),
    /// 522
    InstructionLimit,
    /// 536: no such method of that kind; the text says which, without a full stop.
    MethodNotFound(String),
    /// 539: the heap grew past `wasm_memory_limit`.
    WasmMemoryLimit,
}

/// Everything one execution did. On `Err` the canister's heap, globals, stable memory are already as
/// before, and every field that describes an effect is empty; `instructions` still counts.
#[derive(Clone, Debug)]
pub struct Outcome {
    pub result: Result<Done, Trap>,
    /// Instructions used, with the IC's weights, incl. heap page charges at the end of the message;
    /// exactly the limit if that was hit.
    pub instructions: u64,
    /// Lines of `ic0.debug_print`, and the trap's message if it trapped.
    pub logs: Vec<String>,
}

/// Effects of an execution that ended well.
#[derive(Clone, Debug, Default)]
pub struct Done {
    pub answer: Option<Answer>,
    /// Set by `accept_message` in `canister_inspect_message`.
    pub accepted_message: bool,
    pub calls: Vec<OutgoingCall>,
    /// Cycles accepted from the call.
    pub cycles_accepted: Cycles,
    pub cycles_burned: Cycles,
    /// Balance after accepting, burning, attaching and reserving; before the fee for the instructions.
    pub balance: Cycles,
    pub new_certified_data: Option<Vec<u8>>,
    pub new_global_timer: Option<u64>,
}

/// A custom section named `icp:public <name>` or `icp:private <name>`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CustomSection {
    pub name: String,
    pub public: bool,
    pub data: Vec<u8>,
}

impl CustomSection {
    /// Bytes of name and content.
    pub fn size(&self) -> usize {
        self.name.len() + self.data.len()
    }
}

/// What a canister occupies, in bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct MemorySizes {
    pub heap: u64,
    pub stable: u64,
    pub globals: u64,
    pub wasm_binary: u64,
    pub custom_sections: u64,
}
