//! Malformed Candid arguments: a typed error that names the field, or a decoding error. Never a change.

use crate::support::{
    Setup,
    interface::*,
    setup::{controller, free, stranger},
};
use candid::{Nat, Principal};
use icrc_ledger_types::icrc1::account::Account;
use serde_bytes::ByteBuf;

const UPDATES: [&str; 18] = [
    "pay_to_set",
    "operator_add",
    "operator_remove",
    "ledger_add",
    "ledger_enable",
    "ledger_refresh",
    "route_put",
    "route_remove",
    "content_begin",
    "content_chunk",
    "content_commit",
    "payment_recheck",
    "refund_payment",
    "refund_by_merchant",
    "payment_resolve",
    "withdraw",
    "cancel_authorization",
    "http_request_update",
];
const QUERIES: [&str; 11] = [
    "route",
    "routes",
    "offers",
    "payment",
    "payments",
    "payments_waiting",
    "payments_failed",
    "audit_payments",
    "audit_admin",
    "receipt",
    "http_request",
];

pub(crate) type State = (
    Config,
    Vec<Ledger>,
    Result<Vec<Route>, InvalidArgument>,
    usize,
);

pub(crate) fn state(setup: &Setup) -> State {
    (
        setup.config(),
        setup.query(stranger(), "ledgers", ()),
        setup.query(stranger(), "routes", (PageArgs::default(),)),
        setup.payments().len(),
    )
}

/// Arguments that no method has.
fn garbage() -> Vec<(&'static str, Vec<u8>)> {
    let mut bomb = b"DIDL".to_vec();
    // A vector of 2^60 nulls: short to send, long to decode.
    bomb.extend([1, 0x6d, 0x7f, 1, 0]);
    bomb.extend([0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x10]);
    let mut deep = b"DIDL".to_vec();
    deep.push(100);
    for index in 0..100_u8 {
        deep.extend([0x6e, if index == 99 { 0x7f } else { index + 1 }]);
    }
    deep.extend([1, 0]);
    deep.extend([1; 100]);
    vec![
        ("nothing", vec![]),
        ("no magic", b"hello, world".to_vec()),
        ("magic only", b"DIDL".to_vec()),
        (
            "a number where more is wanted",
            candid::encode_one(7_u8).unwrap(),
        ),
        (
            "a text for a record",
            candid::encode_one("x".repeat(1_000)).unwrap(),
        ),
        (
            "cut short",
            candid::encode_one("text").unwrap()[..6].to_vec(),
        ),
        ("a space bomb", bomb),
        ("deep options", deep),
        ("two megabytes less a bit", vec![0x41; 1_900_000]),
    ]
}

#[test]
fn garbage_for_every_method_changes_nothing() {
    let setup = Setup::new();
    setup.sell("/article", 1_000);
    let before = state(&setup);
    for (what, bytes) in garbage() {
        for method in UPDATES {
            for caller in [controller(), stranger(), Principal::anonymous()] {
                let reply = setup.raw_update(caller, method, bytes.clone());
                assert!(reply.is_err(), "{method} takes {what}");
            }
        }
        for method in QUERIES {
            let reply = setup
                .pic
                .query_call(setup.canister, stranger(), method, bytes.clone());
            assert!(reply.is_err(), "{method} takes {what}");
        }
    }
    assert_eq!(state(&setup), before);
    assert_eq!(setup.get("/article").status, 402);
}

fn route_problem(setup: &Setup, args: RouteArgs) -> InvalidArgument {
    match setup.route_put(args.clone()) {
        Err(RouteError::InvalidArgument(problem)) => problem,
        other => panic!("{args:?}: {other:?}"),
    }
}

#[test]
fn route_paths_that_are_none() {
    let setup = Setup::new();
    let before = state(&setup);
    let long = format!("/{}", "x".repeat(256));
    let many = "/x".repeat(17);
    for path in [
        "",
        "article",
        "//",
        "/a//b",
        "/a/../b",
        "/.",
        "/a%20b",
        "/a b",
        "/é",
        "/a?b",
        "/a#b",
        "/a\\b",
        "/a\n",
        "/{id}",
        "/a/{}",
        "/a/{id",
        "/a/id}",
        "/a/x{id}",
        "/a/{id}x",
        "/a/{*rest}",
        "/a/{ID}",
        "/a/{x}/{x}",
        "/x402",
        "/x402/receipts/1",
        "/<*>",
        "/a/<$>",
        "\u{0}",
        long.as_str(),
        many.as_str(),
    ] {
        assert_eq!(
            route_problem(&setup, free("GET", path)).field,
            "path",
            "{path:?}"
        );
    }
    assert_eq!(state(&setup), before);
}

