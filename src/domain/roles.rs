//! Roles and permissions.
//!
//! Controllers administer. Operators manage routes and content; they never move or redirect money:
//! 1. An operator cannot name an account: a route of theirs pays the canister's `pay_to`, and a route that has an
//!    account of its own keeps it whatever an operator changes.
//! 2. An operator cannot remove a route that has an account of its own: creating it again would send its money
//!    elsewhere.
//! 3. An operator can neither put nor remove a route that shares paths with one that has an account of its own: the
//!    more exact template wins, and payments for those paths would go elsewhere.

use crate::{
    domain::{route::Route, template},
    types::{Account, Method, RouteKey},
};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    Controller,
    /// In the list of operators.
    Operator,
    /// Any other caller, including payers.
    Other,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the caller may not do that")]
pub struct Unauthorized;

impl Role {
    /// Ledgers, operators, `pay_to`: controllers only.
    pub fn may_administer(self) -> Result<(), Unauthorized> {
        match self {
            Role::Controller => Ok(()),
            Role::Operator | Role::Other => Err(Unauthorized),
        }
    }

    /// Routes, content, the list of payments: controllers and operators.
    pub fn may_operate(self) -> Result<(), Unauthorized> {
        match self {
            Role::Controller | Role::Operator => Ok(()),
            Role::Other => Err(Unauthorized),
        }
    }

    /// The route's own account, if the caller may put the route.
    ///
    /// `wanted` is the account that the caller named, `default` the canister's, `existing` the route as it is, `others`
    /// the other routes.
    pub fn may_put_route<'a>(
        self,
        key: &RouteKey,
        wanted: Option<Account>,
        default: Account,
        existing: Option<&Route>,
        others: impl IntoIterator<Item = &'a Route>,
    ) -> Result<Option<Account>, Unauthorized> {
        self.may_operate()?;
        if self == Role::Controller {
            return Ok(wanted);
        }
        let own = existing.and_then(|route| route.own_pay_to);
        if wanted.is_some_and(|account| account != own.unwrap_or(default)) {
            return Err(Unauthorized);
        }
        if existing.is_none() && shadows_an_account(key.method, &key.path, others) {
            return Err(Unauthorized);
        }
        Ok(own)
    }

    /// Whether the caller may remove this route; `others` are the other routes.
    pub fn may_remove_route<'a>(
        self,
        route: &Route,
        others: impl IntoIterator<Item = &'a Route>,
    ) -> Result<(), Unauthorized> {
        self.may_operate()?;
        let redirects = route.own_pay_to.is_some()
            || shadows_an_account(route.key.method, &route.key.path, others);
        if self == Role::Operator && redirects {
            return Err(Unauthorized);
        }
        Ok(())
    }
}

fn shadows_an_account<'a>(
    method: Method,
    path: &str,
    others: impl IntoIterator<Item = &'a Route>,
) -> bool {
    others.into_iter().any(|other| {
        other.own_pay_to.is_some()
            && other.key.method == method
            && template::overlap(path, &other.key.path)
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::{config::Limits, route::tests::draft};
    use candid::Principal;

    fn account(n: u8) -> Account {
        Account::from(Principal::from_slice(&[n]))
    }

    fn route(path: &str, own: Option<Account>) -> Route {
        draft(path).apply(None, own, &Limits::default(), 1)
    }

    fn put(
        role: Role,
        path: &str,
        wanted: Option<Account>,
        existing: Option<&Route>,
        others: &[Route],
    ) -> Result<Option<Account>, Unauthorized> {
        role.may_put_route(
            &RouteKey::new(Method::Get, path),
            wanted,
            account(1),
            existing,
            others,
        )
    }

    #[test]
    fn strangers_may_nothing() {
        assert!(Role::Other.may_administer().is_err());
        assert!(Role::Other.may_operate().is_err());
        assert!(Role::Operator.may_administer().is_err());
        assert!(put(Role::Other, "/a", None, None, &[]).is_err());
        assert!(
            Role::Other
                .may_remove_route(&route("/a", None), &[])
                .is_err()
        );
    }

    #[test]
    fn a_controller_names_any_account() {
        assert_eq!(
            put(Role::Controller, "/a", Some(account(2)), None, &[]),
            Ok(Some(account(2)))
        );
        assert_eq!(
            put(Role::Controller, "/a", Some(account(1)), None, &[]),
            Ok(Some(account(1))),
            "stays when the default changes"
        );
        let own = route("/a", Some(account(2)));
        assert_eq!(put(Role::Controller, "/a", None, Some(&own), &[]), Ok(None));
        assert!(Role::Controller.may_remove_route(&own, &[]).is_ok());
    }

    #[test]
    fn an_operator_never_redirects_money() {
        // New routes pay the canister's account, and no other can be named.
        assert_eq!(put(Role::Operator, "/a", None, None, &[]), Ok(None));
        assert_eq!(
            put(Role::Operator, "/a", Some(account(1)), None, &[]),
            Ok(None)
        );
        assert!(put(Role::Operator, "/a", Some(account(2)), None, &[]).is_err());

        // An account that a controller set stays.
        let own = route("/a/{id}", Some(account(2)));
        assert_eq!(
            put(Role::Operator, "/a/{id}", None, Some(&own), &[]),
            Ok(Some(account(2)))
        );
        assert!(put(Role::Operator, "/a/{id}", Some(account(1)), Some(&own), &[]).is_err());
        assert!(Role::Operator.may_remove_route(&own, &[]).is_err());
        assert!(
            Role::Operator
                .may_remove_route(&route("/b", None), &[])
                .is_ok()
        );

        // A more exact or a wider route cannot shadow it.
        let own = [own];
        assert!(put(Role::Operator, "/a/42", None, None, &own).is_err());
        assert!(put(Role::Operator, "/a/{x}", None, None, &own).is_err());
        assert!(put(Role::Operator, "/a/b/c", None, None, &own).is_ok());
        assert!(put(Role::Controller, "/a/42", None, None, &own).is_ok());

        // Nor can a more exact one be removed.
        let exact = route("/a/42", None);
        assert!(Role::Operator.may_remove_route(&exact, &own).is_err());
        assert!(Role::Controller.may_remove_route(&exact, &own).is_ok());
    }
}
