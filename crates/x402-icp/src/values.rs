//! The values in the JSON texts: amounts, times, nonces, accounts, base64. Each has one text form, and only that form
//! is accepted (section 3).

use base64::{Engine, engine::general_purpose::STANDARD};
use icrc_ledger_types::icrc1::account::Account;
use std::{fmt, str::FromStr};

/// The reason why a text is not a valid value.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ValueError {
    /// The text is empty.
    #[error("is empty")]
    Empty,
    /// A decimal text contains other characters than the digits 0 to 9.
    #[error("must contain decimal digits only")]
    NotDecimal,
    /// A decimal text starts with a superfluous zero.
    #[error("has leading zeros")]
    LeadingZeros,
    /// The number is too large.
    #[error("is greater than {max}")]
    TooLarge {
        /// The largest number allowed.
        max: u128,
    },
    /// The text or the bytes are too long.
    #[error("is {actual} bytes long, at most {limit} are allowed")]
    TooLong {
        /// The most bytes allowed.
        limit: usize,
        /// The actual length.
        actual: usize,
    },
    /// The text has not the required length.
    #[error("is {actual} characters long, {expected} are required")]
    WrongLength {
        /// The required length.
        expected: usize,
        /// The actual length.
        actual: usize,
    },
    /// The text contains other characters than 0-9 and a-f.
    #[error("must contain lower-case hexadecimal digits only")]
    NotLowerHex,
    /// Not padded standard base64 in its canonical form.
    #[error("is not padded standard base64: {problem}")]
    NotBase64 {
        /// The decoder's message.
        problem: String,
    },
    /// Not a principal in its canonical text form.
    #[error("is not a principal: {problem}")]
    NotPrincipal {
        /// The decoder's message.
        problem: String,
    },
    /// Not an ICRC-1 account in its canonical text form.
    #[error("is not an ICRC-1 account: {problem}")]
    NotAccount {
        /// The decoder's message.
        problem: String,
    },
}

impl ValueError {
    /// The limit that was exceeded, if any.
    pub fn limit(&self) -> Option<u128> {
        match self {
            Self::TooLarge { max } => Some(*max),
            Self::TooLong { limit, .. } => Some(*limit as u128),
            Self::WrongLength { expected, .. } => Some(*expected as u128),
            _ => None,
        }
    }
}

/// A number of atomic token units, at most 2^128 - 1.
///
/// The text form is decimal without sign, exponent, separators or leading zeros.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Amount(pub u128);

impl FromStr for Amount {
    type Err = ValueError;

    fn from_str(text: &str) -> Result<Self, ValueError> {
        decimal(text, u128::MAX).map(Amount)
    }
}

impl fmt::Display for Amount {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl From<u128> for Amount {
    fn from(units: u128) -> Self {
        Amount(units)
    }
}

/// The payer's random 32 bytes that make an authorization single-use.
///
/// The text form is 64 lower-case hexadecimal digits. One nonce has one text, so a signature over the text is a
/// signature over the bytes.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Nonce(pub [u8; 32]);

impl FromStr for Nonce {
    type Err = ValueError;

    fn from_str(text: &str) -> Result<Self, ValueError> {
        lower_hex_32(text).map(Nonce)
    }
}

impl fmt::Display for Nonce {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&hex::encode(self.0))
    }
}

impl fmt::Debug for Nonce {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Nonce({self})")
    }
}

/// Parses seconds since 1970-01-01 from canonical decimal text.
pub fn parse_seconds(text: &str) -> Result<u64, ValueError> {
    parse_u64(text)
}

/// Parses nanoseconds since 1970-01-01 from canonical decimal text.
pub fn parse_nanoseconds(text: &str) -> Result<u64, ValueError> {
    parse_u64(text)
}

/// Parses a block index from canonical decimal text.
pub fn parse_block(text: &str) -> Result<u64, ValueError> {
    parse_u64(text)
}

