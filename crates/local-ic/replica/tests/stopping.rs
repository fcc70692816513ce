//! Stopping canisters (facts E of crates/torture/README.md).

mod common;

use common::*;

#[test]
fn stopping_should_wait_for_open_calls() {
    let mut net = Network::new();
    let (a, b) = (net.kit(0), net.kit(1));
    let open = net.submit(a, "call", &call(b, "noop", &[]).encode());
    let arg = candid::encode_one(ic_management_canister_types::CanisterIdRecord { canister_id: a })
        .expect("encodes");
    net.replica.round();
    let stop = net.submit(MANAGEMENT, "stop_canister", &arg);
    net.replica.round();
    assert!(net.answer(&open).expect("the callback ran").is_ok());
    assert!(
        net.answer(&stop)
            .expect("stopped in the same round")
            .is_ok()
    );
    let refused = net.update(a, "noop", &[]).expect_err("stopped");
    assert_eq!(
        (refused.reject_code, refused.error_code, refused.certified),
        (5, 508, false)
    );
    assert_eq!(refused.message, format!("Canister {a} is stopped"));
    assert_eq!(
        net.query(a, "get", &[]).expect_err("stopped").error_code,
        508
    );
    net.on("start_canister", a).expect("starts");
    net.update(a, "noop", &[]).expect("runs again");
}

#[test]
fn a_stop_request_should_end_by_start_or_when_nothing_is_open() {
    let mut net = Network::new();
    let a = net.kit(0);
    let http = candid::encode_one(ic_management_canister_types::HttpRequestArgs {
        url: "https://example.org/".to_string(),
        max_response_bytes: Some(0),
        ..Default::default()
    })
    .expect("encodes");
    let arg = candid::encode_one(ic_management_canister_types::CanisterIdRecord { canister_id: a })
        .expect("encodes");
    let open = Call {
        cycles: 1_000_000_000,
        ..call(MANAGEMENT, "http_request", &http)
    }
    .encode();
    net.submit(a, "call", &open);
    net.replica.round();
    let stop = net.submit(MANAGEMENT, "stop_canister", &arg);
    net.replica.round();
    assert_eq!(net.answer(&stop), None);
    assert_eq!(
        net.update(a, "noop", &[]).expect_err("stopping").error_code,
        509
    );
    net.on("start_canister", a).expect("starts");
    let error = net.answer(&stop).expect("answered").expect_err("cancelled");
    assert_eq!((error.reject_code, error.error_code), (5, 511));
    let stop = net.submit(MANAGEMENT, "stop_canister", &arg);
    net.replica.round();
    // The outcall times out, its callback runs, and then nothing is open.
    net.advance(61 * SECOND);
    net.replica.round();
    net.replica.round();
    assert!(net.answer(&stop).expect("answered").is_ok());
}

#[test]
fn a_stop_request_should_time_out() {
    let mut net = Network::new();
    let a = net.kit(0);
    let settings = ic_management_canister_types::CanisterSettings {
        controllers: Some(vec![USER, a]),
        ..Default::default()
    };
    net.settings(a, settings).expect("is set");
    // A canister that stops itself waits for its own call.
    let arg = candid::encode_one(ic_management_canister_types::CanisterIdRecord { canister_id: a })
        .expect("encodes");
    let id = net.submit(a, "call", &call(MANAGEMENT, "stop_canister", &arg).encode());
    net.replica.round();
    net.replica.round();
    net.advance(299 * SECOND);
    net.replica.round();
    assert_eq!(net.answer(&id), None);
    net.advance(2 * SECOND);
    let seen = seen(&net.wait(&id).0.expect("the callback runs"));
    assert_eq!(seen.code, 2);
    assert!(seen.text().starts_with("IC0206: "), "{}", seen.text());
    assert_eq!(
        net.update(a, "noop", &[]).expect_err("stopped").error_code,
        508
    );
}
