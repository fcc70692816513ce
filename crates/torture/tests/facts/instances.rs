//! What the PocketIC protocol itself promises about instances.

use crate::support::*;
use candid::Principal;
use pocket_ic::common::rest::BlobCompression;
use pocket_ic::{IngressStatusResult, Time};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::Duration;
use torture::program::{Op, encode, say};

#[test]
fn instances_are_independent() {
    let (one, two) = (one_subnet(), one_subnet());
    let canisters = [&one, &two].map(Canister::torture);
    canisters[0].run(&[say("one"), Op::Save("mark".into()), Op::Reply]);
    assert_eq!(canisters[1].load_text("mark"), "");
    let before = now(&two);
    one.advance_time(Duration::from_secs(1_000));
    one.tick();
    assert_eq!(now(&two), before);
}

#[test]
fn equal_instances_do_equal_things() {
    let history = || {
        let pic = one_subnet();
        let canister = Canister::torture(&pic);
        let seen = canister.run(&[
            say("x"),
            Op::Save("mark".into()),
            Op::Time,
            Op::Balance,
            Op::Counter(0),
            Op::Reply,
        ]);
        (canister.id, seen, canister.cycles(), now(&pic))
    };
    assert_eq!(history(), history());
}

#[test]
fn the_initial_time_may_be_given() {
    let at = 1_700_000_000_000_000_000;
    let pic = builder()
        .with_application_subnet()
        .with_initial_time(Time::from_nanos_since_unix_epoch(at))
        .build();
    assert!((at..at + 10).contains(&now(&pic)), "{}", now(&pic));
}

#[test]
fn time_does_not_go_back() {
    let pic = one_subnet();
    let earlier = Time::from_nanos_since_unix_epoch(now(&pic) - 1_000_000_000);
    assert!(catch_unwind(AssertUnwindSafe(|| pic.set_time(earlier))).is_err());
}

#[test]
fn stable_memory_is_read_and_written_from_outside() {
    let pic = one_subnet();
    let canister = Canister::torture(&pic);
    let bytes = vec![7; 100_000];
    for compression in [BlobCompression::NoCompression, BlobCompression::Gzip] {
        let data = match compression {
            BlobCompression::NoCompression => bytes.clone(),
            BlobCompression::Gzip => {
                use std::io::Write;
                let level = flate2::Compression::fast();
                let mut encoder = flate2::write::GzEncoder::new(vec![], level);
                encoder.write_all(&bytes).expect("compresses");
                encoder.finish().expect("compresses")
            }
        };
        pic.set_stable_memory(canister.id, data, compression);
        let kept = pic.get_stable_memory(canister.id);
        assert_eq!(kept[..100_000], bytes);
        assert_eq!(kept.len() % 65_536, 0);
        let read = canister.look(&[Op::StableRead(99_990, 10), Op::Reply]);
        assert_eq!(read, [7; 10]);
    }
}

#[test]
fn canisters_take_mainnet_ids_on_request() {
    let pic = one_subnet();
    // The ckBTC ledger, on a subnet that this instance does not have yet.
    let id = Principal::from_text("mxzaz-hqaaa-aaaar-qaada-cai").expect("an id");
    let created = pic.create_canister_with_id(None, None, id);
    assert_eq!(created.expect("created"), id);
    let canister = Canister { pic: &pic, id }.with_wasm(torture_wasm());
    assert_eq!(canister.run(&[Op::SelfId, Op::Reply]), id.as_slice());
    pic.create_canister_with_id(None, None, id)
        .expect_err("the id is taken");
}

#[test]
fn what_exists_and_where() {
    let pic = two_subnets();
    let canister = Canister::torture_on(&pic, 1);
    assert!(pic.canister_exists(canister.id));
    assert_eq!(
        pic.get_subnet(canister.id),
        Some(pic.topology().get_app_subnets()[1])
    );
    assert_eq!(pic.get_controllers(canister.id), [Principal::anonymous()]);
}

#[test]
fn the_status_of_a_message_is_for_its_sender() {
    let pic = one_subnet();
    let canister = Canister::torture(&pic);
    let sender = Principal::self_authenticating([1; 32]);
    let id = pic
        .submit_call(
            canister.id,
            sender,
            "run",
            encode(&[say("mine"), Op::Reply]),
        )
        .expect("accepted");
    pic.tick();
    let IngressStatusResult::Success(answer) = pic.ingress_status_as(id.clone(), sender) else {
        panic!("the sender may know");
    };
    assert_eq!(answer.expect("a reply"), b"mine");
    let other = Principal::self_authenticating([2; 32]);
    assert!(matches!(
        pic.ingress_status_as(id, other),
        IngressStatusResult::Forbidden(_)
    ));
}

#[test]
fn a_message_may_be_awaited_after_others() {
    let pic = one_subnet();
    let canister = Canister::torture(&pic);
    let ids = ["1", "2", "3"].map(|text| canister.submit(&[say(text), Op::Reply]));
    for (id, text) in ids.into_iter().rev().zip(["3", "2", "1"]) {
        assert_eq!(pic.await_call(id).expect("a reply"), text.as_bytes());
    }
}
