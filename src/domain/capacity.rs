//! How many payments the canister takes on at one time.

use crate::{
    domain::{
        config::Limits,
        payment::{Doubt, FailureKind, State},
    },
    types::{Cycles, Seconds, TimestampNs},
};
use candid::Principal;
use std::collections::BTreeMap;

/// The most payments that are being settled or unknown at one time, without those that have lapsed.
pub const MAX_OPEN: u64 = 10_000;
/// The most of these in one ledger: what a ledger leaves unknown must not take the places of the others.
pub const MAX_OPEN_PER_LEDGER: u32 = 1_000;
/// The most of these of one payer.
pub const MAX_OPEN_PER_PAYER: u32 = 150;
/// The most payments that have lapsed: nothing is held for them, and they take none of these places. What would be one
/// more does not lapse.
pub const MAX_LAPSED: u64 = 10_000;
/// The most of these in one ledger.
pub const MAX_LAPSED_PER_LEDGER: u32 = 2_500;
/// The most payments that wait for one ledger. The system carries 500 calls to one canister.
pub const MAX_SETTLING_PER_LEDGER: u32 = 400;
/// How many payments of one payer may wait for an answer while so many wait for the ledger, if it has all
/// [`MAX_SETTLING_PER_LEDGER`] places; with fewer places, in proportion. A few keys, which cost nothing, must
/// not be able to take all of a ledger's places.
const SHARES: [(u32, u32); 4] = [
    (200, MAX_OPEN_PER_PAYER),
    (300, 20),
    (350, 5),
    (u32::MAX, 1),
];
/// After so many payments in a row that failed because of the payer, only a few more at a time.
pub const MAX_FAILED_IN_A_ROW: u32 = 10;
/// How many.
pub const MAX_OPEN_OF_FAILING: u32 = 2;
/// For how long after the last failure.
pub const FAILING_PAUSE: Seconds = Seconds(60);
/// The most failing payers that are remembered.
const MAX_FAILING: usize = 4_096;
/// The most failures of authorizations that are still good. They have to be remembered, so that no failed
/// authorization is charged after all; there are never that many unless somebody makes them.
pub const MAX_VALID_FAILURES: u64 = 500_000;
/// After so many unclear answers of a ledger in a row, new payments in it have to wait.
pub const MAX_DOUBTS: u32 = 20;
/// How long they wait; then one is let through to see.
pub const DOUBT_PAUSE: Seconds = Seconds(300);

/// How a ledger has been answering.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct LedgerHealth {
    /// How many payments wait for its answer.
    pub settling: u32,
    /// How many of its last answers in a row were unclear.
    pub doubts: u32,
    /// When the last unclear answer came.
    pub last_doubt: TimestampNs,
}

impl LedgerHealth {
    /// Notes that a payment in this ledger has come to this state. `was_settling`: it waited for the
    /// ledger's answer until now.
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
                // Only the ledger itself can say so: it answers again.
                Doubt::NoFunds => self.doubts = 0,
                // Not the ledger's fault; and a refusal may be the system's, without a word of the ledger.
                Doubt::Trapped
                | Doubt::Upgraded
                | Doubt::RetryRefused
                | Doubt::NoAnswer
                | Doubt::Lapsed => {}
            },
            _ => self.doubts = 0,
        }
    }

    /// Whether the ledger answers so unclearly that new payments would only become unknown.
    fn pauses(&self, now: TimestampNs) -> bool {
        self.doubts >= MAX_DOUBTS && now < self.last_doubt.plus(DOUBT_PAUSE)
    }
}

/// Payers whose latest payments failed because of them: they had no funds or no allowance. Such payments
/// cost them nothing, and take a place in the ledger's queue all the same.
#[derive(Clone, Debug, Default)]
pub struct FailingPayers(BTreeMap<Principal, (u32, TimestampNs)>);

impl FailingPayers {
    /// Notes that a payment of this payer has come to this state.
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
                        // Any of them: it has to fail some more times.
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

    /// Whether so many of the payer's latest payments failed, and the last of them just now.
    pub fn contains(&self, payer: &Principal, now: TimestampNs) -> bool {
        self.0.get(payer).is_some_and(|(failed, last)| {
            *failed >= MAX_FAILED_IN_A_ROW && now < last.plus(FAILING_PAUSE)
        })
    }
}

