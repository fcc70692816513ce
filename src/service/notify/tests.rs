use super::*;
use crate::{
    domain::settlement,
    runtime::scripted::{ScriptedRuntime, run},
    service::{
        pay::tests::{Shop, shop},
        recover::tick,
    },
    types::{Cycles, TimestampNs},
};
use candid::{Decode, Encode};
use icrc_ledger_types::icrc1::transfer::TransferError;

fn merchant() -> Principal {
    Principal::from_slice(&[0, 0, 0, 0, 0, 0, 0, 8, 1, 1])
}

fn told() -> Shop {
    let shop = shop();
    shop.runtime.caller.set(shop.runtime.controller);
    set(&shop.runtime, Some(merchant())).unwrap();
    shop
}

/// Pays and is delivered at once: two events.
fn sell(shop: &Shop, nonce: u8) {
    shop.will(Ok(Nat::from(nonce)));
    shop.fetch(&shop.request(1, nonce));
}

/// The events that were sent so far.
fn events(shop: &Shop) -> Vec<PaymentEvent> {
    let calls = shop.runtime.calls.borrow();
    let to_merchant = calls.iter().filter(|call| call.canister == merchant());
    to_merchant
        .map(|call| {
            assert_eq!(call.method, METHOD);
            assert!(
                call.argument.len() <= MAX_ARGUMENT_BYTES,
                "{}",
                call.argument.len()
            );
            Decode!(&call.argument, PaymentEvent).unwrap()
        })
        .collect()
}

fn kinds(shop: &Shop) -> Vec<(u64, PaymentEventKind)> {
    let all = events(shop).into_iter();
    all.map(|event| (event.event_id, event.kind)).collect()
}

fn acknowledge(shop: &Shop, times: usize) {
    for _ in 0..times {
        shop.runtime.will(CallOutcome::Reply(Encode!().unwrap()));
    }
}

fn reject(shop: &Shop, times: usize) {
    for _ in 0..times {
        shop.will_reject(5);
    }
}

fn waiting() -> u64 {
    notifications::status().waiting
}

fn pass(shop: &Shop, seconds: u32) {
    let now = shop.runtime.now.get();
    shop.runtime.now.set(now.plus(Seconds(seconds)));
}

#[test]
fn a_merchants_canister_is_told_of_what_was_settled_and_delivered() {
    let shop = told();
    sell(&shop, 1);
    assert!(shop.runtime.woken.get().is_some(), "the timer is set");
    assert_eq!(events(&shop), [], "the payment did not wait");
    acknowledge(&shop, 2);
    run(tick(&shop.runtime));
    let sent = events(&shop);
    assert_eq!(sent[0].kind, PaymentEventKind::Settled);
    assert_eq!(sent[1].kind, PaymentEventKind::Delivered);
    assert_eq!((sent[0].event_id, sent[1].event_id), (1, 2));
    assert_eq!(sent[0].payment_id, sent[1].payment_id);
    assert_eq!(
        (sent[0].method.as_str(), sent[0].path.as_str()),
        ("GET", "/a")
    );
    assert_eq!(sent[0].amount, Nat::from(10_000u16));
    assert_eq!((waiting(), notifications::status().sent), (0, 2));
    run(tick(&shop.runtime));
    assert_eq!(events(&shop).len(), 2, "each once");
    assert_eq!(shop.runtime.woken.get(), None);
}

