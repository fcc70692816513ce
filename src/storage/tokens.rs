//! Symbols and decimals of tokens as they were offered, by number. Payments refer to them by number, because they
//! change only when a controller reads a ledger's description again.
//!
//! No row is ever removed: a receipt says what the payer was offered.

use crate::{domain::payment::Offered, storable_row, storage::memory};
use ic_stable_structures::StableBTreeMap;
use minicbor::{Decode, Encode};
use std::cell::RefCell;

#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
struct TokenRow {
    #[n(0)]
    symbol: String,
    #[n(1)]
    decimals: u8,
}

storable_row!(TokenRow);

struct Tables {
    rows: StableBTreeMap<u32, TokenRow, memory::Memory>,
    /// All rows, by number.
    cache: Vec<TokenRow>,
}

impl Tables {
    fn load() -> Self {
        let rows: StableBTreeMap<u32, TokenRow, memory::Memory> =
            StableBTreeMap::init(memory::get(memory::TOKENS));
        let cache = rows.values().collect();
        Tables { rows, cache }
    }
}

thread_local! {
    static TABLES: RefCell<Tables> = RefCell::new(Tables::load());
}

/// The number of this token; a new one if it has none.
pub(super) fn number(offered: &Offered) -> u32 {
    TABLES.with_borrow_mut(|tables| {
        let same =
            |row: &TokenRow| row.decimals == offered.decimals && row.symbol == offered.symbol;
        if let Some(number) = tables.cache.iter().position(same) {
            return number as u32;
        }
        // Controllers add one at a time.
        let number = tables.cache.len() as u32;
        let row = TokenRow {
            symbol: offered.symbol.clone(),
            decimals: offered.decimals,
        };
        tables.rows.insert(number, row.clone());
        tables.cache.push(row);
        number
    })
}

/// What was offered with this id, in the token with this number.
pub(super) fn get(number: u32, id: [u8; 16]) -> Option<Offered> {
    TABLES.with_borrow(|tables| {
        let row = tables.cache.get(usize::try_from(number).ok()?)?;
        Some(Offered {
            id,
            symbol: row.symbol.clone(),
            decimals: row.decimals,
        })
    })
}

/// Reads the whole table.
pub fn load() {
    TABLES.with_borrow(|_| ());
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_keeps_its_number() {
        let offered = |n: u8| Offered {
            id: [n; 16],
            symbol: format!("T{}", n / 2),
            decimals: n,
        };
        assert_eq!(get(0, [0; 16]), None);
        for _ in 0..2 {
            for n in 0..4 {
                assert_eq!(number(&offered(n)), u32::from(n));
            }
            TABLES.with_borrow_mut(|tables| *tables = Tables::load());
        }
        for n in 0..4 {
            assert_eq!(get(n.into(), [n; 16]), Some(offered(n)));
        }
    }
}
