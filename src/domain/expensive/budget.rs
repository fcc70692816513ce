//! The budget of instructions for expensive verifications, in any minute and in any day.
//!
//! The budget of a minute protects the canister's time, the budget of a day its cycles: forged chains take at most a
//! tenth of the spare cycles, so that ordinary payments continue.

use crate::types::{ClaimKey, Cycles, Seconds, TimestampNs};
use std::collections::{BTreeMap, VecDeque};
use x402_icp::signature::MAX_CHAIN_COST;

/// The instructions that expensive verifications may use in any [`MINUTE`]: ten of the most expensive ones. They may
/// use at least as much in any day, however few cycles there are.
pub const BUDGET: u64 = 10 * MAX_CHAIN_COST;
pub const MINUTE: Seconds = Seconds(60);
/// How long after a verification its payment can still return the budget. Longer than a payment waits for its ledger's
/// reply. The budget of payments that settle later stays used for the day.
pub const GIVEN_BACK_WITHIN: Seconds = Seconds(600);
/// Expensive verifications may use one part in so many of the liquid cycles above the floor, in any day.
const PART_OF_CYCLES: u128 = 10;
/// The assumed cost of an instruction, in cycles: 1 on 13 nodes, 34/13 on 34 nodes.
const CYCLES_PER_INSTRUCTION: u128 = 3;
/// The budget of a day is counted by the hour.
const HOUR_NS: u64 = 3_600_000_000_000;
/// The hours that are counted in addition to the present one, which has only begun.
const HOURS: u64 = 24;

/// The reason why a verification has to wait.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Exhausted {
    #[error(
        "the signature is expensive to verify and the budget of 5,150 million instructions a minute is used up; \
         send the same payment again in a minute"
    )]
    Minute,
    #[error(
        "the signature is expensive to verify and the day's budget, a part of the canister's cycles, is used up; \
         try again in some hours. Sessions that have paid before and single keys are not affected"
    )]
    Day,
}

/// The budget that expensive verifications used.
#[derive(Debug, Default)]
pub(super) struct Budget {
    /// Single verifications, the oldest first, for [`GIVEN_BACK_WITHIN`]. The budget of a minute bounds their number.
    taken: VecDeque<Taken>,
    /// Instructions used and not returned, by the hour since 1970: at most 25 hours.
    hours: BTreeMap<u64, u64>,
}

#[derive(Debug)]
struct Taken {
    at: TimestampNs,
    cost: u64,
    /// The payment that returns the budget when its money moves, if any. A payment returns one verification.
    by: Option<ClaimKey>,
}

impl Budget {
    /// Uses so many instructions if the budget allows. `spare`: the liquid cycles above the floor.
    pub(super) fn take(
        &mut self,
        cost: u64,
        spare: Cycles,
        now: TimestampNs,
    ) -> Result<(), Exhausted> {
        self.pass_time(now);
        let last_minute = self.taken.iter().filter(|t| now < t.at.plus(MINUTE));
        let of_minute: u64 = last_minute.map(|taken| taken.cost).sum();
        if of_minute.saturating_add(cost) > BUDGET {
            return Err(Exhausted::Minute);
        }
        let of_day: u64 = self.hours.values().sum();
        if of_day.saturating_add(cost) > day(spare) {
            return Err(Exhausted::Day);
        }
        *self.hours.entry(hour(now)).or_default() += cost;
        self.taken.push_back(Taken {
            at: now,
            cost,
            by: None,
        });
        Ok(())
    }

    /// Records that the last verification belongs to this payment, whose proof is valid. Earlier ones of the same
    /// payment, which was not accepted then, stay used: otherwise one payment would return any number of them.
    pub(super) fn last_is_of(&mut self, payment: ClaimKey) {
        for earlier in &mut self.taken {
            if earlier.by == Some(payment) {
                earlier.by = None;
            }
        }
        if let Some(taken) = self.taken.back_mut() {
            taken.by = Some(payment);
        }
    }

