//! Arguments that are accepted, and errors for those that are refused.

#[path = "../../../tests/integration/support/mistyped.rs"]
mod mistyped;

use super::*;
use crate::api::{
    http::{HttpRequest, HttpUpdateRequest},
    types::{
        AccountArg, ContentBegin, PageArgs, PaymentIdentifier, RouteArgs, TollkeeperArgs,
        WithdrawArgs,
    },
};
use candid::{
    Encode, IDLArgs, Nat, Principal,
    types::value::{IDLField, IDLValue, VariantValue},
};
use candid_parser::parse_idl_args;
use mistyped::{Interface, Method, interface};
use proptest::{prelude::*, test_runner::TestRunner};

fn tolerance(method: &Method) -> Tolerance {
    match method.name.as_str() {
        "installation" => INSTALLATION,
        _ if method.is_query => QUERY,
        _ => UPDATE,
    }
}

/// The method's name in errors.
fn called(method: &Method) -> &str {
    match method.name.as_str() {
        "installation" => "",
        name => name,
    }
}

fn place(method: &Method, path: &str) -> String {
    let separator = match path.is_empty() || called(method).is_empty() {
        true => "",
        false => ".",
    };
    format!("{}{separator}{path}", called(method))
}

fn checked(interface: &Interface, method: &Method, argument: &[u8]) -> Result<(), String> {
    let (names, types) = (&interface.names, &method.types);
    check(called(method), argument, names, types, tolerance(method))
}

fn everything(interface: &Interface) -> impl Iterator<Item = &Method> {
    let methods = interface.methods.iter();
    // Requests of gateways are decoded without comparing types.
    let methods = methods.filter(|method| !method.name.starts_with("http_request"));
    std::iter::once(&interface.installation).chain(methods)
}

#[test]
fn every_optional_value_of_every_method_that_is_mistyped_is_refused_by_name() {
    let interface = interface();
    let mut places = std::collections::BTreeSet::new();
    for method in everything(&interface) {
        let right = interface.right(method);
        assert_eq!(
            checked(&interface, method, &right),
            Ok(()),
            "{}",
            method.name
        );
        for bent in interface.mistyped(method) {
            let what = format!("{} {}", method.name, bent.path);
            let error = checked(&interface, method, &bent.argument).expect_err(&what);
            assert!(
                error.starts_with(&place(method, &bent.path)),
                "{what}: {error}"
            );
            let says = [": expected ", ": missing, expected ", ": unknown "];
            assert!(
                says.iter().any(|says| error.contains(says)),
                "{what}: {error}"
            );
            // The expected type is described by its name or its parts.
            assert!(!error.contains("table"), "{what}: {error}");
            places.insert(what);
        }
    }
    for known in [
        "installation ",
        "installation Init.pay_to",
        "installation Upgrade.limits.cycles_floor",
        "installation Init.pay_to.subaccount",
        "pay_to_set subaccount",
        "origin_set ",
        "route_put pay_to.subaccount",
        "route_put payment_identifier",
        "withdraw created_at_time",
        "withdraw to.subaccount",
        "payments_open ",
        "payments after",
    ] {
        assert!(places.contains(known), "{known} of {places:?}");
    }
}

#[test]
fn misspelt_members_are_refused_where_something_is_changed() {
    let interface = interface();
    let mut updates = 0;
    for method in everything(&interface) {
        for bent in interface.misspelt(method) {
            let checked = checked(&interface, method, &bent.argument);
            if tolerance(method) == QUERY {
                assert_eq!(checked, Ok(()), "{} {}", method.name, bent.path);
                continue;
            }
            updates += 1;
            let error = checked.expect_err(&method.name);
            let unknown = ": unknown field with the id 3845941433; known are ";
            assert!(error.contains(unknown), "{}: {error}", method.name);
            assert!(
                error.starts_with(&place(method, &bent.path)),
                "{}: {error}",
                bent.path
            );
        }
    }
    assert!(updates > 10);
}

