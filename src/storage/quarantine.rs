//! Rows of payments that this version cannot read.
//!
//! Such a row is in quarantine: its bytes stay until a version is installed that reads it. Nothing overwrites or
//! removes it. Lists leave it out, its claim key stays used, and its part of the totals stays counted. A row is
//! unreadable if a newer version wrote it and was replaced by this one, or if this version has a fault.
//!
//! The settings and the small tables (counters, ledgers, routes, responses, accounts, withdrawals, cancellations) have
//! no quarantine. Each upgrade reads them whole. If a row cannot be read, the upgrade traps and is undone. For the
//! other tables, the message that needs the row traps and changes nothing.

use crate::{
    storage::audit,
    types::{ClaimKey, TimestampNs},
};
use candid::Principal;
use std::{cell::RefCell, collections::BTreeMap, fmt};

/// The most rows that are recorded in the audit log between two upgrades.
const MAX_NAMED: usize = 256;

#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("this version cannot read the payment's row")]
pub struct Unreadable;

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Row {
    Open(ClaimKey),
    /// A settled payment or its delivery, by index from 0.
    Settled(u64),
    Failure(ClaimKey),
    Refund(ClaimKey),
}

impl fmt::Display for Row {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (what, key) = match self {
            Row::Open(key) => ("open payment", key),
            // Sequences in lists begin at 1.
            Row::Settled(index) => return write!(f, "settled payment {}", index.saturating_add(1)),
            Row::Failure(key) => ("failure", key),
            Row::Refund(key) => ("refund", key),
        };
        write!(f, "{what} ")?;
        key.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

thread_local! {
    /// Unreadable rows found since the last upgrade, and whether the audit log names them.
    static FOUND: RefCell<BTreeMap<Row, bool>> = RefCell::default();
}

/// Puts a row in quarantine.
pub(super) fn note(row: Row) -> Unreadable {
    #[cfg(test)]
    tests::panic_unless_expected(row);
    FOUND.with_borrow_mut(|found| {
        if found.len() < MAX_NAMED {
            found.entry(row).or_insert(false);
        }
    });
    Unreadable
}

/// Whether no unreadable row was found since the last upgrade.
pub fn is_empty() -> bool {
    FOUND.with_borrow(BTreeMap::is_empty)
}

/// Records new unreadable rows in the audit log (action `row_unreadable`). What a query finds is lost when the query
/// ends.
pub fn report(now: TimestampNs) {
    FOUND.with_borrow_mut(|found| {
        for (row, named) in found.iter_mut().filter(|(_, named)| !**named) {
            let nobody = Principal::management_canister();
            audit::admin(nobody, "row_unreadable", &row.to_string(), now);
            *named = true;
        }
    });
}

#[cfg(test)]
pub(crate) mod tests {
    use super::Row;
    use std::cell::Cell;

    thread_local! {
        static EXPECTED: Cell<bool> = const { Cell::new(false) };
    }

    /// Allows unreadable rows for the rest of this test.
    pub(crate) fn expect_unreadable() {
        EXPECTED.set(true);
    }

    pub(super) fn panic_unless_expected(row: Row) {
        assert!(EXPECTED.get(), "BUG: the row of {row} cannot be read");
    }
}
