//! A ledger's block log as evidence of whether a transfer was made.
//!
//! The log is read from replies of `icrc3_get_blocks` (ICRC-3) or of the ICP ledger's `query_blocks`, of the ledger or
//! of archives that it names ([`LogKind`]). The form of replies is not trusted. A reply that is not a list of numbered
//! blocks is unreadable and proves nothing. A block that cannot be read affects only the transfers that it might be
//! ([`doubtful`]).
//!
//! A transfer is *found* when a block holds it. It is *absent* under these conditions: the log was read without a gap,
//! from a block that is older than the transfer can be to the end, at a time when the ledger can no longer make the
//! transfer; no block on the way might be it; and the log does not end before a block that the ledger ever named,
//! because such a log is incomplete. [`advance`] tracks what was read with a cursor. The transfer cannot be below the
//! cursor, except in a doubtful block.

mod block;
mod icp;
mod icrc3;
mod single;
mod wire;

use crate::{
    domain::window::BLOCK_DRIFT,
    types::{BlockIndex, TimestampNs},
};
pub use block::{Block, Likeness, Shown, Transfer, Unclear};
use candid::Principal;
pub use single::{PlainTransfer, Single, range_of, read_one};
use wire::Value;
pub use x402_icp::account::Party;

/// The longest argument, for a page or for all the blocks that are read again.
pub const MAX_ARGUMENT_BYTES: usize = 4_096;
/// The most blocks in one request. Ledgers return fewer: the ICRC ledger suite 100.
pub const PAGE: u64 = 1_000;
/// The longest reply that is read.
pub const MAX_REPLY_BYTES: usize = 2_097_152;
/// The longest name of a method that is called in an archive, in bytes.
const MAX_METHOD_BYTES: usize = 64;
/// The most archives that are read in one reply, and the most ranges of one of them.
const MAX_ARCHIVED: usize = 32;
/// The number of blocks at the end of the log that [`tail`] requests.
const TAIL: u64 = 64;

/// A range of blocks of a log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Range {
    pub start: u64,
    pub length: u64,
}

impl Range {
    fn holds(&self, index: u64) -> bool {
        index >= self.start && index - self.start < self.length
    }
}

/// Blocks that another canister stores.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Archived {
    pub canister: Principal,
    pub method: String,
    pub ranges: Vec<Range>,
}

/// The content of a reply.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Page {
    /// The number of blocks in the log. Meaningless in an archive's reply.
    pub log_length: u64,
    /// In ascending order.
    pub blocks: Vec<Block>,
    /// The archives of other requested blocks.
    pub archived: Vec<Archived>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Unreadable {
    #[error("the reply is too long")]
    TooLong,
    /// It is not valid Candid, or exceeds the limits on depth and work.
    #[error("the reply is not readable")]
    NotCandid,
    #[error("the reply is not a block log")]
    NotALog,
    /// It holds blocks that were not requested, repeats one, or has some beyond its own end.
    #[error("the reply contradicts itself or the request")]
    Contradiction,
}

/// The interface of a log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LogKind {
    /// ICRC-3.
    Icrc3,
    /// That of the ICP ledger.
    Icp,
}

impl LogKind {
    /// The method of ledgers. Archives name theirs.
    pub fn method(self) -> &'static str {
        match self {
            LogKind::Icrc3 => "icrc3_get_blocks",
            LogKind::Icp => "query_blocks",
        }
    }

    /// The most ranges that one request can have.
    pub fn max_ranges(self) -> usize {
        match self {
            LogKind::Icrc3 => usize::MAX,
            LogKind::Icp => 1,
        }
    }

    /// The argument that requests these blocks.
    pub fn argument(self, ranges: &[Range]) -> Vec<u8> {
        match self {
            LogKind::Icrc3 => icrc3::argument(ranges),
            LogKind::Icp => icp::argument(ranges),
        }
    }

    fn tree(self, reply: &[u8]) -> Result<Value<'_>, Unreadable> {
        if reply.len() > MAX_REPLY_BYTES {
            return Err(Unreadable::TooLong);
        }
        let bounded = match self {
            LogKind::Icrc3 => icrc3::BLOCK,
            LogKind::Icp => icp::TRANSACTION,
        };
        wire::read(reply, bounded).ok_or(Unreadable::NotCandid)
    }

    fn parts<'v, 'a>(
        self,
        reply: &'v Value<'a>,
        requested: &[Range],
        of_ledger: bool,
    ) -> Option<Parts<'v, 'a>> {
        match (self, of_ledger) {
            (LogKind::Icrc3, _) => icrc3::parts(reply),
            (LogKind::Icp, true) => icp::of_ledger(reply),
            (LogKind::Icp, false) => icp::of_archive(reply, requested),
        }
    }

    fn block(self, index: u64, block: &Value<'_>) -> Block {
        match self {
            LogKind::Icrc3 => Block::read(index, block),
            LogKind::Icp => icp::block(index, block),
        }
    }

    fn plain_transfer(self, block: &Value<'_>) -> Option<PlainTransfer> {
        match self {
            LogKind::Icrc3 => icrc3::plain_transfer(block),
            LogKind::Icp => icp::plain_transfer(block),
        }
    }
}

