//! One reading of a log, for all searches in it at once.

use super::{Look, MAX_CALLS, Search, log_of, may_be_called};
use crate::{
    domain::{
        block_log::{self, LogKind, Page, Range},
        settlement::CallOutcome,
        window::BLOCK_DRIFT,
    },
    runtime::Runtime,
    storage,
};
use candid::Principal;
use std::collections::BTreeSet;

/// The most doubtful blocks that one reading fetches again.
const MAX_REVIEWED: usize = 64;
/// If more blocks than this are left, a call to find the starting block is worth its cost.
const FAR: u64 = 200;
/// The same where a call shows one range only, so that finding the starting block takes several.
const FAR_BY_RANGE: u64 = 2 * block_log::PAGE;

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
    // Of a ledger that lists no log, the caller believes what is found, and not what is absent.
    let kind = log_of(&ledger).unwrap_or(LogKind::Icrc3);
    let far = match kind {
        LogKind::Icrc3 => FAR,
        LogKind::Icp => FAR_BY_RANGE,
    };
    let mut reader = Reader {
        runtime,
        ledger,
        kind,
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
        if left > far && !tail_read && !is_recent(&page, cursor, searches) {
            tail_read = true;
            let ahead = match kind {
                LogKind::Icrc3 => reader.read_tail(cursor, page.log_length, searches).await,
                LogKind::Icp => reader.halve(cursor, page.log_length, searches).await,
            };
            if let Err(end) = ahead {
                return end;
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

/// Lets searches go on that were held up; returns which were.
fn release(searches: &mut [Search]) -> Vec<bool> {
    let searches = searches.iter_mut();
    searches
        .map(|search| std::mem::take(&mut search.held_up))
        .collect()
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

struct Reader<'a, R: Runtime> {
    runtime: &'a R,
    ledger: Principal,
    kind: LogKind,
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
        // Half of the calls are reserved for new blocks.
        let most = self.kind.max_ranges().min(ranges.len());
        for asked in ranges.chunks(most) {
            if self.calls >= MAX_CALLS / 2 {
                return;
            }
            let Ok((page, look)) = self.read_ledger(asked).await else {
                return;
            };
            // What held a search up may be in the next reply.
            release(searches);
            take(searches, &page, look);
            for Range { start: index, .. } in asked {
                let shown = page.blocks.iter().any(|block| block.index == *index);
                if !shown && self.calls < MAX_CALLS / 2 {
                    let held_up = release(searches);
                    if self.follow(&page, *index, searches, look).await != Ok(true) {
                        for (search, held_up) in searches.iter_mut().zip(held_up) {
                            search.held_up = held_up;
                        }
                    }
                }
            }
        }
    }

    /// Reads the end of the log, and single blocks before it, to find out which blocks are too old.
    async fn read_tail(
        &mut self,
        cursor: u64,
        log_length: u64,
        searches: &mut [Search],
    ) -> Result<(), End> {
        let (page, look) = self
            .read_ledger(&block_log::tail(cursor, log_length))
            .await?;
        take(searches, &page, look);
        Ok(())
    }

    /// Reads the block in the middle of what is left, as long as it is too old: each halves what is left, and the
    /// cursor keeps the progress. At the end at most as many blocks are left before the wanted one as after it.
    async fn halve(
        &mut self,
        mut cursor: u64,
        log_length: u64,
        searches: &mut [Search],
    ) -> Result<(), End> {
        loop {
            let left = log_length.saturating_sub(cursor);
            if left <= FAR_BY_RANGE {
                return Ok(());
            }
            let middle = Range {
                start: cursor + left / 2,
                length: 1,
            };
            let (page, look) = self.read_ledger(&[middle]).await?;
            take(searches, &page, look);
            if page.blocks.is_empty() {
                self.follow(&page, middle.start, searches, look).await?;
            }
            match lowest(searches, |search| search.cursor) {
                Some(next) if next > middle.start => cursor = next,
                _ => return Ok(()),
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
        let method = self.kind.method();
        let page = self.call(ledger, method, ranges, true).await?;
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
        let argument = self.kind.argument(ranges);
        let who = if canister == self.ledger {
            "the ledger"
        } else {
            "an archive"
        };
        let unclear = |problem: String| End::Unclear(format!("{who}: {problem}"));
        match self.runtime.call(canister, method, argument).await {
            CallOutcome::Reply(reply) => block_log::read(self.kind, &reply, ranges, of_ledger)
                .map_err(|problem| unclear(problem.to_string())),
            CallOutcome::NotSent(problem) => Err(unclear(problem)),
            CallOutcome::Rejected { code, message } => {
                Err(unclear(format!("reject {code}: {message}")))
            }
        }
    }
}
