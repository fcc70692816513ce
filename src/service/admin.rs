//! Settings that controllers change.

use crate::{
    domain::{
        config::Changes,
        roles::Unauthorized,
        validate::{self, InvalidArgument},
    },
    runtime::Runtime,
    service::role,
    storage,
    types::{Account, canonical},
};
use candid::Principal;

#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AdminError {
    #[error(transparent)]
    Unauthorized(#[from] Unauthorized),
    #[error(transparent)]
    InvalidArgument(#[from] InvalidArgument),
}

/// Sets the account that receives the payments of all routes without an account of their own.
pub fn set_pay_to<R: Runtime>(runtime: &R, pay_to: Account) -> Result<(), AdminError> {
    let caller = runtime.caller();
    role(runtime, &caller).may_administer()?;
    let changes = Changes {
        pay_to: Some(pay_to),
        ..Changes::default()
    };
    let config = storage::config::read();
    let before = canonical(config.pay_to);
    storage::config::write(&config.changed(changes)?)?;
    // Transfers to it may be presented yet.
    storage::accounts::remember(&before);
    storage::audit::admin(caller, "pay_to_set", &pay_to.to_string(), runtime.now());
    Ok(())
}

/// Sets the origin under which clients reach the canister; `None` removes it. The URLs in all 402s change with it.
pub fn set_origin<R: Runtime>(runtime: &R, origin: Option<String>) -> Result<(), AdminError> {
    let caller = runtime.caller();
    role(runtime, &caller).may_administer()?;
    let config = storage::config::read().with_origin(origin)?;
    storage::config::write(&config)?;
    let subject = config.origin.as_deref().unwrap_or("none");
    storage::audit::admin(caller, "origin_set", subject, runtime.now());
    Ok(())
}

/// Replaces the origins that wallets may trust with calls of the canister (ICRC-28), beside its own.
pub fn set_trusted_origins<R: Runtime>(
    runtime: &R,
    origins: Vec<String>,
) -> Result<(), AdminError> {
    let caller = runtime.caller();
    role(runtime, &caller).may_administer()?;
    let config = storage::config::read().with_trusted_origins(origins)?;
    storage::config::write(&config)?;
    let subject = format!("{} origins", config.trusted_origins.len());
    storage::audit::admin(caller, "trusted_origins_set", &subject, runtime.now());
    Ok(())
}

/// Replaces the principals that may ask who paid for what ([`access`](super::access::access)), beside controllers and
/// operators.
pub fn set_readers<R: Runtime>(runtime: &R, readers: Vec<Principal>) -> Result<(), AdminError> {
    let caller = runtime.caller();
    role(runtime, &caller).may_administer()?;
    let config = storage::config::read().with_readers(readers)?;
    storage::config::write(&config)?;
    let subject = format!("{} readers", config.readers.len());
    storage::audit::admin(caller, "access_readers_set", &subject, runtime.now());
    Ok(())
}

/// Allows `operator` to manage routes and content.
pub fn add_operator<R: Runtime>(runtime: &R, operator: Principal) -> Result<(), AdminError> {
    let caller = runtime.caller();
    role(runtime, &caller).may_administer()?;
    let operator = validate::principal("operator", operator)?;
    storage::config::write(&storage::config::read().with_operator(operator)?)?;
    storage::audit::admin(caller, "operator_add", &operator.to_text(), runtime.now());
    Ok(())
}

/// Removes an operator. No effect if the principal is not one.
pub fn remove_operator<R: Runtime>(runtime: &R, operator: Principal) -> Result<(), AdminError> {
    let caller = runtime.caller();
    role(runtime, &caller).may_administer()?;
    let mut config = storage::config::read();
    config.operators.retain(|known| *known != operator);
    storage::config::write(&config)?;
    storage::audit::admin(
        caller,
        "operator_remove",
        &operator.to_text(),
        runtime.now(),
    );
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        runtime::scripted::ScriptedRuntime, storage::config::tests::config, types::TimestampNs,
    };

    #[test]
    fn controllers_only() {
        let runtime = ScriptedRuntime::new(TimestampNs(1));
        storage::config::write(&config()).unwrap();
        let operator = config().operators[0];
        let account = Account::from(Principal::from_slice(&[5]));
        for caller in [operator, Principal::anonymous()] {
            runtime.caller.set(caller);
            let unauthorized = Err(AdminError::Unauthorized(Unauthorized));
            assert_eq!(set_pay_to(&runtime, account), unauthorized);
            assert_eq!(set_origin(&runtime, None), unauthorized);
            assert_eq!(set_trusted_origins(&runtime, vec![]), unauthorized);
            assert_eq!(set_readers(&runtime, vec![]), unauthorized);
            assert_eq!(add_operator(&runtime, caller), unauthorized);
            assert_eq!(remove_operator(&runtime, operator), unauthorized);
        }
        assert_eq!(storage::config::read(), config());

        runtime.caller.set(runtime.controller);
        set_pay_to(&runtime, account).unwrap();
        add_operator(&runtime, account.owner).unwrap();
        remove_operator(&runtime, operator).unwrap();
        assert!(add_operator(&runtime, Principal::anonymous()).is_err());
        let now = storage::config::read();
        assert_eq!((now.pay_to, now.operators), (account, vec![account.owner]));
        assert_eq!(storage::audit::admin_after(0, 10).len(), 3);
    }

    #[test]
    fn an_origin_is_checked_kept_and_audited() {
        let runtime = ScriptedRuntime::new(TimestampNs(1));
        storage::config::write(&config()).unwrap();
        runtime.caller.set(runtime.controller);
        let origin = "https://shop.example".to_string();
        set_origin(&runtime, Some(origin.clone())).unwrap();
        let refused = set_origin(&runtime, Some("https://shop.example/".into()));
        assert!(matches!(refused, Err(AdminError::InvalidArgument(_))));
        assert_eq!(storage::config::read().origin, Some(origin));
        set_origin(&runtime, None).unwrap();
        assert_eq!(storage::config::read().origin, None);
        let subjects: Vec<String> = storage::audit::admin_after(0, 10)
            .into_iter()
            .map(|entry| entry.subject)
            .collect();
        assert_eq!(subjects, ["https://shop.example", "none"]);
    }
    #[test]
    fn trusted_origins_are_checked_and_the_own_origin_is_among_them() {
        let runtime = ScriptedRuntime::new(TimestampNs(1));
        storage::config::write(&config()).unwrap();
        runtime.caller.set(runtime.controller);
        let origin = |n: usize| format!("https://dapp{n}.example");
        let trusted = || storage::config::read().all_trusted_origins();
        set_trusted_origins(&runtime, vec![origin(1), origin(2)]).unwrap();
        assert_eq!(trusted(), [origin(1), origin(2)]);
        set_origin(&runtime, Some(origin(2))).unwrap();
        assert_eq!(trusted(), [origin(2), origin(1)]);
        for wrong in [
            vec!["https://dapp.example/".to_string()],
            (0..21).map(origin).collect(),
        ] {
            let refused = set_trusted_origins(&runtime, wrong);
            let Err(AdminError::InvalidArgument(error)) = refused else {
                panic!("{refused:?}");
            };
            assert_eq!(error.field, "origins");
        }
        assert_eq!(trusted().len(), 2, "nothing changed");
        set_trusted_origins(&runtime, (0..20).map(origin).collect()).unwrap();
        assert_eq!(trusted().len(), 20);
        let last = storage::audit::admin_after(0, 10).pop().unwrap();
        assert_eq!(
            (last.action.as_str(), last.subject.as_str()),
            ("trusted_origins_set", "20 origins")
        );
    }
}
