//! The Candid of the HTTP gateway protocol, read and written by hand.
//!
//! Every payment goes through these two records, and the candid crate, which can read anything, takes a
//! quarter of a million instructions for both. What [`read_request`] does not understand is left to the
//! crate, so nothing is refused here; tests hold reader and writer equal to it.

use super::types::{HeaderField, HttpRequest, HttpResponse, HttpUpdateRequest};
use crate::api::arguments;
use candid::CandidType;
use serde::de::DeserializeOwned;

const MAGIC: &[u8] = b"DIDL";
// Type opcodes of the Candid specification; each is one byte of SLEB128, and so is an index below 64.
const NAT8: u8 = 0x7b;
const NAT16: u8 = 0x7a;
const TEXT: u8 = 0x71;
const OPT: u8 = 0x6e;
const VEC: u8 = 0x6d;
const RECORD: u8 = 0x6c;
/// A request has four or five types; a table with more is not read here.
const MAX_TYPES: usize = 16;
// Hashes of field names, in the order of the fields.
const URL: u64 = 5_843_823;
const METHOD: u64 = 156_956_385;
const BODY: u64 = 1_092_319_906;
const HEADERS: u64 = 1_661_489_734;
const CERTIFICATE_VERSION: u64 = 1_661_892_784;

/// The argument of `http_request`.
pub fn decode_query(bytes: &[u8]) -> Result<HttpRequest, String> {
    read_request(bytes, true).map_or_else(|| decode_any(bytes), Ok)
}

/// The argument of `http_request_update`.
pub fn decode_update(bytes: &[u8]) -> Result<HttpUpdateRequest, String> {
    read_update(bytes).map_or_else(|| decode_any(bytes), Ok)
}

/// The argument of `http_request_update`, if it is written as gateways write it.
pub fn read_update(bytes: &[u8]) -> Option<HttpUpdateRequest> {
    let request = read_request(bytes, false)?;
    Some(HttpUpdateRequest {
        method: request.method,
        url: request.url,
        headers: request.headers,
        body: request.body,
    })
}

/// As all other methods read their arguments. Gateways may say more of a request than we want to know.
fn decode_any<T: DeserializeOwned + CandidType>(bytes: &[u8]) -> Result<T, String> {
    arguments::read(bytes, arguments::QUERY).map(|(request,)| request)
}

/// The answer of both methods.
pub fn encode(response: HttpResponse) -> Vec<u8> {
    /// `DIDL`, the type table of [`HttpResponse`], one value of the table's first type.
    #[rustfmt::skip]
    const TYPE: [u8; 45] = [
        0x44, 0x49, 0x44, 0x4c, 0x05,
        RECORD, 0x04, 0xa2, 0xf5, 0xed, 0x88, 0x04, 0x01, 0xc6, 0xa4, 0xa1, 0x98, 0x06, 0x02,
        0x9c, 0xe9, 0xc6, 0x99, 0x06, 0x04, 0x9a, 0xa1, 0xb2, 0xf9, 0x0c, NAT16,
        VEC, NAT8,
        VEC, 0x03,
        RECORD, 0x02, 0x00, TEXT, 0x01, TEXT,
        OPT, 0x7e,
        0x01, 0x00,
    ];
    let texts = response.headers.iter().map(|(n, v)| n.len() + v.len() + 6);
    let mut bytes =
        Vec::with_capacity(TYPE.len() + 20 + response.body.len() + texts.sum::<usize>());
    bytes.extend_from_slice(&TYPE);
    push_bytes(&mut bytes, &response.body);
    push_length(&mut bytes, response.headers.len());
    for (name, value) in &response.headers {
        push_bytes(&mut bytes, name.as_bytes());
        push_bytes(&mut bytes, value.as_bytes());
    }
    match response.upgrade {
        None => bytes.push(0),
        Some(upgrade) => bytes.extend_from_slice(&[1, upgrade.into()]),
    }
    bytes.extend_from_slice(&response.status_code.to_le_bytes());
    bytes
}

fn push_bytes(to: &mut Vec<u8>, bytes: &[u8]) {
    push_length(to, bytes.len());
    to.extend_from_slice(bytes);
}

/// Appends a length in LEB128.
fn push_length(to: &mut Vec<u8>, mut length: usize) {
    while length > 0x7f {
        to.push(length as u8 | 0x80);
        length >>= 7;
    }
    to.push(length as u8);
}

