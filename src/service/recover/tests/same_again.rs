use super::*;

#[test]
fn should_ask_for_the_same_transfer_until_the_ledger_knows() {
    let shop = shop();
    let request = shop.unknown(1, 1);
    assert_eq!(shop.runtime.woken.get(), Some(NOW.plus(Seconds(5))));
    shop.tick();
    assert_eq!(shop.runtime.made(), 1, "not before it is due");
    shop.later(5).will_reject(6);
    shop.tick();
    shop.later(9).tick();
    assert_eq!(shop.runtime.made(), 2, "the second pause is longer");
    shop.later(1).will(duplicate_of(40));
    shop.tick();
    assert_eq!(settled_in(&shop.state(&request)), Some(40));
    assert!(matches!(shop.state(&request), State::Settled { .. }));
    assert_eq!(shop.asked(1), shop.asked(0));
    assert_eq!(shop.asked(2), shop.asked(0));
}

#[test]
fn should_need_one_call_in_the_ordinary_case() {
    let shop = shop();
    let request = shop.unknown(1, 1);
    shop.later(5).will(Ok(Nat::from(3u8)));
    shop.tick();
    assert_eq!(settled_in(&shop.state(&request)), Some(3));
    assert_eq!(shop.runtime.made(), 2, "one call, one recovery");
}

/// The ledger checks the fee before it looks for duplicates, and its fee has changed since.
#[test]
fn should_read_the_log_when_the_repetition_is_refused() {
    let shop = shop();
    let request = shop.unknown(1, 1);
    let bad_fee = || {
        Err(TransferFromError::BadFee {
            expected_fee: Nat::from(11u8),
        })
    };
    shop.later(5).will(bad_fee());
    shop.tick();
    // Not in the log: nothing is proved, and the transfer is sent again.
    shop.later(10).will_show(0, vec![]);
    shop.tick();
    assert!(is_unknown(&shop.state(&request)));
    shop.later(10).will(bad_fee());
    shop.tick();
    let ours = shop.block(&request);
    shop.later(20).will_show(1, vec![(0, ours)]);
    shop.tick();
    assert_eq!(settled_in(&shop.state(&request)), Some(0));
}

#[test]
fn should_leave_what_is_settled_for_its_payer() {
    let shop = shop();
    let request = shop.unknown(1, 1);
    shop.later(5).will(Ok(Nat::from(3u8)));
    shop.tick();
    shop.later(1);
    let outcome = shop.settle(&request);
    assert!(
        matches!(outcome, pay::tests::PayOutcome::Paid { .. }),
        "{outcome:?}"
    );
    assert!(matches!(shop.state(&request), State::Delivered { .. }));
    assert_eq!(shop.runtime.made(), 2);
}

#[test]
fn should_have_no_timer_when_all_goes_well() {
    let shop = shop();
    shop.will(Ok(Nat::from(3u8)));
    let _ = shop.settle(&shop.request(1, 1));
    shop.will(Err(TransferFromError::TooOld));
    let _ = shop.settle(&shop.request(2, 2));
    assert_eq!(shop.runtime.woken.get(), None);
    shop.tick();
    assert_eq!(shop.runtime.woken.get(), None);
}

#[test]
fn should_have_no_timer_for_payments_in_flight_and_one_for_what_is_overdue() {
    let shop = shop();
    shop.runtime.hold.set(true);
    let mut first = Box::pin(pay::settle(&shop.runtime, shop.request(1, 1)));
    assert!(poll(first.as_mut()).is_pending());
    let mut second = Box::pin(pay::settle(&shop.runtime, shop.request(2, 2)));
    assert!(poll(second.as_mut()).is_pending());
    assert_eq!(shop.runtime.woken.get(), None);
    // The first reply never arrived, and no timer is set. The next payment sets it.
    shop.later(600);
    let mut third = Box::pin(pay::settle(&shop.runtime, shop.request(3, 3)));
    assert!(poll(third.as_mut()).is_pending());
    assert!(shop.runtime.woken.get().is_some());
}

