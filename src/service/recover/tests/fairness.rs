use super::*;

/// Attack 15: a ledger that never answers.
#[test]
fn attack_15_a_ledger_that_never_answers_starves_nobody() {
    let shop = shop();
    let request = shop.unknown(1, 1);
    shop.later(5);
    shop.runtime.hold.set(true);
    let mut first = Box::pin(tick(&shop.runtime));
    assert!(poll(first.as_mut()).is_pending());
    // The timer is set, whatever happens to this tick.
    assert!(shop.runtime.woken.get().is_some());
    // Another tick meanwhile leaves the payment alone, and does the other work.
    let made = shop.runtime.made();
    let mut second = Box::pin(tick(&shop.runtime));
    assert!(poll(second.as_mut()).is_ready());
    assert_eq!(shop.runtime.made(), made);
    // The deadline ends the call.
    shop.runtime.hold.set(false);
    shop.will_reject(6);
    assert!(poll(first.as_mut()).is_ready());
    assert!(is_unknown(&shop.state(&request)));
}

#[test]
fn should_ask_an_unclear_ledger_once_a_tick() {
    let shop = shop();
    let requests: Vec<_> = (0..MAX_DOUBTS as u8).map(|n| shop.unknown(n, n)).collect();
    shop.later(5).will_reject(6);
    shop.tick();
    assert_eq!(shop.runtime.made(), requests.len() + 1);
    // The other payments wait for the log, and are searched for then.
    shop.later(100).will_reject(6);
    shop.tick();
    assert_eq!(shop.runtime.made(), requests.len() + 2);
}

#[test]
fn should_bound_the_transfers_of_one_tick() {
    let shop = shop();
    let requests: Vec<_> = (0..MAX_DOUBTS as u8 - 1)
        .map(|n| shop.unknown(n, n))
        .collect();
    let made = shop.runtime.made();
    shop.later(5);
    for n in 0..MAX_RETRIES_PER_LEDGER {
        shop.will(duplicate_of(n as u64));
    }
    shop.tick();
    assert_eq!(shop.runtime.made(), made + MAX_RETRIES_PER_LEDGER);
    let rest = requests.len() - MAX_RETRIES_PER_LEDGER;
    shop.later(TURN.0);
    for n in 0..rest {
        shop.will(duplicate_of(100 + n as u64));
    }
    shop.tick();
    assert!(
        requests
            .iter()
            .all(|request| settled_in(&shop.state(request)).is_some())
    );
}

#[test]
fn should_read_a_log_once_for_all_its_payments() {
    let shop = shop();
    let requests: Vec<_> = (0..10).map(|n| shop.unknown(n, n)).collect();
    let made = shop.runtime.made();
    shop.after_expiry();
    let log: Log = requests
        .iter()
        .map(|request| shop.block(request))
        .collect::<Vec<_>>()
        .into_iter()
        .enumerate()
        .map(|(n, block)| (n as u64, block))
        .collect();
    shop.will_show(10, log);
    shop.tick();
    for (n, request) in requests.iter().enumerate() {
        assert_eq!(settled_in(&shop.state(request)), Some(n as u64));
    }
    assert_eq!(shop.runtime.made(), made + 1);
}

/// A trap in a tick undoes it from its last await on, and drops its future: nothing stays locked.
#[test]
fn should_keep_no_lock_after_a_trap() {
    let shop = shop();
    let request = shop.unknown(1, 1);
    let ours = shop.block(&request);
    shop.after_expiry();
    shop.runtime.hold.set(true);
    {
        let mut reading = Box::pin(tick(&shop.runtime));
        assert!(poll(reading.as_mut()).is_pending());
        // One reading of a log at a time.
        shop.later(3_600);
        let made = shop.runtime.made();
        let mut other = Box::pin(tick(&shop.runtime));
        assert!(poll(other.as_mut()).is_ready());
        assert_eq!(shop.runtime.made(), made);
    }
    shop.runtime.hold.set(false);
    shop.later(3_600).will_show(1, vec![(0, ours)]);
    shop.tick();
    assert_eq!(settled_in(&shop.state(&request)), Some(0));
}

#[test]
fn should_refund_what_was_not_fetched() {
    let shop = shop();
    let request = shop.unknown(1, 1);
    shop.later(5).will(duplicate_of(4));
    shop.tick();
    let retention = storage::config::read().limits.retention;
    shop.later(retention.0 - 1).tick();
    assert!(matches!(shop.state(&request), State::Settled { .. }));
    shop.later(1).tick();
    assert!(matches!(shop.state(&request), State::Refunding { .. }));
}
