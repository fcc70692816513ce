//! The states of a payment whose fulfilment is the work of another canister.
//!
//! ```text
//!  Settled ──16 WorkCalled──▶ Working (try 1) ──9 Delivered──▶ Delivered     final
//!                              │  ▲       ▲          ▲
//!             17 WorkFailed    │  │ 16    │ 9: an answer that comes late
//!                              ▼  │       │
//!                             Undone ─────┘──10 RefundDue, 15──▶ Refunding
//! ```
//! 16. `WorkCalled`: the target is called; recorded before the call. Again only if no try can have done the work, or
//!     the target has declared that it does the work of one payment once.
//! 17. `WorkFailed`: the call ended without an answer that can be delivered.

use super::{Event, IllegalTransition, RefundCause, RefundProblem, State, illegal};
use crate::types::TimestampNs;

/// The reason why work was not done, as far as it is known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WorkProblem {
    /// The target did not run: the call was not sent, or could not reach the target.
    NotRun,
    /// The target answered with a status from 400 to 499: the same request would get the same answer.
    Refused,
    /// The target answered with a status from 500 to 599.
    Failed,
    /// The target's reply is not an answer that can be delivered: unreadable, too long, or with another status.
    Unusable,
    /// The target ended the call with an error: it rejected, trapped, or was stopped. It may have acted before.
    Error,
    /// The target's answer did not arrive in time. It may have acted, or act later.
    NoAnswer,
    /// This canister was upgraded before the target answered.
    Upgraded,
    /// This canister trapped while it handled the target's answer.
    Trapped,
}

impl WorkProblem {
    /// Every problem, in the order of their numbers in storage.
    pub const ALL: [WorkProblem; 8] = [
        WorkProblem::NotRun,
        WorkProblem::Refused,
        WorkProblem::Failed,
        WorkProblem::Unusable,
        WorkProblem::Error,
        WorkProblem::NoAnswer,
        WorkProblem::Upgraded,
        WorkProblem::Trapped,
    ];

    /// Whether this try provably did nothing.
    pub fn did_not_run(self) -> bool {
        self == WorkProblem::NotRun
    }

    /// Whether the target's call is known to have ended.
    pub fn has_ended(self) -> bool {
        !matches!(
            self,
            WorkProblem::NoAnswer | WorkProblem::Upgraded | WorkProblem::Trapped
        )
    }

    /// For a reader.
    pub const fn text(self) -> &'static str {
        match self {
            WorkProblem::NotRun => "the target could not be reached, and did nothing",
            WorkProblem::Refused => "the target refused the request (status 400 to 499)",
            WorkProblem::Failed => "the target failed (status 500 to 599)",
            WorkProblem::Unusable => "the target's reply cannot be delivered",
            WorkProblem::Error => {
                "the target ended the call with an error, which does not prove that it did nothing"
            }
            WorkProblem::NoAnswer => "the target did not answer in time",
            WorkProblem::Upgraded => "this canister was upgraded before the target answered",
            WorkProblem::Trapped => "this canister trapped while it handled the target's answer",
        }
    }
}

