//! The blocks that show a transfer, and those that might.

use super::*;

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

/// Attack 20: mint and burn blocks offered as payment, a block that pays another account, or too little.
#[test]
fn attack_20_other_blocks_are_not_ours() {
    let ours = wanted();
    // Made by another spender. Blocks that name this canister are tested below.
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

/// Attack 39: a ledger records the canister's transfer with another amount (less its fee, for one), to another account,
/// or as a burn. Nobody else can make a block with the payment's memo and the canister's name.
#[test]
fn attack_39_a_block_with_our_name_and_memo_is_never_absence() {
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
        // It names no maker, and all other fields are equal.
        odd(&|t| t.spender = None),
        without(odd(&|t| t.spender = None), "tx", Some("ts")),
    ];
    let count = blocks.len() as u64;
    let page = read_all(&result((0..).zip(blocks).collect())).unwrap();
    assert_eq!(find(&page, &wanted()), None);
    assert_eq!(doubtful(&page, &wanted()), (0..count).collect::<Vec<_>>());

    // The same for a transfer out of the canister's own account, which nobody else can move.
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
    assert!(
        doubtful(&page, &refund).is_empty(),
        "another account's money"
    );
}

/// A token without a fee that this canister mints: a refund out of the minting account is recorded as a mint, which names
/// no payer. Taken for absence, the refund was made twice.
#[test]
fn attack_39_a_mint_that_pays_out_what_was_owed_is_never_absence() {
    let paid = Transfer {
        spender: None,
        from: Account::from(principal(3)),
        to: Account::from(principal(2)),
        ..wanted()
    };
    let page = read_all(&result(vec![(0, mint(CREATED.0))])).unwrap();
    assert_eq!(
        (find(&page, &paid), doubtful(&page, &paid)),
        (None, vec![0])
    );
    let others: [fn(&mut Transfer); 4] = [
        |t| t.memo = [8; 32],
        |t| t.to = Account::from(principal(9)),
        |t| t.amount = Amount(49_999),
        // Nobody mints by an allowance.
        |t| t.spender = Some(Account::from(principal(3))),
    ];
    for change in others {
        let mut other = paid.clone();
        change(&mut other);
        assert_eq!(doubtful(&page, &other), [0; 0], "{other:?}");
    }
}
