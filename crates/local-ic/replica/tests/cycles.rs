//! What things cost (facts B of crates/torture/README.md).

mod common;

use common::*;
use ic_management_canister_types::{CanisterInstallMode, CanisterSettings};
use local_ic_replica::*;

fn cost(net: &mut Network, canister: Principal, run: impl FnOnce(&mut Network)) -> Cycles {
    let before = net.balance(canister);
    run(net);
    before - net.balance(canister)
}

fn instructions(net: &mut Network, canister: Principal) -> u128 {
    let costs = net.replica.last_instructions();
    costs
        .iter()
        .filter(|cost| cost.canister == canister)
        .map(|cost| u128::from(cost.instructions))
        .sum()
}

#[test]
fn messages_should_cost_reception_execution_and_instructions() {
    let mut net = Network::new();
    let id = net.kit(0);
    // 506 instructions on the real thing: 500 for msg_reply, 5 for the call, 1 for the function.
    let noop = cost(&mut net, id, |net| {
        drop(net.update(id, "noop", &[]).expect("replies"))
    });
    assert_eq!(noop, 6_450_506);
    let missing = cost(&mut net, id, |net| {
        drop(net.update(id, "nope", &[]).expect_err("missing"))
    });
    assert_eq!(missing, 6_450_000);
    let query = cost(&mut net, id, |net| {
        drop(net.query(id, "get", &[]).expect("replies"))
    });
    assert_eq!(query, 0);
    let idle = cost(&mut net, id, |net| net.replica.round());
    assert_eq!(idle, 0);
}

#[test]
fn calls_should_cost_what_was_measured() {
    let mut net = Network::new();
    let a = net.kit(0);
    for subnet in [0, 1] {
        let b = net.kit(subnet);
        net.replica.last_instructions();
        let arg = call(b, "echo", b"12345").encode();
        let (a_before, b_before) = (net.balance(a), net.balance(b));
        net.update(a, "call", &arg).expect("replies");
        let costs = net.replica.last_instructions();
        let of = |id: Principal| costs.iter().filter(move |cost| cost.canister == id);
        let sum = |id| {
            of(id)
                .map(|cost| u128::from(cost.instructions))
                .sum::<u128>()
        };
        let bytes = 121 + "call".len() as u128 + arg.len() as u128 + 1;
        let reception = 1_200_000 + 2_000 * bytes;
        // method + argument, and the reply
        let transmission = 260_000 + 1_000 * (4 + 5) + 1_000 * 5;
        assert_eq!(
            a_before - net.balance(a),
            reception + 2 * 5_000_000 + transmission + sum(a)
        );
        assert_eq!(b_before - net.balance(b), 5_000_000 + sum(b));
    }
}

#[test]
fn storage_should_be_charged_by_time() {
    let mut net = Network::new();
    let id = net.create_on(0, T);
    net.install(id, "(module (memory 160))");
    let memory = u128::try_from(net.status(id).memory_size.0).expect("fits");
    net.advance(20 * SECOND);
    net.replica.round();
    let charge = |net: &mut Network, nanos| {
        cost(net, id, |net| {
            net.advance(nanos);
            net.replica.round();
        })
    };
    assert_eq!(charge(&mut net, SECOND), 0);
    assert_eq!(charge(&mut net, 10 * SECOND), (memory * 127_000 * 11) >> 30);
    assert_eq!(
        charge(&mut net, 86_400 * SECOND),
        (memory * 127_000 * 86_400) >> 30
    );
}

#[test]
fn a_canister_without_cycles_should_lose_its_code() {
    let mut net = Network::new();
    let id = net.create_on(0, T);
    net.install(id, "(module (memory 160))");
    net.settings(
        id,
        CanisterSettings {
            freezing_threshold: Some(0_u64.into()),
            ..Default::default()
        },
    )
    .expect("is set");
    net.advance(86_400 * SECOND * 365 * 100);
    net.replica.round();
    assert_eq!(net.balance(id), 0);
    assert_eq!(
        net.replica.canister_state(id).expect("exists").module_hash,
        None
    );
}

#[test]
fn installing_should_charge_for_compiling_once() {
    let mut net = Network::new();
    let id = net.create_on(0, 10 * T);
    let install = |net: &mut Network, mode| {
        cost(net, id, |net| {
            net.try_install(mode, id, KIT, &[]).expect("installs");
        })
    };
    let first = install(&mut net, CanisterInstallMode::Install);
    let again = install(&mut net, CanisterInstallMode::Reinstall);
    let upgrade = install(&mut net, CanisterInstallMode::Upgrade(None));
    assert_eq!(upgrade - again, 2_000, "one more byte of Candid");
    let operators = (first - again) / 5_940;
    assert_eq!((first - again) % 5_940, 0);
    assert!((300..1_000).contains(&operators), "{operators}");
}

#[test]
fn system_subnets_should_charge_nothing() {
    let mut net = Network::new();
    let id = net.create_on(3, 0);
    net.install(id, KIT);
    net.update(id, "noop", &[]).expect("replies");
    net.advance(1_000 * SECOND);
    net.replica.round();
    assert_eq!(net.balance(id), 0);
    assert!(instructions(&mut net, id) >= 506);
}

#[test]
fn cycles_should_be_added_and_topped_up() {
    let mut net = Network::new();
    let id = net.create_on(0, T);
    assert_eq!(net.replica.add_cycles(id, 5), Some(T + 5));
    let args = ic_management_canister_types::ProvisionalTopUpCanisterArgs {
        canister_id: id,
        amount: 7_u64.into(),
    };
    let paid = cost(&mut net, id, |net| {
        net.management("provisional_top_up_canister", args)
            .expect("tops up");
    });
    assert!(paid < 2_000_000);
    assert_eq!(net.replica.add_cycles(canister_id(1), 5), None);
}
