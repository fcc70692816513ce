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
    /// Whether the cursor comes from reading this log. If not, it is what the ledger said of a block, and
    /// the log knows better.
    pub read: bool,
    /// The block that holds it.
    pub found: Option<BlockIndex>,
    /// It was in no block when this request was sent.
    pub absent_at: Option<TimestampNs>,
}

impl Search {
    /// A search that begins after `known`, the highest block that was there before the transfer.
    pub fn after(known: Option<BlockIndex>, wanted: Transfer) -> Self {
        Search {
            wanted,
            cursor: known.map_or(0, |block| block.0.saturating_add(1)),
            read: false,
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
        self.read = true;
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
        let Some(from) = next(searches) else {
            return End::Done;
        };
        let sent = runtime.now();
        let range = Range {
            start: from,
            length: blocklog::PAGE,
        };
        let page = match reader.ask(ledger, blocklog::METHOD, &[range], true).await {
            Ok(page) => page,
            Err(end) => return end,
        };
        if page.log_length < from {
            if !begin_anew(searches, page.log_length) {
                return End::Unclear("the log has become shorter".into());
            }
            continue;
        }
        take(searches, &page, page.log_length, sent);
        let Some(cursor) = next(searches) else {
            return End::Done;
        };
        let left = page.log_length.saturating_sub(cursor);
        if left > FAR && !tail_read && !is_recent(&page, searches) {
            tail_read = true;
            let sent = runtime.now();
            let tail = blocklog::tail(cursor, page.log_length);
            match reader.ask(ledger, blocklog::METHOD, &tail, true).await {
                Ok(page) => take(searches, &page, page.log_length, sent),
                Err(end) => return end,
            }
            continue;
        }
        if let Some((archive, method, range)) = blocklog::keeper(&page, cursor) {
            if !may_be_asked(runtime, &ledger, &archive) {
                return End::Unclear("the ledger names an archive that cannot be one".into());
            }
            match reader.ask(archive, method, &[range], false).await {
                Ok(theirs) => take(searches, &theirs, page.log_length, sent),
                Err(end) => return end,
            }
        }
        if next(searches).is_some_and(|cursor| cursor <= from) {
            return End::Unclear("the log has a gap".into());
        }
    }
}

/// Where to read on.
fn next(searches: &[Search]) -> Option<u64> {
    let open = searches.iter().filter(|search| !search.is_over());
    open.map(|search| search.cursor).min()
}

fn take(searches: &mut [Search], page: &Page, log_length: u64, sent: TimestampNs) {
    for search in searches.iter_mut().filter(|search| !search.is_over()) {
        search.take(page);
        if search.found.is_none() && search.cursor >= log_length {
            search.absent_at = Some(sent);
        }
    }
}

/// The log ends before a block that the ledger once spoke of: what it said then is not so. Whether any
/// search begins anew.
fn begin_anew(searches: &mut [Search], log_length: u64) -> bool {
    let mut any = false;
    for search in searches.iter_mut() {
        if !search.read && search.cursor > log_length {
            search.cursor = 0;
            any = true;
        }
    }
    any
}

/// Whether the page has come to blocks that may hold what is looked for.
fn is_recent(page: &Page, searches: &[Search]) -> bool {
    let open = searches.iter().filter(|search| !search.is_over());
    let oldest = open.map(|search| search.wanted.created_at).min();
    let last = page.blocks.last().and_then(|block| block.at);
    matches!((last, oldest), (Some(last), Some(oldest)) if last.plus(blocklog::DRIFT) >= oldest)
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
