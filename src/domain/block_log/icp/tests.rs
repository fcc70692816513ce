//! The ICP ledger's log, against the types of the test ledger.

mod shapes;

use super::*;
use crate::{
    domain::{
        block_log::{
            LogKind, MAX_REPLY_BYTES, Page, Single, Transfer, Unreadable, advance, doubtful, find,
            keeper, read, read_one,
        },
        window::BLOCK_DRIFT,
    },
    types::{Account, BlockIndex, canonical},
};
use candid::{Decode, Encode, Principal};
use proptest::prelude::*;
use serde_bytes::ByteBuf;
use test_ledger::domain::{self as ledger, icp};

const CREATED: TimestampNs = TimestampNs(1_700_000_000_000_000_000);
const ALL: [Range; 1] = [Range {
    start: 0,
    length: 1_000,
}];

fn account(n: u8) -> Account {
    Account::from(Principal::from_slice(&[n]))
}

fn wanted() -> Transfer {
    Transfer {
        memo: [7; 32],
        from: Account {
            subaccount: Some([9; 32]),
            ..account(1)
        },
        to: account(2),
        spender: Some(account(3)),
        amount: Amount(50_000),
        created_at: CREATED,
    }
}

/// The block that the ICP ledger shows for this transfer.
pub(crate) fn block_of(transfer: &Transfer) -> icp::Block {
    let operation = ledger::Operation::Transfer {
        from: transfer.from,
        to: transfer.to,
        spender: transfer.spender,
        amount: transfer.amount.0,
        fee: Some(10),
    };
    block(operation, &transfer.memo, transfer.created_at)
}

fn block(operation: ledger::Operation, memo: &[u8], at: TimestampNs) -> icp::Block {
    let block = ledger::Block {
        parent_hash: Some([1; 32]),
        timestamp: at.0,
        effective_fee: None,
        transaction: ledger::Transaction {
            operation,
            created_at_time: Some(at.0),
            memo: Some(memo.to_vec()),
        },
    };
    block.to_icp(10)
}

/// A reply of the ledger: these blocks from `first` on, and archives of ranges.
pub(crate) fn response(
    chain_length: u64,
    first: u64,
    blocks: Vec<icp::Block>,
    archived: &[(Principal, u64, u64)],
) -> icp::QueryBlocksResponse {
    let archived = archived.iter().map(|(archive, start, length)| {
        let (start, length) = (*start, *length);
        icp::ArchivedBlocksRange {
            start,
            length,
            callback: icp::ArchiveFn::new(*archive, "get_blocks"),
        }
    });
    icp::QueryBlocksResponse {
        chain_length,
        certificate: None,
        blocks,
        first_block_index: first,
        archived_blocks: archived.collect(),
    }
}

/// A reply of an archive.
pub(crate) fn of_archive(blocks: Vec<icp::Block>) -> Result<icp::BlockRange, icp::GetBlocksError> {
    Ok(icp::BlockRange { blocks })
}

fn page(blocks: Vec<icp::Block>) -> Page {
    let reply = response(blocks.len() as u64, 0, blocks, &[]);
    read(LogKind::Icp, &Encode!(&reply).unwrap(), &ALL, true).unwrap()
}

/// The block in which the payment is found, and the blocks that might be it.
fn judged(blocks: Vec<icp::Block>) -> (Option<BlockIndex>, Vec<u64>) {
    let page = page(blocks);
    (find(&page, &wanted()), doubtful(&page, &wanted()))
}

/// What a reply to a request for block 5 says of it.
fn one(block: icp::Block) -> Option<PlainTransfer> {
    let reply = Encode!(&response(9, 5, vec![block], &[])).unwrap();
    match read_one(LogKind::Icp, &reply, 5, true) {
        Ok(Single::Shown(transfer)) => transfer,
        other => panic!("{other:?}"),
    }
}

fn with(mut block: icp::Block, change: impl FnOnce(&mut icp::Transaction)) -> icp::Block {
    change(&mut block.transaction);
    block
}

/// A changed copy of a transfer's block.
fn with_parts(
    block: icp::Block,
    change: impl FnOnce(&mut ByteBuf, &mut ByteBuf, &mut Option<ByteBuf>),
) -> icp::Block {
    with(block, |transaction| match &mut transaction.operation {
        Some(icp::IcpOperation::Transfer {
            from, to, spender, ..
        }) => change(from, to, spender),
        other => panic!("{other:?}"),
    })
}

