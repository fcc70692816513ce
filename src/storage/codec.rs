//! The encoding of rows: one version byte, then CBOR with numbered fields.
//!
//! Once a version is released, fields are only added to a row, as options, with new numbers. A change that this cannot
//! express gets a new version byte, and the old version stays readable. A row that cannot be read is an error, never a
//! row with other values. Unreadable rows of payments are kept in [`quarantine`](super::quarantine).

use crate::{
    domain::rail::TxRef,
    types::{Account, Amount, BlockIndex, TimestampNs},
};
use candid::Principal;
use ic_stable_structures::{Storable, storable::Bound};
use minicbor::{
    Decode, Decoder, Encode, Encoder,
    data::Type,
    decode::Error as DecodeError,
    encode::{Error as EncodeError, Write},
};
use std::borrow::Cow;

/// The version of all rows so far.
pub const VERSION: u8 = 1;

pub fn to_bytes<T: Encode<()>>(row: &T) -> Vec<u8> {
    let mut bytes = vec![VERSION];
    minicbor::encode(row, &mut bytes).expect("BUG: writing to memory cannot fail");
    bytes
}

pub fn from_bytes<'b, T: Decode<'b, ()>>(bytes: &'b [u8]) -> Result<T, DecodeError> {
    match bytes.split_first() {
        Some((&VERSION, cbor)) => minicbor::decode(cbor),
        Some((version, _)) => Err(DecodeError::message(format!(
            "row of unknown version {version}"
        ))),
        None => Err(DecodeError::end_of_input()),
    }
}

/// Implements [`Storable`](ic_stable_structures::Storable) for a row, unbounded or with a largest size in bytes.
#[macro_export]
#[doc(hidden)]
macro_rules! storable_row {
    ($row:ty) => {
        $crate::storable_row!($row, ic_stable_structures::storable::Bound::Unbounded);
    };
    ($row:ty, max $max:expr) => {
        $crate::storable_row!(
            $row,
            ic_stable_structures::storable::Bound::Bounded {
                max_size: $max,
                is_fixed_size: false
            }
        );
    };
    ($row:ty, $bound:expr) => {
        impl ic_stable_structures::Storable for $row {
            fn to_bytes(&self) -> std::borrow::Cow<'_, [u8]> {
                std::borrow::Cow::Owned($crate::storage::codec::to_bytes(self))
            }

            fn into_bytes(self) -> Vec<u8> {
                $crate::storage::codec::to_bytes(&self)
            }

            fn from_bytes(bytes: std::borrow::Cow<'_, [u8]>) -> Self {
                $crate::storage::codec::from_bytes(&bytes)
                    .expect("BUG: a row in stable memory cannot be read")
            }

            const BOUND: ic_stable_structures::storable::Bound = $bound;
        }
    };
}

/// A row as its bytes. Tables whose rows have this type share their code: each type of rows costs the canister some ten
/// thousand bytes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Bytes(pub Vec<u8>);

impl Bytes {
    pub fn of<T: Encode<()>>(row: &T) -> Self {
        Bytes(to_bytes(row))
    }

    pub fn row<T: for<'b> Decode<'b, ()>>(&self) -> T {
        from_bytes(&self.0).expect("BUG: a row in stable memory cannot be read")
    }
}

impl Storable for Bytes {
    fn to_bytes(&self) -> Cow<'_, [u8]> {
        Cow::Borrowed(&self.0)
    }

    fn into_bytes(self) -> Vec<u8> {
        self.0
    }

    fn from_bytes(bytes: Cow<'_, [u8]>) -> Self {
        Bytes(bytes.into_owned())
    }

    const BOUND: Bound = Bound::Unbounded;
}

/// A row of a table of payments, or the bytes of one that this version cannot read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Stored<T> {
    Row(T),
    /// Written back unchanged.
    Unreadable(Vec<u8>),
}

impl<T> Stored<T> {
    pub fn row(self) -> Option<T> {
        match self {
            Stored::Row(row) => Some(row),
            Stored::Unreadable(_) => None,
        }
    }
}

