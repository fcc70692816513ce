//! The life of a payment.
//!
//! ```text
//!          1 Opened             2 Asked                   3 Moved
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
//! 1. `Opened`: the authorization was verified; nonce and `created_at_time` are journalled.
//! 2. `Asked`: the ledger is asked for the first time. Journalled before the call, with `Opened` in one
//!    write.
//! 3. `Moved`: the ledger's answer proves that the money moved. From here on the content is owed. An answer that comes
//!    after the payment was taken for unknown proves no less.
//! 4. `NotMoved` before or on the first try: it provably did not. Final: one authorization has one
//!    outcome, so that a payer who signs anew is not charged for both when somebody repeats the first.
//!    On a later try it proves only that the later try did nothing: ledgers differ in what they check
//!    before they look for duplicates. The payment is unknown again.
//! 5. `InDoubt`: the answer proves neither (system errors, unreadable replies, an upgrade or a trap
//!    between the call and its answer, no answer at all).
//! 6. `Retried`: the same call again, with the same memo and `created_at_time`, so that the ledger itself
//!    finds out whether it was done before.
//! 7. `ProvedMoved`: the ledger's block log holds the transfer.
//! 8. `ProvedNotMoved`: the ledger's complete block log, read when it could take the transfer no more,
//!    lacks it.
//! 9. `Delivered`: this message answers with what was paid for. With `Moved` in one write if the request
//!    still waits. The same request gets the same answer again afterwards; that is no event. Also of a payment
//!    whose refund waits for a controller: no money is owed yet, so what was bought is.
//! 10. `RefundDue`: nothing was delivered, and will not be: the payer gets the money back. If the money went
//!     to an account that is neither the canister's nor the host's, nothing is owed before a controller has
//!     agreed (`RefundApproved`).
//! 11. `RefundTried`: the ledger is asked for the refund; journalled before the call. `RefundFailed`: why
//!     it is still owed.
//! 12. `RefundMoved`: the refund is in a block.
//! 13. `Lapsed`, of an unknown payment whose tries were in vain and that no ledger makes any more: it stays unknown,
//!     and nothing is held for it from now on.
//! 14. `ResolvedMoved`, `ResolvedNotMoved`, of an unknown payment: as 7 and 8, on the word of a controller, where no
//!     log can tell.
//! 15. `RefundLeftToMerchant`, of a payment that is settled or whose refund waits for a controller: the merchant pays it
//!     back without the canister. Nothing is delivered any more, so that the payer does not get both; the refund waits
//!     until a controller has named the block (`RefundApproved` and `RefundMoved` in one write), or has the canister
//!     pay after all (`RefundApproved`).
//!
//! *In vain* is a payment while every try of it was: refused, or ended by an error of the ledger's own
//! ([`Doubt::LedgerError`]). That proves nothing, but keys without money can have such payments whenever a ledger is
//! stopped. After any other unclear answer a payment is in vain only if a later try was refused for want of balance or
//! allowance ([`Doubt::NoFunds`]), and every one since was in vain as well.
//!
//! Every other combination is refused and changes nothing. `Failed`, `Delivered` and `Refunded` are
//! final, and the block of a payment never changes.

mod reasons;
mod record;
mod refunding;

use crate::{domain::rail::TxRef, types::TimestampNs};
pub use reasons::{
    Doubt, Failure, FailureKind, MAX_MESSAGE_BYTES, RefundCause, RefundProblem, message,
};
pub use record::{Payment, Receipt};

/// Where a payment stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum State {
    /// Journalled; the ledger has not been asked.
    Reserved,
    /// The ledger has been asked and has not answered yet.
    Settling {
        /// Which try this is, from 1.
        attempt: u16,
        /// Whether the earlier tries were in vain, as on the first.
        in_vain: bool,
    },
    /// Nobody knows yet whether the money moved.
    Unknown {
        /// Why not.
        doubt: Doubt,
        /// Since when, counted from the last try.
        since: TimestampNs,
        /// How often the ledger has been asked.
        attempts: u16,
        /// Whether the tries were in vain: the last ones refused or ended by an error of the ledger's own, and those
        /// before, if any, followed by a refusal for want of funds.
        in_vain: bool,
    },
    /// The money provably did not move.
    Failed {
        /// Why.
        failure: Failure,
        /// When we learnt it.
        at: TimestampNs,
    },
    /// The money moved, and what was bought has not been delivered yet.
    Settled {
        /// The proof of it.
        tx: TxRef,
        /// When we learnt it.
        at: TimestampNs,
    },
    /// The money moved, and an answer with what was bought went out.
    Delivered {
        /// The proof that it moved.
        tx: TxRef,
        /// When we learnt of it.
        settled_at: TimestampNs,
        /// When the answer went out for the first time.
        at: TimestampNs,
    },
    /// The payer gets the money back.
    Refunding {
        /// The proof of the payment.
        tx: TxRef,
        /// When we learnt of it.
        settled_at: TimestampNs,
        /// Since when the refund is due.
        since: TimestampNs,
        /// How often the ledger was asked for it.
        attempts: u16,
        /// Why it is due.
        cause: RefundCause,
        /// Why it has not been made yet.
        problem: RefundProblem,
    },
    /// The payer has got the money back.
    Refunded {
        /// The proof of the payment.
        tx: TxRef,
        /// When we learnt of it.
        settled_at: TimestampNs,
        /// The proof of the refund.
        refund_tx: TxRef,
        /// When we learnt of that.
        at: TimestampNs,
    },
}

