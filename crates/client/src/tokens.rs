//! Known tokens, and amounts for readers.

use candid::Principal;
use x402_icp::Amount;

/// A token that is known without a query.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Token {
    /// Its symbol.
    pub symbol: &'static str,
    /// Its ledger canister on the mainnet.
    pub ledger: &'static str,
    /// The decimals of its amounts.
    pub decimals: u8,
    /// Whether one token is meant to be worth one US dollar.
    pub usd: bool,
}

impl Token {
    /// The ledger's principal.
    pub fn principal(&self) -> Principal {
        Principal::from_text(self.ledger).expect("BUG: a known ledger's id is malformed")
    }
}

const fn token(symbol: &'static str, ledger: &'static str, decimals: u8, usd: bool) -> Token {
    Token {
        symbol,
        ledger,
        decimals,
        usd,
    }
}

/// The tokens that may be named by symbol. A ledger may claim any symbol, so no symbol of a ledger or a seller is ever
/// used to identify a token.
pub const KNOWN_TOKENS: &[Token] = &[
    token("ckUSDC", "xevnm-gaaaa-aaaar-qafnq-cai", 6, true),
    token("ckUSDT", "cngnf-vqaaa-aaaar-qag4q-cai", 6, true),
    token("ICP", "ryjl3-tyaaa-aaaaa-aaaba-cai", 8, false),
    token("ckBTC", "mxzaz-hqaaa-aaaar-qaada-cai", 8, false),
    token("ckETH", "ss2fx-dyaaa-aaaar-qacoq-cai", 18, false),
];

/// The known token with this symbol, in any case.
pub fn token_named(symbol: &str) -> Option<&'static Token> {
    KNOWN_TOKENS
        .iter()
        .find(|token| token.symbol.eq_ignore_ascii_case(symbol))
}

/// The reason why a text is not an amount of a token.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum UnitsError {
    /// Not digits with at most one point among them.
    #[error("{0:?} is not an amount: write 10000 for atomic units or 0.01 for tokens")]
    Malformed(String),
    /// Finer than the token's atomic unit.
    #[error("the token has {decimals} decimals, {text:?} has more")]
    TooFine {
        /// The text.
        text: String,
        /// The decimals of the token.
        decimals: u8,
    },
    /// Does not fit 128 bits.
    #[error("{0:?} is too large")]
    TooLarge(String),
}

/// Parses an amount: with a decimal point it is in tokens (`0.01`), without one in atomic units (`10000`).
pub fn parse_units(text: &str, decimals: u8) -> Result<Amount, UnitsError> {
    let malformed = || UnitsError::Malformed(text.into());
    let digits = |part: &str| part.bytes().all(|b| b.is_ascii_digit());
    let all = match text.split_once('.') {
        None if !text.is_empty() && digits(text) => text.to_string(),
        Some((whole, fraction))
            if !whole.is_empty() && !fraction.is_empty() && digits(whole) && digits(fraction) =>
        {
            let missing = usize::from(decimals)
                .checked_sub(fraction.len())
                .ok_or_else(|| UnitsError::TooFine {
                    text: text.into(),
                    decimals,
                })?;
            format!("{whole}{fraction}{}", "0".repeat(missing))
        }
        _ => return Err(malformed()),
    };
    match all.trim_start_matches('0') {
        "" => Ok(Amount(0)),
        significant => significant
            .parse()
            .map_err(|_| UnitsError::TooLarge(text.into())),
    }
}

/// Formats atomic units as tokens: `0.01`, without superfluous zeros.
pub fn format_units(amount: Amount, decimals: u8) -> String {
    let width = usize::from(decimals) + 1;
    let digits = format!("{:0>width$}", amount.0);
    let (whole, fraction) = digits.split_at(digits.len() - usize::from(decimals));
    match fraction.trim_end_matches('0') {
        "" => whole.to_string(),
        fraction => format!("{whole}.{fraction}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_point_makes_tokens_of_atomic_units() {
        assert_eq!(parse_units("10000", 6), Ok(Amount(10_000)));
        assert_eq!(parse_units("0.01", 6), Ok(Amount(10_000)));
        assert_eq!(parse_units("1.0", 6), Ok(Amount(1_000_000)));
        assert_eq!(
            parse_units("1.0", 0),
            Err(UnitsError::TooFine {
                text: "1.0".into(),
                decimals: 0
            })
        );
        assert_eq!(parse_units("0.0", 8), Ok(Amount(0)));
        assert_eq!(
            parse_units("340282366920938463463374607431768211455", 8),
            Ok(Amount(u128::MAX))
        );
    }

    #[test]
    fn what_is_no_amount_is_refused() {
        for text in [
            "", ".", "1.", ".5", "-1", "+1", "1e3", "1,5", "1_000", "1.2.3", " 1", "٣",
        ] {
            assert!(
                matches!(parse_units(text, 6), Err(UnitsError::Malformed(_))),
                "{text:?}"
            );
        }
        assert!(matches!(
            parse_units("0.0000001", 6),
            Err(UnitsError::TooFine { .. })
        ));
        for text in [
            "340282366920938463463374607431768211456",
            &"9".repeat(5_000),
        ] {
            assert!(matches!(parse_units(text, 6), Err(UnitsError::TooLarge(_))));
        }
    }

    #[test]
    fn known_tokens_have_ids_and_names_of_their_own() {
        for token in KNOWN_TOKENS {
            assert_eq!(token.principal().to_text(), token.ledger);
            assert_eq!(token_named(&token.symbol.to_lowercase()), Some(token));
        }
        assert_eq!(token_named("DOGE"), None);
    }

    proptest! {
        #[test]
        fn written_amounts_are_read_back(units: u128, decimals in 0u8..=30) {
            let text = format_units(Amount(units), decimals);
            // Whole tokens are written without a point, which would be read as atomic units: add it.
            let text = if text.contains('.') || decimals == 0 { text } else { format!("{text}.0") };
            match parse_units(&text, decimals) {
                Ok(amount) => prop_assert_eq!(amount, Amount(units)),
                Err(error) => prop_assert!(false, "{}: {}", text, error),
            }
        }

        #[test]
        fn garbage_never_panics(text in "\\PC{0,60}", decimals: u8) {
            let _ = parse_units(&text, decimals);
        }
    }
}