/// The content of a reply before its blocks are read.
struct Parts<'v, 'a> {
    log_length: u64,
    blocks: Vec<(u64, &'v Value<'a>)>,
    archived: Vec<Archived>,
}

/// The last blocks of a log of this length, and single older ones between them and `cursor`, each twice as far back.
/// Their times tell where to begin reading.
pub fn tail(cursor: u64, log_length: u64) -> Vec<Range> {
    let start = log_length.saturating_sub(TAIL).max(cursor);
    let mut ranges = vec![Range {
        start,
        length: log_length.saturating_sub(start),
    }];
    let mut back = TAIL * 2;
    while let Some(start) = log_length.checked_sub(back).filter(|start| *start > cursor) {
        ranges.push(Range { start, length: 1 });
        back = back.saturating_mul(2);
    }
    ranges
}

/// Reads a reply to a request for `requested`. `of_ledger`: whether the ledger sent it, not an archive.
pub fn read(
    kind: LogKind,
    reply: &[u8],
    requested: &[Range],
    of_ledger: bool,
) -> Result<Page, Unreadable> {
    let tree = kind.tree(reply)?;
    let parts = kind.parts(&tree, requested, of_ledger);
    let mut parts = parts.ok_or(Unreadable::NotALog)?;
    parts.blocks.sort_by_key(|(index, _)| *index);
    let was_requested = |index| requested.iter().any(|range| range.holds(index));
    let sound = |index| was_requested(index) && (!of_ledger || index < parts.log_length);
    let repeats = parts.blocks.windows(2).any(|w| w[0].0 == w[1].0);
    if repeats || !parts.blocks.iter().all(|(index, _)| sound(*index)) {
        return Err(Unreadable::Contradiction);
    }
    let blocks = parts.blocks.iter();
    Ok(Page {
        log_length: parts.log_length,
        blocks: blocks
            .map(|(index, block)| kind.block(*index, block))
            .collect(),
        archived: parts.archived,
    })
}

/// The archives in a list, if it is not too long and each can be read.
fn all_of(
    archives: &Value<'_>,
    read: impl Fn(&Value<'_>) -> Option<Archived>,
) -> Option<Vec<Archived>> {
    let archives = archives.list()?;
    (archives.len() <= MAX_ARCHIVED).then_some(())?;
    archives.iter().map(read).collect()
}

fn nat(value: &Value<'_>) -> Option<u64> {
    u64::try_from(value.nat()?).ok()
}

/// The block that holds this transfer. All fields have to be equal: a block with the payment's memo that pays another
/// account, or another amount, is not the transfer.
pub fn find(page: &Page, wanted: &Transfer) -> Option<BlockIndex> {
    let mut blocks = page.blocks.iter();
    blocks
        .find(|block| block.likeness(wanted) == Likeness::Same)
        .map(|block| BlockIndex(block.index))
}

/// The blocks that might be this transfer and cannot be read well enough to tell, in ascending order.
pub fn doubtful(page: &Page, wanted: &Transfer) -> Vec<u64> {
    let possible = |block: &&Block| block.likeness(wanted) == Likeness::Possible;
    // Times do not decrease, so the blocks after one that is too late are too late, too. A time that is followed by
    // earlier ones is ignored.
    let times = page
        .blocks
        .iter()
        .rev()
        .filter_map(|block| Some((block, block.at?)));
    let too_late = times.take_while(|(_, at)| block::is_too_late(*at, wanted.created_at));
    let end = too_late.last().map(|(block, _)| block.index);
    let blocks = page.blocks.iter().filter(possible);
    blocks
        .map(|block| block.index)
        .filter(|index| end.is_none_or(|end| *index < end))
        .collect()
}

/// The first block that is not older than a transfer of this time can be, as far as the page shows.
pub fn first_possible(created_at: TimestampNs, page: &Page) -> u64 {
    // Times do not decrease, so an old time after a recent one is ignored.
    let times = page
        .blocks
        .iter()
        .filter_map(|block| Some((block, block.at?)));
    let too_old = times.take_while(|(_, at)| at.plus(BLOCK_DRIFT) < created_at);
    let last = too_old.last().map(|(block, _)| block);
    last.map_or(0, |block| block.index.saturating_add(1))
}

/// Moves the cursor over the part of `page` that was read without finding the transfer: over blocks that are too old to
/// hold it, and over consecutive blocks from the cursor on.
pub fn advance(cursor: u64, created_at: TimestampNs, page: &Page) -> u64 {
    let mut cursor = cursor.max(first_possible(created_at, page));
    for block in &page.blocks {
        if block.index == cursor {
            cursor = cursor.saturating_add(1);
        }
    }
    cursor
}

/// The archive that stores the block at the cursor, according to the ledger, and the blocks to request there.
pub fn keeper(page: &Page, cursor: u64) -> Option<(Principal, &str, Range)> {
    page.archived.iter().find_map(|archived| {
        let range = archived.ranges.iter().find(|range| range.holds(cursor))?;
        let skipped = cursor - range.start;
        let rest = Range {
            start: cursor,
            length: (range.length - skipped).min(PAGE),
        };
        Some((archived.canister, archived.method.as_str(), rest))
    })
}

#[cfg(test)]
pub(crate) use icp::tests as icp_tests;
#[cfg(test)]
pub(crate) mod tests;
