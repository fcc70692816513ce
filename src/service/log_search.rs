//! Searches in a ledger's block log (ICRC-3).

use crate::{
    domain::{
        block_log::{self, Page, Range, Transfer},
        settlement::CallOutcome,
        window::BLOCK_DRIFT,
    },
    runtime::{CALL_TIMEOUT_SECONDS, Runtime},
    storage::{self, recovery::Progress},
    types::{BlockIndex, Seconds, TimestampNs},
};
use candid::Principal;
use std::collections::BTreeSet;

/// The most calls of one reading.
pub const MAX_CALLS: usize = 8;
/// A reading takes less time than this.
pub const READING: Seconds = Seconds(600);
const _: () = assert!(MAX_CALLS as u32 * CALL_TIMEOUT_SECONDS < READING.0);
/// The most doubtful blocks that one search passes; it stops at the next one.
pub const MAX_DOUBTFUL: usize = 8;
/// The most doubtful blocks that one reading fetches again.
const MAX_REVIEWED: usize = 64;
/// If more blocks than this are left, a call to find the starting block is worth its cost.
const FAR: u64 = 200;

/// Whether the ledger lists the block log among its standards.
pub fn has_log(ledger: &Principal) -> bool {
    storage::ledgers::get(ledger).is_some_and(|ledger| ledger.has_block_log())
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

/// Why a reading ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum End {
    /// Every search is over for now.
    Done,
    /// More blocks are left to read.
    OutOfCalls,
    /// A reply was missing, or is no evidence.
    Unclear(String),
}

/// Reads the log of `ledger` for all these searches at once, with at most [`MAX_CALLS`] calls.
pub async fn read<R: Runtime>(runtime: &R, ledger: Principal, searches: &mut [Search]) -> End {
    let mut reader = Reader {
        runtime,
        ledger,
        calls: 0,
    };
    reader.review(searches).await;
    let mut tail_read = false;
    loop {
        let Some(from) = lowest(searches, Search::next) else {
            return End::Done;
        };
        let begun = lowest(searches, |search| search.cursor);
        let hinted = searches.iter().any(|search| search.hint.is_some());
        let range = Range {
            start: from,
            length: block_log::PAGE,
        };
        let (page, look) = match reader.read_ledger(&[range]).await {
            Ok(answer) => answer,
            Err(end) => return end,
        };
        for search in searches.iter_mut() {
            search.hint = None;
        }
        if page.log_length < from {
            // The ledger's log does not reach the block that it named.
            if hinted {
                continue;
            }
            // The log is not the one that was read before.
            searches.iter_mut().for_each(Search::restart);
            return End::Unclear("the log has become shorter".into());
        }
        take(searches, &page, look);
        if hinted && let Err(end) = reader.follow(&page, from, searches, look).await {
            return end;
        }
        let Some(mut cursor) = lowest(searches, |search| search.cursor) else {
            return End::Done;
        };
        if !hinted && cursor < from {
            // The log is complete now, and is read again.
            continue;
        }
        let left = page.log_length.saturating_sub(cursor);
        if left > FAR && !tail_read && !is_recent(&page, cursor, searches) {
            tail_read = true;
            let tail = block_log::tail(cursor, page.log_length);
            match reader.read_ledger(&tail).await {
                Ok((page, look)) => take(searches, &page, look),
                Err(end) => return end,
            }
            continue;
        }
        // One archive after the other, as the ledger named them.
        loop {
            match reader.follow(&page, cursor, searches, look).await {
                Ok(true) => {}
                Ok(false) => break,
                Err(end) => return end,
            }
            match lowest(searches, |search| search.cursor) {
                Some(next) if next > cursor => cursor = next,
                _ => break,
            }
        }
        if !hinted && lowest(searches, |search| search.cursor) <= begun {
            return End::Unclear("the log has a gap".into());
        }
    }
}

/// The lowest block that the open searches name.
fn lowest(searches: &[Search], block: impl Fn(&Search) -> u64) -> Option<u64> {
    let open = searches.iter().filter(|search| !search.is_over());
    open.map(block).min()
}

