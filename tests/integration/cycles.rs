//! Payments that a canister with few cycles accepts, and those that it finishes.

use crate::support::{
    Answer, Payer, Setup, Signed,
    flow::{ARTICLE, Sale},
    interface::*,
    ledger::number,
    setup::{controller, stranger},
};
use candid::Nat;
use pocket_ic::{CanisterSettings, common::rest::RawMessageId};
use serde_bytes::ByteBuf;
use std::time::Duration;
use test_ledger::testing::Fault;
use x402_icp::Code;

const PRICE: u128 = 30_000;
/// The cycles that a call to a ledger holds back until it is answered, on 13 nodes.
const CALL: u128 = 42_103_000_000;
/// The cycles that the system holds back while a message is executed: those of forty billion instructions.
const EXECUTION: u128 = 40_005_000_000;
const PLENTY: u128 = 20_000_000_000_000;

impl Setup {
    /// Leaves the canister this many cycles to spend, by raising what the system keeps back.
    fn leave(&self, liquid: u128) {
        let kept = self.pic.cycle_balance(self.canister) - liquid;
        let day = number(&self.canister_status().idle_cycles_burned_per_day);
        let settings = CanisterSettings {
            freezing_threshold: Some(Nat::from(kept * 86_400 / day)),
            ..CanisterSettings::default()
        };
        self.pic
            .update_canister_settings(self.canister, Some(controller()), settings)
            .expect("a controller can do this");
    }

    /// Raises the floor so that there are cycles for this many calls above it.
    fn leave_calls(&self, calls: u128) {
        let kept = number(&self.canister_status().idle_cycles_burned_per_day) * 30;
        // Half a call is left over, the upgrade's cost included.
        let above = EXECUTION + calls * CALL + CALL * 3 / 4;
        self.upgrade_with_floor(self.pic.cycle_balance(self.canister) - kept - above);
    }

    /// Sends a payment and does not wait for the response.
    fn send_off(&self, sale: &Sale<'_>, signed: &Signed) -> RawMessageId {
        self.submit(&sale.present(signed.clone()).request())
    }

    fn trace(&self) -> Vec<PaymentAudit> {
        let page = PageArgs {
            after: None,
            limit: None,
        };
        let page: Result<_, PaymentsError> = self.query(controller(), "audit_payments", (page,));
        page.expect("controllers read it")
    }

    /// The cost of rounds of this many seconds each beyond the canister's memory, in cycles.
    fn rounds_cost(&self, rounds: u32, seconds: u32) -> u128 {
        let day = number(&self.canister_status().idle_cycles_burned_per_day);
        let before = self.pic.cycle_balance(self.canister);
        for _ in 0..rounds {
            self.pic.advance_time(Duration::from_secs(seconds.into()));
            self.pic.tick();
        }
        // The memory is charged for in steps of ten seconds and more.
        let memory = day * u128::from(rounds * seconds + 20) / 86_400;
        let spent = before - self.pic.cycle_balance(self.canister);
        spent.saturating_sub(memory)
    }
}

/// Whether the payment was refused before anything was recorded.
fn is_refused(answer: &Answer) -> bool {
    answer.status == 402
        && answer.payment_response().is_none()
        && answer
            .payment_required()
            .is_some_and(|offers| offers.error.as_deref() == Some(Code::LedgerUnavailable.as_str()))
}