    /// Returns the budget that was used last.
    pub(super) fn give_back_last(&mut self) {
        if let Some(taken) = self.taken.pop_back() {
            self.uncount(&taken);
        }
    }

    /// Returns the budget of the last verification of this payment.
    pub(super) fn give_back(&mut self, payment: &ClaimKey) {
        if let Some(at) = self.taken.iter().position(|t| t.by == Some(*payment))
            && let Some(taken) = self.taken.remove(at)
        {
            self.uncount(&taken);
        }
    }

    fn uncount(&mut self, taken: &Taken) {
        if let Some(counted) = self.hours.get_mut(&hour(taken.at)) {
            *counted = counted.saturating_sub(taken.cost);
        }
    }

    /// Drops entries that are too old to count. If the clock goes back, no budget is blocked for longer than usual.
    fn pass_time(&mut self, now: TimestampNs) {
        for taken in &mut self.taken {
            taken.at = taken.at.min(now);
        }
        self.taken
            .retain(|taken| now < taken.at.plus(GIVEN_BACK_WITHIN));
        let present = hour(now);
        let ahead = self.hours.split_off(&present.saturating_add(1));
        if !ahead.is_empty() {
            *self.hours.entry(present).or_default() += ahead.into_values().sum::<u64>();
        }
        self.hours = self.hours.split_off(&present.saturating_sub(HOURS));
    }

    #[cfg(test)]
    pub(super) fn verifications(&self) -> usize {
        self.taken.len()
    }
}

/// The instructions that expensive verifications may use in a day, with so many cycles above the floor.
fn day(spare: Cycles) -> u64 {
    let share = spare.0 / PART_OF_CYCLES / CYCLES_PER_INSTRUCTION;
    u64::try_from(share).unwrap_or(u64::MAX).max(BUDGET)
}

fn hour(at: TimestampNs) -> u64 {
    at.0 / HOUR_NS
}

#[cfg(test)]
mod tests {
    use super::*;

    /// At the beginning of an hour.
    const NOW: TimestampNs = TimestampNs(1_800_000_000_000_000_000);
    const CHAIN: u64 = 467_500_000;
    const PLENTY: Cycles = Cycles(u128::MAX);
    const POOR: Cycles = Cycles(0);

    fn later(seconds: u32) -> TimestampNs {
        NOW.plus(Seconds(seconds))
    }

    /// Uses the whole budget from this minute on, minute by minute. Returns the number of chains.
    fn exhaust(budget: &mut Budget, spare: Cycles, from: u32, minutes: u32) -> u64 {
        let mut chains = 0;
        for minute in 0..minutes {
            while budget.take(CHAIN, spare, later(from + 60 * minute)).is_ok() {
                chains += 1;
            }
        }
        chains
    }

    #[test]
    fn attack_31_forged_chains_take_no_more_than_a_tenth_of_the_cycles_in_a_day() {
        for trillions in [0, 1, 5, 20] {
            let spare = Cycles(trillions * 1_000_000_000_000);
            let budget = &mut Budget::default();
            let chains = exhaust(budget, spare, 0, 24 * 60);
            let cycles = u128::from(chains * CHAIN) * CYCLES_PER_INSTRUCTION;
            let least = u128::from(BUDGET) * CYCLES_PER_INSTRUCTION;
            assert!(cycles <= (spare.0 / 10).max(least), "{trillions} T");
            assert!(chains >= 10 && cycles + 3 * u128::from(CHAIN) > spare.0 / 10);
            assert_eq!(
                budget.take(CHAIN, spare, later(86_399)),
                Err(Exhausted::Day),
                "{trillions} T"
            );
            assert!(budget.hours.len() <= 25);
            // A day later, and the hour in which it began.
            assert_eq!(budget.take(CHAIN, spare, later(90_000 + 86_400)), Ok(()));
        }
    }

