//! A decoder for the Candid of block logs, written by hand because the sender is not trusted.
//!
//! ICRC-3 values nest without limit. A decoder that recurses without limit runs out of stack, which cannot be caught in
//! a canister. This decoder reads any type into a small tree, with limits on depth and work, and never panics. Blobs
//! and texts are borrowed. Binary format: Candid specification, "Binary Format".
//!
//! A block that is too deep or too large for a tree does not make the reply unreadable: its end is found without
//! recursion ([`Reader::pass_over`]), and the tree holds [`Value::Unread`] for it.

mod input;

use input::Input;

/// The greatest depth that is read. An account in a transaction in a block in a result is 13 deep.
const MAX_DEPTH: u8 = 32;
/// The most types that are read. Replies of ledgers have about 20.
const MAX_TYPES: u64 = 128;
/// The most fields of one type that are read.
const MAX_FIELDS: u64 = 64;
/// The most values that are read. A block has about 70.
const MAX_VALUES: u32 = 400_000;
/// The most values of a block that is read.
const MAX_BLOCK_VALUES: u32 = 10_000;
/// The most values that are passed over: two for each byte of the longest reply.
const MAX_PASSED: u32 = 4_000_000;
/// The most open values while passing over. Values that are wider and deeper at the same time are not passed over.
const MAX_OPEN: usize = 100_000;