fn take(searches: &mut [Search], page: &Page, look: Look) {
    for search in searches.iter_mut().filter(|search| !search.is_over()) {
        search.take(page, look);
    }
}

/// Whether the page reaches the cursor and blocks that may hold a wanted transfer.
fn is_recent(page: &Page, cursor: u64, searches: &[Search]) -> bool {
    let reaches = page
        .blocks
        .iter()
        .any(|block| Some(block.index) == cursor.checked_sub(1));
    let open = searches.iter().filter(|search| !search.is_over());
    let oldest = open.map(|search| search.wanted.created_at).min();
    let last = page.blocks.last().and_then(|block| block.at);
    reaches
        && matches!((last, oldest), (Some(last), Some(oldest)) if last.plus(BLOCK_DRIFT) >= oldest)
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
        && *archive != runtime.canister_id()
        && *archive != Principal::management_canister()
        && *archive != Principal::anonymous()
}

struct Reader<'a, R: Runtime> {
    runtime: &'a R,
    ledger: Principal,
    calls: usize,
}

impl<R: Runtime> Reader<'_, R> {
    /// Reads the blocks again that hold up searches: the ledger may encode them in another way now. A block that is not
    /// shown stays doubtful.
    async fn review(&mut self, searches: &mut [Search]) {
        let all = searches.iter().flat_map(|search| &search.doubtful);
        let doubtful: BTreeSet<u64> = all.copied().take(MAX_REVIEWED).collect();
        if doubtful.is_empty() {
            return;
        }
        let one = |start: &u64| Range {
            start: *start,
            length: 1,
        };
        let ranges: Vec<Range> = doubtful.iter().map(one).collect();
        let Ok((page, look)) = self.read_ledger(&ranges).await else {
            return;
        };
        take(searches, &page, look);
        for index in doubtful {
            let shown = page.blocks.iter().any(|block| block.index == index);
            // Half of the calls are reserved for new blocks.
            if !shown && self.calls < MAX_CALLS / 2 {
                let _ = self.follow(&page, index, searches, look).await;
            }
        }
    }

    /// Reads on in the archive that the ledger named for this block, if any.
    async fn follow(
        &mut self,
        page: &Page,
        block: u64,
        searches: &mut [Search],
        look: Look,
    ) -> Result<bool, End> {
        let Some((archive, method, range)) = block_log::keeper(page, block) else {
            return Ok(false);
        };
        if !may_be_called(self.runtime, &self.ledger, &archive) {
            let problem = "the ledger names an archive that cannot be one";
            return Err(End::Unclear(problem.into()));
        }
        let theirs = self.call(archive, method, &[range], false).await?;
        take(searches, &theirs, look);
        Ok(true)
    }

    async fn read_ledger(&mut self, ranges: &[Range]) -> Result<(Page, Look), End> {
        let (sent, ledger) = (self.runtime.now(), self.ledger);
        // Blocks that the ledger named before the call are in its log.
        let named = storage::claims::highest_block(&ledger);
        let page = self.call(ledger, block_log::METHOD, ranges, true).await?;
        let look = Look {
            sent,
            named,
            log_length: page.log_length,
        };
        Ok((page, look))
    }

    async fn call(
        &mut self,
        canister: Principal,
        method: &str,
        ranges: &[Range],
        of_ledger: bool,
    ) -> Result<Page, End> {
        if self.calls >= MAX_CALLS {
            return Err(End::OutOfCalls);
        }
        self.calls += 1;
        let argument = block_log::argument(ranges);
        let who = if canister == self.ledger {
            "the ledger"
        } else {
            "an archive"
        };
        let unclear = |problem: String| End::Unclear(format!("{who}: {problem}"));
        match self.runtime.call(canister, method, argument).await {
            CallOutcome::Reply(reply) => block_log::read(&reply, ranges, of_ledger)
                .map_err(|problem| unclear(problem.to_string())),
            CallOutcome::NotSent(problem) => Err(unclear(problem)),
            CallOutcome::Rejected { code, message } => {
                Err(unclear(format!("reject {code}: {message}")))
            }
        }
    }
}
