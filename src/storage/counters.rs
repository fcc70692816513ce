//! Counters that only grow.

use crate::{storable_row, storage::memory, types::TimestampNs};
use ic_stable_structures::StableCell;
use minicbor::{Decode, Encode};
use std::{cell::RefCell, ops::AddAssign};

#[derive(Clone, Debug, Default, PartialEq, Eq, Encode, Decode)]
struct Counters {
    #[n(0)]
    price_revisions: u64,
    #[n(1)]
    blobs: u64,
    #[n(2)]
    failures: u64,
    #[n(3)]
    audit_payments: u64,
    #[n(4)]
    audit_admin: u64,
    #[n(5)]
    responses: u32,
    /// Revisions up to this one are of an earlier installation.
    #[n(6)]
    earlier_revisions: u64,
    /// Whether a route ever offered to pay by a transfer.
    #[n(7)]
    transfers_offered: bool,
    #[n(8)]
    returns: u64,
}

storable_row!(Counters);

thread_local! {
    static COUNTERS: RefCell<StableCell<Counters, memory::Memory>> = RefCell::new(
        StableCell::init(memory::get(memory::COUNTERS), Counters::default()),
    );
}

fn next<T: Copy + From<u8> + AddAssign>(counter: impl Fn(&mut Counters) -> &mut T) -> T {
    COUNTERS.with_borrow_mut(|cell| {
        let mut counters = cell.get().clone();
        let value = counter(&mut counters);
        *value += 1.into();
        let next = *value;
        cell.set(counters);
        next
    })
}

/// A new price revision, from 1 or above the value set by [`begin_price_revisions`].
pub fn next_price_revision() -> u64 {
    next(|counters| &mut counters.price_revisions)
}

/// Makes price revisions begin above the time of installation in microseconds. A canister that was reinstalled has lost
/// its used nonces. It must not repeat an offer for which a payer signed before: the earlier installation cannot have
/// used as many revisions as microseconds passed. Offers carry the revision as a JSON number, and many parsers are
/// exact up to 2^53 only. Microseconds reach that in the year 2255.
pub fn begin_price_revisions(installed_at: TimestampNs) {
    COUNTERS.with_borrow_mut(|cell| {
        let mut counters = cell.get().clone();
        counters.price_revisions = counters.price_revisions.max(installed_at.0 / 1_000);
        counters.earlier_revisions = counters.price_revisions;
        cell.set(counters);
    });
}

/// Notes that a route offers to pay by a transfer. Transfers may be presented from now on, whatever becomes of it.
pub fn note_transfers_offered() {
    COUNTERS.with_borrow_mut(|cell| {
        if !cell.get().transfers_offered {
            let counters = Counters {
                transfers_offered: true,
                ..cell.get().clone()
            };
            cell.set(counters);
        }
    });
}

/// Whether a route ever offered to pay by a transfer.
pub fn transfers_offered() -> bool {
    COUNTERS.with_borrow(|cell| cell.get().transfers_offered)
}

/// The highest price revision of an earlier installation of this canister.
pub fn earlier_revisions() -> u64 {
    COUNTERS.with_borrow(|cell| cell.get().earlier_revisions)
}

/// A new blob id, from 1.
pub fn next_blob() -> u64 {
    next(|counters| &mut counters.blobs)
}

/// A new number of a response, from 1.
pub(super) fn next_response() -> u32 {
    next(|counters| &mut counters.responses)
}

/// The number of the next transfer that gives back what an invoice did not need, from 1.
pub fn next_return() -> u64 {
    next(|counters| &mut counters.returns)
}

/// The number of the next failure, from 1.
pub(super) fn next_failure() -> u64 {
    next(|counters| &mut counters.failures)
}

/// The number of the next payment transition in the audit log, from 1.
pub(super) fn next_audit_payment() -> u64 {
    next(|counters| &mut counters.audit_payments)
}

/// The number of the next administrative action in the audit log, from 1.
pub(super) fn next_audit_admin() -> u64 {
    next(|counters| &mut counters.audit_admin)
}

/// The transitions and the administrative actions that were ever logged.
pub fn audited() -> (u64, u64) {
    COUNTERS.with_borrow(|cell| (cell.get().audit_payments, cell.get().audit_admin))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_number_is_given_twice() {
        assert_eq!((next_blob(), next_blob(), next_price_revision()), (1, 2, 1));
        assert_eq!(
            (next_failure(), next_audit_payment(), next_audit_admin()),
            (1, 1, 1)
        );
        assert_eq!(audited(), (1, 1));
        assert_eq!((next_response(), next_response()), (1, 2));
    }
}
