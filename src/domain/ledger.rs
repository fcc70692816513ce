//! Ledgers that this canister accepts.

use crate::{domain::block_log::LogKind, types::Amount};
use candid::Principal;

/// The most ledgers that can be registered. They are never removed (payments refer to them), only disabled.
pub const MAX_LEDGERS: usize = 32;
/// The largest accepted fee and price; amount + fee never overflows.
pub const MAX_AMOUNT: u128 = 1_000_000_000_000_000_000_000_000_000_000_000_000;
/// The power of ten of the largest price in whole tokens. There is a limit because payments that nobody can make are
/// held, too.
const MAX_PRICE_TOKENS: u8 = 9;
/// The power of ten of the atomic units that are accepted in every ledger: one unit of a token with many decimals can
/// be worth very little.
const MIN_CEILING_DIGITS: u8 = 18;
/// The longest symbol, in characters of at most four bytes. Each offer has it, in headers that have to stay small.
pub const MAX_SYMBOL_CHARS: usize = 24;
/// Replaces a symbol without a visible character.
pub const NO_SYMBOL: &str = "?";
/// The decimals of [`MAX_AMOUNT`]. A token may have more; its amounts are less than one token then.
const AMOUNT_DECIMALS: u8 = 36;
/// The most names of standards that are kept; those of [`USED_STANDARDS`] come first.
pub const MAX_STANDARDS: usize = 32;
/// The standard of block logs, as `icrc1_supported_standards` names it.
pub const BLOCK_LOG_STANDARD: &str = "ICRC-3";
/// The standards that the canister uses.
const USED_STANDARDS: [&str; 3] = ["ICRC-1", "ICRC-2", BLOCK_LOG_STANDARD];
/// The longest name of a standard, in bytes.
pub const MAX_STANDARD_BYTES: usize = 32;

/// A ledger canister, as it described itself when it was added or last refreshed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ledger {
    pub id: Principal,
    /// The token's symbol, as [`display_symbol`] makes it.
    pub symbol: String,
    /// For display.
    pub decimals: u8,
    /// The fee of one transfer, in atomic units, paid by the payer in addition to the price.
    pub fee: Amount,
    /// The standards that it lists.
    pub standards: Vec<String>,
    /// Whether it answers `query_blocks` as the ICP ledger does. Asked only if it does not list ICRC-3.
    pub answers_query_blocks: bool,
    /// Whether new payments are accepted.
    pub enabled: bool,
}

impl Ledger {
    /// The interface of its block log, if it has one that can be read.
    pub fn log(&self) -> Option<LogKind> {
        let mut standards = self.standards.iter();
        if standards.any(|standard| standard == BLOCK_LOG_STANDARD) {
            return Some(LogKind::Icrc3);
        }
        self.answers_query_blocks.then_some(LogKind::Icp)
    }

    /// Whether it has a block log that can be read.
    pub fn has_block_log(&self) -> bool {
        self.log().is_some()
    }

    /// The largest price in this ledger: 10^9 whole tokens, but at least 10^18 atomic units, and at most
    /// [`MAX_AMOUNT`].
    pub fn max_price(&self) -> Amount {
        let digits = self.decimals.saturating_add(MAX_PRICE_TOKENS);
        let digits = digits.clamp(MIN_CEILING_DIGITS, AMOUNT_DECIMALS);
        Amount(10_u128.pow(digits.into()))
    }
}

/// A ledger's description of itself, before it is checked.
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
    /// The ledger, or the reason why it cannot be used.
    pub fn check(self, id: Principal) -> Result<Ledger, String> {
        let fee = fee(&self.fee).ok_or("its fee is implausible")?;
        for required in ["ICRC-1", "ICRC-2"] {
            if !self.standards.iter().any(|name| name == required) {
                return Err(format!("it does not support {required}"));
            }
        }
        let mut standards = self.standards;
        standards.retain(|name| name.len() <= MAX_STANDARD_BYTES);
        standards.sort();
        standards.dedup();
        standards.sort_by_key(|name| !USED_STANDARDS.contains(&name.as_str()));
        standards.truncate(MAX_STANDARDS);
        standards.sort();
        Ok(Ledger {
            id,
            symbol: display_symbol(&self.symbol),
            decimals: self.decimals,
            fee,
            standards,
            answers_query_blocks: false,
            enabled: true,
        })
    }
}

/// A symbol that can be shown safely: one line of at most [`MAX_SYMBOL_CHARS`], without characters that control a
/// terminal, reverse text or are invisible. Symbols are for display only, so none is refused.
pub fn display_symbol(symbol: &str) -> String {
    let visible = symbol.chars().filter_map(|c| match c {
        c if c.is_whitespace() => Some(' '),
        c if is_unseen(c) => None,
        c => Some(c),
    });
    let mut shown = String::new();
    let mut length = 0;
    for c in visible {
        // Spaces are joined, and none comes first.
        if c == ' ' && (shown.is_empty() || shown.ends_with(' ')) {
            continue;
        }
        if length == MAX_SYMBOL_CHARS {
            shown.pop();
            shown.push('…');
            break;
        }
        shown.push(c);
        length += 1;
    }
    let shown = shown.trim_end();
    if shown.is_empty() {
        return NO_SYMBOL.into();
    }
    shown.into()
}

