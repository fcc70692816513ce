//! Routes by path and method, with a copy of all of them on the heap (at most 10,000).

use crate::{
    domain::{
        forward::{Forward, Mode, OnFailure},
        identifier::Policy,
        route::{ContentMeta, Price, Route},
    },
    storable_row,
    storage::{
        changes,
        codec::{StoredAccount, StoredPrincipal, StoredU128, number_in, of_number},
        memory,
    },
    types::{MerchantId, Method, RouteKey, Seconds},
};
use candid::Principal;
use ic_stable_structures::StableBTreeMap;
use minicbor::{Decode, Encode};
use std::{cell::RefCell, collections::BTreeMap, rc::Rc};

#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
struct PriceRow {
    #[n(0)]
    ledger: StoredPrincipal,
    #[n(1)]
    amount: StoredU128,
}

#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
struct ContentRow {
    #[n(0)]
    blob: u64,
    #[n(1)]
    bytes: u64,
    #[cbor(n(2), with = "minicbor::bytes")]
    sha256: [u8; 32],
}

/// A forward target, in routes and in the works of payments.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub(super) struct ForwardRow {
    #[n(0)]
    canister: StoredPrincipal,
    #[n(1)]
    mode: u8,
    #[n(2)]
    idempotent: bool,
    #[n(3)]
    on_failure: u8,
}

impl From<&Forward> for ForwardRow {
    fn from(forward: &Forward) -> Self {
        ForwardRow {
            canister: StoredPrincipal(forward.canister),
            mode: number_in(&Mode::ALL, forward.mode),
            idempotent: forward.idempotent,
            on_failure: number_in(&OnFailure::ALL, forward.on_failure),
        }
    }
}

impl From<ForwardRow> for Forward {
    fn from(row: ForwardRow) -> Self {
        const UNKNOWN: &str = "BUG: a stored forward target has an unknown number";
        Forward {
            canister: row.canister.0,
            mode: of_number(&Mode::ALL, row.mode).expect(UNKNOWN),
            idempotent: row.idempotent,
            on_failure: of_number(&OnFailure::ALL, row.on_failure).expect(UNKNOWN),
        }
    }
}

#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
struct RouteRow {
    #[n(0)]
    path: String,
    #[n(1)]
    method: String,
    #[n(2)]
    description: String,
    #[n(3)]
    mime_type: String,
    #[n(4)]
    prices: Vec<PriceRow>,
    #[n(5)]
    own_pay_to: Option<StoredAccount>,
    #[n(6)]
    max_timeout_seconds: u32,
    #[n(7)]
    on_sale: bool,
    #[n(8)]
    price_revision: u64,
    #[n(9)]
    content: Option<ContentRow>,
    /// Whether payments need an identifier. `None`: identifiers are ignored.
    #[n(10)]
    identifier_required: Option<bool>,
    /// The merchant that the route belongs to.
    #[n(11)]
    merchant: u32,
    #[n(12)]
    forward: Option<ForwardRow>,
    #[n(13)]
    offers_transfers: bool,
    #[n(14)]
    offers_invoices: bool,
}

storable_row!(RouteRow);

impl From<&Route> for RouteRow {
    fn from(route: &Route) -> Self {
        RouteRow {
            path: route.key.path.clone(),
            method: route.key.method.as_str().into(),
            description: route.description.clone(),
            mime_type: route.mime_type.clone(),
            prices: route
                .prices
                .iter()
                .map(|price| PriceRow {
                    ledger: StoredPrincipal(price.ledger),
                    amount: price.amount.into(),
                })
                .collect(),
            own_pay_to: route.own_pay_to.map(StoredAccount),
            max_timeout_seconds: route.max_timeout.0,
            on_sale: route.on_sale,
            price_revision: route.price_revision,
            content: route.content.map(|content| ContentRow {
                blob: content.blob,
                bytes: content.bytes,
                sha256: content.sha256,
            }),
            identifier_required: route
                .payment_identifier
                .map(|policy| policy == Policy::Required),
            merchant: MerchantId::DEPLOYER.0,
            forward: route.forward.as_ref().map(ForwardRow::from),
            offers_transfers: route.offers_transfers,
            offers_invoices: route.offers_invoices,
        }
    }
}

