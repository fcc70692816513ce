//! The fee queries of each ledger. Heap only: after an upgrade a ledger may be queried again at once.

use crate::types::{Amount, Seconds, TimestampNs};
use candid::Principal;
use std::{cell::RefCell, collections::BTreeMap};

/// The least time between two fee queries of a ledger, whatever the reason.
pub const PAUSE: Seconds = Seconds(300);
/// For how long a fee is rejected after the ledger named it when queried and then refused it in a transfer.
pub const REFUTED: Seconds = Seconds(3_600);

/// The state of a ledger's fee queries.
#[derive(Clone, Copy, Debug, Default)]
struct Known {
    /// The ledger refused a transfer in a way that another fee would explain.
    doubted: bool,
    queried_at: Option<TimestampNs>,
    /// The latest fee that the ledger named when queried.
    named: Option<Amount>,
    /// The latest fee that it named when queried and then refused.
    refuted: Option<(Amount, TimestampNs)>,
    /// The latest implausible fee.
    absurd: Option<Amount>,
}

impl Known {
    fn may_be_queried(&self, now: TimestampNs) -> bool {
        self.queried_at.is_none_or(|at| now >= at.plus(PAUSE))
    }
}

thread_local! {
    /// One entry for each registered ledger at most.
    static KNOWN: RefCell<BTreeMap<Principal, Known>> = RefCell::default();
}

fn with<T>(ledger: &Principal, change: impl FnOnce(&mut Known) -> T) -> T {
    KNOWN.with_borrow_mut(|known| change(known.entry(*ledger).or_default()))
}

/// Records that this ledger's fee may have changed.
pub fn doubt(ledger: &Principal) {
    with(ledger, |known| known.doubted = true);
}

/// Whether this ledger may be queried for its fee now.
pub fn may_query(ledger: &Principal, now: TimestampNs) -> bool {
    KNOWN.with_borrow(|all| {
        all.get(ledger)
            .is_none_or(|known| known.may_be_queried(now))
    })
}

pub fn is_doubted(ledger: &Principal) -> bool {
    KNOWN.with_borrow(|all| all.get(ledger).is_some_and(|known| known.doubted))
}

/// Records that this ledger is being queried. That ends the doubt, whatever it answers.
pub fn begin(ledger: &Principal, now: TimestampNs) {
    with(ledger, |known| {
        (known.doubted, known.queried_at) = (false, Some(now));
    });
}

/// Records the fee that the ledger named when queried. `false` if it is rejected, because the ledger refused that fee
/// in a transfer a short while ago.
pub fn note_named(ledger: &Principal, fee: Amount, now: TimestampNs) -> bool {
    with(ledger, |known| {
        let refuted = known
            .refuted
            .is_some_and(|(refused, at)| refused == fee && now < at.plus(REFUTED));
        known.named = Some(fee).filter(|_| !refuted);
        !refuted
    })
}

/// Records that the ledger refused this fee in a transfer.
pub fn note_refused(ledger: &Principal, fee: Amount, now: TimestampNs) {
    with(ledger, |known| {
        if known.named == Some(fee) {
            known.refuted = Some((fee, now));
        }
    });
}

/// Records an implausible fee. Returns whether it differs from the last one.
pub fn note_absurd(ledger: &Principal, fee: Amount) -> bool {
    with(ledger, |known| known.absurd.replace(fee) != Some(fee))
}

/// Drops what is known of this ledger's fee, because a controller added the ledger again.
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
    fn a_ledger_is_queried_once_in_the_pause() {
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
            "the ledger had not named it"
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
