use super::*;
use crate::{domain::rail::TxRef, types::BlockIndex};
use proptest::prelude::*;

pub(crate) fn arb_failure() -> impl Strategy<Value = Failure> {
    (0..FailureKind::ALL.len(), "\\PC{0,40}").prop_map(|(kind, text)| Failure {
        kind: FailureKind::ALL[kind],
        message: text,
    })
}

fn arb_doubt() -> impl Strategy<Value = Doubt> {
    (0..Doubt::ALL.len()).prop_map(|n| Doubt::ALL[n])
}

fn arb_cause() -> impl Strategy<Value = RefundCause> {
    (0..RefundCause::ALL.len()).prop_map(|n| RefundCause::ALL[n])
}

fn arb_problem() -> impl Strategy<Value = RefundProblem> {
    (0..RefundProblem::ALL.len()).prop_map(|n| RefundProblem::ALL[n])
}

pub(crate) fn arb_state() -> impl Strategy<Value = State> {
    let block = || any::<u64>().prop_map(BlockIndex);
    let time = || any::<u64>().prop_map(TimestampNs);
    prop_oneof![
        Just(State::Reserved),
        (1u16.., any::<bool>()).prop_map(|(attempt, all_failed)| State::Settling {
            attempt,
            all_failed: all_failed || attempt == 1,
        }),
        (block(), time()).prop_map(|(block, at)| State::Settled {
            tx: TxRef::Block(block),
            at
        }),
        (arb_failure(), time()).prop_map(|(failure, at)| State::Failed { failure, at }),
        work::tests::arb_state(),
        (arb_doubt(), time(), any::<u16>(), any::<bool>()).prop_map(
            |(doubt, since, attempts, all_failed)| State::Unknown {
                doubt,
                since,
                attempts,
                all_failed,
            }
        ),
        (block(), time(), time()).prop_map(|(block, settled_at, at)| State::Delivered {
            tx: TxRef::Block(block),
            settled_at,
            at
        }),
        (
            block(),
            time(),
            time(),
            any::<u16>(),
            arb_cause(),
            arb_problem()
        )
            .prop_map(|(block, settled_at, since, attempts, cause, problem)| {
                State::Refunding {
                    tx: TxRef::Block(block),
                    settled_at,
                    since,
                    attempts,
                    cause,
                    problem,
                }
            }),
        (block(), time(), block(), time()).prop_map(|(block, settled_at, refund_block, at)| {
            State::Refunded {
                tx: TxRef::Block(block),
                settled_at,
                refund_tx: TxRef::Block(refund_block),
                at,
            }
        }),
    ]
}

pub(crate) fn arb_event() -> impl Strategy<Value = Event> {
    let block = || any::<u64>().prop_map(BlockIndex);
    prop_oneof![
        Just(Event::Opened),
        Just(Event::Called),
        Just(Event::Retried),
        block().prop_map(|block| Event::Moved {
            tx: TxRef::Block(block)
        }),
        arb_failure().prop_map(Event::NotMoved),
        arb_doubt().prop_map(Event::InDoubt),
        block().prop_map(|block| Event::ProvedMoved {
            tx: TxRef::Block(block)
        }),
        arb_failure().prop_map(Event::ProvedNotMoved),
        Just(Event::Delivered),
        any::<bool>().prop_map(|idempotent| Event::WorkCalled { idempotent }),
        work::tests::arb_problem().prop_map(Event::WorkFailed),
        Just(Event::Lapsed),
        block().prop_map(|block| Event::ResolvedMoved {
            tx: TxRef::Block(block)
        }),
        arb_failure().prop_map(Event::ResolvedNotMoved),
        (arb_cause(), any::<bool>())
            .prop_map(|(cause, approved)| Event::RefundDue { cause, approved }),
        Just(Event::RefundApproved),
        Just(Event::RefundLeftToMerchant),
        Just(Event::RefundTried),
        arb_problem().prop_map(Event::RefundFailed),
        block().prop_map(|block| Event::RefundMoved {
            tx: TxRef::Block(block)
        }),
    ]
}

fn failure() -> Failure {
    Failure {
        kind: FailureKind::InsufficientFunds,
        message: "x".into(),
    }
}

const NOW: TimestampNs = TimestampNs(7);

mod step {
    use super::*;

    fn settling_in(attempt: u16) -> State {
        State::Settling {
            attempt,
            all_failed: attempt == 1,
        }
    }

    fn unknown(doubt: Doubt, attempts: u16, all_failed: bool) -> State {
        State::Unknown {
            doubt,
            since: NOW,
            attempts,
            all_failed,
        }
    }

