//! Ledgers with unusual symbols or decimals: they can be added, sold in, and paid with.

use crate::support::{
    Request, Setup, environment,
    flow::ARTICLE,
    ledger::TestLedger,
    payer::Payer,
    setup::{CYCLES, FEE, controller, minter},
};
use candid::Nat;
use test_ledger::testing::LedgerInit;

const PRICE: u128 = 30_000;

/// A ledger of a token with this symbol and these decimals, not registered.
fn ledger(setup: &Setup, symbol: &str, decimals: u8) -> TestLedger {
    let subnet = setup.pic.get_subnet(setup.ledger.0).unwrap();
    let id = setup
        .pic
        .create_canister_on_subnet(Some(controller()), None, subnet);
    setup.pic.add_cycles(id, CYCLES);
    let init = LedgerInit::new(symbol, "Token", minter())
        .decimals(decimals)
        .fee(FEE);
    let wasm = environment::test_ledger_wasm();
    setup
        .pic
        .install_canister(id, wasm, init.encode(), Some(controller()));
    TestLedger(id)
}

/// Adds the ledger, sells in it, and buys by the 402, echoed to the byte as stock clients do.
fn sold(symbol: &str, decimals: u8, shown: &str) {
    let setup = Setup::new();
    let ledger = ledger(&setup, symbol, decimals);
    let added = setup.ledger_add(ledger.0).expect("any ledger is taken");
    assert_eq!((added.symbol.as_str(), added.decimals), (shown, decimals));
    let mut args = setup.priced("GET", "/article", PRICE);
    args.prices[0].ledger = ledger.0;
    args.prices[0].amount = Nat::from(PRICE);
    setup.route_put(args).expect("a good route");
    setup.upload("GET", "/article", ARTICLE);
    let sale = setup.sale(Request::get("/article"));
    let offer = sale.offer();
    assert_eq!(
        (offer.extra.symbol.as_str(), offer.extra.decimals),
        (shown, decimals)
    );
    let payer = Payer::ed25519(195);
    ledger.mint(&setup, payer.account, 10 * PRICE);
    ledger.approve(&setup, payer.account, setup.canister, 5 * PRICE);
    let paid = sale.pay(&payer).send();
    assert_eq!(
        (paid.answer.status, paid.answer.body.as_slice()),
        (200, ARTICLE)
    );
    assert_eq!(ledger.pulled_by(&setup, setup.canister).len(), 1);
}

#[test]
fn a_token_with_a_symbol_beyond_ascii_can_be_sold_in() {
    sold("USD₮0", 6, "USD₮0");
}

#[test]
fn a_token_without_a_symbol_can_be_sold_in() {
    sold("", 0, "?");
}

#[test]
fn a_token_with_an_endless_symbol_can_be_sold_in() {
    let shown = format!("{}…", "₿".repeat(23));
    sold(&"₿".repeat(600_000), 18, &shown);
}

#[test]
fn a_token_whose_symbol_controls_terminals_can_be_sold_in() {
    sold("\u{202e}C\u{1b}[2JD\r\nS\u{0}U\u{2069}", 255, "C[2JD SU");
}
