//! A canister that does what its caller tells it to, one system call at a time.
//!
//! Every entry point takes a [`program::Op`] list and runs it in its own execution context, so a
//! test can ask for any sequence of system calls, traps and inter-canister calls, with programs
//! of their own for the reply, reject and cleanup callbacks. The tests of this crate use it to
//! hold a replica to measured facts about the Internet Computer.
//!
//! Entry points: `canister_update run`, `canister_query look`,
//! `canister_composite_query compose`, init, pre_upgrade, post_upgrade and inspect_message, the
//! asynchronous methods of [`cdk`] and the HTTP interface of [`http`].

pub mod calls;
pub mod cdk;
pub mod entry;
pub mod http;
pub mod machine;
pub mod outcall;
pub mod program;
