//! Checks the structure of `src/` that docs/architecture.md describes.
//!
//! - A layer uses only the layers to its left.
//! - The modules of a layer, and those inside a module, use each other in one direction: no circles.
//! - `ic_cdk` and its sister crates are used in `runtime/` and `lib.rs` only.
//! - The list `ALL` of an enum names each of its variants.
//!
//! The sources are parsed with `syn`: nested imports are expanded, names are followed through `use` and `pub use`, and
//! paths inside macros count. Test code (`#[cfg(test)]`) is exempt.

mod graph;
mod lists;
mod paths;
mod sources;

use graph::{circles, layer_breaks, system_uses};
use sources::Sources;
use std::path::Path;

fn project() -> Sources {
    Sources::read(&Path::new(env!("CARGO_MANIFEST_DIR")).join("src/lib.rs")).unwrap()
}

fn assert_none(rule: &str, breaks: &[String]) {
    assert!(breaks.is_empty(), "{rule}:\n{}", breaks.join("\n"));
}

#[test]
fn a_layer_uses_only_what_stands_to_its_left() {
    assert_none(
        "layers: types, domain, storage | runtime, service, api, lib.rs",
        &layer_breaks(&project()),
    );
}

#[test]
fn modules_of_a_layer_form_no_circle() {
    assert_none("circles", &circles(&project()));
}

#[test]
fn the_system_stands_in_runtime_and_lib_only() {
    assert_none("crates of the system", &system_uses(&project()));
}

#[test]
fn a_list_of_all_variants_lacks_none() {
    assert_none("lists `ALL`", &project().gaps);
}

/// Sources in which each rule is broken once, in ways that a text search does not find.
fn planted() -> Sources {
    Sources::of(&[
        ("", "mod types; mod domain; mod service; mod api;"),
        ("types", "pub struct Amount;"),
        (
            "domain",
            "pub mod price; pub mod offer; pub mod clean; pub use price::Price;",
        ),
        (
            "domain::price",
            "use crate::{types::Amount, domain::{offer::{self as o, Offer}}}; pub struct Price;",
        ),
        // Through a re-export of the layer's root, and in a function's body.
        (
            "domain::offer",
            "pub mod terms; pub mod fees; pub struct Offer; fn f() { let _ = (super::Price, terms::Terms); }",
        ),
        (
            "domain::clean",
            "use crate::types; fn f() -> types::Amount { types::Amount }
             enum Rail { Pull, Push(u8), Carry } enum Free { One }
             impl Rail { const ALL: [Rail; 2] = [Rail::Pull, Rail::Push(1)]; }
             #[cfg(test)] mod tests { use crate::service::pay; }",
        ),
        ("service", "pub mod pay; pub mod refund;"),
        // Deeper in a layer; a module and those inside it may know each other.
        (
            "domain::offer::terms",
            "pub struct Terms; fn f(_: super::Offer, _: super::fees::Fee) {}",
        ),
        (
            "domain::offer::fees",
            "use super::terms::Terms; pub struct Fee(Terms);",
        ),
        // In a macro, by an imported name.
        (
            "service::pay",
            "use crate::{api as entry}; fn f() { println!(\"{}\", entry::http::answer()); }",
        ),
        ("service::refund", "fn f() -> u64 { ic_cdk::api::time() }"),
        ("api", "pub mod http;"),
        ("api::http", "pub fn answer() -> u8 { 1 }"),
    ])
}

#[test]
fn planted_layer_break_is_found() {
    let breaks = layer_breaks(&planted());
    assert_eq!(
        breaks,
        ["service::pay uses api", "service::pay uses api::http"]
    );
}

#[test]
fn planted_circle_is_found() {
    assert_eq!(
        circles(&planted()),
        ["domain: offer, price", "domain::offer: fees, terms"]
    );
}

#[test]
fn planted_use_of_the_system_is_found() {
    assert_eq!(system_uses(&planted()), ["service::refund uses ic_cdk"]);
}

#[test]
fn planted_gap_in_a_list_is_found() {
    assert_eq!(planted().gaps, ["domain::clean::Rail::ALL lacks Carry"]);
}
