//! What executes canisters: a compiler, or an interpreter with the same interface.
//!
//! Modules are rewritten before they get here, so that instructions are counted alike in both. The interpreter is
//! compiled in a fraction of the compiler's time and executes more slowly: `scripts/demo` starts with it on a machine
//! that has nothing built. Tests use the compiler.

#[cfg(feature = "compiler")]
mod compiler;
#[cfg(feature = "compiler")]
pub use compiler::*;

#[cfg(not(feature = "compiler"))]
mod interpreter;
#[cfg(not(feature = "compiler"))]
pub use interpreter::*;

/// Stack a canister may use before its recursion traps, in bytes.
pub const WASM_STACK: usize = 5 << 20;

/// Entries that a table without a maximum may grow to.
const MAX_TABLE: usize = 1_000_000;
