//! Attacks on the canister itself: its code, its memory, its cycles, its clock.

use crate::support::{
    Answer, Request, Setup, environment,
    flow::ARTICLE,
    interface::*,
    management::install_again,
    setup::{controller, merchant, operator, stranger},
};
use candid::{Nat, Principal, encode_one};
use pocket_ic::CanisterSettings;
use serde_bytes::ByteBuf;
use std::time::Duration;
use test_ledger::testing::Fault;
use x402_icp::{Code, Nonce};

const PRICE: u128 = 30_000;

#[test]
fn reinstalled_canister_takes_no_authorization_of_its_predecessor() {
    let setup = Setup::with_any_ledger();
    let payer = setup.payer(40);
    let sale = setup.sell("/article", PRICE);
    let unused = payer.sign(&sale.offer(), setup.now());
    let paid = sale.pay(&payer).send().expect_settled().signed;
    let args = TollkeeperArgs::Init(InitArgs {
        pay_to: Some(merchant().into()),
        operators: Some(vec![operator()]),
        ..InitArgs::default()
    });
    // Revisions begin at the microsecond of the installation; rounds of the test network are shorter.
    setup.advance(1);
    install_again(&setup.pic, || {
        setup.pic.reinstall_canister(
            setup.canister,
            environment::tollkeeper_wasm(),
            encode_one(Some(&args)).unwrap(),
            Some(controller()),
        )
    })
    .expect("a controller can do this");
    setup.ledger_add(setup.ledger.0).expect("the ledger is one");
    // The same route at the same price: all nonces are lost, and still nothing is charged again.
    let sale = setup.sell("/article", PRICE);
    for forgotten in [paid, unused] {
        let answer = sale.present(forgotten).send().answer;
        let offers = answer.payment_required().expect("fresh offers");
        assert_eq!(answer.status, 402);
        assert_eq!(offers.error.as_deref(), Some(Code::OfferMismatch.as_str()));
    }
    assert_eq!(setup.ledger.pulled_by(&setup, setup.canister).len(), 1);
    assert_eq!(sale.pay(&payer).send().answer.body, ARTICLE);
    assert_eq!(setup.ledger.pulled_by(&setup, setup.canister).len(), 2);
}

/// Restores an earlier stable memory, as loading a snapshot does.
fn restore(setup: &Setup, snapshot: Vec<u8>) {
    setup
        .pic
        .stop_canister(setup.canister, Some(controller()))
        .expect("nothing holds it");
    setup.pic.set_stable_memory(
        setup.canister,
        snapshot,
        pocket_ic::common::rest::BlobCompression::NoCompression,
    );
    setup.upgrade();
    setup
        .pic
        .start_canister(setup.canister, Some(controller()))
        .expect("it can be started again");
}

#[test]
fn old_snapshot_with_payments_it_forgot_charges_none_again() {
    let setup = Setup::with_any_ledger();
    let payer = setup.payer(41);
    let sale = setup.sell("/article", PRICE);
    let kept = sale.pay(&payer).send().expect_settled();
    let snapshot = setup.pic.get_stable_memory(setup.canister);
    let forgotten = sale.pay(&payer).send().expect_settled();
    restore(&setup, snapshot.clone());
    // The same authorization makes the same transfer to the nanosecond: the ledger recognises the duplicate.
    let again = sale
        .present(forgotten.signed.clone())
        .send()
        .expect_settled();
    assert_eq!(again.block, forgotten.block);
    assert_eq!(
        sale.present(kept.signed.clone())
            .send()
            .expect_settled()
            .block,
        kept.block
    );
    assert_eq!(setup.ledger.pulled_by(&setup, setup.canister).len(), 2);
    // Once it has expired it is refused, without a call to the ledger.
    restore(&setup, snapshot);
    setup.advance(3_600 + 120);
    sale.present(forgotten.signed)
        .send()
        .expect_not_charged(Code::Expired);
    let again = sale.present(kept.signed).send();
    assert_eq!(
        again.answer.body, ARTICLE,
        "what it remembers is still delivered"
    );
    assert_eq!(setup.ledger.pulled_by(&setup, setup.canister).len(), 2);
}

