//! The number of failures that are kept, and for how long.

use super::*;

#[test]
fn failures_are_bounded_and_not_forgotten_while_their_authorizations_are_good() {
    set_up();
    let fail = |n: u32, now: TimestampNs| {
        record(&key(n), new(n), now).unwrap();
        record(&key(n), event(Event::NotMoved(failure())), now).unwrap();
    };
    const MAX: u32 = MAX_FAILURES as u32;
    for n in 0..MAX + 5 {
        fail(n, NOW);
    }
    // They are valid for 300 seconds: none may be presented again and be paid after all.
    assert!(by_id(&payment(0, 1).id).is_some());
    with(|tables| assert_eq!(tables.failures.len(), MAX_FAILURES + 5));
    let expired = NOW.plus(Seconds(300));
    fail(MAX + 5, expired);
    // A second failure of the same payment adds no row.
    fail(9, expired);
    assert_eq!(by_id(&payment(5, 1).id), None);
    assert!(by_id(&payment(6, 1).id).is_some());
    with(|tables| {
        assert_eq!(tables.failures.len(), MAX_FAILURES);
        assert_eq!(tables.failures_by_number.len(), MAX_FAILURES);
    });
    assert_eq!(failures(MAX_FAILURES, 100).len(), 7);
}

/// Failures that expire at the same time were once all removed in the callback of the next one. That callback, and
/// every later one, ran out of instructions.
#[test]
fn failures_that_expire_together_are_forgotten_a_few_at_a_time() {
    set_up();
    let fail = |n: u32, now: TimestampNs| {
        record(&key(n), new(n), now).unwrap();
        record(&key(n), event(Event::NotMoved(failure())), now).unwrap();
    };
    const MANY: u32 = MAX_FAILURES as u32 + 100;
    for n in 0..MANY {
        fail(n, NOW);
    }
    let kept = || with(|tables| (tables.failures.len(), tables.failures_by_number.len()));
    let expired = NOW.plus(Seconds(300));
    fail(MANY, expired);
    let left = u64::from(MANY) + 1 - MAX_FORGOTTEN_AT_ONCE;
    assert_eq!(kept(), (left, left));
    for n in 1..=100 {
        fail(MANY + n, expired);
    }
    assert_eq!(kept(), (MAX_FAILURES, MAX_FAILURES));
}
