use super::{
    rows::{BookRow, FateRow},
    *,
};
use crate::{
    domain::payment::{Doubt, Failure, FailureKind, RefundCause, RefundProblem, tests::arb_state},
    storage::{
        audit::{self, Transition},
        claims,
        codec::tests::arb_account,
        config,
        config::tests::config,
        ledgers,
        ledgers::tests::ledger,
        memory,
    },
    types::{Account, Amount, BlockIndex, Fingerprint, Method, Proof, RouteKey, Seconds},
};
use ic_stable_structures::Storable;
use proptest::prelude::*;

const NOW: TimestampNs = TimestampNs(1_800_000_000_000_000_000);

pub(crate) fn set_up() {
    config::write(&config()).unwrap();
    ledgers::put(&ledger(0)).unwrap();
}

/// The n-th payment of the payer with this number.
pub(crate) fn payment(n: u32, payer: u8) -> Payment {
    let mut id = [0; 32];
    id[..4].copy_from_slice(&n.to_be_bytes());
    // As long as a self-authenticating principal.
    let owner = Principal::from_slice(&[payer; 29]);
    Payment {
        id: PaymentId(id),
        network: "icp:1".into(),
        ledger: ledger(0).id,
        from: Account::from(owner),
        to: Account::from(Principal::from_slice(&[9; 29])),
        amount: Amount(10_000),
        fee: Amount(10),
        request: RouteKey::new(Method::Get, "/articles/forty-two"),
        fingerprint: Fingerprint([1; 16]),
        proof: Proof([2; 16]),
        created_at: NOW,
        response: Some(3),
        state: State::Settling { attempt: 1 },
    }
}

/// As after an upgrade.
pub(crate) fn reload() {
    TABLES.with_borrow_mut(|tables| *tables = Tables::load());
}

/// A payment in this ledger, settled in this block.
pub(crate) fn settled_in(ledger: Principal, block: u64) {
    let payment = Payment {
        ledger,
        ..payment(1, 1)
    };
    let new = NewPayment {
        payment,
        valid_before: None,
        known_block: None,
    };
    record(&key(1), Change::Open(Box::new(new)), NOW).unwrap();
    let block = BlockIndex(block);
    let paid = Change::Both(Event::Moved { block }, Event::Delivered);
    record(&key(1), paid, NOW).unwrap();
}

fn key(n: u32) -> NonceKey {
    let mut key = [0; 16];
    key[..4].copy_from_slice(&n.wrapping_mul(2_654_435_761).to_be_bytes());
    NonceKey(key)
}

fn new(n: u32) -> Change {
    let payment = payment(n, 1);
    Change::Open(Box::new(NewPayment {
        payment,
        valid_before: Some(1_800_000_300),
        known_block: Some(BlockIndex(4)),
    }))
}

fn event(event: Event) -> Change {
    Change::Event(event)
}

fn settle(n: u32) {
    record(&key(n), new(n), NOW).unwrap();
    let block = BlockIndex(n.into());
    let paid = Change::Both(Event::Moved { block }, Event::Delivered);
    record(&key(n), paid, NOW).unwrap();
}

/// Settled, open, open of the payer, waiting for the ledger.
fn counts() -> (u64, u64, u32, u32) {
    let load = load(&payment(1, 1).from.owner, &ledger(0).id, NOW);
    (
        load.settled,
        load.open,
        load.open_of_payer,
        load.ledger.settling,
    )
}

fn open_counts() -> (u64, u32) {
    let (_, open, of_payer, _) = counts();
    (open, of_payer)
}

fn failure() -> Failure {
    Failure {
        kind: FailureKind::InsufficientFunds,
        message: "no".into(),
    }
}

mod record {
    use super::super::record;
    use super::*;

    #[test]
    fn should_move_a_settled_payment_from_the_journal_to_the_books() {
        set_up();
        record(&key(1), new(1), NOW).unwrap();
        assert_eq!(counts(), (0, 1, 1, 1));
        assert_eq!(by_nonce(&key(1)), Some(payment(1, 1)));
        assert!(awaits(3) && !awaits(4));
        assert_eq!(open_key(&payment(1, 1).id), Some(key(1)));
        let (_, opening) = opened(&key(1)).unwrap();
        assert_eq!(opening.valid_before, Some(1_800_000_300));
        assert_eq!(opening.known_block, Some(BlockIndex(4)));
        assert_eq!(opening.tried_at, NOW);
        assert!(!is_due(&key(1), NOW));
        assert!(is_due(&key(1), NOW.plus(NO_ANSWER)));

        let moved = Event::Moved {
            block: BlockIndex(5),
        };
        let paid = Change::Both(moved, Event::Delivered);
        let settled = record(&key(1), paid, NOW).unwrap();
        assert!(!has_work() && !awaits(3));
        with(|tables| assert_eq!(tables.fates.len(), 0));
        assert_eq!(settled.receipt().unwrap().block_index, BlockIndex(5));
        assert_eq!(by_nonce(&key(1)), Some(settled.clone()));
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
        assert_eq!(by_nonce(&key(1)), Some(found));
        assert_eq!(failures(0, 10).len(), 1);
    }