#[test]
fn should_be_armed_by_a_trap_and_by_an_upgrade() {
    let shop = shop();
    let request = shop.request(1, 1);
    shop.runtime.hold.set(true);
    {
        let mut settling = Box::pin(pay::settle(&shop.runtime, request.clone()));
        assert!(poll(settling.as_mut()).is_pending());
        assert_eq!(shop.runtime.woken.get(), None);
    }
    // The callback trapped: its future was dropped.
    assert!(is_unknown(&shop.state(&request)));
    assert!(shop.runtime.woken.take().is_some());
    lifecycle::upgrade(&shop.runtime, Default::default()).unwrap();
    assert!(shop.runtime.woken.get().is_some());
}

#[test]
fn should_take_a_payment_without_an_answer_for_unknown_after_ten_minutes() {
    let shop = shop();
    let request = shop.request(1, 1);
    shop.runtime.hold.set(true);
    let mut settling = Box::pin(pay::settle(&shop.runtime, request.clone()));
    assert!(poll(settling.as_mut()).is_pending());
    shop.later(599).tick();
    assert!(matches!(shop.state(&request), State::Settling { .. }));
    shop.later(1).tick();
    let state = shop.state(&request);
    let no_answer = matches!(
        state,
        State::Unknown {
            doubt: Doubt::NoAnswer,
            ..
        }
    );
    assert!(no_answer, "{state:?}");
    assert!(shop.runtime.woken.get().is_some());
    // If the reply still arrives, it changes nothing that it does not prove. The log decides.
    shop.will(Err(TransferFromError::TooOld));
    assert!(poll(settling.as_mut()).is_ready());
    assert!(is_unknown(&shop.state(&request)));
}

#[test]
fn should_believe_an_answer_that_comes_after_the_payment_was_taken_for_unknown() {
    let shop = shop();
    let request = shop.request(1, 1);
    shop.runtime.hold.set(true);
    let mut settling = Box::pin(pay::settle(&shop.runtime, request.clone()));
    assert!(poll(settling.as_mut()).is_pending());
    shop.later(600).tick();
    assert!(is_unknown(&shop.state(&request)));
    shop.will(Ok(Nat::from(7u8)));
    assert!(poll(settling.as_mut()).is_ready());
    assert_eq!(settled_in(&shop.state(&request)), Some(7));
}

#[test]
fn should_run_below_the_cycles_floor() {
    let shop = shop();
    let request = shop.unknown(1, 1);
    let one_call = with_spare(ScriptedRuntime::CALL_COST);
    assert!(one_call < storage::config::read().limits.cycles_floor);
    shop.runtime.cycles.set(one_call);
    shop.later(5).will(duplicate_of(7));
    shop.tick();
    assert_eq!(settled_in(&shop.state(&request)), Some(7));
}

#[test]
fn should_check_again_for_operators_only() {
    let shop = shop();
    let request = shop.unknown(1, 1);
    let recheck = |id: &PaymentId| run(recheck(&shop.runtime, id));
    shop.runtime.caller.set(Principal::from_slice(&[77]));
    let unauthorized = recheck(&id(&request)).unwrap_err();
    assert_eq!(unauthorized, RecheckError::Unauthorized(Unauthorized));
    shop.runtime.caller.set(shop.runtime.controller);
    let unknown = recheck(&PaymentId([0; 32])).unwrap_err();
    assert_eq!(unknown, RecheckError::UnknownPayment);
    shop.will_reject(6);
    assert!(is_unknown(&recheck(&id(&request)).unwrap().state));
    shop.will(duplicate_of(9));
    let payment = recheck(&id(&request)).unwrap();
    assert_eq!(settled_in(&payment.state), Some(9));
    // The state is final, and another check changes nothing.
    assert_eq!(recheck(&id(&request)).unwrap(), payment);
    assert_eq!(shop.runtime.made(), 3);
}
