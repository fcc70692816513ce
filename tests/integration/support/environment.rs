//! Paths of binaries and modules: from the environment, or the output of `scripts/build`.

use pocket_ic::PocketIcBuilder;
use std::path::{Path, PathBuf};

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// The module in the file that a variable names, or in this file under `build/`.
pub fn wasm(variable: &str, file: &str) -> Vec<u8> {
    let path =
        std::env::var_os(variable).map_or_else(|| root().join("build").join(file), PathBuf::from);
    std::fs::read(&path).unwrap_or_else(|error| {
        panic!(
            "{}: {error}. Build it with `scripts/build`, or set {variable}",
            path.display()
        )
    })
}

/// The canister under test (`TOLLKEEPER_WASM`).
pub fn tollkeeper_wasm() -> Vec<u8> {
    wasm("TOLLKEEPER_WASM", "tollkeeper.wasm.gz")
}

/// The ledger that can be told to misbehave (`TEST_LEDGER_WASM`).
pub fn test_ledger_wasm() -> Vec<u8> {
    wasm("TEST_LEDGER_WASM", "test_ledger.wasm.gz")
}

/// A canister that does what a test tells it (`TORTURE_WASM`).
pub fn torture_wasm() -> Vec<u8> {
    wasm("TORTURE_WASM", "torture.wasm.gz")
}

/// A forward target (`TEST_SELLER_WASM`).
pub fn test_seller_wasm() -> Vec<u8> {
    wasm("TEST_SELLER_WASM", "test_seller.wasm.gz")
}

/// An example (`EXAMPLE_…_WASM`).
pub fn example_wasm(name: &str) -> Vec<u8> {
    let variable = format!("EXAMPLE_{}_WASM", name.to_uppercase());
    wasm(&variable, &format!("example_{name}.wasm.gz"))
}

/// Any ICRC ledger (`LEDGER_WASM`), by default the test ledger.
pub fn any_ledger_wasm() -> Vec<u8> {
    match std::env::var_os("LEDGER_WASM") {
        Some(_) => wasm("LEDGER_WASM", ""),
        None => test_ledger_wasm(),
    }
}

/// A builder that starts the server of `POCKET_IC_BIN`, by default the one of this repository.
pub fn pocket_ic() -> PocketIcBuilder {
    let builder = PocketIcBuilder::new();
    match std::env::var_os("POCKET_IC_BIN") {
        Some(_) => builder,
        None => builder.with_server_binary(root().join("target/debug/pocket-ic")),
    }
}
