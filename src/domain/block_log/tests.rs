mod cursor;
mod evidence;
mod shapes;

use super::*;
use crate::{
    domain::window::FORGOTTEN,
    types::{Account, Amount, Seconds},
};
use candid::{Encode, Nat};
use icrc_ledger_types::{
    icrc::generic_value::ICRC3Value,
    icrc3::{
        archive::QueryArchiveFn,
        blocks::{ArchivedBlocks, BlockWithId, GetBlocksRequest, GetBlocksResult},
    },
};
use proptest::prelude::*;
use serde_bytes::ByteBuf;
use test_ledger::domain as ledger;

const CREATED: TimestampNs = TimestampNs(1_700_000_000_000_000_000);
const EVERYTHING: [Range; 1] = [Range {
    start: 0,
    length: u64::MAX,
}];

fn principal(n: u8) -> Principal {
    Principal::from_slice(&[n])
}

pub(super) fn wanted() -> Transfer {
    Transfer {
        memo: [7; 32],
        from: Account {
            owner: principal(1),
            subaccount: Some([9; 32]),
        },
        to: Account::from(principal(2)),
        spender: Some(Account::from(principal(3))),
        amount: Amount(50_000),
        created_at: CREATED,
    }
}

/// The block that a ledger writes for this transfer.
pub(crate) fn block_of(transfer: &Transfer) -> ICRC3Value {
    let block = ledger::Block {
        parent_hash: Some([1; 32]),
        timestamp: transfer.created_at.0,
        effective_fee: None,
        transaction: ledger::Transaction {
            operation: ledger::Operation::Transfer {
                from: transfer.from,
                to: transfer.to,
                spender: transfer.spender,
                amount: transfer.amount.0,
                fee: Some(10_000),
            },
            created_at_time: Some(transfer.created_at.0),
            memo: Some(transfer.memo.to_vec()),
        },
    };
    block.to_value()
}

pub(super) fn mint(at: u64) -> ICRC3Value {
    let block = ledger::Block {
        parent_hash: None,
        timestamp: at,
        effective_fee: None,
        transaction: ledger::Transaction {
            operation: ledger::Operation::Mint {
                to: Account::from(principal(2)),
                amount: 50_000,
            },
            created_at_time: Some(CREATED.0),
            memo: Some(vec![7; 32]),
        },
    };
    block.to_value()
}

pub(crate) fn result(blocks: Vec<(u64, ICRC3Value)>) -> GetBlocksResult {
    let log_length = blocks.iter().map(|(id, _)| id + 1).max();
    GetBlocksResult {
        log_length: log_length.unwrap_or_default().into(),
        blocks: blocks
            .into_iter()
            .map(|(id, block)| BlockWithId {
                id: id.into(),
                block,
            })
            .collect(),
        archived_blocks: vec![],
    }
}

pub(super) fn archived_at(archive: Principal, start: u64, length: u64) -> ArchivedBlocks {
    ArchivedBlocks {
        args: vec![GetBlocksRequest {
            start: start.into(),
            length: length.into(),
        }],
        callback: QueryArchiveFn::new(archive, "get_them"),
    }
}

fn read_all(result: &GetBlocksResult) -> Result<Page, Unreadable> {
    read(LogKind::Icrc3, &Encode!(result).unwrap(), &EVERYTHING, true)
}

pub(super) fn without(block: ICRC3Value, outer: &str, inner: Option<&str>) -> ICRC3Value {
    let ICRC3Value::Map(mut map) = block else {
        panic!("no map");
    };
    match inner {
        None => drop(map.remove(outer)),
        Some(inner) => {
            let tx = map.remove(outer).unwrap();
            map.insert(outer.into(), without(tx, inner, None));
        }
    }
    ICRC3Value::Map(map)
}

pub(super) fn with(block: ICRC3Value, key: &str, value: ICRC3Value) -> ICRC3Value {
    let ICRC3Value::Map(mut map) = block else {
        panic!("no map");
    };
    map.insert(key.into(), value);
    ICRC3Value::Map(map)
}

pub(super) fn with_tx(block: ICRC3Value, key: &str, value: ICRC3Value) -> ICRC3Value {
    let ICRC3Value::Map(map) = &block else {
        panic!("no map");
    };
    let tx = with(map["tx"].clone(), key, value);
    with(block, "tx", tx)
}

#[test]
fn a_log_that_contradicts_itself_is_no_proof() {
    let ours = || block_of(&wanted());
    let twice = result(vec![(3, ours()), (3, ours())]);
    assert_eq!(read_all(&twice), Err(Unreadable::Contradiction));
    let mut short = result(vec![(3, ours())]);
    short.log_length = Nat::from(3u8);
    assert_eq!(read_all(&short), Err(Unreadable::Contradiction));
    let archive = read(
        LogKind::Icrc3,
        &Encode!(&short).unwrap(),
        &EVERYTHING,
        false,
    );
    assert_eq!(
        archive.unwrap().blocks.len(),
        1,
        "an archive reports its own length"
    );
    let asked = [Range {
        start: 4,
        length: 10,
    }];
    let unasked = read(
        LogKind::Icrc3,
        &Encode!(&result(vec![(3, ours())])).unwrap(),
        &asked,
        true,
    );
    assert_eq!(unasked, Err(Unreadable::Contradiction));
}