fn route() -> RouteArgs {
    RouteArgs {
        method: "GET".into(),
        path: "/a".into(),
        description: String::new(),
        mime_type: "text/plain".into(),
        on_sale: true,
        payment_identifier: Some(PaymentIdentifier::Required),
        ..RouteArgs::default()
    }
}

/// The text as a tool without `canister.did` encodes it: with the types of its values.
fn text(text: &str) -> Vec<u8> {
    let args = parse_idl_args(text).expect("Candid");
    args.to_bytes().expect("values")
}

#[test]
fn arguments_are_taken_as_every_encoder_writes_them() {
    let args = route();
    let written = Encode!(&args).unwrap();
    let read = |bytes: &[u8]| read::<(RouteArgs,)>(bytes, UPDATE).map(|(args,)| args);
    assert_eq!(read(&written), Ok(args.clone()));
    let with = |members: &str| {
        text(&format!(
            "(record {{ method = \"GET\"; path = \"/a\"; description = \"\"; mime_type = \"text/plain\";
             on_sale = true; {members} }})"
        ))
    };
    for members in [
        // Optional values left out, null, a value itself, empty vectors of no type.
        "prices = vec {}; payment_identifier = opt variant { Required }",
        "prices = vec {}; pay_to = null; payment_identifier = variant { Required }",
        "prices = vec {}; max_timeout_seconds = null; payment_identifier = opt variant { Required }",
    ] {
        assert_eq!(read(&with(members)), Ok(args.clone()), "{members}");
    }
    let owner = Principal::from_slice(&[1, 2, 3]);
    let account = format!("opt record {{ owner = principal \"{owner}\" }}");
    let mut args = args;
    args.pay_to = Some(AccountArg {
        owner,
        subaccount: None,
    });
    args.max_timeout_seconds = Some(60);
    args.payment_identifier = None;
    let members =
        format!("prices = vec {{}}; pay_to = {account}; max_timeout_seconds = opt (60 : nat32)");
    assert_eq!(read(&with(&members)), Ok(args));
    // As a tool with canister.did does it, and as @icp-sdk/core does: with the whole types of the interface.
    let interface = interface();
    let routes = interface
        .methods
        .iter()
        .find(|m| m.name == "route_put")
        .unwrap();
    let idl = parse_idl_args(
        "(record { method = \"GET\"; path = \"/a\"; description = \"\"; mime_type = \"text/plain\";
         on_sale = true; prices = vec {}; max_timeout_seconds = opt 60;
         payment_identifier = opt variant { Required } })",
    );
    let typed = idl
        .unwrap()
        .to_bytes_with_types(&interface.names, &routes.types);
    let read = read(&typed.unwrap()).expect("can be read");
    assert_eq!(read.max_timeout_seconds, Some(60));
    assert_eq!(read.payment_identifier, Some(PaymentIdentifier::Required));
}

#[test]
fn requests_are_taken_from_every_gateway() {
    let request = HttpUpdateRequest {
        method: "GET".into(),
        url: "/x".into(),
        headers: vec![("a".into(), "b".into())],
        body: b"!".to_vec(),
    };
    // The types of headers and body in the other order, as other encoders write them.
    let mut bytes = b"DIDL\x04\x6d\x7b\x6c\x02\x00\x71\x01\x71\x6d\x01\x6c\x04".to_vec();
    bytes.extend(b"\xef\xd6\xe4\x02\x71\xe1\xed\xeb\x4a\x71");
    bytes.extend(b"\xa2\xf5\xed\x88\x04\x00\xc6\xa4\xa1\x98\x06\x02\x01\x03");
    bytes.extend(b"\x02/x\x03GET\x01!\x01\x01a\x01b");
    assert_eq!(read_request(&bytes), Ok(request.clone()));
    // A field that the method does not know is skipped.
    let with_version = HttpRequest {
        method: request.method.clone(),
        url: request.url.clone(),
        headers: request.headers.clone(),
        body: request.body.clone(),
        certificate_version: Some(2),
    };
    let bytes = Encode!(&with_version).unwrap();
    assert_eq!(read_request(&bytes), Ok(request));
}

