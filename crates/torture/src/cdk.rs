//! What canisters usually build on: the asynchronous calls of ic-cdk.

use candid::{CandidType, Principal};
use ic_cdk::call::Call;
use serde::{Deserialize, Serialize};
use serde_bytes::ByteBuf;
use std::cell::Cell;

thread_local! {
    static LOCKS: Cell<u32> = const { Cell::new(0) };
}

/// Counts the methods that are between their first line and their end.
struct Lock;

impl Lock {
    fn take() -> Self {
        LOCKS.set(LOCKS.get() + 1);
        Self
    }
}

impl Drop for Lock {
    fn drop(&mut self) {
        LOCKS.set(LOCKS.get() - 1);
    }
}

/// What to call, how long to wait for it, and whether to trap once it is answered.
#[derive(CandidType, Serialize, Deserialize, Clone, Debug)]
pub struct LockedCall {
    /// The canister called.
    pub callee: Principal,
    /// The method called.
    pub method: String,
    /// The argument.
    pub arg: ByteBuf,
    /// Seconds of a bounded wait; `None` waits without bound.
    pub timeout: Option<u32>,
    /// Panics after the answer.
    pub panic_after: bool,
}

/// Replies with nothing.
#[ic_cdk::update]
pub fn cdk_noop() {}

/// Panics with this text.
#[ic_cdk::update]
pub fn cdk_panic(text: String) {
    panic!("{text}");
}

/// Makes a call while holding a lock that its destructor releases; returns the reply, or the
/// reject code and message.
#[ic_cdk::update]
pub async fn cdk_locked_call(request: LockedCall) -> Result<ByteBuf, (u32, String)> {
    let _lock = Lock::take();
    let call = match request.timeout {
        None => Call::unbounded_wait(request.callee, &request.method),
        Some(seconds) => {
            Call::bounded_wait(request.callee, &request.method).change_timeout(seconds)
        }
    };
    let answer = call.with_raw_args(&request.arg).await;
    if request.panic_after {
        panic!("asked to panic after the call");
    }
    match answer {
        Ok(reply) => Ok(ByteBuf::from(reply.into_bytes())),
        Err(ic_cdk::call::CallFailed::CallRejected(reject)) => Err((
            reject.raw_reject_code(),
            reject.reject_message().to_string(),
        )),
        Err(other) => Err((0, other.to_string())),
    }
}

/// How many locks are held.
#[ic_cdk::query]
pub fn cdk_locks() -> u32 {
    LOCKS.get()
}

/// Instruction counters: before an await (this execution), after it (this execution), after it
/// (the whole call).
#[ic_cdk::update]
pub async fn cdk_counters() -> (u64, u64, u64) {
    let before = ic_cdk::api::performance_counter(0);
    let answer = Call::unbounded_wait(ic_cdk::api::canister_self(), "cdk_noop").await;
    assert!(answer.is_ok(), "a call to oneself is answered");
    (
        before,
        ic_cdk::api::performance_counter(0),
        ic_cdk::api::performance_counter(1),
    )
}