#[test]
fn a_merchants_canister_is_told_of_a_refund_with_its_block() {
    let shop = shop();
    shop.runtime.caller.set(shop.runtime.controller);
    let own = shop.runtime.canister_id();
    storage::liabilities::set_canister(own);
    crate::service::admin::set_pay_to(&shop.runtime, own.into()).unwrap();
    set(&shop.runtime, Some(merchant())).unwrap();
    let request = shop.request(1, 1);
    shop.will_reject(5);
    shop.settle(&request);
    shop.will(Ok(Nat::from(7u8)));
    run(crate::service::pay::call_again(
        &shop.runtime,
        request.claim_key(),
    ))
    .unwrap();
    acknowledge(&shop, 1);
    run(tick(&shop.runtime));
    assert_eq!(kinds(&shop), [(1, PaymentEventKind::Settled)]);
    let id = crate::service::pay::tests::id(&request);
    crate::service::refund::owe(&shop.runtime, &id).unwrap();
    pass(&shop, 60);
    // The balance that the refund needs, and its transfer.
    shop.runtime.will_reply(Nat::from(1_000_000u32));
    shop.runtime
        .will_reply(Ok::<Nat, TransferError>(Nat::from(9u8)));
    run(tick(&shop.runtime));
    acknowledge(&shop, 1);
    run(tick(&shop.runtime));
    let block_index = Nat::from(9u8);
    let refunded = (2, PaymentEventKind::Refunded { block_index });
    assert_eq!(kinds(&shop).last(), Some(&refunded));
    assert_eq!(waiting(), 0);
}

#[test]
fn a_notified_canister_that_traps_is_stopped_or_deleted_is_told_later_and_no_payment_notices() {
    let shop = told();
    sell(&shop, 1);
    reject(&shop, 2);
    run(tick(&shop.runtime));
    let status = notifications::status();
    assert_eq!((status.waiting, status.failures), (2, 1));
    assert_eq!(shop.runtime.woken.get(), status.next_try);
    // Payments go on, and nothing is sent before the pause is over.
    sell(&shop, 2);
    run(tick(&shop.runtime));
    assert_eq!(events(&shop).len(), 2);
    for round in 2..20 {
        let pause = notifications::next_due().unwrap().0 - shop.runtime.now.get().0;
        pass(&shop, (pause / 1_000_000_000) as u32);
        reject(&shop, 4);
        let before = shop.runtime.made();
        run(tick(&shop.runtime));
        let sent = shop.runtime.made() - before;
        assert!(sent <= 4, "round {round}: {sent}");
        shop.runtime.will_no_more();
    }
    let hour = notifications::next_due().unwrap().0 - shop.runtime.now.get().0;
    assert!(hour <= 3_600_000_000_000, "{hour}");
    pass(&shop, 3_600);
    acknowledge(&shop, 4);
    run(tick(&shop.runtime));
    assert_eq!((waiting(), notifications::status().failures), (0, 0));
    let mut ids: Vec<u64> = events(&shop).iter().map(|event| event.event_id).collect();
    ids.sort_unstable();
    ids.dedup();
    assert_eq!(ids, [1, 2, 3, 4], "the same ids again");
}

#[test]
fn a_notified_canister_that_keeps_silent_holds_a_few_calls_and_no_tick() {
    let shop = told();
    for nonce in 1..=10 {
        sell(&shop, nonce);
    }
    shop.runtime.leave_waiting(tick(&shop.runtime));
    assert_eq!(events(&shop).len() as u32, MAX_AT_ONCE);
    for _ in 0..5 {
        pass(&shop, 60);
        run(tick(&shop.runtime));
    }
    assert_eq!(
        events(&shop).len() as u32,
        MAX_AT_ONCE,
        "none of them was answered"
    );
    sell(&shop, 11);
}

/// What was sent before an upgrade, and not answered, is sent again with the same id.
#[test]
fn an_event_whose_answer_is_lost_is_sent_again() {
    let shop = told();
    sell(&shop, 1);
    // The heap is as before the message that sent them.
    acknowledge(&shop, 1);
    run(send(&shop.runtime, 1));
    reject(&shop, 1);
    run(send(&shop.runtime, 2));
    pass(&shop, 3_600);
    acknowledge(&shop, 1);
    run(tick(&shop.runtime));
    let ids: Vec<u64> = events(&shop).iter().map(|event| event.event_id).collect();
    assert_eq!(ids, [1, 2, 2]);
}

