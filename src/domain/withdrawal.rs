//! Withdrawals: money that controllers take out, by the rules of [`outgoing`](super::outgoing).
//!
//! A withdrawal is identified by its ledger and its `created_at_time`. Ledgers recognise duplicates by the fee, too: a
//! withdrawal that is repeated with another fee is made twice. Every requested withdrawal is therefore kept, with its
//! outcome, until no ledger can make a transfer of that time any more.

use crate::{
    domain::{
        outgoing::{Outgoing, TransferTerms},
        verdict::Verdict,
        window::{DEDUP_WINDOW, FORGOTTEN},
    },
    types::{Account, Amount, BlockIndex, TimestampNs},
};

/// The memo of every withdrawal.
pub const WITHDRAWAL_MEMO: &[u8] = b"x402-icp-withdraw";
/// The most withdrawals of one ledger that are kept.
pub const MAX_WITHDRAWALS: u32 = 200;

/// Money that a controller takes out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Withdrawal {
    /// The account of the canister.
    pub from: Account,
    pub to: Account,
    /// The amount that arrives.
    pub amount: Amount,
    /// Identifies the withdrawal; `created_at_time` of the transfer.
    pub created_at: TimestampNs,
    pub outgoing: Outgoing,
    /// The block that shows it, once it is known.
    pub block: Option<BlockIndex>,
}

/// What may be done about a withdrawal that was requested before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Standing {
    /// It was made.
    Made(BlockIndex),
    /// Nothing was moved: it may be sent as for the first time, with the present fee.
    Refused,
    /// The outcome is unknown: the same transfer may be sent again.
    InDoubt(TransferTerms),
    /// The outcome is unknown, and nothing may be sent now: a try is in progress, or the ledger will soon forget its
    /// duplicates.
    Busy,
}

impl Withdrawal {
    /// A withdrawal that was never sent.
    pub fn new(from: Account, to: Account, amount: Amount, created_at: TimestampNs) -> Self {
        Withdrawal {
            from,
            to,
            amount,
            created_at,
            outgoing: Outgoing::default(),
            block: None,
        }
    }

    /// What may be done about it now.
    pub fn standing(&self, now: TimestampNs) -> Standing {
        match (self.block, self.outgoing.doubt) {
            (Some(block), _) => Standing::Made(block),
            (None, None) => Standing::Refused,
            (None, Some(terms)) if now >= self.outgoing.busy_until && is_fresh(terms, now) => {
                Standing::InDoubt(terms)
            }
            (None, Some(_)) => Standing::Busy,
        }
    }

    /// Records the end of the try with this number; `fresh`: no try before it may have moved anything. A known block is
    /// never replaced.
    pub fn end(&mut self, number: u32, fresh: bool, verdict: &Verdict, now: TimestampNs) {
        if self.block.is_none() {
            self.block = self.outgoing.end(number, fresh, verdict, now);
        }
    }

    /// The amount that it may still take out of its account while the outcome is unknown. After the ledger's window it
    /// cannot take anything any more, and an amount that it took is missing in the balance.
    pub fn reserved(&self, now: TimestampNs) -> Option<Amount> {
        let terms = self.outgoing.doubt?;
        let pending = self.block.is_none() && !is_forgotten(self.created_at, now);
        pending.then_some(Amount(self.amount.0.saturating_add(terms.fee.0)))
    }
}

/// Whether the ledger still recognises a duplicate.
fn is_fresh(terms: TransferTerms, now: TimestampNs) -> bool {
    now <= terms.created_at.plus(DEDUP_WINDOW)
}

/// Whether no ledger can make a transfer of this time any more.
pub fn is_forgotten(created_at: TimestampNs, now: TimestampNs) -> bool {
    now >= forgotten_from(created_at)
}

