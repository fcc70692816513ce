use super::super::{
    Transfer,
    tests::{archived_at, block_of, mint, result, wanted, with, with_tx, without},
};
use super::*;
use candid::{Encode, Nat};
use icrc_ledger_types::{icrc::generic_value::ICRC3Value, icrc3::blocks::GetBlocksResult};
use proptest::prelude::*;
use serde_bytes::ByteBuf;

const INDEX: u64 = 5;

fn plain() -> Transfer {
    Transfer {
        spender: None,
        ..wanted()
    }
}

fn one(block: ICRC3Value) -> Result<Single, Unreadable> {
    asked(&result(vec![(INDEX, block)]))
}

fn asked(reply: &GetBlocksResult) -> Result<Single, Unreadable> {
    read_one(LogKind::Icrc3, &Encode!(reply).unwrap(), INDEX, true)
}

fn shown(block: ICRC3Value) -> Option<PlainTransfer> {
    match one(block) {
        Ok(Single::Shown(transfer)) => transfer,
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_plain_transfer_is_read_with_or_without_the_time_that_its_maker_named() {
    let transfer = PlainTransfer {
        from: plain().from.into(),
        to: plain().to.into(),
        amount: plain().amount,
        fee: Some(Amount(10_000)),
        memo: plain().memo,
        at: plain().created_at,
    };
    assert_eq!(shown(block_of(&plain())), Some(transfer));
    let without_time = without(block_of(&plain()), "tx", Some("ts"));
    assert_eq!(shown(without_time), Some(transfer));
    let old = without(block_of(&plain()), "btype", None);
    let old = with_tx(old, "op", ICRC3Value::Text("xfer".into()));
    assert_eq!(shown(old), Some(transfer), "a ledger older than ICRC-3");
}

/// Approvals, mints, burns and pulled transfers prove no payment, and neither does a block with a member missing.
#[test]
fn other_blocks_are_no_plain_transfer() {
    let text = |text: &str| ICRC3Value::Text(text.into());
    let memo = |bytes: usize| ICRC3Value::Blob(ByteBuf::from(vec![7; bytes]));
    let huge = ICRC3Value::Nat(Nat::from(u128::MAX) + 1u8);
    let mut others = vec![
        mint(1),
        block_of(&wanted()),
        with_tx(
            block_of(&plain()),
            "spender",
            ICRC3Value::Array(vec![memo(1)]),
        ),
        with_tx(block_of(&plain()), "memo", memo(31)),
        with_tx(block_of(&plain()), "memo", memo(33)),
        with_tx(block_of(&plain()), "amt", huge.clone()),
        with_tx(block_of(&plain()), "amt", ICRC3Value::Int((-1).into())),
        with_tx(block_of(&plain()), "from", text("me")),
        with(block_of(&plain()), "ts", huge),
        ICRC3Value::Array(vec![]),
    ];
    for kind in ["1mint", "1burn", "2approve", "2xfer", "107feecol", "new"] {
        others.push(with(block_of(&plain()), "btype", text(kind)));
    }
    for member in ["from", "to", "amt", "memo"] {
        others.push(without(block_of(&plain()), "tx", Some(member)));
    }
    others.push(without(block_of(&plain()), "ts", None));
    others.push(without(block_of(&plain()), "tx", None));
    for (n, block) in others.into_iter().enumerate() {
        assert_eq!(shown(block), None, "{n}");
    }
}

#[test]
fn a_reply_with_other_blocks_is_refused() {
    let block = || block_of(&plain());
    let other = result(vec![(INDEX + 1, block())]);
    assert_eq!(asked(&other), Err(Unreadable::Contradiction));
    let two = result(vec![(INDEX, block()), (INDEX + 1, block())]);
    assert_eq!(asked(&two), Err(Unreadable::Contradiction));
    let mut beyond = result(vec![(INDEX, block())]);
    beyond.log_length = INDEX.into();
    assert_eq!(asked(&beyond), Ok(Single::Missing));
    assert_eq!(
        read_one(LogKind::Icrc3, b"DIDL", INDEX, true),
        Err(Unreadable::NotCandid)
    );
    assert_eq!(
        read_one(LogKind::Icrc3, &Encode!(&1u8).unwrap(), INDEX, true),
        Err(Unreadable::NotALog)
    );
}

#[test]
fn the_archive_that_stores_the_block_is_named() {
    let archive = Principal::from_slice(&[9]);
    let mut reply = result(vec![]);
    reply.log_length = 9u8.into();
    assert_eq!(asked(&reply), Ok(Single::NotShown));
    reply.archived_blocks = vec![archived_at(archive, 0, INDEX)];
    assert_eq!(asked(&reply), Ok(Single::NotShown), "it ends before");
    reply.archived_blocks.push(archived_at(archive, INDEX, 1));
    let elsewhere = Single::Elsewhere(archive, "get_them".into());
    assert_eq!(asked(&reply), Ok(elsewhere));
    // An archive's log length means nothing.
    let mut theirs = result(vec![(INDEX, block_of(&plain()))]);
    theirs.log_length = 0u8.into();
    let read = read_one(LogKind::Icrc3, &Encode!(&theirs).unwrap(), INDEX, false);
    assert!(matches!(read, Ok(Single::Shown(Some(_)))), "{read:?}");
}

proptest! {
    #[test]
    fn any_changed_reply_is_judged(at in any::<prop::sample::Index>(), byte in any::<u8>(), cut in any::<prop::sample::Index>()) {
        let mut bytes = Encode!(&result(vec![(INDEX, block_of(&plain()))])).unwrap();
        let at = at.index(bytes.len());
        bytes[at] = byte;
        let _ = read_one(LogKind::Icrc3, &bytes, INDEX, true);
        bytes.truncate(cut.index(bytes.len()));
        let _ = read_one(LogKind::Icrc3, &bytes, INDEX, true);
    }
}
