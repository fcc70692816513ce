//! Limits on concurrent payments.

use crate::{
    domain::{
        config::Limits,
        payment::{Doubt, FailureKind, State},
    },
    types::{Cycles, Seconds, TimestampNs},
};
use candid::Principal;
use std::collections::BTreeMap;

/// The most payments that are being settled or unknown, without those that have lapsed.
pub const MAX_OPEN: u64 = 10_000;
/// The most of these in one ledger, so that the unknown payments of one ledger leave places for the others.
pub const MAX_OPEN_PER_LEDGER: u32 = 1_000;
/// The most of these of one payer.
pub const MAX_OPEN_PER_PAYER: u32 = 150;
/// The most payments that have lapsed. Nothing is held for them, and they take none of the places above. A payment
/// beyond this limit does not lapse.
pub const MAX_LAPSED: u64 = 10_000;
/// The most of these in one ledger.
pub const MAX_LAPSED_PER_LEDGER: u32 = 2_500;
/// The most payments that wait for one ledger's reply. The system allows 500 calls to one canister.
pub const MAX_SETTLING_PER_LEDGER: u32 = 400;
/// The most payments of one payer that wait for a reply while so many wait for the ledger, if it has all
/// [`MAX_SETTLING_PER_LEDGER`] places; with fewer places, in proportion. A few keys, which cost nothing, must not be
/// able to take all of a ledger's places.
const SHARES: [(u32, u32); 4] = [
    (200, MAX_OPEN_PER_PAYER),
    (300, 20),
    (350, 5),
    (u32::MAX, 1),
];
/// Failures in a row after which a payer may have only [`MAX_OPEN_OF_FAILING`] open payments.
pub const MAX_FAILED_IN_A_ROW: u32 = 10;
/// The most open payments of a payer with too many failures in a row.
pub const MAX_OPEN_OF_FAILING: u32 = 2;
/// Pause after the last failure, in seconds.
pub const FAILING_PAUSE: Seconds = Seconds(60);
/// The most failing payers that are recorded.
const MAX_FAILING: usize = 4_096;
/// The most failures of valid authorizations. These have to be kept, so that no failed authorization is charged later.
/// Only an attacker causes that many.
pub const MAX_VALID_FAILURES: u64 = 500_000;
/// Unclear answers of a ledger in a row after which new payments in it have to wait.
pub const MAX_DOUBTS: u32 = 20;
/// Pause after the last unclear answer. One payment is accepted then as a test.
pub const DOUBT_PAUSE: Seconds = Seconds(300);

/// The recent answers of a ledger.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct LedgerHealth {
    /// Payments that wait for its reply.
    pub settling: u32,
    /// Unclear answers in a row.
    pub doubts: u32,
    /// The time of the last unclear answer.
    pub last_doubt: TimestampNs,
}

impl LedgerHealth {
    /// Updates the counts after a payment in this ledger has come to this state. `was_settling`: it waited for the
    /// ledger's reply until now.
    pub fn note(&mut self, was_settling: bool, state: &State, now: TimestampNs) {
        if matches!(state, State::Settling { .. }) {
            self.settling = self.settling.saturating_add(u32::from(!was_settling));
            return;
        }
        if !was_settling {
            return;
        }
        self.settling = self.settling.saturating_sub(1);
        match state {
            State::Unknown { doubt, .. } => match doubt {
                Doubt::Reject
                | Doubt::UnreadableReply
                | Doubt::ImplausibleBlock
                | Doubt::LedgerError => {
                    self.doubts = self.doubts.saturating_add(1);
                    self.last_doubt = now;
                }
                // The ledger itself gave this answer, so it works again.
                Doubt::NoFunds => self.doubts = 0,
                // Not caused by the ledger. A refusal may be the system's, without an answer of the ledger.
                Doubt::Trapped
                | Doubt::Upgraded
                | Doubt::RetryRefused
                | Doubt::NoAnswer
                | Doubt::Lapsed => {}
            },
            _ => self.doubts = 0,
        }
    }

    /// Whether the ledger's answers are so unclear that new payments would only become unknown.
    fn pauses(&self, now: TimestampNs) -> bool {
        self.doubts >= MAX_DOUBTS && now < self.last_doubt.plus(DOUBT_PAUSE)
    }
}

/// Payers whose latest payments failed for lack of funds or allowance. Such payments cost them nothing, and still take
/// a place in the ledger's queue.
#[derive(Clone, Debug, Default)]
pub struct FailingPayers(BTreeMap<Principal, (u32, TimestampNs)>);

