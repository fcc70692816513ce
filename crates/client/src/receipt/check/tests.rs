use super::*;

fn receipt() -> Receipt {
    Receipt {
        payment_id: "07".repeat(32),
        network: "icp:1".into(),
        asset: "xevnm-gaaaa-aaaar-qafnq-cai".into(),
        transaction: "5".into(),
        payer: Principal::from_slice(&[1]).to_text(),
        pay_to: Principal::from_slice(&[2]).to_text(),
        amount: "10000".into(),
        fee: "10".into(),
        method: "GET".into(),
        path: "/report".into(),
        settled_at: "1000000000000".into(),
    }
}

fn block() -> Block {
    Block {
        from: Account::from(Principal::from_slice(&[1])).into(),
        to: Account::from(Principal::from_slice(&[2])).into(),
        spender: Some(Account::from(Principal::from_slice(&[3])).into()),
        amount: Amount(10_000),
        memo: Some(vec![7; 32]),
        fee: Some(Amount(10)),
        timestamp: Some(999_000_000_000),
    }
}

fn collected_by(spender: Principal) -> Expected {
    Expected {
        spender: Some(spender),
        ..Expected::default()
    }
}

/// As returned to anybody who knows the payment's id.
fn public() -> Receipt {
    Receipt {
        payer: String::new(),
        method: String::new(),
        path: String::new(),
        ..receipt()
    }
}

#[test]
fn who_paid_is_compared_with_the_block_where_the_receipt_does_not_say_it() {
    let by = |payer: u8| Expected {
        payer: Some(Principal::from_slice(&[payer]).into()),
        ..Expected::default()
    };
    assert!(public().as_expected(&by(1)).is_ok());
    assert!(public().compare(&block(), &Expected::default()).is_ok());
    assert!(public().compare(&block(), &by(1)).is_ok());
    let found = public().compare(&block(), &by(9));
    assert!(
        matches!(found, Err(ReceiptError::Disproved { field: "payer", .. })),
        "{found:?}"
    );
}

#[test]
fn what_the_receipt_does_not_say_is_the_block_s_and_the_canister_s() {
    let value = |canister: Option<&Receipt>, name| {
        let fields = public().fields(&block(), canister);
        let field = fields.into_iter().find(|field| field.field == name)?;
        Some((field.value, field.proven_by))
    };
    let payer = Principal::from_slice(&[1]).to_text();
    assert_eq!(value(None, "payer"), Some((payer, ProvenBy::Block)));
    assert_eq!(value(None, "path"), None);
    assert_eq!(value(Some(&public()), "path"), None);
    assert_eq!(
        value(Some(&receipt()), "path"),
        Some(("/report".into(), ProvenBy::Canister))
    );
    assert_eq!(
        value(Some(&public()), "settledAt"),
        Some(("1000000000000".into(), ProvenBy::Canister))
    );
}

#[test]
fn a_true_receipt_is_borne_out() {
    let spender = Principal::from_slice(&[3]);
    assert!(receipt().compare(&block(), &collected_by(spender)).is_ok());
    assert!(receipt().compare(&block(), &Expected::default()).is_ok());
}

#[test]
fn every_lie_is_named() {
    let stranger = Account::from(Principal::from_slice(&[9]));
    type Lie = fn(&mut Block, Account);
    let lies: [(&str, Lie); 7] = [
        ("payer", |b, s| b.from = s.into()),
        ("recipient", |b, s| b.to = s.into()),
        ("amount", |b, _| b.amount = Amount(9_999)),
        ("memo", |b, _| b.memo = None),
        ("fee", |b, _| b.fee = Some(Amount(11))),
        ("time", |b, _| b.timestamp = Some(2_000_000_000_000)),
        ("spender", |b, _| b.spender = None),
    ];
    for (name, lie) in lies {
        let mut block = block();
        lie(&mut block, stranger);
        let found = receipt().compare(&block, &collected_by(Principal::from_slice(&[3])));
        assert!(
            matches!(found, Err(ReceiptError::Disproved { field, .. }) if field == name),
            "{name}: {found:?}"
        );
    }
}

