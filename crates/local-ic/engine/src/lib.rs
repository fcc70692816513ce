//! Runs one message of one canister: prepares wasm, implements `ic0`, counts instructions with the IC's weights, rolls back on a trap.
//!
//! The public surface the replica uses:
//!
//! ```text
//! let engine = Engine::new()?;                             // one a process; caches compiled modules on disk
//! let module: Arc<Module> = engine.compile(&bytes)?;       // raw or gzipped wasm; CompileError -> IC0505
//! module.hash(); module.has_update("m"); module.has_query("m"); module.has_composite_query("m");
//! module.has_system("canister_inspect_message"); module.has_heartbeat(); module.has_global_timer();
//! module.custom_sections() -> &[CustomSection{ name, public: bool, data }]   // icp:public / icp:private
//! let mut canister = Instance::new(&engine, module)?;      // empty heap (data segments applied, start NOT run), empty stable memory
//! let outcome: Outcome = canister.execute(Entry, Env);     // see types
//! canister.install(&engine, module)?;                      // fresh heap; stable memory emptied (install, reinstall)
//! canister.upgrade(&engine, module)?;                      // fresh heap; stable memory kept
//! module.operators() -> u64;                              // operators of all function bodies, for the compile fee
//! let saved: Snapshot = canister.snapshot(); canister.restore(saved);// used around init / pre+post upgrade, which span executions
//! canister.end_composite();                                // after a composite query and all its callbacks
//! canister.stable_bytes() -> Vec<u8>; canister.set_stable_bytes(&[u8]);
//! canister.memory_sizes() -> MemorySizes { heap, stable, globals, wasm_binary, custom_sections }
//! ```
//!
//! How it works: a module is rewritten once (module `rewrite`) so that it counts instructions itself and
//! exports its state. One wasm instance lives per canister; a copy of the committed heap tells which
//! pages a message changed, and restores them after a trap or a query. Stable memory keeps an undo log.

mod api;
mod entry;
mod error;
mod host;
mod instance;
mod live;
mod mode;
mod module;
mod outcome;
mod prepare;
pub mod prices;
mod rewrite;
mod signatures;
mod stable;
mod types;
mod vm;
mod weights;

pub use error::{CompileError, EngineError};
pub use instance::{Instance, Snapshot};
pub use module::{Engine, Module};
pub use types::*;
