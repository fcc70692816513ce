//! Installation and upgrade.

use crate::{
    domain::{
        config::{Changes, Config, Limits},
        payment::{Doubt, Event},
        route::Route,
        validate::{self, InvalidArgument},
    },
    runtime::Runtime,
    service::recover,
    storage::{self, payments::Change},
    types::Account,
};

/// First settings: the defaults, then the changes asked for.
///
/// The network is that of the root key and payments go to the installer's default account, unless said
/// otherwise.
pub fn install<R: Runtime>(runtime: &R, changes: Changes) -> Result<(), InvalidArgument> {
    storage::liabilities::set_canister(runtime.canister_id());
    let installer = runtime.caller();
    if changes.pay_to.is_none() {
        // What is paid to nobody, anybody can take.
        validate::principal("pay_to", installer)?;
    }
    let config = Config {
        network: x402_icp::network::network_id(&runtime.root_key()),
        pay_to: Account::from(installer),
        operators: vec![],
        limits: Limits::default(),
        origin: None,
    };
    let config = config.changed(changes)?;
    storage::config::write(&config)?;
    storage::counters::begin_price_revisions(runtime.now());
    storage::audit::admin(installer, "install", crate::VERSION, runtime.now());
    Ok(())
}

/// Changes of settings, and an end to what the upgrade interrupted.
///
/// The answer to a call of the old code cannot be used here, so every payment that was being settled is
/// unknown from now on: no lock survives an upgrade, and no payment is forgotten by one.
///
/// The system does deliver such an answer, to a callback whose memory is not there any more. The books do
/// not depend on it (a payment that is unknown takes no answer it did not ask for), but the heap is not
/// safe from it: stop the canister before an upgrade. It stops within a minute, because no call waits
/// longer.
pub fn upgrade<R: Runtime>(runtime: &R, changes: Changes) -> Result<(), InvalidArgument> {
    storage::liabilities::set_canister(runtime.canister_id());
    let config = storage::config::read().changed(changes)?;
    storage::config::write(&config)?;
    for key in storage::payments::settling() {
        if cfg!(feature = "broken-lock-survives-upgrade") {
            break;
        }
        let change = Change::Event(Event::InDoubt(Doubt::Upgraded));
        // Each of them was being settled a moment ago, which is the one state this event fits.
        let _ = storage::payments::record(&key, change, runtime.now());
    }
    if storage::counters::renew_price_revisions(runtime.now()) {
        renew_offers();
    }
    storage::liabilities::rebuild();
    storage::audit::admin(runtime.caller(), "upgrade", crate::VERSION, runtime.now());
    recover::arm(runtime);
    Ok(())
}

/// Gives each route a new price revision: the same terms under an offer id that clients can compute. Whoever has
/// signed for an old one and not paid yet signs again.
fn renew_offers() {
    for route in storage::routes::all() {
        storage::routes::put(Route {
            price_revision: storage::counters::next_price_revision(),
            ..(*route).clone()
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{runtime::scripted::ScriptedRuntime, types::TimestampNs};
    use candid::Principal;

    #[test]
    fn defaults_come_from_the_installer_and_the_network() {
        let runtime = ScriptedRuntime::new(TimestampNs(1));
        install(&runtime, Changes::default()).unwrap();
        let config = storage::config::read();
        assert_eq!(config.network, "icp:1");
        assert_eq!(config.pay_to, Account::from(runtime.controller));
        let operator = Principal::from_slice(&[44]);
        upgrade(
            &runtime,
            Changes {
                operators: Some(vec![operator]),
                ..Changes::default()
            },
        )
        .unwrap();
        assert_eq!(
            storage::config::read(),
            Config {
                operators: vec![operator],
                ..config
            }
        );
    }

    #[test]
    fn an_upgrade_renews_revisions_that_json_numbers_do_not_hold() {
        use crate::domain::{config::Limits, route::tests::draft};
        let runtime = ScriptedRuntime::new(TimestampNs(1_767_225_600_000_000_000));
        install(&runtime, Changes::default()).unwrap();
        let put = |path: &str, revision: u64| {
            let route = draft(path).apply(None, None, &Limits::default(), revision);
            let key = route.key.clone();
            storage::routes::put(route);
            key
        };
        let revision = |key| storage::routes::get(key).unwrap().price_revision;
        let kept = put("/new", storage::counters::next_price_revision());
        let before = revision(&kept);
        assert!(before > 1_767_225_600_000_000);
        upgrade(&runtime, Changes::default()).unwrap();
        assert_eq!(revision(&kept), before, "good ones stay");
        // As an older version counted.
        let old = put("/old", 1_767_225_600_000_000_001);
        storage::counters::begin_price_revisions(TimestampNs(u64::MAX));
        upgrade(&runtime, Changes::default()).unwrap();
        for key in [&kept, &old] {
            assert!((before..1 << 53).contains(&revision(key)), "{key}");
        }
        assert_ne!(revision(&kept), revision(&old));
    }

    #[test]
    fn nobody_is_no_merchant() {
        let runtime = ScriptedRuntime::new(TimestampNs(1));
        runtime.caller.set(Principal::anonymous());
        let error = install(&runtime, Changes::default()).unwrap_err();
        assert_eq!(error.field, "pay_to");
        let pay_to = Some(Account::from(runtime.controller));
        let changes = Changes {
            pay_to,
            ..Changes::default()
        };
        assert_eq!(install(&runtime, changes), Ok(()));
    }

    #[test]
    fn a_bad_argument_changes_nothing() {
        let runtime = ScriptedRuntime::new(TimestampNs(1));
        install(&runtime, Changes::default()).unwrap();
        let before = storage::config::read();
        let bad = Changes {
            max_routes: Some(u32::MAX),
            ..Changes::default()
        };
        assert!(upgrade(&runtime, bad).is_err());
        assert_eq!(storage::config::read(), before);
    }
}