/// Reads a message that holds one request record of exactly our types, in any type table.
fn read_request(bytes: &[u8], with_version: bool) -> Option<HttpRequest> {
    let mut input = Input(bytes.strip_prefix(MAGIC)?);
    let types = Types::read(&mut input)?;
    // One argument of a type in the table.
    if input.byte()? != 1 {
        return None;
    }
    let mut fields = types.record(input.byte()?)?;
    let known = fields.next(URL)? == TEXT
        && fields.next(METHOD)? == TEXT
        && types.is_blob(fields.next(BODY)?)
        && types.is_headers(fields.next(HEADERS)?)
        && (!with_version || types.is_opt_nat16(fields.next(CERTIFICATE_VERSION)?))
        && fields.left == 0;
    if !known {
        return None;
    }
    let url = input.text()?;
    let method = input.text()?;
    let body = input.blob()?.to_vec();
    let count = input.length()?;
    // Each header takes two bytes at least, so a false count reserves no more than the message is long.
    let mut headers: Vec<HeaderField> = Vec::with_capacity(count.min(input.0.len() / 2));
    for _ in 0..count {
        headers.push((input.text()?, input.text()?));
    }
    let certificate_version = match with_version && input.flag()? {
        true => Some(u16::from_le_bytes([input.byte()?, input.byte()?])),
        false => None,
    };
    input.0.is_empty().then_some(HttpRequest {
        method,
        url,
        headers,
        body,
        certificate_version,
    })
}

/// What is left to read. Whatever is not there, or not in its usual form, is `None`.
#[derive(Clone, Copy)]
struct Input<'a>(&'a [u8]);

impl<'a> Input<'a> {
    fn byte(&mut self) -> Option<u8> {
        let (first, rest) = self.0.split_first()?;
        self.0 = rest;
        Some(*first)
    }

    /// A type inside another one. One of two bytes is an index from 64 on, or none at all.
    fn inner(&mut self) -> Option<u8> {
        self.byte().filter(|byte| *byte <= 0x7f)
    }

    /// A byte that is 0 or 1.
    fn flag(&mut self) -> Option<bool> {
        match self.byte()? {
            0 => Some(false),
            1 => Some(true),
            _ => None,
        }
    }

    /// An unsigned number below 2^35 in LEB128.
    fn number(&mut self) -> Option<u64> {
        let mut number = 0;
        for shift in [0, 7, 14, 21, 28] {
            let byte = self.byte()?;
            number |= u64::from(byte & 0x7f) << shift;
            if byte <= 0x7f {
                return Some(number);
            }
        }
        None
    }

    fn length(&mut self) -> Option<usize> {
        self.number()?.try_into().ok()
    }

    fn blob(&mut self) -> Option<&'a [u8]> {
        let length = self.length()?;
        let (blob, rest) = self.0.split_at_checked(length)?;
        self.0 = rest;
        Some(blob)
    }

    fn text(&mut self) -> Option<String> {
        std::str::from_utf8(self.blob()?).ok().map(str::to_string)
    }
}

/// A type of the table; what stands inside is one byte, an opcode or an index.
#[derive(Clone, Copy)]
enum Type<'a> {
    Opt(u8),
    Vec(u8),
    Record(Fields<'a>),
}

/// The fields of a record that are left, in ascending order of their hashes.
#[derive(Clone, Copy)]
struct Fields<'a> {
    left: usize,
    input: Input<'a>,
}

impl Fields<'_> {
    /// The type of the next field, if it has this hash.
    fn next(&mut self, hash: u64) -> Option<u8> {
        self.left = self.left.checked_sub(1)?;
        if self.input.number()? != hash {
            return None;
        }
        self.input.byte()
    }
}

struct Types<'a>(Vec<Type<'a>>);

impl<'a> Types<'a> {
    fn read(input: &mut Input<'a>) -> Option<Self> {
        let count = input.length().filter(|count| *count <= MAX_TYPES)?;
        let mut types = Vec::with_capacity(count);
        for _ in 0..count {
            types.push(match input.byte()? {
                OPT => Type::Opt(input.inner()?),
                VEC => Type::Vec(input.inner()?),
                RECORD => {
                    let left = input.length()?;
                    let fields = Fields {
                        left,
                        input: *input,
                    };
                    for _ in 0..left {
                        input.number()?;
                        input.inner()?;
                    }
                    Type::Record(fields)
                }
                _ => return None,
            });
        }
        Some(Types(types))
    }