/// A value of one of the kinds that block logs consist of.
#[derive(Debug)]
pub enum Value<'a> {
    /// A number, of any type; `None` if it is negative or needs more than 128 bits.
    Nat(Option<u128>),
    /// `blob`
    Blob(&'a [u8]),
    /// `text`, not checked for UTF-8.
    Text(&'a [u8]),
    /// `vec`, except blobs.
    List(Vec<Value<'a>>),
    /// `record`: the hashes of the field names with the values.
    Record(Vec<(u32, Value<'a>)>),
    /// `variant`: the hash of the tag with the value.
    Variant(u32, Box<Value<'a>>),
    /// `func`: the canister and the method.
    Func(&'a [u8], &'a [u8]),
    /// A block that is too deep or too large.
    Unread,
    /// A block beyond the work limit: as if the reply ended before it.
    Cut,
    /// `opt` without a value.
    Null,
    Other,
}

/// The Candid hash of a field name or tag.
pub fn hash(name: &str) -> u32 {
    name.bytes().fold(0, |hash: u32, byte| {
        hash.wrapping_mul(223).wrapping_add(u32::from(byte))
    })
}

impl<'a> Value<'a> {
    pub fn field(&self, name: &str) -> Option<&Value<'a>> {
        let Value::Record(fields) = self else {
            return None;
        };
        let wanted = hash(name);
        let found = fields.iter().find(|(hash, _)| *hash == wanted);
        found.map(|(_, value)| value)
    }

    /// The elements of a `vec` that is not a blob.
    pub fn list(&self) -> Option<&[Value<'a>]> {
        match self {
            Value::List(values) => Some(values),
            _ => None,
        }
    }

    /// A natural number of at most 128 bits.
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

/// Reads the first value of a Candid message. `None` if there is none, or it exceeds the limits. `block`: the name of
/// the fields whose values are read with limits of their own.
pub fn read<'a>(message: &'a [u8], block: &str) -> Option<Value<'a>> {
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
        passes_left: MAX_PASSED,
        block: Some(hash(block)),
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

struct Reader<'a, 't> {
    input: Input<'a>,
    types: &'t [Type],
    values_left: u32,
    passes_left: u32,
    /// The field whose value is read with limits of its own.
    block: Option<u32>,
}

/// Values that are still to be passed over.
enum Open<'t> {
    /// So many of this type.
    Elements(i64, u64),
    /// One of each of these types.
    Fields(&'t [(u32, i64)]),
}

impl<'a, 't> Reader<'a, 't> {
    fn value(&mut self, ty: i64, depth: u8) -> Option<Value<'a>> {
        let depth = depth.checked_sub(1)?;
        self.values_left = self.values_left.checked_sub(1)?;
        if let Ok(index) = usize::try_from(ty) {
            return self.composite(index, depth);
        }
        self.primitive(ty)
    }

    /// The primitive types by their opcodes.
    fn primitive(&mut self, ty: i64) -> Option<Value<'a>> {
        Some(match ty {
            -3 => Value::Nat(self.input.nat()?),
            -4 => Value::Nat(self.input.int()?),
            -5 => Value::Nat(Some(self.input.fixed(1)?)),
            -6 => Value::Nat(Some(self.input.fixed(2)?)),
            -7 => Value::Nat(Some(self.input.fixed(4)?)),
            -8 => Value::Nat(Some(self.input.fixed(8)?)),
            -2 | -9 => self.skip(1)?,
            -10 => self.skip(2)?,
            -11 | -13 => self.skip(4)?,
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
                0 => Value::Null,
                1 => self.value(*inner, depth)?,
                _ => return None,
            },
            // `vec nat8`
            Type::Vec(-5) => Value::Blob(self.input.bytes()?),
            Type::Vec(inner) => {
                let count = self.input.number(u64::from(self.values_left))?;
                // The length is not trusted, so no memory is reserved.
                let mut values = Vec::new();
                for _ in 0..count {
                    values.push(self.value(*inner, depth)?);
                }
                Value::List(values)
            }
            Type::Record(fields) => {
                let mut values = Vec::with_capacity(fields.len());
                for (hash, ty) in fields {
                    let value = match self.block {
                        Some(block) if block == *hash => self.block(*ty, depth)?,
                        _ => self.value(*ty, depth)?,
                    };
                    values.push((*hash, value));
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

    /// Reads a block with limits of its own. `None` if its end cannot be found.
    fn block(&mut self, ty: i64, depth: u8) -> Option<Value<'a>> {
        let rest = self.input.rest;
        self.pass_over(ty)?;
        if self.values_left < MAX_BLOCK_VALUES {
            return Some(Value::Cut);
        }
        let mut block = Reader {
            input: Input {
                rest: &rest[..rest.len() - self.input.rest.len()],
            },
            types: self.types,
            values_left: MAX_BLOCK_VALUES,
            passes_left: 0,
            block: None,
        };
        let value = block.value(ty, depth);
        self.values_left -= MAX_BLOCK_VALUES - block.values_left;
        Some(value.unwrap_or(Value::Unread))
    }

    /// Finds the end of a value without a tree and without recursion.
    fn pass_over(&mut self, ty: i64) -> Option<()> {
        let types: &'t [Type] = self.types;
        let mut open: Vec<Open<'t>> = Vec::new();
        let mut next = Some(ty);
        loop {
            let ty = match next.take() {
                Some(ty) => ty,
                None => match open.pop() {
                    None => return Some(()),
                    // The last one is not kept open, so a chain of single values needs no room.
                    Some(Open::Elements(ty, left)) => {
                        if left > 1 {
                            open.push(Open::Elements(ty, left - 1));
                        }
                        ty
                    }
                    Some(Open::Fields(fields)) => {
                        let ((_, ty), others) = fields.split_first()?;
                        if !others.is_empty() {
                            open.push(Open::Fields(others));
                        }
                        *ty
                    }
                },
            };
            self.passes_left = self.passes_left.checked_sub(1)?;
            let Ok(index) = usize::try_from(ty) else {
                self.primitive(ty)?;
                continue;
            };
            match types.get(index)? {
                Type::Opt(inner) => match self.input.byte()? {
                    0 => {}
                    1 => next = Some(*inner),
                    _ => return None,
                },
                Type::Vec(-5) => drop(self.input.bytes()?),
                Type::Vec(inner) => {
                    let count = self.input.number(u64::from(self.passes_left))?;
                    if count > 0 {
                        open.push(Open::Elements(*inner, count));
                    }
                }
                Type::Record(fields) if fields.is_empty() => {}
                Type::Record(fields) => open.push(Open::Fields(fields)),
                Type::Variant(tags) => {
                    let tag = usize::try_from(self.input.number(MAX_FIELDS)?).ok()?;
                    next = Some(tags.get(tag)?.1);
                }
                Type::Func => {
                    self.input.transparent()?;
                    self.input.principal()?;
                    self.input.bytes()?;
                }
                Type::Service => drop(self.input.principal()?),
            }
            if open.len() > MAX_OPEN {
                return None;
            }
        }
    }
}
