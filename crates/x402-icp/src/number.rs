//! JSON numbers by value: `60`, `60.0` and `6e1` are one number (section 3).

use serde::{Deserialize, Deserializer, de::Error};
use serde_json::Number;

/// The largest whole number that every JSON parser represents exactly, 2^53 - 1.
pub const MAX_SAFE_INTEGER: u64 = (1 << 53) - 1;

/// The natural number that a JSON number represents, in any notation; `None` if it is not a natural number.
///
/// Numbers with a point or an exponent are accepted up to 2^32 - 1: the parser may lose a digit of longer ones.
pub fn natural(number: &Number) -> Option<u64> {
    number.as_u64().or_else(|| {
        let value = number.as_f64()?;
        let whole = value.fract() == 0.0 && (0.0..=f64::from(u32::MAX)).contains(&value);
        // Whole and not negative, so nothing is cut off.
        whole.then_some(value as u64)
    })
}

/// Decodes a natural number of any type by value.
pub(crate) fn deserialize<'de, D, N>(deserializer: D) -> Result<N, D::Error>
where
    D: Deserializer<'de>,
    N: TryFrom<u64>,
{
    natural(&Number::deserialize(deserializer)?)
        .and_then(|value| N::try_from(value).ok())
        .ok_or_else(|| D::Error::custom("must be a natural number within its limit"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_read_by_value() {
        let read = |text: &str| natural(&serde_json::from_str(text).unwrap());
        for text in ["300", "300.0", "3e2", "3.0E2", "30000e-2"] {
            assert_eq!(read(text), Some(300), "{text}");
        }
        assert_eq!(read("0.0"), Some(0));
        assert_eq!(read("-0.0"), Some(0));
        assert_eq!(read("18446744073709551615"), Some(u64::MAX));
        assert_eq!(read("4294967295.0"), Some(4_294_967_295));
        assert_eq!(read("300.00000000000000000000"), Some(300));
        for text in [
            "-1",
            "60.5",
            "1e-1",
            "1e30",
            "4294967296.0",
            "1.8446744073709552e19",
        ] {
            assert_eq!(read(text), None, "{text}");
        }
    }
}
