//! Replies of `query_blocks`, the ICP ledger's own log, and of its archives.
//!
//! Blocks are records of a fixed type. An archive does not number its blocks: the first is the first that was
//! requested. Accounts are account identifiers. A transaction has two memos: a number, which proves nothing, and the
//! memo of the ICRC standards. The types are those of the ledger's `ledger.did` and `ledger_archive.did`.

use super::{
    Archived, Parts, Party, Range, all_of,
    block::{Block, Memo, Shown, Unclear},
    icrc3::{callback, range},
    nat,
    single::PlainTransfer,
    wire::{Value, hash},
};
use crate::types::{Amount, TimestampNs};
use candid::CandidType;

/// The field of a block whose value is read with limits of its own.
pub const TRANSACTION: &str = "transaction";

#[derive(CandidType)]
struct GetBlocksArgs {
    start: u64,
    length: u64,
}

/// The method takes one range: the first of these.
pub fn argument(ranges: &[Range]) -> Vec<u8> {
    let arguments = GetBlocksArgs {
        start: ranges.first().map_or(0, |range| range.start),
        length: ranges.first().map_or(0, |range| range.length),
    };
    candid::encode_one(arguments).expect("BUG: every argument can be encoded")
}

pub fn of_ledger<'v, 'a>(reply: &'v Value<'a>) -> Option<Parts<'v, 'a>> {
    Some(Parts {
        log_length: nat(reply.field("chain_length")?)?,
        blocks: numbered(nat(reply.field("first_block_index")?)?, reply)?,
        archived: all_of(reply.field("archived_blocks")?, archive)?,
    })
}

pub fn of_archive<'v, 'a>(reply: &'v Value<'a>, requested: &[Range]) -> Option<Parts<'v, 'a>> {
    let Value::Variant(tag, reply) = reply else {
        return None;
    };
    (*tag == hash("Ok")).then_some(())?;
    Some(Parts {
        log_length: 0,
        blocks: numbered(requested.first()?.start, reply)?,
        archived: vec![],
    })
}

fn numbered<'v, 'a>(first: u64, reply: &'v Value<'a>) -> Option<Vec<(u64, &'v Value<'a>)>> {
    let blocks = reply.field("blocks")?.list()?;
    let read = blocks
        .iter()
        .take_while(|block| !matches!(block.field(TRANSACTION), Some(Value::Cut)));
    (0..)
        .zip(read)
        .map(|(n, block)| Some((first.checked_add(n)?, block)))
        .collect()
}

fn archive(value: &Value<'_>) -> Option<Archived> {
    let (canister, method) = callback(value)?;
    Some(Archived {
        canister,
        method,
        ranges: vec![range(value)?],
    })
}

pub fn block(index: u64, block: &Value<'_>) -> Block {
    Block {
        index,
        at: block.field("timestamp").and_then(time),
        shown: match block.field(TRANSACTION) {
            Some(transaction @ Value::Record(_)) => shown(transaction),
            _ => Shown::Unclear(Box::default()),
        },
    }
}

fn shown(transaction: &Value<'_>) -> Shown {
    // Every transfer of this canister has a memo of the standards.
    let memo = match transaction.field("icrc1_memo") {
        Some(Value::Null) => Memo::Foreign,
        Some(Value::Blob(memo)) => Memo::of(memo),
        _ => Memo::Hidden,
    };
    let (kind, operation) = match transaction.field("operation") {
        Some(Value::Variant(kind, operation)) => (Some(*kind), Some(&**operation)),
        _ => (None, None),
    };
    let is = |name| kind == Some(hash(name));
    if memo == Memo::Foreign || is("Approve") {
        return Shown::NoTransfer;
    }
    let party = |name| operation.and_then(|operation| identifier(operation.field(name)?));
    let read = Unclear {
        from: party("from").into(),
        to: party("to").into(),
        spender: party("spender").into(),
        amount: operation
            .and_then(|operation| tokens(operation.field("amount")?))
            .into(),
        created_at: transaction.field("created_at_time").and_then(time).into(),
        memo,
    };
    if is("Mint") {
        return read.into_mint();
    }
    if is("Burn") {
        return read.into_burn();
    }
    if is("Transfer") {
        let spender = operation.and_then(|operation| operation.field("spender"));
        let memo = match &read.memo {
            Memo::Among(memos) => memos.first().copied(),
            _ => None,
        };
        return read.into_shown(memo, is_null(spender));
    }
    Shown::Unclear(Box::new(read))
}

/// A transfer by the owner of the money. Every member has to be in its place.
pub fn plain_transfer(block: &Value<'_>) -> Option<PlainTransfer> {
    let transaction = block.field(TRANSACTION)?;
    let Value::Variant(kind, operation) = transaction.field("operation")? else {
        return None;
    };
    if *kind != hash("Transfer") || !is_null(operation.field("spender")) {
        return None;
    }
    let Value::Blob(memo) = transaction.field("icrc1_memo")? else {
        return None;
    };
    Some(PlainTransfer {
        from: identifier(operation.field("from")?)?,
        to: identifier(operation.field("to")?)?,
        amount: tokens(operation.field("amount")?)?,
        fee: operation.field("fee").and_then(tokens),
        memo: (*memo).try_into().ok()?,
        at: time(block.field("timestamp")?)?,
    })
}

/// Whether an optional field has no value. Ledgers without ICRC-2 lack the field.
fn is_null(value: Option<&Value<'_>>) -> bool {
    matches!(value, None | Some(Value::Null))
}

fn identifier(value: &Value<'_>) -> Option<Party> {
    match value {
        Value::Blob(bytes) => Some(Party::Identifier((*bytes).try_into().ok()?)),
        _ => None,
    }
}

fn tokens(value: &Value<'_>) -> Option<Amount> {
    value.field("e8s")?.nat().map(Amount)
}

fn time(value: &Value<'_>) -> Option<TimestampNs> {
    nat(value.field("timestamp_nanos")?).map(TimestampNs)
}

#[cfg(test)]
pub(crate) mod tests;
