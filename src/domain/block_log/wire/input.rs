//! The unread bytes of a Candid message.

pub struct Input<'a> {
    pub rest: &'a [u8],
}

impl<'a> Input<'a> {
    pub fn take(&mut self, count: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.rest.split_at_checked(count)?;
        self.rest = rest;
        Some(taken)
    }

    pub fn byte(&mut self) -> Option<u8> {
        let (byte, rest) = self.rest.split_first()?;
        self.rest = rest;
        Some(*byte)
    }

    /// An unsigned number in LEB128; the inner `None` if it needs more than 128 bits.
    pub fn nat(&mut self) -> Option<Option<u128>> {
        Some(self.groups()?.0)
    }

    /// A signed number in LEB128; the inner `None` if it is negative or needs more than 128 bits.
    pub fn int(&mut self) -> Option<Option<u128>> {
        let (number, last) = self.groups()?;
        let negative = last & 0x40 != 0;
        Some(number.filter(|_| !negative))
    }

    /// The number in groups of seven bits, and the last byte.
    fn groups(&mut self) -> Option<(Option<u128>, u8)> {
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
                return Some((number, byte));
            }
            shift = shift.saturating_add(7);
        }
    }

    /// A number of that many bytes, little-endian.
    pub fn fixed(&mut self, count: usize) -> Option<u128> {
        let bytes = self.take(count)?;
        let number = bytes.iter().rev();
        Some(number.fold(0, |number, byte| (number << 8) | u128::from(*byte)))
    }

    /// An unsigned number that is at most `limit`.
    pub fn number(&mut self, limit: u64) -> Option<u64> {
        let number = u64::try_from(self.nat()??).ok()?;
        (number <= limit).then_some(number)
    }

    /// A signed number in LEB128 that fits 32 bits: a type.
    pub fn signed(&mut self) -> Option<i64> {
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

    /// Bytes with their length before them.
    pub fn bytes(&mut self) -> Option<&'a [u8]> {
        let count = self.number(u64::from(u32::MAX))?;
        self.take(usize::try_from(count).ok()?)
    }

    /// A reference that is not opaque.
    pub fn transparent(&mut self) -> Option<()> {
        (self.byte()? == 1).then_some(())
    }

    /// The bytes of a principal.
    pub fn principal(&mut self) -> Option<&'a [u8]> {
        self.transparent()?;
        self.bytes()
    }
}