#[test]
fn the_receipt_of_another_payment_is_not_the_one_asked_for() {
    let other = Principal::from_slice(&[9]);
    let expected = [
        (
            "paymentId",
            Expected {
                id: Some(PaymentId([8; 32])),
                ..Default::default()
            },
        ),
        (
            "asset",
            Expected {
                asset: Some(other),
                ..Default::default()
            },
        ),
        (
            "payer",
            Expected {
                payer: Some(other.into()),
                ..Default::default()
            },
        ),
        (
            "payTo",
            Expected {
                pay_to: Some(other.into()),
                ..Default::default()
            },
        ),
        (
            "amount",
            Expected {
                amount: Some(Amount(1)),
                ..Default::default()
            },
        ),
    ];
    for (name, expected) in expected {
        let found = receipt().as_expected(&expected);
        assert!(
            matches!(found, Err(ReceiptError::Other { field, .. }) if field == name),
            "{name}: {found:?}"
        );
    }
    let right = Expected {
        id: Some(PaymentId([7; 32])),
        ..Default::default()
    };
    assert!(receipt().as_expected(&right).is_ok());
    assert!(receipt().of(PaymentId([7; 32])).is_ok());
    assert!(receipt().of(PaymentId([8; 32])).is_err());
}

#[test]
fn each_field_names_what_confirms_it() {
    let by = |block: &Block, canister: bool, name| {
        let said = receipt();
        let fields = receipt().fields(block, canister.then_some(&said));
        fields
            .iter()
            .find(|field| field.field == name)
            .unwrap()
            .proven_by
    };
    let mut silent = block();
    silent.fee = None;
    for (block, canister, name, expected) in [
        (block(), false, "amount", ProvenBy::Block),
        (block(), false, "payer", ProvenBy::Block),
        (block(), false, "path", ProvenBy::Nothing),
        (block(), true, "path", ProvenBy::Canister),
        (block(), false, "settledAt", ProvenBy::Nothing),
        (block(), true, "fee", ProvenBy::Block),
        (silent.clone(), true, "fee", ProvenBy::Canister),
        (silent, false, "fee", ProvenBy::Nothing),
    ] {
        assert_eq!(by(&block, canister, name), expected, "{name}");
    }
}

#[test]
fn an_odd_receipt_is_read_member_by_member() {
    let body =
        br#"{"paymentId": "07", "transaction": 5.0, "fee": null, "amount": 10000, "more": []}"#;
    let read = crate::receipt::read(body).unwrap();
    assert_eq!(
        (read.transaction.as_str(), read.amount.as_str()),
        ("5", "10000")
    );
    assert_eq!((read.fee.as_str(), read.path.as_str()), ("", ""));
    for odd in [
        &b"[]"[..],
        b"{}",
        b"{\"paymentId\": \"07\"}",
        b"{\"paymentId\": \"07\", \"transaction\": {}}",
    ] {
        assert!(crate::receipt::read(odd).is_err());
    }
}

#[test]
fn the_payers_own_transfer_bears_out_its_receipt() {
    let own = Block {
        spender: None,
        ..block()
    };
    let asset = Principal::from_text(&receipt().asset).unwrap();
    let id = |index: u8| {
        own.payment_by_transfer("icp:1", asset, &Nat::from(index))
            .unwrap()
    };
    let by_transfer = |id: PaymentId| Receipt {
        payment_id: id.to_string(),
        ..receipt()
    };
    // The canister of the receipt collects nothing, so the block names nobody.
    let expected = collected_by(Principal::from_slice(&[3]));
    assert!(by_transfer(id(5)).compare(&own, &expected).is_ok());
    for (receipt, block) in [
        // The id of another block, and a block that a spender made.
        (by_transfer(id(6)), own.clone()),
        (by_transfer(id(5)), block()),
    ] {
        let found = receipt.compare(&block, &expected);
        assert!(
            matches!(found, Err(ReceiptError::Disproved { field: "memo", .. })),
            "{found:?}"
        );
    }
    let found = receipt().compare(&own, &expected);
    assert!(
        matches!(
            found,
            Err(ReceiptError::Disproved {
                field: "spender",
                ..
            })
        ),
        "{found:?}"
    );
}
