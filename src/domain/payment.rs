//! The life of a payment.
//!
//! ```text
//!          1 Opened             2 Called                  3 Moved
//!  (none) ─────────▶ Reserved ─────────▶ Settling (try 1) ───────▶ Settled ──┐ 9 Delivered
//!                       │                 │     │ 4 NotMoved          │      ▼
//!                       │ 4 NotMoved      │     ▼                     │   Delivered         final
//!                       └─────────────────│──▶ Failed    final        │
//!                                         │     ▲                     │ 10 RefundDue
//!                               5 InDoubt │     │ 8 ProvedNotMoved    ▼
//!                                         ▼     │ or 14        Refunding ◀─┐ 11 RefundTried, RefundFailed,
//!                           13 Lapsed  Unknown ─┤                     │  └──┘    RefundApproved, 15
//!                                        ▲ │    │ 7 ProvedMoved or 14 │ 12 RefundMoved
//!                   5 InDoubt, 4 NotMoved│ │    └────▶ Settled        ▼
//!                                        │ ▼ 6 Retried             Refunded             final
//!                                      Settling (try 2, 3, …) ── 3 Moved ──▶ Settled
//! ```
//! 1. `Opened`: the authorization was verified; claim key and `created_at_time` are recorded.
//! 2. `Called`: the ledger is called for the first time. Recorded before the call, with `Opened` in one write.
//! 3. `Moved`: the ledger's answer proves that the money moved. From here on the resource is owed. An answer that
//!    arrives after the payment became unknown proves the same.
//! 4. `NotMoved` before or on the first try: the money provably did not move. Final: one authorization has one outcome,
//!    so a payer who signs a new one is not charged for both when somebody repeats the first. On a later try it proves
//!    only that the later try did nothing: ledgers differ in what they check before they look for duplicates. The
//!    payment is unknown again.
//! 5. `InDoubt`: the answer proves neither (system errors, unreadable replies, an upgrade or a trap between the call
//!    and its answer, no answer at all).
//! 6. `Retried`: the same call again, with the same memo and `created_at_time`, so that the ledger itself finds out
//!    whether it was done before.
//! 7. `ProvedMoved`: the ledger's block log holds the transfer.
//! 8. `ProvedNotMoved`: the ledger's complete block log, read when it could no longer make the transfer, lacks it.
//! 9. `Delivered`: this message answers with the resource. In one write with `Moved` if the request still waits. The
//!    same request gets the same answer again afterwards, without an event. A payment whose refund waits for a
//!    controller can be delivered, too: no money is owed yet, so the resource is.
//! 10. `RefundDue`: nothing was delivered, and the payer is refunded instead. If the money went to an account that is
//!     neither the canister's nor its `pay_to`, no money is owed before a controller has agreed (`RefundApproved`).
//! 11. `RefundTried`: the ledger is called for the refund; recorded before the call. `RefundFailed`: the reason why it
//!     is still owed.
//! 12. `RefundMoved`: the refund is in a block.
//! 13. `Lapsed`, of an unknown payment all of whose tries failed and that no ledger can make any more: it stays
//!     unknown, and nothing is held for it from now on.
//! 14. `ResolvedMoved`, `ResolvedNotMoved`, of an unknown payment: as 7 and 8, by a controller's decision, where no log
//!     decides.
//! 15. `RefundLeftToMerchant`, of a payment that is settled or whose refund waits for a controller: the merchant pays
//!     the payer back without the canister. Nothing is delivered any more, so that the payer does not get both. The
//!     refund waits until a controller has named the block (`RefundApproved` and `RefundMoved` in one write), or lets
//!     the canister pay after all (`RefundApproved`).
//!
//! `work` has the events 16 and 17, of payments whose fulfilment is the work of another canister.
//!
//! *All tries failed* if each was refused, or ended by an error of the ledger's own ([`Doubt::LedgerError`]). That is
//! no proof, but keys without money can have such payments whenever a ledger is stopped. After any other unclear
//! answer, all tries failed only if a later one was refused for want of balance or allowance ([`Doubt::NoFunds`]), and
//! every one since failed as well.
//!
//! Every other combination is refused and changes nothing. `Failed`, `Delivered` and `Refunded` are final, and the
//! block of a payment never changes.

mod reasons;
mod record;
mod refunding;
mod work;

use crate::{domain::rail::TxRef, types::TimestampNs};
pub use reasons::{
    Doubt, Failure, FailureKind, MAX_MESSAGE_BYTES, RefundCause, RefundProblem, message,
};
pub use record::{Offered, Payment, Receipt};
pub use work::WorkProblem;