#[test]
fn the_argument_names_one_range() {
    let ranges = [
        Range {
            start: 5,
            length: 7,
        },
        ALL[0],
    ];
    let argument = LogKind::Icp.argument(&ranges);
    let read = Decode!(&argument, icp::GetBlocksArgs).unwrap();
    assert_eq!((read.start, read.length), (5, 7));
    let none = Decode!(&LogKind::Icp.argument(&[]), icp::GetBlocksArgs).unwrap();
    assert_eq!((none.start, none.length), (0, 0));
}

#[test]
fn our_transfer_is_found_by_account_identifiers() {
    let mint = block(
        ledger::Operation::Mint {
            to: account(2),
            amount: 50_000,
        },
        &[7; 32],
        CREATED,
    );
    let (found, _) = judged(vec![mint.clone(), block_of(&wanted())]);
    assert_eq!(found, Some(BlockIndex(1)));
    // The default subaccount has two forms and one identifier.
    let spelled_out = Transfer {
        to: Account {
            subaccount: Some([0; 32]),
            ..wanted().to
        },
        ..wanted()
    };
    assert_eq!(
        judged(vec![mint, block_of(&spelled_out)]).0,
        Some(BlockIndex(1))
    );
}

#[test]
fn a_mint_that_pays_out_what_was_owed_is_never_absence() {
    let (to, amount) = (account(2), 50_000);
    let mint = block(ledger::Operation::Mint { to, amount }, &[7; 32], CREATED);
    let paid = Transfer {
        spender: None,
        to,
        ..wanted()
    };
    let page = page(vec![mint]);
    assert_eq!(
        (find(&page, &paid), doubtful(&page, &paid)),
        (None, vec![0])
    );
    let memo = [8; 32];
    assert_eq!(doubtful(&page, &Transfer { memo, ..paid }), [0; 0]);
}

/// Another memo, party, subaccount, amount, maker or time; a mint, a burn, an approval; a number as memo.
#[test]
fn other_blocks_are_not_ours() {
    // Made by another spender. Blocks that name this canister are tested below.
    let made = Transfer {
        spender: Some(account(9)),
        ..wanted()
    };
    let odd = |change: &dyn Fn(&mut Transfer)| {
        let mut transfer = made.clone();
        change(&mut transfer);
        block_of(&transfer)
    };
    let of_ours = |operation| block(operation, &[7; 32], CREATED);
    let (from, to) = (account(9), account(2));
    let numbered = |transaction: &mut icp::Transaction| {
        transaction.icrc1_memo = None;
        transaction.memo = 0x0707_0707_0707_0707;
    };
    let blocks = vec![
        odd(&|_| {}),
        odd(&|t| t.to = account(8)),
        odd(&|t| t.from = account(1)),
        odd(&|t| t.amount = Amount(49_999)),
        odd(&|t| t.created_at = TimestampNs(CREATED.0 + 1)),
        odd(&|t| t.memo = [8; 32]),
        odd(&|t| (t.spender, t.amount) = (None, Amount(1))),
        of_ours(ledger::Operation::Mint { to, amount: 50_000 }),
        of_ours(ledger::Operation::Burn {
            from,
            spender: Some(from),
            amount: 50_000,
        }),
        of_ours(ledger::Operation::Approve {
            from: account(1),
            spender: account(3),
            amount: 50_000,
            expected_allowance: None,
            expires_at: None,
            fee: None,
        }),
        with(block_of(&wanted()), numbered),
        with(block_of(&wanted()), |t| {
            t.icrc1_memo = Some(ByteBuf::from([7; 31]))
        }),
        with(block_of(&wanted()), |t| {
            t.icrc1_memo = Some(ByteBuf::from([7; 33]))
        }),
    ];
    let count = blocks.len() as u64;
    let shown = page(blocks.clone());
    assert_eq!(find(&shown, &wanted()), None);
    assert!(doubtful(&shown, &wanted()).is_empty());
    assert_eq!(advance(0, CREATED, &shown), count);
    for (n, block) in blocks.into_iter().enumerate().filter(|(n, _)| *n > 6) {
        assert_eq!(one(block), None, "{n}");
    }
}

