//! Withdrawals, kept until no ledger can make them any more.
//!
//! | table | key | what | size |
//! |---|---|---|---|
//! | withdrawals | ledger, `created_at_time` | the request and its outcome | at most [`MAX_WITHDRAWALS`] a ledger |
//!
//! The heap keeps the withdrawal of each ledger that is in doubt. There is at most one at a time.

use crate::{
    domain::withdrawal::{MAX_WITHDRAWALS, Withdrawal, forgotten_from, is_forgotten},
    storable_row,
    storage::{
        codec::{StoredAccount, StoredU128},
        ledgers,
        liabilities::{self, OutgoingRow},
        memory,
    },
    types::{BlockIndex, TimestampNs},
};
use candid::Principal;
use ic_stable_structures::StableBTreeMap;
use minicbor::{Decode, Encode};
use std::{cell::RefCell, collections::BTreeMap, ops::RangeInclusive};

#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
struct WithdrawalRow {
    #[n(0)]
    from: StoredAccount,
    #[n(1)]
    to: StoredAccount,
    #[n(2)]
    amount: StoredU128,
    #[n(3)]
    outgoing: OutgoingRow,
    #[n(4)]
    block: Option<u64>,
}

storable_row!(WithdrawalRow);

impl From<&Withdrawal> for WithdrawalRow {
    fn from(withdrawal: &Withdrawal) -> Self {
        WithdrawalRow {
            from: StoredAccount(withdrawal.from),
            to: StoredAccount(withdrawal.to),
            amount: withdrawal.amount.into(),
            outgoing: (&withdrawal.outgoing).into(),
            block: withdrawal.block.map(|block| block.0),
        }
    }
}

impl WithdrawalRow {
    fn withdrawal(self, created_at: TimestampNs) -> Withdrawal {
        Withdrawal {
            from: self.from.0,
            to: self.to.0,
            amount: self.amount.into(),
            created_at,
            outgoing: self.outgoing.into(),
            block: self.block.map(BlockIndex),
        }
    }
}

/// A ledger's index and a time.
type Key = (u16, u64);

struct Tables {
    all: StableBTreeMap<Key, WithdrawalRow, memory::Memory>,
    /// The latest withdrawal of each ledger whose outcome is unknown.
    in_doubt: BTreeMap<u16, u64>,
}

thread_local! {
    static TABLES: RefCell<Tables> = RefCell::new(Tables::load());
}

impl Tables {
    fn load() -> Self {
        let all = StableBTreeMap::init(memory::get(memory::WITHDRAWALS));
        let mut tables = Tables {
            in_doubt: BTreeMap::new(),
            all,
        };
        let rows: Vec<(Key, WithdrawalRow)> =
            tables.all.iter().map(|row| row.into_pair()).collect();
        for ((index, time), row) in rows {
            tables.note((index, time), &row.withdrawal(TimestampNs(time)));
        }
        tables
    }

    fn note(&mut self, (index, time): Key, withdrawal: &Withdrawal) {
        let doubtful = withdrawal.block.is_none() && withdrawal.outgoing.doubt.is_some();
        let known = self.in_doubt.get(&index).copied();
        match doubtful {
            true if known.is_none_or(|known| known < time) => {
                self.in_doubt.insert(index, time);
            }
            false if known == Some(time) => {
                self.in_doubt.remove(&index);
            }
            _ => {}
        }
    }
}

fn with<T>(f: impl FnOnce(&Tables) -> T) -> T {
    TABLES.with_borrow(f)
}

pub fn load() {
    with(|_| ());
}

/// The withdrawal from this ledger with this time.
pub fn get(ledger: &Principal, created_at: TimestampNs) -> Option<Withdrawal> {
    let index = ledgers::index(ledger)?;
    let row = with(|tables| tables.all.get(&(index, created_at.0)))?;
    Some(row.withdrawal(created_at))
}

/// The withdrawal from this ledger whose outcome is unknown, while the ledger may still make it.
pub fn pending(ledger: &Principal, now: TimestampNs) -> Option<Withdrawal> {
    let index = ledgers::index(ledger)?;
    let time = with(|tables| tables.in_doubt.get(&index).copied())?;
    get(ledger, TimestampNs(time)).filter(|known| known.reserved(now).is_some())
}

/// Stores a withdrawal. Before adding one, the caller has checked [`full_until`].
pub fn put(ledger: &Principal, withdrawal: &Withdrawal) {
    let Some(index) = ledgers::index(ledger) else {
        return;
    };
    let key = (index, withdrawal.created_at.0);
    let before = TABLES.with_borrow_mut(|tables| {
        tables.note(key, withdrawal);
        tables.all.insert(key, withdrawal.into())
    });
    let was_known = before.is_some_and(|row| row.block.is_some());
    if withdrawal.block.is_some() && !was_known {
        liabilities::note_outflow();
    }
}

