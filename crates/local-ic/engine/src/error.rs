//! Why a module or the engine itself is refused.

use thiserror::Error;

/// Why a wasm module cannot be installed (`IC0505 CanisterInvalidWasm`).
#[derive(Debug, Error, Clone, PartialEq, Eq)]
pub enum CompileError {
    /// Starts neither with the wasm magic nor with the gzip magic.
    #[error("Failed to decode wasm module: unsupported canister module format.")]
    UnsupportedFormat,
    /// The gzip stream is broken.
    #[error("Failed to decode wasm module: {0}")]
    Gzip(String),
    /// Larger than the limit once unpacked.
    #[error(
        "Failed to decode wasm module: specified uncompressed size is larger than the limit {limit}"
    )]
    TooLarge { limit: u64 },
    /// Not a valid module of the supported WebAssembly features.
    #[error("Wasm module has an error: {0}")]
    Invalid(String),
    /// An import that no canister may have.
    #[error("Wasm module has an invalid import section. {0}")]
    Import(String),
    /// An export that no canister may have.
    #[error("Wasm module has an invalid export section. {0}")]
    Export(String),
    /// A custom section with a reserved name, or too many or too large ones.
    #[error("Wasm module has an invalid custom section. {0}")]
    CustomSection(String),
    /// A limit on what a module defines.
    #[error(
        "Wasm module defined {defined} {what} which exceeds the maximum number allowed {allowed}."
    )]
    TooMany {
        what: &'static str,
        defined: usize,
        allowed: usize,
    },
    /// Legal on the Internet Computer, but not in this runtime.
    #[error("This runtime does not support {0}")]
    Unsupported(String),
    /// The native compiler or the instantiation failed, such as a data segment out of bounds.
    #[error("Wasm module cannot be instantiated: {0}")]
    Instantiate(String),
}

/// Why no engine can be set up on this machine.
#[derive(Debug, Error)]
#[error("cannot set up the wasm engine: {0}")]
pub struct EngineError(pub(crate) String);
