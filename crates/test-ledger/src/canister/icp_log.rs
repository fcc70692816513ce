//! The ICP ledger's own block log: `query_blocks`, and `get_blocks` of archives.

use ic_cdk::api::trap;

use super::{log::principal, state};
use crate::domain::icp::{
    ArchiveFn, ArchivedBlocksRange, Block, BlockRange, GetBlocksArgs, GetBlocksError,
    QueryBlocksResponse,
};
use crate::storage::Ledger;

/// Most blocks in one reply to a canister, as of the ICP ledger.
const MAX_BLOCKS_PER_RESPONSE: u64 = 2_000;
/// The method of archives.
const ARCHIVE_METHOD: &str = "get_blocks";

pub fn blocks(args: GetBlocksArgs) -> QueryBlocksResponse {
    state::read(|ledger| {
        let length = args.length.min(MAX_BLOCKS_PER_RESPONSE);
        let end = args.start.saturating_add(length).min(ledger.log_length());
        let archived = ledger.archived().into_iter().filter_map(|range| {
            let (start, end) = (args.start.max(range.start), end.min(range.end));
            (start < end).then(|| ArchivedBlocksRange {
                start,
                length: end - start,
                callback: ArchiveFn::new(principal(&range), ARCHIVE_METHOD),
            })
        });
        let first = args.start.max(ledger.first_local());
        QueryBlocksResponse {
            chain_length: ledger.log_length(),
            certificate: None,
            blocks: (first..end)
                .filter_map(|index| block(ledger, index))
                .collect(),
            first_block_index: first,
            archived_blocks: archived.collect(),
        }
    })
}

/// The blocks of an archive, without their numbers.
pub fn archived(args: GetBlocksArgs) -> Result<BlockRange, GetBlocksError> {
    state::read(|ledger| {
        let length = args.length.min(MAX_BLOCKS_PER_RESPONSE);
        let wanted = args.start..args.start.saturating_add(length);
        let blocks: Vec<Block> = wanted.map_while(|index| block(ledger, index)).collect();
        if blocks.is_empty() && length > 0 {
            return Err(GetBlocksError::Other {
                error_code: 0,
                error_message: "there is no such block here".to_string(),
            });
        }
        Ok(BlockRange { blocks })
    })
}

fn block(ledger: &Ledger, index: u64) -> Option<Block> {
    Some(ledger.block(index)?.to_icp(state::config().transfer_fee))
}

/// Traps unless this ledger has the interface of the ICP ledger.
pub fn require() {
    if !state::config().icp {
        trap("the method is not there: install with test_icp = opt true");
    }
}