    #[test]
    fn ten_of_the_most_expensive_chains_a_day_are_verified_whatever_cycles_there_are() {
        let budget = &mut Budget::default();
        for n in 0..10 {
            let at = later(n * 3_600);
            assert_eq!(budget.take(MAX_CHAIN_COST, POOR, at), Ok(()));
        }
        let one_more = |budget: &mut Budget, at| budget.take(MAX_CHAIN_COST, POOR, at);
        assert_eq!(one_more(budget, later(36_000)), Err(Exhausted::Day));
        // Budget used in the first hour is blocked for at least a day.
        assert_eq!(one_more(budget, later(86_399)), Err(Exhausted::Day));
        assert_eq!(one_more(budget, later(89_999)), Err(Exhausted::Day));
        assert_eq!(one_more(budget, later(90_000)), Ok(()));
        assert_eq!(one_more(budget, later(90_001)), Err(Exhausted::Day));
    }

    #[test]
    fn what_paid_in_time_is_taken_from_neither_minute_nor_day() {
        let budget = &mut Budget::default();
        for n in 0..100 {
            let payment = ClaimKey([n; 16]);
            let at = later(u32::from(n) * 700);
            assert_eq!(budget.take(MAX_CHAIN_COST, POOR, at), Ok(()), "{n}");
            budget.last_is_of(payment);
            // Longer than the minute, and sometimes into the next hour.
            budget.pass_time(at.plus(Seconds(599)));
            budget.give_back(&payment);
            assert_eq!(budget.hours.values().sum::<u64>(), 0);
        }
        assert!(budget.hours.len() <= 25 && budget.taken.is_empty());
        // Too late.
        let payment = ClaimKey([200; 16]);
        assert_eq!(budget.take(MAX_CHAIN_COST, POOR, later(80_000)), Ok(()));
        budget.last_is_of(payment);
        budget.pass_time(later(80_600));
        budget.give_back(&payment);
        assert_eq!(budget.hours.values().sum::<u64>(), MAX_CHAIN_COST);
    }

    /// Ten verifications a minute for one payment, which settles in the end.
    #[test]
    fn attack_31_one_payment_does_not_give_a_day_of_verifications_back() {
        let budget = &mut Budget::default();
        let payment = ClaimKey([1; 16]);
        let spare = Cycles(5_000_000_000_000);
        let mut chains = 0;
        for minute in 0..24 * 60 {
            while budget.take(CHAIN, spare, later(60 * minute)).is_ok() {
                budget.last_is_of(payment);
                chains += 1;
            }
            if minute % 10 == 9 {
                budget.give_back(&payment);
            }
        }
        let given_back = 24 * 6;
        let cycles = u128::from((chains - given_back) * CHAIN) * CYCLES_PER_INSTRUCTION;
        assert!(cycles <= spare.0 / 10, "{chains} chains");
    }

    #[test]
    fn the_budget_of_a_day_is_kept_in_little_memory() {
        let budget = &mut Budget::default();
        let least = 26_000_001;
        for second in 0..1_300 {
            while budget.take(least, PLENTY, later(second)).is_ok() {}
            assert!(budget.taken.len() <= 2_200, "{}", budget.taken.len());
        }
        exhaust(budget, PLENTY, 1_300, 2 * 24 * 60);
        assert!(budget.taken.len() <= 2_200 && budget.hours.len() <= 25);
    }

    #[test]
    fn a_clock_that_goes_back_keeps_nobody_out_for_more_than_a_day() {
        let budget = &mut Budget::default();
        exhaust(budget, POOR, 1_000_000, 1);
        assert_eq!(budget.take(CHAIN, POOR, NOW), Err(Exhausted::Minute));
        assert_eq!(budget.take(CHAIN, POOR, later(60)), Err(Exhausted::Day));
        assert_eq!(budget.take(CHAIN, POOR, later(90_000)), Ok(()));
    }
}