#[test]
fn cycles_that_run_dry_with_a_payment_in_flight_lose_nothing() {
    let setup = Setup::new();
    let payer = setup.payer(42);
    let sale = setup.sell("/article", PRICE);
    let paying = sale.pay(&payer);
    let call = setup.debited(&paying);
    // Frozen: it has fewer cycles than the freezing threshold keeps.
    let freeze = |seconds: u64| {
        let settings = CanisterSettings {
            freezing_threshold: Some(Nat::from(seconds)),
            ..CanisterSettings::default()
        };
        setup
            .pic
            .update_canister_settings(setup.canister, Some(controller()), settings)
            .expect("a controller can do this");
    };
    freeze(u64::MAX / 4);
    let argument = paying.request().update_argument();
    let refused = setup.raw_update(stranger(), "http_request_update", argument);
    assert!(refused.is_err(), "it has no cycles for new messages");
    // The reply's execution was paid for when the call was made.
    setup.ledger.release(&setup);
    let answer = setup.collect(call);
    assert_eq!((answer.status, answer.body.as_slice()), (200, ARTICLE));
    freeze(2_592_000);
    sale.present(paying.signed).send().expect_settled();
    assert_eq!(setup.ledger.pulled_by(&setup, setup.canister).len(), 1);
}

#[test]
fn flood_of_payments_at_an_unclear_ledger_is_paused_and_forgets_none() {
    let setup = Setup::new();
    let payer = setup.payer(43);
    let sale = setup.sell("/article", PRICE);
    setup
        .ledger
        .fault(&setup, 40, &Fault::lost_after_transfer());
    let mut open = vec![];
    let paused = loop {
        assert!(open.len() < 40, "the flood is not stopped");
        let outcome = sale.pay(&payer).send();
        match outcome.answer.payment_response() {
            Some(_) => open.push(outcome.expect_pending()),
            None => break outcome,
        }
    };
    paused.expect_refused(Code::LedgerUnavailable);
    assert_eq!(
        setup.ledger.pulled_by(&setup, setup.canister).len(),
        open.len()
    );
    // Payments from before the pause are still delivered.
    let nothing = candid::encode_args(()).unwrap();
    setup
        .pic
        .update_call(setup.ledger.0, controller(), "test_clear_faults", nothing)
        .expect("the test interface is open");
    for signed in open {
        sale.present(signed).send().expect_settled();
    }
}

#[test]
fn flood_of_uploads_is_bounded() {
    let setup = Setup::with_any_ledger();
    setup
        .route_put(setup.priced("GET", "/article", PRICE))
        .expect("a good route");
    let begin = || -> Result<u64, ContentError> {
        let begin = ContentBegin {
            method: "GET".into(),
            path: "/article".into(),
            bytes: 1_000_000,
            sha256: ByteBuf::from(vec![1; 32]),
        };
        setup.update(operator(), "content_begin", (begin,))
    };
    let taken = (0..40).take_while(|_| begin().is_ok()).count();
    assert!((1..=16).contains(&taken), "{taken} unfinished uploads");
    assert!(matches!(begin(), Err(ContentError::TooManyUploads { .. })));
    // An hour later they have expired.
    setup.advance(3_700);
    assert!(begin().is_ok());
}

#[test]
fn flood_of_cancellations_is_bounded_for_each_principal() {
    let setup = Setup::with_any_ledger();
    let cancel = |caller: Principal, number: u8, round: u8| -> Result<(), CancelError> {
        let mut nonce = [number; 32];
        nonce[0] = round;
        let args = CancelArgs {
            nonce: ByteBuf::from(nonce.to_vec()),
            valid_before_seconds: setup.now() + 300,
        };
        setup.update(caller, "cancel_authorization", (args,))
    };
    let limit = (0..=250_u8).find_map(|number| match cancel(stranger(), number, 0) {
        Ok(()) => None,
        Err(CancelError::TooManyCancellations { limit }) => Some((number, limit)),
        Err(other) => panic!("{other:?}"),
    });
    assert_eq!(limit, Some((200, 200)));
    // Another caller is not affected, and time makes room.
    assert_eq!(cancel(controller(), 1, 1), Ok(()));
    setup.advance(400);
    assert_eq!(cancel(stranger(), 1, 2), Ok(()));
}

