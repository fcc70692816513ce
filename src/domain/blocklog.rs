//! A ledger's block log (ICRC-3), as the evidence of whether a transfer was made.
//!
//! What the log says is read from replies of `icrc3_get_blocks`, of the ledger or of archives that it
//! names. Replies are not trusted to be honest in form: whatever is odd makes the whole reply unreadable,
//! and an unreadable reply proves nothing.
//!
//! A transfer is *found* when a block holds it. It is *absent* when the log was read without a gap, from
//! a block that is older than the transfer can be to the end, at a time when the ledger takes the transfer no more.
//! [`advance`] keeps the account of what was read: a cursor, below which the transfer cannot be.

mod wire;

use crate::types::{Account, Amount, BlockIndex, Seconds, TimestampNs, canonical};
use candid::Principal;
use wire::Value;

/// The method of ledgers; archives name theirs.
pub const METHOD: &str = "icrc3_get_blocks";
/// So many blocks are asked for at once. Ledgers give fewer: the ICRC ledger suite 100.
pub const PAGE: u64 = 1_000;
/// A longer reply is not read.
pub const MAX_REPLY_BYTES: usize = 2_000_000;
/// A transfer's block is not older than `created_at_time` less this: ledgers allow a minute of drift.
pub const DRIFT: Seconds = Seconds(120);
/// So long after `created_at_time` no ledger takes a transfer any more: its window of 24 hours, and ten
/// minutes for clocks that differ.
pub const WINDOW: Seconds = Seconds(86_400 + 600);
/// The longest name of a method that is called in an archive, in bytes.
const MAX_METHOD_BYTES: usize = 64;
/// More archives are not read in one reply, nor more ranges of one of them.
const MAX_ARCHIVED: usize = 32;
/// The last blocks of the log that [`tail`] asks for.
const TAIL: u64 = 64;

/// Some blocks of a log: `length` of them, from `start`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Range {
    /// The first.
    pub start: u64,
    /// How many.
    pub length: u64,
}

impl Range {
    fn holds(&self, index: u64) -> bool {
        index >= self.start && index - self.start < self.length
    }
}

/// Blocks that another canister keeps.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Archived {
    /// Who keeps them.
    pub canister: Principal,
    /// What to call there.
    pub method: String,
    /// Which.
    pub ranges: Vec<Range>,
}

/// A transfer with a memo of 32 bytes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Transfer {
    /// The memo.
    pub memo: [u8; 32],
    /// Who paid.
    pub from: Account,
    /// Who was paid.
    pub to: Account,
    /// Who made the transfer, if it was not who paid.
    pub spender: Option<Account>,
    /// How much.
    pub amount: Amount,
    /// `created_at_time`
    pub created_at: TimestampNs,
}

impl Transfer {
    /// With accounts in one form each, so that equal transfers compare equal.
    fn canonical(&self) -> Self {
        Transfer {
            from: canonical(self.from),
            to: canonical(self.to),
            spender: self.spender.map(canonical),
            ..self.clone()
        }
    }
}

/// A block of the log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Block {
    /// Its number.
    pub index: u64,
    /// When it was made.
    pub at: Option<TimestampNs>,
    /// The transfer in it; `None` for anything that cannot be one of ours: mints, burns, approvals,
    /// transfers without a memo of 32 bytes or without `created_at_time`.
    pub transfer: Option<Transfer>,
}

/// What a reply says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Page {
    /// How many blocks the log has. Of an archive's reply this means nothing.
    pub log_length: u64,
    /// Blocks, in ascending order.
    pub blocks: Vec<Block>,
    /// Where other blocks of those asked for are.
    pub archived: Vec<Archived>,
}

/// Why a reply is no evidence.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Unreadable {
    /// It is longer than [`MAX_REPLY_BYTES`].
    #[error("the reply is too long")]
    TooLong,
    /// It is no Candid, or too deep or too much of it.
    #[error("the reply is not readable")]
    NotCandid,
    /// It has not the form of a block log.
    #[error("the reply is no block log")]
    NotALog,
    /// It holds blocks that were not asked for, one twice, or some beyond its own end.
    #[error("the reply contradicts itself or the request")]
    Contradiction,
}

/// The argument that asks for these blocks.
pub fn argument(ranges: &[Range]) -> Vec<u8> {
    // `vec record { start : nat; length : nat }`; fields stand in the order of their hashes.
    const TYPE: [u8; 22] = [
        0x44, 0x49, 0x44, 0x4c, 0x02, 0x6d, 0x01, 0x6c, 0x02, 0xe2, 0xe8, 0xad, 0xa0, 0x08, 0x7d,
        0xe6, 0xa9, 0x9e, 0xf8, 0x09, 0x7d, 0x01,
    ];
    let mut bytes = TYPE.to_vec();
    bytes.push(0);
    push_number(&mut bytes, ranges.len() as u64);
    for range in ranges {
        push_number(&mut bytes, range.start);
        push_number(&mut bytes, range.length);
    }
    bytes
}

