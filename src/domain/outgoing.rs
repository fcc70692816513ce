//! Transfers out of the canister's own accounts: refunds and withdrawals.
//!
//! Ledgers know duplicates by everything that stands in the transfer: accounts, amount, memo,
//! `created_at_time` *and the fee*. The first four of one refund never change; the other two are what is
//! [`TransferTerms`].
//!
//! 1. A transfer is written down before the ledger is asked: from then on it is in doubt.
//! 2. `Ok` or `Duplicate`: the money moved. Final.
//! 3. The ledger proves that the first try of what is written moved nothing: nothing is in doubt any more,
//!    and the next try may be written anew (with the ledger's new fee, for instance).
//! 4. Everything else leaves it in doubt: an unclear answer, a trap or an upgrade before the answer, and a
//!    refusal of a later try, because ledgers differ in what they check before they look for duplicates (a
//!    changed fee, for one, hides that the transfer was made). The next try is the same transfer again.
//! 5. When the ledger has forgotten its duplicates, asking again would transfer twice: what is in doubt is
//!    looked up in the ledger's block log first, and nothing is written anew until that has an answer.

use crate::{
    domain::{
        verdict::Verdict,
        window::{DEDUP_WINDOW, FORGOTTEN},
    },
    types::{Amount, BlockIndex, PaymentId, Seconds, TimestampNs},
};
use sha2::{Digest, Sha256};

/// How long a try keeps others away: longer than its answer is waited for.
pub const LOCK: Seconds = Seconds(90);

/// What may change between tries, as it stands in the transfer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TransferTerms {
    /// `created_at_time`
    pub created_at: TimestampNs,
    /// The ledger's fee.
    pub fee: Amount,
}

/// Where a transfer stands that has to be made once.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Outgoing {
    /// The ledger was asked for this, and nothing proves yet what became of it.
    pub doubt: Option<TransferTerms>,
    /// How often the ledger was asked.
    pub tries: u32,
    /// A try is under way until this at most.
    pub busy_until: TimestampNs,
    /// What is in doubt is in no block of the ledger below this one, if what the ledger said of its blocks is true.
    pub cursor: u64,
}

/// What to do next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// Nothing before this.
    Wait(TimestampNs),
    /// Ask the ledger for this transfer; if it is `fresh`, for the first time.
    Ask {
        /// The transfer.
        terms: TransferTerms,
        /// Whether nothing like it was asked for before.
        fresh: bool,
    },
    /// Look for this transfer in the block log.
    LookUp(TransferTerms),
}

impl Outgoing {
    /// What to do now; `fresh` is what would be written anew.
    pub fn step(&self, fresh: TransferTerms, now: TimestampNs) -> Step {
        if now < self.busy_until {
            return Step::Wait(self.busy_until);
        }
        let doubt = self.doubt;
        let Some(terms) = doubt else {
            let terms = fresh;
            return Step::Ask { terms, fresh: true };
        };
        let forgotten = terms.created_at.plus(FORGOTTEN);
        if now <= terms.created_at.plus(DEDUP_WINDOW) {
            Step::Ask {
                terms,
                fresh: false,
            }
        } else if now <= forgotten {
            Step::Wait(TimestampNs(forgotten.0.saturating_add(1)))
        } else {
            Step::LookUp(terms)
        }
    }

    /// Journals a try or a look into the block log. It is known by its number, [`Outgoing::tries`].
    pub fn begin(&mut self, terms: TransferTerms, now: TimestampNs) {
        self.doubt = Some(terms);
        self.tries = self.tries.saturating_add(1);
        self.busy_until = now.plus(LOCK);
    }

    /// Judges the end of the try with this number; the block, if the money moved.
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
        // If somebody else has asked since, this answer proves nothing about that.
        if number == self.tries {
            if fresh && matches!(verdict, Verdict::NotMoved(_)) {
                self.doubt = None;
            }
            self.busy_until = now;
        }
        None
    }

    /// The block log, read when the ledger had forgotten, lacks what was in doubt.
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

    /// Asks for what is due at `now`, with this fee if it may.
    fn ask(outgoing: &mut Outgoing, fee: u128, now: TimestampNs) -> (TransferTerms, bool, u32) {
        match outgoing.step(terms(now, fee), now) {
            Step::Ask { terms, fresh } => {
                outgoing.begin(terms, now);
                (terms, fresh, outgoing.tries)
            }
            other => panic!("expected to ask, got {other:?}"),
        }
    }

    #[test]
    fn a_refused_first_try_is_written_anew() {
        let mut refund = Outgoing::default();
        let (first, fresh, number) = ask(&mut refund, 10, NOW);
        assert_eq!((first, fresh), (terms(NOW, 10), true));
        let later = NOW.plus(Seconds(1));
        assert_eq!(refund.end(number, fresh, &refused(), later), None);
        assert_eq!(refund.doubt, None);
        let (second, fresh, _) = ask(&mut refund, 20, later);
        assert_eq!((second, fresh), (terms(later, 20), true));
    }

    /// A ledger whose fee changed says so before it looks for duplicates.
    #[test]
    fn a_refusal_after_an_unclear_answer_does_not_rewrite_the_transfer() {
        let mut refund = Outgoing::default();
        let (first, fresh, number) = ask(&mut refund, 10, NOW);
        refund.end(number, fresh, &Verdict::InDoubt(Doubt::Reject), NOW);
        for _ in 0..5 {
            let at = NOW.plus(Seconds(60));
            let (again, fresh, number) = ask(&mut refund, 20, at);
            assert_eq!((again, fresh), (first, false));
            assert_eq!(refund.end(number, fresh, &refused(), at), None);
            assert_eq!(refund.doubt, Some(first));
        }
    }

    #[test]
    fn a_late_answer_clears_no_later_try() {
        let mut refund = Outgoing::default();
        let (_, fresh, first) = ask(&mut refund, 10, NOW);
        let later = NOW.plus(LOCK);
        assert_eq!(
            refund.step(terms(NOW, 10), NOW.plus(Seconds(89))),
            Step::Wait(later)
        );
        let before = {
            ask(&mut refund, 10, later);
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
    fn what_is_in_doubt_is_looked_up_before_it_is_written_anew() {
        let mut refund = Outgoing::default();
        let (first, ..) = ask(&mut refund, 10, NOW);
        let step = |refund: &Outgoing, at: TimestampNs| refund.step(terms(at, 20), at);
        let last = NOW.plus(DEDUP_WINDOW);
        assert!(matches!(
            step(&refund, last),
            Step::Ask { fresh: false, .. }
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
        let (second, fresh, _) = ask(&mut refund, 20, just_after);
        assert_eq!((second, fresh), (terms(just_after, 20), true));
    }

    #[test]
    fn memos_differ_by_payment_and_are_no_payment_ids() {
        let id = PaymentId([1; 32]);
        assert_ne!(refund_memo(&id), refund_memo(&PaymentId([2; 32])));
        assert_ne!(refund_memo(&id), id.0);
    }
}