/// Characters that are invisible or control the display: Unicode's categories Cc and Cf, fillers, variation selectors
/// and non-characters.
fn is_unseen(c: char) -> bool {
    let of_format = matches!(c,
        '\u{ad}' | '\u{600}'..='\u{605}' | '\u{61c}' | '\u{6dd}' | '\u{70f}' | '\u{890}'..='\u{891}' | '\u{8e2}'
        | '\u{180b}'..='\u{180f}' | '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{206f}'
        | '\u{feff}' | '\u{fff0}'..='\u{fffb}' | '\u{110bd}' | '\u{110cd}' | '\u{13430}'..='\u{1343f}'
        | '\u{1bca0}'..='\u{1bca3}' | '\u{1d173}'..='\u{1d17a}' | '\u{e0000}'..='\u{e0fff}');
    let filler = matches!(c,
        '\u{34f}' | '\u{115f}'..='\u{1160}' | '\u{17b4}'..='\u{17b5}' | '\u{2800}' | '\u{3164}' | '\u{ffa0}'
        | '\u{fe00}'..='\u{fe0f}');
    let none = matches!(c, '\u{fdd0}'..='\u{fdef}') || u32::from(c) & 0xfffe == 0xfffe;
    c.is_control() || of_format || filler || none
}

/// Whether a fee that a ledger named in passing may replace the one it named when it was added.
///
/// One reply must not be able to make every offer absurd, and the zero fee that a ledger charges for burning is not its
/// fee. A controller can set a larger change by adding the ledger again. If the known fee is zero, a tenth of a whole
/// token is the limit.
pub fn fee_is_plausible(known: Amount, named: Amount, decimals: u8) -> bool {
    let most = match known.0 {
        0 => 10_u128
            .pow(decimals.min(AMOUNT_DECIMALS).into())
            .div_ceil(10),
        known => known.saturating_mul(MAX_FEE_FACTOR),
    };
    (1..=most).contains(&named.0) || named == known
}

/// The greatest factor by which a fee may rise without a controller.
pub const MAX_FEE_FACTOR: u128 = 100;

/// A fee that a ledger named, if it is within the limits.
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

        let wrong: [fn(&mut Description); 2] = [
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
    fn symbols_are_made_fit_to_be_shown() {
        let long = "x".repeat(1_000_000);
        let cases = [
            ("ckUSDC", "ckUSDC"),
            ("USD₮0", "USD₮0"),
            ("", "?"),
            ("\u{200b}\u{202e}\n \u{feff}", "?"),
            ("a\nb\t\tc ", "a b c"),
            ("\u{1b}[31mRED\u{7}", "[31mRED"),
            ("\u{202e}CDSU\u{202c}", "CDSU"),
            ("U\u{200d}S\u{2066}D\u{2069}\u{85}C", "USD C"),
            ("日本円", "日本円"),
            ("€\u{fe0f}\u{e0041}", "€"),
            ("\u{3164}", "?"),
            ("\\\"</script>", "\\\"</script>"),
            ("e\u{301}", "e\u{301}"),
            ("\u{ffff}\u{10ffff}\u{fdd0}X", "X"),
        ];
        for (symbol, shown) in cases {
            assert_eq!(display_symbol(symbol), shown, "{symbol:?}");
            assert_eq!(
                display_symbol(shown),
                shown,
                "a cleaned symbol is unchanged"
            );
        }
        let exact = "₮".repeat(MAX_SYMBOL_CHARS);
        assert_eq!(display_symbol(&exact), exact);
        for longer in [long, format!("{exact}₮"), "🪙 ".repeat(100)] {
            let shown = display_symbol(&longer);
            assert!(shown.ends_with('…'), "{shown}");
            assert_eq!(shown.chars().count(), MAX_SYMBOL_CHARS);
            assert_eq!(display_symbol(&shown), shown);
        }
    }

    #[test]
    fn a_price_is_a_thousand_million_tokens_at_most_or_ten_to_the_eighteenth_units() {
        let digits = [
            (0, 18),
            (6, 18),
            (9, 18),
            (10, 19),
            (18, 27),
            (27, 36),
            (28, 36),
            (255, 36),
        ];
        for (decimals, digits) in digits {
            let ledger = Ledger {
                decimals,
                ..description().check(Principal::from_slice(&[1])).unwrap()
            };
            assert_eq!(ledger.max_price(), Amount(10_u128.pow(digits)));
        }
        assert_eq!(10_u128.pow(AMOUNT_DECIMALS.into()), MAX_AMOUNT);
    }

    #[test]
    fn any_decimals_are_taken() {
        for decimals in [0, 1, 18, 36, 37, 255] {
            let described = Description {
                decimals,
                ..description()
            };
            let ledger = described.check(Principal::from_slice(&[1])).unwrap();
            assert_eq!(ledger.decimals, decimals);
            assert!(!fee_is_plausible(Amount(0), Amount(MAX_AMOUNT), decimals));
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
        assert!(!plausible(MAX_AMOUNT, AMOUNT_DECIMALS));
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

    #[test]
    fn the_standards_that_the_canister_uses_are_kept_first() {
        let mut many = description();
        let earlier = (0..MAX_STANDARDS).map(|n| format!("ICRC-10{n}"));
        many.standards.extend(earlier);
        many.standards.push(BLOCK_LOG_STANDARD.into());
        let ledger = many.check(Principal::from_slice(&[1])).unwrap();
        assert_eq!(ledger.standards.len(), MAX_STANDARDS);
        assert!(ledger.standards.is_sorted());
        for used in USED_STANDARDS {
            assert!(ledger.standards.contains(&used.to_string()), "{used}");
        }
    }
}
