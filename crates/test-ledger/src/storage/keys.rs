//! Keys of the stable maps: fixed width, so that the order of the bytes is the order of the map.

use std::borrow::Cow;

use ic_stable_structures::Storable;
use ic_stable_structures::storable::Bound;
use icrc_ledger_types::icrc1::account::Account;

use crate::domain::{Hash, TimestampNs};

/// Length byte, owner padded to 29 bytes, effective subaccount.
const ACCOUNT_BYTES: usize = 1 + 29 + 32;

/// An account, the default subaccount written out.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct AccountKey([u8; ACCOUNT_BYTES]);

impl From<&Account> for AccountKey {
    fn from(account: &Account) -> Self {
        let owner = account.owner.as_slice();
        let mut key = [0; ACCOUNT_BYTES];
        key[0] = owner.len() as u8;
        key[1..=owner.len()].copy_from_slice(owner);
        key[30..].copy_from_slice(account.effective_subaccount());
        Self(key)
    }
}

/// Owner of the tokens, then spender.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct AllowanceKey([u8; 2 * ACCOUNT_BYTES]);

impl AllowanceKey {
    pub fn new(from: &Account, spender: &Account) -> Self {
        let mut key = [0; 2 * ACCOUNT_BYTES];
        key[..ACCOUNT_BYTES].copy_from_slice(&AccountKey::from(from).0);
        key[ACCOUNT_BYTES..].copy_from_slice(&AccountKey::from(spender).0);
        Self(key)
    }
}

/// Creation time (big endian), then the transaction's hash: the oldest transaction comes first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct TransactionKey([u8; 40]);

impl TransactionKey {
    pub fn new(created_at_time: TimestampNs, hash: &Hash) -> Self {
        let mut key = [0; 40];
        key[..8].copy_from_slice(&created_at_time.to_be_bytes());
        key[8..].copy_from_slice(hash);
        Self(key)
    }

    pub fn created_at_time(&self) -> TimestampNs {
        let mut time = [0; 8];
        time.copy_from_slice(&self.0[..8]);
        TimestampNs::from_be_bytes(time)
    }
}

macro_rules! fixed_width {
    ($key:ident, $bytes:expr) => {
        impl Storable for $key {
            const BOUND: Bound = Bound::Bounded {
                max_size: $bytes as u32,
                is_fixed_size: true,
            };

            fn to_bytes(&self) -> Cow<'_, [u8]> {
                Cow::Borrowed(&self.0)
            }

            fn into_bytes(self) -> Vec<u8> {
                self.0.to_vec()
            }

            fn from_bytes(bytes: Cow<[u8]>) -> Self {
                let bytes = bytes.as_ref().try_into();
                Self(bytes.expect("BUG: a stored key has another width"))
            }
        }
    };
}

fixed_width!(AccountKey, ACCOUNT_BYTES);
fixed_width!(AllowanceKey, 2 * ACCOUNT_BYTES);
fixed_width!(TransactionKey, 40);