/// The state of a payment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum State {
    /// Recorded; the ledger has not been called.
    Reserved,
    /// The ledger has been called and has not answered yet.
    Settling {
        /// The number of this try, from 1.
        attempt: u16,
        /// Whether all earlier tries failed; true on the first.
        all_failed: bool,
    },
    /// It is not known whether the money moved.
    Unknown {
        doubt: Doubt,
        /// The time of the last try.
        since: TimestampNs,
        /// The number of calls so far.
        attempts: u16,
        /// Whether all tries failed: the last ones were refused or ended by an error of the ledger's own, and those
        /// before, if any, were followed by a refusal for want of funds.
        all_failed: bool,
    },
    /// The money provably did not move.
    Failed {
        failure: Failure,
        /// When the canister found out.
        at: TimestampNs,
    },
    /// The money moved, and the resource has not been delivered yet.
    Settled {
        /// The proof that the money moved.
        tx: TxRef,
        /// When the canister found out.
        at: TimestampNs,
    },
    /// The money moved, and the canister that does the work was called and has not answered yet.
    Working {
        /// The proof that the money moved.
        tx: TxRef,
        /// When the canister found out.
        settled_at: TimestampNs,
        /// The time of the call.
        since: TimestampNs,
        /// The number of this try, from 1.
        attempt: u16,
    },
    /// The money moved, and the last try of the work gave nothing that can be delivered.
    Undone {
        /// The proof that the money moved.
        tx: TxRef,
        /// When the canister found out.
        settled_at: TimestampNs,
        /// When the last try ended.
        since: TimestampNs,
        /// The number of calls so far.
        attempts: u16,
        problem: WorkProblem,
    },
    /// The money moved, and an answer with the resource was sent, or is stored: work was done.
    Delivered {
        /// The proof that the money moved.
        tx: TxRef,
        /// When the canister found out.
        settled_at: TimestampNs,
        /// When the answer was sent for the first time, or the work was done.
        at: TimestampNs,
    },
    /// The payer is to be refunded.
    Refunding {
        /// The proof of the payment.
        tx: TxRef,
        /// When the canister found out.
        settled_at: TimestampNs,
        /// The time from which the refund is due.
        since: TimestampNs,
        /// The number of calls for it.
        attempts: u16,
        cause: RefundCause,
        /// The reason why it has not been made yet.
        problem: RefundProblem,
    },
    /// The payer has been refunded.
    Refunded {
        /// The proof of the payment.
        tx: TxRef,
        /// When the canister found out.
        settled_at: TimestampNs,
        /// The proof of the refund.
        refund_tx: TxRef,
        /// When the canister found out about the refund.
        at: TimestampNs,
    },
}

impl State {
    /// The proof that the money moved, and when the canister found out.
    pub fn moved(&self) -> Option<(TxRef, TimestampNs)> {
        match self {
            State::Settled { tx, at } => Some((*tx, *at)),
            State::Working { tx, settled_at, .. }
            | State::Undone { tx, settled_at, .. }
            | State::Delivered { tx, settled_at, .. }
            | State::Refunding { tx, settled_at, .. }
            | State::Refunded { tx, settled_at, .. } => Some((*tx, *settled_at)),
            _ => None,
        }
    }

    /// Whether it is not known yet whether the money moved.
    pub fn is_open(&self) -> bool {
        matches!(
            self,
            State::Reserved | State::Settling { .. } | State::Unknown { .. }
        )
    }

    /// Whether it is unknown, and nothing needs to be held for it once no ledger can make it any more.
    pub fn can_lapse(&self) -> bool {
        matches!(self, State::Unknown { doubt, all_failed: true, .. } if *doubt != Doubt::Lapsed)
    }

    /// Whether it is unknown and nothing is held for it any more.
    pub fn has_lapsed(&self) -> bool {
        matches!(
            self,
            State::Unknown {
                doubt: Doubt::Lapsed,
                ..
            }
        )
    }

    /// Whether the payer is refunded as soon as a controller agrees.
    pub fn waits_for_controller(&self) -> bool {
        matches!(
            self,
            State::Refunding {
                problem: RefundProblem::NeedsController,
                ..
            }
        )
    }

    /// Whether there is a refund that is not made before a controller decides: [`RefundProblem::waits`].
    pub fn is_waiting(&self) -> bool {
        matches!(self, State::Refunding { problem, .. } if problem.waits())
    }

    /// Whether the resource is kept for the payer: it is owed, or will be if the money moved. Not for a lapsed payment:
    /// if its money is still found to have moved, the resource is owed then. While a refund waits for a controller the
    /// resource is owed, because the payer would have neither otherwise.
    pub fn is_owed(&self) -> bool {
        (self.is_open() && !self.has_lapsed())
            || matches!(
                self,
                State::Settled { .. } | State::Working { .. } | State::Undone { .. }
            )
            || self.waits_for_controller()
    }

    /// Whether no event can change the payment any more.
    pub fn is_final(&self) -> bool {
        matches!(
            self,
            State::Failed { .. } | State::Delivered { .. } | State::Refunded { .. }
        )
    }
}

