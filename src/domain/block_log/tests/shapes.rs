//! Blocks in forms that no standard defines, or another standard does, and the payments that they hold up.

use super::*;
use candid::Int;
use std::collections::BTreeMap;

fn text(text: &str) -> ICRC3Value {
    ICRC3Value::Text(text.into())
}

fn nat(number: u64) -> ICRC3Value {
    ICRC3Value::Nat(Nat::from(number))
}

fn blob(bytes: &[u8]) -> ICRC3Value {
    ICRC3Value::Blob(ByteBuf::from(bytes))
}

fn map(fields: &[(&str, ICRC3Value)]) -> ICRC3Value {
    let fields = fields.iter().cloned();
    ICRC3Value::Map(BTreeMap::from_iter(
        fields.map(|(name, value)| (name.to_string(), value)),
    ))
}

/// A block of another standard.
fn of_type(btype: &str, tx: &[(&str, ICRC3Value)]) -> ICRC3Value {
    map(&[
        ("btype", text(btype)),
        ("phash", blob(&[1; 32])),
        ("ts", nat(CREATED.0)),
        ("tx", map(tx)),
    ])
}

/// The block in which the payment is found, and the blocks that might be it. The cursor passes every block.
fn judged(blocks: Vec<ICRC3Value>) -> (Option<u64>, Vec<u64>) {
    let count = blocks.len() as u64;
    let page = read_all(&result((0..).zip(blocks).collect())).unwrap();
    assert_eq!(advance(0, CREATED, &page), count);
    let found = find(&page, &wanted());
    (found.map(|block| block.0), doubtful(&page, &wanted()))
}

#[test]
fn a_block_that_might_be_ours_and_cannot_be_read_holds_up_this_payment_alone() {
    let ours = block_of(&wanted());
    let no_account = ICRC3Value::Array(vec![blob(&[1; 40])]);
    let hexadecimal = text(&"07".repeat(32));
    let bytes = ICRC3Value::Array((0..32).map(|_| nat(7)).collect());
    let untyped = || without(without(ours.clone(), "btype", None), "tx", Some("op"));
    let odd = [
        without(ours.clone(), "tx", None),
        without(ours.clone(), "tx", Some("amt")),
        without(ours.clone(), "tx", Some("from")),
        without(ours.clone(), "tx", Some("to")),
        without(ours.clone(), "tx", Some("spender")),
        without(ours.clone(), "tx", Some("ts")),
        untyped(),
        with_tx(untyped(), "memo", hexadecimal.clone()),
        with(ours.clone(), "btype", text("2xfer_v2")),
        with_tx(ours.clone(), "amt", text("50000")),
        with_tx(ours.clone(), "memo", text("50000")),
        with_tx(ours.clone(), "memo", hexadecimal),
        with_tx(ours.clone(), "memo", bytes),
        with_tx(ours.clone(), "ts", text("now")),
        with_tx(ours.clone(), "from", text("me")),
        with_tx(ours.clone(), "to", no_account),
        with_tx(ours.clone(), "spender", text("you")),
        with(ours.clone(), "tx", text("50000")),
        // All fields in one text or blob, in an encoding of the ledger's own.
        text(&"x".repeat(400)),
        blob(&[7; 400]),
        map(&[("encoded", blob(&[7; 33]))]),
    ];
    let others = [
        Transfer {
            memo: [8; 32],
            ..wanted()
        },
        Transfer {
            from: Account::from(principal(9)),
            ..wanted()
        },
        Transfer {
            amount: Amount(49_999),
            ..wanted()
        },
    ];
    for block in odd {
        let shown = block.to_string();
        let blocks = vec![mint(0), block.clone(), mint(0)];
        assert_eq!(judged(blocks), (None, vec![1]), "{shown}");
        // After it, the payment is still found.
        assert_eq!(judged(vec![block.clone(), ours.clone()]).0, Some(1));
        // A payment that differs in a readable field is not held up.
        let page = read_all(&result(vec![(0, block)])).unwrap();
        let free = others
            .iter()
            .filter(|other| doubtful(&page, other).is_empty());
        let opaque = !shown.contains("tx") || shown.contains("50000");
        // A block with the payment's memo and the canister's name holds it up, whatever its other fields are.
        assert!(opaque || free.count() >= 1, "{shown}");
    }
}

#[test]
fn a_block_of_an_unknown_shape_without_our_memo_is_passed() {
    let other = Transfer {
        memo: [8; 32],
        ..wanted()
    };
    let other = block_of(&other);
    let odd = [
        text("50000"),
        ICRC3Value::Array(vec![]),
        nat(5),
        ICRC3Value::Int(Int::from(-5)),
        blob(&[1; 32]),
        map(&[]),
        map(&[("ts", text("yesterday"))]),
        map(&[("tx", text("none"))]),
        with(without(other.clone(), "btype", None), "tx", text("none")),
        without(other.clone(), "tx", Some("from")),
        without(other.clone(), "tx", Some("spender")),
        without(other.clone(), "tx", Some("amt")),
        without(other.clone(), "tx", Some("ts")),
        with_tx(other.clone(), "to", text("you")),
        without(without(other.clone(), "btype", None), "tx", Some("op")),
        with(other, "btype", text("9xfer")),
    ];
    for block in odd {
        let shown = block.to_string();
        assert_eq!(judged(vec![mint(0), block]), (None, vec![]), "{shown}");
    }
}

