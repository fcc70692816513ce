//! When ledgers were asked for their fee, on the heap: an upgrade forgets it, and they may be asked again.

use crate::types::{Amount, Seconds, TimestampNs};
use candid::Principal;
use std::{cell::RefCell, collections::BTreeMap};

/// A ledger is asked for its fee once in this time at most, whoever has reason to doubt the fee that is known.
pub const PAUSE: Seconds = Seconds(300);
/// How long a fee is not believed that the ledger named when it was asked and then refused in a transfer.
pub const REFUTED: Seconds = Seconds(3_600);

/// What is known of how a ledger names its fee.
#[derive(Clone, Copy, Debug, Default)]
struct Known {
    /// The ledger refused a transfer in a way that another fee would explain.
    doubted: bool,
    asked_at: Option<TimestampNs>,
    /// The fee that it named when it was asked.
    named: Option<Amount>,
    /// A fee that it named when it was asked, and then refused.
    refuted: Option<(Amount, TimestampNs)>,
    /// The last fee that was not believed.
    absurd: Option<Amount>,
}

impl Known {
    fn may_be_asked(&self, now: TimestampNs) -> bool {
        self.asked_at.is_none_or(|at| now >= at.plus(PAUSE))
    }
}

thread_local! {
    /// Of registered ledgers, which are few.
    static KNOWN: RefCell<BTreeMap<Principal, Known>> = RefCell::default();
}

fn with<T>(ledger: &Principal, change: impl FnOnce(&mut Known) -> T) -> T {
    KNOWN.with_borrow_mut(|known| change(known.entry(*ledger).or_default()))
}

/// Notes that this ledger's fee may be another one than is known.
pub fn doubt(ledger: &Principal) {
    with(ledger, |known| known.doubted = true);
}

/// Whether this ledger's fee may be asked for now.
pub fn may_query(ledger: &Principal, now: TimestampNs) -> bool {
    KNOWN.with_borrow(|all| all.get(ledger).is_none_or(|known| known.may_be_asked(now)))
}

/// Whether its fee is in doubt.
pub fn is_doubted(ledger: &Principal) -> bool {
    KNOWN.with_borrow(|all| all.get(ledger).is_some_and(|known| known.doubted))
}

/// Notes that this ledger is asked now: that ends the doubt, whatever it answers.
pub fn begin(ledger: &Principal, now: TimestampNs) {
    with(ledger, |known| {
        (known.doubted, known.asked_at) = (false, Some(now));
    });
}

/// Notes what the ledger named when it was asked. `false` if it is not to be believed, because the ledger
/// refused that fee in a transfer a short while ago.
pub fn note_named(ledger: &Principal, fee: Amount, now: TimestampNs) -> bool {
    with(ledger, |known| {
        let refuted = known
            .refuted
            .is_some_and(|(refused, at)| refused == fee && now < at.plus(REFUTED));
        known.named = Some(fee).filter(|_| !refuted);
        !refuted
    })
}

/// Notes that the ledger refused this fee in a transfer.
pub fn note_refused(ledger: &Principal, fee: Amount, now: TimestampNs) {
    with(ledger, |known| {
        if known.named == Some(fee) {
            known.refuted = Some((fee, now));
        }
    });
}

/// Notes a fee that is not plausible; returns whether it is another one than the last.
pub fn note_absurd(ledger: &Principal, fee: Amount) -> bool {
    with(ledger, |known| known.absurd.replace(fee) != Some(fee))
}

/// Forgets what the ledger said: a controller has added it again.
pub fn forget(ledger: &Principal) {
    KNOWN.with_borrow_mut(|known| known.remove(ledger));
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ledger() -> Principal {
        Principal::from_slice(&[1])
    }

    #[test]
    fn a_ledger_is_asked_once_in_the_pause() {
        let start = TimestampNs(1_000_000_000_000);
        assert!(may_query(&ledger(), start));
        doubt(&ledger());
        begin(&ledger(), start);
        assert!(!is_doubted(&ledger()));
        for later in [0, 1, PAUSE.0 - 1] {
            doubt(&ledger());
            assert!(!may_query(&ledger(), start.plus(Seconds(later))), "{later}");
        }
        assert!(may_query(&ledger(), start.plus(PAUSE)));
        assert!(may_query(&Principal::from_slice(&[2]), start));
    }

    #[test]
    fn a_fee_that_the_ledger_named_and_refused_is_not_believed_for_an_hour() {
        let start = TimestampNs(1_000_000_000_000);
        assert!(note_named(&ledger(), Amount(5), start));
        note_refused(&ledger(), Amount(7), start);
        assert!(
            note_named(&ledger(), Amount(7), start),
            "it was not asked for"
        );
        assert!(note_named(&ledger(), Amount(5), start));
        note_refused(&ledger(), Amount(5), start);
        assert!(!note_named(&ledger(), Amount(5), start.plus(PAUSE)));
        assert!(note_named(&ledger(), Amount(6), start.plus(PAUSE)));
        assert!(note_named(&ledger(), Amount(5), start.plus(REFUTED)));
        forget(&ledger());
        assert!(note_named(&ledger(), Amount(5), start));
    }
}
