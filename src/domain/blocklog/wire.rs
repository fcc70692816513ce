//! Candid as a block log is written in: read by hand, because the sender is not trusted.
//!
//! ICRC-3 values nest without end, and a decoder that follows them runs out of stack, which no caller can
//! catch in a canister. This one reads any type into a small tree, with limits on depth and work, and
//! never panics. Blobs and texts are borrowed. Binary format: Candid specification, "Binary Format".

/// Deeper values are not read; an account in a transaction in a block in a result is 13 deep.
const MAX_DEPTH: u8 = 32;
/// More types are not read; replies of ledgers have about 20.
const MAX_TYPES: u64 = 128;
/// More fields of one type are not read.
const MAX_FIELDS: u64 = 64;
/// More values are not read; a block has about 70.
const MAX_VALUES: u32 = 400_000;

/// A value, as far as a block log is made of it.
#[derive(Debug)]
pub enum Value<'a> {
    /// A natural number; `None` if it needs more than 128 bits.
    Nat(Option<u128>),
    /// `blob`
    Blob(&'a [u8]),
    /// `text`, not looked at.
    Text(&'a [u8]),
    /// `vec`, but for blobs.
    List(Vec<Value<'a>>),
    /// `record`: hashes of the field names with the values.
    Record(Vec<(u32, Value<'a>)>),
    /// `variant`: the hash of the tag with the value.
    Variant(u32, Box<Value<'a>>),
    /// `func`: the canister and the method.
    Func(&'a [u8], &'a [u8]),
    /// Anything else.
    Other,
}

/// The hash that stands for the name of a field or tag.
pub fn hash(name: &str) -> u32 {
    name.bytes().fold(0, |hash: u32, byte| {
        hash.wrapping_mul(223).wrapping_add(u32::from(byte))
    })
}

impl<'a> Value<'a> {
    /// The field of a record.
    pub fn field(&self, name: &str) -> Option<&Value<'a>> {
        let Value::Record(fields) = self else {
            return None;
        };
        let wanted = hash(name);
        let found = fields.iter().find(|(hash, _)| *hash == wanted);
        found.map(|(_, value)| value)
    }

    /// The elements of a `vec` that is no blob.
    pub fn list(&self) -> Option<&[Value<'a>]> {
        match self {
            Value::List(values) => Some(values),
            _ => None,
        }
    }

    /// A natural number that fits.
    pub fn nat(&self) -> Option<u128> {
        match self {
            Value::Nat(number) => *number,
            _ => None,
        }
    }
}

#[derive(Clone, Debug)]
enum Type {
    Opt(i64),
    Vec(i64),
    Record(Vec<(u32, i64)>),
    Variant(Vec<(u32, i64)>),
    Func,
    Service,
}

/// Reads the first value of a Candid message. `None` if it is none, or not within the limits.
pub fn read(message: &[u8]) -> Option<Value<'_>> {
    let mut input = Input { rest: message };
    if input.take(4)? != b"DIDL" {
        return None;
    }
    let count = input.number(MAX_TYPES)?;
    let types = (0..count)
        .map(|_| read_type(&mut input))
        .collect::<Option<Vec<_>>>()?;
    let arguments = input.number(MAX_FIELDS)?;
    let first = input.signed()?;
    for _ in 1..arguments {
        input.signed()?;
    }
    let mut reader = Reader {
        input,
        types: &types,
        values_left: MAX_VALUES,
    };
    (arguments > 0).then(|| reader.value(first, MAX_DEPTH))?
}

fn read_type(input: &mut Input<'_>) -> Option<Type> {
    Some(match input.signed()? {
        -18 => Type::Opt(input.signed()?),
        -19 => Type::Vec(input.signed()?),
        -20 => Type::Record(read_fields(input)?),
        -21 => Type::Variant(read_fields(input)?),
        -22 => {
            for _ in 0..2 {
                for _ in 0..input.number(MAX_FIELDS)? {
                    input.signed()?;
                }
            }
            let annotations = input.number(MAX_FIELDS)?;
            input.take(usize::try_from(annotations).ok()?)?;
            Type::Func
        }
        -23 => {
            for _ in 0..input.number(MAX_FIELDS)? {
                input.bytes()?;
                input.signed()?;
            }
            Type::Service
        }
        _ => return None,
    })
}

fn read_fields(input: &mut Input<'_>) -> Option<Vec<(u32, i64)>> {
    let count = input.number(MAX_FIELDS)?;
    let field = |_| {
        let hash = u32::try_from(input.number(u64::from(u32::MAX))?).ok()?;
        Some((hash, input.signed()?))
    };
    (0..count).map(field).collect()
}

/// What has not been read yet.
struct Input<'a> {
    rest: &'a [u8],
}

impl<'a> Input<'a> {
    fn take(&mut self, count: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.rest.split_at_checked(count)?;
        self.rest = rest;
        Some(taken)
    }

    fn byte(&mut self) -> Option<u8> {
        let (byte, rest) = self.rest.split_first()?;
        self.rest = rest;
        Some(*byte)
    }

    /// An unsigned number in LEB128; the inner `None` if it needs more than 128 bits.
    fn nat(&mut self) -> Option<Option<u128>> {
        let mut number = Some(0u128);
        let mut shift = 0u32;
        loop {
            let byte = self.byte()?;
            let group = u128::from(byte & 0x7f);
            number = number.and_then(|number| match shift {
                0..=119 => Some(number | (group << shift)),
                126 if group < 4 => Some(number | (group << shift)),
                _ if group == 0 => Some(number),
                _ => None,
            });
            if byte & 0x80 == 0 {
                return Some(number);
            }
            shift = shift.saturating_add(7);
        }
    }

    /// An unsigned number that is at most `limit`.
    fn number(&mut self, limit: u64) -> Option<u64> {
        let number = u64::try_from(self.nat()??).ok()?;
        (number <= limit).then_some(number)
    }

    /// A signed number in LEB128 that fits 32 bits: a type.
    fn signed(&mut self) -> Option<i64> {
        let mut number = 0i64;
        for shift in [0, 7, 14, 21, 28] {
            let byte = self.byte()?;
            number |= i64::from(byte & 0x7f) << shift;
            if byte & 0x80 == 0 {
                let negative = byte & 0x40 != 0;
                return Some(if negative {
                    number - (1i64 << (shift + 7))
                } else {
                    number
                });
            }
        }
        None
    }

    /// Bytes behind their number.
    fn bytes(&mut self) -> Option<&'a [u8]> {
        let count = self.number(u64::from(u32::MAX))?;
        self.take(usize::try_from(count).ok()?)
    }

    /// A reference that is not opaque.
    fn transparent(&mut self) -> Option<()> {
        (self.byte()? == 1).then_some(())
    }

    fn principal(&mut self) -> Option<&'a [u8]> {
        self.transparent()?;
        self.bytes()
    }
}