impl From<RouteRow> for Route {
    fn from(row: RouteRow) -> Self {
        let method = row
            .method
            .parse()
            .expect("BUG: a stored route has an unknown method");
        let merchant = MerchantId(row.merchant);
        assert_eq!(
            merchant,
            MerchantId::DEPLOYER,
            "BUG: a stored route is an unknown merchant's"
        );
        Route {
            key: RouteKey::new(method, row.path),
            description: row.description,
            mime_type: row.mime_type,
            prices: row
                .prices
                .into_iter()
                .map(|price| Price {
                    ledger: price.ledger.0,
                    amount: price.amount.into(),
                })
                .collect(),
            own_pay_to: row.own_pay_to.map(|account| account.0),
            max_timeout: Seconds(row.max_timeout_seconds),
            on_sale: row.on_sale,
            price_revision: row.price_revision,
            content: row.content.map(|content| ContentMeta {
                blob: content.blob,
                bytes: content.bytes,
                sha256: content.sha256,
            }),
            payment_identifier: row.identifier_required.map(|required| match required {
                true => Policy::Required,
                false => Policy::Optional,
            }),
            forward: row.forward.map(Forward::from),
            offers_transfers: row.offers_transfers,
            offers_invoices: row.offers_invoices,
        }
    }
}

/// The merchant, path and method. A path has no zero byte, so this has the order of [`RouteKey`].
fn stable_key(key: &RouteKey) -> String {
    let merchant = MerchantId::DEPLOYER.0;
    format!("{merchant:08x}{}\0{}", key.path, key.method)
}

struct Tables {
    rows: StableBTreeMap<String, RouteRow, memory::Memory>,
    cache: BTreeMap<RouteKey, Rc<Route>>,
}

thread_local! {
    static TABLES: RefCell<Tables> = RefCell::new({
        let rows: StableBTreeMap<String, RouteRow, _> =
            StableBTreeMap::init(memory::get(memory::ROUTES));
        let cache = rows
            .values()
            .map(|row| {
                let route = Route::from(row);
                (route.key.clone(), Rc::new(route))
            })
            .collect();
        Tables { rows, cache }
    });
}

/// Every route, by path and method.
pub fn all() -> Vec<Rc<Route>> {
    TABLES.with_borrow(|tables| tables.cache.values().cloned().collect())
}

pub fn count() -> usize {
    TABLES.with_borrow(|tables| tables.cache.len())
}

pub fn get(key: &RouteKey) -> Option<Rc<Route>> {
    TABLES.with_borrow(|tables| tables.cache.get(key).cloned())
}

/// The routes with this path template, of all methods.
pub fn at_path(path: &str) -> Vec<Rc<Route>> {
    TABLES.with_borrow(|tables| {
        Method::ALL
            .iter()
            .filter_map(|method| tables.cache.get(&RouteKey::new(*method, path)).cloned())
            .collect()
    })
}

pub fn page(skip: usize, limit: usize) -> Vec<Rc<Route>> {
    TABLES.with_borrow(|tables| {
        tables
            .cache
            .values()
            .skip(skip)
            .take(limit)
            .cloned()
            .collect()
    })
}

/// Adds a route or replaces the one with its key.
pub fn put(route: Route) {
    TABLES.with_borrow_mut(|tables| {
        changes::note_path(&route.key.path);
        tables.rows.insert(stable_key(&route.key), (&route).into());
        tables.cache.insert(route.key.clone(), Rc::new(route));
    });
}

/// Removes a route. The caller removes its content.
pub fn remove(key: &RouteKey) -> Option<Rc<Route>> {
    TABLES.with_borrow_mut(|tables| {
        changes::note_path(&key.path);
        tables.rows.remove(&stable_key(key));
        tables.cache.remove(key)
    })
}

pub fn paths() -> Vec<String> {
    TABLES.with_borrow(|tables| tables.cache.keys().map(|key| key.path.clone()).collect())
}

/// Records that the offers of routes with a price in this ledger changed.
pub(super) fn note_priced_in(ledger: &Principal) {
    TABLES.with_borrow(|tables| {
        let priced = tables.cache.values().filter(|route| {
            let mut prices = route.prices.iter();
            prices.any(|price| price.ledger == *ledger)
        });
        changes::note_stale(priced.map(|route| route.key.path.clone()));
    });
}