/// A `created_at_time` for a new withdrawal that no other has: now, or shortly before.
pub fn free_time(ledger: &Principal, now: TimestampNs) -> TimestampNs {
    let mut time = now;
    while get(ledger, time).is_some() {
        time = TimestampNs(time.0.saturating_sub(1));
    }
    time
}

/// If there is no room for another withdrawal from this ledger: the time from which there is. [`forget_old`] then drops
/// one.
pub fn full_until(ledger: &Principal) -> Option<TimestampNs> {
    let index = ledgers::index(ledger)?;
    let times: Vec<u64> = with(|tables| {
        let keys = tables.all.keys_range(of_ledger(index));
        keys.map(|(_, time)| time).collect()
    });
    let surplus = times.len().checked_sub(MAX_WITHDRAWALS as usize)?;
    times
        .get(surplus)
        .map(|time| forgotten_from(TimestampNs(*time)))
}

/// Drops the withdrawals that this ledger can no longer make.
pub fn forget_old(ledger: &Principal, now: TimestampNs) {
    let Some(index) = ledgers::index(ledger) else {
        return;
    };
    TABLES.with_borrow_mut(|tables| {
        let old: Vec<Key> = tables
            .all
            .keys_range(of_ledger(index))
            .take_while(|(_, time)| is_forgotten(TimestampNs(*time), now))
            .collect();
        for key in old {
            tables.all.remove(&key);
            if tables.in_doubt.get(&index) == Some(&key.1) {
                tables.in_doubt.remove(&index);
            }
        }
    });
}

fn of_ledger(index: u16) -> RangeInclusive<Key> {
    (index, 0)..=(index, u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        domain::{outgoing::TransferTerms, window::FORGOTTEN},
        storage::{ledgers::tests::ledger, payments::tests::set_up},
        types::{Account, Amount, Seconds},
    };

    const NOW: TimestampNs = TimestampNs(1_800_000_000_000_000_000);

    fn withdrawal(created_at: TimestampNs) -> Withdrawal {
        let account = |n| Account::from(Principal::from_slice(&[n]));
        let mut new = Withdrawal::new(account(1), account(2), Amount(5), created_at);
        let fee = Amount(u128::MAX);
        new.outgoing.begin(TransferTerms { created_at, fee }, NOW);
        new
    }

    #[test]
    fn withdrawals_are_read_back() {
        set_up();
        ledgers::put(&ledger(1)).unwrap();
        let (id, other) = (ledger(0).id, ledger(1).id);
        let mut known = withdrawal(NOW);
        put(&id, &known);
        assert_eq!((get(&id, NOW), get(&other, NOW)), (Some(known), None));
        assert_eq!(
            (pending(&id, NOW), pending(&other, NOW)),
            (Some(known), None)
        );
        assert_eq!(free_time(&id, NOW), TimestampNs(NOW.0 - 1));
        let before = liabilities::outflows();
        known.block = Some(BlockIndex(7));
        put(&id, &known);
        put(&id, &known);
        assert_eq!((get(&id, NOW), pending(&id, NOW)), (Some(known), None));
        assert_eq!(liabilities::outflows(), before + 1, "it left once");
    }

    #[test]
    fn the_one_in_doubt_is_found_after_an_upgrade_and_not_hidden_by_an_older_one() {
        set_up();
        let id = ledger(0).id;
        let old = withdrawal(NOW);
        put(&id, &old);
        let later = NOW.plus(FORGOTTEN).plus(Seconds(1));
        assert_eq!(pending(&id, later), None);
        let new = withdrawal(later);
        put(&id, &new);
        // A late outcome of the old one.
        put(&id, &old);
        assert_eq!(pending(&id, later), Some(new));
        TABLES.with_borrow_mut(|tables| *tables = Tables::load());
        assert_eq!(pending(&id, later), Some(new));
    }

    #[test]
    fn withdrawals_are_bounded_and_forgotten_when_every_ledger_has_forgotten_them() {
        set_up();
        let id = ledger(0).id;
        for n in 0..MAX_WITHDRAWALS {
            assert_eq!(full_until(&id), None);
            put(&id, &withdrawal(TimestampNs(NOW.0 + u64::from(n))));
        }
        let forgotten = NOW.plus(FORGOTTEN);
        let later = TimestampNs(forgotten.0 + 1);
        assert_eq!(full_until(&id), Some(later));
        forget_old(&id, forgotten);
        assert_eq!(full_until(&id), Some(later));
        assert!(get(&id, NOW).is_some(), "checking for room drops none");
        forget_old(&id, later);
        assert_eq!(full_until(&id), None);
        assert_eq!(get(&id, NOW), None);
        let second = TimestampNs(NOW.0 + 1);
        assert_eq!(get(&id, second), Some(withdrawal(second)));
    }
}
