//! Routes and their offers.

use crate::{
    domain::{
        challenge,
        config::Config,
        offer,
        roles::Unauthorized,
        route::{Route, RouteDraft},
        template,
        validate::{InvalidArgument, page_limit},
    },
    runtime::Runtime,
    service::{payments::Page, role, schedule},
    storage,
    types::{RouteKey, canonical},
};
use candid::Principal;
use std::rc::Rc;
use x402_icp::wire::{ExactExtra, PaymentRequirements};

#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RouteError {
    #[error(transparent)]
    Unauthorized(#[from] Unauthorized),
    #[error(transparent)]
    InvalidArgument(#[from] InvalidArgument),
    #[error("there is no such route")]
    UnknownRoute,
    #[error("the ledger {0} is not registered")]
    UnknownLedger(Principal),
    #[error("there are {limit} routes, which is the limit")]
    TooManyRoutes { limit: u32 },
}

/// Adds a route, or replaces the one with this method and path.
pub fn put<R: Runtime>(runtime: &R, draft: RouteDraft) -> Result<Rc<Route>, RouteError> {
    let caller = runtime.caller();
    let role = role(runtime, &caller);
    role.may_operate()?;
    let config = storage::config::read();
    draft.check(&config.limits)?;
    for (n, price) in draft.prices.iter().enumerate() {
        let ledger =
            storage::ledgers::get(&price.ledger).ok_or(RouteError::UnknownLedger(price.ledger))?;
        let max = ledger.max_price();
        if price.amount > max {
            let field = format!("prices[{n}].amount");
            let problem = format!("is greater than {max} atomic units");
            return Err(InvalidArgument::limit(field, problem, max.0).into());
        }
    }
    if let Some(forward) = draft.forward {
        let is_ledger = |id: &Principal| storage::ledgers::get(id).is_some();
        forward.check(runtime.canister_id(), is_ledger)?;
    }
    let existing = storage::routes::get(&draft.key);
    let routes = storage::routes::all();
    if existing.is_none() {
        if routes.len() >= config.limits.max_routes as usize {
            return Err(RouteError::TooManyRoutes {
                limit: config.limits.max_routes,
            });
        }
        let clash = routes.iter().find(|other| {
            other.key.path != draft.key.path
                && template::same_shape(&other.key.path, &draft.key.path)
        });
        if let Some(other) = clash {
            return Err(InvalidArgument::new(
                "path",
                format!("matches the same paths as {}", other.key.path),
            )
            .into());
        }
    }
    let own_pay_to = role.may_put_route(
        &draft.key,
        draft.pay_to,
        config.pay_to,
        existing.as_deref(),
        routes
            .iter()
            .map(Rc::as_ref)
            .filter(|other| other.key != draft.key),
    )?;
    let planned = draft
        .clone()
        .apply(existing.as_deref(), own_pay_to, &config.limits, 0);
    let offers = made_offers(&planned, &config, runtime.canister_id());
    challenge::check_echo(&planned, &offers)?;
    let revision = storage::counters::next_price_revision();
    let route = draft.apply(existing.as_deref(), own_pay_to, &config.limits, revision);
    let key = route.key.clone();
    if let Some(existing) = &existing {
        remember_account(existing);
    }
    if route.offers_transfers {
        storage::counters::note_transfers_offered();
    }
    let released = existing.and_then(|route| route.content);
    let released = released.filter(|_| route.content.is_none());
    storage::routes::put(route);
    if let Some(content) = released {
        storage::responses::release(content.blob, runtime.now());
        schedule::arm(runtime);
    }
    storage::audit::admin(caller, "route_put", &key.to_string(), runtime.now());
    storage::routes::get(&key).ok_or(RouteError::UnknownRoute)
}

/// Removes a route. Its content is kept for its payers, also of open payments: a payment refers to its stored response,
/// not to the route.
pub fn remove<R: Runtime>(runtime: &R, key: &RouteKey) -> Result<(), RouteError> {
    let caller = runtime.caller();
    let role = role(runtime, &caller);
    role.may_operate()?;
    let route = storage::routes::get(key).ok_or(RouteError::UnknownRoute)?;
    remember_account(&route);
    let routes = storage::routes::all();
    let others = routes
        .iter()
        .map(Rc::as_ref)
        .filter(|other| other.key != *key);
    role.may_remove_route(&route, others)?;
    storage::routes::remove(key);
    if let Some(content) = route.content {
        storage::responses::release(content.blob, runtime.now());
        schedule::arm(runtime);
    }
    storage::uploads::drop_for(key);
    storage::audit::admin(caller, "route_remove", &key.to_string(), runtime.now());
    Ok(())
}

/// Transfers to the route's own account may be presented when the route has another one, or is gone.
fn remember_account(route: &Route) {
    if let Some(own) = route.own_pay_to.filter(|_| route.offers_transfers) {
        storage::accounts::remember(&canonical(own));
    }
}

/// A page of routes in order of path and method; `after` is the number of routes to skip.
pub fn page(page: Page) -> Result<Vec<Rc<Route>>, InvalidArgument> {
    let limit = page_limit(page.limit)?;
    let skip = usize::try_from(page.after.unwrap_or_default()).unwrap_or(usize::MAX);
    Ok(storage::routes::page(skip, limit))
}

/// The current offers of the route, the preferred one first.
///
/// Empty for a free route, and for one that is not on sale, has no content, or no enabled ledger.
pub fn offers(route: &Route, spender: Principal) -> Vec<PaymentRequirements> {
    detailed_offers(route, spender)
        .into_iter()
        .map(|offer| offer.requirements)
        .collect()
}

/// As [`offers`], with those that are paid by a transfer of the client's own after the others, if the route has them.
pub fn all_methods(route: &Route, canister: Principal) -> Vec<PaymentRequirements<ExactExtra>> {
    let offers = detailed_offers(route, canister);
    let transfers = match route.offers_transfers {
        true => offer::transfer_offers(&offers, route, canister),
        false => Vec::new(),
    };
    let pulled = offers.into_iter().map(|offer| offer.requirements);
    pulled
        .map(|offer| offer.map_extra(ExactExtra::Icrc2))
        .chain(
            transfers
                .into_iter()
                .map(|offer| offer.map_extra(ExactExtra::Icrc1)),
        )
        .collect()
}

/// Every offer of a stored route, on sale or not.
pub fn all_offers(route: &Route, config: &Config, spender: Principal) -> Rc<[offer::Offer]> {
    storage::offers::get(&route.key, || made_offers(route, config, spender))
}

/// Every offer of any route, stored or not, on sale or not.
fn made_offers(route: &Route, config: &Config, spender: Principal) -> Vec<offer::Offer> {
    storage::ledgers::with_all(|ledgers| {
        let find = |id: &Principal| ledgers.iter().find(|ledger| ledger.id == *id);
        offer::offers(route, find, config, spender)
    })
}

/// As [`offers`], with the data that they are made from.
pub fn detailed_offers(route: &Route, spender: Principal) -> Vec<offer::Offer> {
    let config = storage::config::read();
    let mut offers = made_offers(route, &config, spender);
    offers.retain(|offer| offer::on_sale(route, offer));
    offers
}

#[cfg(test)]
mod tests;
