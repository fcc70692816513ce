//! Replies of `icrc3_get_blocks`.

use super::{
    Archived, MAX_ARCHIVED, MAX_METHOD_BYTES, Parts, Party, Range, all_of,
    block::{Map, account, blob, number},
    nat,
    single::PlainTransfer,
    wire::Value,
};
use crate::types::{Amount, TimestampNs};
use candid::Principal;
use icrc_ledger_types::icrc3::blocks::GetBlocksRequest;

/// The field of a reply whose values are read with limits of their own.
pub const BLOCK: &str = "block";

pub fn argument(ranges: &[Range]) -> Vec<u8> {
    let requests: Vec<_> = ranges
        .iter()
        .map(|range| GetBlocksRequest {
            start: range.start.into(),
            length: range.length.into(),
        })
        .collect();
    candid::encode_one(requests).expect("BUG: every argument can be encoded")
}

pub fn parts<'v, 'a>(reply: &'v Value<'a>) -> Option<Parts<'v, 'a>> {
    let numbered = |value: &'v Value<'a>| Some((nat(value.field("id")?)?, value.field(BLOCK)?));
    let blocks = reply.field("blocks")?.list()?.iter().map(numbered);
    let mut blocks = blocks.collect::<Option<Vec<_>>>()?;
    blocks.retain(|(_, block)| !matches!(block, Value::Cut));
    Some(Parts {
        log_length: nat(reply.field("log_length")?)?,
        blocks,
        archived: all_of(reply.field("archived_blocks")?, archive)?,
    })
}

fn archive(value: &Value<'_>) -> Option<Archived> {
    let ranges = value.field("args")?.list()?;
    if ranges.len() > MAX_ARCHIVED {
        return None;
    }
    let (canister, method) = callback(value)?;
    Some(Archived {
        canister,
        method,
        ranges: ranges.iter().map(range).collect::<Option<_>>()?,
    })
}

/// The function that returns archived blocks.
pub fn callback(value: &Value<'_>) -> Option<(Principal, String)> {
    let Value::Func(canister, method) = value.field("callback")? else {
        return None;
    };
    let method = std::str::from_utf8(method).ok()?;
    (method.len() <= MAX_METHOD_BYTES).then_some(())?;
    Some((Principal::try_from_slice(canister).ok()?, method.into()))
}

/// A record with a start and a length.
pub fn range(value: &Value<'_>) -> Option<Range> {
    Some(Range {
        start: nat(value.field("start")?)?,
        length: nat(value.field("length")?)?,
    })
}

/// Every member has to be in its place. A transfer that is found in another way proves nothing here.
pub fn plain_transfer(block: &Value<'_>) -> Option<PlainTransfer> {
    let block = Map::of(block)?;
    let tx = Map::of(block.get("tx")?)?;
    // `btype` is defined by the standard. Older ledgers have `tx.op` alone.
    let kind = block.text("btype").or(tx.text("op"))?;
    if !matches!(kind, b"1xfer" | b"xfer" | b"transfer") || tx.get("spender").is_some() {
        return None;
    }
    Some(PlainTransfer {
        from: Party::from(account(tx.get("from")?)?),
        to: Party::from(account(tx.get("to")?)?),
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
