//! Receipts that the canister signed, and the keys of its DID document.
//!
//! | table | key | what | size |
//! |---|---|---|---|
//! | settings | - | the setting, and the keys that there were | one row of at most [`MAX_KEYS`] keys |
//! | signatures | first half of the payment id | payment id and JWS | one for each settled payment at most, and each costs its price |
//!
//! The heap keeps when the latest were signed, and the payments whose receipts are being signed; an upgrade forgets both.

use crate::{
    domain::receipt_key::{MAX_KEYS, Signed, Signing, TooMany},
    storable_row,
    storage::{changes, codec::Bytes, memory, works::half},
    types::{PaymentId, TimestampNs},
};
use ic_stable_structures::{StableBTreeMap, StableCell};
use minicbor::{Decode, Encode};
use std::{cell::RefCell, collections::BTreeSet};
use x402_icp::jws::DID_PATH;

#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
struct KeyRow {
    #[n(0)]
    name: String,
    #[cbor(n(1), with = "minicbor::bytes")]
    public: [u8; 32],
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Encode, Decode)]
struct SettingsRow {
    /// Of the key that signs, and the limit of a day; absent: nothing is signed.
    #[n(0)]
    signs: Option<(String, u32)>,
    #[n(1)]
    keys: Vec<KeyRow>,
}

storable_row!(SettingsRow);

struct Tables {
    settings: StableCell<SettingsRow, memory::Memory>,
    rows: StableBTreeMap<[u8; 16], Bytes, memory::Memory>,
    signed: Signed,
    being_signed: BTreeSet<PaymentId>,
}

thread_local! {
    static TABLES: RefCell<Tables> = RefCell::new(Tables {
        settings: StableCell::init(memory::get(memory::RECEIPT_KEYS), SettingsRow::default()),
        rows: StableBTreeMap::init(memory::get(memory::RECEIPT_SIGNATURES)),
        signed: Signed::default(),
        being_signed: BTreeSet::new(),
    });
}

/// The setting, if receipts are signed.
pub fn signing() -> Option<Signing> {
    TABLES.with_borrow(|tables| {
        let (key_name, per_day) = tables.settings.get().signs.clone()?;
        Some(Signing { key_name, per_day })
    })
}

/// The keys that sign or have signed: name and public key.
pub fn keys() -> Vec<(String, [u8; 32])> {
    TABLES.with_borrow(|tables| {
        let keys = tables.settings.get().keys.iter();
        keys.map(|key| (key.name.clone(), key.public)).collect()
    })
}

/// Stops signing. The keys stay in the DID document.
pub fn stop() {
    TABLES.with_borrow_mut(|tables| {
        let mut settings = tables.settings.get().clone();
        settings.signs = None;
        tables.settings.set(settings);
    });
}

/// There were [`MAX_KEYS`] others. Nothing changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TooManyKeys;

/// Signs with this key from now on.
pub fn sign_with(signing: &Signing, public: [u8; 32]) -> Result<(), TooManyKeys> {
    TABLES.with_borrow_mut(|tables| {
        let mut settings = tables.settings.get().clone();
        let name = &signing.key_name;
        let known = settings.keys.iter().position(|key| key.name == *name);
        let name = name.clone();
        let key = KeyRow { name, public };
        match known {
            // The same name is another key on another network.
            Some(place) => settings.keys[place] = key,
            None if settings.keys.len() >= MAX_KEYS => return Err(TooManyKeys),
            None => settings.keys.push(key),
        }
        settings.signs = Some((signing.key_name.clone(), signing.per_day));
        tables.settings.set(settings);
        Ok(())
    })?;
    changes::note_path(DID_PATH);
    Ok(())
}

/// The signed receipt of this payment.
pub fn get(id: &PaymentId) -> Option<String> {
    let row = TABLES.with_borrow(|tables| tables.rows.get(&half(id)))?;
    // The whole payment id comes first: the halves of two may be equal.
    let jws = row.0.strip_prefix(&id.0)?;
    String::from_utf8(jws.to_vec()).ok()
}

/// Stores the signed receipt of this payment. The one that is there stays.
pub fn put(id: &PaymentId, jws: String) -> String {
    if let Some(earlier) = get(id) {
        return earlier;
    }
    let row = Bytes([&id.0, jws.as_bytes()].concat());
    TABLES.with_borrow_mut(|tables| tables.rows.insert(half(id), row));
    jws
}

/// The receipts that were signed.
pub fn count() -> u64 {
    TABLES.with_borrow(|tables| tables.rows.len())
}

/// A receipt that is being signed, until it is dropped.
#[derive(Debug)]
#[must_use]
pub struct BeingSigned(PaymentId);

impl BeingSigned {
    /// `None` if it is being signed already.
    pub fn begin(id: PaymentId) -> Option<Self> {
        let new = TABLES.with_borrow_mut(|tables| tables.being_signed.insert(id));
        new.then(|| BeingSigned(id))
    }
}

impl Drop for BeingSigned {
    fn drop(&mut self) {
        TABLES.with_borrow_mut(|tables| tables.being_signed.remove(&self.0));
    }
}

/// Counts a signature, if the limits allow one more.
pub fn take(per_day: u32, now: TimestampNs) -> Result<(), TooMany> {
    TABLES.with_borrow_mut(|tables| tables.signed.take(per_day, now))
}