/// Appends an unsigned number in LEB128.
fn push_number(bytes: &mut Vec<u8>, mut number: u64) {
    while number > 0x7f {
        bytes.push(number as u8 | 0x80);
        number >>= 7;
    }
    bytes.push(number as u8);
}

/// The last blocks of a log of this length, and single older ones between them and `cursor`, each twice
/// as far back: their times tell where to begin reading.
pub fn tail(cursor: u64, log_length: u64) -> Vec<Range> {
    let start = log_length.saturating_sub(TAIL).max(cursor);
    let mut ranges = vec![Range {
        start,
        length: log_length.saturating_sub(start),
    }];
    let mut back = TAIL * 2;
    while let Some(start) = log_length.checked_sub(back).filter(|start| *start > cursor) {
        ranges.push(Range { start, length: 1 });
        back = back.saturating_mul(2);
    }
    ranges
}

/// Reads a reply to a request for `asked`. `of_ledger`: whether the ledger gave it, or an archive.
pub fn read(reply: &[u8], asked: &[Range], of_ledger: bool) -> Result<Page, Unreadable> {
    if reply.len() > MAX_REPLY_BYTES {
        return Err(Unreadable::TooLong);
    }
    let reply = wire::read(reply).ok_or(Unreadable::NotCandid)?;
    let page = page(&reply).ok_or(Unreadable::NotALog)?;
    let was_asked = |index| asked.iter().any(|range| range.holds(index));
    let sound =
        |block: &Block| was_asked(block.index) && (!of_ledger || block.index < page.log_length);
    let repeats = page.blocks.windows(2).any(|w| w[0].index >= w[1].index);
    if repeats || !page.blocks.iter().all(sound) {
        return Err(Unreadable::Contradiction);
    }
    Ok(page)
}

fn page(reply: &Value<'_>) -> Option<Page> {
    let log_length = number(reply.field("log_length")?)?;
    let mut blocks = reply
        .field("blocks")?
        .list()?
        .iter()
        .map(block)
        .collect::<Option<Vec<_>>>()?;
    blocks.sort_by_key(|block| block.index);
    let archived = reply.field("archived_blocks")?.list()?;
    if archived.len() > MAX_ARCHIVED {
        return None;
    }
    Some(Page {
        log_length,
        blocks,
        archived: archived.iter().map(archive).collect::<Option<_>>()?,
    })
}

fn number(value: &Value<'_>) -> Option<u64> {
    u64::try_from(value.nat()?).ok()
}

fn archive(value: &Value<'_>) -> Option<Archived> {
    let Value::Func(canister, method) = value.field("callback")? else {
        return None;
    };
    let ranges = value.field("args")?.list()?;
    if ranges.len() > MAX_ARCHIVED || method.len() > MAX_METHOD_BYTES {
        return None;
    }
    let range = |value: &Value<'_>| {
        Some(Range {
            start: number(value.field("start")?)?,
            length: number(value.field("length")?)?,
        })
    };
    Some(Archived {
        canister: Principal::try_from_slice(canister).ok()?,
        method: std::str::from_utf8(method).ok()?.to_string(),
        ranges: ranges.iter().map(range).collect::<Option<_>>()?,
    })
}

/// `None` for a block that might hold a transfer and cannot be read: then nobody can say what it is.
fn block(value: &Value<'_>) -> Option<Block> {
    let index = number(value.field("id")?)?;
    let block = Map::of(value.field("block")?)?;
    let tx = block.get("tx").and_then(Map::of);
    let op = tx.as_ref().and_then(|tx| tx.text("op"));
    // `btype` is the standard's; ledgers older than it have `tx.op` alone.
    let kind = block.text("btype").or(op)?;
    let transfer = match kind {
        b"1xfer" | b"2xfer" | b"xfer" | b"transfer" => {
            let tx = tx?;
            if kind == b"2xfer" && tx.get("spender").is_none() {
                return None;
            }
            transfer(&tx)?
        }
        _ => None,
    };
    let at = block.get("ts").and_then(generic_nat).flatten();
    Some(Block {
        index,
        at: at.and_then(|at| u64::try_from(at).ok()).map(TimestampNs),
        transfer,
    })
}