    #[test]
    fn failed_tries_do_not_count_when_a_later_one_may_have_moved_the_money() {
        let all_failed = unknown(Doubt::NoFunds, 2, true);
        let retried = step(Some(&all_failed), &Event::Retried, NOW).unwrap();
        for kind in FailureKind::ALL {
            let refused = Event::NotMoved(Failure { kind, ..failure() });
            let after = step(Some(&retried), &refused, NOW).unwrap();
            assert!(after.can_lapse(), "{kind:?}");
        }
        for doubt in [
            Doubt::Reject,
            Doubt::UnreadableReply,
            Doubt::Trapped,
            Doubt::Upgraded,
            Doubt::ImplausibleBlock,
            Doubt::NoAnswer,
        ] {
            let after = step(Some(&retried), &Event::InDoubt(doubt), NOW).unwrap();
            assert_eq!(after, unknown(doubt, 3, false));
            let once_more = step(Some(&after), &Event::Retried, NOW).unwrap();
            assert_eq!(once_more, settling_in(4));
        }
        let after = step(Some(&retried), &Event::InDoubt(Doubt::LedgerError), NOW);
        assert_eq!(after, Ok(unknown(Doubt::LedgerError, 3, true)));
    }

    #[test]
    fn should_settle_on_the_first_try() {
        let reserved = step(None, &Event::Opened, NOW).unwrap();
        let settling = step(Some(&reserved), &Event::Called, NOW).unwrap();
        assert_eq!(settling, settling_in(1));
        let block = BlockIndex(3);
        let settled = step(
            Some(&settling),
            &Event::Moved {
                tx: TxRef::Block(block),
            },
            NOW,
        )
        .unwrap();
        assert_eq!(
            settled,
            State::Settled {
                tx: TxRef::Block(block),
                at: NOW
            }
        );
        let later = TimestampNs(9);
        assert_eq!(
            step(Some(&settled), &Event::Delivered, later),
            Ok(State::Delivered {
                tx: TxRef::Block(block),
                settled_at: NOW,
                at: later
            })
        );
    }

    #[test]
    fn should_fail_a_payment_that_was_never_sent() {
        let event = Event::NotMoved(failure());
        assert!(matches!(
            step(Some(&State::Reserved), &event, NOW),
            Ok(State::Failed { .. })
        ));
    }

    #[test]
    fn should_believe_the_block_log_only_about_what_is_unknown() {
        let unknown = unknown(Doubt::Reject, 3, false);
        let block = BlockIndex(8);
        let moved = Event::ProvedMoved {
            tx: TxRef::Block(block),
        };
        let not_moved = Event::ProvedNotMoved(failure());
        assert_eq!(
            step(Some(&unknown), &moved, NOW),
            Ok(State::Settled {
                tx: TxRef::Block(block),
                at: NOW
            })
        );
        assert!(matches!(
            step(Some(&unknown), &not_moved, NOW),
            Ok(State::Failed { .. })
        ));
        let settling = settling_in(2);
        assert!(step(Some(&settling), &moved, NOW).is_err());
        assert!(step(Some(&settling), &not_moved, NOW).is_err());
    }

    #[test]
    fn should_fail_on_the_first_try_only() {
        let first = settling_in(1);
        assert!(matches!(
            step(Some(&first), &Event::NotMoved(failure()), NOW),
            Ok(State::Failed { .. })
        ));
        let second = settling_in(2);
        assert_eq!(
            step(Some(&second), &Event::NotMoved(failure()), NOW),
            Ok(unknown(Doubt::NoFunds, 2, true))
        );
        let other = Failure {
            kind: FailureKind::FeeChanged,
            ..failure()
        };
        assert!(matches!(
            step(Some(&second), &Event::NotMoved(other), NOW),
            Ok(State::Unknown {
                doubt: Doubt::RetryRefused,
                ..
            })
        ));
    }

    #[test]
    fn only_a_payment_whose_tries_all_failed_lapses_and_it_stays_unknown() {
        let lapsed = unknown(Doubt::Lapsed, 2, true);
        for doubt in Doubt::ALL {
            let later = TimestampNs(9);
            let clear = step(Some(&unknown(doubt, 2, true)), &Event::Lapsed, later);
            match doubt {
                Doubt::Lapsed => assert!(clear.is_err(), "once"),
                _ => assert_eq!(clear.as_ref(), Ok(&lapsed), "{doubt:?}"),
            }
            let unclear = step(Some(&unknown(doubt, 2, false)), &Event::Lapsed, later);
            assert!(unclear.is_err(), "{doubt:?}");
        }
        assert!(lapsed.is_open() && !lapsed.is_owed());
        let block = BlockIndex(8);
        assert_eq!(
            step(
                Some(&lapsed),
                &Event::ProvedMoved {
                    tx: TxRef::Block(block)
                },
                NOW
            ),
            Ok(State::Settled {
                tx: TxRef::Block(block),
                at: NOW
            }),
            "the log still decides"
        );
    }

