//! Random worlds with every kind of failure, and the laws that hold in them.
//!
//! `scripts/sim --help` explains how to run it, docs/testing.md what it checks.

#[path = "../integration/support/mod.rs"]
#[allow(dead_code, unused_imports)]
mod support;

mod act;
mod answers;
mod buyers;
mod calls;
mod chain;
mod checks;
mod faults;
mod invoice_laws;
mod invoices;
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
mod transfers;
mod withdrawals;
mod works;
mod world;

/// The version of the canister in `TOLLKEEPER_WASM`.
fn version() -> String {
    let setup = support::Setup::new();
    setup.config().version
}

#[test]
fn canister_under_test_is_not_broken_on_purpose() {
    // `scripts/build --variant` marks the version: this tests that the shipped canister is not a variant.
    let expected = match std::env::var_os("TOLLKEEPER_SIM_BROKEN") {
        None => env!("CARGO_PKG_VERSION").to_string(),
        Some(_) => concat!(env!("CARGO_PKG_VERSION"), "+broken").to_string(),
    };
    assert_eq!(version(), expected);
}
