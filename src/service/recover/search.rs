//! Reading a ledger's block log.

use crate::{
    domain::{
        blocklog::{self, Page, Range, Transfer},
        settlement::CallOutcome,
    },
    runtime::Runtime,
    storage,
    types::{BlockIndex, TimestampNs},
};
use candid::Principal;

/// The most calls of one reading.
pub const MAX_CALLS: usize = 8;
/// If more blocks than these are left to read, it is worth a call to learn where to begin.
const FAR: u64 = 200;

/// A transfer that is looked for.
#[derive(Clone, Debug, PartialEq)]
pub struct Search {
    /// The transfer.
    pub wanted: Transfer,
    /// It is in no block below this one.
    pub cursor: u64,
    /// Where to look first: a block that was there before the transfer, as far as anybody knows. Whether it
    /// is too old to be the transfer's the log has to say.
    pub hint: Option<u64>,
    /// Whether the cursor may come from what the ledger said of a block, and not from reading: if the log
    /// ends before it, the log knows better, and the search begins at the first block.
    pub guessed: bool,
    /// The block that holds it.
    pub found: Option<BlockIndex>,
    /// It was in no block when this request was sent.
    pub absent_at: Option<TimestampNs>,
}

impl Search {
    /// A search of the log from this block on.
    pub fn from(cursor: u64, wanted: Transfer) -> Self {
        Search {
            wanted,
            cursor,
            hint: None,
            guessed: false,
            found: None,
            absent_at: None,
        }
    }

    fn is_over(&self) -> bool {
        self.found.is_some() || self.absent_at.is_some()
    }

    fn take(&mut self, page: &Page) {
        self.found = blocklog::find(page, &self.wanted);
        self.cursor = blocklog::advance(self.cursor, self.wanted.created_at, page);
    }

    /// Where to read on.
    fn next(&self) -> u64 {
        self.hint.unwrap_or(self.cursor)
    }
}

/// Why a reading ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum End {
    /// Every search is over for now.
    Done,
    /// There is more to read.
    OutOfCalls,
    /// A reply did not come, or is no evidence.
    Unclear(String),
}

/// Reads the log of `ledger` for all these searches at once, with [`MAX_CALLS`] calls at most.
pub async fn read<R: Runtime>(runtime: &R, ledger: Principal, searches: &mut [Search]) -> End {
    let mut reader = Reader {
        runtime,
        ledger,
        calls: 0,
    };
    let mut tail_read = false;
    loop {
        let Some(from) = lowest(searches, Search::next) else {
            return End::Done;
        };
        let begun = lowest(searches, |search| search.cursor);
        let hinted = searches.iter().any(|search| search.hint.is_some());
        let sent = runtime.now();
        let range = Range {
            start: from,
            length: blocklog::PAGE,
        };
        let page = match reader.ask(ledger, blocklog::METHOD, &[range], true).await {
            Ok(page) => page,
            Err(end) => return end,
        };
        for search in searches.iter_mut() {
            search.hint = None;
        }
        if page.log_length < from {
            // What the ledger once said of a block is not so.
            let mut again = hinted;
            for search in searches.iter_mut().filter(|search| search.guessed) {
                (search.cursor, search.guessed) = (0, false);
                again = true;
            }
            if again {
                continue;
            }
            return End::Unclear("the log has become shorter".into());
        }
        take(searches, &page, page.log_length, sent);
        if hinted && let Err(end) = reader.follow(&page, from, searches, sent).await {
            return end;
        }
        let Some(mut cursor) = lowest(searches, |search| search.cursor) else {
            return End::Done;
        };
        let left = page.log_length.saturating_sub(cursor);
        if left > FAR && !tail_read && !is_recent(&page, cursor, searches) {
            tail_read = true;
            let sent = runtime.now();
            let tail = blocklog::tail(cursor, page.log_length);
            match reader.ask(ledger, blocklog::METHOD, &tail, true).await {
                Ok(page) => take(searches, &page, page.log_length, sent),
                Err(end) => return end,
            }
            continue;
        }
        // One archive after the other, as far as the ledger has named them.
        loop {
            match reader.follow(&page, cursor, searches, sent).await {
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

/// The lowest block of those that the open searches name.
fn lowest(searches: &[Search], block: impl Fn(&Search) -> u64) -> Option<u64> {
    let open = searches.iter().filter(|search| !search.is_over());
    open.map(block).min()
}

fn take(searches: &mut [Search], page: &Page, log_length: u64, sent: TimestampNs) {
    for search in searches.iter_mut().filter(|search| !search.is_over()) {
        search.take(page);
        if search.found.is_none() && search.cursor >= log_length {
            search.absent_at = Some(sent);
        }
    }
}

/// Whether the page reaches up to the cursor and has come to blocks that may hold what is looked for.
fn is_recent(page: &Page, cursor: u64, searches: &[Search]) -> bool {
    let reaches = page
        .blocks
        .iter()
        .any(|block| Some(block.index) == cursor.checked_sub(1));
    let open = searches.iter().filter(|search| !search.is_over());
    let oldest = open.map(|search| search.wanted.created_at).min();
    let last = page.blocks.last().and_then(|block| block.at);
    reaches
        && matches!((last, oldest), (Some(last), Some(oldest)) if last.plus(blocklog::DRIFT) >= oldest)
}

/// A ledger could name any canister as its archive; those at which a call by this one may mean something
/// are not called.
fn may_be_asked<R: Runtime>(runtime: &R, ledger: &Principal, archive: &Principal) -> bool {
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
    /// Reads on in the archive that the ledger named for this block, if it named one.
    async fn follow(
        &mut self,
        page: &Page,
        block: u64,
        searches: &mut [Search],
        sent: TimestampNs,
    ) -> Result<bool, End> {
        let Some((archive, method, range)) = blocklog::keeper(page, block) else {
            return Ok(false);
        };
        if !may_be_asked(self.runtime, &self.ledger, &archive) {
            let problem = "the ledger names an archive that cannot be one";
            return Err(End::Unclear(problem.into()));
        }
        let theirs = self.ask(archive, method, &[range], false).await?;
        take(searches, &theirs, page.log_length, sent);
        Ok(true)
    }

    async fn ask(
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
        let argument = blocklog::argument(ranges);
        let who = if canister == self.ledger {
            "the ledger"
        } else {
            "an archive"
        };
        let unclear = |problem: String| End::Unclear(format!("{who}: {problem}"));
        match self.runtime.call(canister, method, argument).await {
            CallOutcome::Reply(reply) => blocklog::read(&reply, ranges, of_ledger)
                .map_err(|problem| unclear(problem.to_string())),
            CallOutcome::NotSent(problem) => Err(unclear(problem)),
            CallOutcome::Rejected { code, message } => {
                Err(unclear(format!("reject {code}: {message}")))
            }
        }
    }
}