    #[test]
    fn should_keep_an_unknown_payment_in_the_journal() {
        set_up();
        record(&key(1), new(1), NOW).unwrap();
        record(&key(1), event(Event::InDoubt(Doubt::Reject)), NOW).unwrap();
        let unknown = by_nonce(&key(1)).unwrap();
        assert!(matches!(unknown.state, State::Unknown { attempts: 1, .. }));
        assert_eq!(by_id(&unknown.id), Some(unknown));
        assert!(settling().is_empty());
        let later = NOW.plus(Seconds(60));
        record(&key(1), event(Event::Retried), later).unwrap();
        assert_eq!(opened(&key(1)).unwrap().1.tried_at, later);
        assert_eq!(settling(), vec![key(1)]);
        record(&key(1), event(Event::NotMoved(failure())), NOW).unwrap();
        assert!(matches!(
            by_nonce(&key(1)).unwrap().state,
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
            record(&key(n), event(Event::Moved { block: block(n) }), NOW).unwrap();
        }
        // Delivered by another message, which the system ran at the same time.
        record(&key(3), new(3), NOW).unwrap();
        record(&key(3), event(Event::Moved { block: block(3) }), NOW).unwrap();
        record(&key(3), event(Event::Delivered), NOW).unwrap();
        with(|tables| assert_eq!(tables.fates.len(), 2));
        assert!(awaits(3));
        let stands = |n: u32| by_id(&payment(n, 1).id).unwrap().state;
        let later = NOW.plus(Seconds::DAY);
        let settled_at = NOW;
        assert_eq!(
            stands(1),
            State::Settled {
                block: block(1),
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
            block: block(1),
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
            block: block(2),
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
            block: BlockIndex(11),
        };
        record(&key(2), event(refund.clone()), later).unwrap();
        assert!(record(&key(2), event(refund), later).is_err());
        let refunded = State::Refunded {
            block: block(2),
            settled_at,
            refund_block: BlockIndex(11),
            at: later,
        };
        assert_eq!(stands(2), refunded);
        assert_eq!(by_nonce(&key(2)).unwrap().receipt(), None);
        assert!(!has_work() && !awaits(3));
        assert_eq!(
            stands(3),
            State::Delivered {
                block: block(3),
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
                block: BlockIndex(1),
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
        assert_eq!(by_nonce(&key(1)), Some(payment(1, 1)));
        assert_eq!(audit::payments_after(0, 10).len(), 1);
        let mut foreign = payment(2, 1);
        foreign.ledger = Principal::from_slice(&[99]);
        let change = Change::Open(Box::new(NewPayment {
            payment: foreign,
            valid_before: None,
            known_block: None,
        }));
        assert_eq!(
            record(&key(2), change, NOW),
            Err(RecordError::UnknownLedger)
        );
        assert_eq!(by_nonce(&key(2)), None);
    }
}

/// Messages of one round have the same time: the payment was delivered, and would be refunded as well.
#[test]
fn a_payment_settled_and_delivered_in_one_round_is_not_left_undelivered() {
    set_up();
    record(&key(1), new(1), NOW).unwrap();
    let block = BlockIndex(1);
    record(&key(1), event(Event::Moved { block }), NOW).unwrap();
    let delivered = record(&key(1), event(Event::Delivered), NOW).unwrap();
    assert_eq!(by_nonce(&key(1)), Some(delivered));
    assert!(!has_work());
}

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
    // They are good for 300 seconds: none may be presented again and be paid after all.
    assert!(by_id(&payment(0, 1).id).is_some());
    with(|tables| assert_eq!(tables.failures.len(), MAX_FAILURES + 5));
    let expired = NOW.plus(Seconds(300));
    fail(MAX + 5, expired);
    // The same again takes no more room.
    fail(9, expired);
    assert_eq!(by_id(&payment(5, 1).id), None);
    assert!(by_id(&payment(6, 1).id).is_some());
    with(|tables| {
        assert_eq!(tables.failures.len(), MAX_FAILURES);
        assert_eq!(tables.failures_by_number.len(), MAX_FAILURES);
    });
    assert_eq!(failures(MAX_FAILURES, 100).len(), 7);
}

/// Many failures that expire at the same time were all forgotten in the callback of the next one, which ran out
/// of instructions then, and so did every later one.
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

#[test]
fn ids_that_share_their_first_half_are_told_apart() {
    set_up();
    settle(1);
    let mut other = payment(1, 1).id;
    other.0[31] = 1;
    assert_eq!(by_id(&other), None);
}

#[test]
fn the_heap_is_rebuilt_from_the_journal() {
    set_up();
    record(&key(1), new(1), NOW).unwrap();
    record(&key(2), new(2), NOW).unwrap();
    record(&key(2), event(Event::InDoubt(Doubt::Reject)), NOW).unwrap();
    settle(3);
    let all = || {
        let lane = in_lane(Lane::Open, None, 9);
        (open(0, 9), settled_count(), open_counts(), lane, next_due())
    };
    let before = all();
    reload();
    assert_eq!(before, all());
    assert!(awaits(3));
    assert_eq!(page(0, 10).len(), 1);
}

#[test]
fn open_payments_are_counted_by_ledger() {
    set_up();
    ledgers::put(&ledger(1)).unwrap();
    let in_ledger = |n: u8| load(&payment(1, 1).from.owner, &ledger(n).id, NOW).open_of_ledger;
    for n in 1..=3 {
        record(&key(n), new(n), NOW).unwrap();
    }
    record(&key(1), event(Event::InDoubt(Doubt::Reject)), NOW).unwrap();
    assert_eq!((in_ledger(0), in_ledger(1)), (3, 0));
    reload();
    assert_eq!((in_ledger(0), in_ledger(1)), (3, 0));
    record(&key(1), event(Event::ResolvedNotMoved(failure())), NOW).unwrap();
    let block = BlockIndex(7);
    record(&key(2), event(Event::Moved { block }), NOW).unwrap();
    assert_eq!((in_ledger(0), in_ledger(1)), (1, 0));
}

#[test]
fn a_payment_takes_at_most_400_bytes() {
    set_up();
    // Measured as growth of the tables themselves over many payments, indexes and audit log included.
    let used = || {
        with(|tables| tables.books.log_size_bytes() + tables.books.index_size_bytes())
            + memory_bytes(memory::BOOKS_BY_NONCE)
            + memory_bytes(memory::BOOKS_BY_ID)
            + memory_bytes(memory::JOURNAL)
            + memory_bytes(memory::AUDIT_PAYMENTS)
            + memory_bytes(memory::CLAIMS)
    };
    let before = used();
    const N: u32 = 20_000;
    for n in 0..N {
        settle(n);
    }
    let each = (used() - before) / u64::from(N);
    println!("{each} bytes a payment");
    assert!(each <= 400, "{each} bytes a payment");
}

fn memory_bytes(id: ic_stable_structures::memory_manager::MemoryId) -> u64 {
    use ic_stable_structures::Memory;
    memory::get(id).size() * 65_536
}

proptest! {
    #[test]
    fn rows_are_read_back(
        state in arb_state(),
        from in arb_account(),
        to in arb_account(),
        amounts: (u128, u128),
        bytes: ([u8; 16], [u8; 16]),
        created_at: u64,
        method in 0usize..5,
        path in "/[a-z{}]{0,30}",
    ) {
        set_up();
        let payment = Payment {
            from,
            to,
            amount: Amount(amounts.0),
            fee: Amount(amounts.1),
            fingerprint: Fingerprint(bytes.0),
            proof: Proof(bytes.1),
            created_at: TimestampNs(created_at),
            request: RouteKey::new(Method::ALL[method], path),
            state,
            ..payment(1, 1)
        };
        let opening = Opening {
            valid_before: Some(amounts.0 as u64),
            known_block: (amounts.1 % 2 == 0).then_some(BlockIndex(7)),
            tried_at: NOW,
        };
        let back = match &payment.state {
            state if state.is_open() => {
                let row = OpenRow::from_bytes(OpenRow::new(&payment, &opening).unwrap().to_bytes());
                let tried_at = match state {
                    State::Unknown { since, .. } => *since,
                    _ => NOW,
                };
                prop_assert_eq!(row.opening(), Opening { tried_at, ..opening });
                row.payment()
            }
            State::Failed { .. } => {
                FailureRow::from_bytes(FailureRow::new(&payment, 7, Some(8)).unwrap().to_bytes()).payment()
            }
            state => {
                let fate = FateRow::new(&key(1), state).map(|fate| {
                    let fate = FateRow::from_bytes(fate.to_bytes());
                    assert_eq!(fate.key(), key(1));
                    fate
                });
                BookRow::from_bytes(BookRow::new(&payment).unwrap().to_bytes()).payment(fate)
            }
        };
        // Accounts are compared exactly, not up to the default subaccount.
        prop_assert_eq!(back.from.subaccount, payment.from.subaccount);
        prop_assert_eq!(back, payment);
    }
}
