//! The calls of a payer to an ICRC-1 and ICRC-2 ledger, with a block log of ICRC-3 or of the ICP ledger.

mod block;
mod icp;
mod log;
mod pages;
mod rail;

pub use block::Block;
pub(crate) use log::{Clean, Found, Search};
pub(crate) use rail::{Promised, Quoted, Rail, Status, Wanted};
#[cfg(test)]
pub(crate) use {
    log::Taken,
    rail::{Billed, Standing},
};

use block::to_amount;
use pages::GET_BLOCKS;

use crate::{error::LedgerError, network::Network};
use candid::{CandidType, Nat, Principal, decode_one, encode_args, utils::ArgumentEncoder};
use icrc_ledger_types::{
    icrc1::{
        account::{Account, Subaccount},
        transfer::{TransferArg, TransferError},
    },
    icrc2::{
        allowance::{Allowance, AllowanceArgs},
        approve::{ApproveArgs, ApproveError},
    },
};
use serde::Deserialize;
use std::time::{SystemTime, UNIX_EPOCH};
use x402_icp::Amount;

/// A ledger canister.
#[derive(Clone, Copy)]
pub struct Ledger<'a> {
    network: &'a Network,
    id: Principal,
}

impl std::fmt::Debug for Ledger<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Ledger({})", self.id)
    }
}

/// An approval to make.
#[derive(Clone, Debug)]
pub struct Approval {
    /// The payer's subaccount.
    pub from_subaccount: Option<Subaccount>,
    /// The account that may collect.
    pub spender: Account,
    /// The total amount, the ledger's fee of each payment included. Replaces the present allowance.
    pub amount: Amount,
    /// The present allowance, if the approval must fail when it has changed meanwhile.
    pub expected_allowance: Option<Amount>,
    /// Nanoseconds since 1970-01-01; `None` without an end.
    pub expires_at: Option<u64>,
}

impl<'a> Ledger<'a> {
    pub(crate) fn new(network: &'a Network, id: Principal) -> Self {
        Ledger { network, id }
    }

    /// The ledger's canister id.
    pub fn id(&self) -> Principal {
        self.id
    }

    /// The balance of an account.
    pub async fn balance(&self, account: Account) -> Result<Amount, LedgerError> {
        self.query_amount("icrc1_balance_of", (account,)).await
    }

    /// The fee of a transfer or an approval.
    pub async fn fee(&self) -> Result<Amount, LedgerError> {
        self.query_amount("icrc1_fee", ()).await
    }

    /// The decimals of the token.
    pub async fn decimals(&self) -> Result<u8, LedgerError> {
        self.query("icrc1_decimals", ()).await
    }

    /// The symbol that the ledger claims. Any ledger may claim any symbol.
    pub async fn symbol(&self) -> Result<String, LedgerError> {
        self.query("icrc1_symbol", ()).await
    }

    /// The present allowance of `spender` from `account`, and its end (nanoseconds).
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

    /// Approves a spender up to an amount; returns the block index. Costs the ledger's fee.
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
        let argument = self.encode(METHOD, (args,))?;
        let (reply, _) = self
            .network
            .update(self.id, METHOD, argument)
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

    /// Makes a transfer; returns the block, or why the ledger made none. A repetition of a transfer with its
    /// `created_at_time` gets the block of the first one. An error of the call itself says nothing about the transfer.
    pub async fn transfer(
        &self,
        transfer: &TransferArg,
    ) -> Result<Result<u64, TransferError>, LedgerError> {
        const METHOD: &str = "icrc1_transfer";
        let argument = self.encode(METHOD, (transfer,))?;
        let (result, _): (Result<Nat, TransferError>, u64) = self
            .network
            .update_one(self.id, METHOD, argument)
            .await
            .map_err(|e| self.failed(METHOD, e))?;
        let index = |block: &Nat| {
            u64::try_from(&block.0).map_err(|_| LedgerError::TooLarge {
                ledger: self.id,
                method: METHOD,
            })
        };
        match result {
            Ok(block)
            | Err(TransferError::Duplicate {
                duplicate_of: block,
            }) => index(&block).map(Ok),
            Err(problem) => Ok(Err(problem)),
        }
    }

    /// The transfer in a block, fetched from an archive if the ledger has moved it there. It is an update call, so that
    /// the whole subnet certifies the block, not one node.
    pub async fn block(&self, index: &Nat) -> Result<Block, LedgerError> {
        let start = u64::try_from(&index.0).map_err(|_| self.no_block(index))?;
        let (blocks, _) = self.any_blocks(start, 1).await?;
        let found = blocks.into_iter().find(|(id, _)| *id == start);
        let (_, block) = found.ok_or_else(|| self.no_block(index))?;
        block
            .read()
            .map_err(|problem| self.failed(GET_BLOCKS, problem))
    }

    fn no_block(&self, index: &Nat) -> LedgerError {
        LedgerError::NoBlock {
            ledger: self.id,
            index: index.0.to_string(),
        }
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
            .network
            .query(self.id, method, self.encode(method, args)?)
            .await
            .map_err(|e| self.failed(method, e))?;
        decode_one(&reply).map_err(|e| self.failed(method, e))
    }

    pub(super) fn encode(
        &self,
        method: &'static str,
        args: impl ArgumentEncoder,
    ) -> Result<Vec<u8>, LedgerError> {
        encode_args(args).map_err(|e| self.failed(method, e))
    }

    pub(super) fn amount(&self, method: &'static str, nat: Nat) -> Result<Amount, LedgerError> {
        to_amount(&nat).ok_or(LedgerError::TooLarge {
            ledger: self.id,
            method,
        })
    }

    pub(super) fn failed(
        &self,
        method: &'static str,
        problem: impl std::fmt::Display,
    ) -> LedgerError {
        LedgerError::Call {
            ledger: self.id,
            method,
            problem: problem.to_string(),
        }
    }
}
