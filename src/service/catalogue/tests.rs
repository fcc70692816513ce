use super::*;
use crate::{
    domain::{
        config::{Config, Limits},
        forward::{Forward, tests::forward},
        route::{Price, tests::draft},
    },
    runtime::scripted::ScriptedRuntime,
    storage::{config::tests::config, ledgers::tests::ledger},
    types::{Account, Amount, Method, TimestampNs},
};

fn set_up() -> ScriptedRuntime {
    storage::config::write(&config()).unwrap();
    storage::ledgers::put(&ledger(0)).unwrap();
    ScriptedRuntime::new(TimestampNs(1))
}

fn wanted(path: &str) -> RouteDraft {
    let price = Price {
        ledger: ledger(0).id,
        amount: Amount(10_000),
    };
    RouteDraft {
        prices: vec![price],
        ..draft(path)
    }
}

#[test]
fn a_route_is_put_changed_and_removed() {
    let runtime = set_up();
    let route = put(&runtime, wanted("/a")).unwrap();
    let mut dearer = wanted("/a");
    dearer.prices[0].amount = Amount(20_000);
    let changed = put(&runtime, dearer).unwrap();
    assert!(changed.price_revision > route.price_revision);
    assert_eq!(page(Page::default()).unwrap().len(), 1);
    remove(&runtime, &route.key).unwrap();
    assert_eq!(remove(&runtime, &route.key), Err(RouteError::UnknownRoute));

    // The revision of a route that is created again is new, so old authorizations stay invalid.
    let again = put(&runtime, wanted("/a")).unwrap();
    assert!(again.price_revision > changed.price_revision);
}

#[test]
fn what_cannot_be_put_is_named() {
    let runtime = set_up();
    let mut unknown = wanted("/a");
    unknown.prices[0].ledger = ledger(1).id;
    assert_eq!(
        put(&runtime, unknown),
        Err(RouteError::UnknownLedger(ledger(1).id))
    );

    put(&runtime, wanted("/a/{x}")).unwrap();
    let mut post = wanted("/a/{y}");
    post.key.method = Method::Post;
    assert!(matches!(
        put(&runtime, post),
        Err(RouteError::InvalidArgument(e)) if e.field == "path"
    ));

    let limits = Limits {
        max_routes: 1,
        ..Limits::default()
    };
    storage::config::write(&Config { limits, ..config() }).unwrap();
    assert_eq!(
        put(&runtime, wanted("/b")),
        Err(RouteError::TooManyRoutes { limit: 1 })
    );
    assert!(
        put(&runtime, wanted("/a/{x}")).is_ok(),
        "a route can be changed at the limit"
    );
}

/// A payment that nobody can make is held like any other while its outcome is unknown.
#[test]
fn a_price_beyond_the_ceiling_is_refused_with_the_limit() {
    let runtime = set_up();
    let ceiling = 10u128.pow(18);
    let mut dear = wanted("/a");
    dear.prices[0].amount = Amount(ceiling);
    put(&runtime, dear.clone()).unwrap();
    for amount in [ceiling + 1, 10u128.pow(36)] {
        dear.prices[0].amount = Amount(amount);
        let Err(RouteError::InvalidArgument(error)) = put(&runtime, dear.clone()) else {
            panic!("expected a refusal");
        };
        assert_eq!(error.field, "prices[0].amount");
        let problem = "is greater than 1000000000000000000 atomic units";
        assert_eq!(error.problem, problem);
        assert_eq!(error.limit, Some(ceiling));
    }
}

#[test]
fn operators_manage_routes_but_not_where_the_money_goes() {
    let runtime = set_up();
    let merchant = Account::from(Principal::from_slice(&[50]));
    let own = RouteDraft {
        pay_to: Some(merchant),
        ..wanted("/own/{id}")
    };
    let own_key = own.key.clone();
    put(&runtime, own).unwrap();

    runtime.caller.set(config().operators[0]);
    let unauthorized = Err(RouteError::Unauthorized(Unauthorized));
    let redirect = RouteDraft {
        pay_to: Some(merchant),
        ..wanted("/a")
    };
    assert_eq!(put(&runtime, redirect), unauthorized);
    assert_eq!(put(&runtime, wanted("/own/7")), unauthorized);
    assert_eq!(
        remove(&runtime, &own_key),
        Err(RouteError::Unauthorized(Unauthorized))
    );
    let edited = put(
        &runtime,
        RouteDraft {
            on_sale: false,
            ..wanted("/own/{id}")
        },
    )
    .unwrap();
    assert_eq!(edited.own_pay_to, Some(merchant));
    let mine = put(&runtime, wanted("/a")).unwrap();
    assert_eq!(mine.pay_to(&config()), config().pay_to);
    remove(&runtime, &mine.key).unwrap();

    runtime.caller.set(Principal::anonymous());
    assert_eq!(put(&runtime, wanted("/b")), unauthorized);
    assert_eq!(
        remove(&runtime, &own_key),
        Err(RouteError::Unauthorized(Unauthorized))
    );
}

#[test]
fn only_what_can_be_bought_is_offered() {
    let runtime = set_up();
    let spender = runtime.canister_id();
    let route = put(&runtime, wanted("/a")).unwrap();
    assert!(offers(&route, spender).is_empty(), "no content yet");
    let content = crate::domain::route::ContentMeta {
        blob: 1,
        bytes: 1,
        sha256: [0; 32],
    };
    let mut route = Route::clone(&route);
    route.content = Some(content);
    let offered = offers(&route, spender);
    assert_eq!(offered.len(), 1);
    assert_eq!(offered[0].network, "icp:1");
    assert_eq!(offered[0].extra.spender, spender.to_text());
    let mut disabled = ledger(0);
    disabled.enabled = false;
    storage::ledgers::put(&disabled).unwrap();
    assert!(offers(&route, spender).is_empty());
}

#[test]
fn a_route_forwards_instead_of_storing_and_back() {
    let runtime = set_up();
    let forwarding = RouteDraft {
        forward: Some(forward()),
        ..wanted("/a")
    };
    let stored = put(&runtime, wanted("/a")).unwrap();
    assert!(!stored.is_deliverable());
    let content = crate::domain::route::ContentMeta {
        blob: storage::counters::next_blob(),
        bytes: 1,
        sha256: [0; 32],
    };
    storage::content::write(content.blob, 0, b"x");
    storage::routes::put(Route {
        content: Some(content),
        ..Route::clone(&stored)
    });
    let route = put(&runtime, forwarding.clone()).unwrap();
    assert_eq!((route.forward, route.content), (Some(forward()), None));
    assert_eq!(storage::content::read(&content), None, "released");
    assert_eq!(offers(&route, runtime.canister_id()).len(), 1);
    let route = put(&runtime, wanted("/a")).unwrap();
    assert!(!route.is_deliverable());
    assert_eq!(offers(&route, runtime.canister_id()), vec![]);

    let mut free = forwarding.clone();
    free.prices.clear();
    let field = |draft| match put(&runtime, draft) {
        Err(RouteError::InvalidArgument(error)) => error.field,
        other => panic!("{other:?}"),
    };
    assert_eq!(field(free), "forward");
    for canister in [
        Principal::management_canister(),
        runtime.canister_id(),
        ledger(0).id,
    ] {
        let target = Forward {
            canister,
            ..forward()
        };
        let bad = RouteDraft {
            forward: Some(target),
            ..forwarding.clone()
        };
        assert_eq!(field(bad), "forward.canister");
    }
}
