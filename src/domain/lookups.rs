//! Bounds on what strangers can cause by naming blocks: each block that a request names is read from a ledger, and
//! nothing can be checked before.

use crate::types::TimestampNs;
use candid::Principal;
use std::collections::BTreeMap;

/// The most blocks that are read at the same time.
pub const MAX_AT_ONCE: u32 = 32;
/// The most of these in one ledger, so that one that keeps silent leaves places for the others.
pub const MAX_AT_ONCE_PER_LEDGER: u32 = 16;
/// The most blocks that are read in a row.
pub const BURST: u64 = 120;
/// The nanoseconds after which one more block may be read: one in a second, 86,400 a day.
const NANOSECONDS_PER_LOOKUP: u64 = 1_000_000_000;

/// The blocks that may be read now. A block that proves a payment does not count, because it cost its payer a fee.
#[derive(Clone, Debug, Default)]
pub struct Lookups {
    /// The time until which lookups are used up, as if they were made one after the other.
    used_until: u64,
    /// The blocks that are read now, by ledger.
    at_once: BTreeMap<Principal, u32>,
}

impl Lookups {
    /// Takes a lookup; `false` if there is none now.
    pub fn begin(&mut self, ledger: Principal, now: TimestampNs) -> bool {
        let used_until = self.used_until.max(now.0);
        let used = (used_until - now.0).div_ceil(NANOSECONDS_PER_LOOKUP);
        let of_ledger = self.at_once.get(&ledger).copied().unwrap_or_default();
        let all: u32 = self.at_once.values().sum();
        if all >= MAX_AT_ONCE || of_ledger >= MAX_AT_ONCE_PER_LEDGER || used >= BURST {
            return false;
        }
        self.used_until = used_until.saturating_add(NANOSECONDS_PER_LOOKUP);
        self.at_once.insert(ledger, of_ledger + 1);
        true
    }

    /// The lookup has ended.
    pub fn end(&mut self, ledger: &Principal) {
        match self.at_once.get_mut(ledger) {
            Some(left) if *left > 1 => *left -= 1,
            _ => drop(self.at_once.remove(ledger)),
        }
    }

    /// A lookup proved a payment, and is given back.
    pub fn give_back(&mut self) {
        self.used_until = self.used_until.saturating_sub(NANOSECONDS_PER_LOOKUP);
    }
}

/// The most invoices that are made in a row.
pub const INVOICE_BURST: u64 = 60;
/// The nanoseconds after which one more may be made: 30 in a minute, 43,200 a day.
const NANOSECONDS_PER_INVOICE: u64 = 2_000_000_000;

/// The invoices that may be made now.
#[derive(Clone, Debug, Default)]
pub struct Rate {
    /// The time until which permissions are used up, as if they were taken one after the other.
    used_until: u64,
}

impl Rate {
    pub fn is_left(&self, now: TimestampNs) -> bool {
        let used = self.used_until.saturating_sub(now.0);
        used.div_ceil(NANOSECONDS_PER_INVOICE) < INVOICE_BURST
    }

    /// Takes a permission; `false` if there is none now.
    pub fn take(&mut self, now: TimestampNs) -> bool {
        let left = self.is_left(now);
        if left {
            let from = self.used_until.max(now.0);
            self.used_until = from.saturating_add(NANOSECONDS_PER_INVOICE);
        }
        left
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: TimestampNs = TimestampNs(1_800_000_000_000_000_000);

    fn ledger(n: u8) -> Principal {
        Principal::from_slice(&[n])
    }

    fn after(seconds: u64) -> TimestampNs {
        TimestampNs(NOW.0 + seconds * NANOSECONDS_PER_LOOKUP)
    }

    #[test]
    fn strangers_cause_one_lookup_a_second_after_the_first_ones() {
        let mut lookups = Lookups::default();
        let mut made = 0;
        for second in 0..1_000 {
            for _ in 0..5 {
                if lookups.begin(ledger(1), after(second)) {
                    lookups.end(&ledger(1));
                    made += 1;
                }
            }
        }
        assert_eq!(made, BURST + 999);
    }

    #[test]
    fn lookups_that_are_under_way_are_bounded_and_those_that_prove_a_payment_are_free() {
        let mut lookups = Lookups::default();
        for _ in 0..MAX_AT_ONCE_PER_LEDGER {
            assert!(lookups.begin(ledger(1), NOW));
        }
        assert!(!lookups.begin(ledger(1), NOW));
        for _ in MAX_AT_ONCE_PER_LEDGER..MAX_AT_ONCE {
            assert!(lookups.begin(ledger(2), NOW), "another ledger");
        }
        assert!(!lookups.begin(ledger(3), NOW));
        for _ in 0..1_000 {
            lookups.end(&ledger(1));
            lookups.give_back();
            assert!(lookups.begin(ledger(1), NOW));
        }
    }
}
