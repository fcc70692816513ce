//! Replies of a ledger or an archive to `icrc3_get_blocks` or `query_blocks`, which are evidence of what became of a
//! payment.
//!
//! Layout: options (bit 0: of the ledger; bit 1: the ICP ledger's own log), then the reply. What is read was asked for and ascends; a transfer
//! that is found stands in the reply as the candid crate reads it, and is not doubtful; the cursor never goes back.

use crate::bytes::Reader;
use candid::{CandidType, DecoderConfig, Deserialize, Int, Nat};
use serde_bytes::ByteBuf;
use tollkeeper::{
    domain::block_log::{
        LogKind, Party, Range, Transfer, advance, doubtful, find, keeper, read, read_one, tail,
    },
    types::{Account, TimestampNs},
};

const ASKED: [Range; 2] = [
    Range {
        start: 0,
        length: 1_000,
    },
    Range {
        start: u64::MAX - 1,
        length: 5,
    },
];

/// Generic values as ICRC-3 defines them, maps in the order in which they are written.
#[derive(CandidType, Deserialize)]
enum Value {
    Nat(Nat),
    Int(Int),
    Blob(ByteBuf),
    Text(String),
    Array(Vec<Value>),
    Map(Vec<(String, Value)>),
}

#[derive(CandidType, Deserialize)]
struct Block {
    id: Nat,
    block: Value,
}

#[derive(CandidType, Deserialize)]
struct Blocks {
    blocks: Vec<Block>,
}

pub fn run(data: &[u8]) {
    let mut reader = Reader(data);
    let options = reader.byte();
    let of_ledger = options & 1 == 1;
    let kind = match options & 2 {
        0 => LogKind::Icrc3,
        _ => LogKind::Icp,
    };
    for index in [0, 3, u64::MAX] {
        let _ = read_one(kind, reader.0, index, of_ledger);
    }
    let Ok(page) = read(kind, reader.0, &ASKED, of_ledger) else {
        return;
    };
    assert!(page.blocks.windows(2).all(|w| w[0].index < w[1].index));
    for cursor in [0, 3, 999, u64::MAX] {
        let created_at = TimestampNs(1_700_000_000_000_000_000);
        assert!(advance(cursor, created_at, &page) >= cursor);
        if let Some((_, _, range)) = keeper(&page, cursor) {
            assert!(range.start == cursor && range.length > 0);
        }
        assert!(!tail(cursor, page.log_length).is_empty());
    }
    let mut config = DecoderConfig::new();
    config
        .set_decoding_quota(50_000_000)
        .set_skipping_quota(1_000_000);
    let decoded = candid::utils::decode_one_with_config::<Blocks>(reader.0, &config);
    for block in &page.blocks {
        // Of account identifiers nobody knows the accounts.
        let Some(transfer) = block.transfer().and_then(of_accounts) else {
            continue;
        };
        let transfer = &transfer;
        assert!(find(&page, transfer).is_some());
        let doubtful = doubtful(&page, transfer);
        assert!(doubtful.windows(2).all(|w| w[0] < w[1]));
        assert!(!doubtful.contains(&block.index));
        if let Ok(decoded) = &decoded {
            let says_so = |other: &Block| other.id == block.index && shows(&other.block, transfer);
            assert!(decoded.blocks.iter().any(says_so), "{block:?}");
        }
    }
}

fn of_accounts(transfer: &Transfer<Party>) -> Option<Transfer> {
    let account = |party: &Party| match party {
        Party::Account(account) => Some(*account),
        Party::Identifier(_) => None,
    };
    let spender: Option<Option<Account>> = transfer.spender.as_ref().map(account);
    Some(Transfer {
        memo: transfer.memo,
        from: account(&transfer.from)?,
        to: account(&transfer.to)?,
        spender: match spender {
            Some(spender) => Some(spender?),
            None => None,
        },
        amount: transfer.amount,
        created_at: transfer.created_at,
    })
}

fn get<'a>(value: &'a Value, name: &str) -> Option<&'a Value> {
    match value {
        Value::Map(map) => map.iter().find(|(key, _)| key == name).map(|(_, v)| v),
        _ => None,
    }
}

fn shows(block: &Value, transfer: &Transfer) -> bool {
    let Some(tx) = get(block, "tx") else {
        return false;
    };
    let blob = |value: &Value| match value {
        Value::Blob(bytes) => bytes.to_vec(),
        _ => vec![],
    };
    let owner = |name| match get(tx, name) {
        Some(Value::Array(parts)) => parts.first().map(blob).unwrap_or_default(),
        _ => vec![],
    };
    let nat = |name| match get(tx, name) {
        Some(Value::Nat(number)) => Some(number.clone()),
        Some(Value::Int(number)) => number.0.to_biguint().map(Nat),
        _ => None,
    };
    get(tx, "memo").map(blob) == Some(transfer.memo.to_vec())
        && owner("from") == transfer.from.owner.as_slice()
        && owner("to") == transfer.to.owner.as_slice()
        && nat("amt") == Some(Nat::from(transfer.amount.0))
        && nat("ts") == Some(Nat::from(transfer.created_at.0))
}
