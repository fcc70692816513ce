//! The few things a payer asks of an ICRC-1, ICRC-2 and ICRC-3 ledger.

use crate::error::LedgerError;
use candid::{CandidType, Nat, Principal, decode_one, encode_args, utils::ArgumentEncoder};
use ic_agent::Agent;
use icrc_ledger_types::{
    icrc::generic_value::{ICRC3Map, ICRC3Value},
    icrc1::account::{Account, Subaccount},
    icrc2::{
        allowance::{Allowance, AllowanceArgs},
        approve::{ApproveArgs, ApproveError},
    },
    icrc3::blocks::{BlockWithId, GetBlocksRequest, GetBlocksResult},
};
use serde::Deserialize;
use std::time::{SystemTime, UNIX_EPOCH};
use x402_icp::Amount;

/// A ledger canister, seen by a payer.
#[derive(Clone, Copy)]
pub struct Ledger<'a> {
    agent: &'a Agent,
    id: Principal,
}

impl std::fmt::Debug for Ledger<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Ledger({})", self.id)
    }
}

/// What to let a spender take.
#[derive(Clone, Debug)]
pub struct Approval {
    /// The payer's subaccount.
    pub from_subaccount: Option<Subaccount>,
    /// Who may take it.
    pub spender: Account,
    /// How much in all, the ledger's fee of each payment included. Replaces what was allowed before.
    pub amount: Amount,
    /// What is allowed now, if the approval must fail when that has changed meanwhile.
    pub expected_allowance: Option<Amount>,
    /// Nanoseconds since 1970-01-01; `None` for ever.
    pub expires_at: Option<u64>,
}

/// A transfer found in a ledger's blocks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Block {
    /// Who paid.
    pub from: Account,
    /// Who was paid.
    pub to: Account,
    /// Who made the transfer, if not the payer.
    pub spender: Option<Account>,
    /// Atomic units.
    pub amount: Amount,
    /// Free bytes of the transfer; the payment id where this project made it.
    pub memo: Option<Vec<u8>>,
}

impl<'a> Ledger<'a> {
    pub(crate) fn new(agent: &'a Agent, id: Principal) -> Self {
        Ledger { agent, id }
    }

    /// The ledger's canister id.
    pub fn id(&self) -> Principal {
        self.id
    }

    /// What an account holds.
    pub async fn balance(&self, account: Account) -> Result<Amount, LedgerError> {
        self.query_amount("icrc1_balance_of", (account,)).await
    }

    /// What a transfer or an approval costs.
    pub async fn fee(&self) -> Result<Amount, LedgerError> {
        self.query_amount("icrc1_fee", ()).await
    }

    /// How many decimals the token has.
    pub async fn decimals(&self) -> Result<u8, LedgerError> {
        self.query("icrc1_decimals", ()).await
    }

    /// What the ledger calls its token. Any ledger may use any symbol.
    pub async fn symbol(&self) -> Result<String, LedgerError> {
        self.query("icrc1_symbol", ()).await
    }

    /// What `spender` may still take from `account` at this moment, and until when (nanoseconds).
    pub async fn allowance(
        &self,
        account: Account,
        spender: Account,
    ) -> Result<(Amount, Option<u64>), LedgerError> {
        const METHOD: &str = "icrc2_allowance";
        let allowance: Allowance = self
            .query(METHOD, (AllowanceArgs { account, spender },))
            .await?;
        Ok((
            self.amount(METHOD, allowance.allowance)?,
            allowance.expires_at,
        ))
    }

    /// Lets a spender take up to an amount; returns the block index. Costs the ledger's fee.
    pub async fn approve(&self, approval: &Approval) -> Result<Nat, LedgerError> {
        const METHOD: &str = "icrc2_approve";
        let now = SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .unwrap_or_default();
        let args = ApproveArgs {
            from_subaccount: approval.from_subaccount,
            spender: approval.spender,
            amount: approval.amount.0.into(),
            expected_allowance: approval.expected_allowance.map(|amount| amount.0.into()),
            expires_at: approval.expires_at,
            fee: None,
            memo: None,
            created_at_time: u64::try_from(now.as_nanos()).ok(),
        };
        let reply = self
            .agent
            .update(&self.id, METHOD)
            .with_arg(self.encode(METHOD, (args,))?)
            .call_and_wait()
            .await
            .map_err(|e| self.failed(METHOD, e))?;
        let result: Result<Nat, ApproveError> =
            decode_one(&reply).map_err(|e| self.failed(METHOD, e))?;
        match result {
            Ok(block)
            | Err(ApproveError::Duplicate {
                duplicate_of: block,
            }) => Ok(block),
            Err(problem) => Err(LedgerError::Approve {
                ledger: self.id,
                problem,
            }),
        }
    }