    fn get(&self, index: u8) -> Option<Type<'a>> {
        self.0.get(usize::from(index)).copied()
    }

    fn record(&self, index: u8) -> Option<Fields<'a>> {
        match self.get(index)? {
            Type::Record(fields) => Some(fields),
            _ => None,
        }
    }

    fn is_blob(&self, index: u8) -> bool {
        matches!(self.get(index), Some(Type::Vec(NAT8)))
    }

    fn is_opt_nat16(&self, index: u8) -> bool {
        matches!(self.get(index), Some(Type::Opt(NAT16)))
    }

    /// Whether it is `vec record { text; text }`.
    fn is_headers(&self, index: u8) -> bool {
        let Some(Type::Vec(inner)) = self.get(index) else {
            return false;
        };
        self.record(inner).is_some_and(|mut fields| {
            fields.left == 2 && fields.next(0) == Some(TEXT) && fields.next(1) == Some(TEXT)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use candid::{Decode, Encode};
    use proptest::prelude::*;

    fn headers() -> impl Strategy<Value = Vec<HeaderField>> {
        prop::collection::vec(("\\PC{0,200}", "\\PC{0,200}"), 0..12)
    }

    prop_compose! {
        fn request()(
            method in "\\PC{0,8}",
            url in "\\PC{0,200}",
            headers in headers(),
            body: Vec<u8>,
            certificate_version: Option<u16>,
        ) -> HttpRequest {
            HttpRequest { method, url, headers, body, certificate_version }
        }
    }

    fn without_version(request: &HttpRequest) -> HttpUpdateRequest {
        HttpUpdateRequest {
            method: request.method.clone(),
            url: request.url.clone(),
            headers: request.headers.clone(),
            body: request.body.clone(),
        }
    }

    proptest! {
        #[test]
        fn requests_are_read_as_they_were_written(request in request()) {
            let query = Encode!(&request).unwrap();
            prop_assert_eq!(read_request(&query, true), Some(request.clone()));
            let update = without_version(&request);
            let bytes = Encode!(&update).unwrap();
            prop_assert_eq!(read_update(&bytes), Some(update));
        }

        /// Whatever is read here, the crate reads the same.
        #[test]
        fn bent_messages_are_read_as_the_crate_reads_them(
            request in request(),
            at: prop::sample::Index,
            byte: u8,
            cut: prop::sample::Index,
        ) {
            let mut bytes = Encode!(&request).unwrap();
            let place = at.index(bytes.len());
            bytes[place] = byte;
            for bytes in [&bytes[..], &bytes[..cut.index(bytes.len())]] {
                if let Some(read) = read_request(bytes, true) {
                    prop_assert_eq!(Decode!(bytes, HttpRequest).unwrap(), read);
                }
                if let Some(read) = read_update(bytes) {
                    prop_assert_eq!(Decode!(bytes, HttpUpdateRequest).unwrap(), read);
                }
            }
        }

        #[test]
        fn garbage_is_left_to_the_crate(tail: Vec<u8>) {
            let bytes = [MAGIC, &tail].concat();
            prop_assert_eq!(read_request(&bytes, true), None);
            prop_assert_eq!(read_update(&tail), None);
        }

        #[test]
        fn responses_are_written_as_the_crate_writes_them(
            status_code: u16,
            headers in headers(),
            body: Vec<u8>,
            upgrade: Option<bool>,
        ) {
            let response = HttpResponse { status_code, headers, body, upgrade };
            let expected = Encode!(&response).unwrap();
            prop_assert_eq!(encode(response), expected);
        }
    }

    #[test]
    fn other_type_tables_are_understood_or_left_to_the_crate() {
        let headers = vec![("a".to_string(), "b".to_string())];
        // The types of headers and body in the other order, as other encoders write them.
        let mut bytes = b"DIDL\x04\x6d\x7b\x6c\x02\x00\x71\x01\x71\x6d\x01\x6c\x04".to_vec();
        bytes.extend(b"\xef\xd6\xe4\x02\x71\xe1\xed\xeb\x4a\x71");
        bytes.extend(b"\xa2\xf5\xed\x88\x04\x00\xc6\xa4\xa1\x98\x06\x02\x01\x03");
        bytes.extend(b"\x02/x\x03GET\x01!\x01\x01a\x01b");
        let expected = HttpUpdateRequest {
            method: "GET".into(),
            url: "/x".into(),
            headers,
            body: b"!".to_vec(),
        };
        assert_eq!(read_update(&bytes), Some(expected.clone()));
        assert_eq!(Decode!(&bytes, HttpUpdateRequest).unwrap(), expected);
        // More fields than expected are the crate's to skip.
        let with_version = HttpRequest {
            method: "GET".into(),
            url: "/x".into(),
            headers: vec![],
            body: vec![],
            certificate_version: Some(2),
        };
        let bytes = Encode!(&with_version).unwrap();
        assert_eq!(read_update(&bytes), None);
        assert_eq!(
            decode_update(&bytes).unwrap(),
            without_version(&with_version)
        );
    }
}
