//! Mistyped and misspelt arguments of every method of `canister.did`: refused by name, and nothing changes.

use crate::{
    malformed_candid::state,
    support::{
        Setup, environment,
        interface::*,
        mistyped::{Method, interface},
        setup::controller,
    },
};
use candid::Principal;
use serde_bytes::ByteBuf;

/// Whether the error names the expected type, or the unknown part.
fn names(refusal: &str) -> bool {
    let says = [": expected ", ": missing, expected ", ": unknown "];
    says.iter().any(|says| refusal.contains(says))
}

/// The place in the format of errors.
fn place(method: &Method, path: &str) -> String {
    match path {
        "" => format!("{}: ", method.name),
        path => format!("{}.{path}: ", method.name),
    }
}

/// Whether `inspect_message` dropped a message to a public method, without an error text.
fn dropped(method: &Method, refusal: &str) -> bool {
    let public = [
        "cancel_authorization",
        "pay",
        "invoice_create",
        "invoice_check",
        "invoice_return",
        "receipt_sign",
    ];
    public.contains(&method.name.as_str()) && refusal.contains("CanisterRejectedMessage")
}

/// The error that a controller gets.
fn refusal(setup: &Setup, method: &Method, argument: Vec<u8>) -> Option<String> {
    let (canister, name) = (setup.canister, &method.name);
    let reply = match method.is_query {
        true => setup.pic.query_call(canister, controller(), name, argument),
        false => setup.raw_update(controller(), name, argument),
    };
    reply.err().map(|reject| reject.to_string())
}

fn upgrade(setup: &Setup, argument: Vec<u8>) -> Result<(), String> {
    setup
        .upgrade_raw(&environment::tollkeeper_wasm(), &argument)
        .map_err(|reject| reject.to_string())
}

#[test]
fn mistyped_argument_of_any_method_is_refused_by_name() {
    let setup = Setup::new();
    setup.sell("/article", 1_000);
    let before = state(&setup);
    let interface = interface();
    let mut tried = 0;
    // Requests of gateways are decoded without comparing types.
    let compared = |method: &&Method| !method.name.starts_with("http_request");
    for method in interface.methods.iter().filter(compared) {
        for bent in interface.mistyped(method) {
            let what = format!("{} {}", method.name, bent.path);
            let refusal = refusal(&setup, method, bent.argument).expect(&what);
            // The place may continue with a missing field of a record.
            let place = place(method, &bent.path);
            let place = place.trim_end_matches(": ");
            let named = refusal.contains(place) && names(&refusal);
            assert!(named || dropped(method, &refusal), "{what}: {refusal}");
            tried += 1;
        }
    }
    assert!(tried > 100, "{tried}");
    assert_eq!(state(&setup), before);
}

#[test]
fn misspelt_member_of_an_update_is_refused_by_name() {
    let setup = Setup::new();
    setup.sell("/article", 1_000);
    let before = state(&setup);
    let interface = interface();
    let strict = |method: &&Method| !method.is_query && method.name != "http_request_update";
    let mut tried = vec![];
    for method in interface.methods.iter().filter(strict) {
        for bent in interface.misspelt(method) {
            let refusal = refusal(&setup, method, bent.argument).expect(&method.name);
            let place = place(method, &bent.path);
            let named = refusal.contains(&format!("{place}unknown field "));
            let dropped = dropped(method, &refusal);
            assert!(named || dropped, "{} {}: {refusal}", method.name, bent.path);
            tried.push(format!("{} {}", method.name, bent.path));
        }
    }
    for known in [
        "pay_to_set ",
        "route_put pay_to",
        "route_put prices[]",
        "withdraw to",
    ] {
        assert!(
            tried.iter().any(|tried| tried == known),
            "{known}: {tried:?}"
        );
    }
    assert_eq!(state(&setup), before);
}

#[test]
fn mistyped_and_misspelt_arguments_of_an_upgrade_are_refused_by_name() {
    let setup = Setup::new();
    setup.sell("/article", 1_000);
    let before = state(&setup);
    let interface = interface();
    let installation = &interface.installation;
    let mut bent = interface.mistyped(installation);
    bent.extend(interface.misspelt(installation));
    for bent in bent {
        let refusal = upgrade(&setup, bent.argument).expect_err(&bent.path);
        assert!(refusal.contains(&bent.path), "{}: {refusal}", bent.path);
        assert!(names(&refusal), "{}: {refusal}", bent.path);
    }
    assert_eq!(state(&setup), before);
    // An empty argument counts as none.
    for argument in [vec![], candid::encode_args(()).unwrap()] {
        upgrade(&setup, argument).expect("an upgrade without changes");
    }
    assert_eq!(state(&setup), before);
}

#[test]
fn right_argument_of_every_method_is_read() {
    let setup = Setup::new();
    let interface = interface();
    for method in &interface.methods {
        let refusal = refusal(&setup, method, interface.right(method));
        let read = refusal
            .as_ref()
            .is_none_or(|refusal| !names(refusal) && !refusal.contains("cannot be decoded"));
        assert!(read, "{}: {refusal:?}", method.name);
    }
}

#[test]
fn route_that_names_its_account_in_another_type_does_not_pay_another_account() {
    #[derive(candid::CandidType)]
    struct TextAccount {
        method: String,
        path: String,
        description: String,
        mime_type: String,
        prices: Vec<Price>,
        pay_to: Option<String>,
        on_sale: bool,
    }
    let setup = Setup::new();
    let route = TextAccount {
        method: "GET".into(),
        path: "/article".into(),
        description: String::new(),
        mime_type: "text/plain".into(),
        prices: vec![],
        pay_to: Some(Principal::self_authenticating([66; 32]).to_text()),
        on_sale: true,
    };
    let argument = candid::encode_one(route).unwrap();
    let refused = setup.raw_update(controller(), "route_put", argument);
    let error = refused.expect_err("no account").to_string();
    assert!(
        error.contains("route_put.pay_to: expected opt Account (record …), found opt text"),
        "{error}"
    );
    assert_eq!(setup.get("/article").status, 404);
    // A subaccount that is not a blob does not count as the default one.
    let account = candid_parser::parse_idl_args(
        "(record { owner = principal \"aaaaa-aa\"; subaccount = opt vec {} })",
    );
    let argument = account.unwrap().to_bytes().unwrap();
    let refused = setup.raw_update(controller(), "pay_to_set", argument);
    let error = refused.expect_err("no subaccount").to_string();
    let place = "pay_to_set.subaccount: expected opt blob, found opt vec";
    assert!(error.contains(place), "{error}");
    let receipt: Option<Receipt> = setup.query(
        controller(),
        "receipt",
        (ByteBuf::from(vec![7; 32]), "one more argument of a query"),
    );
    assert_eq!(receipt, None);
}
