//! Fuzz targets for everything that reads bytes from outside; `scripts/fuzz` builds and runs them.
//!
//! One program holds all targets (one link instead of ten). The environment says what it does:
//! `FUZZ_TARGET=name` fuzzes that target with libFuzzer, whose options are the arguments;
//! `FUZZ_SEEDS=folder` writes the seeds of every target below the folder; `FUZZ_LIST=1` names the targets.
//!
//! A target fails by panicking: because the code under test panics, or because it breaks a promise that
//! the target checks.

#![no_main]

mod bytes;
mod seeds;
mod targets;
mod world;

use libfuzzer_sys::fuzz_target;
use std::{env, process::exit, sync::OnceLock};

static TARGET: OnceLock<fn(&[u8])> = OnceLock::new();

fn choose() {
    if env::var_os("FUZZ_LIST").is_some() {
        for (name, _) in targets::ALL {
            println!("{name}");
        }
        exit(0);
    }
    if let Some(folder) = env::var_os("FUZZ_SEEDS") {
        seeds::write(folder.as_ref());
        exit(0);
    }
    let name = env::var("FUZZ_TARGET").unwrap_or_default();
    match targets::ALL.iter().find(|(known, _)| *known == name) {
        Some((_, target)) => TARGET.set(*target).expect("BUG: chosen once"),
        None => {
            eprintln!("FUZZ_TARGET={name:?} is no target");
            exit(2);
        }
    }
}

fuzz_target!(
    init: choose(),
    |data: &[u8]| TARGET.get().expect("BUG: chosen at the start")(data)
);