#[test]
fn flood_of_calls_without_a_role_never_runs() {
    let setup = Setup::with_any_ledger();
    setup.sell("/article", PRICE);
    let cycles = setup.pic.cycle_balance(setup.canister);
    let stable = setup.pic.get_stable_memory(setup.canister);
    for _ in 0..50 {
        for method in [
            "route_put",
            "content_begin",
            "ledger_add",
            "pay_to_set",
            "operator_add",
        ] {
            let argument = encode_one(stranger()).unwrap();
            assert!(setup.raw_update(stranger(), method, argument).is_err());
        }
        let unpaid = Request::get("/article").update_argument();
        assert!(
            setup
                .raw_update(stranger(), "http_request_update", unpaid)
                .is_err()
        );
    }
    assert!(setup.pic.get_stable_memory(setup.canister) == stable);
    let spent = cycles - setup.pic.cycle_balance(setup.canister);
    assert!(
        spent < 1_000_000_000,
        "{spent} cycles for what was dropped unread"
    );
}

#[test]
fn clock_that_jumps_ahead_while_the_ledger_thinks_charges_once() {
    let setup = Setup::new();
    let payer = setup.payer(44);
    let sale = setup.sell("/article", PRICE);
    let now = setup.now();
    let signed = payer.sign_with(&sale.offer(), Nonce([7; 32]), now - 30, now + 60);
    let paying = sale.present(signed);
    let call = setup.debited(&paying);
    // The authorization expires during the transfer, before the canister stops waiting.
    setup.pic.advance_time(Duration::from_secs(45));
    setup.ledger.release(&setup);
    let answer = setup.collect(call);
    assert_eq!((answer.status, answer.body.as_slice()), (200, ARTICLE));
    setup.advance(60);
    // Expired by now, and still the payer's.
    sale.present(paying.signed).send().expect_settled();
    assert_eq!(setup.ledger.pulled_by(&setup, setup.canister).len(), 1);
}

#[test]
fn callback_that_traps_after_the_debit_forgets_nothing() {
    let setup = Setup::with_any_ledger();
    let payer = setup.payer(47);
    let sale = setup.sell("/article", PRICE);
    let file = "quick/tollkeeper+traps.wasm.gz";
    setup.upgrade_to(environment::wasm("TOLLKEEPER_TRAPS_WASM", file), None);
    // One message of six traps; what it wrote before its call is stored by then.
    let mut trapped = Vec::new();
    for _ in 0..48 {
        let paying = sale.pay(&payer);
        let argument = paying.request().update_argument();
        let anyone = Principal::anonymous();
        let reply = setup
            .pic
            .update_call(setup.canister, anyone, "http_request_update", argument);
        match reply {
            Ok(reply) => assert_eq!(Answer::from_update(&reply).status, 200),
            Err(reject) if reject.reject_message.contains("before a call") => {
                assert_eq!(setup.payment(paying.signed.id.0), None);
            }
            Err(reject) => {
                assert!(reject.reject_message.contains("trapped for a test"));
                trapped.push(paying.signed);
            }
        }
    }
    assert!(trapped.len() > 1, "{}", trapped.len());
    let charged = setup.ledger.pulled_by(&setup, setup.canister).len();
    setup.upgrade();
    for signed in trapped {
        assert!(setup.payment(signed.id.0).is_some());
        sale.present(signed).send().expect_settled();
    }
    let pulled = setup.ledger.pulled_by(&setup, setup.canister);
    assert_eq!(pulled.len(), charged, "no payment was charged again");
}
