//! What becomes of a payment whose money is to go back.

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
        block,
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
                block: *block,
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
        Event::RefundMoved {
            block: refund_block,
        } => {
            return Ok(State::Refunded {
                block: *block,
                settled_at: *settled_at,
                refund_block: *refund_block,
                at: now,
            });
        }
        _ => return Err(illegal(Some(state), event)),
    }
    Ok(next)
}
