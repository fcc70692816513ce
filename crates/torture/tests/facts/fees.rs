//! Section B: what messages cost their canister.

use crate::support::*;
use candid::{Encode, Principal};
use handmade::update;
use ic_management_canister_types::{CanisterIdRecord, ProvisionalCreateCanisterWithCyclesArgs};
use pocket_ic::common::rest::RawEffectivePrincipal;
use pocket_ic::{CreateCanisterParams, PocketIc};

/// Fee for receiving an ingress message with these lengths from the anonymous principal.
fn reception(method: usize, arg: usize) -> u128 {
    let header = match arg {
        0..=23 => 0,
        24..=255 => 1,
        256..=65_535 => 2,
        _ => 4,
    };
    1_200_000 + 2_000 * (121 + method + arg + header) as u128
}

#[test]
fn creating_with_no_cycles_gives_none() {
    let pic = one_subnet();
    let params = CreateCanisterParams {
        cycles: Some(0),
        ..Default::default()
    };
    let id = pic
        .create_canister_with_params(None, params)
        .expect("created");
    assert_eq!(pic.cycle_balance(id), 0);
}

#[test]
fn creating_with_cycles_gives_these() {
    let pic = one_subnet();
    let args = ProvisionalCreateCanisterWithCyclesArgs {
        amount: Some(123_456_789_u64.into()),
        ..Default::default()
    };
    let reply = pic
        .update_call_with_effective_principal(
            Principal::management_canister(),
            RawEffectivePrincipal::None,
            Principal::anonymous(),
            "provisional_create_canister_with_cycles",
            Encode!(&args).expect("encodes"),
        )
        .expect("created");
    let id = candid::decode_one::<CanisterIdRecord>(&reply).expect("an id");
    assert_eq!(pic.cycle_balance(id.canister_id), 123_456_789);
}

fn noop(pic: &PocketIc) -> Canister<'_> {
    Canister::wat(pic, &update("noop", "call $msg_reply"))
}

#[test]
fn noop_update_costs_6_450_506() {
    let pic = one_subnet();
    let cost = noop(&pic).cost(|c| c.update("noop", vec![]).expect("a reply"));
    assert_eq!(cost, 6_450_506);
    assert_eq!(cost, reception(4, 0) + EXECUTION_FEE + 506);
}

#[test]
fn reception_is_charged_by_the_byte() {
    let pic = one_subnet();
    let canister = noop(&pic);
    for length in [
        0, 1, 23, 24, 100, 255, 256, 1_000, 65_535, 65_536, 1_000_000,
    ] {
        let cost = canister.cost(|c| c.update("noop", vec![7; length]).expect("a reply"));
        assert_eq!(
            cost,
            reception(4, length) + EXECUTION_FEE + 506,
            "argument of {length} bytes"
        );
    }
}

#[test]
fn reception_charges_the_length_of_the_sender() {
    let pic = one_subnet();
    let canister = noop(&pic);
    let cost = |length: usize| {
        let sender = Principal::from_slice(&vec![9; length]);
        canister.cost(|c| {
            pic.update_call(c.id, sender, "noop", vec![])
                .expect("a reply");
        })
    };
    assert_eq!(cost(29) - cost(10), 2_000 * 20);
}

#[test]
fn canister_status_by_ingress_costs_1_508_000() {
    let pic = one_subnet();
    let canister = noop(&pic);
    let cost = canister.cost(|c| status_of(&pic, c.id, None).expect("a status"));
    assert_eq!(cost, 1_508_000);
}

#[test]
fn method_not_found_costs_6_450_000() {
    let pic = one_subnet();
    let cost = noop(&pic).cost(|c| c.update("nope", vec![]).expect_err("no such method"));
    assert_eq!(cost, 6_450_000);
}

#[test]
fn empty_method_costs_one_instruction() {
    let pic = one_subnet();
    let canister = Canister::wat(&pic, &update("none", ""));
    let cost = canister.cost(|c| c.update("none", vec![]).expect_err("no reply"));
    assert_eq!(cost, reception(4, 0) + EXECUTION_FEE + 1);
}

