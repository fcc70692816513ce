//! Buying by call: `quote` and `pay`, by principals and by canisters.

use crate::support::{
    Setup,
    flow::ARTICLE,
    interface::{AccountArg, PayArgs, PayError, PaymentStatus, Purchased, Quote, RouteKey},
    setup::{FEE, controller, merchant, stranger},
};
use candid::{Decode, Encode, Nat, Principal};
use serde_bytes::ByteBuf;
use test_ledger::testing::Fault;

const PRICE: u128 = 30_000;

type Bought = Result<Purchased, PayError>;

fn quote(setup: &Setup, path: &str) -> Option<Quote> {
    let key = RouteKey {
        method: "GET".into(),
        path: path.into(),
    };
    setup.query(stranger(), "quote", (key,))
}

/// The terms of the first offer.
fn args(setup: &Setup, path: &str, id: u8) -> PayArgs {
    let quote = quote(setup, path).expect("a route serves it");
    let offer = &quote.offers[0];
    PayArgs {
        id: ByteBuf::from(vec![id; 32]),
        method: "GET".into(),
        path: path.into(),
        ledger: offer.ledger,
        amount: offer.amount.clone(),
        fee: offer.fee.clone(),
        pay_to: AccountArg::from(offer.pay_to),
        from_subaccount: None,
        created_at_time: setup.now_ns(),
    }
}

fn pay(setup: &Setup, caller: Principal, args: &PayArgs) -> Bought {
    setup.update(caller, "pay", (args,))
}

fn blocks(setup: &Setup) -> usize {
    setup.ledger.pulled_by(setup, setup.canister).len()
}

#[test]
fn a_principal_buys_by_call_and_repeats_it_for_nothing() {
    let setup = Setup::with_any_ledger();
    let buyer = setup.payer(60).account.owner;
    setup.sell("/data/{id}", PRICE);
    let args = args(&setup, "/data/7", 1);
    let first = pay(&setup, buyer, &args).expect("paid");
    assert_eq!(first.body.as_slice(), ARTICLE);
    let receipt = &first.receipt;
    assert_eq!(receipt.payer, Some(buyer.into()));
    assert_eq!(receipt.pay_to, merchant());
    assert_eq!(receipt.path.as_deref(), Some("/data/7"));
    assert_eq!(
        (&receipt.amount, &receipt.fee),
        (&Nat::from(PRICE), &Nat::from(FEE))
    );
    let pulled = setup.ledger.pulled_by(&setup, setup.canister);
    assert_eq!(pulled.len(), 1);
    assert_eq!(Nat::from(pulled[0].block), receipt.block_index);
    assert_eq!(pulled[0].memo, receipt.payment_id.as_slice());

    assert_eq!(pay(&setup, buyer, &args), Ok(first.clone()));
    setup.upgrade();
    assert_eq!(pay(&setup, buyer, &args), Ok(first));
    assert_eq!(blocks(&setup), 1);
    setup.check_conservation();
}

#[test]
fn two_payers_use_the_same_id_without_meeting() {
    let setup = Setup::with_any_ledger();
    let (one, two) = (setup.payer(60).account.owner, setup.payer(61).account.owner);
    setup.sell("/article", PRICE);
    let args = args(&setup, "/article", 1);
    let first = pay(&setup, one, &args).expect("paid");
    let second = pay(&setup, two, &args).expect("paid");
    assert_ne!(first.receipt.payment_id, second.receipt.payment_id);
    assert_eq!(blocks(&setup), 2);
    setup.check_conservation();
}

#[test]
fn attack_twenty_equal_calls_in_parallel_make_one_block() {
    let setup = Setup::with_any_ledger();
    let buyer = setup.payer(62).account.owner;
    setup.sell("/article", PRICE);
    let args = args(&setup, "/article", 1);
    let argument = Encode!(&args).unwrap();
    let calls: Vec<_> = (0..20)
        .map(|_| {
            let call = setup
                .pic
                .submit_call(setup.canister, buyer, "pay", argument.clone());
            call.expect("the call is taken")
        })
        .collect();
    let answers: Vec<Bought> = calls
        .into_iter()
        .map(|call| Decode!(&setup.pic.await_call(call).expect("no trap"), Bought).unwrap())
        .collect();
    assert!(answers.iter().any(|answer| answer.is_ok()));
    for answer in &answers {
        assert!(
            matches!(answer, Ok(_) | Err(PayError::Pending { .. })),
            "{answer:?}"
        );
    }
    assert!(pay(&setup, buyer, &args).is_ok());
    assert_eq!(blocks(&setup), 1);
    setup.check_conservation();
}

#[test]
fn attack_pay_with_a_used_id_and_other_terms() {
    let setup = Setup::with_any_ledger();
    let buyer = setup.payer(63).account.owner;
    setup.sell("/article", PRICE);
    setup.sell("/dearer", 2 * PRICE);
    pay(&setup, buyer, &args(&setup, "/article", 1)).expect("paid");
    let other = pay(&setup, buyer, &args(&setup, "/dearer", 1));
    let Err(PayError::Refused { code, .. }) = other else {
        panic!("{other:?}");
    };
    assert_eq!(code, "invalid_exact_icp_nonce_used");
    assert_eq!(blocks(&setup), 1);
    setup.check_conservation();
}