/// Nobody else can make a block with the payment's memo and the canister's name.
#[test]
fn a_block_with_our_name_and_memo_is_never_absence() {
    let odd = |change: &dyn Fn(&mut Transfer)| {
        let mut transfer = wanted();
        change(&mut transfer);
        block_of(&transfer)
    };
    let blocks = vec![
        odd(&|t| t.amount = Amount(40_000)),
        odd(&|t| t.to = account(9)),
        odd(&|t| t.from = account(9)),
        odd(&|t| t.created_at = TimestampNs(CREATED.0 + 1)),
        odd(&|t| t.spender = None),
        block(
            ledger::Operation::Burn {
                from: wanted().from,
                spender: wanted().spender,
                amount: 50_000,
            },
            &[7; 32],
            CREATED,
        ),
        // Identifiers of other lengths; an operation that is not known yet.
        with_parts(odd(&|_| {}), |from, _, _| from.truncate(28)),
        with_parts(odd(&|_| {}), |_, to, _| to.push(0)),
        with_parts(odd(&|_| {}), |_, _, spender| {
            *spender = Some(ByteBuf::new())
        }),
        with(odd(&|_| {}), |t| t.operation = None),
    ];
    let count = blocks.len() as u64;
    let (found, held) = judged(blocks);
    assert_eq!((found, held), (None, (0..count).collect::<Vec<_>>()));
    // Another payment is held up by none of them.
    let other = Transfer {
        memo: [8; 32],
        ..wanted()
    };
    let odd = page(vec![with(block_of(&wanted()), |t| t.operation = None)]);
    assert!(doubtful(&odd, &other).is_empty());
}

#[test]
fn a_plain_transfer_is_read_with_its_fee_and_time() {
    let plain = Transfer {
        spender: None,
        ..wanted()
    };
    let shown = one(block_of(&plain)).unwrap();
    assert!(shown.from.is(&plain.from) && shown.to.is(&plain.to));
    assert!(!shown.from.is(&account(1)), "the default subaccount");
    assert_eq!((shown.amount, shown.memo), (plain.amount, plain.memo));
    assert_eq!((shown.fee, shown.at), (Some(Amount(10)), CREATED));
    assert_eq!(one(block_of(&wanted())), None, "pulled by a spender");
    let short = with_parts(block_of(&plain), |_, to, _| to.truncate(31));
    assert_eq!(one(short), None);
    assert_eq!(one(with(block_of(&plain), |t| t.operation = None)), None);
}

#[test]
fn an_archive_has_the_blocks_that_were_requested_and_no_others() {
    let archive = Principal::from_slice(&[7]);
    let asked = [Range {
        start: 40,
        length: 2,
    }];
    let blocks = |n: usize| Encode!(&of_archive(vec![block_of(&wanted()); n])).unwrap();
    let theirs = |reply: &[u8]| read(LogKind::Icp, reply, &asked, false);
    let shown = theirs(&blocks(2)).unwrap();
    let indexes: Vec<_> = shown.blocks.iter().map(|block| block.index).collect();
    assert_eq!(indexes, [40, 41]);
    assert_eq!(theirs(&blocks(3)), Err(Unreadable::Contradiction));
    let refusal: Result<icp::BlockRange, _> = Err(icp::GetBlocksError::BadFirstBlockIndex {
        requested_index: 40,
        first_valid_index: 50,
    });
    let refusal = Encode!(&refusal).unwrap();
    assert_eq!(theirs(&refusal), Err(Unreadable::NotALog));
    assert_eq!(
        read_one(LogKind::Icp, &refusal, 40, false),
        Err(Unreadable::NotALog)
    );
    // The ledger's form, from an archive, and an archive's, from the ledger.
    let ledgers = Encode!(&response(42, 40, vec![], &[(archive, 40, 1)])).unwrap();
    assert_eq!(theirs(&ledgers), Err(Unreadable::NotALog));
    let swapped = read(LogKind::Icp, &blocks(1), &asked, true);
    assert_eq!(swapped, Err(Unreadable::NotALog));
    let named = read(LogKind::Icp, &ledgers, &asked, true).unwrap();
    let (canister, method, range) = keeper(&named, 40).unwrap();
    assert_eq!((canister, method), (archive, "get_blocks"));
    assert_eq!((range.start, range.length), (40, 1));
    assert_eq!(keeper(&named, 41), None);
    assert_eq!(
        read_one(LogKind::Icp, &ledgers, 40, true),
        Ok(Single::Elsewhere(archive, "get_blocks".into()))
    );
    let single = read_one(LogKind::Icp, &ledgers, 41, true);
    assert_eq!(single, Ok(Single::NotShown));
    let beyond = read_one(LogKind::Icp, &ledgers, 42, true);
    assert_eq!(beyond, Ok(Single::Missing));
}

