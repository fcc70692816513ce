//! Search for money that a spender took, to check a payment that its canister reports as dead.

use super::{
    Ledger, Wanted,
    block::{debit, read_block, timestamp, to_amount},
};
use crate::{error::LedgerError, network::CallError};
use candid::{CandidType, Nat, Principal, decode_one, encode_args};
use icrc_ledger_types::{
    icrc::generic_value::ICRC3Value,
    icrc1::account::Account,
    icrc2::allowance::{Allowance, AllowanceArgs},
    icrc3::blocks::{GetBlocksRequest, GetBlocksResult},
};
use serde::Deserialize;
use std::collections::BTreeSet;
use x402_icp::{Amount, PaymentId};

pub(super) const GET_BLOCKS: &str = "icrc3_get_blocks";
/// The most blocks in one request: a reply has at most 2 MiB.
const PAGE: u64 = 500;
/// The most blocks that are read.
const MAX_BLOCKS: u64 = 10_000;

/// Blocks with their indices, in ascending order, and the length of the whole log.
type Blocks = (Vec<(u64, ICRC3Value)>, u64);

/// Money that a spender took without a known payment for it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Taken {
    pub block: u64,
    /// Whether its memo is the id of the payment that is checked.
    pub by_this_payment: bool,
}

/// The result according to the ledger.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Clean {
    /// The spender took nothing without a known payment.
    Yes,
    /// It did.
    No(Taken),
    /// The ledger does not prove either.
    Unknown(String),
}

/// The search criteria.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Search<'a> {
    pub payer: Account,
    pub spender: Principal,
    pub payment: PaymentId,
    /// The payer's other payments, unresolved or ended lately.
    pub known: &'a [PaymentId],
    /// The time from which the spender may have taken money, in nanoseconds since 1970-01-01.
    pub since: u64,
    /// The allowance before the payment was sent, and its end.
    pub allowance: Option<(Amount, Option<u64>)>,
}

/// The result of a search for a transfer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Found {
    /// It is in this block.
    Block(u64),
    /// It is in no block, at a time that the subnet signed (nanoseconds since 1970-01-01).
    Missing { as_of: u64 },
    /// The ledger does not prove either.
    Unknown(String),
}

/// The end of a walk through the log.
enum Walk<T> {
    Met(T),
    /// All blocks since then were visited.
    Over,
    Stopped(String),
}

#[derive(CandidType, Deserialize)]
struct Standard {
    name: String,
}

