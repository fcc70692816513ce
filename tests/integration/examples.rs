//! The canisters of `examples/`: one that sells a method, and one that buys within a policy.

use crate::support::{
    Setup, environment,
    flow::ARTICLE,
    interface::*,
    setup::{CYCLES, FEE, controller, stranger},
};
use candid::{Encode, Nat, Principal};
use example_buyer::{
    BuyError, Entry, Order,
    journal::State,
    policy::{Cap, Policy},
};
use serde_bytes::ByteBuf;
use test_ledger::testing::Fault;

const PRICE: u128 = 30_000;
/// What a purchase costs the buyer: the price, and the fees of transfer and approval.
const COST: u128 = PRICE + 2 * FEE;

type Bought = Result<Purchased, BuyError>;

fn example(setup: &Setup, name: &str, argument: Vec<u8>) -> Principal {
    let owner = Some(controller());
    let id = setup.pic.create_canister_with_settings(owner, None);
    setup.pic.add_cycles(id, CYCLES);
    let wasm = environment::example_wasm(name);
    setup.pic.install_canister(id, wasm, argument, owner);
    id
}

/// Pays by `pay`, and returns the payment's id.
fn pays(setup: &Setup, payer: Principal, path: &str, id: u8) -> ByteBuf {
    let key = RouteKey {
        method: "GET".into(),
        path: path.into(),
    };
    let quote: Option<Quote> = setup.query(payer, "quote", (key,));
    let offer = quote.expect("it is sold").offers.remove(0);
    let args = PayArgs {
        id: ByteBuf::from(vec![id; 32]),
        method: "GET".into(),
        path: path.into(),
        ledger: offer.ledger,
        amount: offer.amount,
        fee: offer.fee,
        pay_to: AccountArg::from(offer.pay_to),
        from_subaccount: None,
        created_at_time: setup.now_ns(),
    };
    let paid: Result<Purchased, PayError> = setup.update(payer, "pay", (args,));
    paid.expect("paid").receipt.payment_id
}

#[test]
fn a_canister_sells_a_method_with_forty_lines_of_payment_code() {
    let code = include_str!("../../examples/seller/src/paid.rs");
    let code = code.lines().filter(|line| {
        let line = line.trim();
        !line.is_empty() && !line.starts_with("//")
    });
    assert!(code.count() <= 40);
    let setup = Setup::with_any_ledger();
    setup.sell("/forecast", PRICE);
    setup.sell("/other", PRICE);
    let seller = example(&setup, "seller", Encode!(&setup.canister).unwrap());
    let named: Result<(), RouteError> =
        setup.update(controller(), "access_readers_set", (vec![seller],));
    named.expect("controllers name readers");
    let told: Result<(), RouteError> = setup.update(controller(), "notify_set", (Some(seller),));
    told.expect("a canister");
    let ask = |caller: Principal, id: &ByteBuf| -> Result<String, String> {
        setup.update_at(seller, caller, "forecast", (id,))
    };
    let payer = setup.payer(90).account.owner;
    let id = pays(&setup, payer, "/forecast", 1);
    let refused = |result: Result<String, String>, text: &str| {
        let said = result.expect_err("not paid");
        assert!(said.contains(text), "{said}");
    };
    refused(ask(stranger(), &id), "NotPaid");
    refused(ask(payer, &ByteBuf::from(vec![0; 32])), "NotPaid");
    refused(ask(payer, &ByteBuf::from(vec![0; 31])), "InvalidArgument");
    let other = pays(&setup, payer, "/other", 2);
    refused(ask(payer, &other), "NotPaid");
    assert_eq!(ask(payer, &id).as_deref(), Ok("Sun, 21 degrees."));
    refused(ask(payer, &id), "used before");

    setup.advance(10);
    for _ in 0..8 {
        setup.pic.tick();
    }
    let sold = || -> u64 { setup.query_at(seller, stranger(), "sold", ()) };
    assert_eq!(sold(), 2);
    // Others cannot tell it of sales.
    let forged = PaymentEvent {
        event_id: 99,
        kind: PaymentEventKind::Delivered,
        at: 0,
        payment_id: id,
        ledger: setup.ledger.0,
        block_index: Nat::from(0u8),
        payer: payer.into(),
        pay_to: payer.into(),
        amount: Nat::from(1u8),
        fee: Nat::from(1u8),
        method: "GET".into(),
        path: "/forecast".into(),
    };
    let forged = Encode!(&forged).unwrap();
    let refused = setup
        .pic
        .update_call(seller, stranger(), "x402_notify", forged);
    assert!(refused.is_err());
    assert_eq!(sold(), 2);
    setup.check_conservation();
}

struct Shop {
    setup: Setup,
    buyer: Principal,
}