impl<T: Encode<()> + for<'b> Decode<'b, ()>> Storable for Stored<T> {
    fn to_bytes(&self) -> Cow<'_, [u8]> {
        match self {
            Stored::Row(row) => Cow::Owned(to_bytes(row)),
            Stored::Unreadable(bytes) => Cow::Borrowed(bytes),
        }
    }

    fn into_bytes(self) -> Vec<u8> {
        match self {
            Stored::Row(row) => to_bytes(&row),
            Stored::Unreadable(bytes) => bytes,
        }
    }

    fn from_bytes(bytes: Cow<'_, [u8]>) -> Self {
        match from_bytes(&bytes) {
            Ok(row) => Stored::Row(row),
            Err(_) => Stored::Unreadable(bytes.into_owned()),
        }
    }

    const BOUND: Bound = Bound::Unbounded;
}

/// A principal as a byte string.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StoredPrincipal(pub Principal);

impl<C> Encode<C> for StoredPrincipal {
    fn encode<W: Write>(&self, e: &mut Encoder<W>, _: &mut C) -> Result<(), EncodeError<W::Error>> {
        e.bytes(self.0.as_slice())?.ok()
    }
}

impl<'b, C> Decode<'b, C> for StoredPrincipal {
    fn decode(d: &mut Decoder<'b>, _: &mut C) -> Result<Self, DecodeError> {
        principal(d.bytes()?).map(StoredPrincipal)
    }
}

fn principal(bytes: &[u8]) -> Result<Principal, DecodeError> {
    Principal::try_from_slice(bytes).map_err(|_| DecodeError::message("not a principal"))
}

/// An account as one byte string: the owner's length, the owner, and the 32 bytes of the subaccount if it has one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StoredAccount(pub Account);

impl<C> Encode<C> for StoredAccount {
    fn encode<W: Write>(&self, e: &mut Encoder<W>, _: &mut C) -> Result<(), EncodeError<W::Error>> {
        let owner = self.0.owner.as_slice();
        let mut bytes = Vec::with_capacity(1 + owner.len() + 32);
        // A principal has at most 29 bytes.
        bytes.push(owner.len() as u8);
        bytes.extend_from_slice(owner);
        if let Some(subaccount) = self.0.subaccount {
            bytes.extend_from_slice(&subaccount);
        }
        e.bytes(&bytes)?.ok()
    }
}

impl<'b, C> Decode<'b, C> for StoredAccount {
    fn decode(d: &mut Decoder<'b>, _: &mut C) -> Result<Self, DecodeError> {
        let wrong = || DecodeError::message("not an account");
        let (&length, rest) = d.bytes()?.split_first().ok_or_else(wrong)?;
        let (owner, rest) = rest.split_at_checked(length.into()).ok_or_else(wrong)?;
        let subaccount = match rest {
            [] => None,
            rest => Some(rest.try_into().map_err(|_| wrong())?),
        };
        Ok(StoredAccount(Account {
            owner: principal(owner)?,
            subaccount,
        }))
    }
}

/// A 128-bit number: a CBOR integer if it is small, else 16 bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StoredU128(pub u128);

impl<C> Encode<C> for StoredU128 {
    fn encode<W: Write>(&self, e: &mut Encoder<W>, _: &mut C) -> Result<(), EncodeError<W::Error>> {
        match u64::try_from(self.0) {
            Ok(small) => e.u64(small)?.ok(),
            Err(_) => e.bytes(&self.0.to_be_bytes())?.ok(),
        }
    }
}

impl<'b, C> Decode<'b, C> for StoredU128 {
    fn decode(d: &mut Decoder<'b>, _: &mut C) -> Result<Self, DecodeError> {
        if d.datatype()? == Type::Bytes {
            let bytes = d.bytes()?;
            let bytes = bytes
                .try_into()
                .map_err(|_| DecodeError::message("not 16 bytes"))?;
            return Ok(StoredU128(u128::from_be_bytes(bytes)));
        }
        d.u64().map(|small| StoredU128(small.into()))
    }
}

/// A time: a CBOR integer, which is negative for whole seconds: they take half as many bytes. Signed authorizations name
/// whole seconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StoredTime(pub TimestampNs);

const SECOND: u64 = 1_000_000_000;

impl<C> Encode<C> for StoredTime {
    fn encode<W: Write>(&self, e: &mut Encoder<W>, _: &mut C) -> Result<(), EncodeError<W::Error>> {
        let ns = self.0.0;
        match ns % SECOND {
            // Fewer than 2^35.
            0 => e.i64(-1 - (ns / SECOND) as i64)?.ok(),
            _ => e.u64(ns)?.ok(),
        }
    }
}

