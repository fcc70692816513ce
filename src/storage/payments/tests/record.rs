//! The tables that a payment passes through.

use super::super::record;
use super::*;

#[test]
fn should_move_a_payment_from_the_open_to_the_settled_ones() {
    set_up();
    record(&key(1), new(1), NOW).unwrap();
    assert_eq!(counts(), (0, 1, 1, 1));
    assert_eq!(by_key(&key(1)), Some(payment(1, 1)));
    assert!(awaits(3) && !awaits(4));
    assert_eq!(open_key(&payment(1, 1).id), Some(key(1)));
    let (_, opening) = opened(&key(1)).unwrap();
    assert_eq!(opening.valid_before, 1_800_000_300);
    assert_eq!(opening.known_block, Some(BlockIndex(4)));
    assert_eq!(opening.tried_at, NOW);
    assert!(!is_due(&key(1), NOW));
    assert!(is_due(&key(1), NOW.plus(NO_ANSWER)));

    let moved = Event::Moved {
        tx: TxRef::Block(BlockIndex(5)),
    };
    let paid = Change::Both(moved, Event::Delivered);
    let settled = record(&key(1), paid, NOW).unwrap();
    assert!(!has_work() && !awaits(3));
    with(|tables| assert_eq!(tables.deliveries.len(), 0));
    assert_eq!(settled.receipt().unwrap().tx, TxRef::Block(BlockIndex(5)));
    assert_eq!(by_key(&key(1)), Some(settled.clone()));
    assert_eq!(by_id(&settled.id), Some(settled.clone()));
    assert_eq!(page(0, 10), vec![(1, settled)]);
    assert_eq!(claims::highest_block(&ledger(0).id), Some(BlockIndex(5)));
    assert_eq!(claims::highest_block(&ledger(1).id), None);
    assert_eq!(counts(), (1, 0, 0, 0));
    assert!(open(0, 9).is_empty());
    let transitions: Vec<Transition> = audit::payments_after(0, 10)
        .iter()
        .map(|entry| entry.transition)
        .collect();
    assert_eq!(transitions, [Transition::Opened, Transition::Delivered(5)]);
}

#[test]
fn should_keep_the_nonce_of_a_failed_payment() {
    set_up();
    record(&key(1), new(1), NOW).unwrap();
    record(&key(1), event(Event::NotMoved(failure())), NOW).unwrap();
    let found = by_id(&payment(1, 1).id).unwrap();
    assert!(matches!(found.state, State::Failed { .. }));
    assert_eq!(by_key(&key(1)), Some(found));
    assert_eq!(failures(0, 10).len(), 1);
}

#[test]
fn should_keep_an_unknown_payment_open() {
    set_up();
    record(&key(1), new(1), NOW).unwrap();
    record(&key(1), event(Event::InDoubt(Doubt::Reject)), NOW).unwrap();
    let unknown = by_key(&key(1)).unwrap();
    assert!(matches!(unknown.state, State::Unknown { attempts: 1, .. }));
    assert_eq!(by_id(&unknown.id), Some(unknown));
    assert!(settling().is_empty());
    let later = NOW.plus(Seconds(60));
    record(&key(1), event(Event::Retried), later).unwrap();
    assert_eq!(opened(&key(1)).unwrap().1.tried_at, later);
    assert_eq!(settling(), vec![key(1)]);
    record(&key(1), event(Event::NotMoved(failure())), NOW).unwrap();
    assert!(matches!(
        by_key(&key(1)).unwrap().state,
        State::Unknown {
            doubt: Doubt::NoFunds,
            attempts: 2,
            ..
        }
    ));
}