impl Shop {
    /// A buyer with money, who may spend three purchases a day.
    fn open(setup: Setup) -> Self {
        setup.sell("/article", PRICE);
        setup.sell("/dear", 10 * PRICE);
        let policy = Policy {
            sellers: vec![setup.canister],
            caps: vec![Cap {
                ledger: setup.ledger.0,
                per_payment: Nat::from(COST),
                per_day: Nat::from(3 * COST),
            }],
        };
        let buyer = example(&setup, "buyer", Encode!(&policy).unwrap());
        setup.ledger.mint(&setup, buyer.into(), 100 * PRICE);
        Shop { setup, buyer }
    }

    fn order(&self, id: u8, path: &str) -> Order {
        Order {
            id: ByteBuf::from(vec![id; 32]),
            seller: self.setup.canister,
            method: "GET".into(),
            path: path.into(),
        }
    }

    fn buy(&self, order: Order) -> Bought {
        let owner = controller();
        self.setup.update_at(self.buyer, owner, "buy", (order,))
    }

    fn spent(&self) -> u128 {
        let left = self.setup.ledger.balance(&self.setup, self.buyer.into());
        100 * PRICE - left
    }

    fn journal(&self) -> Vec<Entry> {
        let entries: Result<Vec<Entry>, BuyError> =
            self.setup.query_at(self.buyer, controller(), "journal", ());
        entries.expect("for controllers")
    }
}

#[test]
fn a_canister_buys_within_its_policy_and_repeats_for_nothing() {
    let shop = Shop::open(Setup::with_any_ledger());
    let first = shop.buy(shop.order(1, "/article")).expect("bought");
    assert_eq!(first.body.as_slice(), ARTICLE);
    assert_eq!(shop.spent(), COST);
    assert_eq!(shop.buy(shop.order(1, "/article")), Ok(first));
    assert_eq!(shop.spent(), COST, "the same order");
    assert_eq!(shop.buy(shop.order(1, "/dear")), Err(BuyError::BadId));
    let refused = |result: Bought, text: &str| match result {
        Err(BuyError::NotAllowed(said)) => assert!(said.contains(text), "{said}"),
        other => panic!("{other:?}"),
    };
    refused(shop.buy(shop.order(2, "/dear")), "a payment");
    let elsewhere = Order {
        seller: shop.setup.another_canister(),
        ..shop.order(3, "/article")
    };
    refused(shop.buy(elsewhere), "not allowed");
    for id in [4, 5] {
        shop.buy(shop.order(id, "/article")).expect("bought");
    }
    refused(shop.buy(shop.order(6, "/article")), "a day");
    assert_eq!(shop.spent(), 3 * COST);
    shop.setup.advance(86_400);
    shop.buy(shop.order(6, "/article")).expect("the next day");
    let stranger: Bought =
        shop.setup
            .update_at(shop.buyer, stranger(), "buy", (shop.order(7, "/article"),));
    assert_eq!(stranger, Err(BuyError::Unauthorized));
    assert_eq!(shop.journal().len(), 4);
    assert_eq!(shop.spent(), 4 * COST);
}

#[test]
fn a_canister_whose_answer_is_lost_gives_the_same_order_again_and_pays_once() {
    let shop = Shop::open(Setup::new());
    let ledger = shop.setup.ledger;
    ledger.fault(&shop.setup, 1, &Fault::lost_after_transfer());
    let lost = shop.buy(shop.order(1, "/article"));
    assert!(matches!(lost, Err(BuyError::Unknown(_))), "{lost:?}");
    assert_eq!(shop.journal()[0].state, State::Open);
    let wasm = environment::example_wasm("buyer");
    let argument = Encode!(&()).unwrap();
    shop.setup
        .pic
        .upgrade_canister(shop.buyer, wasm, argument, Some(controller()))
        .expect("the journal is in stable memory");
    let bought = shop.buy(shop.order(1, "/article")).expect("bought");
    let payment_id = bought.receipt.payment_id.clone();
    assert_eq!(shop.journal()[0].state, State::Bought { payment_id });
    assert_eq!(ledger.pulled_by(&shop.setup, shop.setup.canister).len(), 1);
    assert_eq!(shop.spent(), COST);
    // What provably failed is over, and costs the approval.
    let error = icrc_ledger_types::icrc2::transfer_from::TransferFromError::TemporarilyUnavailable;
    ledger.fault(&shop.setup, 1, &Fault::transfer_from_error(error));
    for _ in 0..2 {
        let failed = shop.buy(shop.order(2, "/article"));
        assert!(matches!(failed, Err(BuyError::Failed(_))), "{failed:?}");
    }
    assert_eq!(shop.spent(), COST + FEE);
    shop.buy(shop.order(3, "/article")).expect("bought");
    assert_eq!(shop.spent(), 2 * COST + FEE);
}