/// Types that ledgers in use and proposals write: ICRC-107 (fee collectors), ICRC-122 and ICRC-152 (mint and burn by an
/// authority), ICRC-123 and ICRC-153 (freezing), ICRC-124 (pausing), ICRC-4 (batches), ICRC-7 and ICRC-37
/// (collectibles).
#[test]
fn blocks_of_other_standards_are_passed() {
    let reason = || text(&"because of a decision with a long reason ".repeat(5));
    let account = || ICRC3Value::Array(vec![blob(&[1]), blob(&[9; 32])]);
    let types = [
        "107feecol",
        "107setfeecol",
        "122mint",
        "122burn",
        "123freezeaccount",
        "123unfreezeaccount",
        "123freezeprincipal",
        "124pause",
        "124unpause",
        "124deactivate",
        "152mint",
        "152burn",
        "153freezeaccount",
        "4transfer",
        "7mint",
        "7xfer",
        "7update_token",
        "37approve",
        "3xfer",
        "",
    ];
    for btype in types {
        let block = of_type(
            btype,
            &[
                ("mthd", text("152mint")),
                ("caller", blob(&[1; 29])),
                ("to", account()),
                ("from", account()),
                ("amt", nat(50_000)),
                ("ts", nat(CREATED.0)),
                ("reason", reason()),
                ("meta", map(&[("k", reason()), ("long", blob(&[5; 500]))])),
            ],
        );
        assert_eq!(judged(vec![mint(0), block]), (None, vec![]), "{btype}");
    }
    // Payers can put any memo into these, so it must not hold anything up.
    for btype in ["1mint", "1burn", "2approve"] {
        let block = with(block_of(&wanted()), "btype", text(btype));
        let block = without(block, "tx", Some("spender"));
        assert_eq!(judged(vec![block]), (None, vec![]), "{btype}");
    }
    // A block with the payment's memo under another type might be the payment, and is no proof that it is.
    for btype in ["122burn", "4transfer", "xfer2"] {
        let block = with(block_of(&wanted()), "btype", text(btype));
        assert_eq!(judged(vec![block]), (None, vec![0]), "{btype}");
    }
}

#[test]
fn a_transfer_with_more_fields_than_the_standard_is_read() {
    let deep = |levels: u32| (0..levels).fold(nat(1), |inner, _| ICRC3Value::Array(vec![inner]));
    let wide = || ICRC3Value::Array((0..500).map(nat).collect());
    let extra = [
        ("fee", text("none")),
        ("memo2", blob(&[8; 32])),
        ("wide", wide()),
        ("deep", deep(8)),
        ("a map", map(&[("memo", blob(&[8; 32])), ("from", nat(1))])),
    ];
    for (name, value) in extra {
        for block in [
            with(block_of(&wanted()), name, value.clone()),
            with_tx(block_of(&wanted()), name, value.clone()),
        ] {
            assert_eq!(judged(vec![mint(0), block]), (Some(1), vec![]), "{name}");
        }
    }
}

#[test]
fn numbers_are_compared_by_value_whatever_their_type() {
    let ours = || block_of(&wanted());
    let int = |number: i64| ICRC3Value::Int(Int::from(number));
    let same = [
        with_tx(ours(), "amt", int(50_000)),
        with_tx(ours(), "ts", int(CREATED.0 as i64)),
        with(ours(), "ts", int(CREATED.0 as i64)),
    ];
    for block in same {
        assert_eq!(judged(vec![mint(0), block]), (Some(1), vec![]));
    }
    let huge = || ICRC3Value::Int(Int::from(i128::MAX) * Int::from(4));
    // Without the canister's name in it.
    let ours = || without(block_of(&wanted()), "tx", Some("spender"));
    let different = [
        with_tx(ours(), "amt", int(-50_000)),
        with_tx(ours(), "amt", int(49_999)),
        with_tx(ours(), "amt", huge()),
        with_tx(ours(), "ts", int(-1)),
        with_tx(ours(), "ts", huge()),
        with_tx(ours(), "amt", int(64)),
    ];
    for block in different {
        assert_eq!(judged(vec![block]), (None, vec![]));
    }
}

