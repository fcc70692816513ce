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

/// The most payments that are being settled or unknown at one time.
pub const MAX_OPEN: u64 = 10_000;
/// The most of these in one ledger: what a ledger leaves unknown must not take the places of the others.
pub const MAX_OPEN_PER_LEDGER: u32 = 1_000;
/// The most of these of one payer.
pub const MAX_OPEN_PER_PAYER: u32 = 150;
/// The most payments that wait for one ledger. The system carries 500 calls to one canister.
pub const MAX_SETTLING_PER_LEDGER: u32 = 400;
/// How many payments of one payer may be open while so many wait for the ledger: a few keys, which cost
/// nothing, must not be able to take all of a ledger's places.
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
                Doubt::Reject | Doubt::UnreadableReply | Doubt::ImplausibleBlock => {
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

/// What a new payment would come on top of.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Load {
    /// Payments in the books.
    pub settled: u64,
    /// Payments that are being settled or unknown.
    pub open: u64,
    /// Those of the same payer.
    pub open_of_payer: u32,
    /// Those in the same ledger.
    pub open_of_ledger: u32,
    /// Whether the payer's latest payments failed: [`FailingPayers::contains`].
    pub failing_payer: bool,
    /// Whether no more failures can be remembered.
    pub failures_full: bool,
    /// How the ledger has been answering.
    pub ledger: LedgerHealth,
}

/// Why no new payment is taken now.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NoCapacity {
    /// The canister has fewer cycles than its floor.
    #[error("no new payments at present: the canister runs low on cycles")]
    Cycles,
    /// The books have reached `max_payments`.
    #[error("no new payments: the books are full")]
    Books,
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

/// Whether one more payment can be taken by a canister with so many cycles.
pub fn check(limits: &Limits, load: &Load, cycles: Cycles, now: TimestampNs) -> Capacity {
    Capacity {
        public: check_public(limits, load, cycles, now),
        of_payer: check_payer(load),
    }
}

