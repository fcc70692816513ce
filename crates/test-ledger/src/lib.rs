//! Development only: an ICRC-1, ICRC-2 and ICRC-3 ledger with the behaviour measured on the ICRC ledger
//! suite (release ledger-suite-icrc-2026-02-02), which can be told to misbehave.
//!
//! With `test_icp` it has the ICP ledger's own `query_blocks` in place of ICRC-3. Its own `transfer` with numbers as
//! memos is not here.
//!
//! `args ← domain ← storage ← canister`; `faults` beside them. The canister part is built for wasm (and for
//! this crate's own tests) only, so that other packages can use `testing` natively.
//!
//! What differs from the real ledger, on purpose: blocks are archived when a test says so (`test_archive`)
//! and never otherwise, no fee collector, no index or legacy `get_transactions`/`get_blocks`, tokens are
//! 128 bits wide, and blocks carry `btype` beside `tx.op`.

pub mod args;
pub mod domain;
pub mod faults;
pub mod storage;
pub mod testing;
pub mod tip;

#[cfg(any(target_family = "wasm", test))]
mod canister;