#[test]
fn requests_are_read_within_bounds() {
    let request = |headers: usize, body: usize| {
        let request = HttpUpdateRequest {
            method: "GET".into(),
            url: "/x".into(),
            headers: vec![(String::new(), String::new()); headers],
            body: vec![7; body],
        };
        read_request::<HttpUpdateRequest>(&Encode!(&request).unwrap())
    };
    assert!(request(50_000, 0).is_ok());
    assert!(request(0, 2_000_000).is_ok());
    assert!(request(1_000_000, 0).is_err(), "two megabytes of nothing");
}

#[test]
fn withdrawal_that_names_its_time_in_another_type_is_not_made_now() {
    let withdrawal = |time: &str| {
        text(&format!(
            "(record {{ ledger = principal \"aaaaa-aa\"; to = record {{ owner = principal \"aaaaa-aa\" }};
             amount = 5 : nat; created_at_time = {time} }})"
        ))
    };
    let read = |time: &str| read::<(WithdrawArgs,)>(&withdrawal(time), UPDATE).map(|(args,)| args);
    let right = read("opt (1_700_000_000_000_000_000 : nat64)").unwrap();
    assert_eq!(right.created_at_time, Some(1_700_000_000_000_000_000));
    assert_eq!(right.amount, Nat::from(5_u8));
    assert_eq!(read("null").unwrap().created_at_time, None);
    assert_eq!(
        read("1_700_000_000_000_000_000 : nat64")
            .unwrap()
            .created_at_time,
        Some(1_700_000_000_000_000_000)
    );
    for (time, found) in [
        ("opt 1_700_000_000_000_000_000", "opt int"),
        ("opt (17 : nat)", "opt nat"),
        ("\"now\"", "text"),
        ("opt opt (17 : nat64)", "opt opt nat64"),
    ] {
        let error = read(time).unwrap_err();
        let expected = format!("created_at_time: expected opt nat64, found {found}");
        assert_eq!(error, expected);
    }
}

#[test]
fn deep_and_recursive_types_are_refused_quickly() {
    // table0 = opt table0, and a value of it.
    let mut endless = b"DIDL\x01\x6e\x00\x01\x00".to_vec();
    endless.extend([1; 5_000]);
    endless.push(0);
    // A record of itself: there is no such value.
    let itself = b"DIDL\x01\x6c\x01\x00\x00\x01\x00".to_vec();
    let mut deep = b"DIDL\xc8\x01".to_vec();
    for index in 1..=200_u16 {
        let inner = [index as u8 & 0x7f | 0x80, (index >> 7) as u8];
        deep.push(0x6e);
        deep.extend(if index == 200 { &[0x7f][..] } else { &inner });
    }
    deep.extend([1, 0]);
    deep.extend([1; 200]);
    let mut wide = b"DIDL\x01\x6c\xd0\x0f".to_vec();
    for id in 0..2_000_u16 {
        wide.extend([id as u8 & 0x7f | 0x80, (id >> 7) as u8, 0x7f]);
    }
    wide.extend([1, 0]);
    let mut many = b"DIDL\x90\x4e".to_vec();
    many.extend([0x6e, 0x7f].repeat(10_000));
    many.extend([1, 0, 0]);
    for (what, bytes) in [
        ("endless", &endless),
        ("itself", &itself),
        ("deep", &deep),
        ("wide", &wide),
        ("many", &many),
        ("two megabytes", &vec![0x41; 2_000_000]),
    ] {
        for tolerance in [UPDATE, INSTALLATION, QUERY] {
            assert!(read::<(RouteArgs,)>(bytes, tolerance).is_err(), "{what}");
            assert!(read::<(ContentBegin,)>(bytes, tolerance).is_err(), "{what}");
            assert!(
                read::<(Option<TollkeeperArgs>,)>(bytes, tolerance).is_err(),
                "{what}"
            );
        }
        // A query skips fields that it does not know, and nothing else.
        let page = read::<(Option<PageArgs>,)>(bytes, QUERY);
        assert_eq!(page.is_ok(), what == "wide", "{what}: {page:?}");
    }
    let error = read::<(RouteArgs,)>(&many, UPDATE).unwrap_err();
    assert!(error.contains("are more than 256"), "{error}");
}

