//! Runs one message of one canister: prepares wasm, implements `ic0`, counts instructions with the IC's weights, rolls back on a trap.
//!
//! The public surface the replica uses:
//!
//! ```ignore
//! let engine = Engine::new()?;                             // one a process; caches compiled modules on disk
//! let module: Arc<Module> = engine.compile(&bytes)?;       // raw or gzipped wasm; CompileError -> IC0505
//! module.hash(); module.has_update("m"); module.has_query("m"); module.has_composite_query("m");
//! module.has_system("canister_inspect_message"); module.has_heartbeat(); module.has_global_timer();
//! module.custom_sections() -> &[CustomSection{ name, public: bool, data }]   // icp:public / icp:private
//! let mut canister = Instance::new(&engine, module)?;      // empty heap (data segments applied, start NOT run), empty stable memory
//! let outcome: Outcome = canister.execute(Entry, Env);     // see types
//! canister.install(&engine, module)?;                      // fresh heap; stable memory emptied (install, reinstall)
//! canister.upgrade(&engine, module)?;                      // fresh heap; stable memory kept
//! let saved = canister.snapshot(); canister.restore(saved);// used around init / pre+post upgrade, which span executions
//! canister.stable_bytes() -> Vec<u8>; canister.set_stable_bytes(&[u8]);
//! canister.memory_sizes() -> MemorySizes { heap, stable, globals, wasm_binary, custom_sections }
//! ```
mod types;
pub use types::*;
