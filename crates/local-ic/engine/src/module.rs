//! The engine (compiler, caches, linker) and compiled modules.

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};

use sha2::{Digest, Sha256};

use crate::error::{CompileError, EngineError};
use crate::host::Host;
use crate::prepare::{self, Methods};
use crate::types::CustomSection;
use crate::vm::{self, Linker};
use crate::{api, rewrite};

/// Compiles modules and keeps them; clones share everything.
#[derive(Clone)]
pub struct Engine {
    inner: Arc<Inner>,
}

struct Inner {
    vm: vm::Engine,
    linker: Linker<Host>,
    /// For modules whose memory has 64-bit addresses.
    wide_linker: Linker<Host>,
    modules: Mutex<HashMap<[u8; 32], Arc<Module>>>,
}

impl Engine {
    /// An engine that also keeps compiled modules on disk, in the user's cache directory if there is one.
    ///
    /// # Errors
    /// If this machine is not supported by the compiler.
    pub fn new() -> Result<Self, EngineError> {
        Self::with_cache_dir(default_cache_dir())
    }

    /// An engine that keeps compiled modules in `directory`, or in memory only. A directory that
    /// cannot be used is done without.
    ///
    /// # Errors
    /// If this machine is not supported by the compiler.
    pub fn with_cache_dir(directory: Option<PathBuf>) -> Result<Self, EngineError> {
        let failed = |error: vm::Error| EngineError(format!("{error:#}"));
        let vm = vm::engine(directory).map_err(failed)?;
        let mut linker = Linker::new(&vm);
        api::link(&mut linker).map_err(failed)?;
        let mut wide_linker = Linker::new(&vm);
        api::wide::link(&vm, &mut wide_linker).map_err(failed)?;
        Ok(Self {
            inner: Arc::new(Inner {
                vm,
                linker,
                wide_linker,
                modules: Mutex::new(HashMap::new()),
            }),
        })
    }

    /// Validates and compiles `bytes`, raw or gzipped wasm; a module seen before is returned at once.
    ///
    /// # Errors
    /// If no canister may have this module.
    pub fn compile(&self, bytes: &[u8]) -> Result<Arc<Module>, CompileError> {
        let hash: [u8; 32] = Sha256::digest(bytes).into();
        if let Some(module) = self.modules().get(&hash) {
            return Ok(module.clone());
        }
        let wasm = prepare::unpack(bytes)?;
        let parsed = prepare::parse(&wasm)?;
        let rewritten = rewrite::rewrite(&parsed)?;
        let ready = vm::compile(&self.inner.vm, self.linker(parsed.wide), &rewritten)
            .map_err(|error| CompileError::Instantiate(format!("{error:#}")))?;
        let module = Arc::new(Module {
            hash,
            binary_size: bytes.len() as u64,
            methods: parsed.methods,
            custom_sections: parsed.custom_sections,
            mutable_globals: parsed.mutable_globals,
            wide: parsed.wide,
            has_start: parsed.start.is_some(),
            needs_new_instances: parsed.needs_new_instances,
            operators: parsed.operators,
            ready,
        });
        self.modules().insert(hash, module.clone());
        Ok(module)
    }

    pub(crate) fn vm(&self) -> &vm::Engine {
        &self.inner.vm
    }

    /// The functions of `ic0`; `wide`: for memory with 64-bit addresses.
    pub(crate) fn linker(&self, wide: bool) -> &Linker<Host> {
        match wide {
            true => &self.inner.wide_linker,
            false => &self.inner.linker,
        }
    }

    fn modules(&self) -> std::sync::MutexGuard<'_, HashMap<[u8; 32], Arc<Module>>> {
        self.inner
            .modules
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}

impl std::fmt::Debug for Engine {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Engine").finish_non_exhaustive()
    }
}

fn default_cache_dir() -> Option<PathBuf> {
    let base = std::env::var_os("XDG_CACHE_HOME")
        .map(PathBuf::from)
        .or_else(|| Some(PathBuf::from(std::env::var_os("HOME")?).join(".cache")))?;
    base.is_absolute().then(|| base.join("local-ic"))
}

/// A validated and compiled canister module.
pub struct Module {
    hash: [u8; 32],
    binary_size: u64,
    methods: Methods,
    custom_sections: Vec<CustomSection>,
    pub(crate) mutable_globals: Vec<u32>,
    /// Whether its memory has 64-bit addresses.
    pub(crate) wide: bool,
    pub(crate) has_start: bool,
    pub(crate) needs_new_instances: bool,
    operators: u64,
    pub(crate) ready: vm::Ready,
}

impl Module {
    /// SHA-256 of the bytes as they were given, gzipped or not.
    pub fn hash(&self) -> [u8; 32] {
        self.hash
    }

    /// Size in bytes as given.
    pub fn binary_size(&self) -> u64 {
        self.binary_size
    }

    /// Operators of all function bodies, `end` included; compiling is charged by them.
    pub fn operators(&self) -> u64 {
        self.operators
    }

    /// Whether `canister_update <name>` is exported.
    pub fn has_update(&self, name: &str) -> bool {
        self.methods.updates.contains(name)
    }

    /// Whether `canister_query <name>` is exported.
    pub fn has_query(&self, name: &str) -> bool {
        self.methods.queries.contains(name)
    }

    /// Whether `canister_composite_query <name>` is exported.
    pub fn has_composite_query(&self, name: &str) -> bool {
        self.methods.composite_queries.contains(name)
    }

    /// Whether a system entry point such as `canister_inspect_message` is exported.
    pub fn has_system(&self, name: &str) -> bool {
        self.methods.system.contains(name)
    }

    /// Whether `canister_heartbeat` is exported.
    pub fn has_heartbeat(&self) -> bool {
        self.has_system("canister_heartbeat")
    }

    /// Whether `canister_global_timer` is exported.
    pub fn has_global_timer(&self) -> bool {
        self.has_system("canister_global_timer")
    }

    /// The `icp:public` and `icp:private` custom sections.
    pub fn custom_sections(&self) -> &[CustomSection] {
        &self.custom_sections
    }
}

impl std::fmt::Debug for Module {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Module")
            .field("binary_size", &self.binary_size)
            .field("methods", &self.methods)
            .finish_non_exhaustive()
    }
}
