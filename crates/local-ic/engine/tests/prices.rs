//! What operations cost in cycles.

mod common;

use common::*;
use local_ic_engine::{Entry, Env};

#[test]
fn should_tell_prices() {
    let price = |call: &str, change: fn(&mut Env)| {
        let mut env = env();
        change(&mut env);
        let text = format!(
            "(data (i32.const 64) \"key_1key_9\") {}",
            update_text(
                "t",
                &format!(
                    "{call} {}",
                    "(call $msg_reply_data_append (i32.const 0) (i32.const 16)) (call $msg_reply)"
                )
            )
        );
        let bytes = reply(&canister(&text).execute(Entry::Update("t".into()), env));
        u128::from_le_bytes(bytes.try_into().unwrap())
    };
    let none: fn(&mut Env) = |_| {};
    let free: fn(&mut Env) = |env| env.charges_cycles = false;
    let double: fn(&mut Env) = |env| env.subnet_size = 26;
    let call = "(call $cost_call (i64.const 6) (i64.const 1) (i32.const 0))";
    assert_eq!(price(call, none), 42_102_419_000);
    assert_eq!(price(call, double), 84_204_838_000);
    assert_eq!(price(call, free), 0);
    assert_eq!(
        price("(call $cost_create_canister (i32.const 0))", none),
        500_000_000_000
    );
    let http = "(call $cost_http_request (i64.const 1000) (i64.const 2000) (i32.const 0))";
    assert_eq!(price(http, none), 75_140_000);
    let sign = |function: &str, src: u32, kind: u32| {
        format!(
            "(drop (call $cost_sign_with_{function} (i32.const {src}) (i32.const 5) (i32.const {kind}) (i32.const 0)))"
        )
    };
    assert_eq!(price(&sign("ecdsa", 64, 0), none), 26_153_846_153);
    assert_eq!(price(&sign("schnorr", 64, 1), none), 26_153_846_153);
    let code = |function: &str, src: u32, kind: u32| {
        let value = format!(
            "(i64.extend_i32_u (call $cost_sign_with_{function} (i32.const {src}) (i32.const 5) (i32.const {kind}) (i32.const 128)))"
        );
        let text = format!(
            "(data (i32.const 64) \"key_1key_9\") {}",
            update_text("t", &reply_number(&value))
        );
        number(&update(&mut canister(&text), "t"))
    };
    assert_eq!(code("ecdsa", 64, 0), 0);
    assert_eq!(code("ecdsa", 64, 1), 1);
    assert_eq!(code("schnorr", 64, 2), 1);
    assert_eq!(code("schnorr", 69, 0), 2);
}

#[test]
fn should_trap_clearly_in_what_is_not_supported() {
    for (call, name) in [
        (
            "(call $cost_http_request_v2 (i32.const 0) (i32.const 0) (i32.const 0))",
            "cost_http_request_v2",
        ),
        (
            "(drop (call $cost_vetkd_derive_key (i32.const 0) (i32.const 0) (i32.const 0) (i32.const 0)))",
            "cost_vetkd_derive_key",
        ),
        (
            "(call $mint_cycles128 (i64.const 0) (i64.const 1) (i32.const 0))",
            "mint_cycles128",
        ),
    ] {
        let text = violation(&update(&mut with_update(call), "t"));
        assert!(text.contains(name), "{text}");
    }
}