#[test]
fn templates_of_one_shape_are_refused() {
    let setup = Setup::new();
    setup.route_put(free("GET", "/data/{id}")).unwrap();
    assert_eq!(
        route_problem(&setup, free("GET", "/data/{name}")).field,
        "path"
    );
    setup.route_put(free("POST", "/data/{id}")).unwrap();
}

#[test]
fn methods_that_are_none() {
    let setup = Setup::new();
    for method in [
        "",
        "get",
        "HEAD",
        "OPTIONS",
        "CONNECT",
        "TRACE",
        "GET ",
        &"G".repeat(10_000),
    ] {
        assert_eq!(
            route_problem(&setup, free(method, "/a")).field,
            "method",
            "{method:?}"
        );
    }
}

#[test]
fn other_fields_of_a_route() {
    let setup = Setup::new();
    let with = |change: &dyn Fn(&mut RouteArgs)| {
        let mut args = setup.priced("GET", "/a", 1_000);
        change(&mut args);
        route_problem(&setup, args)
    };
    assert_eq!(
        with(&|args| args.description = "x".repeat(257)).field,
        "description"
    );
    for mime_type in [
        "",
        "text",
        "text/plain\r\nset-cookie: a=b",
        "text/é",
        &"x/".repeat(100),
    ] {
        assert_eq!(
            with(&|args| args.mime_type = mime_type.into()).field,
            "mime_type",
            "{mime_type:?}"
        );
    }
    for seconds in [0, 1, 100_000, u32::MAX] {
        let problem = with(&|args| args.max_timeout_seconds = Some(seconds));
        assert_eq!(problem.field, "max_timeout_seconds");
    }
    assert!(
        with(&|args| args.prices[0].amount = Nat::from(0_u8))
            .field
            .starts_with("prices")
    );
    let huge = Nat::parse("9".repeat(80).as_bytes()).unwrap();
    assert!(
        with(&|args| args.prices[0].amount = huge.clone())
            .field
            .starts_with("prices")
    );
    assert!(
        with(&|args| args.prices = vec![args.prices[0].clone(); 9])
            .field
            .starts_with("prices")
    );
    assert!(
        with(&|args| args.prices = vec![args.prices[0].clone(); 2])
            .field
            .starts_with("prices")
    );
    let unknown = stranger();
    let mut args = setup.priced("GET", "/a", 1_000);
    args.prices[0].ledger = unknown;
    assert_eq!(
        setup.route_put(args),
        Err(RouteError::UnknownLedger(unknown))
    );
    assert_eq!(setup.get("/a").status, 404);
}

#[test]
fn unknown_routes_are_named() {
    let setup = Setup::new();
    assert_eq!(
        setup.route_remove("GET", "/a"),
        Err(RouteError::UnknownRoute)
    );
    for (method, path) in [
        ("", ""),
        ("GET", "/a"),
        ("get", "\u{0}"),
        ("GET", &"x".repeat(100_000)),
    ] {
        let key = RouteKey {
            method: method.into(),
            path: path.into(),
        };
        let route: Option<Route> = setup.query(stranger(), "route", (key,));
        assert_eq!(route, None);
    }
}

#[test]
fn accounts_and_principals_that_cannot_be_paid() {
    let setup = Setup::new();
    let before = state(&setup);
    let anonymous: Account = Principal::anonymous().into();
    let done: Result<(), RouteError> = setup.update(controller(), "pay_to_set", (anonymous,));
    assert!(
        matches!(done, Err(RouteError::InvalidArgument(problem)) if problem.field.starts_with("pay_to"))
    );
    let done: Result<(), RouteError> =
        setup.update(controller(), "operator_add", (Principal::anonymous(),));
    assert!(
        matches!(done, Err(RouteError::InvalidArgument(_))),
        "{done:?}"
    );
    assert_eq!(state(&setup), before);
}

#[test]
fn ids_of_any_length_find_nothing() {
    let setup = Setup::new();
    for length in [0, 1, 31, 32, 33, 1_000_000] {
        let id = ByteBuf::from(vec![7; length]);
        let payment: Option<Payment> = setup.query(stranger(), "payment", (id.clone(),));
        let receipt: Option<Receipt> = setup.query(stranger(), "receipt", (id,));
        assert_eq!((payment, receipt), (None, None), "{length}");
    }
}

