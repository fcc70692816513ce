//! Reads one block of a ledger, in its archive if it was moved there.

use crate::{
    domain::{
        block_log::{PlainTransfer, Single, range_of, read_one},
        settlement::CallOutcome,
    },
    runtime::Runtime,
    service::log_search::{log_of, may_be_called},
    storage,
    types::BlockIndex,
};
use candid::Principal;

/// The most archives that are asked, one after the other.
const MAX_ARCHIVES: usize = 2;

/// Why nothing is known of a block. It may be known later.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NotRead;

/// The answer of the ledger.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Found {
    /// The block; `None` if it is not a plain transfer that can be read.
    Block(Option<Box<PlainTransfer>>),
    /// There is no such block.
    Missing,
}

/// A place among the blocks that are read at the same time. Ends when dropped, also if the handler traps.
struct Place(Principal);

impl Drop for Place {
    fn drop(&mut self) {
        storage::lookups::with(|lookups| lookups.end(&self.0));
    }
}

/// Reads this block, with one call of the ledger and one of each archive. Moves nothing and records nothing.
pub async fn block<R: Runtime>(
    runtime: &R,
    ledger: Principal,
    block: BlockIndex,
) -> Result<Found, NotRead> {
    let kind = log_of(&ledger).ok_or(NotRead)?;
    if !storage::lookups::with(|lookups| lookups.begin(ledger, runtime.now())) {
        return Err(NotRead);
    }
    let _place = Place(ledger);
    let (mut canister, mut method) = (ledger, kind.method().to_string());
    for asked in 0..=MAX_ARCHIVES {
        let argument = kind.argument(&[range_of(block.0)]);
        if !runtime.can_call(&canister, &method, argument.len()) {
            return Err(NotRead);
        }
        let CallOutcome::Reply(reply) = runtime.call(canister, &method, argument).await else {
            return Err(NotRead);
        };
        // A ledger may be its own archive.
        match read_one(kind, &reply, block.0, asked == 0).map_err(|_| NotRead)? {
            Single::Shown(transfer) => return Ok(Found::Block(transfer.map(Box::new))),
            Single::Missing => return Ok(Found::Missing),
            Single::NotShown => return Err(NotRead),
            Single::Elsewhere(archive, name) => {
                if !may_be_called(runtime, &ledger, &archive) {
                    return Err(NotRead);
                }
                (canister, method) = (archive, name);
            }
        }
    }
    Err(NotRead)
}