impl FailingPayers {
    /// Updates the count after a payment of this payer has come to this state.
    pub fn note(&mut self, payer: Principal, state: &State, now: TimestampNs) {
        match state {
            State::Failed { failure, .. } => {
                let of_payer = matches!(
                    failure.kind,
                    FailureKind::InsufficientFunds | FailureKind::InsufficientAllowance
                );
                if !of_payer {
                    return;
                }
                if self.0.len() >= MAX_FAILING && !self.0.contains_key(&payer) {
                    self.0.retain(|_, (_, last)| now < last.plus(FAILING_PAUSE));
                    if self.0.len() >= MAX_FAILING {
                        // Any entry: that payer has to fail several times again.
                        self.0.pop_first();
                    }
                }
                let (failed, last) = self.0.entry(payer).or_default();
                *failed = failed.saturating_add(1);
                *last = now;
            }
            State::Settled { .. } | State::Delivered { .. } => {
                self.0.remove(&payer);
            }
            _ => {}
        }
    }

    /// Whether too many of the payer's latest payments failed, and the last of them within the pause.
    pub fn contains(&self, payer: &Principal, now: TimestampNs) -> bool {
        self.0.get(payer).is_some_and(|(failed, last)| {
            *failed >= MAX_FAILED_IN_A_ROW && now < last.plus(FAILING_PAUSE)
        })
    }
}

/// The cycles that the canister has for payments.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Means {
    /// The cycles that can be spent now. Payments that are being settled hold back the cost of their calls.
    pub liquid: Cycles,
    /// The cycles that one call holds back until it is answered.
    pub call: Cycles,
    /// The reserve above the floor, in case the message needs more memory.
    pub spare: Cycles,
}

/// The most payments that can be settled at one time: those in progress, and as many more as there are cycles for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Places {
    /// In all ledgers.
    all: u32,
    /// In one ledger. A ledger that does not answer leaves a quarter to the others, if there are any.
    of_ledger: u32,
}

impl Places {
    fn new(limits: &Limits, means: &Means, settling: u32, only_ledger: bool) -> Self {
        let kept = limits.cycles_floor.0.saturating_add(means.spare.0);
        let free = means.liquid.0.saturating_sub(kept);
        let more = free.checked_div(means.call.0).unwrap_or(u128::MAX);
        let all = u128::from(settling).saturating_add(more);
        let all = u32::try_from(all).unwrap_or(u32::MAX);
        let of_others = if only_ledger { 0 } else { all / 4 };
        Places {
            all,
            of_ledger: (all - of_others).min(MAX_SETTLING_PER_LEDGER),
        }
    }

    /// The most payments of one payer that wait for a reply while so many wait for the ledger; at least one.
    fn share(&self, settling: u32) -> u32 {
        let scaled = |of_all: u32| {
            let scaled = u64::from(of_all) * u64::from(self.of_ledger);
            (scaled / u64::from(MAX_SETTLING_PER_LEDGER)) as u32
        };
        let band = SHARES.iter().find(|(up_to, _)| settling < scaled(*up_to));
        band.map_or(1, |(_, share)| scaled(*share).max(1))
    }
}

/// The present counts, without the new payment.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Load {
    pub settled: u64,
    /// Payments that are being settled or unknown, without those that have lapsed.
    pub open: u64,
    pub lapsed: u64,
    /// Open payments of the payer.
    pub open_of_payer: u32,
    /// Payments of the payer that wait for a reply. Unknown ones hold back no cycles.
    pub settling_of_payer: u32,
    /// Open payments in the ledger.
    pub open_of_ledger: u32,
    /// Whether the payer's latest payments failed: [`FailingPayers::contains`].
    pub failing_payer: bool,
    /// Whether no more failures can be kept.
    pub failures_full: bool,
    /// Payments that wait for any ledger's reply.
    pub settling: u32,
    /// Whether new payments are accepted in one ledger only.
    pub only_ledger: bool,
    pub ledger: LedgerHealth,
}