fn parse_u64(text: &str) -> Result<u64, ValueError> {
    let max = u64::MAX;
    let value = decimal(text, u128::from(max))?;
    u64::try_from(value).map_err(|_| ValueError::TooLarge {
        max: u128::from(max),
    })
}

/// Parses an ICRC-1 account: `owner`, or `owner-checksum.subaccount`.
///
/// Only the canonical form is accepted: lower case, no explicit default subaccount, no leading zeros.
pub fn parse_account(text: &str) -> Result<Account, ValueError> {
    // 63 characters of principal, 8 of checksum with its dash, 65 of subaccount with its dot.
    const MAX: usize = 63 + 8 + 65;
    not_longer(text, MAX)?;
    let account: Account =
        text.parse()
            .map_err(|e: icrc_ledger_types::icrc1::account::ICRC1TextReprError| {
                ValueError::NotAccount {
                    problem: e.to_string(),
                }
            })?;
    if account.to_string() != text {
        return Err(ValueError::NotAccount {
            problem: "not in canonical form".into(),
        });
    }
    Ok(account)
}

/// Parses a principal in its canonical (lower-case, grouped) text form.
pub fn parse_principal(text: &str) -> Result<candid::Principal, ValueError> {
    not_longer(text, 63)?;
    let not_principal = |problem: String| ValueError::NotPrincipal { problem };
    let principal = candid::Principal::from_text(text).map_err(|e| not_principal(e.to_string()))?;
    if principal.to_text() != text {
        return Err(not_principal("not in canonical form".into()));
    }
    Ok(principal)
}

/// Decodes padded standard base64 (RFC 4648 section 4) of at most `limit` bytes. The length is checked before decoding,
/// and unused bits must be zero.
pub fn parse_base64(text: &[u8], limit: usize) -> Result<Vec<u8>, ValueError> {
    let decoded_at_most = (text.len() / 4).saturating_mul(3);
    if decoded_at_most > limit.saturating_add(2) {
        return Err(ValueError::TooLong {
            limit,
            actual: decoded_at_most,
        });
    }
    let bytes = STANDARD.decode(text).map_err(|e| ValueError::NotBase64 {
        problem: e.to_string(),
    })?;
    if bytes.len() > limit {
        return Err(ValueError::TooLong {
            limit,
            actual: bytes.len(),
        });
    }
    Ok(bytes)
}

/// Encodes padded standard base64.
pub fn to_base64(bytes: &[u8]) -> String {
    STANDARD.encode(bytes)
}

fn not_longer(text: &str, limit: usize) -> Result<(), ValueError> {
    if text.is_empty() {
        return Err(ValueError::Empty);
    }
    if text.len() > limit {
        return Err(ValueError::TooLong {
            limit,
            actual: text.len(),
        });
    }
    Ok(())
}

pub(crate) fn decimal(text: &str, max: u128) -> Result<u128, ValueError> {
    // 2^128 - 1 has 39 digits. Longer texts are not parsed.
    if text.is_empty() {
        return Err(ValueError::Empty);
    }
    if text.len() > 39 {
        return Err(ValueError::TooLarge { max });
    }
    if !text.bytes().all(|b| b.is_ascii_digit()) {
        return Err(ValueError::NotDecimal);
    }
    if text.len() > 1 && text.starts_with('0') {
        return Err(ValueError::LeadingZeros);
    }
    match text.parse::<u128>() {
        Ok(value) if value <= max => Ok(value),
        _ => Err(ValueError::TooLarge { max }),
    }
}

/// Parses exactly 64 lower-case hexadecimal digits.
pub(crate) fn lower_hex_32(text: &str) -> Result<[u8; 32], ValueError> {
    if text.len() != 64 {
        return Err(ValueError::WrongLength {
            expected: 64,
            actual: text.len(),
        });
    }
    if text.bytes().any(|b| b.is_ascii_uppercase()) {
        return Err(ValueError::NotLowerHex);
    }
    let mut bytes = [0; 32];
    hex::decode_to_slice(text, &mut bytes).map_err(|_| ValueError::NotLowerHex)?;
    Ok(bytes)
}

#[cfg(test)]
mod tests;
