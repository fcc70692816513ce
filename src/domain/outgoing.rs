//! Transfers out of the canister's own accounts: refunds and withdrawals.
//!
//! Ledgers recognise duplicates by all fields of a transfer: accounts, amount, memo, `created_at_time` *and the fee*.
//! The first four of one refund never change. The other two are the [`TransferTerms`].
//!
//! 1. A transfer is recorded before the ledger is called: from then on it is in doubt.
//! 2. `Ok` or `Duplicate`: the money moved. Final.
//! 3. The ledger proves that the first try with these terms moved nothing: nothing is in doubt any more, and the next
//!    try may have new terms (the ledger's new fee, for instance).
//! 4. Everything else leaves it in doubt: an unclear answer, a trap or an upgrade before the answer, and a refusal of a
//!    later try, because ledgers differ in what they check before they look for duplicates (a changed fee, for one,
//!    hides that the transfer was made). The next try is the same transfer again.
//! 5. When the ledger has forgotten its duplicates, another call would transfer twice. A transfer in doubt is first
//!    searched in the ledger's block log, and there are no new terms until that has a result.

use crate::{
    domain::{
        verdict::Verdict,
        window::{DEDUP_WINDOW, FORGOTTEN},
    },
    types::{Amount, BlockIndex, PaymentId, Seconds, TimestampNs},
};
use sha2::{Digest, Sha256};

/// How long a try excludes others: longer than its answer is waited for.
pub const LOCK: Seconds = Seconds(90);

/// The fields of a transfer that may change between tries.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TransferTerms {
    pub created_at: TimestampNs,
    pub fee: Amount,
}

/// The state of a transfer that has to be made once.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Outgoing {
    /// The ledger was called with these terms, and the outcome is unknown.
    pub doubt: Option<TransferTerms>,
    /// The number of calls so far.
    pub tries: u32,
    /// The latest time at which the current try ends.
    pub busy_until: TimestampNs,
    /// The transfer in doubt is in no block below this one, if the ledger's answers about its blocks are true.
    pub cursor: u64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// Nothing before this time.
    Wait(TimestampNs),
    /// Call the ledger for this transfer.
    Send {
        terms: TransferTerms,
        /// Whether the same transfer was never sent before.
        fresh: bool,
    },
    /// Search this transfer in the block log.
    LookUp(TransferTerms),
}

impl Outgoing {
    /// The step to take now; `fresh` are the terms of a new transfer.
    pub fn step(&self, fresh: TransferTerms, now: TimestampNs) -> Step {
        if now < self.busy_until {
            return Step::Wait(self.busy_until);
        }
        let doubt = self.doubt;
        let Some(terms) = doubt else {
            let terms = fresh;
            return Step::Send { terms, fresh: true };
        };
        let forgotten = terms.created_at.plus(FORGOTTEN);
        if now <= terms.created_at.plus(DEDUP_WINDOW) {
            Step::Send {
                terms,
                fresh: false,
            }
        } else if now <= forgotten {
            Step::Wait(TimestampNs(forgotten.0.saturating_add(1)))
        } else {
            Step::LookUp(terms)
        }
    }

    /// Records a try or a search in the block log. Its number is [`Outgoing::tries`].
    pub fn begin(&mut self, terms: TransferTerms, now: TimestampNs) {
        self.doubt = Some(terms);
        self.tries = self.tries.saturating_add(1);
        self.busy_until = now.plus(LOCK);
    }

    /// Judges the end of the try with this number. Returns the block if the money moved.
    pub fn end(
        &mut self,
        number: u32,
        fresh: bool,
        verdict: &Verdict,
        now: TimestampNs,
    ) -> Option<BlockIndex> {
        if let Some(block) = verdict.block() {
            return Some(block);
        }
        // If another try has begun since, this answer proves nothing about that.
        if number == self.tries {
            if fresh && matches!(verdict, Verdict::NotMoved(_)) {
                self.doubt = None;
            }
            self.busy_until = now;
        }
        None
    }

    /// Records that the block log, read when the ledger had forgotten its duplicates, lacks the transfer in doubt.
    pub fn never_made(&mut self, now: TimestampNs) {
        self.doubt = None;
        self.busy_until = now;
    }
}