/// The reason why no new payment is accepted now.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NoCapacity {
    /// The canister has fewer cycles than its floor.
    #[error("no new payments at present: the canister runs low on cycles")]
    Cycles,
    /// Each payment that is being settled holds back the cycles of a call.
    #[error("too many payments are in progress for the cycles of the canister, try again later")]
    Places,
    /// The settled payments have reached `max_payments`.
    #[error("no new payments: the limit of settled payments is reached")]
    Settled,
    #[error("too many payments are in progress, try again later")]
    Open,
    #[error("too many payments in this ledger are in progress or unknown, try again later")]
    OpenOfLedger,
    #[error("this payer has too many payments in progress, try again later")]
    OpenOfPayer,
    #[error("the latest payments of this payer failed, try again in a minute")]
    FailingPayer,
    #[error("too many payments have failed lately, try again later")]
    Failures,
    #[error("too many payments wait for this ledger, try again later")]
    Ledger,
    #[error("the ledger does not answer clearly at present, try again later")]
    Doubts,
    /// The calls to a forward target are at their limit.
    #[error("too many requests wait for the canister that does the work, try again later")]
    Target,
    /// Works and answers take half of `max_content_total_bytes`, or content takes the rest.
    #[error("there is no room for another answer at present, try again later")]
    Answers,
}

/// Whether one more payment can be accepted: one part is public, the other is told to the payer only.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Capacity {
    /// For every payer; checked before any signature is verified.
    pub public: Result<(), NoCapacity>,
    /// For this payer, who is known once the signature is verified.
    pub of_payer: Result<(), NoCapacity>,
}

/// Whether a canister with these means can accept one more payment.
pub fn check(limits: &Limits, load: &Load, means: &Means, now: TimestampNs) -> Capacity {
    let places = Places::new(limits, means, load.settling, load.only_ledger);
    let public = match check_cycles(limits, load, means, &places) {
        Ok(()) => check_public(limits, load, &places, now),
        poor => poor,
    };
    Capacity {
        public,
        of_payer: check_payer(load, &places),
    }
}

/// Below the floor the cycles are reserved for what is owed. Above it, a payment whose call cannot be paid for would
/// fail, and use up its authorization.
fn check_cycles(
    limits: &Limits,
    load: &Load,
    means: &Means,
    places: &Places,
) -> Result<(), NoCapacity> {
    if means.liquid < limits.cycles_floor || places.all == 0 {
        return Err(NoCapacity::Cycles);
    }
    if load.settling >= places.all {
        return Err(NoCapacity::Places);
    }
    Ok(())
}

/// Unknown payments stay open until their ledger answers clearly. While a ledger does not, for instance during an
/// upgrade, anybody could fill the table of open payments with payments that are never resolved. After [`MAX_DOUBTS`]
/// unclear answers in a row the new payments of that ledger wait, and those of other ledgers do not.
fn check_public(
    limits: &Limits,
    load: &Load,
    places: &Places,
    now: TimestampNs,
) -> Result<(), NoCapacity> {
    // Lapsed payments may still be settled.
    let unsettled = load.open.saturating_add(load.lapsed);
    if load.settled.saturating_add(unsettled) >= limits.max_payments {
        return Err(NoCapacity::Settled);
    }
    if load.open >= MAX_OPEN {
        return Err(NoCapacity::Open);
    }
    if load.open_of_ledger >= MAX_OPEN_PER_LEDGER {
        return Err(NoCapacity::OpenOfLedger);
    }
    if load.failures_full {
        return Err(NoCapacity::Failures);
    }
    if load.ledger.settling >= places.of_ledger {
        return Err(NoCapacity::Ledger);
    }
    // While one payment is accepted as a test, the others wait.
    let probing = load.ledger.doubts >= MAX_DOUBTS && load.ledger.settling > 0;
    if load.ledger.pauses(now) || probing {
        return Err(NoCapacity::Doubts);
    }
    Ok(())
}

/// Whether one more payment of a ledger may lapse, given the numbers that have lapsed.
pub fn may_lapse(lapsed: u64, of_ledger: u32) -> bool {
    lapsed < MAX_LAPSED && of_ledger < MAX_LAPSED_PER_LEDGER
}

fn check_payer(load: &Load, places: &Places) -> Result<(), NoCapacity> {
    let share = places.share(load.ledger.settling);
    if load.open_of_payer >= MAX_OPEN_PER_PAYER || load.settling_of_payer >= share {
        return Err(NoCapacity::OpenOfPayer);
    }
    if load.failing_payer && load.open_of_payer >= MAX_OPEN_OF_FAILING {
        return Err(NoCapacity::FailingPayer);
    }
    Ok(())
}

#[cfg(test)]
mod tests;
