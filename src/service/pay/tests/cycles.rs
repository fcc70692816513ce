use super::*;

/// A shop with two ledgers whose canister can pay for so many concurrent calls above its floor.
fn shop_for(calls: u128) -> Shop {
    let shop = shop();
    storage::ledgers::put(&ledger(1)).unwrap();
    let one = ScriptedRuntime::CALL_COST.0;
    let spare = with_spare(ScriptedRuntime::CALL_COST).0 - one;
    let floor = config().limits.cycles_floor.0;
    shop.runtime.cycles.set(Cycles(floor + calls * one + spare));
    shop
}

/// The number of transitions in the audit log.
fn trace() -> usize {
    storage::audit::payments_after(0, 10_000).len()
}

#[test]
fn attack_33_a_first_try_that_cannot_be_paid_for_leaves_no_trace() {
    let shop = shop_for(0);
    let request = shop.request(1, 1);
    let before = trace();
    assert_eq!(refused(shop.settle(&request)), Code::LedgerUnavailable);
    assert_eq!((trace(), shop.runtime.made()), (before, 0));
    assert_eq!(payments::payment(&id(&request)), None);
    // The authorization was not used up: it is accepted when there are cycles.
    shop.runtime.cycles.set(Cycles(1_000_000_000_000_000));
    shop.will(block(1));
    paid(shop.settle(&request));
}

#[test]
fn attack_33_a_repetition_that_cannot_be_paid_for_leaves_no_trace() {
    let shop = shop();
    let request = shop.request(1, 1);
    shop.will_reject(6);
    assert!(is_pending(&shop.settle(&request)));
    let (before, state) = (trace(), shop.state(&request));
    shop.runtime
        .cycles
        .set(Cycles(ScriptedRuntime::CALL_COST.0 - 1));
    for _ in 0..3 {
        assert!(is_pending(&shop.settle(&request)));
        let asked = run(call_again(&shop.runtime, request.claim_key()));
        assert_eq!(asked.unwrap().state, state);
    }
    assert_eq!(shop.state(&request), state);
    assert_eq!((trace(), shop.runtime.made()), (before, 1));
    // Below the floor, but enough for the call: work in progress is finished.
    shop.runtime
        .cycles
        .set(with_spare(ScriptedRuntime::CALL_COST));
    shop.will(block(1));
    paid(shop.settle(&request));
}

#[test]
fn attack_33_one_key_cannot_take_all_the_places_that_there_are_cycles_for() {
    // 16 places: 12 for one ledger, and four for one key while fewer than six are taken.
    let shop = shop_for(16);
    shop.runtime.hold.set(true);
    let greedy: Vec<_> = (0..20).map(|nonce| shop.request(1, nonce)).collect();
    let mut waiting: Vec<_> = greedy
        .iter()
        .map(|request| Box::pin(settle(&shop.runtime, request.clone())))
        .collect();
    let outcomes: Vec<_> = waiting.iter_mut().map(|one| poll(one.as_mut())).collect();
    let taken = outcomes
        .iter()
        .filter(|outcome| outcome.is_pending())
        .count();
    assert_eq!(taken, 4);
    for outcome in outcomes {
        match outcome {
            Poll::Pending => {}
            Poll::Ready(outcome) => assert_eq!(refused(outcome), Code::LedgerUnavailable),
        }
    }
    // Other payers find a place.
    for other in 2..6 {
        let request = shop.request(other, 1);
        let mut paying = Box::pin(settle(&shop.runtime, request));
        assert!(poll(paying.as_mut()).is_pending());
        waiting.push(paying);
    }
}

#[test]
fn attack_33_no_authorization_fails_for_want_of_our_cycles() {
    let shop = shop_for(7);
    shop.runtime.hold.set(true);
    let requests: Vec<_> = (1..20).map(|payer| shop.request(payer, 1)).collect();
    let mut waiting: Vec<_> = requests
        .iter()
        .map(|request| Box::pin(settle(&shop.runtime, request.clone())))
        .collect();
    let mut refused_now = vec![];
    for (request, paying) in requests.iter().zip(&mut waiting) {
        match poll(paying.as_mut()) {
            Poll::Pending => {}
            Poll::Ready(PayOutcome::Refused(_)) => refused_now.push(request),
            Poll::Ready(other) => panic!("{other:?}"),
        }
    }
    // One ledger has three quarters of seven places.
    assert_eq!(refused_now.len(), requests.len() - 6);
    let mut number = 0;
    for paying in &mut waiting[..6] {
        number += 1;
        shop.will(block(number));
        assert!(matches!(
            poll(paying.as_mut()),
            Poll::Ready(PayOutcome::Paid { .. })
        ));
    }
    shop.runtime.hold.set(false);
    for request in refused_now {
        assert_eq!(payments::payment(&id(request)), None);
        number += 1;
        shop.will(block(number));
        paid(shop.settle(request));
    }
}

#[test]
fn attack_33_the_floor_is_compared_with_what_calls_in_flight_leave() {
    let shop = shop_for(3);
    shop.runtime.hold.set(true);
    let mut first = pin!(settle(&shop.runtime, shop.request(1, 1)));
    assert!(poll(first.as_mut()).is_pending());
    // The balance is unchanged; the cycles that can be spent are just below the floor.
    let floor = config().limits.cycles_floor.0;
    shop.runtime.cycles.set(Cycles(floor - 1));
    let second = shop.request(2, 1);
    assert_eq!(refused(shop.settle(&second)), Code::LedgerUnavailable);
    shop.will(block(1));
    assert!(poll(first.as_mut()).is_ready());
    shop.will(block(2));
    assert!(refused(shop.settle(&second)) == Code::LedgerUnavailable);
    let one_call = with_spare(ScriptedRuntime::CALL_COST).0;
    shop.runtime.cycles.set(Cycles(floor + one_call));
    paid(shop.settle(&second));
}

#[test]
fn attack_33_a_ledger_with_too_many_calls_under_way_burns_no_authorization() {
    let shop = shop();
    let request = shop.request(1, 1);
    shop.runtime.hold.set(true);
    let ask = || {
        let balance = "icrc1_balance_of";
        Box::pin(shop.runtime.call(ledger(0).id, balance, vec![]))
    };
    let questions: Vec<_> = (0..crate::runtime::MAX_CALLS_TO).map(|_| ask()).collect();
    assert_eq!(refused(shop.settle(&request)), Code::LedgerUnavailable);
    assert_eq!(payments::payment(&id(&request)), None);
    drop(questions);
    shop.will(block(1));
    paid(shop.settle(&request));
}
