mod shapes;

use super::*;
use crate::types::{Account, Amount};
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

fn wanted() -> Transfer {
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

/// The block in which a ledger writes this transfer.
fn block_of(transfer: &Transfer) -> ICRC3Value {
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

fn mint(at: u64) -> ICRC3Value {
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

fn result(blocks: Vec<(u64, ICRC3Value)>) -> GetBlocksResult {
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

fn read_all(result: &GetBlocksResult) -> Result<Page, Unreadable> {
    read(&Encode!(result).unwrap(), &EVERYTHING, true)
}

fn without(block: ICRC3Value, outer: &str, inner: Option<&str>) -> ICRC3Value {
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

fn with(block: ICRC3Value, key: &str, value: ICRC3Value) -> ICRC3Value {
    let ICRC3Value::Map(mut map) = block else {
        panic!("no map");
    };
    map.insert(key.into(), value);
    ICRC3Value::Map(map)
}

fn with_tx(block: ICRC3Value, key: &str, value: ICRC3Value) -> ICRC3Value {
    let ICRC3Value::Map(map) = &block else {
        panic!("no map");
    };
    let tx = with(map["tx"].clone(), key, value);
    with(block, "tx", tx)
}

#[test]
fn the_argument_is_what_the_candid_crate_writes() {
    for ranges in [
        vec![],
        vec![(0u64, 1u64)],
        vec![(127, 128), (u64::MAX, 300)],
    ] {
        let requests: Vec<GetBlocksRequest> = ranges
            .iter()
            .map(|(start, length)| GetBlocksRequest {
                start: (*start).into(),
                length: (*length).into(),
            })
            .collect();
        let ranges: Vec<Range> = ranges
            .into_iter()
            .map(|(start, length)| Range { start, length })
            .collect();
        assert_eq!(argument(&ranges), Encode!(&requests).unwrap());
    }
}

#[test]
fn our_transfer_is_found_in_either_dialect() {
    let block = block_of(&wanted());
    for block in [block.clone(), without(block, "btype", None)] {
        let page = read_all(&result(vec![(4, mint(CREATED.0)), (5, block)])).unwrap();
        assert_eq!(find(&page, &wanted()), Some(BlockIndex(5)));
    }
    // The default subaccount has two forms.
    let spelled_out = Transfer {
        to: Account {
            owner: principal(2),
            subaccount: Some([0; 32]),
        },
        ..wanted()
    };
    let page = read_all(&result(vec![(5, block_of(&spelled_out))])).unwrap();
    assert_eq!(find(&page, &wanted()), Some(BlockIndex(5)));
}

/// Attack 20: mint and burn blocks offered as payment, a block that pays somebody else, too little.
#[test]
fn attack_20_other_blocks_are_not_ours() {
    let ours = wanted();
    // Made by others: what names us as the spender is a matter of its own.
    let made = Transfer {
        spender: Some(Account::from(principal(9))),
        ..ours.clone()
    };
    let other = Account::from(principal(9));
    let different = [
        Transfer {
            amount: Amount(49_999),
            ..made.clone()
        },
        Transfer {
            to: other,
            ..made.clone()
        },
        Transfer {
            from: other,
            ..made.clone()
        },
        Transfer {
            from: Account::from(principal(1)),
            ..made.clone()
        },
        made.clone(),
        Transfer {
            spender: None,
            amount: Amount(49_999),
            ..ours.clone()
        },
        Transfer {
            memo: [8; 32],
            ..ours.clone()
        },
        Transfer {
            created_at: TimestampNs(CREATED.0 + 1),
            ..made.clone()
        },
    ];
    let mut blocks: Vec<_> = different.iter().map(block_of).collect();
    blocks.push(mint(CREATED.0));
    let burn = with(
        block_of(&made),
        "btype",
        ICRC3Value::Text("1burn".to_string()),
    );
    blocks.push(burn);
    blocks.push(without(block_of(&ours), "tx", Some("memo")));
    let long = ICRC3Value::Blob(ByteBuf::from(vec![7; 33]));
    blocks.push(with_tx(block_of(&ours), "memo", long));
    let page = read_all(&result((0..).zip(blocks).collect())).unwrap();
    assert_eq!(find(&page, &ours), None);
    assert_eq!(advance(0, CREATED, &page), page.log_length);
    assert!(doubtful(&page, &ours).is_empty());
}

/// Attack 39: a ledger writes our transfer with another amount (less its fee, for one), to another account, as a burn.
/// Nobody else can make a block with our memo and our name.
#[test]
fn attack_39_a_block_that_names_us_and_bears_our_memo_is_never_absence() {
    let other = Account::from(principal(9));
    let odd = |change: &dyn Fn(&mut Transfer)| {
        let mut transfer = wanted();
        change(&mut transfer);
        block_of(&transfer)
    };
    let ours = || block_of(&wanted());
    let text = |text: &str| ICRC3Value::Text(text.into());
    let blocks = vec![
        odd(&|t| t.amount = Amount(40_000)),
        odd(&|t| t.to = other),
        odd(&|t| t.from = other),
        odd(&|t| t.created_at = TimestampNs(CREATED.0 + 1)),
        with_tx(
            without(ours(), "tx", Some("ts")),
            "amt",
            ICRC3Value::Nat(Nat::from(7u8)),
        ),
        with(ours(), "btype", text("1burn")),
        without(with(ours(), "btype", text("1burn")), "tx", Some("to")),
        with(with_tx(ours(), "to", text("you")), "btype", text("xfer_v2")),
        // It names nobody, and says the same in everything else.
        odd(&|t| t.spender = None),
        without(odd(&|t| t.spender = None), "tx", Some("ts")),
    ];
    let count = blocks.len() as u64;
    let page = read_all(&result((0..).zip(blocks).collect())).unwrap();
    assert_eq!(find(&page, &wanted()), None);
    assert_eq!(doubtful(&page, &wanted()), (0..count).collect::<Vec<_>>());

    // The same for a transfer out of an account of ours, which nobody else can move.
    let refund = Transfer {
        spender: None,
        from: Account::from(principal(3)),
        to: wanted().from,
        ..wanted()
    };
    let written = |change: &dyn Fn(&mut Transfer)| {
        let mut transfer = refund.clone();
        change(&mut transfer);
        block_of(&transfer)
    };
    let blocks = vec![
        written(&|t| t.amount = Amount(40_000)),
        written(&|t| t.created_at = TimestampNs(CREATED.0 + 1)),
        written(&|t| t.spender = Some(t.from)),
        without(written(&|_| {}), "tx", Some("ts")),
        with(written(&|_| {}), "btype", text("1burn")),
    ];
    let count = blocks.len() as u64;
    let page = read_all(&result((0..).zip(blocks).collect())).unwrap();
    assert_eq!(find(&page, &refund), None);
    assert_eq!(doubtful(&page, &refund), (0..count).collect::<Vec<_>>());
    let page = read_all(&result(vec![(0, written(&|t| t.from = other))])).unwrap();
    assert!(doubtful(&page, &refund).is_empty(), "somebody else's money");
}

/// One block with a time of its own moves nothing: times run on before and after it.
#[test]
fn attack_39_a_block_out_of_time_hides_no_other_block() {
    let odd = || without(block_of(&wanted()), "tx", Some("amt"));
    let after = u64::from(WINDOW.0 + DRIFT.0 + 1) * 1_000_000_000;
    // A block of the far future before ours, one of long ago after it.
    let log = vec![
        (0, mint(CREATED.0 + after)),
        (1, odd()),
        (2, mint(5)),
        (3, mint(CREATED.0)),
    ];
    let page = read_all(&result(log)).unwrap();
    assert_eq!(first_possible(CREATED, &page), 0);
    assert_eq!(doubtful(&page, &wanted()), [1]);
    let log = vec![(0, mint(5)), (2, mint(CREATED.0)), (9, mint(6))];
    let page = read_all(&result(log)).unwrap();
    assert_eq!(
        advance(0, CREATED, &page),
        1,
        "up to block 9 nothing is known"
    );
}

#[test]
fn a_log_that_contradicts_itself_is_no_proof() {
    let ours = || block_of(&wanted());
    let twice = result(vec![(3, ours()), (3, ours())]);
    assert_eq!(read_all(&twice), Err(Unreadable::Contradiction));
    let mut short = result(vec![(3, ours())]);
    short.log_length = Nat::from(3u8);
    assert_eq!(read_all(&short), Err(Unreadable::Contradiction));
    let archive = read(&Encode!(&short).unwrap(), &EVERYTHING, false);
    assert_eq!(
        archive.unwrap().blocks.len(),
        1,
        "an archive's length is its own"
    );
    let asked = [Range {
        start: 4,
        length: 10,
    }];
    let unasked = read(&Encode!(&result(vec![(3, ours())])).unwrap(), &asked, true);
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
    // An amount of that size is readable, and nobody's payment.
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
    let refused = |reply: &[u8]| read(reply, &EVERYTHING, true).unwrap_err();
    assert_eq!(refused(b""), Unreadable::NotCandid);
    assert_eq!(refused(b"not Candid"), Unreadable::NotCandid);
    assert_eq!(refused(&[0; MAX_REPLY_BYTES + 1]), Unreadable::TooLong);
    assert_eq!(refused(&Encode!().unwrap()), Unreadable::NotCandid);
    assert_eq!(refused(&Encode!(&"text").unwrap()), Unreadable::NotALog);
    let text = Encode!(&"x".repeat(1_900_000)).unwrap();
    assert_eq!(refused(&text), Unreadable::NotALog);

    // A type that holds itself, as a record and as a vector of records without a byte.
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

#[test]
fn the_cursor_never_jumps_over_a_block_that_may_be_ours() {
    let at = |seconds: u64| TimestampNs(0).plus(Seconds(seconds as u32)).0;
    let created = TimestampNs(at(1_000));
    let log = |blocks: Vec<(u64, u64)>| {
        let blocks = blocks.into_iter().map(|(id, ts)| (id, mint(at(ts))));
        read_all(&result(blocks.collect())).unwrap()
    };
    // Nothing is known of 5.
    assert_eq!(
        advance(3, created, &log(vec![(3, 1_000), (4, 1_001), (6, 1_002)])),
        5
    );
    // 9 is too old, so what is before it is too; 10 follows it, 12 does not.
    assert_eq!(
        advance(3, created, &log(vec![(9, 879), (10, 880), (12, 1_000)])),
        11
    );
    // Exactly two minutes before is not too old.
    assert_eq!(advance(3, created, &log(vec![(9, 880)])), 3);
    assert_eq!(
        advance(20, created, &log(vec![(9, 100)])),
        20,
        "it never goes back"
    );
}

#[test]
fn the_tail_reaches_back_in_doubling_steps() {
    let length = |ranges: &[Range]| -> u64 { ranges.iter().map(|range| range.length).sum() };
    assert_eq!(
        tail(0, 0),
        vec![Range {
            start: 0,
            length: 0
        }]
    );
    assert_eq!(
        tail(10, 20),
        vec![Range {
            start: 10,
            length: 10
        }]
    );
    let long = tail(0, 1_000_000);
    assert_eq!(
        long[0],
        Range {
            start: 999_936,
            length: 64
        }
    );
    assert_eq!(
        long[1],
        Range {
            start: 999_872,
            length: 1
        }
    );
    assert!(
        length(&long) <= 100,
        "what the ICRC ledger suite gives at once"
    );
    assert!(length(&tail(0, u64::MAX)) <= 128);
}

proptest! {
    /// Whatever comes: an answer, and no panic.
    #[test]
    fn any_bytes_are_judged(tail in prop::collection::vec(any::<u8>(), 0..200), begun in any::<bool>()) {
        let reply = if begun { [b"DIDL".as_slice(), &tail].concat() } else { tail };
        let _ = read(&reply, &EVERYTHING, true);
    }

    /// A reply with some bytes changed is unreadable, or a log that could have been sent.
    #[test]
    fn a_bent_reply_is_judged(at in any::<prop::sample::Index>(), byte in any::<u8>(), cut in any::<prop::sample::Index>()) {
        let mut reply = Encode!(&result(vec![(3, mint(1)), (4, block_of(&wanted()))])).unwrap();
        let place = at.index(reply.len());
        reply[place] = byte;
        reply.truncate(cut.index(reply.len()) + 1);
        if let Ok(page) = read(&reply, &EVERYTHING, true) {
            prop_assert!(page.blocks.iter().all(|block| block.index < page.log_length));
        }
    }

    /// A log is read in pages of any size, from any ledger time and with any archive: the cursor passes
    /// our block only if the block was shown, and then it was found.
    #[test]
    fn nothing_is_passed_unseen(
        pauses in prop::collection::vec(0u64..200, 1..60),
        ours in any::<prop::sample::Index>(),
        shown in prop::collection::vec((0u64..60, 1u64..20), 1..30),
    ) {
        let mut time = CREATED.0 / 1_000_000_000 - 2_000;
        let times: Vec<u64> = pauses.iter().map(|pause| { time += pause; time * 1_000_000_000 }).collect();
        let ours = ours.index(times.len());
        // Ledgers make a block at most a minute before what it says of its creation.
        let created_at = TimestampNs(times[ours] + 60_000_000_000);
        let transfer = Transfer { created_at, ..wanted() };
        let blocks: Vec<ICRC3Value> = times.iter().enumerate().map(|(n, at)| {
            if n == ours {
                with(block_of(&transfer), "ts", ICRC3Value::Nat(Nat::from(*at)))
            } else {
                mint(*at)
            }
        }).collect();
        let (mut cursor, mut found) = (0, false);
        for (start, length) in shown {
            let asked = [Range { start, length }];
            let page: Vec<_> = (0u64..).zip(blocks.clone()).filter(|(n, _)| asked[0].holds(*n)).collect();
            let mut reply = result(page);
            reply.log_length = Nat::from(blocks.len());
            let page = read(&Encode!(&reply).unwrap(), &asked, true).unwrap();
            found |= find(&page, &transfer) == Some(BlockIndex(ours as u64));
            cursor = advance(cursor, created_at, &page);
            prop_assert!(found || cursor <= ours as u64);
        }
    }
}