struct Reader<'a, 't> {
    input: Input<'a>,
    types: &'t [Type],
    values_left: u32,
}

impl<'a> Reader<'a, '_> {
    fn value(&mut self, ty: i64, depth: u8) -> Option<Value<'a>> {
        let depth = depth.checked_sub(1)?;
        self.values_left = self.values_left.checked_sub(1)?;
        if let Ok(index) = usize::try_from(ty) {
            return self.composite(index, depth);
        }
        // The primitive types by their opcodes.
        Some(match ty {
            -3 => Value::Nat(self.input.nat()?),
            -4 => {
                // `int`: the same groups of bits; the sign does not matter here.
                self.input.nat()?;
                Value::Other
            }
            -5 | -9 | -2 => self.skip(1)?,
            -6 | -10 => self.skip(2)?,
            -7 | -11 | -13 => self.skip(4)?,
            -8 => {
                let bytes = self.input.take(8)?.try_into().ok()?;
                Value::Nat(Some(u64::from_le_bytes(bytes).into()))
            }
            -12 | -14 => self.skip(8)?,
            -15 => Value::Text(self.input.bytes()?),
            -1 | -16 => Value::Other,
            -24 => {
                self.input.principal()?;
                Value::Other
            }
            _ => return None,
        })
    }

    fn skip(&mut self, count: usize) -> Option<Value<'a>> {
        self.input.take(count)?;
        Some(Value::Other)
    }

    fn composite(&mut self, index: usize, depth: u8) -> Option<Value<'a>> {
        let types = self.types;
        Some(match types.get(index)? {
            Type::Opt(inner) => match self.input.byte()? {
                0 => Value::Other,
                1 => self.value(*inner, depth)?,
                _ => return None,
            },
            // `vec nat8`
            Type::Vec(-5) => Value::Blob(self.input.bytes()?),
            Type::Vec(inner) => {
                let count = self.input.number(u64::from(self.values_left))?;
                // Grows as it is read: the number is only a claim.
                let mut values = Vec::new();
                for _ in 0..count {
                    values.push(self.value(*inner, depth)?);
                }
                Value::List(values)
            }
            Type::Record(fields) => {
                let mut values = Vec::with_capacity(fields.len());
                for (hash, ty) in fields {
                    values.push((*hash, self.value(*ty, depth)?));
                }
                Value::Record(values)
            }
            Type::Variant(tags) => {
                let tag = usize::try_from(self.input.number(MAX_FIELDS)?).ok()?;
                let (hash, ty) = tags.get(tag)?;
                Value::Variant(*hash, Box::new(self.value(*ty, depth)?))
            }
            Type::Func => {
                self.input.transparent()?;
                Value::Func(self.input.principal()?, self.input.bytes()?)
            }
            Type::Service => {
                self.input.principal()?;
                Value::Other
            }
        })
    }
}
