//! Decoding of a ledger's blocks.

use candid::{Nat, Principal};
use icrc_ledger_types::{
    icrc::generic_value::{ICRC3Map, ICRC3Value},
    icrc1::account::Account,
};
use x402_icp::{Amount, PaymentId, account::Party, transfer::transfer_id};

/// A transfer found in a ledger's blocks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Block {
    /// The payer.
    pub from: Party,
    /// The recipient.
    pub to: Party,
    /// The spender, if it is not the payer.
    pub spender: Option<Party>,
    /// Atomic units.
    pub amount: Amount,
    /// The memo of the transfer; the payment id if this project made it.
    pub memo: Option<Vec<u8>>,
    /// The ledger's fee in atomic units, if the block contains it.
    pub fee: Option<Amount>,
    /// The ledger's time, in nanoseconds since 1970-01-01, if the block contains it.
    pub timestamp: Option<u64>,
}

impl Block {
    /// The id of the payment that this block makes if it is a payer's own transfer (`docs/scheme_exact_icp_transfer.md`,
    /// section 3); `None` if a spender made it, or it has another memo.
    pub fn payment_by_transfer(
        &self,
        network: &str,
        ledger: Principal,
        index: &Nat,
    ) -> Option<PaymentId> {
        let memo: &[u8; 32] = self.memo.as_deref()?.try_into().ok()?;
        let index = u64::try_from(&index.0).ok()?;
        let id = transfer_id(network, &ledger.to_text(), index, memo);
        self.spender.is_none().then_some(id)
    }
}

pub(super) fn to_amount(nat: &Nat) -> Option<Amount> {
    u128::try_from(&nat.0).ok().map(Amount)
}

/// The amount that a block took from an account, as far as its accounts and its memo show.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Debit {
    pub from: Party,
    pub spender: Option<Party>,
    pub memo: Option<Vec<u8>>,
}

/// Reads a transfer or a burn: a spender can also take money by sending it to the minter. A block of another kind that
/// names a payer may have taken money, too, unless it moves nothing. `None` for every other block.
pub(super) fn debit(block: &ICRC3Value) -> Option<Debit> {
    if moves_nothing(block) {
        return None;
    }
    let ICRC3Value::Map(block) = block else {
        return None;
    };
    let ICRC3Value::Map(tx) = block.get("tx")? else {
        return None;
    };
    Some(Debit {
        from: account(tx.get("from")?)?.into(),
        spender: tx.get("spender").and_then(account).map(Party::from),
        memo: memo(tx),
    })
}

/// Whether a block is an approval or a mint.
pub(super) fn moves_nothing(block: &ICRC3Value) -> bool {
    let ICRC3Value::Map(block) = block else {
        return false;
    };
    let op = match block.get("tx") {
        Some(ICRC3Value::Map(tx)) => text(tx, "op"),
        _ => None,
    };
    matches!(
        text(block, "btype").or(op).as_deref(),
        Some("1mint" | "mint" | "2approve" | "approve")
    )
}

/// Whether these bytes are a value anywhere in a block.
pub(super) fn holds(block: &ICRC3Value, bytes: &[u8]) -> bool {
    match block {
        ICRC3Value::Blob(blob) => blob.as_slice() == bytes,
        ICRC3Value::Array(values) => values.iter().any(|value| holds(value, bytes)),
        ICRC3Value::Map(map) => map.values().any(|value| holds(value, bytes)),
        _ => false,
    }
}

fn memo(tx: &ICRC3Map) -> Option<Vec<u8>> {
    match tx.get("memo") {
        Some(ICRC3Value::Blob(memo)) => Some(memo.to_vec()),
        _ => None,
    }
}

/// Reads an ICRC-1 or ICRC-2 transfer block by the schemas of ICRC-3.
pub(super) fn read_block(block: &ICRC3Value) -> Result<Block, String> {
    let map = |value: &'_ ICRC3Value| match value {
        ICRC3Value::Map(map) => Some(map.clone()),
        _ => None,
    };
    let block = map(block).ok_or("the block is not a map")?;
    let tx = block
        .get("tx")
        .and_then(map)
        .ok_or("the block has no transaction")?;
    // Newer ledgers name the kind in `btype`, older ones only in `tx.op`.
    let kind = text(&block, "btype")
        .or(text(&tx, "op"))
        .ok_or("the block has no kind")?;
    if !matches!(kind.as_str(), "1xfer" | "2xfer" | "xfer") {
        return Err(format!("the block is not a transfer but {kind:?}"));
    }
    let account_of = |key: &str| match tx.get(key) {
        None => Ok(None),
        Some(value) => account(value)
            .map(Some)
            .ok_or_else(|| format!("{key} is not an account")),
    };
    let amount = match tx.get("amt") {
        Some(ICRC3Value::Nat(nat)) => to_amount(nat),
        _ => None,
    };
    Ok(Block {
        from: account_of("from")?.ok_or("the block has no payer")?.into(),
        to: account_of("to")?
            .ok_or("the block has no recipient")?
            .into(),
        spender: account_of("spender")?.map(Party::from),
        amount: amount.ok_or("the block has no amount")?,
        memo: memo(&tx),
        // If the payer did not name the fee, the block contains what the ledger took.
        fee: nat(&tx, "fee").or(nat(&block, "fee")),
        timestamp: time_of(&block),
    })
}