    #[test]
    fn should_count_tries() {
        assert_eq!(
            step(
                Some(&unknown(Doubt::Reject, 1, false)),
                &Event::Retried,
                NOW
            ),
            Ok(settling_in(2))
        );
        // After any number of tries, a later one is never taken for the first.
        for attempts in [0, u16::MAX] {
            let unknown = unknown(Doubt::Reject, attempts, false);
            let retried = step(Some(&unknown), &Event::Retried, NOW);
            let Ok(State::Settling { attempt, .. }) = retried else {
                panic!("a retry settles");
            };
            assert!(attempt > 1);
        }
    }

    /// The possible transitions, as the module's documentation lists them.
    fn fits(state: Option<&State>, event: &Event) -> bool {
        match event {
            Event::Opened => state.is_none(),
            Event::Called => matches!(state, Some(State::Reserved)),
            Event::Retried
            | Event::ProvedMoved { .. }
            | Event::ProvedNotMoved(_)
            | Event::ResolvedMoved { .. }
            | Event::ResolvedNotMoved(_) => {
                matches!(state, Some(State::Unknown { .. }))
            }
            Event::Lapsed => state.is_some_and(State::can_lapse),
            Event::Moved { .. } => {
                matches!(state, Some(State::Settling { .. } | State::Unknown { .. }))
            }
            Event::InDoubt(_) => matches!(state, Some(State::Settling { .. })),
            Event::NotMoved(_) => {
                matches!(state, Some(State::Reserved | State::Settling { .. }))
            }
            Event::RefundDue { .. } => {
                matches!(state, Some(State::Settled { .. } | State::Undone { .. }))
            }
            Event::Delivered => state.is_some_and(|state| {
                let owed = state.moved().is_some() && state.is_owed();
                owed || state.waits_for_controller()
            }),
            Event::WorkCalled { idempotent } => match state {
                Some(State::Undone { problem, .. }) => *idempotent || problem.did_not_run(),
                state => matches!(state, Some(State::Settled { .. })),
            },
            Event::WorkFailed(_) => matches!(state, Some(State::Working { .. })),
            Event::RefundFailed(problem) if problem.waits() => false,
            Event::RefundLeftToMerchant => state.is_some_and(|state| {
                matches!(state, State::Settled { .. } | State::Undone { .. })
                    || state.waits_for_controller()
            }),
            Event::RefundTried
            | Event::RefundFailed(_)
            | Event::RefundMoved { .. }
            | Event::RefundApproved => match state {
                Some(State::Refunding { problem, .. }) => {
                    problem.waits() == (*event == Event::RefundApproved)
                }
                _ => false,
            },
        }
    }