#[test]
fn attack_33_at_five_trillion_cycles_one_unfunded_key_locks_nobody_out() {
    let setup = Setup::with_cycles(5_000_000_000_000);
    let sale = setup.sell("/article", PRICE);
    let honest: Vec<_> = (1..=4).map(|seed| setup.payer(seed)).collect();
    let unfunded = Payer::ed25519(200);
    setup
        .ledger
        .fault(&setup, 200, &Fault::delayed_before_transfer());
    let (offer, now) = (sale.offer(), setup.now());
    let flood: Vec<_> = (0..150).map(|_| unfunded.sign(&offer, now)).collect();
    let flood: Vec<_> = flood
        .iter()
        .map(|signed| setup.send_off(&sale, signed))
        .collect();
    for _ in 0..6 {
        setup.pic.tick();
    }
    let open = setup.payments().len();
    assert!(
        (28..=40).contains(&open),
        "one key has {open} of 105 places"
    );
    let paying: Vec<_> = honest.iter().map(|payer| payer.sign(&offer, now)).collect();
    let calls: Vec<_> = paying
        .iter()
        .map(|signed| setup.send_off(&sale, signed))
        .collect();
    for _ in 0..6 {
        setup.pic.tick();
    }
    assert_eq!(setup.payments().len(), open + honest.len());
    setup.ledger.release(&setup);
    for call in calls {
        let answer = setup.collect(call);
        assert_eq!((answer.status, answer.body.as_slice()), (200, ARTICLE));
    }
    let refused = flood
        .into_iter()
        .filter(|call| is_refused(&setup.collect(call.clone())))
        .count();
    assert_eq!(refused, 150 - open);
}

#[test]
fn attack_33_no_honest_authorization_fails_for_want_of_our_cycles() {
    let setup = Setup::new();
    let sale = setup.sell("/article", PRICE);
    let payers: Vec<_> = (1..=24).map(|seed| setup.payer(seed)).collect();
    setup
        .ledger
        .fault(&setup, 24, &Fault::delayed_before_transfer());
    setup.leave_calls(10);
    let (offer, now) = (sale.offer(), setup.now());
    let signed: Vec<_> = payers.iter().map(|payer| payer.sign(&offer, now)).collect();
    let calls: Vec<_> = signed
        .iter()
        .map(|signed| setup.send_off(&sale, signed))
        .collect();
    for _ in 0..6 {
        setup.pic.tick();
    }
    setup.ledger.release(&setup);
    let mut refused = vec![];
    for (call, signed) in calls.into_iter().zip(signed) {
        let answer = setup.collect(call);
        match answer.status {
            200 => assert_eq!(answer.body, ARTICLE),
            _ => {
                assert!(is_refused(&answer), "{:?}", answer.payment_response());
                refused.push(signed);
            }
        }
    }
    let taken = 24 - refused.len();
    assert!((5..=10).contains(&taken), "{taken} of ten places");
    setup.pic.add_cycles(setup.canister, PLENTY);
    setup.ledger.behave(&setup);
    // The same authorizations.
    for signed in refused {
        sale.present(signed).send().expect_settled();
    }
    let failed = setup
        .payments()
        .into_iter()
        .filter(|payment| matches!(payment.status, PaymentStatus::Failed { .. }));
    assert_eq!(failed.count(), 0);
}

#[test]
fn attack_33_the_cycles_floor_is_compared_with_what_calls_in_flight_leave() {
    let setup = Setup::new();
    let sale = setup.sell("/article", PRICE);
    let payers: Vec<_> = (1..=3).map(|seed| setup.payer(seed)).collect();
    setup
        .ledger
        .fault(&setup, 2, &Fault::delayed_before_transfer());
    setup.leave_calls(2);
    let calls: Vec<_> = payers[..2]
        .iter()
        .map(|payer| setup.send_off(&sale, &payer.sign(&sale.offer(), setup.now())))
        .collect();
    for _ in 0..6 {
        setup.pic.tick();
    }
    assert_eq!(setup.payments().len(), 2);
    let third = payers[2].sign(&sale.offer(), setup.now());
    let refused = setup.send_off(&sale, &third);
    assert!(is_refused(&setup.collect(refused)));
    setup.ledger.release(&setup);
    for call in calls {
        assert_eq!(setup.collect(call).status, 200);
    }
    // The cycles that the calls held back are available again.
    sale.present(third).send().expect_settled();
}

