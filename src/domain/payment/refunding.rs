//! The states of a payment that is to be refunded.

use super::{Event, IllegalTransition, RefundProblem, State, illegal};
use crate::types::TimestampNs;

/// The part of [`step`](super::step) that begins in `Refunding`.
pub(super) fn step(
    state: &State,
    event: &Event,
    now: TimestampNs,
) -> Result<State, IllegalTransition> {
    let mut next = state.clone();
    let State::Refunding {
        tx,
        settled_at,
        attempts,
        problem,
        ..
    } = &mut next
    else {
        return Err(illegal(Some(state), event));
    };
    match event {
        Event::RefundApproved if problem.waits() => *problem = RefundProblem::NotTried,
        Event::RefundLeftToMerchant if *problem == RefundProblem::NeedsController => {
            *problem = RefundProblem::MerchantPays;
        }
        Event::Delivered if *problem == RefundProblem::NeedsController => {
            return Ok(State::Delivered {
                tx: *tx,
                settled_at: *settled_at,
                at: now,
            });
        }
        _ if problem.waits() => return Err(illegal(Some(state), event)),
        Event::RefundTried => {
            *attempts = attempts.saturating_add(1);
            *problem = RefundProblem::Unclear;
        }
        Event::RefundFailed(reason) if !reason.waits() => *problem = *reason,
        Event::RefundMoved { tx: refund_tx } => {
            return Ok(State::Refunded {
                tx: *tx,
                settled_at: *settled_at,
                refund_tx: *refund_tx,
                at: now,
            });
        }
        _ => return Err(illegal(Some(state), event)),
    }
    Ok(next)
}

#[cfg(test)]
mod tests {
    use crate::{
        domain::{
            payment::{self, Event, RefundCause, RefundProblem, State},
            rail::TxRef,
        },
        types::{BlockIndex, TimestampNs},
    };

    const NOW: TimestampNs = TimestampNs(7);

    #[test]
    fn a_refund_that_needs_a_controller_takes_nothing_but_approval_or_the_delivery() {
        let settled = State::Settled {
            tx: TxRef::Block(BlockIndex(8)),
            at: NOW,
        };
        let due = Event::RefundDue {
            cause: RefundCause::NotFetched,
            approved: false,
        };
        let waits = payment::step(Some(&settled), &due, NOW).unwrap();
        let problem = |state: &State| match state {
            State::Refunding { problem, .. } => *problem,
            other => panic!("{other:?}"),
        };
        assert_eq!(problem(&waits), RefundProblem::NeedsController);
        for event in [
            Event::RefundTried,
            Event::RefundFailed(RefundProblem::Refused),
            Event::RefundMoved {
                tx: TxRef::Block(BlockIndex(9)),
            },
        ] {
            assert!(
                payment::step(Some(&waits), &event, NOW).is_err(),
                "{event:?}"
            );
        }
        assert!(waits.is_owed());
        let (block, at) = (BlockIndex(8), TimestampNs(9));
        let delivered = State::Delivered {
            tx: TxRef::Block(block),
            settled_at: NOW,
            at,
        };
        assert_eq!(
            payment::step(Some(&waits), &Event::Delivered, at),
            Ok(delivered)
        );
        let approved = payment::step(Some(&waits), &Event::RefundApproved, NOW).unwrap();
        assert!(!approved.is_owed());
        assert!(payment::step(Some(&approved), &Event::Delivered, at).is_err());
        assert_eq!(problem(&approved), RefundProblem::NotTried);
        assert!(payment::step(Some(&approved), &Event::RefundApproved, NOW).is_err());
        let back = Event::RefundFailed(RefundProblem::NeedsController);
        assert!(payment::step(Some(&approved), &back, NOW).is_err());
    }

    #[test]
    fn a_refund_that_is_left_to_the_merchant_closes_the_delivery_and_takes_nothing_but_approval() {
        let (block, later) = (BlockIndex(8), TimestampNs(9));
        let settled = State::Settled {
            tx: TxRef::Block(block),
            at: NOW,
        };
        let due = Event::RefundDue {
            cause: RefundCause::NotFetched,
            approved: false,
        };
        let waits = payment::step(Some(&settled), &due, NOW).unwrap();
        let left = Event::RefundLeftToMerchant;
        for (before, cause, since) in [
            (settled, RefundCause::Merchant, later),
            (waits, RefundCause::NotFetched, NOW),
        ] {
            let closed = payment::step(Some(&before), &left, later).unwrap();
            let expected = State::Refunding {
                tx: TxRef::Block(block),
                settled_at: NOW,
                since,
                attempts: 0,
                cause,
                problem: RefundProblem::MerchantPays,
            };
            assert_eq!(closed, expected);
            assert!(closed.is_waiting() && !closed.waits_for_controller());
            assert!(!closed.is_owed(), "the resource cannot be fetched any more");
            let made = Event::RefundMoved {
                tx: TxRef::Block(BlockIndex(9)),
            };
            for event in [
                Event::Delivered,
                Event::RefundTried,
                made.clone(),
                left.clone(),
            ] {
                assert!(
                    payment::step(Some(&closed), &event, later).is_err(),
                    "{event:?}"
                );
            }
            let approved = payment::step(Some(&closed), &Event::RefundApproved, later).unwrap();
            assert!(!approved.is_waiting());
            assert!(
                payment::step(Some(&approved), &left, later).is_err(),
                "the refund may be made"
            );
            let refunded = payment::step(Some(&approved), &made, later);
            assert!(matches!(refunded, Ok(State::Refunded { .. })));
        }
    }
}
