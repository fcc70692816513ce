use super::*;
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

pub(crate) fn arb_state() -> impl Strategy<Value = State> {
    prop_oneof![
        (1u16..).prop_map(|attempt| State::Settling { attempt }),
        (any::<u64>(), any::<u64>()).prop_map(|(b, t)| State::Settled {
            block: BlockIndex(b),
            at: TimestampNs(t)
        }),
        (arb_failure(), any::<u64>()).prop_map(|(failure, t)| State::Failed {
            failure,
            at: TimestampNs(t)
        }),
        (arb_doubt(), any::<u64>(), any::<u16>()).prop_map(|(doubt, t, attempts)| State::Unknown {
            doubt,
            since: TimestampNs(t),
            attempts
        }),
    ]
}

fn arb_event() -> impl Strategy<Value = Event> {
    prop_oneof![
        Just(Event::Opened),
        Just(Event::Retried),
        any::<u64>().prop_map(|b| Event::Moved {
            block: BlockIndex(b)
        }),
        arb_failure().prop_map(Event::NotMoved),
        arb_doubt().prop_map(Event::InDoubt),
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

    #[test]
    fn should_settle_on_the_first_try() {
        let settling = step(None, &Event::Opened, NOW).unwrap();
        assert_eq!(settling, State::Settling { attempt: 1 });
        let block = BlockIndex(3);
        assert_eq!(
            step(Some(&settling), &Event::Moved { block }, NOW),
            Ok(State::Settled { block, at: NOW })
        );
    }

    #[test]
    fn should_fail_on_the_first_try_only() {
        let first = State::Settling { attempt: 1 };
        assert!(matches!(
            step(Some(&first), &Event::NotMoved(failure()), NOW),
            Ok(State::Failed { .. })
        ));
        let second = State::Settling { attempt: 2 };
        assert_eq!(
            step(Some(&second), &Event::NotMoved(failure()), NOW),
            Ok(State::Unknown {
                doubt: Doubt::RetryRefused,
                since: NOW,
                attempts: 2
            })
        );
    }

    #[test]
    fn should_count_tries() {
        let unknown = State::Unknown {
            doubt: Doubt::Reject,
            since: NOW,
            attempts: 1,
        };
        assert_eq!(
            step(Some(&unknown), &Event::Retried, NOW),
            Ok(State::Settling { attempt: 2 })
        );
        // However long it goes on, a later try never passes for the first.
        for attempts in [0, u16::MAX] {
            let unknown = State::Unknown {
                doubt: Doubt::Reject,
                since: NOW,
                attempts,
            };
            let Ok(State::Settling { attempt }) = step(Some(&unknown), &Event::Retried, NOW) else {
                panic!("a retry settles");
            };
            assert!(attempt > 1);
        }
    }

    proptest! {
        /// Final states never change, and no event but `Opened` begins a payment.
        #[test]
        fn should_never_leave_a_final_state(state in arb_state(), event in arb_event()) {
            let after = super::super::step(Some(&state), &event, NOW);
            if matches!(state, State::Settled { .. } | State::Failed { .. }) {
                prop_assert!(after.is_err());
            }
            if event != Event::Opened {
                prop_assert!(super::super::step(None, &event, NOW).is_err());
            }
        }

        /// Whatever happens after the first doubt, no sequence of events frees the nonce, and nothing but
        /// `Moved` settles.
        #[test]
        fn should_never_fail_after_a_doubt(events in prop::collection::vec(arb_event(), 0..40)) {
            let mut state = State::Unknown { doubt: Doubt::Reject, since: NOW, attempts: 1 };
            for event in events {
                if let Ok(next) = super::super::step(Some(&state), &event, NOW) {
                    if matches!(next, State::Settled { .. }) {
                        prop_assert!(matches!(event, Event::Moved { .. }), "settled by {:?}", event);
                    }
                    state = next;
                }
                let failed = matches!(state, State::Failed { .. });
                prop_assert!(!failed);
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
