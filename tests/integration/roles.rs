//! Every method that changes something, called by every role.

use crate::support::{
    Setup,
    flow::ARTICLE,
    interface::*,
    setup::{controller, free, merchant, operator, stranger},
};
use candid::{CandidType, Nat, Principal, utils::ArgumentEncoder};
use icrc_ledger_types::icrc1::account::Account;
use serde::de::DeserializeOwned;
use serde_bytes::ByteBuf;

/// Expects that the call is refused for want of a role: dropped by inspect_message, or answered with an error.
fn refused<
    A: ArgumentEncoder,
    T: CandidType + DeserializeOwned,
    E: CandidType + DeserializeOwned,
>(
    setup: &Setup,
    caller: Principal,
    method: &str,
    args: A,
    is_unauthorized: impl Fn(&E) -> bool,
) {
    let arg = candid::encode_args(args).unwrap();
    match setup.raw_update(caller, method, arg) {
        // inspect_message
        Err(_) => {}
        Ok(reply) => match candid::decode_one::<Result<T, E>>(&reply).unwrap() {
            Err(error) => assert!(is_unauthorized(&error), "{method}"),
            Ok(_) => panic!("{caller} may {method}"),
        },
    }
}

fn route_error(error: &RouteError) -> bool {
    *error == RouteError::Unauthorized
}

fn ledger_error(error: &LedgerError) -> bool {
    *error == LedgerError::Unauthorized
}

fn content_error(error: &ContentError) -> bool {
    *error == ContentError::Unauthorized
}

fn nobody_may_administer(caller: Principal) {
    let setup = Setup::new();
    setup.sell("/article", 1_000);
    let before = snapshot(&setup);
    let me: Account = caller.into();
    refused::<_, (), _>(&setup, caller, "pay_to_set", (me,), route_error);
    let elsewhere = Some("https://elsewhere.example".to_string());
    refused::<_, (), _>(&setup, caller, "origin_set", (elsewhere,), route_error);
    refused::<_, (), _>(&setup, caller, "operator_add", (caller,), route_error);
    refused::<_, (), _>(
        &setup,
        caller,
        "operator_remove",
        (operator(),),
        route_error,
    );
    refused::<_, Ledger, _>(
        &setup,
        caller,
        "ledger_add",
        (setup.ledger.0,),
        ledger_error,
    );
    refused::<_, Ledger, _>(
        &setup,
        caller,
        "ledger_enable",
        (setup.ledger.0, false),
        ledger_error,
    );
    assert_eq!(snapshot(&setup), before);
}

fn nobody_may_operate(caller: Principal) {
    let setup = Setup::new();
    setup.sell("/article", 1_000);
    let before = snapshot(&setup);
    let key = RouteKey {
        method: "GET".into(),
        path: "/article".into(),
    };
    let begin = ContentBegin {
        method: "GET".into(),
        path: "/article".into(),
        bytes: 1,
        sha256: ByteBuf::from(vec![0; 32]),
    };
    let chunk = ContentChunk {
        upload: 1,
        offset: 0,
        bytes: ByteBuf::from(vec![0]),
    };
    refused::<_, Route, _>(
        &setup,
        caller,
        "route_put",
        (free("GET", "/article"),),
        route_error,
    );
    refused::<_, (), _>(&setup, caller, "route_remove", (key,), route_error);
    refused::<_, u64, _>(&setup, caller, "content_begin", (begin,), content_error);
    refused::<_, (), _>(&setup, caller, "content_chunk", (chunk,), content_error);
    refused::<_, Content, _>(
        &setup,
        caller,
        "content_commit",
        (ContentCommit { upload: 1 },),
        content_error,
    );
    refused::<_, PaymentStatus, _>(
        &setup,
        caller,
        "payment_recheck",
        (ByteBuf::from(vec![0; 32]),),
        |error: &RecheckError| *error == RecheckError::Unauthorized,
    );
    let page = || PageArgs::default();
    for method in ["payments", "payments_waiting", "payments_failed"] {
        let answer: Result<Vec<Payment>, PaymentsError> = setup.query(caller, method, (page(),));
        assert_eq!(answer, Err(PaymentsError::Unauthorized), "{method}");
    }
    let open: Result<Vec<Payment>, PaymentsError> = setup.query(caller, "payments_open", ());
    assert_eq!(open, Err(PaymentsError::Unauthorized));
    let audit: Result<Vec<PaymentAudit>, PaymentsError> =
        setup.query(caller, "audit_payments", (page(),));
    assert_eq!(audit, Err(PaymentsError::Unauthorized));
    let audit: Result<Vec<AdminAudit>, PaymentsError> =
        setup.query(caller, "audit_admin", (page(),));
    assert_eq!(audit, Err(PaymentsError::Unauthorized));
    assert_eq!(snapshot(&setup), before);
}

