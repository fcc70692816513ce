//! The work of another canister that a payment buys: the request, the answer, and what may be done when it fails.
//!
//! The payment id is the idempotency key of the work: the target gets it with every try. A target that runs twice could
//! do the work twice, so a try that may have run is repeated only if the target declared itself idempotent.

mod answer;
mod request;

use crate::{
    domain::{
        forward::{Forward, OnFailure},
        payment::WorkProblem,
    },
    types::{Seconds, TimestampNs},
};
pub use answer::{Answer, MAX_ANSWER_BYTES, judge};
pub use request::{MAX_ARGUMENT_OVERHEAD, WorkRequest, is_ambiguous};

/// The most calls for one payment.
pub const MAX_CALLS: u16 = 10;

/// How long after a try whose end is not known the payer is refunded. An operator can find out meanwhile what the
/// target did.
pub const REFUND_AFTER: Seconds = Seconds(600);

/// The work that a payment bought. It is fixed when the payment is opened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Work {
    pub forward: Forward,
    /// The MIME type of an answer that names none.
    pub mime_type: String,
    pub request: WorkRequest,
}

/// What happens next to work that was not done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Next {
    /// The target is called again.
    Call { at: TimestampNs },
    /// The payer is refunded.
    Refund { at: TimestampNs },
}

/// A call that could not be made for so long is not made any more.
pub const GIVE_UP: Seconds = Seconds::DAY;

/// What happens after try number `attempts` ended at `since` with this problem. `pause`: until the next try.
pub fn next(
    forward: &Forward,
    problem: WorkProblem,
    attempts: u16,
    since: TimestampNs,
    pause: Seconds,
    now: TimestampNs,
) -> Next {
    let may_repeat = problem.did_not_run() || forward.idempotent;
    // The same request would be refused again.
    let can_help = problem != WorkProblem::Refused;
    let retries = forward.on_failure == OnFailure::Retry;
    let in_time = now <= since.plus(pause).plus(GIVE_UP);
    if retries && may_repeat && can_help && in_time && attempts < MAX_CALLS {
        let at = since.plus(pause);
        return Next::Call { at };
    }
    let at = match problem.has_ended() {
        true => since,
        false => since.plus(REFUND_AFTER),
    };
    Next::Refund { at }
}

/// The bytes that works and their answers take, and those that they may take.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Room {
    /// The limit of all content. Works and answers take at most half of it, so that sales cannot keep an operator from
    /// uploading.
    pub limit: u64,
    /// All content, works and answers included.
    pub all: u64,
    /// Works and answers.
    pub works: u64,
    /// Works whose answer may arrive now.
    pub in_progress: u32,
}

impl Room {
    /// Whether one more work with a request of this size may begin: its answer has room, however long it is.
    pub fn is_left(&self, request_bytes: u64) -> bool {
        let answers = (u64::from(self.in_progress) + 1) * MAX_ANSWER_BYTES as u64;
        let more = answers.saturating_add(request_bytes);
        self.works.saturating_add(more) <= self.limit / 2
            && self.all.saturating_add(more) <= self.limit
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::forward::tests::forward;

    const NOW: TimestampNs = TimestampNs(1_000);
    const PAUSE: Seconds = Seconds(5);

    #[test]
    fn work_is_repeated_only_if_it_cannot_be_done_twice() {
        for problem in WorkProblem::ALL {
            for idempotent in [false, true] {
                for on_failure in OnFailure::ALL {
                    let forward = Forward {
                        idempotent,
                        on_failure,
                        ..forward()
                    };
                    let next = next(&forward, problem, 1, NOW, PAUSE, NOW);
                    let repeated = on_failure == OnFailure::Retry
                        && (idempotent || problem == WorkProblem::NotRun)
                        && problem != WorkProblem::Refused;
                    let at = NOW.plus(PAUSE);
                    assert_eq!(next == Next::Call { at }, repeated, "{problem:?}");
                    assert!(repeated || matches!(next, Next::Refund { .. }));
                }
            }
        }
    }

    #[test]
    fn the_payer_is_refunded_at_once_if_no_answer_can_come_and_after_a_while_if_it_is_not_known() {
        let refund = |problem| next(&forward(), problem, 1, NOW, PAUSE, NOW);
        for problem in WorkProblem::ALL {
            let wait = match problem {
                WorkProblem::NoAnswer | WorkProblem::Upgraded | WorkProblem::Trapped => {
                    REFUND_AFTER
                }
                _ => Seconds(0),
            };
            let at = NOW.plus(wait);
            assert_eq!(refund(problem), Next::Refund { at }, "{problem:?}");
        }
    }

    #[test]
    fn tries_are_bounded() {
        let forward = Forward {
            idempotent: true,
            on_failure: OnFailure::Retry,
            ..forward()
        };
        let at = |attempts, now| next(&forward, WorkProblem::Failed, attempts, NOW, PAUSE, now);
        let after = |attempts| at(attempts, NOW);
        assert!(matches!(after(MAX_CALLS - 1), Next::Call { .. }));
        assert!(matches!(after(MAX_CALLS), Next::Refund { .. }));
        assert!(matches!(after(u16::MAX), Next::Refund { .. }));
        let last = NOW.plus(PAUSE).plus(GIVE_UP);
        assert!(matches!(at(1, last), Next::Call { .. }));
        let late = TimestampNs(last.0 + 1);
        assert!(matches!(at(1, late), Next::Refund { .. }));
    }

    #[test]
    fn answers_take_half_of_the_content_at_most() {
        let (limit, answer) = (10_000_000, MAX_ANSWER_BYTES as u64);
        let room = Room {
            limit,
            all: 0,
            works: 0,
            in_progress: 0,
        };
        assert!(room.is_left(limit / 2 - answer));
        assert!(!room.is_left(limit / 2 - answer + 1));
        let busy = Room {
            in_progress: 1,
            ..room
        };
        assert!(busy.is_left(0));
        assert!(
            !Room {
                in_progress: 2,
                ..room
            }
            .is_left(0)
        );
        let full = Room {
            all: limit - answer,
            ..room
        };
        assert!(full.is_left(0) && !full.is_left(1));
    }
}
