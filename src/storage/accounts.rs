//! Accounts that were paid, by number. Payments refer to them by number, because few accounts are paid often.
//!
//! No row is ever removed. The table has at most one row for each account that a merchant or route was ever paid to.

use crate::{
    storable_row,
    storage::{codec::StoredAccount, memory},
    types::Account,
};
use candid::Principal;
use ic_stable_structures::StableBTreeMap;
use minicbor::{Decode, Encode};
use std::{cell::RefCell, collections::BTreeMap};

#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode)]
struct AccountRow(#[n(0)] StoredAccount);

storable_row!(AccountRow);

struct Tables {
    rows: StableBTreeMap<u32, AccountRow, memory::Memory>,
    /// The same by owner and subaccount. `Account` compares equal up to the default subaccount, and a transfer must
    /// keep the account as it was signed.
    numbers: BTreeMap<Parts, u32>,
}

type Parts = (Principal, Option<[u8; 32]>);

fn parts(account: &Account) -> Parts {
    (account.owner, account.subaccount)
}

impl Tables {
    fn load() -> Self {
        let rows: StableBTreeMap<u32, AccountRow, memory::Memory> =
            StableBTreeMap::init(memory::get(memory::ACCOUNTS));
        let numbers = rows
            .iter()
            .map(|entry| (parts(&entry.value().0.0), *entry.key()));
        Tables {
            numbers: numbers.collect(),
            rows,
        }
    }
}

thread_local! {
    static TABLES: RefCell<Tables> = RefCell::new(Tables::load());
}

/// The number of this account; a new one if it has none.
pub(super) fn number(account: &Account) -> u32 {
    TABLES.with_borrow_mut(|tables| {
        if let Some(number) = tables.numbers.get(&parts(account)) {
            return *number;
        }
        // Each entry takes dozens of bytes of heap, so the heap is exhausted before `u32` is.
        let number = tables.numbers.len() as u32;
        tables
            .rows
            .insert(number, AccountRow(StoredAccount(*account)));
        tables.numbers.insert(parts(account), number);
        number
    })
}

/// Remembers that payers may have been told to pay this account.
pub fn remember(account: &Account) {
    number(account);
}

/// Whether [`remember`] was called for this account, or a payment to it was recorded.
pub fn was_paid(account: &Account) -> bool {
    TABLES.with_borrow(|tables| tables.numbers.contains_key(&parts(account)))
}

pub(super) fn get(number: u32) -> Option<Account> {
    TABLES.with_borrow(|tables| tables.rows.get(&number).map(|row| row.0.0))
}

/// Reads the whole table.
pub fn load() {
    TABLES.with_borrow(|_| ());
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_account_keeps_its_number() {
        let account = |n: u8| Account {
            owner: Principal::from_slice(&[n / 2; 29]),
            subaccount: n.checked_sub(1).map(|n| [n; 32]),
        };
        assert_eq!(get(0), None);
        for _ in 0..2 {
            for n in 0..4 {
                assert_eq!(number(&account(n)), u32::from(n));
            }
            TABLES.with_borrow_mut(|tables| *tables = Tables::load());
        }
        for n in 0..4 {
            assert_eq!(get(n.into()).unwrap().subaccount, account(n).subaccount);
        }
        assert_eq!(get(4), None);
    }
}