/// The transfer in a `tx` that holds one: the outer `None` if it cannot be read, the inner if it cannot be
/// ours.
fn transfer(tx: &Map<'_, '_>) -> Option<Option<Transfer>> {
    let from = account(tx.get("from")?)?;
    let to = account(tx.get("to")?)?;
    let spender = match tx.get("spender") {
        Some(spender) => Some(account(spender)?),
        None => None,
    };
    let amount = generic_nat(tx.get("amt")?)?;
    let memo = match tx.get("memo") {
        Some(memo) => <[u8; 32]>::try_from(generic_blob(memo)?).ok(),
        None => None,
    };
    let created_at = match tx.get("ts") {
        Some(ts) => generic_nat(ts)?.and_then(|ts| u64::try_from(ts).ok()),
        None => None,
    };
    Some(match (memo, created_at, amount) {
        (Some(memo), Some(created_at), Some(amount)) => Some(Transfer {
            memo,
            from,
            to,
            spender,
            amount: Amount(amount),
            created_at: TimestampNs(created_at),
        }),
        _ => None,
    })
}

/// The `Map` of a generic value: pairs of text and value.
struct Map<'v, 'a>(&'v [Value<'a>]);

impl<'v, 'a> Map<'v, 'a> {
    fn of(value: &'v Value<'a>) -> Option<Self> {
        generic(value, "Map").and_then(Value::list).map(Map)
    }

    /// The first value of that name; the names of a map do not repeat.
    fn get(&self, name: &str) -> Option<&'v Value<'a>> {
        self.0.iter().find_map(|pair| match pair {
            Value::Record(fields) => match fields.as_slice() {
                [(0, Value::Text(key)), (1, value)] if *key == name.as_bytes() => Some(value),
                _ => None,
            },
            _ => None,
        })
    }

    fn text(&self, name: &str) -> Option<&'v [u8]> {
        match generic(self.get(name)?, "Text")? {
            Value::Text(text) => Some(text),
            _ => None,
        }
    }
}

fn generic<'v, 'a>(value: &'v Value<'a>, kind: &str) -> Option<&'v Value<'a>> {
    match value {
        Value::Variant(tag, inner) if *tag == wire::hash(kind) => Some(inner),
        _ => None,
    }
}

/// The inner `None` is a number of more than 128 bits.
fn generic_nat(value: &Value<'_>) -> Option<Option<u128>> {
    // Ledgers older than the standard write `Nat64` for times.
    let number = generic(value, "Nat").or_else(|| generic(value, "Nat64"))?;
    match number {
        Value::Nat(number) => Some(*number),
        _ => None,
    }
}

fn generic_blob<'v>(value: &'v Value<'_>) -> Option<&'v [u8]> {
    match generic(value, "Blob")? {
        Value::Blob(bytes) => Some(bytes),
        _ => None,
    }
}

fn account(value: &Value<'_>) -> Option<Account> {
    let (owner, subaccount) = match generic(value, "Array")?.list()? {
        [owner] => (owner, None),
        [owner, subaccount] => (owner, Some(generic_blob(subaccount)?.try_into().ok()?)),
        _ => return None,
    };
    Some(Account {
        owner: Principal::try_from_slice(generic_blob(owner)?).ok()?,
        subaccount,
    })
}

/// The block that holds this transfer. Everything has to be the same: a block with our memo that pays
/// somebody else, or too little, is not ours.
pub fn find(page: &Page, wanted: &Transfer) -> Option<BlockIndex> {
    let wanted = wanted.canonical();
    let mut transfers = page
        .blocks
        .iter()
        .filter_map(|block| Some((block.index, block.transfer.as_ref()?)));
    transfers
        .find(|(_, transfer)| transfer.memo == wanted.memo && transfer.canonical() == wanted)
        .map(|(index, _)| BlockIndex(index))
}

/// Moves the cursor over what was read of `page` without finding the transfer: over blocks that are too
/// old to hold it, and over blocks that follow each other from the cursor on.
pub fn advance(cursor: u64, created_at: TimestampNs, page: &Page) -> u64 {
    let too_old = |block: &&Block| block.at.is_some_and(|at| at.plus(DRIFT) < created_at);
    let skipped = page.blocks.iter().rev().find(too_old);
    let mut cursor = skipped.map_or(cursor, |block| cursor.max(block.index.saturating_add(1)));
    for block in &page.blocks {
        if block.index == cursor {
            cursor = cursor.saturating_add(1);
        }
    }
    cursor
}

/// Who keeps the block at the cursor, according to the ledger, and which blocks to ask for there.
pub fn keeper(page: &Page, cursor: u64) -> Option<(Principal, &str, Range)> {
    page.archived.iter().find_map(|archived| {
        let range = archived.ranges.iter().find(|range| range.holds(cursor))?;
        let skipped = cursor - range.start;
        let rest = Range {
            start: cursor,
            length: (range.length - skipped).min(PAGE),
        };
        Some((archived.canister, archived.method.as_str(), rest))
    })
}

#[cfg(test)]
mod tests;
