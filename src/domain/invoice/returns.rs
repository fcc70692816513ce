//! What is given back of an invoice: late money, too little, too much, and the tokens of another ledger.
//!
//! Everything in the account of an invoice that has ended goes to one account. So a return needs no search in the
//! ledger's log: when the ledger can no longer make a transfer in doubt, whatever is in the account by then is given
//! back. Before that, only the same transfer is sent again.

use crate::{
    domain::outgoing::{Outgoing, Step as Try, TransferTerms},
    types::{Account, Amount, BlockIndex, Seconds, TimestampNs},
};

/// After so many failures in a row the canister does not try again by itself.
pub const MAX_FAILURES: u16 = 20;

/// The transfers that give back what is in one account, in one ledger.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Return {
    pub to: Account,
    /// The amount of the transfer in doubt.
    pub amount: Amount,
    /// The state of the latest transfer.
    pub outgoing: Outgoing,
    /// The number of the latest transfer.
    pub number: u64,
    /// The failures since the last success.
    pub failures: u16,
    /// When the canister tries by itself.
    pub due: Option<TimestampNs>,
    /// The latest success.
    pub made: Option<Made>,
}

/// A transfer that gave money back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Made {
    pub block: BlockIndex,
    pub amount: Amount,
    pub at: TimestampNs,
}

/// What may be done next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// Nothing before this time.
    Wait(TimestampNs),
    /// Read the balance, and give back what is there.
    Fresh,
    /// Send the transfer in doubt again.
    Again(TransferTerms),
}

impl Return {
    /// A return that is to be made now.
    pub fn new(to: Account, now: TimestampNs) -> Self {
        Return {
            to,
            amount: Amount(0),
            outgoing: Outgoing::default(),
            number: 0,
            failures: 0,
            due: Some(now),
            made: None,
        }
    }

    pub fn step(&self, now: TimestampNs) -> Step {
        // The terms of a new transfer are known when the balance is.
        let fresh = TransferTerms {
            created_at: now,
            fee: Amount(0),
        };
        match self.outgoing.step(fresh, now) {
            Try::Wait(until) => Step::Wait(until),
            Try::Send {
                terms,
                fresh: false,
            } => Step::Again(terms),
            // The transfer in doubt can no longer be made.
            Try::Send { fresh: true, .. } | Try::LookUp(_) => Step::Fresh,
        }
    }

    /// Nothing was given back, or it is not known whether something was.
    pub fn failed(&mut self, now: TimestampNs, pause: Seconds) {
        self.failures = self.failures.saturating_add(1);
        let again = now.plus(pause).max(self.outgoing.busy_until);
        // A doubt is always resolved.
        let tries = self.failures < MAX_FAILURES || self.outgoing.doubt.is_some();
        self.due = tries.then_some(again);
    }

    /// Whether the canister will do something about it.
    pub fn is_open(&self) -> bool {
        self.due.is_some() || self.outgoing.doubt.is_some()
    }
}
