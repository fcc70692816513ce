//! Counting of calls in flight, so that no reply arrives in the heap of other code.

use crate::types::TimestampNs;
use candid::Principal;
use std::collections::BTreeMap;

/// Calls in flight, and the work that the timer started.
///
/// A call ends with its reply. When a message traps, the system drops everything that waited in the same method, and
/// the replies still arrive. Such a call is *lost*, and counts as in flight as long as its reply can arrive.
#[derive(Debug, Default)]
pub struct CallsUnderWay {
    under_way: u32,
    /// Calls to each canister that wait for a reply.
    waiting: BTreeMap<Principal, u32>,
    /// Lost calls: the callee, and the latest time at which the reply can arrive. The system allows 500 calls to one
    /// canister.
    lost: Vec<(Principal, TimestampNs)>,
}

impl CallsUnderWay {
    /// Records that a call to this canister begins.
    pub fn begin(&mut self, callee: Principal) {
        self.under_way = self.under_way.saturating_add(1);
        *self.waiting.entry(callee).or_default() += 1;
    }

    /// Records that a call to this canister was answered.
    pub fn end(&mut self, callee: Principal) {
        self.under_way = self.under_way.saturating_sub(1);
        match self.waiting.get_mut(&callee) {
            Some(left) if *left > 1 => *left -= 1,
            _ => drop(self.waiting.remove(&callee)),
        }
    }

    /// Records that a call to this canister is lost. Its reply can arrive until `until`.
    pub fn lose(&mut self, callee: Principal, until: TimestampNs, now: TimestampNs) {
        self.end(callee);
        self.lost.retain(|(_, until)| now <= *until);
        self.lost.push((callee, until));
    }

    /// The replies of this canister that can still arrive.
    pub fn to(&self, callee: &Principal, now: TimestampNs) -> u32 {
        let waiting = self.waiting.get(callee).copied().unwrap_or_default();
        let lost = self.lost.iter();
        let lost = lost.filter(|(called, until)| called == callee && now <= *until);
        waiting.saturating_add(u32::try_from(lost.count()).unwrap_or(u32::MAX))
    }

    /// Whether no reply can arrive.
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
            "counted by canister"
        );
        calls.end(callee(1));
        assert!(!calls.none(NOW));
        calls.end(callee(2));
        assert!(calls.none(NOW) && calls.waiting.is_empty());
        // An additional end has no effect.
        calls.end(callee(2));
        assert!(calls.none(NOW));
    }

    #[test]
    fn a_trap_in_the_timer_loses_no_call_before_its_answer_can_come_no_more() {
        let mut calls = CallsUnderWay::default();
        // The timer's own call, and two calls that it makes.
        for n in [0, 1, 2] {
            calls.begin(callee(n));
        }
        // One of the two is answered, and the code after it traps: both are dropped.
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