/// What the canister can pay for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Means {
    /// What it can spend now. Payments that are being settled hold back what their calls took.
    pub liquid: Cycles,
    /// What one more call takes until it is answered.
    pub call: Cycles,
    /// What is kept besides the floor, in case that the message comes to use more memory.
    pub spare: Cycles,
}

/// How many payments can be settled at one time: those that are, and as many more as there are cycles for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Places {
    /// In all ledgers.
    all: u32,
    /// In one ledger: one that does not answer leaves a quarter to the others, if there are any.
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

    /// How many payments of one payer may wait for an answer while so many wait for the ledger; at least one.
    fn share(&self, settling: u32) -> u32 {
        let scaled = |of_all: u32| {
            let scaled = u64::from(of_all) * u64::from(self.of_ledger);
            (scaled / u64::from(MAX_SETTLING_PER_LEDGER)) as u32
        };
        let band = SHARES.iter().find(|(up_to, _)| settling < scaled(*up_to));
        band.map_or(1, |(_, share)| scaled(*share).max(1))
    }
}

/// What a new payment would come on top of.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Load {
    /// Payments in the books.
    pub settled: u64,
    /// Payments that are being settled or unknown, without those that have lapsed.
    pub open: u64,
    /// Payments that have lapsed.
    pub lapsed: u64,
    /// Those of the same payer.
    pub open_of_payer: u32,
    /// Those of the same payer that wait for an answer: unknown ones hold back no cycles.
    pub settling_of_payer: u32,
    /// Those in the same ledger.
    pub open_of_ledger: u32,
    /// Whether the payer's latest payments failed: [`FailingPayers::contains`].
    pub failing_payer: bool,
    /// Whether no more failures can be remembered.
    pub failures_full: bool,
    /// Payments that wait for any ledger's answer.
    pub settling: u32,
    /// Whether new payments are accepted in one ledger only.
    pub only_ledger: bool,
    /// How the ledger has been answering.
    pub ledger: LedgerHealth,
}

/// Why no new payment is taken now.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NoCapacity {
    /// The canister has fewer cycles than its floor.
    #[error("no new payments at present: the canister runs low on cycles")]
    Cycles,
    /// Each payment that is being settled holds back what a call takes.
    #[error("too many payments are under way for the cycles of the canister, try again later")]
    Places,
    /// The books have reached `max_payments`.
    #[error("no new payments: the books are full")]
    Settled,
    /// Too many payments are open.
    #[error("too many payments are under way, try again later")]
    Open,
    /// Too many payments in this ledger are open.
    #[error("too many payments in this ledger are under way or unknown, try again later")]
    OpenOfLedger,
    /// Too many payments of this payer are open.
    #[error("this payer has too many payments under way, try again later")]
    OpenOfPayer,
    /// The payer's latest payments failed.
    #[error("the latest payments of this payer failed, try again in a minute")]
    FailingPayer,
    /// Too many failures have to be remembered.
    #[error("too many payments have failed lately, try again later")]
    Failures,
    /// Too many payments wait for this ledger.
    #[error("too many payments wait for this ledger, try again later")]
    Ledger,
    /// The ledger answers unclearly.
    #[error("the ledger does not answer clearly at present, try again later")]
    Doubts,
}

/// Whether one more payment can be taken, in two parts: what anybody may be told, and what is told to
/// nobody but the payer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Capacity {
    /// What holds for every payer; looked at before any signature is verified.
    pub public: Result<(), NoCapacity>,
    /// What holds for this payer, once the signature has shown who that is.
    pub of_payer: Result<(), NoCapacity>,
}

/// Whether one more payment can be taken by a canister with these means.
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

/// Below the floor the cycles are for what is owed. Above it, a payment whose call cannot be paid for would
/// fail, and its authorization with it.
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

/// Unknown payments stay open until their ledger answers clearly. While it does not, as when it is
/// stopped for an upgrade, anybody could fill the journal with payments that are never resolved: after
/// [`MAX_DOUBTS`] unclear answers in a row its new payments wait, and those of other ledgers do not.
fn check_public(
    limits: &Limits,
    load: &Load,
    places: &Places,
    now: TimestampNs,
) -> Result<(), NoCapacity> {
    // What has lapsed may come into the books, too.
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
    // While one is let through to see, the others go on waiting.
    let probing = load.ledger.doubts >= MAX_DOUBTS && load.ledger.settling > 0;
    if load.ledger.pauses(now) || probing {
        return Err(NoCapacity::Doubts);
    }
    Ok(())
}

/// Whether one more payment of a ledger may lapse, where so many have in all and of this ledger.
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
