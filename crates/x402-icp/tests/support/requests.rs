//! Test vectors about the requests that an offer is for.

use crate::support::spender;
use serde_json::{Value, json};
use x402_icp::{
    offer::{OfferMismatch, offer_id, offer_matches},
    wire::ExactIcrc2Extra,
};

/// The special case | method and route of the offer | method and URL of the request | the mismatch.
const REQUESTS: &str = "
the parameter is filled in | GET /items/{id} | GET https://shop.example/items/7 |
the query is ignored | GET /items/{id} | GET https://shop.example/items/7?a=/b&c |
the fragment is ignored | GET /items/{id} | GET https://shop.example/items/7#/b |
the host does not matter | GET /items/{id} | GET http://127.0.0.1:8080/items/7 |
percent-encoded parameter | GET /items/{id} | GET https://shop.example/items/caf%C3%A9%20 |
plus sign in the parameter | GET /items/{id} | GET https://shop.example/items/a+b |
encoded question mark | GET /items/{id} | GET https://shop.example/items/a%3Fb |
empty parameter | GET /items/{id} | GET https://shop.example/items/ | path
no parameter | GET /items/{id} | GET https://shop.example/items | path
trailing slash | GET /items/{id} | GET https://shop.example/items/7/ | path
one segment more | GET /items/{id} | GET https://shop.example/items/7/8 | path
empty segment in front | GET /items/{id} | GET https://shop.example//items/7 | path
encoded slash | GET /items/{id} | GET https://shop.example/items/7%2F8 | path
encoded slash in lower case | GET /items/{id} | GET https://shop.example/items/%2f | path
literal in another case | GET /items/{id} | GET https://shop.example/Items/7 | path
literal percent-encoded | GET /items/{id} | GET https://shop.example/%69tems/7 | path
another path | GET /items/{id} | GET https://shop.example/data/7 | path
the root instead | GET /items/{id} | GET https://shop.example/ | path
the root | GET / | GET https://shop.example/ |
the root without its slash | GET / | GET https://shop.example |
the root without its slash, with a query | GET / | GET https://shop.example?a=b |
literal | GET /report | GET https://shop.example/report |
literal with a slash too many | GET /report | GET https://shop.example/report/ | path
literal with a trailing slash | GET /report/ | GET https://shop.example/report/ |
literal without its trailing slash | GET /report/ | GET https://shop.example/report | path
literal with punctuation | GET /a.b!~ | GET https://shop.example/a.b!~ |
two parameters | GET /a/{x}/b/{y} | GET https://shop.example/a/1/b/2 |
the first of two parameters is empty | GET /a/{x}/b/{y} | GET https://shop.example/a//b/2 | path
POST | POST /items/{id} | POST https://shop.example/items/7 |
offer for GET, request with POST | GET /items/{id} | POST https://shop.example/items/7 | method
offer for POST, request with GET | POST /items/{id} | GET https://shop.example/items/7 | method
HEAD buys nothing | GET /items/{id} | HEAD https://shop.example/items/7 | method
request method in lower case | GET /items/{id} | get https://shop.example/items/7 | method
offer method in lower case | get /items/{id} | GET https://shop.example/items/7 | method
";

/// The same for `GET https://shop.example/items/7` and changes of the first offer's `extra`; `null` removes a member.
fn changes() -> Vec<(&'static str, Value, Option<&'static str>)> {
    let upper = offer_id(spender(), "GET", "/items/{id}", 7).to_uppercase();
    let (id, missing) = (Some("id"), Some("missing"));
    vec![
        ("id of another method", json!({"method": "POST"}), id),
        ("id of another route", json!({"route": "/items/7"}), id),
        ("id of another revision", json!({"revision": 8}), id),
        ("id of another spender", json!({"spender": "aaaaa-aa"}), id),
        ("id in upper case", json!({"offer": upper}), id),
        ("revision by value", json!({"revision": 7.0}), None),
        ("no method", json!({"method": null}), missing),
        ("no route", json!({"route": null}), missing),
        ("no revision", json!({"revision": null}), missing),
        (
            "method of another type",
            json!({"method": ["GET"]}),
            missing,
        ),
        ("route of another type", json!({"route": 7}), missing),
        ("revision as text", json!({"revision": "7"}), missing),
        ("revision not whole", json!({"revision": 7.5}), missing),
        (
            "spender not a principal",
            json!({"spender": "nobody"}),
            Some("spender"),
        ),
    ]
}

fn extra(method: &str, route: &str) -> Value {
    json!({
        "assetTransferMethod": "icrc2", "symbol": "ckUSDC", "decimals": 6, "fee": "10000",
        "spender": spender().to_text(), "offer": offer_id(spender(), method, route, 7),
        "method": method, "route": route, "revision": 7,
    })
}

/// The vectors of `vectors.json`.
pub fn vectors() -> Vec<Value> {
    let vector = |name: &str, extra: Value, method: &str, url: &str, mismatch: Option<&str>| {
        json!({
            "name": name, "extra": extra, "method": method, "url": url, "mismatch": mismatch,
        })
    };
    let rows = REQUESTS.trim().lines().map(|line| {
        let cells: Vec<&str> = line.split('|').map(str::trim).collect();
        let [name, offer, request, mismatch] = cells[..] else {
            panic!("four cells: {line}");
        };
        let (offered, route) = offer.split_once(' ').unwrap();
        let (method, url) = request.split_once(' ').unwrap();
        let mismatch = Some(mismatch).filter(|mismatch| !mismatch.is_empty());
        vector(name, extra(offered, route), method, url, mismatch)
    });
    let changed = changes().into_iter().map(|(name, changes, mismatch)| {
        let mut extra = extra("GET", "/items/{id}");
        let members = extra.as_object_mut().unwrap();
        for (key, value) in changes.as_object().unwrap() {
            match value {
                Value::Null => members.remove(key),
                value => members.insert(key.clone(), value.clone()),
            };
        }
        vector(name, extra, "GET", "https://shop.example/items/7", mismatch)
    });
    rows.chain(changed).collect()
}

/// The result of this code for a vector.
pub fn mismatch(vector: &Value) -> Option<&'static str> {
    let extra: ExactIcrc2Extra = serde_json::from_value(vector["extra"].clone()).unwrap();
    let method = vector["method"].as_str().unwrap();
    let url = vector["url"].as_str().unwrap();
    offer_matches(&extra, method, path_of(url))
        .err()
        .map(|e| match e {
            OfferMismatch::Missing(_) => "missing",
            OfferMismatch::Spender(_) => "spender",
            OfferMismatch::Revision => "revision",
            OfferMismatch::Id { .. } => "id",
            OfferMismatch::Method { .. } => "method",
            OfferMismatch::Path { .. } => "path",
        })
}

/// The path of a URL, without decoding.
fn path_of(url: &str) -> &str {
    let rest = url.split_once("://").unwrap().1;
    let rest = rest.split(['?', '#']).next().unwrap();
    rest.find('/').map_or("/", |start| &rest[start..])
}
