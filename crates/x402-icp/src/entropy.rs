//! A `getrandom` that always fails on wasm.
//!
//! The elliptic-curve crates link `getrandom` for key generation and batch verification. Nothing here calls either, and
//! a canister has no synchronous source of randomness, so on wasm every call fails.

#[cfg(all(target_arch = "wasm32", target_os = "unknown"))]
mod absent {
    fn no_entropy(_buffer: &mut [u8]) -> Result<(), getrandom::Error> {
        Err(getrandom::Error::UNSUPPORTED)
    }

    getrandom::register_custom_getrandom!(no_entropy);
}