/// The memo of a payment's refund.
pub fn refund_memo(id: &PaymentId) -> [u8; 32] {
    Sha256::new()
        .chain_update(b"x402-icp-refund")
        .chain_update(id.0)
        .finalize()
        .into()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::{
        payment::{Doubt, Failure, FailureKind},
        rail::TxRef,
    };

    const NOW: TimestampNs = TimestampNs(1_800_000_000_000_000_000);

    fn terms(at: TimestampNs, fee: u128) -> TransferTerms {
        TransferTerms {
            created_at: at,
            fee: Amount(fee),
        }
    }

    fn refused() -> Verdict {
        Verdict::NotMoved(Failure {
            kind: FailureKind::FeeChanged,
            message: "no".into(),
        })
    }

    /// Takes the step that is due at `now`, with this fee if new terms are allowed.
    fn next_try(
        outgoing: &mut Outgoing,
        fee: u128,
        now: TimestampNs,
    ) -> (TransferTerms, bool, u32) {
        match outgoing.step(terms(now, fee), now) {
            Step::Send { terms, fresh } => {
                outgoing.begin(terms, now);
                (terms, fresh, outgoing.tries)
            }
            other => panic!("expected to send, got {other:?}"),
        }
    }

    #[test]
    fn a_refused_first_try_gets_new_terms() {
        let mut refund = Outgoing::default();
        let (first, fresh, number) = next_try(&mut refund, 10, NOW);
        assert_eq!((first, fresh), (terms(NOW, 10), true));
        let later = NOW.plus(Seconds(1));
        assert_eq!(refund.end(number, fresh, &refused(), later), None);
        assert_eq!(refund.doubt, None);
        let (second, fresh, _) = next_try(&mut refund, 20, later);
        assert_eq!((second, fresh), (terms(later, 20), true));
    }

    /// A ledger whose fee changed reports that before it looks for duplicates.
    #[test]
    fn a_refusal_after_an_unclear_answer_does_not_rewrite_the_transfer() {
        let mut refund = Outgoing::default();
        let (first, fresh, number) = next_try(&mut refund, 10, NOW);
        refund.end(number, fresh, &Verdict::InDoubt(Doubt::Reject), NOW);
        for _ in 0..5 {
            let at = NOW.plus(Seconds(60));
            let (again, fresh, number) = next_try(&mut refund, 20, at);
            assert_eq!((again, fresh), (first, false));
            assert_eq!(refund.end(number, fresh, &refused(), at), None);
            assert_eq!(refund.doubt, Some(first));
        }
    }

    #[test]
    fn a_late_answer_clears_no_later_try() {
        let mut refund = Outgoing::default();
        let (_, fresh, first) = next_try(&mut refund, 10, NOW);
        let later = NOW.plus(LOCK);
        assert_eq!(
            refund.step(terms(NOW, 10), NOW.plus(Seconds(89))),
            Step::Wait(later)
        );
        let before = {
            next_try(&mut refund, 10, later);
            refund
        };
        assert_eq!(refund.end(first, fresh, &refused(), later), None);
        assert_eq!(refund, before, "the second try is still in doubt");
        let block = BlockIndex(7);
        assert_eq!(
            refund.end(first, fresh, &Verdict::Moved(TxRef::Block(block)), later),
            Some(block)
        );
    }

    #[test]
    fn a_transfer_in_doubt_is_searched_before_it_gets_new_terms() {
        let mut refund = Outgoing::default();
        let (first, ..) = next_try(&mut refund, 10, NOW);
        let step = |refund: &Outgoing, at: TimestampNs| refund.step(terms(at, 20), at);
        let last = NOW.plus(DEDUP_WINDOW);
        assert!(matches!(
            step(&refund, last),
            Step::Send { fresh: false, .. }
        ));
        let forgotten = NOW.plus(FORGOTTEN);
        let just_after = TimestampNs(forgotten.0 + 1);
        assert_eq!(
            step(&refund, TimestampNs(last.0 + 1)),
            Step::Wait(just_after)
        );
        assert_eq!(step(&refund, forgotten), Step::Wait(just_after));
        assert_eq!(step(&refund, just_after), Step::LookUp(first));
        refund.never_made(just_after);
        let (second, fresh, _) = next_try(&mut refund, 20, just_after);
        assert_eq!((second, fresh), (terms(just_after, 20), true));
    }

    #[test]
    fn memos_differ_by_payment_and_are_no_payment_ids() {
        let id = PaymentId([1; 32]);
        assert_ne!(refund_memo(&id), refund_memo(&PaymentId([2; 32])));
        assert_ne!(refund_memo(&id), id.0);
    }
}