/// Older ledgers name no spender. Then it is not known whether there was one.
#[test]
fn a_transfer_that_does_not_say_who_made_it_might_be_ours() {
    let alone = Transfer {
        spender: None,
        ..wanted()
    };
    let dialect = without(block_of(&alone), "btype", None);
    assert_eq!(judged(vec![dialect.clone()]), (None, vec![0]));
    // A transfer out of the canister's own account is found in it.
    let page = read_all(&result(vec![(0, dialect)])).unwrap();
    assert_eq!(find(&page, &alone), Some(BlockIndex(0)));
    // `1xfer` means that the payer made it, but a ledger may write that for both.
    assert_eq!(judged(vec![block_of(&alone)]), (None, vec![0]));
}

#[test]
fn an_unclear_block_of_another_time_is_passed() {
    let at = |block: ICRC3Value, ts: u64| with(block, "ts", nat(ts));
    let odd = || without(block_of(&wanted()), "tx", Some("amt"));
    let window = u64::from(FORGOTTEN.0 + BLOCK_DRIFT.0) * 1_000_000_000;
    let early = u64::from(BLOCK_DRIFT.0) * 1_000_000_000;
    for (ts, doubtful) in [
        (CREATED.0 - early - 1, false),
        (CREATED.0 - early, true),
        (CREATED.0 + window, true),
        (CREATED.0 + window + 1, false),
    ] {
        let expected = if doubtful { vec![0] } else { vec![] };
        assert_eq!(judged(vec![at(odd(), ts)]), (None, expected), "{ts}");
    }
    // It has no time, but follows a block that is too late, or precedes one that is too old.
    let timeless = || text(&"x".repeat(100));
    let late = mint(CREATED.0 + window + 1);
    assert_eq!(judged(vec![late, timeless()]), (None, vec![]));
    let page = read_all(&result(vec![(0, timeless()), (1, mint(0))])).unwrap();
    assert_eq!(first_possible(CREATED, &page), 2);
}

/// A value in a reply, with a gap for a block that no encoder writes.
fn with_nested(levels: usize, width: u8) -> Vec<u8> {
    let innermost = ICRC3Value::Array(vec![ICRC3Value::Array(vec![])]);
    let mut reply = Encode!(&result(vec![(0, mint(0)), (1, innermost)])).unwrap();
    // Archives come last, and there are none. Before them is the innermost array; its tag and its length are repeated.
    let Some([tag, 0, 0]) = reply.split_last_chunk().map(|(_, last)| *last) else {
        panic!("another order of fields");
    };
    reply.truncate(reply.len() - 2);
    for _ in 0..levels {
        reply.extend([width, tag]);
    }
    reply.push(0);
    // The other elements of the wider ones: empty arrays.
    for _ in 0..levels * usize::from(width - 1) {
        reply.extend([tag, 0]);
    }
    reply.push(0);
    reply
}

#[test]
fn a_block_that_is_too_deep_or_too_large_is_unclear_and_the_others_are_read() {
    let large = ICRC3Value::Array((0..11_000).map(nat).collect());
    let encoded = Encode!(&result(vec![(0, mint(0)), (1, large)])).unwrap();
    for (number, reply) in [
        with_nested(40, 1),
        with_nested(100_000, 1),
        with_nested(20_000, 3),
        encoded,
    ]
    .iter()
    .enumerate()
    {
        let page = read(LogKind::Icrc3, reply, &EVERYTHING, true);
        let page = page.unwrap_or_else(|error| panic!("{number}: {error}"));
        assert_eq!(page.blocks.len(), 2);
        assert_ne!(page.blocks[0].shown, Shown::Unclear(Box::default()));
        assert_eq!(doubtful(&page, &wanted()), [1]);
    }
    // Wider and deeper than the limits.
    let bomb = with_nested(300_000, 3);
    assert!(bomb.len() < MAX_REPLY_BYTES);
    assert_eq!(
        read(LogKind::Icrc3, &bomb, &EVERYTHING, true),
        Err(Unreadable::NotCandid)
    );
}

#[test]
fn a_transfer_with_a_deep_field_holds_up_its_own_payment_at_most() {
    let deep = (0..40).fold(nat(1), |inner, _| ICRC3Value::Array(vec![inner]));
    let block = with(block_of(&wanted()), "metadata", deep);
    let blocks = vec![block, block_of(&wanted())];
    assert_eq!(judged(blocks), (Some(1), vec![0]));
}

/// Many large blocks: those beyond the work limit of one reply are left for the next one.
#[test]
fn a_page_of_large_blocks_is_read_in_part() {
    let large = || ICRC3Value::Array((0..2_000).map(nat).collect());
    let blocks = (0..300).map(|index| (index, large())).collect();
    let page = read_all(&result(blocks)).unwrap();
    let read = page.blocks.len() as u64;
    assert!((50..300).contains(&read), "{read}");
    assert_eq!(advance(0, CREATED, &page), read);
    assert_eq!(page.log_length, 300);
    assert!(doubtful(&page, &wanted()).is_empty());
}