/// Unknown payments stay open until their ledger answers clearly. While it does not, as when it is
/// stopped for an upgrade, anybody could fill the journal with payments that are never resolved: after
/// [`MAX_DOUBTS`] unclear answers in a row its new payments wait, and those of other ledgers do not.
fn check_public(
    limits: &Limits,
    load: &Load,
    cycles: Cycles,
    now: TimestampNs,
) -> Result<(), NoCapacity> {
    // Below the floor the cycles are for what is owed.
    if cycles < limits.cycles_floor {
        return Err(NoCapacity::Cycles);
    }
    if load.settled.saturating_add(load.open) >= limits.max_payments {
        return Err(NoCapacity::Books);
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
    if load.ledger.settling >= MAX_SETTLING_PER_LEDGER {
        return Err(NoCapacity::Ledger);
    }
    // While one is let through to see, the others go on waiting.
    let probing = load.ledger.doubts >= MAX_DOUBTS && load.ledger.settling > 0;
    if load.ledger.pauses(now) || probing {
        return Err(NoCapacity::Doubts);
    }
    Ok(())
}

fn check_payer(load: &Load) -> Result<(), NoCapacity> {
    let share = SHARES
        .iter()
        .find(|(settling, _)| load.ledger.settling < *settling)
        .map_or(0, |(_, share)| *share);
    if load.open_of_payer >= share {
        return Err(NoCapacity::OpenOfPayer);
    }
    if load.failing_payer && load.open_of_payer >= MAX_OPEN_OF_FAILING {
        return Err(NoCapacity::FailingPayer);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{domain::payment::Failure, types::BlockIndex};

    const NOW: TimestampNs = TimestampNs(1_000_000_000_000);

    const CYCLES: Cycles = Cycles(100_000_000_000_000);

    fn at(
        limits: &Limits,
        load: &Load,
        cycles: Cycles,
        now: TimestampNs,
    ) -> Result<(), NoCapacity> {
        let capacity = check(limits, load, cycles, now);
        capacity.public.and(capacity.of_payer)
    }

    fn checked(load: Load) -> Result<(), NoCapacity> {
        at(&Limits::default(), &load, CYCLES, NOW)
    }

    #[test]
    fn every_limit_has_its_reason() {
        assert_eq!(checked(Load::default()), Ok(()));
        let none = Load::default();
        let few = Limits {
            max_payments: 7,
            ..Limits::default()
        };
        let floor = few.cycles_floor;
        assert_eq!(at(&few, &none, floor, NOW), Ok(()));
        let less = Cycles(floor.0 - 1);
        assert_eq!(at(&few, &none, less, NOW), Err(NoCapacity::Cycles));
        let full = Load {
            settled: 5,
            open: 2,
            ..none
        };
        assert_eq!(at(&few, &full, CYCLES, NOW), Err(NoCapacity::Books));
        assert_eq!(
            checked(Load {
                open: MAX_OPEN,
                ..none
            }),
            Err(NoCapacity::Open)
        );
        let of_ledger = Load {
            open_of_ledger: MAX_OPEN_PER_LEDGER,
            ..none
        };
        assert_eq!(checked(of_ledger), Err(NoCapacity::OpenOfLedger));
        let of_payer = Load {
            open_of_payer: MAX_OPEN_PER_PAYER,
            ..none
        };
        assert_eq!(checked(of_payer), Err(NoCapacity::OpenOfPayer));
        let failed = Load {
            failures_full: true,
            ..none
        };
        assert_eq!(checked(failed), Err(NoCapacity::Failures));
        let mut waiting = none;
        waiting.ledger.settling = MAX_SETTLING_PER_LEDGER;
        assert_eq!(checked(waiting), Err(NoCapacity::Ledger));
    }

    /// How many places of an idle ledger so many new keys get if each takes all that it can.
    fn taken_by(keys: usize) -> u32 {
        let mut load = Load::default();
        for _ in 0..keys {
            load.open_of_payer = 0;
            while checked(load).is_ok() {
                load.open_of_payer += 1;
                load.ledger.settling += 1;
            }
        }
        load.ledger.settling
    }

    #[test]
    fn three_throw_away_keys_do_not_take_all_places_of_a_ledger() {
        assert_eq!(taken_by(1), MAX_OPEN_PER_PAYER);
        assert!(taken_by(3) < 250);
        assert!(taken_by(20) < MAX_SETTLING_PER_LEDGER);
        assert_eq!(taken_by(1_000), MAX_SETTLING_PER_LEDGER);
    }

    #[test]
    fn what_concerns_one_payer_is_no_public_fact() {
        let busy = Load {
            open_of_payer: MAX_OPEN_PER_PAYER,
            failing_payer: true,
            ..Load::default()
        };
        let capacity = check(&Limits::default(), &busy, CYCLES, NOW);
        assert_eq!(capacity.public, Ok(()));
        assert_eq!(capacity.of_payer, Err(NoCapacity::OpenOfPayer));
    }

    #[test]
    fn a_payer_who_only_fails_is_slowed_down_and_one_success_ends_it() {
        let payer = Principal::from_slice(&[1]);
        let failed = |kind| State::Failed {
            failure: Failure {
                kind,
                message: String::new(),
            },
            at: NOW,
        };
        let mut failing = FailingPayers::default();
        for _ in 0..MAX_FAILED_IN_A_ROW {
            assert!(!failing.contains(&payer, NOW));
            failing.note(payer, &failed(FailureKind::FeeChanged), NOW);
            failing.note(payer, &failed(FailureKind::InsufficientFunds), NOW);
        }
        assert!(failing.contains(&payer, NOW));
        assert!(!failing.contains(&payer, NOW.plus(FAILING_PAUSE)));
        let load = |open_of_payer| Load {
            failing_payer: true,
            open_of_payer,
            ..Load::default()
        };
        assert_eq!(checked(load(MAX_OPEN_OF_FAILING - 1)), Ok(()));
        assert_eq!(
            checked(load(MAX_OPEN_OF_FAILING)),
            Err(NoCapacity::FailingPayer)
        );
        let settled = State::Settled {
            block: BlockIndex(1),
            at: NOW,
        };
        failing.note(payer, &settled, NOW);
        assert!(!failing.contains(&payer, NOW));
        for n in 0..2 * MAX_FAILING as u32 {
            let payer = Principal::from_slice(&n.to_be_bytes());
            failing.note(payer, &failed(FailureKind::InsufficientAllowance), NOW);
        }
        assert!(failing.0.len() <= MAX_FAILING);
    }

    #[test]
    fn a_ledger_that_answers_unclearly_gets_a_pause_and_then_one_payment() {
        let settling = State::Settling { attempt: 1 };
        let unknown = State::Unknown {
            doubt: Doubt::Reject,
            since: NOW,
            attempts: 1,
        };
        let mut load = Load::default();
        for _ in 0..MAX_DOUBTS {
            assert_eq!(checked(load), Ok(()));
            load.ledger.note(false, &settling, NOW);
            load.ledger.note(true, &unknown, NOW);
        }
        assert_eq!(load.ledger.settling, 0);
        assert_eq!(checked(load), Err(NoCapacity::Doubts));
        let later = NOW.plus(DOUBT_PAUSE);
        let check_later = |load: &Load| at(&Limits::default(), load, CYCLES, later);
        assert_eq!(check_later(&load), Ok(()));
        load.ledger.note(false, &settling, later);
        assert_eq!(
            check_later(&load),
            Err(NoCapacity::Doubts),
            "one is enough to see"
        );
        load.ledger.note(
            true,
            &State::Settled {
                block: BlockIndex(1),
                at: later,
            },
            later,
        );
        assert_eq!(check_later(&load), Ok(()));
        assert_eq!(load.ledger.doubts, 0);

        // A refused repetition leaves everything as it was: the system may have refused it.
        load.ledger.doubts = MAX_DOUBTS;
        let doubt = Doubt::RetryRefused;
        load.ledger.note(
            true,
            &State::Unknown {
                doubt,
                since: later,
                attempts: 2,
            },
            later,
        );
        assert_eq!(load.ledger.doubts, MAX_DOUBTS);
    }
}
