//! Random worlds in which everything fails that can fail, and the laws that hold in them all the same.
//!
//! `scripts/sim --help` says how to run it; docs/testing.md says what it checks.

#[path = "../integration/support/mod.rs"]
#[allow(dead_code, unused_imports)]
mod support;

mod act;
mod answers;
mod buyers;
mod chain;
mod checks;
mod faults;
mod kinds;
mod manage;
mod payments;
mod plan;
mod quiet;
mod rng;
mod run;
mod settle;
mod stats;
mod steps;
mod withdrawals;
mod world;

/// What the canister of `TOLLKEEPER_WASM` says it is.
fn version() -> String {
    let setup = support::Setup::new();
    setup.config().version
}

#[test]
fn canister_under_test_is_not_broken_on_purpose() {
    // `scripts/build --variant` marks the version: this is the test that what is shipped is no variant.
    let expected = match std::env::var_os("TOLLKEEPER_SIM_BROKEN") {
        None => env!("CARGO_PKG_VERSION").to_string(),
        Some(_) => concat!(env!("CARGO_PKG_VERSION"), "+broken").to_string(),
    };
    assert_eq!(version(), expected);
}