#[test]
fn notifications_leave_the_cycles_of_payments_alone() {
    let shop = told();
    sell(&shop, 1);
    let floor = storage::config::read().limits.cycles_floor.0;
    let call = with_spare(ScriptedRuntime::CALL_COST).0;
    let needed = floor + call * (RESERVED_CALLS + u128::from(MAX_AT_ONCE));
    shop.runtime.cycles.set(Cycles(needed - 1));
    run(tick(&shop.runtime));
    assert_eq!(events(&shop), []);
    let later = shop.runtime.now.get().plus(LOW_CYCLES_PAUSE);
    assert_eq!(notifications::next_due(), Some(later));
    shop.runtime.cycles.set(Cycles(needed));
    shop.runtime.now.set(later);
    acknowledge(&shop, 2);
    run(tick(&shop.runtime));
    assert_eq!(waiting(), 0);
}

#[test]
fn who_is_told_is_a_canister_that_controllers_name_and_no_ledger() {
    let shop = shop();
    let runtime = &shop.runtime;
    runtime.caller.set(runtime.controller);
    let ledger = storage::ledgers::all()[0].id;
    let key = Principal::self_authenticating([1; 32]);
    for (target, problem) in [
        (Principal::anonymous(), "is the anonymous principal"),
        (
            Principal::management_canister(),
            "is the management canister",
        ),
        (runtime.canister_id(), "is this canister"),
        (ledger, "is a registered ledger"),
        (key, "is not the id of a canister"),
    ] {
        let Err(AdminError::InvalidArgument(error)) = set(runtime, Some(target)) else {
            panic!("{target}");
        };
        assert_eq!(
            (error.field.as_str(), error.problem.as_str()),
            ("target", problem)
        );
    }
    assert_eq!(notifications::target(), None);
    set(runtime, Some(merchant())).unwrap();
    let operator = storage::config::read().operators[0];
    for caller in [operator, Principal::anonymous(), merchant()] {
        runtime.caller.set(caller);
        assert_eq!(
            set(runtime, None),
            Err(AdminError::Unauthorized(Unauthorized))
        );
        assert_eq!(status(runtime).is_ok(), caller == operator);
    }
    assert_eq!(notifications::target(), Some(merchant()));
    sell(&shop, 1);
    runtime.caller.set(runtime.controller);
    set(runtime, None).unwrap();
    assert_eq!((waiting(), notifications::target()), (0, None));
    let subjects = storage::audit::admin_after(0, 100);
    let subjects = subjects
        .into_iter()
        .filter(|entry| entry.action == "notify_set");
    let subjects: Vec<String> = subjects.map(|entry| entry.subject).collect();
    assert_eq!(subjects, [merchant().to_text(), "none".into()]);
}

#[test]
fn without_a_merchants_canister_nothing_is_queued_and_no_timer_is_set() {
    let shop = shop();
    sell(&shop, 1);
    assert_eq!(shop.runtime.woken.get(), None);
    assert_eq!(notifications::status().latest, 0);
    assert_eq!(shop.runtime.made(), 1);
    assert_eq!(shop.runtime.calls.borrow()[0].method, settlement::METHOD);
    assert_eq!(notifications::next_due(), None::<TimestampNs>);
}

/// The answer to an event comes from the canister before.
#[test]
fn an_event_that_another_canister_took_is_sent_to_the_one_that_is_told_now() {
    let shop = told();
    sell(&shop, 1);
    shop.runtime.hold.set(true);
    let mut sending = std::pin::pin!(send(&shop.runtime, 1));
    assert!(crate::runtime::scripted::poll(sending.as_mut()).is_pending());
    let other = Principal::from_slice(&[0, 0, 0, 0, 0, 0, 0, 9, 9, 1]);
    set(&shop.runtime, Some(other)).unwrap();
    acknowledge(&shop, 1);
    assert!(crate::runtime::scripted::poll(sending.as_mut()).is_ready());
    assert_eq!((waiting(), notifications::status().sent), (2, 0));
    shop.runtime.hold.set(false);
    pass(&shop, 3_600);
    acknowledge(&shop, 2);
    run(tick(&shop.runtime));
    let calls = shop.runtime.calls.borrow();
    assert_eq!(calls.last().unwrap().canister, other);
    assert_eq!(waiting(), 0);
}