#[test]
fn missing_and_surplus_arguments_are_taken_where_they_change_nothing() {
    let nothing = Encode!().unwrap();
    for nothing in [&nothing[..], &[]] {
        assert_eq!(read::<(Option<PageArgs>,)>(nothing, QUERY), Ok((None,)));
        assert_eq!(
            read::<(Option<TollkeeperArgs>,)>(nothing, INSTALLATION),
            Ok((None,))
        );
        assert_eq!(read::<()>(nothing, UPDATE), Ok(()));
        let error = read::<(Option<String>,)>(nothing, UPDATE).unwrap_err();
        assert_eq!(
            error,
            "the argument: missing, expected opt text; use null for none"
        );
        let error = read::<(String,)>(nothing, QUERY).unwrap_err();
        assert_eq!(error, "the argument: missing, expected text");
    }
    let two = Encode!(&"a", &true).unwrap();
    assert_eq!(read::<(String,)>(&two, QUERY), Ok(("a".into(),)));
    assert_eq!(read::<(String, bool)>(&two, UPDATE), Ok(("a".into(), true)));
    for tolerance in [UPDATE, INSTALLATION] {
        let error = read::<(String,)>(&two, tolerance).unwrap_err();
        assert_eq!(
            error,
            "the argument: too many arguments: found 2, expected 1"
        );
    }
    let error = read::<(String, bool)>(&Encode!(&"a", &"b").unwrap(), UPDATE).unwrap_err();
    assert_eq!(error, "argument 2: expected bool, found text");
    let error = read_of::<(String, bool)>("set", &Encode!(&"a", &7_u8).unwrap(), UPDATE);
    assert_eq!(
        error.unwrap_err(),
        "set, argument 2: expected bool, found nat8"
    );
}

/// As a caller sees them, from the types of the code: names, both types, known fields.
#[test]
fn errors_name_the_place_and_both_types() {
    let route = |members: &str| {
        let argument = text(&format!(
            "(record {{ method = \"GET\"; path = \"/a\"; description = \"\"; mime_type = \"text/plain\";
             on_sale = true; {members} }})"
        ));
        read_of::<(RouteArgs,)>("route_put", &argument, UPDATE).unwrap_err()
    };
    for (members, error) in [
        (
            "prices = vec {}; pay_to = \"aaaaa-aa\"",
            "route_put.pay_to: expected opt Account (record …), found text",
        ),
        (
            "prices = vec {}; pay_to = opt vec { opt record { 1 : nat8 } }",
            "route_put.pay_to: expected opt Account (record …), found opt vec opt record …",
        ),
        (
            "prices = vec {}; pay_to = opt record { owner = principal \"aaaaa-aa\"; subaccount = opt \"a\" }",
            "route_put.pay_to.subaccount: expected opt blob, found opt text",
        ),
        (
            "prices = vec {}; pay_to = opt record { subaccount = null }",
            "route_put.pay_to.owner: missing, expected principal",
        ),
        (
            "prices = vec {}; pay_to = opt record { owner = principal \"aaaaa-aa\"; sub_account = null }",
            "route_put.pay_to: unknown field with the id 1634697134; known are owner, subaccount",
        ),
        (
            "prices = vec { record { ledger = principal \"aaaaa-aa\"; amount = 5 : nat; on_sale = true } }",
            "route_put.prices[]: unknown field on_sale; known are ledger, amount",
        ),
        (
            "prices = vec { record { ledger = principal \"aaaaa-aa\"; amount = 5 : nat64 } }",
            "route_put.prices[].amount: expected nat, found nat64",
        ),
        (
            "pay_to = null",
            "route_put.prices: missing, expected vec Price (record …)",
        ),
        (
            "prices = vec {}; payment_identifier = opt variant { Requird }",
            "route_put.payment_identifier: unknown variant with the id 299437892; known are Required, Optional",
        ),
        (
            "prices = vec {}; payment_identifier = true",
            "route_put.payment_identifier: expected opt PaymentIdentifier (variant …), found bool",
        ),
    ] {
        assert_eq!(route(members), error, "{members}");
    }
    let argument = text("(opt variant { Init = record { pay_to = opt \"me\" } })");
    let error = read::<(Option<TollkeeperArgs>,)>(&argument, INSTALLATION).unwrap_err();
    assert_eq!(
        error,
        "Init.pay_to: expected opt Account (record …), found opt text"
    );
    // An infinite type.
    let endless = b"DIDL\x01\x6e\x00\x01\x00\x00".to_vec();
    let error = read_of::<(String,)>("origin_set", &endless, UPDATE).unwrap_err();
    assert_eq!(error, "origin_set: expected text, found opt opt opt opt …");
}

