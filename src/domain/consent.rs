//! What a wallet shows a payer before a call: the consent message of ICRC-21.
//!
//! It says what the argument says, and nothing that the argument does not bind: a payment whose offer has changed is
//! refused, not made at another price.

use crate::{
    domain::{call::CallTerms, ledger::Ledger},
    types::{Account, Amount, RouteKey},
};
use candid::Principal;

/// A message: a heading and the values under it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Consent {
    pub intent: String,
    pub fields: Vec<(&'static str, Field)>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Field {
    Text(String),
    Tokens {
        amount: Amount,
        decimals: u8,
        symbol: String,
    },
}

/// The message for a purchase by call. `seller`: the canister that is called.
pub fn of_purchase(
    request: &RouteKey,
    terms: &CallTerms,
    ledger: &Ledger,
    seller: Principal,
) -> Consent {
    let tokens = |amount| Field::Tokens {
        amount,
        decimals: ledger.decimals,
        symbol: ledger.symbol.clone(),
    };
    Consent {
        intent: format!("Buy {} {}", request.method.as_str(), request.path),
        fields: vec![
            ("Amount", tokens(terms.amount)),
            ("Fee of the ledger, in addition", tokens(terms.fee)),
            ("From", Field::Text(payer(&terms.from))),
            ("To", Field::Text(terms.pay_to.to_string())),
            ("Ledger", Field::Text(terms.ledger.to_text())),
            ("Seller", Field::Text(seller.to_text())),
            (
                "Charged once under the id",
                Field::Text(hex::encode(terms.id.0)),
            ),
        ],
    }
}

/// The message for the cancellation of a signed authorization, by its nonce.
pub fn of_cancellation(nonce: &[u8; 32], seller: Principal) -> Consent {
    Consent {
        intent: "Cancel an authorization that is not used yet".into(),
        fields: vec![
            ("Nonce", Field::Text(hex::encode(nonce))),
            ("Seller", Field::Text(seller.to_text())),
        ],
    }
}

/// A wallet may ask without saying for whom.
fn payer(from: &Account) -> String {
    match (from.owner == Principal::anonymous(), from.subaccount) {
        (false, _) => from.to_string(),
        (true, None) => "your account".into(),
        (true, Some(subaccount)) => format!("your account, subaccount {}", hex::encode(subaccount)),
    }
}

impl Consent {
    /// The message as Markdown.
    pub fn markdown(&self) -> String {
        let mut text = format!("# {}", plain(&self.intent));
        for (name, field) in &self.fields {
            text.push_str(&format!("\n\n**{name}:**\n`{}`", plain(&field.text())));
        }
        text
    }
}

impl Field {
    /// Tokens in whole units, with all digits.
    pub fn text(&self) -> String {
        match self {
            Field::Text(text) => text.clone(),
            Field::Tokens {
                amount,
                decimals,
                symbol,
            } => format!("{} {symbol}", whole_units(*amount, *decimals)),
        }
    }
}

/// Text that neither ends a code span nor begins another line.
fn plain(text: &str) -> String {
    text.chars()
        .map(|c| match c {
            '`' => '\'',
            c if c.is_control() => ' ',
            c => c,
        })
        .collect()
}

/// An amount in whole tokens, without superfluous zeros.
pub fn whole_units(amount: Amount, decimals: u8) -> String {
    let decimals = usize::from(decimals);
    let digits = format!("{:0>width$}", amount.0, width = decimals + 1);
    let (whole, part) = digits.split_at(digits.len() - decimals);
    match part.trim_end_matches('0') {
        "" => whole.to_string(),
        part => format!("{whole}.{part}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::types::{Method, Nonce};

    fn terms(owner: Principal) -> CallTerms {
        CallTerms {
            caller: owner,
            id: Nonce([0xab; 32]),
            from: owner.into(),
            ledger: Principal::from_slice(&[7]),
            amount: Amount(1_030_000),
            fee: Amount(10_000),
            pay_to: Principal::from_slice(&[8]).into(),
            created_at: crate::types::TimestampNs(1),
        }
    }

    fn message(terms: &CallTerms, path: &str) -> String {
        let known = Ledger {
            id: terms.ledger,
            symbol: "ck`€\n".into(),
            decimals: 6,
            fee: terms.fee,
            standards: vec![],
            answers_query_blocks: false,
            enabled: true,
        };
        let request = RouteKey::new(Method::Get, path);
        of_purchase(&request, terms, &known, Principal::from_slice(&[9])).markdown()
    }

    #[test]
    fn the_message_says_what_the_argument_says_word_by_word() {
        let owner = Principal::from_slice(&[1]);
        let id = "ab".repeat(32);
        assert_eq!(
            message(&terms(owner), "/report"),
            format!(
                "# Buy GET /report\n\n\
                 **Amount:**\n`1.03 ck'€ `\n\n\
                 **Fee of the ledger, in addition:**\n`0.01 ck'€ `\n\n\
                 **From:**\n`{owner}`\n\n\
                 **To:**\n`{}`\n\n\
                 **Ledger:**\n`{}`\n\n\
                 **Seller:**\n`{}`\n\n\
                 **Charged once under the id:**\n`{id}`",
                Principal::from_slice(&[8]),
                Principal::from_slice(&[7]),
                Principal::from_slice(&[9]),
            )
        );
        let nobody = terms(Principal::anonymous());
        assert!(message(&nobody, "/report").contains("**From:**\n`your account`"));
        let mut of_subaccount = nobody;
        of_subaccount.from.subaccount = Some([5; 32]);
        let text = message(&of_subaccount, "/report");
        assert!(text.contains(&format!("`your account, subaccount {}`", "05".repeat(32))));
    }

    #[test]
    fn a_cancellation_names_the_nonce() {
        let text = of_cancellation(&[0xcd; 32], Principal::from_slice(&[9])).markdown();
        assert_eq!(
            text,
            format!(
                "# Cancel an authorization that is not used yet\n\n**Nonce:**\n`{}`\n\n**Seller:**\n`{}`",
                "cd".repeat(32),
                Principal::from_slice(&[9])
            )
        );
    }

    #[test]
    fn every_term_changes_the_message() {
        let owner = Principal::from_slice(&[1]);
        let base = message(&terms(owner), "/report");
        let other = Principal::from_slice(&[99]);
        let changes: [fn(&mut CallTerms, Principal); 6] = [
            |terms, _| terms.amount.0 += 1,
            |terms, _| terms.fee.0 += 1,
            |terms, _| terms.id.0[31] ^= 1,
            |terms, other| terms.ledger = other,
            |terms, other| terms.pay_to.owner = other,
            |terms, _| terms.from.subaccount = Some([1; 32]),
        ];
        for change in changes {
            let mut terms = terms(owner);
            change(&mut terms, other);
            assert_ne!(message(&terms, "/report"), base);
        }
        assert_ne!(message(&terms(owner), "/other"), base);
    }

    #[test]
    fn amounts_have_all_their_digits() {
        for (amount, decimals, text) in [
            (0, 0, "0"),
            (7, 0, "7"),
            (0, 8, "0"),
            (1, 8, "0.00000001"),
            (100_000_000, 8, "1"),
            (120_000_000, 8, "1.2"),
            (1, 18, "0.000000000000000001"),
            (u128::MAX, 18, "340282366920938463463.374607431768211455"),
            (10, 255, &format!("0.{}1", "0".repeat(253))),
        ] {
            assert_eq!(whole_units(Amount(amount), decimals), text);
        }
    }
}
