//! Malformed arguments of installation and upgrade: refused, and nothing changes.

use crate::malformed_candid::state;
use crate::support::{
    Setup,
    interface::*,
    setup::{controller, operator},
};
use candid::Principal;

#[test]
fn installation_arguments_that_are_none_are_refused() {
    use crate::support::environment::tollkeeper_wasm;
    let setup = Setup::new();
    let install = |args: InitArgs| {
        let id = setup
            .pic
            .create_canister_with_settings(Some(controller()), None);
        setup.pic.add_cycles(id, crate::support::setup::CYCLES);
        let arg = candid::encode_one(Some(TollkeeperArgs::Init(args))).unwrap();
        std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
            setup
                .pic
                .install_canister(id, tollkeeper_wasm(), arg, Some(controller()));
        }))
        .is_ok()
    };
    assert!(install(InitArgs::default()));
    for network in [
        "",
        "icp",
        "icp:",
        ":1",
        "icp:a b",
        &format!("icp:{}", "x".repeat(33)),
    ] {
        let args = InitArgs {
            network: Some(network.into()),
            ..InitArgs::default()
        };
        assert!(!install(args), "{network:?}");
    }
    let limits = LimitsArg {
        max_timeout_seconds: Some(0),
        ..LimitsArg::default()
    };
    assert!(!install(InitArgs {
        limits: Some(limits),
        ..InitArgs::default()
    }));
    let operators = (0..100)
        .map(|n| Principal::self_authenticating([n]))
        .collect();
    assert!(!install(InitArgs {
        operators: Some(operators),
        ..InitArgs::default()
    }));
    let pay_to = Some(Principal::anonymous().into());
    assert!(!install(InitArgs {
        pay_to,
        ..InitArgs::default()
    }));
}

#[test]
fn upgrade_with_init_arguments_is_refused_and_changes_nothing() {
    let setup = Setup::new();
    setup.sell("/article", 1_000);
    let before = state(&setup);
    let done = setup.try_upgrade(Some(TollkeeperArgs::Init(InitArgs::default())));
    assert!(done.is_err());
    assert_eq!(state(&setup), before);
    let args = InitArgs {
        operators: Some(vec![]),
        ..InitArgs::default()
    };
    setup
        .try_upgrade(Some(TollkeeperArgs::Upgrade(args)))
        .unwrap();
    assert!(setup.config().operators.is_empty());
    let refused: Result<Vec<Payment>, PaymentsError> =
        setup.query(operator(), "payments", (PageArgs::default(),));
    assert_eq!(refused, Err(PaymentsError::Unauthorized));
}
