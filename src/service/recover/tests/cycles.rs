use super::*;
use crate::types::Cycles;

fn trace() -> usize {
    storage::audit::payments_after(0, 10_000).len()
}

impl Shop {
    /// The time at which postponed work is due again: neither in every round nor never.
    fn after_a_turn(&self) -> TimestampNs {
        self.runtime.now().plus(TURN)
    }
}

#[test]
fn attack_33_a_repetition_that_cannot_be_paid_for_is_put_off() {
    let shop = shop();
    let request = shop.unknown(1, 1);
    let (before, state) = (trace(), shop.state(&request));
    let cycles = shop
        .runtime
        .cycles
        .replace(Cycles(ScriptedRuntime::CALL_COST.0 - 1));
    for _ in 0..5 {
        shop.later(10).tick();
    }
    assert_eq!((trace(), shop.runtime.made()), (before, 1));
    assert_eq!(shop.state(&request), state);
    assert_eq!(shop.runtime.woken.get(), Some(shop.after_a_turn()));
    shop.runtime.cycles.set(cycles);
    shop.later(10).will(duplicate_of(7));
    shop.tick();
    assert_eq!(settled_in(&shop.state(&request)), Some(7));
}

#[test]
fn attack_33_a_reading_that_cannot_be_paid_for_is_put_off() {
    let shop = shop();
    let request = shop.unknown(1, 1);
    let ours = shop.block(&request);
    shop.after_expiry();
    let (before, state) = (trace(), shop.state(&request));
    let cycles = shop.runtime.cycles.replace(Cycles(0));
    for _ in 0..20 {
        shop.later(10).tick();
    }
    assert_eq!((trace(), shop.runtime.made()), (before, 1));
    assert_eq!(shop.state(&request), state);
    assert_eq!(shop.runtime.woken.get(), Some(shop.after_a_turn()));
    // As soon as there are cycles, and not after the pauses of twenty searches.
    shop.runtime.cycles.set(cycles);
    shop.will_show(6, vec![(5, ours)]);
    shop.later(10).tick();
    assert_eq!(settled_in(&shop.state(&request)), Some(5));
}

#[test]
fn attack_33_no_more_is_begun_in_a_tick_than_can_be_paid_for() {
    let shop = shop();
    let requests: Vec<_> = (1..=5).map(|payer| shop.unknown(payer, 1)).collect();
    let one = ScriptedRuntime::CALL_COST;
    let two = Cycles(one.0 + with_spare(one).0);
    shop.runtime.cycles.set(two);
    shop.runtime.hold.set(true);
    shop.later(10);
    let mut ticking = Box::pin(tick(&shop.runtime));
    assert!(poll(ticking.as_mut()).is_pending());
    let settling =
        |request: &&PaymentRequest| matches!(shop.state(request), State::Settling { .. });
    assert_eq!(requests.iter().filter(settling).count(), 2);
    let others = requests.iter().filter(|request| !settling(request));
    for request in others {
        let State::Unknown { attempts, .. } = shop.state(request) else {
            panic!("{:?}", shop.state(request));
        };
        assert_eq!(attempts, 1);
    }
}