/// The part of [`step`](super::step) that begins in `Working` or `Undone`.
pub(super) fn step(
    state: &State,
    event: &Event,
    now: TimestampNs,
) -> Result<State, IllegalTransition> {
    Ok(match (state, event) {
        (
            State::Working { tx, settled_at, .. } | State::Undone { tx, settled_at, .. },
            Event::Delivered,
        ) => State::Delivered {
            tx: *tx,
            settled_at: *settled_at,
            at: now,
        },
        (
            State::Working {
                tx,
                settled_at,
                attempt,
                ..
            },
            Event::WorkFailed(problem),
        ) => State::Undone {
            tx: *tx,
            settled_at: *settled_at,
            since: now,
            attempts: *attempt,
            problem: *problem,
        },
        (
            State::Undone {
                tx,
                settled_at,
                attempts,
                problem,
                ..
            },
            Event::WorkCalled { idempotent },
        ) if *idempotent || problem.did_not_run() => State::Working {
            tx: *tx,
            settled_at: *settled_at,
            since: now,
            attempt: attempts.saturating_add(1),
        },
        (State::Undone { tx, settled_at, .. }, Event::RefundDue { cause, approved }) => {
            State::Refunding {
                tx: *tx,
                settled_at: *settled_at,
                since: now,
                attempts: 0,
                cause: *cause,
                problem: RefundProblem::first(*approved),
            }
        }
        (State::Undone { tx, settled_at, .. }, Event::RefundLeftToMerchant) => State::Refunding {
            tx: *tx,
            settled_at: *settled_at,
            since: now,
            attempts: 0,
            cause: RefundCause::Merchant,
            problem: RefundProblem::MerchantPays,
        },
        _ => return Err(illegal(Some(state), event)),
    })
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use crate::{
        domain::{payment::step, rail::TxRef},
        types::BlockIndex,
    };
    use proptest::prelude::*;

    pub(crate) fn arb_problem() -> impl Strategy<Value = WorkProblem> {
        prop::sample::select(WorkProblem::ALL.to_vec())
    }

    /// Working or undone.
    pub(crate) fn arb_state() -> impl Strategy<Value = State> {
        let any = any::<(u64, u64, u64, u16, bool)>();
        (any, arb_problem()).prop_map(|((block, settled_at, since, attempts, done), problem)| {
            let (tx, settled_at) = (TxRef::Block(BlockIndex(block)), TimestampNs(settled_at));
            let since = TimestampNs(since);
            match done {
                true => State::Working {
                    tx,
                    settled_at,
                    since,
                    attempt: attempts,
                },
                false => State::Undone {
                    tx,
                    settled_at,
                    since,
                    attempts,
                    problem,
                },
            }
        })
    }

    const NOW: TimestampNs = TimestampNs(7);
    const CALLED: Event = Event::WorkCalled { idempotent: false };
    const AGAIN: Event = Event::WorkCalled { idempotent: true };

    fn settled() -> State {
        State::Settled {
            tx: TxRef::Block(BlockIndex(8)),
            at: NOW,
        }
    }

    fn due() -> Event {
        Event::RefundDue {
            cause: RefundCause::NotDone,
            approved: true,
        }
    }

    #[test]
    fn work_that_may_have_been_done_is_done_again_only_by_targets_that_do_it_once() {
        let working = step(Some(&settled()), &CALLED, NOW).unwrap();
        for event in [CALLED, AGAIN, due(), Event::RefundLeftToMerchant] {
            assert!(step(Some(&working), &event, NOW).is_err(), "{event:?}");
        }
        for problem in WorkProblem::ALL {
            let undone = step(Some(&working), &Event::WorkFailed(problem), NOW).unwrap();
            assert!(undone.is_owed() && !undone.is_final());
            let allowed = step(Some(&undone), &CALLED, NOW).is_ok();
            assert_eq!(allowed, problem == WorkProblem::NotRun, "{problem:?}");
            let again = step(Some(&undone), &AGAIN, NOW).unwrap();
            assert!(matches!(again, State::Working { attempt: 2, .. }));
            let failed_twice = Event::WorkFailed(WorkProblem::NotRun);
            assert!(step(Some(&undone), &failed_twice, NOW).is_err());
        }
    }

    #[test]
    fn work_that_is_done_is_delivered_and_never_refunded() {
        let working = step(Some(&settled()), &CALLED, NOW).unwrap();
        let late = Event::WorkFailed(WorkProblem::NoAnswer);
        let undone = step(Some(&working), &late, NOW).unwrap();
        for before in [working, undone.clone()] {
            let done = step(Some(&before), &Event::Delivered, NOW).unwrap();
            assert!(done.is_final());
            assert!(step(Some(&done), &due(), NOW).is_err());
        }
        let refunding = step(Some(&undone), &due(), NOW).unwrap();
        for event in [Event::Delivered, AGAIN] {
            assert!(step(Some(&refunding), &event, NOW).is_err());
        }
    }

    #[test]
    fn no_payment_that_has_not_moved_gets_work() {
        let unknown = State::Unknown {
            doubt: crate::domain::payment::Doubt::Reject,
            since: NOW,
            attempts: 1,
            all_failed: false,
        };
        for state in [None, Some(&State::Reserved), Some(&unknown)] {
            assert!(step(state, &CALLED, NOW).is_err());
        }
    }
}
