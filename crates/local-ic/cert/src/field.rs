//! Representation-independent hashing (Interface Specification, "Representation-independent hashing of
//! structured data").

use sha2::{Digest, Sha256};

/// A value as the hash sees it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Field {
    /// UTF-8 text.
    Text(String),
    /// Raw bytes; hashes like the text of the same bytes.
    Bytes(Vec<u8>),
    /// A natural number, hashed as LEB128.
    Nat(u64),
    /// A list: the hash of the concatenated hashes of its elements.
    Array(Vec<Field>),
    /// A nested record.
    Map(Vec<(String, Field)>),
}

impl Field {
    /// Takes a decoded CBOR value; `None` for what has no hash (floats, negative numbers, null, booleans).
    pub fn from_cbor(value: &serde_cbor::Value) -> Option<Self> {
        use serde_cbor::Value;
        Some(match value {
            Value::Text(text) => Self::Text(text.clone()),
            Value::Bytes(bytes) => Self::Bytes(bytes.clone()),
            Value::Integer(number) => Self::Nat(u64::try_from(*number).ok()?),
            Value::Array(items) => {
                Self::Array(items.iter().map(Self::from_cbor).collect::<Option<_>>()?)
            }
            Value::Map(entries) => Self::Map(
                entries
                    .iter()
                    .map(|(key, value)| match key {
                        Value::Text(key) => Some((key.clone(), Self::from_cbor(value)?)),
                        _ => None,
                    })
                    .collect::<Option<_>>()?,
            ),
            Value::Tag(_, inner) => Self::from_cbor(inner)?,
            _ => return None,
        })
    }

    fn hash(&self) -> [u8; 32] {
        match self {
            Self::Text(text) => sha256(text.as_bytes()),
            Self::Bytes(bytes) => sha256(bytes),
            Self::Nat(number) => sha256(&leb128(*number)),
            Self::Array(items) => {
                let mut hasher = Sha256::new();
                for item in items {
                    hasher.update(item.hash());
                }
                hasher.finalize().into()
            }
            Self::Map(entries) => {
                hash_of_map(entries.iter().map(|(key, value)| (key.as_str(), value)))
            }
        }
    }
}

/// The hash of a record: field hashes sorted, concatenated, hashed.
pub fn hash_of_map<'a>(entries: impl IntoIterator<Item = (&'a str, &'a Field)>) -> [u8; 32] {
    let mut pairs: Vec<[u8; 64]> = entries
        .into_iter()
        .map(|(key, value)| {
            let mut pair = [0; 64];
            pair[..32].copy_from_slice(&sha256(key.as_bytes()));
            pair[32..].copy_from_slice(&value.hash());
            pair
        })
        .collect();
    pairs.sort_unstable();
    let mut hasher = Sha256::new();
    for pair in pairs {
        hasher.update(pair);
    }
    hasher.finalize().into()
}

/// Unsigned LEB128, the encoding of natural numbers in hashes and in state tree leaves.
pub(crate) fn leb128(mut number: u64) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(10);
    loop {
        let low = (number & 0x7f) as u8;
        number >>= 7;
        if number == 0 {
            bytes.push(low);
            return bytes;
        }
        bytes.push(low | 0x80);
    }
}

fn sha256(bytes: &[u8]) -> [u8; 32] {
    Sha256::digest(bytes).into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn should_hash_the_example_of_the_interface_specification() {
        let fields = [
            ("request_type", Field::Text("call".into())),
            (
                "canister_id",
                Field::Bytes(vec![0, 0, 0, 0, 0, 0, 0x04, 0xd2]),
            ),
            ("method_name", Field::Text("hello".into())),
            ("arg", Field::Bytes(b"DIDL\x00\xfd*".to_vec())),
            ("sender", Field::Bytes(vec![0x04])),
            ("ingress_expiry", Field::Nat(1_685_570_400_000_000_000)),
        ];
        let hash = hash_of_map(fields.iter().map(|(key, value)| (*key, value)));
        assert_eq!(
            hex::encode(hash),
            "1d1091364d6bb8a6c16b203ee75467d59ead468f523eb058880ae8ec80e2b101"
        );
    }

    #[test]
    fn should_encode_leb128() {
        assert_eq!(leb128(0), [0]);
        assert_eq!(leb128(624_485), [0xe5, 0x8e, 0x26]);
        assert_eq!(leb128(u64::MAX).len(), 10);
    }
}