    /// The transfer in a block, looked up in the archives where the ledger has moved it there.
    pub async fn block(&self, index: &Nat) -> Result<Block, LedgerError> {
        const METHOD: &str = "icrc3_get_blocks";
        let request = || GetBlocksRequest {
            start: index.clone(),
            length: Nat::from(1u8),
        };
        let found: GetBlocksResult = self.query(METHOD, (vec![request()],)).await?;
        let mut blocks = found.blocks;
        if let (true, Some(archive)) = (blocks.is_empty(), found.archived_blocks.first()) {
            let reply = self
                .agent
                .query(&archive.callback.canister_id, &archive.callback.method)
                .with_arg(self.encode(METHOD, (vec![request()],))?)
                .call()
                .await
                .map_err(|e| self.failed(METHOD, e))?;
            let archived: GetBlocksResult =
                decode_one(&reply).map_err(|e| self.failed(METHOD, e))?;
            blocks = archived.blocks;
        }
        let BlockWithId { block, .. } = blocks
            .into_iter()
            .find(|block| block.id == *index)
            .ok_or_else(|| LedgerError::NoBlock {
                ledger: self.id,
                index: index.0.to_string(),
            })?;
        read_block(&block).map_err(|problem| self.failed(METHOD, problem))
    }

    async fn query_amount(
        &self,
        method: &'static str,
        args: impl ArgumentEncoder,
    ) -> Result<Amount, LedgerError> {
        let nat: Nat = self.query(method, args).await?;
        self.amount(method, nat)
    }

    async fn query<T: CandidType + for<'de> Deserialize<'de>>(
        &self,
        method: &'static str,
        args: impl ArgumentEncoder,
    ) -> Result<T, LedgerError> {
        let reply = self
            .agent
            .query(&self.id, method)
            .with_arg(self.encode(method, args)?)
            .call()
            .await
            .map_err(|e| self.failed(method, e))?;
        decode_one(&reply).map_err(|e| self.failed(method, e))
    }

    fn encode(
        &self,
        method: &'static str,
        args: impl ArgumentEncoder,
    ) -> Result<Vec<u8>, LedgerError> {
        encode_args(args).map_err(|e| self.failed(method, e))
    }

    fn amount(&self, method: &'static str, nat: Nat) -> Result<Amount, LedgerError> {
        to_amount(&nat).ok_or(LedgerError::TooLarge {
            ledger: self.id,
            method,
        })
    }

    fn failed(&self, method: &'static str, problem: impl std::fmt::Display) -> LedgerError {
        LedgerError::Call {
            ledger: self.id,
            method,
            problem: problem.to_string(),
        }
    }
}

fn to_amount(nat: &Nat) -> Option<Amount> {
    u128::try_from(&nat.0).ok().map(Amount)
}

/// Reads an ICRC-1 or ICRC-2 transfer block by the schemas of ICRC-3.
fn read_block(block: &ICRC3Value) -> Result<Block, String> {
    let map = |value: &'_ ICRC3Value| match value {
        ICRC3Value::Map(map) => Some(map.clone()),
        _ => None,
    };
    let block = map(block).ok_or("the block is no map")?;
    let tx = block
        .get("tx")
        .and_then(map)
        .ok_or("the block has no transaction")?;
    // Newer ledgers name the kind in `btype`, older ones only in `tx.op`.
    let kind = text(&block, "btype")
        .or(text(&tx, "op"))
        .ok_or("the block has no kind")?;
    if !matches!(kind.as_str(), "1xfer" | "2xfer" | "xfer") {
        return Err(format!("the block is no transfer but {kind:?}"));
    }
    let account_of = |key: &str| match tx.get(key) {
        None => Ok(None),
        Some(value) => account(value)
            .map(Some)
            .ok_or_else(|| format!("{key} is no account")),
    };
    let amount = match tx.get("amt") {
        Some(ICRC3Value::Nat(nat)) => to_amount(nat),
        _ => None,
    };
    Ok(Block {
        from: account_of("from")?.ok_or("the block has no payer")?,
        to: account_of("to")?.ok_or("the block has no recipient")?,
        spender: account_of("spender")?,
        amount: amount.ok_or("the block has no amount")?,
        memo: match tx.get("memo") {
            Some(ICRC3Value::Blob(memo)) => Some(memo.to_vec()),
            _ => None,
        },
    })
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
            from: Principal::from_slice(&[1]).into(),
            to: Account {
                owner: Principal::from_slice(&[2]),
                subaccount: Some([7; 32]),
            },
            spender: Some(Principal::from_slice(&[3]).into()),
            amount: Amount(5),
            memo: Some(vec![9; 32]),
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

    #[test]
    fn huge_numbers_are_no_amounts() {
        let huge: Nat = "9".repeat(10_000).parse().unwrap();
        assert_eq!(to_amount(&huge), None);
        assert_eq!(to_amount(&Nat::from(u128::MAX)), Some(Amount(u128::MAX)));
    }
}
