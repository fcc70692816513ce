//! Random worlds in which everything fails that can fail, and the laws that hold in them all the same.
//!
//! `scripts/sim --help` says how to run it; docs/security.md says what it checks.

#[path = "../integration/support/mod.rs"]
#[allow(dead_code, unused_imports)]
mod support;

mod act;
mod answers;
mod books;
mod chain;
mod checks;
mod faults;
mod manage;
mod plan;
mod quiet;
mod rng;
mod run;
mod world;
