//! The list of the origin's canisters at `/.well-known/ic-architecture`.

use super::prover::Prover;
use crate::{
    api::http::{
        catalogue::ARCHITECTURE, certification::with_site, certify_all, certify_changes,
        types::HttpResponse,
    },
    domain::{
        config::Limits,
        route::{RouteDraft, tests::draft},
    },
    runtime::scripted::ScriptedRuntime,
    storage::{self, config::tests::config, routes},
    types::{Method, RouteKey, TimestampNs},
};
use serde_json::Value;

/// The query's response, if a gateway accepts it.
fn fetched(method: &str) -> HttpResponse {
    let prover = Prover::default();
    let response = with_site(|site| prover.serve(site, method, ARCHITECTURE, b"")).unwrap();
    assert!(prover.accepts(method, ARCHITECTURE, b"", &response));
    response
}

#[test]
fn agents_find_this_canister_and_no_other_in_certified_json() {
    storage::config::write(&config()).unwrap();
    let runtime = ScriptedRuntime::new(TimestampNs(1));
    certify_all(&runtime);
    let found = fetched("GET");
    assert_eq!(found.status_code, 200);
    let json = ("content-type".to_string(), "application/json".to_string());
    assert!(found.headers.contains(&json), "{:?}", found.headers);
    let manifest: Value = serde_json::from_slice(&found.body).unwrap();
    let canisters = manifest["canisters"].as_array().unwrap();
    assert_eq!(canisters.len(), 1);
    let id = Value::from(crate::runtime::Runtime::canister_id(&runtime).to_text());
    assert_eq!(canisters[0]["id"], id);
    for hint in ["name", "role", "description", "candid", "apiDoc"] {
        assert!(canisters[0][hint].is_string(), "{hint}");
    }
    assert_eq!(fetched("HEAD").body, b"");
    assert_eq!(fetched("POST").status_code, 405);
    assert_eq!(fetched("OPTIONS").status_code, 204);
}

#[test]
fn a_route_of_the_sellers_wins_while_it_exists() {
    storage::config::write(&config()).unwrap();
    let runtime = ScriptedRuntime::new(TimestampNs(1));
    certify_all(&runtime);
    let own = fetched("GET").body;
    let hidden = RouteDraft {
        prices: vec![],
        ..draft(ARCHITECTURE)
    };
    routes::put(hidden.apply(None, None, &Limits::default(), 1));
    certify_changes(&runtime);
    assert_eq!(
        fetched("GET").status_code,
        404,
        "the seller's has no content"
    );
    certify_all(&runtime);
    assert_eq!(fetched("GET").status_code, 404, "nor after an upgrade");
    // A template that matches the path is not a route of that path.
    let template = "/.well-known/{file}";
    routes::put(draft(template).apply(None, None, &Limits::default(), 1));
    routes::remove(&RouteKey::new(Method::Get, ARCHITECTURE));
    certify_changes(&runtime);
    assert_eq!(fetched("GET").body, own);
    let certified = runtime.certified_data.get();
    certify_all(&runtime);
    assert_eq!(fetched("GET").body, own);
    assert_ne!(certified, [0; 32]);
}