/// A route whose work this canister does, if any.
pub fn forwarding_to(canister: &Principal) -> Option<Rc<Route>> {
    TABLES.with_borrow(|tables| {
        let target = |route: &Rc<Route>| route.forward.map(|forward| forward.canister);
        let mut routes = tables.cache.values();
        let found = routes.find(|route| target(route) == Some(*canister));
        found.cloned()
    })
}

/// The bytes of content of all routes.
pub fn content_bytes() -> u64 {
    TABLES.with_borrow(|tables| {
        tables
            .cache
            .values()
            .filter_map(|route| route.content.map(|content| content.bytes))
            .sum()
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        domain::{config::Limits, route::tests::draft},
        storage::codec::tests::{arb_account, arb_principal},
        types::Amount,
    };
    use ic_stable_structures::Storable;
    use proptest::prelude::*;

    fn route(path: &str, method: Method) -> Route {
        let mut route = draft(path).apply(None, None, &Limits::default(), 1);
        route.key.method = method;
        route
    }

    #[test]
    fn routes_come_in_order_of_path_and_method() {
        for (path, method) in [
            ("/b", Method::Get),
            ("/a/", Method::Get),
            ("/a", Method::Post),
            ("/a", Method::Get),
        ] {
            put(route(path, method));
        }
        let keys: Vec<String> = all().iter().map(|route| route.key.to_string()).collect();
        assert_eq!(keys, ["GET /a", "POST /a", "GET /a/", "GET /b"]);
        assert_eq!(at_path("/a").len(), 2);
        assert_eq!(page(1, 2)[1].key.path, "/a/");
        assert_eq!(count(), 4);

        // The stable table has the same order, so the cache can be rebuilt in one pass.
        let stable: Vec<String> =
            TABLES.with_borrow(|tables| tables.rows.values().map(|row| row.path).collect());
        assert_eq!(stable, ["/a", "/a", "/a/", "/b"]);

        assert!(remove(&RouteKey::new(Method::Post, "/a")).is_some());
        assert_eq!(at_path("/a").len(), 1);
        assert!(remove(&RouteKey::new(Method::Post, "/a")).is_none());
        let changed = changes::take();
        assert_eq!(
            changed.paths.into_iter().collect::<Vec<_>>(),
            ["/a", "/a/", "/b"]
        );
    }

    proptest! {
        #[test]
        fn rows_are_read_back(
            description in "\\PC{0,40}",
            prices in prop::collection::vec((arb_principal(), any::<u128>()), 0..8),
            own_pay_to in prop::option::of(arb_account()),
            numbers: (u32, bool, u64),
            content in prop::option::of(any::<(u64, u64, [u8; 32])>()),
            method in 0usize..5,
            forward in prop::option::of((arb_principal(), any::<bool>(), any::<bool>(), any::<bool>())),
            policy in prop::sample::select(vec![None, Some(Policy::Optional), Some(Policy::Required)]),
        ) {
            let route = Route {
                key: RouteKey::new(Method::ALL[method], "/a/{b}"),
                description,
                mime_type: "a/b".into(),
                prices: prices
                    .into_iter()
                    .map(|(ledger, amount)| Price { ledger, amount: Amount(amount) })
                    .collect(),
                own_pay_to,
                max_timeout: Seconds(numbers.0),
                on_sale: numbers.1,
                price_revision: numbers.2,
                content: content.map(|(blob, bytes, sha256)| ContentMeta { blob, bytes, sha256 }),
                payment_identifier: policy,
                forward: forward.map(|(canister, serve, idempotent, retry)| Forward {
                    canister,
                    mode: if serve { Mode::Serve } else { Mode::Http },
                    idempotent,
                    on_failure: if retry { OnFailure::Retry } else { OnFailure::Refund },
                }),
                offers_transfers: numbers.1,
                offers_invoices: !numbers.1,
            };
            let row = RouteRow::from(&route);
            prop_assert_eq!(Route::from(RouteRow::from_bytes(row.to_bytes())), route);
        }
    }
}
