//! Cached offers of routes that were paid for lately. Heap only. The cache is cleared whenever data changes that an
//! offer is made from (see [`super::changes`]).

use crate::{domain::offer::Offer, types::RouteKey};
use std::{cell::RefCell, collections::BTreeMap, rc::Rc};

/// The most routes in the cache. Offers take a few kilobytes a route.
const MAX_ROUTES: usize = 256;

thread_local! {
    static OFFERS: RefCell<BTreeMap<RouteKey, Rc<[Offer]>>> = RefCell::default();
}

/// The offers of the stored route with this key; `make` makes them if they are not cached.
pub fn get(key: &RouteKey, make: impl FnOnce() -> Vec<Offer>) -> Rc<[Offer]> {
    if let Some(offers) = OFFERS.with_borrow(|kept| kept.get(key).cloned()) {
        return offers;
    }
    let offers: Rc<[Offer]> = make().into();
    OFFERS.with_borrow_mut(|kept| {
        if kept.len() >= MAX_ROUTES {
            kept.clear();
        }
        kept.insert(key.clone(), offers.clone());
    });
    offers
}

pub(super) fn clear() {
    OFFERS.with_borrow_mut(BTreeMap::clear);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        domain::{config::Limits, route::tests::draft},
        storage::{
            changes, config, config::tests::config, ledgers, ledgers::tests::ledger, routes,
        },
        types::{Amount, Method, TimestampNs},
    };

    #[test]
    fn any_change_clears_the_cache() {
        config::write(&config()).unwrap();
        ledgers::put(&ledger(0)).unwrap();
        let mut route = draft("/a").apply(None, None, &Limits::default(), 1);
        route.prices[0].ledger = ledger(0).id;
        routes::put(route);
        let made = std::cell::Cell::new(0);
        let key = RouteKey::new(Method::Get, "/a");
        let ask = || {
            get(&key, || {
                made.set(made.get() + 1);
                vec![]
            });
            made.get()
        };
        assert_eq!((ask(), ask()), (1, 1));
        ledgers::learn_fee(&ledger(0).id, Amount(11), TimestampNs(1));
        assert_eq!((ask(), ask()), (2, 2));
        let mut elsewhere = config();
        elsewhere.pay_to.subaccount = Some([1; 32]);
        config::write(&elsewhere).unwrap();
        assert_eq!((ask(), ask()), (3, 3));
        changes::note_path("/a");
        assert_eq!((ask(), ask()), (4, 4));
    }

    #[test]
    fn not_more_than_so_many_are_kept() {
        for n in 0..=MAX_ROUTES {
            get(&RouteKey::new(Method::Get, format!("/{n}")), Vec::new);
        }
        OFFERS.with_borrow(|kept| assert!(kept.len() <= MAX_ROUTES));
    }
}