#[test]
fn should_remember_what_is_owed_until_it_is_delivered_or_refunded() {
    set_up();
    let block = |n: u32| BlockIndex(u64::from(n) + 6);
    for n in [1, 2] {
        record(&key(n), new(n), NOW).unwrap();
        record(&key(n), event(Event::InDoubt(Doubt::Reject)), NOW).unwrap();
        let retried = Change::Event(Event::Retried);
        record(&key(n), retried, NOW).unwrap();
        record(
            &key(n),
            event(Event::Moved {
                tx: TxRef::Block(block(n)),
            }),
            NOW,
        )
        .unwrap();
    }
    // Delivered by another message of the same round.
    record(&key(3), new(3), NOW).unwrap();
    record(
        &key(3),
        event(Event::Moved {
            tx: TxRef::Block(block(3)),
        }),
        NOW,
    )
    .unwrap();
    record(&key(3), event(Event::Delivered), NOW).unwrap();
    with(|tables| assert_eq!(tables.deliveries.len(), 2));
    assert!(awaits(3));
    let stands = |n: u32| by_id(&payment(n, 1).id).unwrap().state;
    let later = NOW.plus(Seconds::DAY);
    let settled_at = NOW;
    assert_eq!(
        stands(1),
        State::Settled {
            tx: TxRef::Block(block(1)),
            at: NOW
        }
    );
    assert_eq!(in_lane(Lane::Undelivered, None, 9).len(), 2);
    let over = NOW.plus(config().limits.retention);
    assert_eq!(next_due(), Some(over));
    assert!(due(Lane::Undelivered, later, 9).is_empty());
    assert_eq!(due(Lane::Undelivered, over, 9).len(), 2);

    record(&key(1), event(Event::Delivered), later).unwrap();
    let delivered = State::Delivered {
        tx: TxRef::Block(block(1)),
        settled_at,
        at: later,
    };
    assert_eq!(stands(1), delivered);
    let due_now = Event::RefundDue {
        cause: RefundCause::NotFetched,
        approved: true,
    };
    assert!(record(&key(1), event(due_now.clone()), later).is_err());
    record(&key(2), event(due_now), later).unwrap();
    assert!(record(&key(2), event(Event::Delivered), later).is_err());
    assert_eq!(due(Lane::Refund, later, 9), vec![key(2)]);
    record(&key(2), event(Event::RefundTried), later).unwrap();
    assert_eq!(due(Lane::Refund, later, 9), vec![]);
    postpone(&key(2), later);
    assert!(is_due(&key(2), later));
    let problem = Event::RefundFailed(RefundProblem::InsufficientFunds);
    record(&key(2), event(problem), later).unwrap();
    let refunding = State::Refunding {
        tx: TxRef::Block(block(2)),
        settled_at,
        since: later,
        attempts: 1,
        cause: RefundCause::NotFetched,
        problem: RefundProblem::InsufficientFunds,
    };
    reload();
    assert_eq!((stands(1), stands(2)), (delivered, refunding));
    assert_eq!(in_lane(Lane::Refund, None, 9).len(), 1);
    let refund = Event::RefundMoved {
        tx: TxRef::Block(BlockIndex(11)),
    };
    record(&key(2), event(refund.clone()), later).unwrap();
    assert!(record(&key(2), event(refund), later).is_err());
    let refunded = State::Refunded {
        tx: TxRef::Block(block(2)),
        settled_at,
        refund_tx: TxRef::Block(BlockIndex(11)),
        at: later,
    };
    assert_eq!(stands(2), refunded);
    assert_eq!(by_key(&key(2)).unwrap().receipt(), None);
    assert!(!has_work() && !awaits(3));
    assert_eq!(
        stands(3),
        State::Delivered {
            tx: TxRef::Block(block(3)),
            settled_at: NOW,
            at: NOW
        }
    );
    assert_eq!(settled_count(), 3);
    assert_eq!(claims::highest_block(&ledger(0).id), Some(block(3)));
}

#[test]
fn should_refuse_what_does_not_fit_and_change_nothing() {
    set_up();
    let moved = || {
        event(Event::Moved {
            tx: TxRef::Block(BlockIndex(1)),
        })
    };
    assert!(matches!(
        record(&key(1), moved(), NOW),
        Err(RecordError::Illegal(_))
    ));
    record(&key(1), new(1), NOW).unwrap();
    assert!(matches!(
        record(&key(1), new(1), NOW),
        Err(RecordError::Illegal(_))
    ));
    assert!(matches!(
        record(&key(1), event(Event::Retried), NOW),
        Err(RecordError::Illegal(_))
    ));
    assert_eq!(by_key(&key(1)), Some(payment(1, 1)));
    assert_eq!(audit::payments_after(0, 10).len(), 1);
    let mut foreign = payment(2, 1);
    foreign.ledger = Principal::from_slice(&[99]);
    let change = begun(foreign);
    assert_eq!(
        record(&key(2), change, NOW),
        Err(RecordError::UnknownLedger)
    );
    assert_eq!(by_key(&key(2)), None);
}
