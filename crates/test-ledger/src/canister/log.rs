//! The block log (ICRC-3): blocks that are here, and where the others are.

use std::collections::BTreeMap;

use candid::Principal;
use ic_cdk::call::Call;
use icrc_ledger_types::icrc3::archive::{
    GetArchivesArgs, GetArchivesResult, ICRC3ArchiveInfo, QueryArchiveFn,
};
use icrc_ledger_types::icrc3::blocks::{
    ArchivedBlocks, BlockWithId, GetBlocksRequest, GetBlocksResult, ICRC3DataCertificate,
    SupportedBlockType,
};
use serde_bytes::ByteBuf;

use super::{STANDARDS, state};
use crate::domain::Books;
use crate::storage::{ArchivedRange, Ledger};
use crate::tip;

/// Most blocks in one reply of `icrc3_get_blocks`; the ICRC ledger suite has the same.
const MAX_BLOCKS_PER_RESPONSE: u64 = 100;
/// Most blocks that one `test_archive` moves: what fits a message.
const MAX_BLOCKS_MOVED: u64 = 5_000;

const BLOCK_TYPES: [(&str, usize); 5] = [
    ("1mint", 0),
    ("1burn", 0),
    ("1xfer", 0),
    ("2xfer", 1),
    ("2approve", 1),
];

/// The blocks asked for that are here, and who has the others. As in the ICRC ledger suite, archived
/// blocks do not count towards the most blocks of a reply.
pub fn blocks(args: Vec<GetBlocksRequest>) -> GetBlocksResult {
    let ranges = args.iter().map(|range| {
        let range = range.as_start_and_length();
        range.unwrap_or_else(|error| ic_cdk::api::trap(error))
    });
    state::read(|ledger| {
        let archives = ledger.archived();
        let mut blocks = Vec::new();
        let mut archived = BTreeMap::<Principal, Vec<GetBlocksRequest>>::new();
        for (start, length) in ranges {
            let room = MAX_BLOCKS_PER_RESPONSE - blocks.len() as u64;
            if room == 0 {
                break;
            }
            let end = start
                .saturating_add(length.min(room))
                .min(ledger.log_length());
            blocks.extend((start..end).filter_map(|index| with_id(ledger, index)));
            for range in &archives {
                let (start, end) = (start.max(range.start), end.min(range.end));
                if start < end {
                    let length = (end - start).into();
                    let start = start.into();
                    let requests = archived.entry(principal(range)).or_default();
                    requests.push(GetBlocksRequest { start, length });
                }
            }
        }
        GetBlocksResult {
            log_length: ledger.log_length().into(),
            blocks,
            archived_blocks: archived
                .into_iter()
                .map(|(archive, args)| ArchivedBlocks {
                    args,
                    callback: QueryArchiveFn::new(archive, "icrc3_get_blocks"),
                })
                .collect(),
        }
    })
}

fn with_id(ledger: &Ledger, index: u64) -> Option<BlockWithId> {
    let block = ledger.block(index)?.to_value();
    let id = index.into();
    Some(BlockWithId { id, block })
}

pub(super) fn principal(range: &ArchivedRange) -> Principal {
    Principal::from_slice(&range.archive)
}

/// The archives after the one named, with the first and the last block of each.
pub fn archives(args: GetArchivesArgs) -> GetArchivesResult {
    let archives = state::read(Ledger::archived);
    let seen = archives
        .iter()
        .position(|range| Some(principal(range)) == args.from);
    archives
        .iter()
        .skip(seen.map_or(0, |seen| seen + 1))
        .map(|range| ICRC3ArchiveInfo {
            canister_id: principal(range),
            start: range.start.into(),
            end: (range.end - 1).into(),
        })
        .collect()
}

pub fn tip_certificate() -> Option<ICRC3DataCertificate> {
    let certificate = ic_cdk::api::data_certificate()?;
    let tip = state::read(|ledger| ledger.tip());
    Some(ICRC3DataCertificate {
        certificate: ByteBuf::from(certificate),
        hash_tree: ByteBuf::from(tip::tree_cbor(tip)),
    })
}

pub fn block_types() -> Vec<SupportedBlockType> {
    BLOCK_TYPES
        .iter()
        .map(|(block_type, standard)| SupportedBlockType {
            block_type: block_type.to_string(),
            url: STANDARDS[*standard].1.to_string(),
        })
        .collect()
}

/// Hands the oldest blocks that are here to `archive`; returns how many blocks are archived now.
pub async fn move_to(archive: Principal, count: u64) -> Result<u64, String> {
    if archive == ic_cdk::api::canister_self() {
        return Err("archive: is this ledger".to_string());
    }
    let (start, rows) = state::read(|ledger| ledger.to_archive(count.min(MAX_BLOCKS_MOVED)));
    let end = start + rows.len() as u64;
    let rows: Vec<ByteBuf> = rows.into_iter().map(ByteBuf::from).collect();
    let reply = Call::unbounded_wait(archive, "test_receive_blocks")
        .with_args(&(start, rows))
        .await
        .map_err(|error| format!("archive: {error}"))?;
    let received: Result<(), String> = reply.candid().map_err(|error| format!("{error}"))?;
    received.map_err(|error| format!("archive: {error}"))?;
    state::mutate(|ledger| {
        // Two moves at one time offer the archive the same blocks, and it takes them once.
        if ledger.first_local() == start {
            ledger.moved_to(archive, end);
        }
        Ok(ledger.first_local())
    })
}

/// The archive's side of [`move_to`].
pub fn receive(start: u64, blocks: Vec<ByteBuf>) -> Result<(), String> {
    let rows: Vec<Vec<u8>> = blocks.into_iter().map(ByteBuf::into_vec).collect();
    state::mutate(|ledger| ledger.receive(start, &rows)).map_err(|error| error.to_string())
}