fn snapshot(setup: &Setup) -> (Config, Vec<Ledger>, Result<Vec<Route>, InvalidArgument>) {
    (
        setup.config(),
        setup.query(stranger(), "ledgers", ()),
        setup.query(stranger(), "routes", (PageArgs::default(),)),
    )
}

#[test]
fn anonymous_may_nothing() {
    nobody_may_administer(Principal::anonymous());
    nobody_may_operate(Principal::anonymous());
}

#[test]
fn stranger_may_nothing() {
    nobody_may_administer(stranger());
    nobody_may_operate(stranger());
}

#[test]
fn merchant_is_nobody() {
    nobody_may_administer(merchant().owner);
    nobody_may_operate(merchant().owner);
}

#[test]
fn operator_may_not_administer() {
    nobody_may_administer(operator());
}

#[test]
fn operator_cannot_redirect_money() {
    let setup = Setup::new();
    let mut route = setup.priced("GET", "/article", 1_000);
    route.pay_to = Some(operator().into());
    let put = setup.route_put(route);
    assert_eq!(put, Err(RouteError::Unauthorized));
    // Nor by changing a route with an account that a controller named.
    let author: Account = Principal::self_authenticating([66; 32]).into();
    let mut route = setup.priced("GET", "/article", 1_000);
    route.pay_to = Some(author.into());
    let put: Result<Route, RouteError> = setup.update(controller(), "route_put", (route,));
    assert_eq!(put.unwrap().pay_to, author);
    let put = setup
        .route_put(setup.priced("GET", "/article", 2_000))
        .unwrap();
    assert_eq!(put.pay_to, author);
    assert_eq!(
        setup.route_remove("GET", "/article"),
        Err(RouteError::Unauthorized)
    );
}

/// The amount that an unfunded payment holds while its outcome is unknown is bounded.
#[test]
fn operator_cannot_hold_an_account_with_an_absurd_price() {
    let setup = Setup::new();
    let ledgers: Vec<Ledger> = setup.query(stranger(), "ledgers", ());
    let ceiling = 10u128.pow(18.max(9 + u32::from(ledgers[0].decimals)));
    let put = |amount: u128| -> Result<Route, RouteError> {
        let route = setup.priced("GET", "/dear", amount);
        setup.update(operator(), "route_put", (route,))
    };
    put(ceiling).expect("it is dear");
    for amount in [ceiling + 1, 10u128.pow(36)] {
        match put(amount) {
            Err(RouteError::InvalidArgument(error)) => {
                assert_eq!(error.field, "prices[0].amount");
                assert_eq!(error.limit, Some(Nat::from(ceiling)));
            }
            other => panic!("expected to be refused, got {other:?}"),
        }
    }
}

#[test]
fn operator_runs_the_shop() {
    let setup = Setup::new();
    let payer = setup.payer(120);
    let sale = setup.sell("/article", 1_000);
    sale.pay(&payer).send().expect_settled();
    let page: Result<Vec<Payment>, PaymentsError> =
        setup.query(operator(), "payments", (PageArgs::default(),));
    assert_eq!(page.unwrap().len(), 1);
    setup.route_remove("GET", "/article").unwrap();
}

#[test]
fn controller_may_everything() {
    let setup = Setup::new();
    let new: Principal = Principal::self_authenticating([67; 32]);
    let done: Result<(), RouteError> = setup.update(controller(), "operator_add", (new,));
    done.unwrap();
    let put: Result<Route, RouteError> =
        setup.update(new, "route_put", (setup.priced("GET", "/article", 1_000),));
    put.unwrap();
    let done: Result<(), RouteError> = setup.update(controller(), "operator_remove", (new,));
    done.unwrap();
    refused::<_, Route, _>(&setup, new, "route_put", (free("GET", "/x"),), route_error);
    let account: Account = stranger().into();
    let done: Result<(), RouteError> = setup.update(controller(), "pay_to_set", (account,));
    done.unwrap();
    assert_eq!(setup.config().pay_to, account);
    let off: Result<Ledger, LedgerError> =
        setup.update(controller(), "ledger_enable", (setup.ledger.0, false));
    assert!(!off.unwrap().enabled);
}

#[test]
fn canister_that_calls_is_a_stranger_too() {
    // inspect_message filters ingress messages only; the methods themselves must check as well. The ledger cannot be
    // made to call this canister, so a second canister under test represents any other.
    let setup = Setup::new();
    let twin = setup.another_canister();
    let added: Result<Ledger, LedgerError> = setup.update(controller(), "ledger_add", (twin,));
    assert!(
        added.is_err(),
        "a canister that is not a ledger is not registered"
    );
    setup.sell("/article", 1_000);
    assert_eq!(
        setup
            .get("/article")
            .payment_required()
            .unwrap()
            .accepts
            .len(),
        1
    );
    assert!(!ARTICLE.is_empty());
}