#[test]
fn a_reply_that_contradicts_itself_or_the_request_is_refused() {
    let ours = || block_of(&wanted());
    let refused = |reply: icp::QueryBlocksResponse| {
        read(LogKind::Icp, &Encode!(&reply).unwrap(), &ALL, true).unwrap_err()
    };
    // Beyond its own end, beyond the request, beyond every number.
    for first in [3, 1_000, u64::MAX - 1] {
        let reply = response(3, first, vec![ours(), ours(), ours()], &[]);
        let error = refused(reply);
        assert!(
            matches!(error, Unreadable::Contradiction | Unreadable::NotALog),
            "{first}: {error}"
        );
    }
    let many: Vec<_> = (0..33)
        .map(|n| (Principal::from_slice(&[n]), 0, 1))
        .collect();
    assert_eq!(refused(response(0, 0, vec![], &many)), Unreadable::NotALog);
    let mut long = response(9, 0, vec![], &[(Principal::from_slice(&[7]), 0, 5)]);
    long.archived_blocks[0].callback.method = "x".repeat(65);
    assert_eq!(refused(long), Unreadable::NotALog);
    let reply = Encode!(&response(3, 6, vec![ours()], &[])).unwrap();
    let other = read_one(LogKind::Icp, &reply, 2, true);
    assert_eq!(other, Err(Unreadable::Contradiction));
}

#[test]
fn garbage_is_refused() {
    let refused = |reply: &[u8]| read(LogKind::Icp, reply, &ALL, true).unwrap_err();
    assert_eq!(refused(b""), Unreadable::NotCandid);
    assert_eq!(refused(&[0; MAX_REPLY_BYTES + 1]), Unreadable::TooLong);
    assert_eq!(refused(&Encode!(&"text").unwrap()), Unreadable::NotALog);
    let of_icrc3 = Encode!(&crate::domain::block_log::tests::result(vec![])).unwrap();
    assert_eq!(refused(&of_icrc3), Unreadable::NotALog);
}

fn any_account() -> impl Strategy<Value = Account> {
    let owner = prop::collection::vec(any::<u8>(), 0..29);
    let subaccount = prop::option::of(any::<[u8; 32]>());
    (owner, subaccount).prop_map(|(owner, subaccount)| Account {
        owner: Principal::from_slice(&owner),
        subaccount,
    })
}

proptest! {
    /// What the ledger wrote is read back, and nothing that differs is taken for it.
    #[test]
    fn every_transfer_is_found_as_it_was_made(
        memo in any::<[u8; 32]>(), from in any_account(), to in any_account(), other in any_account(),
        spender in prop::option::of(any_account()), amount in any::<u64>(), at in any::<u64>(),
    ) {
        let transfer = Transfer {
            memo, from, to, spender, amount: Amount(amount.into()), created_at: TimestampNs(at),
        };
        let shown = page(vec![block_of(&transfer)]);
        prop_assert_eq!(find(&shown, &transfer), Some(BlockIndex(0)));
        let plain = one(block_of(&transfer));
        prop_assert_eq!(plain.is_some(), spender.is_none());
        if let Some(plain) = plain {
            prop_assert!(plain.from.is(&from) && plain.to.is(&to) && plain.memo == memo);
            prop_assert_eq!((plain.amount, plain.at), (transfer.amount, transfer.created_at));
            prop_assert_eq!(plain.to.is(&other), canonical(other) == canonical(to));
        }
        if canonical(other) != canonical(to) {
            let elsewhere = Transfer { to: other, ..transfer };
            prop_assert_eq!(find(&shown, &elsewhere), None);
        }
    }

    /// A reply with some bytes changed is unreadable, or a possible log.
    #[test]
    fn a_changed_reply_is_judged(
        at in any::<prop::sample::Index>(), byte in any::<u8>(), cut in any::<prop::sample::Index>(), ledgers in any::<bool>(),
    ) {
        let blocks = vec![block_of(&wanted()), block_of(&wanted())];
        let mut reply = match ledgers {
            true => Encode!(&response(2, 0, blocks, &[(Principal::from_slice(&[7]), 0, 1)])).unwrap(),
            false => Encode!(&of_archive(blocks)).unwrap(),
        };
        let place = at.index(reply.len());
        reply[place] = byte;
        reply.truncate(cut.index(reply.len()) + 1);
        if let Ok(page) = read(LogKind::Icp, &reply, &ALL, ledgers) {
            prop_assert!(page.blocks.iter().all(|block| !ledgers || block.index < page.log_length));
        }
        let _ = read_one(LogKind::Icp, &reply, 1, ledgers);
    }
}

#[test]
fn blocks_that_are_too_old_are_passed() {
    let old = TimestampNs(CREATED.0 - u64::from(BLOCK_DRIFT.0 + 1) * 1_000_000_000);
    let aged = |at| Transfer {
        created_at: at,
        ..wanted()
    };
    let blocks = vec![block_of(&aged(old)), block_of(&aged(CREATED))];
    let mut shown = page(blocks);
    shown.blocks[0].index = 100;
    shown.blocks[1].index = 200;
    assert_eq!(advance(0, CREATED, &shown), 101);
}
