//! The interface is what `canister.did` says.

use super::*;
use candid_parser::utils::{CandidSource, service_equal};

#[test]
fn every_method_reads_its_argument_under_its_own_name() {
    let mut reader = None;
    let mut read = 0;
    for line in include_str!("lib.rs").lines() {
        if let Some((_, rest)) = line.split_once("decode_with = \"") {
            let path = rest.split('"').next().unwrap();
            reader = path.split_once("::").map(|(_, method)| method.to_string());
        }
        let name = line.trim_start_matches("async ").strip_prefix("fn ");
        if let (Some(name), Some(method)) = (name, &reader) {
            assert_eq!(name.split('(').next(), Some(method.as_str()));
            (reader, read) = (None, read + 1);
        }
    }
    assert!(read >= 30, "{read}");
}

/// The scripts' JavaScript of the interface is generated from `canister.did`: `WRITE_IDL=1 cargo test --lib idl`
/// writes it.
#[test]
fn idl_of_the_scripts_is_that_of_canister_did() {
    let did = include_str!("../canister.did");
    let (env, actor) = CandidSource::Text(did).load().unwrap();
    let made = candid_parser::bindings::javascript::compile(&env, &actor);
    let file = concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/scripts/tools/tollkeeper.did.mjs"
    );
    if std::env::var_os("WRITE_IDL").is_some() {
        std::fs::write(file, &made).unwrap();
    }
    let known = std::fs::read_to_string(file).unwrap_or_default();
    assert!(known == made, "{file} is not what canister.did says");
}

#[test]
fn canister_did_says_what_the_code_does() {
    candid::export_service!();
    let code = __export_service();
    let did = include_str!("../canister.did");
    service_equal(CandidSource::Text(&code), CandidSource::Text(did))
        .unwrap_or_else(|error| panic!("{error}\n{code}"));
}

#[test]
fn commands_of_the_documents_have_arguments_of_their_methods() {
    let did = include_str!("../canister.did");
    let (env, actor) = CandidSource::Text(did).load().unwrap();
    let actor = actor.unwrap();
    let mut read = 0;
    for document in [
        include_str!("../README.md"),
        include_str!("../docs/forward.md"),
        include_str!("../docs/operations.md"),
        include_str!("../docs/receipts.md"),
    ] {
        // A quotation mark in a quoted argument, and the canister that the reader names.
        let document = document.replace("'\"'\"'", "\u{2019}");
        let document = document.replace("principal \"<target>\"", "principal \"aaaaa-aa\"");
        for command in document.split("canister call tollkeeper ").skip(1) {
            let Some((method, rest)) = command.split_once(" '") else {
                continue;
            };
            let Ok(function) = env.get_method(&actor, method) else {
                assert!(!method.bytes().all(|b| b == b'_' || b.is_ascii_lowercase()));
                continue;
            };
            let argument = rest.split('\'').next().unwrap();
            let values = candid_parser::parse_idl_args(argument)
                .unwrap_or_else(|error| panic!("{method} {argument}: {error}"));
            values
                .to_bytes_with_types(&env, &function.args)
                .unwrap_or_else(|error| panic!("{method} {argument}: {error}"));
            read += 1;
        }
    }
    assert!(read >= 7, "{read}");
}
