//! How many calls are under way, so that no reply comes home to the heap of other code.

use crate::types::TimestampNs;
use candid::Principal;
use std::collections::BTreeMap;

/// Calls under way, and what runs in the timer.
///
/// A call ends with its answer. When a message traps, the system drops everything that waited in the same method, and
/// the answers come all the same: such a call is *lost*, and counts as under way for as long as its answer can come.
#[derive(Debug, Default)]
pub struct CallsUnderWay {
    under_way: u32,
    /// Those that wait for each canister.
    waiting: BTreeMap<Principal, u32>,
    /// Lost calls: who was called, and until when the answer can come. The system allows 500 calls to one canister.
    lost: Vec<(Principal, TimestampNs)>,
}

impl CallsUnderWay {
    /// Notes that a call to this canister begins.
    pub fn begin(&mut self, callee: Principal) {
        self.under_way = self.under_way.saturating_add(1);
        *self.waiting.entry(callee).or_default() += 1;
    }

    /// Notes that a call to this canister was answered.
    pub fn end(&mut self, callee: Principal) {
        self.under_way = self.under_way.saturating_sub(1);
        match self.waiting.get_mut(&callee) {
            Some(left) if *left > 1 => *left -= 1,
            _ => drop(self.waiting.remove(&callee)),
        }
    }

    /// Notes that nobody waits any more for a call to this canister, whose answer can come until then.
    pub fn lose(&mut self, callee: Principal, until: TimestampNs, now: TimestampNs) {
        self.end(callee);
        self.lost.retain(|(_, until)| now <= *until);
        self.lost.push((callee, until));
    }

    /// How many answers of this canister can come.
    pub fn to(&self, callee: &Principal, now: TimestampNs) -> u32 {
        let waiting = self.waiting.get(callee).copied().unwrap_or_default();
        let lost = self.lost.iter();
        let lost = lost.filter(|(called, until)| called == callee && now <= *until);
        waiting.saturating_add(u32::try_from(lost.count()).unwrap_or(u32::MAX))
    }

    /// Whether no answer can come.
    pub fn none(&self, now: TimestampNs) -> bool {
        self.under_way == 0 && self.lost.iter().all(|(_, until)| now > *until)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::types::Seconds;

    const NOW: TimestampNs = TimestampNs(1_800_000_000_000_000_000);

    fn callee(n: u8) -> Principal {
        Principal::from_slice(&[n])
    }

    fn after(seconds: u32) -> TimestampNs {
        NOW.plus(Seconds(seconds))
    }

    #[test]
    fn calls_are_under_way_until_they_are_answered() {
        let mut calls = CallsUnderWay::default();
        assert!(calls.none(NOW));
        for n in [1, 1, 2] {
            calls.begin(callee(n));
        }
        assert_eq!(calls.to(&callee(1), NOW), 2);
        calls.end(callee(1));
        assert_eq!(
            [1, 2, 3].map(|n| calls.to(&callee(n), NOW)),
            [1, 1, 0],
            "each canister's own"
        );
        calls.end(callee(1));
        assert!(!calls.none(NOW));
        calls.end(callee(2));
        assert!(calls.none(NOW) && calls.waiting.is_empty());
        // Once too often does no harm.
        calls.end(callee(2));
        assert!(calls.none(NOW));
    }

    #[test]
    fn a_trap_in_the_timer_loses_no_call_before_its_answer_can_come_no_more() {
        let mut calls = CallsUnderWay::default();
        // The timer's own call, and two of what it runs.
        for n in [0, 1, 2] {
            calls.begin(callee(n));
        }
        // One of the two is answered, and what comes then traps: nobody waits for either any more.
        for n in [1, 2] {
            calls.lose(callee(n), after(80), NOW);
        }
        for at in [NOW, after(80)] {
            assert_eq!([0, 1, 2].map(|n| calls.to(&callee(n), at)), [1, 1, 1]);
        }
        assert_eq!(calls.to(&callee(2), after(81)), 0);
        // The timer's call is answered in between.
        calls.end(callee(0));
        assert!(!calls.none(NOW) && !calls.none(after(80)));
        assert!(calls.none(after(81)));
    }

    #[test]
    fn each_lost_call_has_its_own_time_and_is_forgotten_after_it() {
        let mut calls = CallsUnderWay::default();
        for n in 0..100 {
            calls.begin(callee(1));
            calls.lose(callee(1), after(n + 10), after(n));
            assert!(calls.lost.len() <= 11);
        }
        calls.begin(callee(0));
        calls.lose(callee(0), after(420), after(100));
        assert_eq!(calls.to(&callee(1), after(105)), 5);
        assert!(!calls.none(after(420)) && calls.none(after(421)));
    }
}
