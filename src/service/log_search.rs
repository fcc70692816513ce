//! Searches in a ledger's block log.

mod reader;

use crate::{
    domain::block_log::{self, LogKind, Page, Transfer},
    runtime::{CALL_TIMEOUT_SECONDS, Runtime},
    storage::{self, recovery::Progress},
    types::{BlockIndex, Seconds, TimestampNs},
};
use candid::Principal;
pub use reader::{End, read};

/// The most calls of one reading.
pub const MAX_CALLS: usize = 8;
/// A reading takes less time than this.
pub const READING: Seconds = Seconds(600);
const _: () = assert!(MAX_CALLS as u32 * CALL_TIMEOUT_SECONDS < READING.0);
/// The most doubtful blocks that one search passes; it stops at the next one.
pub const MAX_DOUBTFUL: usize = 8;

/// The interface of the ledger's block log, if it has one.
pub fn log_of(ledger: &Principal) -> Option<LogKind> {
    storage::ledgers::get(ledger)?.log()
}

/// Whether the ledger has a block log.
pub fn has_log(ledger: &Principal) -> bool {
    log_of(ledger).is_some()
}

/// The search for a transfer.
#[derive(Clone, Debug, PartialEq)]
pub struct Search {
    pub wanted: Transfer,
    /// The transfer is in no block below this one, except for the doubtful ones.
    pub cursor: u64,
    /// Blocks below the cursor that might be the transfer and cannot be read well enough to tell; at most
    /// [`MAX_DOUBTFUL`]. While there is one, absence is not proved.
    pub doubtful: Vec<u64>,
    /// The block at which to look first: as far as known, it is older than the transfer. The log decides whether it is.
    pub hint: Option<u64>,
    /// Whether the cursor passed blocks while the log ended before a block that the ledger had named. Such a log proves
    /// no absence. Once it is complete, it is read again from the beginning.
    pub short: bool,
    pub found: Option<BlockIndex>,
    /// The time of a request whose reply proves that no block held the transfer then.
    pub absent_at: Option<TimestampNs>,
    /// The log was read to its end, but a doubtful block is left, or a block that the ledger named is missing.
    pub held_up: bool,
}

impl Search {
    pub fn from(cursor: u64, wanted: Transfer) -> Self {
        Search {
            wanted,
            cursor,
            doubtful: Vec::new(),
            hint: None,
            short: false,
            found: None,
            absent_at: None,
            held_up: false,
        }
    }

    /// Continues a search. `hint`: the block at which to look first if the search has not begun.
    pub fn resume(progress: Progress, hint: Option<BlockIndex>, wanted: Transfer) -> Self {
        Search {
            hint: hint
                .map(|block| block.0)
                .filter(|_| progress.cursor.is_none()),
            doubtful: progress.doubtful,
            short: progress.short,
            ..Search::from(progress.cursor.unwrap_or_default(), wanted)
        }
    }

    /// The progress of the search. `before`: the progress with which it was resumed.
    pub fn progress(&self, before: Progress) -> Progress {
        Progress {
            cursor: self.hint.is_none().then_some(self.cursor),
            doubtful: self.doubtful.clone(),
            short: self.short,
            ..before
        }
    }

    fn restart(&mut self) {
        self.cursor = 0;
        self.doubtful.clear();
        self.short = false;
    }

    fn is_over(&self) -> bool {
        self.found.is_some() || self.absent_at.is_some() || self.held_up
    }

    fn take(&mut self, page: &Page, look: Look) {
        let created_at = self.wanted.created_at;
        self.found = block_log::find(page, &self.wanted);
        self.cursor = block_log::advance(self.cursor, created_at, page);
        let first = block_log::first_possible(created_at, page);
        let shown = |index: &u64| page.blocks.iter().any(|block| block.index == *index);
        // A block that is shown again is judged again.
        self.doubtful
            .retain(|index| *index >= first && !shown(index));
        for index in block_log::doubtful(page, &self.wanted) {
            if (first..self.cursor).contains(&index) {
                if self.doubtful.len() >= MAX_DOUBTFUL {
                    self.cursor = index;
                    break;
                }
                self.doubtful.push(index);
            }
        }
        self.short |= look.is_short();
        if self.found.is_none() && self.cursor >= look.log_length {
            if look.is_short() || !self.doubtful.is_empty() {
                self.held_up = true;
            } else if self.short {
                self.restart();
            } else {
                self.absent_at = Some(look.sent);
            }
        }
    }

    /// The next block to read.
    fn next(&self) -> u64 {
        self.hint.unwrap_or(self.cursor)
    }
}

/// The state of a log when it was read.
#[derive(Clone, Copy)]
struct Look {
    /// The time of the call.
    sent: TimestampNs,
    /// The highest block that the ledger had named by then.
    named: Option<BlockIndex>,
    /// The length of the log according to the ledger.
    log_length: u64,
}

impl Look {
    /// Whether the log lacks a block that the ledger named.
    fn is_short(self) -> bool {
        self.named.is_some_and(|named| self.log_length <= named.0)
    }
}

/// Whether this canister may be called as an archive. A ledger could name any canister. Those for which a call by this
/// canister may have an effect are not called.
pub(super) fn may_be_called<R: Runtime>(
    runtime: &R,
    ledger: &Principal,
    archive: &Principal,
) -> bool {
    let other_ledger = archive != ledger && storage::ledgers::get(archive).is_some();
    !other_ledger
        && storage::routes::forwarding_to(archive).is_none()
        && storage::notifications::target() != Some(*archive)
        && *archive != runtime.canister_id()
        && *archive != Principal::management_canister()
        && *archive != Principal::anonymous()
}
