//! What the host knows about the message being executed, and how system calls reach it.

use std::collections::HashMap;

use crate::mode::{Mode, Modes};
use crate::stable::StableMemory;
use crate::types::{Answer, Callback, Cycles, Env, OutgoingCall, Principal, Trap};
use crate::vm::{AsContextMut, Caller, Error, Func, Global, Memory, Val};

/// The data of a wasm store.
#[derive(Default)]
pub struct Host {
    pub memory: Option<Memory>,
    pub counter: Option<Global>,
    pub stable: StableMemory,
    /// Of a module with 64-bit addresses: the functions of `ic0` with 32-bit addresses.
    pub narrow: HashMap<&'static str, Func>,
    /// Present while a message runs.
    pub message: Option<Box<Message>>,
    pub heap_limit: HeapLimit,
}

impl Host {
    /// The running message.
    pub fn message(&mut self) -> &mut Message {
        self.message
            .as_deref_mut()
            .expect("BUG: system calls happen only while a message runs")
    }
}

/// The largest heap: the addresses of all of it fit 32 bits, also where modules have 64-bit addresses.
const MAX_HEAP: u64 = 4 << 30;

/// Refuses heap growth beyond a limit.
#[derive(Default)]
pub struct HeapLimit {
    /// In bytes; 0 for none.
    pub bytes: u64,
}

impl HeapLimit {
    /// Whether no heap can become as large as `desired` bytes.
    pub fn too_large(desired: usize) -> bool {
        desired as u64 > MAX_HEAP
    }

    /// Whether a heap may not become as large as `desired` bytes.
    pub fn refuses(&self, desired: usize) -> bool {
        self.bytes != 0 && desired as u64 > self.bytes
    }
}

/// A call between `call_new` and `call_perform`.
pub struct Draft {
    pub callee: Principal,
    pub method: String,
    pub arg: Vec<u8>,
    pub cycles: Cycles,
    pub timeout_seconds: Option<u32>,
    pub callback: Callback,
}

/// A message and what it has done so far.
pub struct Message {
    pub mode: Mode,
    pub env: Env,
    /// Method name, for `canister_inspect_message`.
    pub method: String,
    /// Code and message of the reject being handled.
    pub reject: Option<(u32, String)>,
    pub reply: Vec<u8>,
    pub answer: Option<Answer>,
    pub accepted_message: bool,
    pub draft: Option<Draft>,
    pub calls: Vec<OutgoingCall>,
    pub calls_to: HashMap<Principal, usize>,
    pub balance: Cycles,
    pub cycles_accepted: Cycles,
    pub cycles_burned: Cycles,
    pub certified_data: Option<Vec<u8>>,
    pub global_timer: Option<u64>,
    pub logs: Vec<String>,
}

impl Message {
    pub fn new(mode: Mode, method: String, reject: Option<(u32, String)>, env: Env) -> Self {
        Self {
            mode,
            balance: env.balance,
            env,
            method,
            reject,
            reply: Vec::new(),
            answer: None,
            accepted_message: false,
            draft: None,
            calls: Vec::new(),
            calls_to: HashMap::new(),
            cycles_accepted: 0,
            cycles_burned: 0,
            certified_data: None,
            global_timer: None,
            logs: Vec::new(),
        }
    }

    /// Whether the call was answered, now or earlier.
    pub fn is_answered(&self) -> bool {
        self.env.answered || self.answer.is_some()
    }

    /// Gives back the cycles of a call that will not be made.
    pub fn drop_draft(&mut self) {
        if let Some(draft) = self.draft.take() {
            self.balance += draft.cycles;
        }
    }
}

/// Carries a [`Trap`] through wasm frames.
#[derive(Debug)]
pub struct Stop(pub Trap);

impl std::fmt::Display for Stop {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{:?}", self.0)
    }
}

impl std::error::Error for Stop {}

/// Result of a system call.
pub type Result<T> = std::result::Result<T, Error>;

/// The violation of an indirect call, or a callback, of a function with another signature.
pub const WRONG_SIGNATURE: &str = "function invocation does not match its signature";

/// Ends the execution with a contract violation.
pub fn violation(text: impl Into<String>) -> Stop {
    Stop(Trap::ContractViolation(text.into()))
}

/// One system call in progress.
pub struct Call<'a> {
    caller: Caller<'a, Host>,
    name: &'static str,
}

impl<'a> Call<'a> {
    /// Charges for `ic0.<name>` and checks that the running entry point may make it.
    pub fn enter(
        caller: Caller<'a, Host>,
        name: &'static str,
        modes: Modes,
        instructions: u64,
    ) -> Result<Self> {
        let mut call = Self { caller, name };
        call.charge(instructions)?;
        let mode = call.message().mode;
        if !modes.contains(mode) {
            return Err(call.wrong_mode());
        }
        Ok(call)
    }

    /// The error for a call that the running entry point may not make.
    pub fn wrong_mode(&mut self) -> Error {
        let mode = self.message().mode.name();
        violation(format!(
            "\"ic0_{}\" cannot be executed in {mode} mode",
            self.name
        ))
        .into()
    }

    /// The running message.
    pub fn message(&mut self) -> &mut Message {
        self.caller.data_mut().message()
    }

