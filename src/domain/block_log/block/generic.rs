//! Generic values of ICRC-3, and possible identifiers in them.

use crate::{
    domain::block_log::wire::{self, Value},
    types::Account,
};
use candid::Principal;

/// The most identifiers that are kept of one value.
const MAX_IDS: usize = 64;
/// The shortest text that can encode 32 bytes, in any usual encoding.
const MIN_ID_TEXT: usize = 43;

/// The `Map` of a generic value: pairs of text and value.
pub struct Map<'v, 'a>(&'v [Value<'a>]);

impl<'v, 'a> Map<'v, 'a> {
    pub fn of(value: &'v Value<'a>) -> Option<Self> {
        generic(value, "Map").and_then(Value::list).map(Map)
    }

    /// The value with that name; names in a map are unique.
    pub fn get(&self, name: &str) -> Option<&'v Value<'a>> {
        self.0.iter().find_map(|pair| match pair {
            Value::Record(fields) => match fields.as_slice() {
                [(0, Value::Text(key)), (1, value)] if *key == name.as_bytes() => Some(value),
                _ => None,
            },
            _ => None,
        })
    }

    /// The text with that name.
    pub fn text(&self, name: &str) -> Option<&'v [u8]> {
        match generic(self.get(name)?, "Text")? {
            Value::Text(text) => Some(text),
            _ => None,
        }
    }
}

fn generic<'v, 'a>(value: &'v Value<'a>, kind: &str) -> Option<&'v Value<'a>> {
    match value {
        Value::Variant(tag, inner) if *tag == wire::hash(kind) => Some(inner),
        _ => None,
    }
}

/// A number by its value, whatever its type: ledgers older than the standard write `Nat64` for times. The inner `None`
/// is a negative number or one of more than 128 bits.
pub fn number(value: &Value<'_>) -> Option<Option<u128>> {
    match value {
        Value::Variant(_, inner) => match **inner {
            Value::Nat(number) => Some(number),
            _ => None,
        },
        _ => None,
    }
}

pub fn blob<'v>(value: &'v Value<'_>) -> Option<&'v [u8]> {
    match generic(value, "Blob")? {
        Value::Blob(bytes) => Some(bytes),
        _ => None,
    }
}

/// An account: a list of the owner and optionally the subaccount.
pub fn account(value: &Value<'_>) -> Option<Account> {
    let (owner, subaccount) = match generic(value, "Array")?.list()? {
        [owner] => (owner, None),
        [owner, subaccount] => (owner, Some(blob(subaccount)?.try_into().ok()?)),
        _ => return None,
    };
    Some(Account {
        owner: Principal::try_from_slice(blob(owner)?).ok()?,
        subaccount,
    })
}

/// The possible identifiers of 32 bytes in a value.
#[derive(Default)]
pub struct Ids {
    /// Values of 32 bytes, in any encoding.
    pub found: Vec<[u8; 32]>,
    /// Whether other bytes or texts could contain one.
    pub may_be_hidden: bool,
}

impl Ids {
    /// Collects the identifiers of a value.
    pub fn of(value: &Value<'_>) -> Self {
        let mut ids = Ids::default();
        ids.collect(value);
        ids
    }

    /// Trees of values are at most 32 deep.
    fn collect(&mut self, value: &Value<'_>) {
        match value {
            Value::Blob(bytes) => match <[u8; 32]>::try_from(*bytes) {
                Ok(id) => self.add(id),
                Err(_) => self.may_be_hidden |= bytes.len() > 32,
            },
            Value::Text(text) => match hexadecimal(text) {
                Some(id) => self.add(id),
                None => self.may_be_hidden |= text.len() >= MIN_ID_TEXT,
            },
            Value::List(values) => {
                if let Some(id) = list_of_bytes(values) {
                    self.add(id);
                }
                values.iter().for_each(|value| self.collect(value));
            }
            Value::Record(fields) => fields.iter().for_each(|(_, value)| self.collect(value)),
            Value::Variant(_, value) => self.collect(value),
            Value::Unread => self.may_be_hidden = true,
            Value::Nat(_) | Value::Func(..) | Value::Cut | Value::Null | Value::Other => {}
        }
    }

    fn add(&mut self, id: [u8; 32]) {
        if self.found.len() < MAX_IDS {
            self.found.push(id);
        } else {
            self.may_be_hidden = true;
        }
    }
}

fn hexadecimal(text: &[u8]) -> Option<[u8; 32]> {
    if text.len() != 64 {
        return None;
    }
    let digit = |byte: u8| char::from(byte).to_digit(16).map(|digit| digit as u8);
    let mut id = [0; 32];
    for (byte, pair) in id.iter_mut().zip(text.chunks_exact(2)) {
        *byte = (digit(pair[0])? << 4) | digit(pair[1])?;
    }
    Some(id)
}

fn list_of_bytes(values: &[Value<'_>]) -> Option<[u8; 32]> {
    let values: &[Value<'_>; 32] = values.try_into().ok()?;
    let mut id = [0; 32];
    for (byte, value) in id.iter_mut().zip(values) {
        *byte = number(value)?.and_then(|n| u8::try_from(n).ok())?;
    }
    Some(id)
}