/// The price changes between quote and call: no payment is made that was not agreed to.
#[test]
fn a_price_that_has_changed_is_refused() {
    let setup = Setup::with_any_ledger();
    let buyer = setup.payer(64).account.owner;
    setup.sell("/article", PRICE);
    let stale = args(&setup, "/article", 1);
    setup
        .route_put(setup.priced("GET", "/article", 2 * PRICE))
        .unwrap();
    let refused = pay(&setup, buyer, &stale);
    let Err(PayError::Refused { code, .. }) = refused else {
        panic!("{refused:?}");
    };
    assert_eq!(code, "invalid_exact_icp_amount_mismatch");
    // The id stays free.
    pay(&setup, buyer, &args(&setup, "/article", 1)).expect("paid");
    setup.check_conservation();
}

#[test]
fn an_outcome_that_got_lost_is_pending_and_settles_by_itself_or_by_the_same_call() {
    let setup = Setup::new();
    let buyer = setup.payer(65).account.owner;
    setup.sell("/article", PRICE);
    setup.ledger.fault(&setup, 1, &Fault::lost_after_transfer());
    let wanted = args(&setup, "/article", 1);
    let pending = pay(&setup, buyer, &wanted);
    assert!(
        matches!(pending, Err(PayError::Pending { .. })),
        "{pending:?}"
    );
    // The canister's own timer may be trying at the same time.
    let settled = (0..10).any(|_| {
        setup.advance(10);
        pay(&setup, buyer, &wanted).is_ok()
    });
    assert!(settled);
    assert_eq!(blocks(&setup), 1);

    // The call is not repeated: the canister finds out by itself, and the resource waits.
    setup.ledger.fault(&setup, 1, &Fault::lost_after_transfer());
    let wanted = args(&setup, "/article", 2);
    let Err(PayError::Pending { payment_id }) = pay(&setup, buyer, &wanted) else {
        panic!("expected a pending payment");
    };
    let id: [u8; 32] = payment_id.to_vec().try_into().unwrap();
    let settled = |setup: &Setup| {
        matches!(
            setup.payment(id).unwrap().status,
            PaymentStatus::Settled { .. }
        )
    };
    for _ in 0..60 {
        if settled(&setup) {
            break;
        }
        setup.advance(40);
        for _ in 0..6 {
            setup.pic.tick();
        }
    }
    assert!(settled(&setup));
    setup.upgrade();
    pay(&setup, buyer, &wanted).expect("delivered");
    assert_eq!(blocks(&setup), 2);
    setup.check_conservation();
}

#[test]
fn no_call_pays_without_money_or_with_the_anonymous_principal() {
    let setup = Setup::with_any_ledger();
    setup.sell("/article", PRICE);
    let wanted = args(&setup, "/article", 1);
    for _ in 0..2 {
        let failed = pay(&setup, stranger(), &wanted);
        let Err(PayError::Failed { code, .. }) = failed else {
            panic!("{failed:?}");
        };
        assert!(["insufficient_allowance", "insufficient_funds"].contains(&code.as_str()));
    }
    let argument = Encode!(&wanted).unwrap();
    let anonymous = setup
        .pic
        .submit_call(setup.canister, Principal::anonymous(), "pay", argument);
    assert!(anonymous.is_err(), "inspect_message drops it");
    assert_eq!(quote(&setup, "/nothing"), None);
    assert_eq!(blocks(&setup), 0);
    setup.check_conservation();
}

/// A canister pays as any other principal: it gives the allowance, and calls.
#[test]
fn a_canister_buys_from_the_canister() {
    use torture::program::{call, encode};
    let setup = Setup::with_any_ledger();
    let buyer = setup
        .pic
        .create_canister_with_settings(Some(controller()), None);
    setup.pic.add_cycles(buyer, 10_000_000_000_000);
    let wasm = crate::support::environment::torture_wasm();
    setup
        .pic
        .install_canister(buyer, wasm, vec![], Some(controller()));
    setup.sell("/article", PRICE);
    setup.ledger.mint(&setup, buyer.into(), 10 * PRICE);
    let does = |callee: Principal, method: &str, argument: Vec<u8>| -> Vec<u8> {
        let program = encode(&[call(callee, method, argument).forward().op()]);
        setup
            .pic
            .update_call(buyer, controller(), "run", program)
            .expect("the call is answered")
    };
    let approval = icrc_ledger_types::icrc2::approve::ApproveArgs {
        from_subaccount: None,
        spender: setup.canister.into(),
        amount: Nat::from(PRICE + FEE),
        expected_allowance: None,
        expires_at: None,
        fee: None,
        memo: None,
        created_at_time: None,
    };
    does(setup.ledger.0, "icrc2_approve", Encode!(&approval).unwrap());
    setup.watch(buyer.into(), 10 * PRICE - FEE);
    let wanted = args(&setup, "/article", 1);
    let reply = does(setup.canister, "pay", Encode!(&wanted).unwrap());
    let bought = Decode!(&reply, Bought).unwrap().expect("paid");
    assert_eq!(bought.body.as_slice(), ARTICLE);
    assert_eq!(bought.receipt.payer, Some(buyer.into()));
    assert_eq!(blocks(&setup), 1);
    setup.check_conservation();
}

/// A reply too large to send would trap after the money moved.
#[test]
fn the_largest_content_is_delivered_by_call() {
    let setup = Setup::with_any_ledger();
    let buyer = setup.payer(66).account.owner;
    setup.sell("/large", PRICE);
    let body = vec![7; 1_900_000];
    setup.upload("GET", "/large", &body);
    let bought = pay(&setup, buyer, &args(&setup, "/large", 1)).expect("paid");
    assert!(bought.body.as_slice() == body);
    setup.check_conservation();
}
