//! The payment that each payment identifier is bound to.

use crate::{
    storable_row,
    storage::memory,
    types::{AuthorizationDigest, ClaimKey, IdentifierKey, TimestampNs},
};
use ic_stable_structures::StableBTreeMap;
use minicbor::{Decode, Encode};
use std::cell::RefCell;

/// The most identifiers. Unit tests reach the limit.
pub const MAX_IDENTIFIERS: u64 = if cfg!(test) { 100 } else { 1_000_000 };

/// The payment that an identifier is bound to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bound {
    /// The payer and nonce of the payment.
    pub nonce: ClaimKey,
    /// Another authorization with the same nonce is another payment.
    pub authorization_digest: AuthorizationDigest,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode)]
struct Row {
    #[cbor(n(0), with = "minicbor::bytes")]
    nonce: [u8; 16],
    #[cbor(n(1), with = "minicbor::bytes")]
    authorization_digest: [u8; 16],
    /// When it is checked whether the row can be dropped.
    #[n(2)]
    due: u64,
}

storable_row!(Row, max 64);

impl Row {
    fn bound(&self) -> Bound {
        Bound {
            nonce: ClaimKey(self.nonce),
            authorization_digest: AuthorizationDigest(self.authorization_digest),
        }
    }
}

struct Tables {
    rows: StableBTreeMap<[u8; 16], Row, memory::Memory>,
    by_due: StableBTreeMap<(u64, [u8; 16]), (), memory::Memory>,
}

thread_local! {
    static TABLES: RefCell<Tables> = RefCell::new(Tables {
        rows: StableBTreeMap::init(memory::get(memory::IDENTIFIERS)),
        by_due: StableBTreeMap::init(memory::get(memory::IDENTIFIERS_BY_DUE)),
    });
}

/// The payment that the identifier is bound to.
pub fn get(key: &IdentifierKey) -> Option<Bound> {
    TABLES.with_borrow(|tables| tables.rows.get(&key.0).map(|row| row.bound()))
}

pub fn has_room() -> bool {
    TABLES.with_borrow(|tables| tables.rows.len() < MAX_IDENTIFIERS)
}

/// Binds the identifier to a payment, instead of any earlier one. It is checked again at `due`.
pub fn put(key: IdentifierKey, bound: Bound, due: TimestampNs) {
    TABLES.with_borrow_mut(|tables| {
        let row = Row {
            nonce: bound.nonce.0,
            authorization_digest: bound.authorization_digest.0,
            due: due.0,
        };
        if let Some(old) = tables.rows.insert(key.0, row) {
            tables.by_due.remove(&(old.due, key.0));
        }
        tables.by_due.insert((due.0, key.0), ());
    });
}

pub fn remove(key: &IdentifierKey) {
    TABLES.with_borrow_mut(|tables| {
        if let Some(old) = tables.rows.remove(&key.0) {
            tables.by_due.remove(&(old.due, key.0));
        }
    });
}

/// Identifiers that are due to be checked, at most `limit`, the longest due first.
pub fn due(now: TimestampNs, limit: usize) -> Vec<(IdentifierKey, Bound)> {
    TABLES.with_borrow(|tables| {
        tables
            .by_due
            .keys_range(..=(now.0, [u8::MAX; 16]))
            .take(limit)
            .filter_map(|(_, key)| Some((IdentifierKey(key), tables.rows.get(&key)?.bound())))
            .collect()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(n: u8) -> IdentifierKey {
        IdentifierKey([n; 16])
    }

    fn bound(n: u8) -> Bound {
        Bound {
            nonce: ClaimKey([n; 16]),
            authorization_digest: AuthorizationDigest([n; 16]),
        }
    }

    #[test]
    fn an_identifier_has_one_payment_and_comes_due_in_order() {
        put(key(1), bound(1), TimestampNs(30));
        put(key(2), bound(2), TimestampNs(20));
        put(key(3), bound(3), TimestampNs(u64::MAX));
        assert_eq!(get(&key(1)), Some(bound(1)));
        assert_eq!(get(&key(4)), None);
        assert!(due(TimestampNs(19), 10).is_empty());
        assert_eq!(
            due(TimestampNs(30), 10),
            [(key(2), bound(2)), (key(1), bound(1))]
        );
        assert_eq!(due(TimestampNs(30), 1), [(key(2), bound(2))]);
        // After it is bound again, it is due at the new time only.
        put(key(2), bound(4), TimestampNs(40));
        assert_eq!(get(&key(2)), Some(bound(4)));
        assert_eq!(due(TimestampNs(30), 10), [(key(1), bound(1))]);
        remove(&key(1));
        remove(&key(1));
        assert_eq!(get(&key(1)), None);
        assert!(due(TimestampNs(39), 10).is_empty());
        assert_eq!(due(TimestampNs(u64::MAX), 10).len(), 2);
        assert!(has_room());
    }
}
