//! What a merchant's canister is told about a payment.

use crate::{domain::payment::State, types::Seconds};

/// The most events that wait to be sent. The oldest is dropped for a new one.
pub const MAX_QUEUED: u64 = 10_000;
/// An event that could not be sent for so long is dropped.
pub const MAX_AGE: Seconds = Seconds(7 * 86_400);

/// What happened to a payment. Each happens once at most.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EventKind {
    /// The money moved.
    Settled,
    /// What was bought was handed out for the first time.
    Delivered,
    /// The payer got the money back.
    Refunded,
}

impl EventKind {
    /// Every kind, in the order in which they can happen.
    pub const ALL: [EventKind; 3] = [
        EventKind::Settled,
        EventKind::Delivered,
        EventKind::Refunded,
    ];

    fn has_happened(self, state: &State) -> bool {
        match self {
            EventKind::Settled => state.moved().is_some(),
            EventKind::Delivered => matches!(state, State::Delivered { .. }),
            EventKind::Refunded => matches!(state, State::Refunded { .. }),
        }
    }
}

/// What happened between two states of a payment; `before` is `None` for a new one.
pub fn events(before: Option<&State>, after: &State) -> impl Iterator<Item = EventKind> {
    EventKind::ALL.into_iter().filter(move |kind| {
        kind.has_happened(after) && !before.is_some_and(|before| kind.has_happened(before))
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        domain::{
            payment::{RefundCause, RefundProblem},
            rail::TxRef,
        },
        types::{BlockIndex, TimestampNs},
    };

    #[test]
    fn each_event_happens_once() {
        let (tx, at) = (TxRef::Block(BlockIndex(1)), TimestampNs(1));
        let settling = State::Settling {
            attempt: 1,
            all_failed: true,
        };
        let settled = State::Settled { tx, at };
        let delivered = State::Delivered {
            tx,
            settled_at: at,
            at,
        };
        let refunding = State::Refunding {
            tx,
            settled_at: at,
            since: at,
            attempts: 0,
            cause: RefundCause::NotFetched,
            problem: RefundProblem::NotTried,
        };
        let refunded = State::Refunded {
            tx,
            settled_at: at,
            refund_tx: tx,
            at,
        };
        let between = |before: Option<&State>, after: &State| -> Vec<EventKind> {
            events(before, after).collect()
        };
        use EventKind::*;
        assert_eq!(between(None, &settling), []);
        assert_eq!(between(Some(&settling), &settled), [Settled]);
        assert_eq!(between(Some(&settling), &delivered), [Settled, Delivered]);
        assert_eq!(between(Some(&settled), &delivered), [Delivered]);
        assert_eq!(between(Some(&settled), &refunding), []);
        assert_eq!(between(Some(&refunding), &refunded), [Refunded]);
        assert_eq!(between(Some(&refunding), &refunding), []);
    }
}