/// The time from which no ledger can make a transfer of this time any more.
pub fn forgotten_from(created_at: TimestampNs) -> TimestampNs {
    TimestampNs(created_at.plus(FORGOTTEN).0.saturating_add(1))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        domain::{
            outgoing::LOCK,
            payment::{Doubt, Failure, FailureKind},
            rail::TxRef,
        },
        types::Seconds,
    };
    use candid::Principal;
    use proptest::prelude::*;

    const NOW: TimestampNs = TimestampNs(1_800_000_000_000_000_000);

    fn withdrawal() -> Withdrawal {
        let account = |n| Account::from(Principal::from_slice(&[n]));
        Withdrawal::new(account(1), account(2), Amount(5), NOW)
    }

    fn terms(fee: u128) -> TransferTerms {
        TransferTerms {
            created_at: NOW,
            fee: Amount(fee),
        }
    }

    fn refused() -> Verdict {
        Verdict::NotMoved(Failure {
            kind: FailureKind::FeeChanged,
            message: "no".into(),
        })
    }

    #[test]
    fn what_is_in_doubt_is_repeated_with_its_fee_until_the_ledger_forgets() {
        let mut known = withdrawal();
        assert_eq!(known.standing(NOW), Standing::Refused);
        known.outgoing.begin(terms(10), NOW);
        let later = NOW.plus(LOCK);
        assert_eq!(known.standing(NOW), Standing::Busy);
        assert_eq!(known.standing(later), Standing::InDoubt(terms(10)));
        known.end(1, true, &Verdict::InDoubt(Doubt::Reject), NOW);
        assert_eq!(known.standing(NOW), Standing::InDoubt(terms(10)));
        assert_eq!(known.reserved(NOW), Some(Amount(15)));
        let end = NOW.plus(DEDUP_WINDOW);
        assert_eq!(known.standing(end), Standing::InDoubt(terms(10)));
        let after = end.plus(Seconds(1));
        assert_eq!(known.standing(after), Standing::Busy);
        assert_eq!(known.reserved(NOW.plus(FORGOTTEN)), Some(Amount(15)));
        let forgotten = NOW.plus(FORGOTTEN).plus(Seconds(1));
        assert_eq!(known.reserved(forgotten), None);
    }

    /// Events of one withdrawal, in any order: a try begins when it may, tries end in any order.
    #[derive(Clone, Copy, Debug)]
    enum Happening {
        Begin { fee: u128 },
        Answer { of: usize, moved: u8 },
    }

    fn arb_happening() -> impl Strategy<Value = Happening> {
        prop_oneof![
            (10u128..13).prop_map(|fee| Happening::Begin { fee }),
            (any::<usize>(), 0u8..4).prop_map(|(of, moved)| Happening::Answer { of, moved }),
        ]
    }

    proptest! {
        /// With any order of events: a transfer that was made is never sent with another fee, and a known block stays
        /// known.
        #[test]
        fn one_withdrawal_is_one_transfer(happenings in prop::collection::vec(arb_happening(), 0..60)) {
            let (mut known, mut now) = (withdrawal(), NOW);
            let mut waiting: Vec<(u32, bool, TransferTerms)> = vec![];
            // The transfers that the ledger made. It recognises duplicates by the fee.
            let mut made: Vec<u128> = vec![];
            for happening in happenings {
                now = now.plus(LOCK);
                let before = known.block;
                match happening {
                    Happening::Begin { fee } => {
                        let (terms, fresh) = match known.standing(now) {
                            Standing::Refused => (terms(fee), true),
                            Standing::InDoubt(terms) => (terms, false),
                            Standing::Made(_) | Standing::Busy => continue,
                        };
                        known.outgoing.begin(terms, now);
                        waiting.push((known.outgoing.tries, fresh, terms));
                    }
                    Happening::Answer { of, moved } => {
                        if waiting.is_empty() {
                            continue;
                        }
                        let (number, fresh, terms) = waiting.remove(of % waiting.len());
                        let duplicate = made.contains(&terms.fee.0);
                        // 0: refused without a check; 1, 2: made, and the answer lost; 3: made.
                        if moved > 0 && !duplicate {
                            made.push(terms.fee.0);
                        }
                        let verdict = match moved {
                            0 => refused(),
                            3 => Verdict::Moved(TxRef::Block(BlockIndex(terms.fee.0 as u64))),
                            _ => Verdict::InDoubt(Doubt::NoAnswer),
                        };
                        known.end(number, fresh, &verdict, now);
                    }
                }
                prop_assert!(made.len() <= 1, "{made:?}");
                prop_assert!(before.is_none() || known.block == before);
            }
        }
    }
}