impl Ledger<'_> {
    /// Whether the spender took money since then without a known payment.
    pub(crate) async fn clean(&self, search: &Search<'_>) -> Clean {
        match self.has_log().await {
            Ok(true) => self.clean_log(search).await,
            Ok(false) => self.clean_allowance(search).await,
            Err(problem) => Clean::Unknown(problem.to_string()),
        }
    }

    async fn has_log(&self) -> Result<bool, LedgerError> {
        const METHOD: &str = "icrc1_supported_standards";
        let argument = self.encode(METHOD, ())?;
        let called: Result<(Vec<Standard>, u64), CallError> =
            self.network.update_one(self.id, METHOD, argument).await;
        match called {
            Ok((standards, _)) => Ok(standards.iter().any(|standard| standard.name == "ICRC-3")),
            Err(CallError::NoMethod) => Ok(false),
            Err(problem) => Err(self.failed(METHOD, problem)),
        }
    }

    async fn clean_log(&self, search: &Search<'_>) -> Clean {
        let mut seen = BTreeSet::new();
        let walked = match self.log_end().await {
            Ok((end, _)) => {
                let visit = |index, block: &ICRC3Value| taken(index, block, search, &mut seen);
                self.walk(end, search.since, visit).await
            }
            Err(problem) => return Clean::Unknown(problem.to_string()),
        };
        match walked {
            Walk::Met(taken) => Clean::No(taken),
            Walk::Over => Clean::Yes,
            Walk::Stopped(problem) => Clean::Unknown(problem),
        }
    }

    /// Looks for a transfer in the log, by its memo.
    pub(crate) async fn find(&self, wanted: &Wanted) -> Found {
        let (end, as_of) = match self.log_end().await {
            Ok(end) => end,
            Err(problem) => return Found::Unknown(problem.to_string()),
        };
        let visit = |index, block: &ICRC3Value| {
            let transfer = read_block(block).ok()?;
            wanted.is(&transfer).then_some(index)
        };
        match self.walk(end, wanted.since, visit).await {
            Walk::Met(block) => Found::Block(block),
            Walk::Over => Found::Missing { as_of },
            Walk::Stopped(problem) => Found::Unknown(problem),
        }
    }

    /// The length of the log, and the time at which the subnet signed it, in nanoseconds since 1970-01-01.
    async fn log_end(&self) -> Result<(u64, u64), LedgerError> {
        let none = vec![GetBlocksRequest {
            start: 0u8.into(),
            length: 0u8.into(),
        }];
        let argument = self.encode(GET_BLOCKS, (none,))?;
        let (found, time): (GetBlocksResult, u64) = self
            .network
            .update_one(self.id, GET_BLOCKS, argument)
            .await
            .map_err(|e| self.failed(GET_BLOCKS, e))?;
        match index(&found.log_length) {
            Some(length) => Ok((length, time)),
            None => Err(self.failed(GET_BLOCKS, "the log is too long")),
        }
    }

    /// Visits the blocks before `end`, from the newest to those before `since`, until `visit` returns something.
    async fn walk<T>(
        &self,
        mut end: u64,
        since: u64,
        mut visit: impl FnMut(u64, &ICRC3Value) -> Option<T>,
    ) -> Walk<T> {
        let last = end.saturating_sub(MAX_BLOCKS);
        while end > last {
            let start = end.saturating_sub(PAGE).max(last);
            let page = match self.all_blocks(start, end).await {
                Ok(page) => page,
                Err(problem) => return Walk::Stopped(problem.to_string()),
            };
            for (index, block) in page.iter().rev() {
                if timestamp(block).is_some_and(|at| at < since) {
                    return Walk::Over;
                }
                if let Some(met) = visit(*index, block) {
                    return Walk::Met(met);
                }
            }
            end = start;
        }
        match end {
            0 => Walk::Over,
            _ => Walk::Stopped(format!(
                "ledger {} has more than {MAX_BLOCKS} blocks since then",
                self.id
            )),
        }
    }

    /// Without a log: nothing was taken if the allowance is exactly as before. A larger one, or one with another end,
    /// was approved since, and hides what was taken before.
    async fn clean_allowance(&self, search: &Search<'_>) -> Clean {
        let Some(before) = search.allowance else {
            return Clean::Unknown(format!(
                "ledger {} has no block log, and the allowance before the payment is not known",
                self.id
            ));
        };
        match self.certified_allowance(search.payer, search.spender).await {
            Ok(now) if now == before => Clean::Yes,
            Ok((now, _)) if now != before.0 => Clean::Unknown(format!(
                "ledger {} has no block log, and {} may take {now} units instead of {}",
                self.id, search.spender, before.0
            )),
            Ok(_) => Clean::Unknown(format!(
                "ledger {} has no block log, and the allowance of {} was approved again",
                self.id, search.spender
            )),
            Err(problem) => Clean::Unknown(problem.to_string()),
        }
    }

    async fn certified_allowance(
        &self,
        account: Account,
        spender: Principal,
    ) -> Result<(Amount, Option<u64>), LedgerError> {
        const METHOD: &str = "icrc2_allowance";
        let spender = spender.into();
        let argument = self.encode(METHOD, (AllowanceArgs { account, spender },))?;
        let (found, _): (Allowance, u64) = self
            .network
            .update_one(self.id, METHOD, argument)
            .await
            .map_err(|e| self.failed(METHOD, e))?;
        Ok((self.amount(METHOD, found.allowance)?, found.expires_at))
    }

    /// All blocks from `start` to before `end`.
    async fn all_blocks(
        &self,
        start: u64,
        end: u64,
    ) -> Result<Vec<(u64, ICRC3Value)>, LedgerError> {
        let mut all = Vec::new();
        let mut next = start;
        while next < end {
            // A ledger may return fewer than requested.
            let (page, _) = self.blocks(next, end - next).await?;
            let before = next;
            for (index, block) in page {
                if index == next && next < end {
                    all.push((index, block));
                    next += 1;
                }
            }
            if next == before {
                return Err(self.no_block(&next.into()));
            }
        }
        Ok(all)
    }

    /// Some of the blocks from `start` on, by an update call; from the archives if they are there.
    pub(super) async fn blocks(&self, start: u64, length: u64) -> Result<Blocks, LedgerError> {
        let request = vec![GetBlocksRequest {
            start: start.into(),
            length: length.into(),
        }];
        let argument = self.encode(GET_BLOCKS, (request,))?;
        let (found, _): (GetBlocksResult, u64) = self
            .network
            .update_one(self.id, GET_BLOCKS, argument)
            .await
            .map_err(|e| self.failed(GET_BLOCKS, e))?;
        let length = index(&found.log_length)
            .ok_or_else(|| self.failed(GET_BLOCKS, "the log is too long"))?;
        let mut all = found.blocks;
        for archive in found.archived_blocks {
            let (canister, method) = (archive.callback.canister_id, archive.callback.method);
            all.extend(self.archived(canister, &method, archive.args).await?);
        }
        let mut numbered: Vec<_> = all
            .into_iter()
            .filter_map(|found| Some((index(&found.id)?, found.block)))
            .collect();
        numbered.sort_by_key(|(index, _)| *index);
        Ok((numbered, length))
    }

    async fn archived(
        &self,
        archive: Principal,
        method: &str,
        requests: Vec<GetBlocksRequest>,
    ) -> Result<Vec<icrc_ledger_types::icrc3::blocks::BlockWithId>, LedgerError> {
        let failed = |problem: &dyn std::fmt::Display| self.failed(GET_BLOCKS, problem);
        let argument = encode_args((requests,)).map_err(|e| failed(&e))?;
        // The ledger names canister and method, and may be a stranger's: it must not get a call that the payer signed.
        let nobody = self.network.anonymous();
        let reply = match nobody.update(archive, method, argument.clone()).await {
            Ok((reply, _)) => reply,
            // An archive may answer queries only.
            Err(CallError::Silent(after)) => return Err(failed(&CallError::Silent(after))),
            Err(_) => nobody
                .query(archive, method, argument)
                .await
                .map_err(|e| failed(&e))?,
        };
        let found: GetBlocksResult = decode_one(&reply).map_err(|e| failed(&e))?;
        Ok(found.blocks)
    }
}

/// Whether a block took money without a known payment. Each payment explains one block: `seen` are those that have
/// explained one.
fn taken(
    index: u64,
    block: &ICRC3Value,
    search: &Search<'_>,
    seen: &mut BTreeSet<PaymentId>,
) -> Option<Taken> {
    let debit = debit(block)?;
    if debit.from != search.payer || debit.spender?.owner != search.spender {
        return None;
    }
    let memo = debit.memo.unwrap_or_default();
    let by_this_payment = memo == search.payment.0;
    let other = search
        .known
        .iter()
        .find(|id| **id != search.payment && memo == id.0);
    let explained = other.is_some_and(|id| seen.insert(*id));
    (!explained).then_some(Taken {
        block: index,
        by_this_payment,
    })
}

fn index(nat: &Nat) -> Option<u64> {
    to_amount(nat).and_then(|index| u64::try_from(index.0).ok())
}
