//! Pages of a ledger's block log, of ICRC-3 or of the ICP ledger.

use super::{
    Ledger,
    block::{Block, Debit, debit, holds, moves_nothing, read_block, timestamp, to_amount},
    icp::{self, IcpBlock, QUERY_BLOCKS},
};
use crate::{error::LedgerError, network::CallError};
use candid::{CandidType, Nat, Principal, decode_one, encode_args};
use icrc_ledger_types::{
    icrc::generic_value::ICRC3Value,
    icrc3::blocks::{BlockWithId, GetBlocksRequest, GetBlocksResult},
};
use serde::Deserialize;

pub(super) const GET_BLOCKS: &str = "icrc3_get_blocks";

/// The interface of a log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Icrc3,
    /// That of the ICP ledger.
    Icp,
}

impl Kind {
    fn method(self) -> &'static str {
        match self {
            Kind::Icrc3 => GET_BLOCKS,
            Kind::Icp => QUERY_BLOCKS,
        }
    }
}

/// A block as its log shows it.
#[derive(Clone, Debug)]
pub(super) enum Entry {
    Icrc3(ICRC3Value),
    Icp(Box<IcpBlock>),
}

impl Entry {
    pub fn timestamp(&self) -> Option<u64> {
        match self {
            Entry::Icrc3(block) => timestamp(block),
            Entry::Icp(block) => Some(block.timestamp()),
        }
    }

    pub fn debit(&self) -> Option<Debit> {
        match self {
            Entry::Icrc3(block) => debit(block),
            Entry::Icp(block) => block.debit(),
        }
    }

    pub fn read(&self) -> Result<Block, String> {
        match self {
            Entry::Icrc3(block) => read_block(block),
            Entry::Icp(block) => block.read(),
        }
    }

    /// Whether the block may have moved money and has these bytes somewhere: in the ICP ledger's log as its memo.
    pub fn may_hold(&self, bytes: &[u8]) -> bool {
        match self {
            Entry::Icrc3(block) => !moves_nothing(block) && holds(block, bytes),
            Entry::Icp(block) => !block.moves_nothing() && block.memo().as_deref() == Some(bytes),
        }
    }
}

/// Blocks with their indices, in ascending order, and the length of the whole log.
type Blocks = (Vec<(u64, Entry)>, u64);

#[derive(CandidType, Deserialize)]
struct Standard {
    name: String,
}

