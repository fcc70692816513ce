//! Ledgers with unusual symbols or decimals: they can be added, sold in, and paid with.

use crate::support::{
    Request, Setup,
    flow::ARTICLE,
    interface::{AccountArg, PayArgs, Quote, RouteKey},
    ledger::TestLedger,
    payer::Payer,
    setup::{FEE, minter, stranger},
};
use candid::{Encode, Nat};
use icrc_ledger_types::icrc21::{
    errors::Icrc21Error,
    requests::{ConsentMessageMetadata, ConsentMessageRequest, ConsentMessageSpec},
    responses::{ConsentInfo, ConsentMessage},
};
use serde_bytes::ByteBuf;
use test_ledger::testing::LedgerInit;

const PRICE: u128 = 30_000;

/// Adds the ledger, sells in it, and buys by the 402, echoed to the byte as stock clients do.
fn sold(symbol: &str, decimals: u8, shown: &str) {
    let setup = Setup::new();
    let init = LedgerInit::new(symbol, "Token", minter());
    let ledger = TestLedger::install(&setup, init.decimals(decimals).fee(FEE));
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
    consented(&setup, shown);
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

/// What a wallet shows for a call that buys the article names the token, too.
fn consented(setup: &Setup, shown: &str) {
    let key = RouteKey {
        method: "GET".into(),
        path: "/article".into(),
    };
    let quote: Option<Quote> = setup.query(stranger(), "quote", (key,));
    let offer = quote.expect("it is sold").offers.remove(0);
    assert_eq!(offer.symbol, shown);
    let args = PayArgs {
        id: ByteBuf::from(vec![7; 32]),
        method: "GET".into(),
        path: "/article".into(),
        ledger: offer.ledger,
        amount: offer.amount,
        fee: offer.fee,
        pay_to: AccountArg::from(offer.pay_to),
        from_subaccount: None,
        created_at_time: setup.now_ns(),
    };
    let request = ConsentMessageRequest {
        method: "pay".into(),
        arg: Encode!(&args).unwrap(),
        user_preferences: ConsentMessageSpec {
            metadata: ConsentMessageMetadata {
                language: "en".into(),
                utc_offset_minutes: None,
            },
            device_spec: None,
        },
    };
    let method = "icrc21_canister_call_consent_message";
    let info: Result<ConsentInfo, Icrc21Error> = setup.update(stranger(), method, (request,));
    let ConsentMessage::GenericDisplayMessage(text) = info.expect("described").consent_message
    else {
        panic!("text was asked for");
    };
    assert!(text.contains(&format!(" {shown}`")), "{text}");
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
