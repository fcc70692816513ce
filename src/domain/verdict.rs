//! Verdicts: what a rail proves about a transfer. The state machine of a payment depends on verdicts, not on ledgers.

use crate::{
    domain::{
        payment::{Doubt, Event, Failure},
        rail::TxRef,
    },
    types::BlockIndex,
};

/// What is proved about a try of a transfer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// The money moved, in this transaction.
    Moved(TxRef),
    /// This try moved nothing.
    NotMoved(Failure),
    /// Nothing is proved: the money may have moved.
    InDoubt(Doubt),
}

impl Verdict {
    /// The block of the ledger that shows the transfer, if one is named.
    pub fn block(&self) -> Option<BlockIndex> {
        match self {
            Verdict::Moved(TxRef::Block(block)) => Some(*block),
            Verdict::NotMoved(_) | Verdict::InDoubt(_) => None,
        }
    }
}

impl From<Verdict> for Event {
    fn from(verdict: Verdict) -> Self {
        match verdict {
            Verdict::Moved(tx) => Event::Moved { tx },
            Verdict::NotMoved(failure) => Event::NotMoved(failure),
            Verdict::InDoubt(doubt) => Event::InDoubt(doubt),
        }
    }
}
