//! The instructions a test sends: what each does to the canister and to the output buffer.

use candid::{CandidType, Principal};
use serde::{Deserialize, Serialize};
use serde_bytes::ByteBuf;

/// One step of a program.
///
/// A program owns an output buffer. Steps that "append" add bytes to it: integers little-endian
/// in their natural width, byte strings as they are. [`Op::Reply`] sends it.
#[derive(CandidType, Serialize, Deserialize, Clone, Debug)]
pub enum Op {
    // Output.
    /// Appends these bytes.
    Say(ByteBuf),
    /// Appends this many bytes of one value.
    Fill(u64, u8),
    /// Replies with the buffer.
    Reply,
    /// `msg_reply_data_append` of the buffer without replying; empties the buffer.
    Append,
    /// `msg_reply` alone.
    ReplyOnly,
    /// Rejects with this text.
    Reject(String),
    /// Rejects with the buffer.
    RejectBuffer,

    // The message.
    /// Appends the argument (in a reply callback: the reply).
    Arg,
    /// Appends the size of the argument (u32).
    ArgSize,
    /// Appends the caller.
    Caller,
    /// Appends the reject code (u32).
    RejectCode,
    /// Appends the reject message.
    RejectMessage,
    /// Appends the deadline (u64).
    Deadline,
    /// Appends the method name (inspect_message only).
    MethodName,
    /// Accepts the ingress message (inspect_message only).
    AcceptMessage,

    // Cycles.
    /// Appends the cycles still offered by the caller (u128).
    CyclesAvailable,
    /// Appends the cycles refunded by the callee (u128).
    CyclesRefunded,
    /// Accepts up to so many cycles, appends what was taken (u128).
    CyclesAccept(u128),
    /// Burns up to so many cycles, appends what was burnt (u128).
    CyclesBurn(u128),
    /// Appends the balance (u128).
    Balance,
    /// Appends the liquid balance (u128).
    LiquidBalance,
    /// Appends `cost_call` for a method name and payload of these sizes (u128).
    CostCall(u64, u64),
    /// Appends `cost_create_canister` (u128).
    CostCreateCanister,
    /// Appends `cost_http_request` (u128).
    CostHttpRequest(u64, u64),
    /// Appends `cost_sign_with_ecdsa` for a key name and curve: result (u32), cycles (u128).
    CostSignWithEcdsa(String, u32),
    /// Appends `cost_sign_with_schnorr` for a key name and algorithm: result (u32), cycles (u128).
    CostSignWithSchnorr(String, u32),

    // The canister.
    /// Appends the canister's own id.
    SelfId,
    /// Appends the status: 1 running, 2 stopping, 3 stopped (u32).
    Status,
    /// Appends the canister version (u64).
    Version,
    /// Appends the subnet id.
    SubnetSelf,
    /// Appends the number of nodes of the subnet (u32).
    NodeCount,
    /// Appends 1 if the principal is a controller, else 0 (u32).
    IsController(Principal),
    /// Appends `in_replicated_execution` (u32).
    InReplicated,
    /// Appends the root key (DER).
    RootKey,
    /// Appends the number of environment variables (u32).
    EnvCount,
    /// Appends the name of the environment variable with this index.
    EnvName(u32),
    /// Appends 1 (u32) if the environment variable exists, else 0.
    EnvExists(String),
    /// Appends the value of the environment variable.
    EnvValue(String),
    /// Appends the time (u64).
    Time,
    /// Appends a performance counter (u64).
    Counter(u32),
    /// Sets the global timer, appends the previous value (u64).
    GlobalTimerSet(u64),
    /// Sets the certified data.
    CertifiedDataSet(ByteBuf),
    /// Appends `data_certificate_present` (u32).
    CertificatePresent,
    /// Appends the data certificate.
    Certificate,
    /// `debug_print` of this text.
    Print(String),

    // Memory.
    /// Appends the bytes kept under a name.
    Load(String),
    /// Moves the buffer to the end of the bytes kept under a name.
    Save(String),
    /// Replaces the bytes kept under a name.
    Put(String, ByteBuf),
    /// Appends the WebAssembly memory size in pages (u32).
    HeapSize,
    /// Grows the WebAssembly memory by so many pages, appends the previous size (u32).
    HeapGrow(u32),
    /// Appends the stable memory size in pages (u64).
    StableSize,
    /// Grows stable memory, appends the previous size in pages (u64).
    StableGrow(u64),
    /// Appends bytes of stable memory: offset, length.
    StableRead(u64, u64),
    /// Writes bytes to stable memory at an offset.
    StableWrite(u64, ByteBuf),

