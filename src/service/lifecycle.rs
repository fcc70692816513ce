//! Installation and upgrade.

use crate::{
    domain::{
        config::{Changes, Config, Limits},
        payment::{Doubt, Event, WorkProblem},
        validate::{self, InvalidArgument},
    },
    runtime::Runtime,
    service::schedule,
    storage::{self, payments::Change},
    types::{Account, VERSION},
};

/// The settings at installation: the defaults with the requested changes.
///
/// By default the network follows from the root key, and payments go to the installer's default account.
pub fn install<R: Runtime>(runtime: &R, changes: Changes) -> Result<(), InvalidArgument> {
    storage::liabilities::set_canister(runtime.canister_id());
    let installer = runtime.caller();
    if changes.pay_to.is_none() {
        // Anybody could take what is paid to the anonymous principal.
        validate::principal("pay_to", installer)?;
    }
    let config = Config {
        network: x402_icp::network::network_id(&runtime.root_key()),
        pay_to: Account::from(installer),
        operators: vec![],
        limits: Limits::default(),
        origin: None,
        trusted_origins: vec![],
        readers: vec![],
    };
    let config = config.changed(changes)?;
    storage::config::write(&config)?;
    storage::counters::begin_price_revisions(runtime.now());
    storage::audit::admin(installer, "install", VERSION, runtime.now());
    Ok(())
}

/// Applies changes of settings, and marks the payments that the upgrade interrupted.
///
/// The reply to a call of the old code cannot be used here. Every payment that was being settled becomes unknown, so no
/// lock and no payment is lost in an upgrade.
///
/// The system does deliver such a reply, to a callback whose memory no longer exists. Stable memory does not depend on
/// it: an unknown payment accepts no reply to a call that it did not make. The heap is not protected. Stop the canister
/// before an upgrade: it stops within a minute, because no call waits longer.
pub fn upgrade<R: Runtime>(runtime: &R, changes: Changes) -> Result<(), InvalidArgument> {
    load_tables();
    storage::liabilities::set_canister(runtime.canister_id());
    let config = storage::config::read().changed(changes)?;
    storage::config::write(&config)?;
    for key in storage::payments::settling() {
        let change = Change::Event(Event::InDoubt(Doubt::Upgraded));
        // Each of them was being settled, which is the state that this event needs.
        let _ = storage::payments::record(&key, change, runtime.now());
    }
    for key in storage::payments::working() {
        let change = Change::Event(Event::WorkFailed(WorkProblem::Upgraded));
        // Each of them was being worked on, which is the state that this event needs.
        let _ = storage::payments::record(&key, change, runtime.now());
    }
    storage::quarantine::report(runtime.now());
    storage::audit::admin(runtime.caller(), "upgrade", VERSION, runtime.now());
    schedule::arm(runtime);
    Ok(())
}

/// Reads every table that has no [`quarantine`](storage::quarantine) and is read whole anyway. If a row cannot be read,
/// the upgrade traps and is undone, and the version that can read the row stays.
fn load_tables() {
    storage::config::read();
    storage::counters::audited();
    storage::ledgers::with_all(|_| ());
    storage::accounts::load();
    storage::tokens::load();
    storage::withdrawals::load();
    storage::cancellations::load();
    storage::routes::count();
    storage::responses::kept_bytes();
    storage::notifications::load();
    storage::works::bytes();
    storage::answers::bytes();
    storage::invoices::load();
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
    fn the_anonymous_principal_is_no_merchant() {
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
