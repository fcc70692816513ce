//! One block of a log, as the proof of a transfer that its payer made.

use super::{
    Archived, MAX_ARCHIVED, MAX_REPLY_BYTES, Range, Unreadable, archive,
    block::{Map, account, blob, number},
    wire,
};
use crate::types::{Account, Amount, TimestampNs, canonical};
use candid::Principal;

/// A transfer by the owner of the money, without a spender.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PlainTransfer {
    pub from: Account,
    pub to: Account,
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
pub fn read_one(reply: &[u8], index: u64, of_ledger: bool) -> Result<Single, Unreadable> {
    if reply.len() > MAX_REPLY_BYTES {
        return Err(Unreadable::TooLong);
    }
    let reply = wire::read(reply).ok_or(Unreadable::NotCandid)?;
    let parts = || {
        let log_length = super::number(reply.field("log_length")?)?;
        let blocks = reply.field("blocks")?.list()?;
        let archived = reply.field("archived_blocks")?.list()?;
        (archived.len() <= MAX_ARCHIVED).then_some((log_length, blocks, archived))
    };
    let (log_length, blocks, archived) = parts().ok_or(Unreadable::NotALog)?;
    if of_ledger && index >= log_length {
        return Ok(Single::Missing);
    }
    match blocks {
        [] => {}
        [block] => {
            let id = block.field("id").and_then(super::number);
            if id != Some(index) {
                return Err(Unreadable::Contradiction);
            }
            return Ok(Single::Shown(block.field("block").and_then(plain_transfer)));
        }
        _ => return Err(Unreadable::Contradiction),
    }
    let archives: Option<Vec<Archived>> = archived.iter().map(archive).collect();
    let archives = archives.ok_or(Unreadable::NotALog)?;
    let keeper = archives
        .into_iter()
        .find(|archived| archived.ranges.iter().any(|range| range.holds(index)));
    Ok(match keeper {
        Some(archived) => Single::Elsewhere(archived.canister, archived.method),
        None => Single::NotShown,
    })
}

/// Every member has to be in its place. A transfer that is found in another way proves nothing here.
fn plain_transfer(block: &wire::Value<'_>) -> Option<PlainTransfer> {
    let block = Map::of(block)?;
    let tx = Map::of(block.get("tx")?)?;
    // `btype` is defined by the standard. Older ledgers have `tx.op` alone.
    let kind = block.text("btype").or(tx.text("op"))?;
    if !matches!(kind, b"1xfer" | b"xfer" | b"transfer") || tx.get("spender").is_some() {
        return None;
    }
    Some(PlainTransfer {
        from: canonical(account(tx.get("from")?)?),
        to: canonical(account(tx.get("to")?)?),
        amount: Amount(number(tx.get("amt")?)??),
        fee: tx
            .get("fee")
            .or(block.get("fee"))
            .and_then(number)
            .flatten()
            .map(Amount),
        memo: blob(tx.get("memo")?)?.try_into().ok()?,
        at: TimestampNs(u64::try_from(number(block.get("ts")?)??).ok()?),
    })
}

#[cfg(test)]
mod tests;
