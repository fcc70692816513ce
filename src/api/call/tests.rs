use super::*;
use crate::{
    api::{
        http::certify_all,
        types::{AccountArg, PaymentStatus},
    },
    domain::{
        payment::State,
        route::{RouteDraft, tests::draft},
    },
    runtime::scripted::run,
    service::pay::tests::{Shop, shop},
};
use candid::Nat;
use icrc_ledger_types::icrc2::transfer_from::TransferFromError;

type Change = fn(&mut PayArgs);

fn open_shop() -> Shop {
    let shop = shop();
    certify_all(&shop.runtime);
    shop.runtime.caller.set(buyer());
    shop
}

fn put_free(shop: &Shop, path: &str) {
    shop.runtime.caller.set(shop.runtime.controller);
    let free = RouteDraft {
        prices: vec![],
        ..draft(path)
    };
    catalogue::put(&shop.runtime, free).unwrap();
    certify_all(&shop.runtime);
    shop.runtime.caller.set(buyer());
}

fn buyer() -> Principal {
    Principal::from_slice(&[42])
}

fn wanted(path: &str) -> RouteKey {
    RouteKey {
        method: "GET".into(),
        path: path.into(),
    }
}

/// The terms of the first current offer.
fn args(shop: &Shop, id: u8) -> PayArgs {
    let quote = quote(&shop.runtime, wanted("/a")).unwrap();
    let offer = &quote.offers[0];
    PayArgs {
        id: ByteBuf::from(vec![id; 32]),
        method: "GET".into(),
        path: "/a".into(),
        ledger: offer.ledger,
        amount: offer.amount.clone(),
        fee: offer.fee.clone(),
        pay_to: AccountArg {
            owner: offer.pay_to.owner,
            subaccount: offer.pay_to.subaccount.map(ByteBuf::from),
        },
        from_subaccount: None,
        created_at_time: shop.runtime.now().0,
    }
}

fn paid(shop: &Shop, args: &PayArgs) -> Result<Purchased, PayError> {
    run(pay(&shop.runtime, args.clone()))
}

fn code(result: Result<Purchased, PayError>) -> String {
    match result {
        Err(PayError::Refused { code, .. }) => code,
        other => panic!("expected a refusal, got {other:?}"),
    }
}

#[test]
fn a_caller_buys_by_call_and_a_repetition_costs_nothing() {
    let shop = open_shop();
    let args = args(&shop, 1);
    shop.will(Ok(Nat::from(7u8)));
    let first = paid(&shop, &args).unwrap();
    assert_eq!(first.body.as_slice(), b"goods");
    assert_eq!(first.receipt.block_index, Nat::from(7u8));
    assert_eq!(first.receipt.payer, Some(Account::from(buyer())));
    let transfer = shop.asked(0);
    assert_eq!(transfer.from, Account::from(buyer()));
    let memo = transfer.memo.unwrap().0;
    assert_eq!(memo.as_slice(), first.receipt.payment_id.as_slice());

    assert_eq!(paid(&shop, &args).unwrap(), first);
    assert_eq!(shop.runtime.made(), 1);
    let id = PaymentId(first.receipt.payment_id.to_vec().try_into().unwrap());
    let payment = crate::service::payments::payment(&id).unwrap();
    assert!(matches!(payment.state, State::Delivered { .. }));
    assert!(matches!(
        PaymentStatus::from(payment.state),
        PaymentStatus::Delivered { .. }
    ));
}

/// One id never pays for two purchases, and the id of another caller does not interfere.
#[test]
fn attack_pay_repeated_with_the_same_id_and_other_terms() {
    let shop = open_shop();
    let first = args(&shop, 1);
    shop.will(Ok(Nat::from(7u8)));
    paid(&shop, &first).unwrap();
    // Also with terms that fit no offer: the caller has to learn that the id has a payment.
    let changes: [Change; 5] = [
        |args| args.from_subaccount = Some(ByteBuf::from(vec![1; 32])),
        |args| args.created_at_time -= 1,
        |args| args.fee += 1u8,
        |args| args.amount += 1u8,
        |args| args.path = "/nowhere".into(),
    ];
    for change in changes {
        let mut other = first.clone();
        change(&mut other);
        assert_eq!(code(paid(&shop, &other)), "invalid_exact_icp_nonce_used");
    }
    assert_eq!(shop.runtime.made(), 1);

    shop.runtime.caller.set(Principal::from_slice(&[43]));
    shop.will(Ok(Nat::from(8u8)));
    let theirs = paid(&shop, &first).unwrap();
    assert_eq!(theirs.receipt.block_index, Nat::from(8u8));
}