    /// Stable memory.
    pub fn stable(&mut self) -> &mut StableMemory {
        &mut self.caller.data_mut().stable
    }

    /// Takes `instructions` from the counter; stops the execution when they run out.
    pub fn charge(&mut self, instructions: u64) -> Result<()> {
        let left = self.left();
        let amount = i64::try_from(instructions).unwrap_or(i64::MAX);
        let left = left.saturating_sub(amount);
        let counter = self.counter();
        counter.set(&mut self.caller, Val::I64(left))?;
        if left < 0 {
            return Err(Stop(Trap::InstructionLimit).into());
        }
        Ok(())
    }

    /// Instructions used by this message so far.
    pub fn used(&mut self) -> u64 {
        let limit = self.message().env.instruction_limit;
        used(limit, self.left())
    }

    fn counter(&self) -> Global {
        self.caller
            .data()
            .counter
            .expect("BUG: every rewritten module has a counter")
    }

    fn left(&mut self) -> i64 {
        let counter = self.counter();
        counter
            .get(&mut self.caller)
            .i64()
            .expect("BUG: the counter is an i64")
    }

    /// Runs `f` with the heap and the host's data.
    pub fn with_heap<T>(
        &mut self,
        f: impl FnOnce(&mut [u8], &mut Host) -> std::result::Result<T, Stop>,
    ) -> Result<T> {
        match self.caller.data().memory {
            Some(memory) => {
                let (heap, host) = memory.data_and_store_mut(self.caller.as_context_mut());
                Ok(f(heap, host)?)
            }
            None => Err(violation("WebAssembly module must define memory").into()),
        }
    }

    /// Copies heap bytes out.
    pub fn read(&mut self, what: &str, src: u32, size: u32) -> Result<Vec<u8>> {
        self.with_heap(|heap, _| Ok(slice(what, src.into(), size.into(), heap)?.to_vec()))
    }

    /// Copies heap bytes that must be UTF-8.
    pub fn read_text(&mut self, what: &str, src: u32, size: u32) -> Result<String> {
        let name = self.name;
        String::from_utf8(self.read(what, src, size)?)
            .map_err(|_| violation(format!("ic0.{name}: invalid UTF-8 string provided")).into())
    }

    /// Copies `source[offset..offset + size]` to the heap at `dst`.
    pub fn copy_to_heap(
        &mut self,
        dst: u32,
        offset: u32,
        size: u32,
        what: &str,
        source: impl FnOnce(&Message) -> &[u8],
    ) -> Result<()> {
        let name = self.name;
        self.with_heap(|heap, host| {
            copy(name, what, source(host.message()), offset, size, heap, dst)
        })
    }

    /// As [`Self::copy_to_heap`], from `source`.
    pub fn copy_text_to_heap(
        &mut self,
        dst: u32,
        offset: u32,
        size: u32,
        what: &str,
        source: &str,
    ) -> Result<()> {
        let name = self.name;
        self.with_heap(|heap, _| copy(name, what, source.as_bytes(), offset, size, heap, dst))
    }

    /// Writes an amount of cycles as 16 bytes, little endian.
    pub fn write_cycles(&mut self, dst: u32, cycles: Cycles) -> Result<()> {
        let name = self.name;
        self.with_heap(|heap, _| {
            let to = slice_mut(&format!("ic0_{name}"), dst.into(), 16, heap)?;
            to.copy_from_slice(&cycles.to_le_bytes());
            Ok(())
        })
    }
}

fn copy(
    name: &str,
    what: &str,
    source: &[u8],
    offset: u32,
    size: u32,
    heap: &mut [u8],
    dst: u32,
) -> std::result::Result<(), Stop> {
    let to = slice_mut(&format!("ic0.{name} heap"), dst.into(), size.into(), heap)?;
    let from = slice(
        &format!("ic0.{name} {what}"),
        offset.into(),
        size.into(),
        source,
    )?;
    to.copy_from_slice(from);
    Ok(())
}

/// Instructions used when `left` of `limit` are left.
pub fn used(limit: u64, left: i64) -> u64 {
    let limit = i64::try_from(limit).unwrap_or(i64::MAX);
    limit.saturating_sub(left).max(0) as u64
}

fn range(
    what: &str,
    src: u64,
    size: u64,
    len: usize,
) -> std::result::Result<std::ops::Range<usize>, Stop> {
    match src.checked_add(size) {
        Some(end) if end <= len as u64 => Ok(src as usize..end as usize),
        Some(_) => Err(violation(format!(
            "{what}: src={src} + length={size} exceeds the slice size={len}"
        ))),
        None => Err(violation(format!(
            "{what}: src={src} + length={size} is an invalid address"
        ))),
    }
}

/// `bytes[src..src + size]`, or a contract violation.
pub fn slice<'b>(
    what: &str,
    src: u64,
    size: u64,
    bytes: &'b [u8],
) -> std::result::Result<&'b [u8], Stop> {
    Ok(&bytes[range(what, src, size, bytes.len())?])
}

/// `bytes[src..src + size]`, or a contract violation.
pub fn slice_mut<'b>(
    what: &str,
    src: u64,
    size: u64,
    bytes: &'b mut [u8],
) -> std::result::Result<&'b mut [u8], Stop> {
    let range = range(what, src, size, bytes.len())?;
    Ok(&mut bytes[range])
}