#[test]
fn huge_numbers_are_no_numbers() {
    let huge: Nat = format!("1{}", "0".repeat(10_000)).parse().unwrap();
    let mut log = result(vec![]);
    log.log_length = huge.clone();
    assert_eq!(read_all(&log), Err(Unreadable::NotALog));
    log.log_length = Nat::from(u64::MAX) + 1u8;
    assert_eq!(read_all(&log), Err(Unreadable::NotALog));
    log.log_length = Nat::from(u64::MAX);
    assert_eq!(read_all(&log).unwrap().log_length, u64::MAX);
    // An amount of that size is readable, and no payment has it.
    let foreign = without(block_of(&wanted()), "tx", Some("spender"));
    let rich = with_tx(foreign, "amt", ICRC3Value::Nat(huge));
    let page = read_all(&result(vec![(0, rich)])).unwrap();
    assert_eq!(
        (find(&page, &wanted()), doubtful(&page, &wanted())),
        (None, vec![])
    );
    let largest = Transfer {
        amount: Amount(u128::MAX),
        ..wanted()
    };
    let page = read_all(&result(vec![(0, block_of(&largest))])).unwrap();
    assert_eq!(find(&page, &largest), Some(BlockIndex(0)));
}

#[test]
fn garbage_depth_and_bombs_are_refused() {
    let refused = |reply: &[u8]| read(LogKind::Icrc3, reply, &EVERYTHING, true).unwrap_err();
    assert_eq!(refused(b""), Unreadable::NotCandid);
    assert_eq!(refused(b"not Candid"), Unreadable::NotCandid);
    assert_eq!(refused(&[0; MAX_REPLY_BYTES + 1]), Unreadable::TooLong);
    assert_eq!(refused(&Encode!().unwrap()), Unreadable::NotCandid);
    assert_eq!(refused(&Encode!(&"text").unwrap()), Unreadable::NotALog);
    let text = Encode!(&"x".repeat(1_900_000)).unwrap();
    assert_eq!(refused(&text), Unreadable::NotALog);

    // A type that contains itself, as a record and as a vector of records without a byte.
    let endless = b"DIDL\x01\x6c\x01\x00\x00\x01\x00";
    assert_eq!(refused(endless), Unreadable::NotCandid);
    let weightless = b"DIDL\x01\x6d\x7f\x01\x00\xff\xff\xff\xff\x0f";
    assert_eq!(refused(weightless), Unreadable::NotCandid);
    let many_types = b"DIDL\xff\xff\xff\xff\x0f";
    assert_eq!(refused(many_types), Unreadable::NotCandid);
}

#[test]
fn archives_are_named_with_their_ranges() {
    let callback = |n: u8| {
        QueryArchiveFn::<Vec<GetBlocksRequest>, GetBlocksResult>::new(
            principal(n),
            "icrc3_get_blocks",
        )
    };
    let request = |start: u64, length: u64| GetBlocksRequest {
        start: start.into(),
        length: length.into(),
    };
    let mut log = result(vec![(200, mint(1))]);
    log.archived_blocks = vec![
        ArchivedBlocks {
            args: vec![request(0, 50)],
            callback: callback(10),
        },
        ArchivedBlocks {
            args: vec![request(50, 150)],
            callback: callback(11),
        },
    ];
    let page = read_all(&log).unwrap();
    let rest = |start, length| Range { start, length };
    let method = "icrc3_get_blocks";
    let of = |cursor| keeper(&page, cursor);
    assert_eq!(of(0), Some((principal(10), method, rest(0, 50))));
    assert_eq!(of(49), Some((principal(10), method, rest(49, 1))));
    assert_eq!(of(50), Some((principal(11), method, rest(50, 150))));
    assert_eq!(of(200), None);
    assert_eq!(advance(0, CREATED, &page), 201, "block 200 is far too old");
    assert_eq!(advance(0, TimestampNs(1), &page), 0);

    log.archived_blocks = (0..40)
        .map(|n| ArchivedBlocks {
            args: vec![],
            callback: callback(n),
        })
        .collect();
    assert_eq!(read_all(&log), Err(Unreadable::NotALog));
}

proptest! {
    /// Any bytes give a result, and no panic.
    #[test]
    fn any_bytes_are_judged(tail in prop::collection::vec(any::<u8>(), 0..200), begun in any::<bool>()) {
        let reply = if begun { [b"DIDL".as_slice(), &tail].concat() } else { tail };
        let _ = read(LogKind::Icrc3, &reply, &EVERYTHING, true);
    }

    /// A reply with some bytes changed is unreadable, or a possible log.
    #[test]
    fn a_changed_reply_is_judged(at in any::<prop::sample::Index>(), byte in any::<u8>(), cut in any::<prop::sample::Index>()) {
        let mut reply = Encode!(&result(vec![(3, mint(1)), (4, block_of(&wanted()))])).unwrap();
        let place = at.index(reply.len());
        reply[place] = byte;
        reply.truncate(cut.index(reply.len()) + 1);
        if let Ok(page) = read(LogKind::Icrc3, &reply, &EVERYTHING, true) {
            prop_assert!(page.blocks.iter().all(|block| block.index < page.log_length));
        }
    }
}