/// A block's time, in nanoseconds since 1970-01-01.
pub(super) fn timestamp(block: &ICRC3Value) -> Option<u64> {
    match block {
        ICRC3Value::Map(block) => time_of(block),
        _ => None,
    }
}

fn time_of(block: &ICRC3Map) -> Option<u64> {
    match block.get("ts") {
        Some(ICRC3Value::Nat(nat)) => u64::try_from(&nat.0).ok(),
        _ => None,
    }
}

fn nat(map: &ICRC3Map, key: &str) -> Option<Amount> {
    match map.get(key) {
        Some(ICRC3Value::Nat(nat)) => to_amount(nat),
        _ => None,
    }
}

fn text(map: &ICRC3Map, key: &str) -> Option<String> {
    match map.get(key) {
        Some(ICRC3Value::Text(text)) => Some(text.clone()),
        _ => None,
    }
}

fn account(value: &ICRC3Value) -> Option<Account> {
    let ICRC3Value::Array(parts) = value else {
        return None;
    };
    let blob = |value: &ICRC3Value| match value {
        ICRC3Value::Blob(bytes) => Some(bytes.to_vec()),
        _ => None,
    };
    let owner = Principal::try_from_slice(&blob(parts.first()?)?).ok()?;
    let subaccount = match parts.get(1) {
        None => None,
        Some(value) => Some(blob(value)?.try_into().ok()?),
    };
    Some(Account { owner, subaccount })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn blob(bytes: &[u8]) -> ICRC3Value {
        ICRC3Value::Blob(bytes.to_vec().into())
    }

    fn map(entries: &[(&str, ICRC3Value)]) -> ICRC3Value {
        ICRC3Value::Map(
            entries
                .iter()
                .map(|(k, v)| (k.to_string(), v.clone()))
                .collect(),
        )
    }

    fn transfer(kind: &[(&str, ICRC3Value)], op: &str) -> ICRC3Value {
        let tx = map(&[
            ("op", ICRC3Value::Text(op.into())),
            ("amt", ICRC3Value::Nat(5u8.into())),
            ("from", ICRC3Value::Array(vec![blob(&[1])])),
            ("to", ICRC3Value::Array(vec![blob(&[2]), blob(&[7; 32])])),
            ("spender", ICRC3Value::Array(vec![blob(&[3])])),
            ("memo", blob(&[9; 32])),
        ]);
        let mut entries = kind.to_vec();
        entries.push(("tx", tx));
        map(&entries)
    }

    #[test]
    fn both_ways_of_naming_a_transfer_are_read() {
        let expected = Block {
            from: Account::from(Principal::from_slice(&[1])).into(),
            to: Account {
                owner: Principal::from_slice(&[2]),
                subaccount: Some([7; 32]),
            }
            .into(),
            spender: Some(Account::from(Principal::from_slice(&[3])).into()),
            amount: Amount(5),
            memo: Some(vec![9; 32]),
            fee: None,
            timestamp: None,
        };
        let named = [("btype", ICRC3Value::Text("2xfer".into()))];
        assert_eq!(read_block(&transfer(&named, "xfer")), Ok(expected.clone()));
        assert_eq!(read_block(&transfer(&[], "xfer")), Ok(expected));
    }

    #[test]
    fn mints_and_burns_are_no_payments() {
        for kind in ["1mint", "1burn", "2approve"] {
            let named = [("btype", ICRC3Value::Text(kind.into()))];
            assert!(
                read_block(&transfer(&named, "xfer"))
                    .unwrap_err()
                    .contains(kind)
            );
        }
        assert!(read_block(&transfer(&[], "mint")).is_err());
        assert!(read_block(&ICRC3Value::Nat(1u8.into())).is_err());
    }

    /// A ledger may name its kinds in other words.
    #[test]
    fn a_block_of_an_unknown_kind_may_have_taken_money() {
        let named = |kind: &str| [("btype", ICRC3Value::Text(kind.into()))];
        for kind in ["1xfer", "2xfer", "1burn", "transfer", "9new"] {
            let taken = debit(&transfer(&named(kind), "xfer")).unwrap();
            let (payer, spender) = (Principal::from_slice(&[1]), Principal::from_slice(&[3]));
            assert!(
                taken.from.is_of(&payer) && taken.spender.unwrap().is_of(&spender),
                "{kind}"
            );
        }
        for kind in ["1mint", "mint", "2approve", "approve"] {
            assert_eq!(debit(&transfer(&named(kind), "xfer")), None, "{kind}");
        }
        assert_eq!(debit(&transfer(&[], "approve")), None);
        let odd = transfer(&named("9new"), "xfer");
        assert!(holds(&odd, &[9; 32]) && holds(&odd, &[3]));
        assert!(!holds(&odd, &[8; 32]) && !holds(&odd, b"9new"));
    }

    #[test]
    fn huge_numbers_are_no_amounts() {
        let huge: Nat = "9".repeat(10_000).parse().unwrap();
        assert_eq!(to_amount(&huge), None);
        assert_eq!(to_amount(&Nat::from(u128::MAX)), Some(Amount(u128::MAX)));
    }
}