#[test]
fn an_unknown_outcome_is_pending_and_the_same_call_asks_the_same_again() {
    let shop = open_shop();
    let args = args(&shop, 1);
    shop.will_reject(4);
    let Err(PayError::Pending { payment_id }) = paid(&shop, &args) else {
        panic!("expected a pending payment");
    };
    let later = shop.runtime.now().plus(crate::types::Seconds(60));
    shop.runtime.now.set(later);
    shop.will(Err(TransferFromError::Duplicate {
        duplicate_of: Nat::from(7u8),
    }));
    let bought = paid(&shop, &args).unwrap();
    assert_eq!(bought.receipt.payment_id, payment_id);
    assert_eq!(shop.asked(0), shop.asked(1));
}

#[test]
fn a_failure_uses_the_id_up() {
    let shop = open_shop();
    let args = args(&shop, 1);
    shop.will(Err(TransferFromError::InsufficientAllowance {
        allowance: Nat::from(0u8),
    }));
    for _ in 0..2 {
        let Err(PayError::Failed { code, .. }) = paid(&shop, &args) else {
            panic!("expected a failure");
        };
        assert_eq!(code, "insufficient_allowance");
    }
    assert_eq!(
        shop.runtime
            .calls
            .borrow()
            .iter()
            .filter(|call| call.method == "icrc2_transfer_from")
            .count(),
        1
    );
}

#[test]
fn bad_arguments_are_named_and_cost_no_call() {
    let shop = open_shop();
    let good = args(&shop, 1);
    let cases: [(Change, &str); 7] = [
        (|args| args.id = ByteBuf::from(vec![1; 31]), "id"),
        (
            |args| args.from_subaccount = Some(ByteBuf::from(vec![])),
            "from_subaccount",
        ),
        (
            |args| args.pay_to.subaccount = Some(ByteBuf::from(vec![1; 33])),
            "pay_to.subaccount",
        ),
        (
            |args| args.amount = Nat::from(2u8) * Nat::from(u128::MAX),
            "amount",
        ),
        (|args| args.method = "BREW".into(), "method"),
        (|args| args.path = "/a?b".into(), "path"),
        (|args| args.path = format!("/{}", "x".repeat(256)), "path"),
    ];
    for (change, field) in cases {
        let mut bad = good.clone();
        change(&mut bad);
        let Err(PayError::InvalidArgument(error)) = paid(&shop, &bad) else {
            panic!("{field}");
        };
        assert_eq!(error.field, field);
        let too_long = bad.path.len() > crate::domain::template::MAX_PATH_BYTES;
        assert!(field != "path" || error.limit.is_some() == too_long);
    }
    let nothing = PayArgs {
        path: "/nothing".into(),
        ..good.clone()
    };
    assert_eq!(
        code(paid(&shop, &nothing)),
        "invalid_exact_icp_offer_mismatch"
    );
    let cheaper = PayArgs {
        amount: Nat::from(1u8),
        ..good.clone()
    };
    assert_eq!(
        code(paid(&shop, &cheaper)),
        "invalid_exact_icp_amount_mismatch"
    );
    shop.runtime.caller.set(Principal::anonymous());
    assert_eq!(paid(&shop, &good), Err(PayError::AnonymousCaller));
    assert_eq!(shop.runtime.made(), 0);
}

#[test]
fn a_free_path_is_not_sold() {
    let shop = open_shop();
    put_free(&shop, "/free");
    let mut args = args(&shop, 1);
    args.path = "/free".into();
    let Err(PayError::Refused { code, message }) = paid(&shop, &args) else {
        panic!("expected a refusal");
    };
    assert_eq!(code, "invalid_exact_icp_offer_mismatch");
    assert_eq!(message, "this path is free: fetch it without a payment");
}

#[test]
fn a_quote_names_what_serves_the_path() {
    let shop = open_shop();
    let quoted = quote(&shop.runtime, wanted("/a")).unwrap();
    assert_eq!(quoted.offers.len(), 1);
    assert_eq!(quoted.offers[0].spender, shop.runtime.canister_id());
    assert_eq!(quote(&shop.runtime, wanted("/nothing")), None);
    let brew = RouteKey {
        method: "BREW".into(),
        path: "/a".into(),
    };
    assert_eq!(quote(&shop.runtime, brew), None);
    // What `pay` refuses has no quote.
    put_free(&shop, "/b/{id}");
    assert!(quote(&shop.runtime, wanted("/b/1")).is_some());
    assert!(quote(&shop.runtime, wanted("/b/\u{fc}")).is_some());
    let long = format!("/b/{}", "x".repeat(254));
    for path in ["/b/1?c", "/b/1#c", "/b//1", "/b/%31", "/b/1 2", &long] {
        assert_eq!(quote(&shop.runtime, wanted(path)), None, "{path}");
    }
}