impl<'b, C> Decode<'b, C> for StoredTime {
    fn decode(d: &mut Decoder<'b>, _: &mut C) -> Result<Self, DecodeError> {
        let wrong = || DecodeError::message("not a time");
        let number = d.int()?;
        let ns = match u64::try_from(number) {
            Ok(ns) => Some(ns),
            Err(_) => i64::try_from(number)
                .ok()
                .and_then(|number| u64::try_from(-1 - number).ok())
                .and_then(|seconds| seconds.checked_mul(SECOND)),
        };
        ns.map(|ns| StoredTime(TimestampNs(ns))).ok_or_else(wrong)
    }
}

/// A transaction: the number of a block as a CBOR integer. A byte string of 32 bytes is reserved for the hash of a
/// transaction. No version reads one yet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StoredTxRef(pub TxRef);

impl<C> Encode<C> for StoredTxRef {
    fn encode<W: Write>(&self, e: &mut Encoder<W>, _: &mut C) -> Result<(), EncodeError<W::Error>> {
        match self.0 {
            TxRef::Block(block) => e.u64(block.0)?.ok(),
        }
    }
}

impl<'b, C> Decode<'b, C> for StoredTxRef {
    fn decode(d: &mut Decoder<'b>, _: &mut C) -> Result<Self, DecodeError> {
        d.u64()
            .map(|block| StoredTxRef(TxRef::Block(BlockIndex(block))))
    }
}

impl From<Amount> for StoredU128 {
    fn from(amount: Amount) -> Self {
        StoredU128(amount.0)
    }
}

impl From<StoredU128> for Amount {
    fn from(number: StoredU128) -> Self {
        Amount(number.0)
    }
}

/// The index of `value` in `all`. Numbers are stored, so new values are appended to the list.
pub fn number_in<T: PartialEq>(all: &[T], value: T) -> u8 {
    let number = all.iter().position(|other| *other == value);
    // The lists are short.
    number.expect("BUG: the list holds every value") as u8
}

pub fn of_number<T: Copy>(all: &[T], number: u8) -> Option<T> {
    all.get(usize::from(number)).copied()
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use proptest::prelude::*;

    pub(crate) fn arb_principal() -> impl Strategy<Value = Principal> {
        prop::collection::vec(any::<u8>(), 0..30).prop_map(|bytes| Principal::from_slice(&bytes))
    }

    pub(crate) fn arb_account() -> impl Strategy<Value = Account> {
        (arb_principal(), prop::option::of(any::<[u8; 32]>()))
            .prop_map(|(owner, subaccount)| Account { owner, subaccount })
    }

    proptest! {
        #[test]
        fn values_are_read_back(account in arb_account(), n: u128, small: u64) {
            let stored = StoredAccount(account);
            let back: StoredAccount = from_bytes(&to_bytes(&stored)).unwrap();
            prop_assert_eq!((back.0.owner, back.0.subaccount), (account.owner, account.subaccount));
            for n in [n, small.into()] {
                prop_assert_eq!(from_bytes::<StoredU128>(&to_bytes(&StoredU128(n))).unwrap().0, n);
            }
            for time in [small, small / SECOND * SECOND, 0] {
                let time = StoredTime(TimestampNs(time));
                prop_assert_eq!(from_bytes::<StoredTime>(&to_bytes(&time)).unwrap(), time);
            }
            let owner = StoredPrincipal(account.owner);
            prop_assert_eq!(from_bytes::<StoredPrincipal>(&to_bytes(&owner)).unwrap(), owner);
        }

        #[test]
        fn garbage_is_an_error(bytes in prop::collection::vec(any::<u8>(), 0..80)) {
            let _ = from_bytes::<StoredAccount>(&bytes);
            let _ = from_bytes::<StoredU128>(&bytes);
            let _ = from_bytes::<StoredTime>(&bytes);
            let _ = from_bytes::<StoredPrincipal>(&bytes);
        }
    }

    #[test]
    fn another_version_is_not_read_as_this_one() {
        let mut bytes = to_bytes(&StoredU128(1));
        bytes[0] = 2;
        assert!(from_bytes::<StoredU128>(&bytes).is_err());
        assert!(from_bytes::<StoredU128>(&[]).is_err());
    }
}