/// An event in the life of a payment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// Recorded for the first time.
    Opened,
    /// The ledger is called for the first time.
    Called,
    /// The ledger is called again.
    Retried,
    /// The ledger's answer proves that the money moved.
    Moved { tx: TxRef },
    /// The ledger proved that this try moved nothing, or was not called at all.
    NotMoved(Failure),
    /// The answer proves nothing.
    InDoubt(Doubt),
    /// The ledger's block log holds the transfer.
    ProvedMoved { tx: TxRef },
    /// The ledger's complete block log lacks the transfer, and the ledger can no longer make it.
    ProvedNotMoved(Failure),
    /// The present message answers with the resource, or the work is done.
    Delivered,
    /// The canister that does the work is called.
    WorkCalled {
        /// Whether it has declared that it does the work of one payment once.
        idempotent: bool,
    },
    /// The call gave nothing that can be delivered.
    WorkFailed(WorkProblem),
    /// Nothing is held any more for a payment all of whose tries failed.
    Lapsed,
    /// A controller has found the transfer.
    ResolvedMoved { tx: TxRef },
    /// A controller has found that there is no transfer, and will be none.
    ResolvedNotMoved(Failure),
    /// The payer is to be refunded.
    RefundDue {
        cause: RefundCause,
        /// Whether it is owed at once, or a controller has to agree first.
        approved: bool,
    },
    /// A controller has agreed to the refund.
    RefundApproved,
    /// A controller has decided that the merchant pays back without the canister.
    RefundLeftToMerchant,
    /// The ledger is called for the refund.
    RefundTried,
    /// The refund was not made, or its outcome is unknown.
    RefundFailed(RefundProblem),
    /// The refund was made.
    RefundMoved { tx: TxRef },
}

/// The event does not fit the state. Nothing changed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{event:?} does not fit {state:?}")]
pub struct IllegalTransition {
    /// `None` if there is no payment.
    pub state: Option<State>,
    pub event: Event,
}

/// The state after `event`. Every pair of state and event has a result.
pub fn step(
    state: Option<&State>,
    event: &Event,
    now: TimestampNs,
) -> Result<State, IllegalTransition> {
    let unknown = |doubt: Doubt, attempts, all_failed| State::Unknown {
        doubt,
        since: now,
        attempts,
        all_failed: doubt.all_failed(all_failed),
    };
    let failed = |failure: &Failure| State::Failed {
        failure: failure.clone(),
        at: now,
    };
    Ok(match (state, event) {
        (None, Event::Opened) => State::Reserved,
        (Some(State::Reserved), Event::Called) => State::Settling {
            attempt: 1,
            all_failed: true,
        },
        (
            Some(State::Unknown {
                attempts,
                all_failed,
                ..
            }),
            Event::Retried,
        ) => State::Settling {
            attempt: attempts.saturating_add(1).max(2),
            all_failed: *all_failed,
        },
        (Some(State::Settling { .. } | State::Unknown { .. }), Event::Moved { tx })
        | (Some(State::Unknown { .. }), Event::ProvedMoved { tx } | Event::ResolvedMoved { tx }) => {
            State::Settled { tx: *tx, at: now }
        }
        (Some(State::Reserved | State::Settling { attempt: 1, .. }), Event::NotMoved(failure))
        | (
            Some(State::Unknown { .. }),
            Event::ProvedNotMoved(failure) | Event::ResolvedNotMoved(failure),
        ) => failed(failure),
        (
            Some(State::Settling {
                attempt,
                all_failed,
            }),
            Event::NotMoved(failure),
        ) => unknown(Doubt::of_refused_retry(failure), *attempt, *all_failed),
        (
            Some(State::Settling {
                attempt,
                all_failed,
            }),
            Event::InDoubt(doubt),
        ) => unknown(*doubt, *attempt, *all_failed),
        (
            Some(
                state @ State::Unknown {
                    since,
                    attempts,
                    all_failed,
                    ..
                },
            ),
            Event::Lapsed,
        ) if state.can_lapse() => State::Unknown {
            doubt: Doubt::Lapsed,
            since: *since,
            attempts: *attempts,
            all_failed: *all_failed,
        },
        (Some(State::Settled { tx, at }), Event::Delivered) => State::Delivered {
            tx: *tx,
            settled_at: *at,
            at: now,
        },
        (Some(State::Settled { tx, at }), Event::RefundDue { cause, approved }) => {
            State::Refunding {
                tx: *tx,
                settled_at: *at,
                since: now,
                attempts: 0,
                cause: *cause,
                problem: RefundProblem::first(*approved),
            }
        }
        (Some(State::Settled { tx, at }), Event::RefundLeftToMerchant) => State::Refunding {
            tx: *tx,
            settled_at: *at,
            since: now,
            attempts: 0,
            cause: RefundCause::Merchant,
            problem: RefundProblem::MerchantPays,
        },
        (Some(State::Settled { tx, at }), Event::WorkCalled { .. }) => State::Working {
            tx: *tx,
            settled_at: *at,
            since: now,
            attempt: 1,
        },
        (Some(state @ (State::Working { .. } | State::Undone { .. })), event) => {
            return work::step(state, event, now);
        }
        (Some(state @ State::Refunding { .. }), event) => {
            return refunding::step(state, event, now);
        }
        (state, event) => return Err(illegal(state, event)),
    })
}

fn illegal(state: Option<&State>, event: &Event) -> IllegalTransition {
    IllegalTransition {
        state: state.cloned(),
        event: event.clone(),
    }
}

#[cfg(test)]
pub(crate) mod tests;
