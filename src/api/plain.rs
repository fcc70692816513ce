//! Candid without the Candid crate, for the query `receipt_proof`: its usual argument, and its reply.
//!
//! By hand for a goal of `scripts/tools/figures.mjs`: types that are known need neither be read nor be made at run time.
//! An argument of another form is read as every other method's is.

use serde_bytes::ByteBuf;

/// The beginning of an argument `(blob)` of 32 bytes: one type, a vector of bytes; one value of it, its length.
const ID: &[u8] = b"DIDL\x01\x6d\x7b\x01\x00\x20";
/// The beginning of a reply `(opt text)`: one type, an optional text; one value of it.
const OPT_TEXT: &[u8] = b"DIDL\x01\x6e\x71\x01\x00";

/// The argument, if it is an id in the usual form.
pub fn id(argument: &[u8]) -> Option<ByteBuf> {
    let id = argument.strip_prefix(ID).filter(|id| id.len() == 32)?;
    Some(ByteBuf::from(id))
}

/// A reply with an optional text.
pub fn opt_text(text: Option<String>) -> Vec<u8> {
    let text = text.as_deref();
    let mut reply = Vec::with_capacity(OPT_TEXT.len() + 6 + text.map_or(0, str::len));
    reply.extend_from_slice(OPT_TEXT);
    let Some(text) = text else {
        reply.push(0);
        return reply;
    };
    reply.push(1);
    let mut length = text.len();
    while length > 0x7f {
        reply.push(length as u8 | 0x80);
        length >>= 7;
    }
    reply.push(length as u8);
    reply.extend_from_slice(text.as_bytes());
    reply
}

#[cfg(test)]
mod tests {
    use super::*;
    use candid::{decode_one, encode_one};

    #[test]
    fn replies_are_those_of_the_candid_crate() {
        let none = opt_text(None);
        assert_eq!(none, encode_one(None::<String>).unwrap());
        for length in [0, 1, 127, 128, 129, 3_000, 16_383, 16_384, 2_100_000] {
            let text = Some("é".repeat(length / 2) + &"a".repeat(length % 2));
            let reply = opt_text(text.clone());
            assert_eq!(reply, encode_one(&text).unwrap(), "{length}");
            assert_eq!(decode_one::<Option<String>>(&reply).unwrap(), text);
        }
    }

    #[test]
    fn an_argument_is_read_as_by_the_candid_crate_or_not_at_all() {
        let id_of = |bytes: &[u8]| id(&encode_one(ByteBuf::from(bytes)).unwrap());
        assert_eq!(id_of(&[7; 32]), Some(ByteBuf::from([7; 32])));
        for length in [0, 31, 33, 200] {
            assert_eq!(id_of(&vec![7; length]), None);
        }
        let good = encode_one(ByteBuf::from([7; 32])).unwrap();
        assert_eq!(id(&[&good[..], b"1"].concat()), None);
        assert_eq!(id(&good[..good.len() - 1]), None);
        assert_eq!(id(&encode_one("text").unwrap()), None);
        assert_eq!(id(b""), None);
    }
}