    proptest! {
        #[test]
        fn should_take_what_fits_and_nothing_else(
            state in prop::option::of(arb_state()),
            event in arb_event(),
        ) {
            let after = super::super::step(state.as_ref(), &event, NOW);
            prop_assert_eq!(after.is_ok(), fits(state.as_ref(), &event));
            if state.is_some_and(|state| state.is_final()) {
                prop_assert!(after.is_err());
            }
        }

        /// A state is final exactly if no further event is accepted.
        #[test]
        fn should_be_final_exactly_if_no_event_is_accepted(state in arb_state()) {
            let tx = TxRef::Block(BlockIndex(1));
            let events = [
                Event::Called,
                Event::Moved { tx },
                Event::Delivered,
                Event::RefundApproved,
                Event::RefundTried,
            ];
            let refused = |event| super::super::step(Some(&state), event, NOW).is_err();
            let over = events.iter().all(refused);
            prop_assert_eq!(state.is_final(), over);
        }

        /// After any events in any order, the known facts about the money never change. The block of a payment stays, a
        /// failure is never paid, nothing is both delivered and refunded, by the canister or the merchant, and there is
        /// at most one refund. A payment that cannot be delivered any more is being refunded, or was.
        #[test]
        fn should_never_change_what_is_known_of_the_money(
            events in prop::collection::vec(arb_event(), 0..200),
        ) {
            let mut state: Option<State> = None;
            let mut moved: Option<BlockIndex> = None;
            let (mut failed, mut delivered, mut due, mut refunds) = (false, false, false, 0);
            let mut closed = false;
            for event in events {
                let Ok(next) = super::super::step(state.as_ref(), &event, NOW) else {
                    continue;
                };
                match event {
                    Event::Moved { tx: TxRef::Block(block)}
                    | Event::ProvedMoved { tx: TxRef::Block(block)}
                    | Event::ResolvedMoved { tx: TxRef::Block(block)} => {
                        prop_assert!(moved.is_none() && !failed);
                        moved = Some(block);
                    }
                    Event::Delivered => {
                        prop_assert!(moved.is_some() && !due && !delivered && !closed);
                        delivered = true;
                    }
                    Event::RefundDue { approved, .. } => {
                        prop_assert!(moved.is_some() && !due && !delivered);
                        due = approved;
                    }
                    Event::RefundApproved => {
                        prop_assert!(moved.is_some() && !due && !delivered);
                        due = true;
                    }
                    Event::RefundLeftToMerchant => {
                        prop_assert!(moved.is_some() && !due && !delivered && !closed);
                        closed = true;
                    }
                    Event::RefundMoved { .. } => refunds += 1,
                    _ => {}
                }
                failed |= matches!(next, State::Failed { .. });
                prop_assert_eq!(next.moved().map(|(TxRef::Block(block), _)| block), moved);
                let goes_back = matches!(next, State::Refunding { .. } | State::Refunded { .. });
                prop_assert!(goes_back || !closed);
                prop_assert!(!(closed && next.is_owed()));
                state = Some(next);
            }
            prop_assert!(refunds <= 1 && (refunds == 0 || due));
        }

        /// After any tries in any order: a payment lapses if each ended with a refusal or an error of the ledger's own,
        /// except for those before a refusal for want of funds.
        #[test]
        fn should_lapse_only_after_failed_tries(
            tries in prop::collection::vec(
                prop_oneof![
                    arb_failure().prop_map(Event::NotMoved),
                    arb_doubt().prop_map(Event::InDoubt),
                    Just(Event::InDoubt(Doubt::LedgerError)),
                ],
                1..8,
            ),
        ) {
            let mut state = step(Some(&State::Reserved), &Event::Called, NOW).unwrap();
            let mut unclear = false;
            for (n, event) in tries.iter().enumerate() {
                if n == 0 && !matches!(event, Event::InDoubt(_)) {
                    return Ok(());
                }
                state = step(Some(&state), event, NOW).unwrap();
                unclear = match event {
                    Event::NotMoved(failure) => {
                        let funds = [FailureKind::InsufficientFunds, FailureKind::InsufficientAllowance];
                        unclear && !funds.contains(&failure.kind)
                    }
                    Event::InDoubt(Doubt::LedgerError | Doubt::RetryRefused) => unclear,
                    // No answer leaves these by itself.
                    Event::InDoubt(Doubt::NoFunds | Doubt::Lapsed) => return Ok(()),
                    _ => true,
                };
                let lapsed = step(Some(&state), &Event::Lapsed, NOW);
                prop_assert_eq!(lapsed.is_ok(), !unclear, "{:?}", tries);
                if n + 1 < tries.len() {
                    // It lapses now or later, and is tried again or not: the result is the same.
                    let from = if n % 2 == 0 { lapsed.as_ref().unwrap_or(&state) } else { &state };
                    state = step(Some(from), &Event::Retried, NOW).unwrap();
                }
            }
        }

        /// After the first doubt, only the ledger's answer that the money moved, its whole block log, or a controller
        /// decides.
        #[test]
        fn should_never_fail_after_a_doubt_without_the_block_log(
            events in prop::collection::vec(arb_event(), 0..40),
        ) {
            let mut state = unknown(Doubt::Reject, 1, false);
            for event in events {
                let Ok(next) = super::super::step(Some(&state), &event, NOW) else {
                    continue;
                };
                if matches!(next, State::Failed { .. }) {
                    let proved = matches!(event, Event::ProvedNotMoved(_) | Event::ResolvedNotMoved(_));
                    prop_assert!(proved, "failed by {:?}", event);
                }
                state = next;
            }
        }
    }
}

#[test]
fn messages_are_cut_between_characters() {
    assert_eq!(message("short"), "short");
    let cut = message("ü".repeat(200));
    assert!(cut.len() <= MAX_MESSAGE_BYTES && cut.chars().all(|c| c == 'ü'));
}