#[test]
fn instructions_cost_one_cycle_each() {
    let pic = one_subnet();
    // get, const, sub, set, get, br_if: 7 a turn.
    let turns = |count: u32| {
        format!(
            "(local i32) i32.const {count} local.set 0
             loop local.get 0 i32.const 1 i32.sub local.set 0 local.get 0 br_if 0 end
             call $msg_reply"
        )
    };
    let body = update("loop1", &turns(1_000_000)) + &update("loop2", &turns(21_000_000));
    let canister = Canister::wat(&pic, &body);
    let cost = |method: &str| canister.cost(|c| c.update(method, vec![]).expect("a reply"));
    assert_eq!(cost("loop2") - cost("loop1"), 7 * 20_000_000);
}

#[test]
fn hitting_the_instruction_limit_costs_all_of_it() {
    let pic = one_subnet();
    let body = "(memory 1)".to_string()
        + &update(
            "forever",
            "loop i32.const 0 i32.const 1 i32.const 65536 memory.fill br 0 end",
        );
    let canister = Canister::wat(&pic, &body);
    let cost = canister.cost(|c| c.update("forever", vec![]).expect_err("the limit"));
    assert_eq!(cost, reception(7, 0) + EXECUTION_FEE + 40_000_000_000);
    assert_eq!(cost, 40_006_456_000);
}

#[test]
fn queries_and_idle_rounds_are_free() {
    let pic = one_subnet();
    let canister = Canister::wat(&pic, "(func (export \"canister_query q\") call $msg_reply)");
    assert_eq!(canister.cost(|c| c.query("q", vec![]).expect("a reply")), 0);
    assert_eq!(canister.cost(|_| pic.tick()), 0);
}

#[test]
fn a_query_called_as_update_is_charged() {
    let pic = one_subnet();
    let canister = Canister::wat(
        &pic,
        "(func (export \"canister_query look\") call $msg_reply)",
    );
    let cost = canister.cost(|c| c.update("look", vec![]).expect("a reply"));
    assert_eq!(cost, reception(4, 0) + EXECUTION_FEE + 506);
}

#[test]
fn heartbeat_runs_once_a_round_for_the_execution_fee() {
    let pic = one_subnet();
    let canister = Canister::wat(&pic, "(func (export \"canister_heartbeat\"))");
    pic.tick();
    let cost = canister.cost(|_| (0..10).for_each(|_| pic.tick()));
    // About 5_000_099 a round was measured: the fee, one instruction, and little else.
    let each = cost / 10;
    assert!(
        (EXECUTION_FEE + 1..=EXECUTION_FEE + 200).contains(&each),
        "{each}"
    );
}

#[test]
fn trapping_updates_are_charged() {
    let pic = one_subnet();
    let canister = Canister::wat(&pic, &update("trap", "nop nop unreachable"));
    let cost = canister.cost(|c| c.update("trap", vec![]).expect_err("a trap"));
    assert!(cost > reception(4, 0) + EXECUTION_FEE, "{cost}");
    assert!(cost < reception(4, 0) + EXECUTION_FEE + 10, "{cost}");
}

#[test]
fn ingress_replies_are_free_beyond_appending() {
    let pic = one_subnet();
    let append = |bytes: u32| {
        format!("i32.const 0 i32.const {bytes} call $msg_reply_data_append call $msg_reply")
    };
    let body =
        "(memory 1)".to_string() + &update("small", &append(1)) + &update("large", &append(10_001));
    let canister = Canister::wat(&pic, &body);
    let cost = |method: &str| canister.cost(|c| c.update(method, vec![]).expect("a reply"));
    assert_eq!(cost("large") - cost("small"), 50 * 10_000);
}

#[test]
fn ic_cdk_noop_costs_little_more() {
    let pic = one_subnet();
    let canister = Canister::torture(&pic);
    let cost = canister.cost(|c| c.update("cdk_noop", b"DIDL\0\0".to_vec()).expect("a reply"));
    // 22_940 instructions were measured for another build of the same library.
    let instructions = cost - reception(8, 6) - EXECUTION_FEE;
    assert!((5_000..60_000).contains(&instructions), "{instructions}");
}