impl State {
    /// The proof that the money moved, and when we learnt of it.
    pub fn moved(&self) -> Option<(TxRef, TimestampNs)> {
        match self {
            State::Settled { tx, at } => Some((*tx, *at)),
            State::Delivered { tx, settled_at, .. }
            | State::Refunding { tx, settled_at, .. }
            | State::Refunded { tx, settled_at, .. } => Some((*tx, *settled_at)),
            _ => None,
        }
    }

    /// Whether nobody knows yet whether the money will have moved.
    pub fn is_open(&self) -> bool {
        matches!(
            self,
            State::Reserved | State::Settling { .. } | State::Unknown { .. }
        )
    }

    /// Whether it is unknown, and nothing needs to be held for it once no ledger makes it any more.
    pub fn can_lapse(&self) -> bool {
        matches!(self, State::Unknown { doubt, in_vain: true, .. } if *doubt != Doubt::Lapsed)
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

    /// Whether the payer gets the money back if a controller agrees, and has not got it yet for want of that.
    pub fn waits_for_controller(&self) -> bool {
        matches!(
            self,
            State::Refunding {
                problem: RefundProblem::NeedsController,
                ..
            }
        )
    }

    /// Whether a refund waits that nobody makes before a controller has said something: [`RefundProblem::waits`].
    pub fn is_waiting(&self) -> bool {
        matches!(self, State::Refunding { problem, .. } if problem.waits())
    }

    /// Whether what was bought is kept for the payer: it is owed, or will be if the money moved. Not of a payment that
    /// has lapsed, although its money may still be found to have moved, and what was bought is owed then. While a
    /// refund waits for a controller it is owed still: the payer would have neither otherwise.
    pub fn is_owed(&self) -> bool {
        (self.is_open() && !self.has_lapsed())
            || matches!(self, State::Settled { .. })
            || self.waits_for_controller()
    }

    /// Whether nothing can happen to the payment any more.
    pub fn is_final(&self) -> bool {
        matches!(
            self,
            State::Failed { .. } | State::Delivered { .. } | State::Refunded { .. }
        )
    }
}

/// What happens to a payment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// Journalled for the first time.
    Opened,
    /// The ledger is asked for the first time.
    Asked,
    /// The ledger is asked again.
    Retried,
    /// The ledger's answer proves that the money moved.
    Moved {
        /// The proof of it.
        tx: TxRef,
    },
    /// The ledger proved that this try moved nothing, or was not asked at all.
    NotMoved(Failure),
    /// The answer proves nothing.
    InDoubt(Doubt),
    /// The ledger's block log holds the transfer.
    ProvedMoved {
        /// The proof of it.
        tx: TxRef,
    },
    /// The ledger's complete block log lacks the transfer, and will not get it any more.
    ProvedNotMoved(Failure),
    /// The present message answers with what was bought.
    Delivered,
    /// Nothing is held any more for a payment that was tried in vain.
    Lapsed,
    /// A controller has found the transfer.
    ResolvedMoved {
        /// The proof of it.
        tx: TxRef,
    },
    /// A controller has found that there is no transfer, and will be none.
    ResolvedNotMoved(Failure),
    /// The payer is to get the money back.
    RefundDue {
        /// Why.
        cause: RefundCause,
        /// Whether it is owed at once, or a controller has to agree first.
        approved: bool,
    },
    /// A controller has agreed to the refund.
    RefundApproved,
    /// A controller has said that the merchant pays back without the canister.
    RefundLeftToMerchant,
    /// The ledger is asked for the refund.
    RefundTried,
    /// The refund was not made, or nobody knows.
    RefundFailed(RefundProblem),
    /// The refund was made.
    RefundMoved {
        /// The proof of it.
        tx: TxRef,
    },
}

/// The event does not fit the state. Nothing changed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{event:?} does not fit {state:?}")]
pub struct IllegalTransition {
    /// Where the payment stands; `None` if there is none.
    pub state: Option<State>,
    /// What was to happen.
    pub event: Event,
}

/// The state after `event`. Total: every pair of state and event has an answer.
pub fn step(
    state: Option<&State>,
    event: &Event,
    now: TimestampNs,
) -> Result<State, IllegalTransition> {
    let unknown = |doubt: Doubt, attempts, in_vain| State::Unknown {
        doubt,
        since: now,
        attempts,
        in_vain: doubt.is_in_vain(in_vain),
    };
    let failed = |failure: &Failure| State::Failed {
        failure: failure.clone(),
        at: now,
    };
    Ok(match (state, event) {
        (None, Event::Opened) => State::Reserved,
        (Some(State::Reserved), Event::Asked) => State::Settling {
            attempt: 1,
            in_vain: true,
        },
        (
            Some(State::Unknown {
                attempts, in_vain, ..
            }),
            Event::Retried,
        ) => State::Settling {
            attempt: attempts.saturating_add(1).max(2),
            in_vain: *in_vain,
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
        (Some(State::Settling { attempt, in_vain }), Event::NotMoved(failure)) => {
            unknown(Doubt::of_refused_retry(failure), *attempt, *in_vain)
        }
        (Some(State::Settling { attempt, in_vain }), Event::InDoubt(doubt)) => {
            unknown(*doubt, *attempt, *in_vain)
        }
        (
            Some(
                state @ State::Unknown {
                    since,
                    attempts,
                    in_vain,
                    ..
                },
            ),
            Event::Lapsed,
        ) if state.can_lapse() => State::Unknown {
            doubt: Doubt::Lapsed,
            since: *since,
            attempts: *attempts,
            in_vain: *in_vain,
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
                problem: if *approved {
                    RefundProblem::NotTried
                } else {
                    RefundProblem::NeedsController
                },
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