#[test]
fn ledgers_that_are_none() {
    let setup = Setup::new();
    let before = state(&setup);
    for id in [
        setup.canister,
        stranger(),
        Principal::anonymous(),
        Principal::management_canister(),
        Principal::from_slice(&[1; 10]),
    ] {
        let added = setup.ledger_add(id);
        assert!(
            matches!(
                added,
                Err(LedgerError::LedgerUnavailable { .. }
                    | LedgerError::NotALedger { .. }
                    | LedgerError::InvalidArgument(_))
            ),
            "{id}: {added:?}"
        );
    }
    let enabled: Result<Ledger, LedgerError> =
        setup.update(controller(), "ledger_enable", (stranger(), true));
    assert_eq!(enabled, Err(LedgerError::UnknownLedger));
    assert_eq!(state(&setup), before);
}

#[test]
fn ledger_that_answers_nonsense_is_not_added() {
    use test_ledger::testing::{Answer, Fault};
    for method in [
        "icrc1_fee",
        "icrc1_symbol",
        "icrc1_decimals",
        "icrc1_supported_standards",
    ] {
        for fault in [
            Fault::instead(Answer::Text(2_000_000)),
            Fault::garbage(),
            Fault::reject(),
            Fault::trap(),
        ] {
            // A symbol of any length is accepted: it is cut.
            if method == "icrc1_symbol" && matches!(fault.answer, Answer::Text(_)) {
                continue;
            }
            let setup = Setup::new();
            let before = state(&setup);
            setup.ledger.fault_of(&setup, method, 1, &fault);
            let added = setup.ledger_add(setup.ledger.0);
            assert!(
                matches!(
                    added,
                    Err(LedgerError::LedgerUnavailable { .. } | LedgerError::NotALedger { .. })
                ),
                "{method} {fault:?}: {added:?}"
            );
            assert_eq!(state(&setup), before);
        }
    }
    let setup = Setup::new();
    setup
        .ledger
        .fault_of(&setup, "icrc1_fee", 1, &Fault::huge_nat());
    let added = setup.ledger_add(setup.ledger.0);
    assert!(added.is_err(), "{added:?}");
}

#[test]
fn cancellations_that_are_none() {
    let setup = Setup::new();
    let payer = setup.payer(150).account.owner;
    let cancel = |caller, nonce: Vec<u8>, valid_before_seconds| -> Result<(), CancelError> {
        let args = CancelArgs {
            nonce: ByteBuf::from(nonce),
            valid_before_seconds,
        };
        setup.update(caller, "cancel_authorization", (args,))
    };
    let soon = setup.now() + 60;
    for length in [0, 31, 33] {
        let refused = cancel(payer, vec![1; length], soon);
        assert!(
            matches!(&refused, Err(CancelError::InvalidArgument(problem)) if problem.field == "nonce"),
            "{refused:?}"
        );
    }
}

#[test]
fn junk_for_public_methods_is_dropped_by_the_filter() {
    let setup = Setup::new();
    let before = state(&setup);
    let id = candid::encode_one(ByteBuf::from(vec![7; 32])).unwrap();
    let sixteen_kib = {
        let junk = ByteBuf::from(vec![7; 16_000]);
        candid::encode_one(&junk).unwrap()
    };
    let dropped = |method: &str, argument: Vec<u8>| {
        let reply = setup.raw_update(stranger(), method, argument);
        let error = reply.expect_err(method).to_string();
        assert!(
            error.contains("CanisterRejectedMessage"),
            "{method}: {error}"
        );
    };
    for method in [
        "config",
        "origin",
        "ledgers",
        "payment",
        "receipt",
        "routes",
        "route",
        "offers",
        "ledger_refresh",
        "cancel_authorization",
    ] {
        dropped(method, sixteen_kib.clone());
        dropped(method, vec![0x41; 50]);
        dropped(method, [&id[..], &[0]].concat());
    }
    let more = candid::encode_args((ByteBuf::from(vec![7; 32]), "more")).unwrap();
    dropped("payment", more);
    let reply = setup.raw_update(stranger(), "payment", id);
    let payment: Option<Payment> = candid::decode_one(&reply.unwrap()).unwrap();
    assert_eq!(payment, None);
    assert_eq!(state(&setup), before);
}

#[test]
fn anonymous_cannot_cancel() {
    let setup = Setup::new();
    let args = CancelArgs {
        nonce: ByteBuf::from(vec![1; 32]),
        valid_before_seconds: setup.now() + 60,
    };
    let arg = candid::encode_one(args).unwrap();
    // Dropped by inspect_message, or answered with an error.
    if let Ok(reply) = setup.raw_update(Principal::anonymous(), "cancel_authorization", arg) {
        let answer: Result<(), CancelError> = candid::decode_one(&reply).unwrap();
        assert_eq!(answer, Err(CancelError::AnonymousCaller));
    }
}
