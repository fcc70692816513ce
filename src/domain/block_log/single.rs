//! One block of a log, as the proof of a transfer that its payer made.

use super::{LogKind, Party, Range, Unreadable};
use crate::types::{Amount, TimestampNs};
use candid::Principal;

/// A transfer by the owner of the money, without a spender.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PlainTransfer {
    pub from: Party,
    pub to: Party,
    pub amount: Amount,
    /// The fee that the ledger took, if the block says so.
    pub fee: Option<Amount>,
    pub memo: [u8; 32],
    /// The time of the block.
    pub at: TimestampNs,
}

/// What a reply says about the block.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Single {
    /// The block; `None` if it is not a plain transfer with a memo of 32 bytes, or cannot be read as one.
    Shown(Option<PlainTransfer>),
    /// This archive stores it.
    Elsewhere(Principal, String),
    /// The log ends before it.
    Missing,
    /// The reply neither shows it nor says who does.
    NotShown,
}

/// The request for one block.
pub fn range_of(index: u64) -> Range {
    Range {
        start: index,
        length: 1,
    }
}

/// Reads the reply to a request for this block alone. `of_ledger`: whether the ledger sent it, not an archive.
pub fn read_one(
    kind: LogKind,
    reply: &[u8],
    index: u64,
    of_ledger: bool,
) -> Result<Single, Unreadable> {
    let tree = kind.tree(reply)?;
    let parts = kind.parts(&tree, &[range_of(index)], of_ledger);
    let parts = parts.ok_or(Unreadable::NotALog)?;
    if of_ledger && index >= parts.log_length {
        return Ok(Single::Missing);
    }
    match parts.blocks.as_slice() {
        [] => {}
        [(id, block)] if *id == index => return Ok(Single::Shown(kind.plain_transfer(block))),
        _ => return Err(Unreadable::Contradiction),
    }
    let mut archives = parts.archived.into_iter();
    let keeper = archives.find(|archived| archived.ranges.iter().any(|range| range.holds(index)));
    Ok(match keeper {
        Some(archived) => Single::Elsewhere(archived.canister, archived.method),
        None => Single::NotShown,
    })
}

#[cfg(test)]
mod tests;