/// The value without absent parts: an optional value and the value itself are the same.
fn present(value: IDLValue) -> Option<IDLValue> {
    Some(match value {
        IDLValue::None | IDLValue::Null | IDLValue::Reserved => return None,
        IDLValue::Opt(value) => return present(*value),
        IDLValue::Service(id) => IDLValue::Principal(id),
        IDLValue::Blob(bytes) if bytes.is_empty() => IDLValue::Vec(vec![]),
        IDLValue::Vec(values) => IDLValue::Vec(values.into_iter().filter_map(present).collect()),
        IDLValue::Record(members) => {
            let members = members.into_iter().filter_map(|member| {
                let val = present(member.val)?;
                Some(IDLField { val, ..member })
            });
            IDLValue::Record(members.collect())
        }
        IDLValue::Variant(VariantValue(member, _)) => {
            let val = present(member.val).unwrap_or(IDLValue::Null);
            IDLValue::Variant(VariantValue(Box::new(IDLField { val, ..*member }), 0))
        }
        other => other,
    })
}

/// Decodes the argument of an update. If it is accepted, everything in it was decoded.
fn nothing_is_lost<T: CandidType + DeserializeOwned>(argument: &[u8]) -> bool {
    let Ok((read,)) = read::<(T,)>(argument, UPDATE) else {
        return false;
    };
    let values = |bytes: &[u8]| {
        let args = IDLArgs::from_bytes(bytes).expect("values").args;
        args.into_iter().map(present).collect::<Vec<_>>()
    };
    let written = Encode!(&read).unwrap();
    assert_eq!(values(argument), values(&written), "{argument:?}");
    true
}

#[test]
fn what_is_taken_is_read_whole() {
    let interface = interface();
    let named = |name: &str| interface.methods.iter().find(|m| m.name == name).unwrap();
    let arguments = |method: &Method| {
        let mut all = vec![interface.right(method); 20];
        all.extend(
            interface
                .mistyped(method)
                .into_iter()
                .map(|bent| bent.argument),
        );
        all
    };
    type Check = fn(&[u8]) -> bool;
    let kinds: [(Vec<Vec<u8>>, Check); 3] = [
        (
            arguments(&interface.installation),
            nothing_is_lost::<Option<TollkeeperArgs>>,
        ),
        (arguments(named("route_put")), nothing_is_lost::<RouteArgs>),
        (
            arguments(named("withdraw")),
            nothing_is_lost::<WithdrawArgs>,
        ),
    ];
    let change = (any::<prop::sample::Index>(), any::<u8>());
    let changes = prop::collection::vec(change, 0..3);
    let which = (any::<prop::sample::Index>(), any::<prop::sample::Index>());
    let mut runner = TestRunner::new(ProptestConfig::with_cases(3_000));
    let done = runner.run(&(which, changes), |((kind, argument), changes)| {
        let (arguments, check) = &kinds[kind.index(kinds.len())];
        let mut argument = arguments[argument.index(arguments.len())].clone();
        for (at, byte) in changes {
            let at = at.index(argument.len());
            argument[at] = byte;
        }
        check(&argument);
        Ok(())
    });
    done.unwrap();
    for (arguments, check) in &kinds {
        assert!(check(&arguments[0]), "a valid argument is accepted");
    }
}