impl Ledger<'_> {
    /// The interface of the ledger's log, if it has one: ICRC-3 if it lists it, or that of the ICP ledger.
    pub(super) async fn log(&self) -> Result<Option<Kind>, LedgerError> {
        const METHOD: &str = "icrc1_supported_standards";
        let argument = self.encode(METHOD, ())?;
        let called: Result<(Vec<Standard>, u64), CallError> =
            self.network.update_one(self.id, METHOD, argument).await;
        match called {
            Ok((standards, _)) if standards.iter().any(|standard| standard.name == "ICRC-3") => {
                return Ok(Some(Kind::Icrc3));
            }
            Ok(_) | Err(CallError::NoMethod) => {}
            Err(problem) => return Err(self.failed(METHOD, problem)),
        }
        match self.query_blocks(0, 0).await {
            Ok(_) => Ok(Some(Kind::Icp)),
            Err(CallError::NoMethod) => Ok(None),
            Err(problem) => Err(self.failed(QUERY_BLOCKS, problem)),
        }
    }

    /// The length of the log, and the time at which the subnet signed it, in nanoseconds since 1970-01-01.
    pub(super) async fn log_end(&self, kind: Kind) -> Result<(u64, u64), LedgerError> {
        if kind == Kind::Icp {
            let called = self.query_blocks(0, 0).await;
            let (found, time) = called.map_err(|e| self.failed(QUERY_BLOCKS, e))?;
            return Ok((found.chain_length, time));
        }
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

    /// The end of the log, whichever the ledger has. ICRC-3 is tried first.
    pub(super) async fn any_log_end(&self) -> Result<(Kind, (u64, u64)), LedgerError> {
        match self.log_end(Kind::Icrc3).await {
            Ok(end) => Ok((Kind::Icrc3, end)),
            Err(problem) => match self.log().await {
                Ok(Some(Kind::Icp)) => Ok((Kind::Icp, self.log_end(Kind::Icp).await?)),
                _ => Err(problem),
            },
        }
    }

    /// All blocks from `start` to before `end`.
    pub(super) async fn all_blocks(
        &self,
        kind: Kind,
        start: u64,
        end: u64,
    ) -> Result<Vec<(u64, Entry)>, LedgerError> {
        let mut all = Vec::new();
        let mut next = start;
        while next < end {
            // A ledger may return fewer than requested.
            let (page, _) = self.blocks(kind, next, end - next).await?;
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

    /// As [`Self::blocks`], of whichever log the ledger has. ICRC-3 is tried first.
    pub(super) async fn any_blocks(&self, start: u64, length: u64) -> Result<Blocks, LedgerError> {
        match self.blocks(Kind::Icrc3, start, length).await {
            Ok(blocks) => Ok(blocks),
            Err(problem) => match self.log().await {
                Ok(Some(Kind::Icp)) => self.blocks(Kind::Icp, start, length).await,
                _ => Err(problem),
            },
        }
    }

    /// Some of the blocks from `start` on, by an update call; from the archives if they are there.
    async fn blocks(&self, kind: Kind, start: u64, length: u64) -> Result<Blocks, LedgerError> {
        if kind == Kind::Icp {
            return self.icp_blocks(start, length).await;
        }
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
            .filter_map(|found| Some((index(&found.id)?, Entry::Icrc3(found.block))))
            .collect();
        numbered.sort_by_key(|(index, _)| *index);
        Ok((numbered, length))
    }

    async fn archived(
        &self,
        archive: Principal,
        method: &str,
        requests: Vec<GetBlocksRequest>,
    ) -> Result<Vec<BlockWithId>, LedgerError> {
        let kind = Kind::Icrc3;
        let argument = encode_args((requests,)).map_err(|e| self.failed(GET_BLOCKS, e))?;
        let reply = self.of_archive(kind, archive, method, argument).await?;
        let found: GetBlocksResult = decode_one(&reply).map_err(|e| self.failed(GET_BLOCKS, e))?;
        Ok(found.blocks)
    }

    async fn query_blocks(&self, start: u64, length: u64) -> Result<(icp::Found, u64), CallError> {
        let argument = encode_args((icp::Range { start, length },));
        let argument = argument.map_err(|e| CallError::Failed(e.to_string()))?;
        let network = self.network;
        network.update_one(self.id, QUERY_BLOCKS, argument).await
    }

    async fn icp_blocks(&self, start: u64, length: u64) -> Result<Blocks, LedgerError> {
        let failed = |problem: &dyn std::fmt::Display| self.failed(QUERY_BLOCKS, problem);
        let called = self.query_blocks(start, length).await;
        let (found, _) = called.map_err(|e| failed(&e))?;
        let mut numbered: Vec<_> = (found.first_block_index..).zip(found.blocks).collect();
        for archive in found.archived_blocks {
            let (start, length) = (archive.start, archive.length);
            let argument = encode_args((icp::Range { start, length },)).map_err(|e| failed(&e))?;
            let (canister, method) = (archive.callback.canister_id, archive.callback.method);
            let reply = self
                .of_archive(Kind::Icp, canister, &method, argument)
                .await?;
            match decode_one(&reply).map_err(|e| failed(&e))? {
                icp::ArchivedBlocks::Ok(range) if range.blocks.len() as u64 <= length => {
                    numbered.extend((start..).zip(range.blocks));
                }
                icp::ArchivedBlocks::Ok(_) => {
                    return Err(failed(&"an archive returned more blocks than requested"));
                }
                icp::ArchivedBlocks::Err(_) => return Err(failed(&"an archive has no such block")),
            }
        }
        numbered.sort_by_key(|(index, _)| *index);
        let entry = |(index, block)| (index, Entry::Icp(Box::new(block)));
        Ok((
            numbered.into_iter().map(entry).collect(),
            found.chain_length,
        ))
    }

    async fn of_archive(
        &self,
        kind: Kind,
        archive: Principal,
        method: &str,
        argument: Vec<u8>,
    ) -> Result<Vec<u8>, LedgerError> {
        let failed = |problem: &dyn std::fmt::Display| self.failed(kind.method(), problem);
        // The ledger names canister and method, and may be a stranger's: it must not get a call that the payer signed.
        let nobody = self.network.anonymous();
        match nobody.update(archive, method, argument.clone()).await {
            Ok((reply, _)) => Ok(reply),
            // An archive may answer queries only.
            Err(CallError::Silent(after)) => Err(failed(&CallError::Silent(after))),
            Err(_) => nobody
                .query(archive, method, argument)
                .await
                .map_err(|e| failed(&e)),
        }
    }
}

fn index(nat: &Nat) -> Option<u64> {
    to_amount(nat).and_then(|index| u64::try_from(index.0).ok())
}