    // Failing and burning.
    /// `trap` with this text.
    Trap(String),
    /// `trap` with the buffer.
    TrapBuffer,
    /// The `unreachable` instruction.
    Unreachable,
    /// Reads far outside the memory.
    OutOfBounds,
    /// Works until performance counter 0 has reached so many instructions.
    WorkUntil(u64),

    // Control.
    /// Runs a program so many times.
    Repeat(u32, Vec<Op>),
    /// Makes an inter-canister call.
    Call(Box<CallSpec>),
    /// Appends what the last `call_perform` returned (u32).
    Performed,

    // Kept programs.
    /// Keeps a program that `canister_pre_upgrade` will run.
    OnPreUpgrade(Vec<Op>),
    /// Keeps a program that `canister_inspect_message` will run instead of accepting.
    OnInspect(Vec<Op>),
    /// Runs a program once after so many nanoseconds (ic-cdk-timers).
    After(u64, Vec<Op>),
    /// Runs a program every so many nanoseconds (ic-cdk-timers).
    Every(u64, Vec<Op>),

    // HTTP.
    /// Certifies the routes of [`crate::http`].
    CertifyHttp,
}

/// An inter-canister call with a program for each of its callbacks.
#[derive(CandidType, Serialize, Deserialize, Clone, Debug)]
pub struct CallSpec {
    /// The canister called.
    pub callee: Principal,
    /// The method called.
    pub method: String,
    /// The argument.
    pub arg: ByteBuf,
    /// So many zero bytes are added to the argument.
    pub padding: u64,
    /// Cycles attached.
    pub cycles: u128,
    /// Bounded wait of so many seconds; `None` waits without bound.
    pub timeout: Option<u32>,
    /// Ignores the answer: no callback runs.
    pub oneway: bool,
    /// Runs when the call is replied to.
    pub on_reply: Vec<Op>,
    /// Runs when the call is rejected.
    pub on_reject: Vec<Op>,
    /// Runs when the reply or reject callback traps; `None` registers no cleanup.
    pub on_cleanup: Option<Vec<Op>>,
}

/// Encodes a program as a message argument.
pub fn encode(program: &[Op]) -> Vec<u8> {
    candid::encode_one(program).expect("BUG: a program always encodes")
}

/// Decodes a program; no bytes are the empty program.
pub fn decode(bytes: &[u8]) -> Result<Vec<Op>, candid::Error> {
    if bytes.is_empty() {
        return Ok(Vec::new());
    }
    candid::decode_one(bytes)
}

/// Shorthand for [`Op::Say`].
pub fn say(bytes: impl AsRef<[u8]>) -> Op {
    Op::Say(ByteBuf::from(bytes.as_ref()))
}

/// A call with an argument, no cycles, unbounded, and empty callbacks; see the `with` methods.
pub fn call(callee: Principal, method: &str, arg: Vec<u8>) -> CallSpec {
    CallSpec {
        callee,
        method: method.into(),
        arg: ByteBuf::from(arg),
        padding: 0,
        cycles: 0,
        timeout: None,
        oneway: false,
        on_reply: Vec::new(),
        on_reject: Vec::new(),
        on_cleanup: None,
    }
}

/// A call of `run` on a torture canister with a program as argument.
pub fn call_run(callee: Principal, program: &[Op]) -> CallSpec {
    call(callee, "run", encode(program))
}

impl CallSpec {
    /// Attaches cycles.
    pub fn cycles(mut self, cycles: u128) -> Self {
        self.cycles = cycles;
        self
    }

    /// Adds zero bytes to the argument.
    pub fn padding(mut self, bytes: u64) -> Self {
        self.padding = bytes;
        self
    }

    /// Waits no longer than so many seconds.
    pub fn timeout(mut self, seconds: u32) -> Self {
        self.timeout = Some(seconds);
        self
    }

    /// Sets the reply callback's program.
    pub fn on_reply(mut self, program: Vec<Op>) -> Self {
        self.on_reply = program;
        self
    }

    /// Sets the reject callback's program.
    pub fn on_reject(mut self, program: Vec<Op>) -> Self {
        self.on_reject = program;
        self
    }

    /// Sets the cleanup callback's program.
    pub fn on_cleanup(mut self, program: Vec<Op>) -> Self {
        self.on_cleanup = Some(program);
        self
    }

    /// Replies with the callee's reply, or with `!`, the reject code (u32) and the reject message.
    pub fn forward(self) -> Self {
        self.on_reply(vec![Op::Arg, Op::Reply]).on_reject(vec![
            say("!"),
            Op::RejectCode,
            Op::RejectMessage,
            Op::Reply,
        ])
    }

    /// The call as a step.
    pub fn op(self) -> Op {
        Op::Call(Box::new(self))
    }
}
