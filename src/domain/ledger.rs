//! Ledgers this canister accepts.

use crate::types::Amount;
use candid::Principal;

/// The most ledgers that can be registered. They are never removed (the books refer to them), only disabled.
pub const MAX_LEDGERS: usize = 32;
/// The largest fee and the largest price that are accepted; amount + fee never overflows.
pub const MAX_AMOUNT: u128 = 1_000_000_000_000_000_000_000_000_000_000_000_000;
/// The longest symbol, in bytes.
pub const MAX_SYMBOL_BYTES: usize = 32;
/// More decimals than this is not a token.
pub const MAX_DECIMALS: u8 = 36;
/// The most standards remembered of one ledger.
pub const MAX_STANDARDS: usize = 32;
/// The longest name of a standard, in bytes.
pub const MAX_STANDARD_BYTES: usize = 32;

/// A ledger canister, as it described itself when it was added or last refreshed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ledger {
    /// The ledger's canister id.
    pub id: Principal,
    /// The token's symbol.
    pub symbol: String,
    /// The token's decimals.
    pub decimals: u8,
    /// The fee of one transfer, in atomic units, paid by the payer on top of the price.
    pub fee: Amount,
    /// The standards it says it supports.
    pub standards: Vec<String>,
    /// Whether new payments are accepted.
    pub enabled: bool,
}

/// What a ledger says of itself, before it is believed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Description {
    /// `icrc1_symbol`
    pub symbol: String,
    /// `icrc1_decimals`
    pub decimals: u8,
    /// `icrc1_fee`
    pub fee: candid::Nat,
    /// Names from `icrc1_supported_standards`
    pub standards: Vec<String>,
}

impl Description {
    /// The ledger, or why this is none that can be used.
    pub fn check(self, id: Principal) -> Result<Ledger, String> {
        let symbol_ok = !self.symbol.is_empty()
            && self.symbol.len() <= MAX_SYMBOL_BYTES
            && self.symbol.bytes().all(|b| b.is_ascii_graphic());
        if !symbol_ok {
            return Err(format!(
                "its symbol is not 1 to {MAX_SYMBOL_BYTES} printable characters"
            ));
        }
        if self.decimals > MAX_DECIMALS {
            return Err(format!("it has more than {MAX_DECIMALS} decimals"));
        }
        let fee = fee(&self.fee).ok_or("its fee is not a sensible number")?;
        for required in ["ICRC-1", "ICRC-2"] {
            if !self.standards.iter().any(|name| name == required) {
                return Err(format!("it does not support {required}"));
            }
        }
        let mut standards = self.standards;
        standards.retain(|name| name.len() <= MAX_STANDARD_BYTES);
        standards.sort();
        standards.dedup();
        standards.truncate(MAX_STANDARDS);
        Ok(Ledger {
            id,
            symbol: self.symbol,
            decimals: self.decimals,
            fee,
            standards,
            enabled: true,
        })
    }
}

/// Whether a fee that a ledger named in passing may replace the one it named when it was added.
///
/// One reply must not be able to make every offer absurd, and the fee that a ledger wants for burning
/// (none) is not its fee. A controller who knows better adds the ledger again. There is nothing to compare
/// with where there was no fee: then a tenth of a whole token is the most.
pub fn fee_is_plausible(known: Amount, named: Amount, decimals: u8) -> bool {
    let most = match known.0 {
        0 => 10_u128.saturating_pow(decimals.into()).div_ceil(10),
        known => known.saturating_mul(MAX_FEE_FACTOR),
    };
    (1..=most).contains(&named.0) || named == known
}

/// How many times as high a fee may become without a controller looking at it.
pub const MAX_FEE_FACTOR: u128 = 100;

/// A fee that a ledger named, if it is a number that can be worked with.
pub fn fee(fee: &candid::Nat) -> Option<Amount> {
    u128::try_from(&fee.0)
        .ok()
        .filter(|fee| *fee <= MAX_AMOUNT)
        .map(Amount)
}

#[cfg(test)]
mod tests {
    use super::*;
    use candid::Nat;

    fn description() -> Description {
        Description {
            symbol: "ckUSDC".into(),
            decimals: 6,
            fee: Nat::from(10_000u32),
            standards: vec!["ICRC-2".into(), "ICRC-1".into()],
        }
    }

    #[test]
    fn a_ledger_needs_both_standards_and_sane_numbers() {
        let id = Principal::from_slice(&[1]);
        let ledger = description().check(id).unwrap();
        assert_eq!(ledger.fee, Amount(10_000));
        assert!(ledger.enabled);

        let wrong: [fn(&mut Description); 6] = [
            |d| d.symbol.clear(),
            |d| d.symbol = "a\nb".into(),
            |d| d.symbol = "x".repeat(33),
            |d| d.decimals = 37,
            |d| d.fee = Nat::from(MAX_AMOUNT) + Nat::from(1u8),
            |d| d.standards = vec!["ICRC-1".into()],
        ];
        for spoil in wrong {
            let mut spoilt = description();
            spoil(&mut spoilt);
            assert!(spoilt.check(id).is_err());
        }
    }

    #[test]
    fn a_fee_named_in_passing_is_believed_within_reason() {
        let plausible = |known, named| fee_is_plausible(Amount(known), Amount(named), 6);
        assert!(plausible(10, 11) && plausible(10, 1) && plausible(10, 1_000));
        assert!(plausible(0, 5) && plausible(0, 0));
        assert!(!plausible(10, 0) && !plausible(10, 1_001) && !plausible(10, u128::MAX));
    }

    #[test]
    fn a_ledger_without_a_fee_cannot_name_an_absurd_one() {
        let plausible = |named, decimals| fee_is_plausible(Amount(0), Amount(named), decimals);
        assert!(plausible(100_000, 6) && !plausible(100_001, 6));
        assert!(plausible(1, 0) && !plausible(2, 0));
        assert!(!plausible(MAX_AMOUNT, MAX_DECIMALS));
    }

    #[test]
    fn only_a_bounded_number_of_standards_is_kept() {
        let mut many = description();
        many.standards.extend((0..1_000).map(|n| format!("X-{n}")));
        many.standards.push("y".repeat(1_000));
        let ledger = many.check(Principal::from_slice(&[1])).unwrap();
        assert_eq!(ledger.standards.len(), MAX_STANDARDS);
        assert!(ledger.standards.contains(&"ICRC-2".to_string()));
    }
}