#[test]
fn attack_33_a_call_that_cannot_be_paid_for_leaves_no_trace() {
    let setup = Setup::new();
    let sale = setup.sell("/article", PRICE);
    let payer = setup.payer(1);
    setup.ledger.fault(&setup, 1, &Fault::lost_after_transfer());
    let unknown = sale.pay(&payer).send().expect_pending();
    setup.upgrade_with_floor(0);
    // The first payment after an upgrade takes memory, which raises what the system keeps back.
    sale.pay(&setup.payer(2)).send().expect_settled();
    let before = setup.trace();
    // Enough for a message, and too little for a call from it.
    setup.leave(EXECUTION + CALL / 2);
    let fresh = payer.sign(&sale.offer(), setup.now());
    sale.present(fresh.clone())
        .send()
        .expect_not_charged(Code::LedgerUnavailable);
    assert_eq!(setup.payment(fresh.id.0), None);
    let unknown = sale.present(unknown).send().expect_pending();
    // Recovery, by an operator and by itself.
    let id = ByteBuf::from(unknown.id.0.to_vec());
    let looked: Result<PaymentStatus, RecheckError> =
        setup.update(controller(), "payment_recheck", (id,));
    assert!(matches!(looked, Ok(PaymentStatus::Unknown { .. })));
    let _ = setup.rounds_cost(100, 1);
    assert_eq!(setup.trace(), before);
    setup.leave(PLENTY);
    sale.present(unknown).send().expect_settled();
    sale.present(fresh).send().expect_settled();
    assert_eq!(setup.ledger.pulled_by(&setup, setup.canister).len(), 3);
}

/// The cost of a firing that can do nothing.
const FIRING: u128 = 16_000_000;

#[test]
fn attack_41_a_timer_that_is_due_without_cycles_for_a_call_fires_a_few_times_and_comes_back() {
    // From hardly enough for a message to nearly enough for the timer's call and one to the ledger.
    for liquid in [
        EXECUTION + 1_000_000_000,
        EXECUTION + CALL / 2,
        EXECUTION + CALL,
        EXECUTION + CALL + CALL / 4,
        EXECUTION + 2 * CALL,
    ] {
        let setup = Setup::new();
        let sale = setup.sell("/article", PRICE);
        let payer = setup.payer(1);
        setup.ledger.fault(&setup, 1, &Fault::lost_after_transfer());
        let unknown = sale.pay(&payer).send().expect_pending();
        let before = setup.trace();
        setup.leave(liquid);
        let rounds = 100;
        let spent = setup.rounds_cost(rounds, 1);
        assert!(spent <= 3 * FIRING, "{spent} cycles with {liquid}");
        assert_eq!(setup.trace(), before);
        // No request arrives: the timer fires again when there are cycles.
        setup.leave(PLENTY);
        for _ in 0..3 {
            setup.pic.advance_time(Duration::from_secs(150));
            for _ in 0..14 {
                setup.pic.tick();
            }
        }
        let status = setup.payment(unknown.id.0).expect("it is known").status;
        assert!(status.is_paid(), "{status:?} after {liquid} cycles");
    }
}

/// The timer's own call holds back the cycles of a call, so none are left for the ledger's.
#[test]
fn attack_41_a_timer_with_cycles_for_its_own_call_and_for_no_other_fires_seldom() {
    for tenths in [10, 12, 14, 16, 18, 20, 22] {
        let setup = Setup::new();
        let sale = setup.sell("/article", PRICE);
        let payer = setup.payer(1);
        setup.ledger.fault(&setup, 1, &Fault::lost_after_transfer());
        let unknown = sale.pay(&payer).send().expect_pending();
        let before = setup.trace();
        setup.leave(EXECUTION + CALL * tenths / 10);
        // Five minutes.
        let spent = setup.rounds_cost(60, 5);
        assert!(spent <= 3 * FIRING, "{spent} cycles with {tenths}/10 calls");
        assert_eq!(setup.trace(), before, "{tenths}/10 calls");
        setup.leave(PLENTY);
        let _ = setup.rounds_cost(70, 5);
        let status = setup.payment(unknown.id.0).expect("it is known").status;
        assert!(status.is_paid(), "{status:?} after {tenths}/10 calls");
    }
}

#[test]
fn only_the_canister_itself_runs_what_the_timer_runs() {
    let setup = Setup::new();
    let nothing = candid::encode_args(()).unwrap();
    for caller in [stranger(), controller()] {
        let dropped = setup.raw_update(caller, "__tick", nothing.clone());
        assert!(dropped.is_err());
    }
}
