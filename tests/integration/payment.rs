//! All ways to pay.

use crate::support::{
    CanisterSigner, Payer, Request, Setup,
    flow::ARTICLE,
    interface::Price,
    setup::{FEE, FUNDS, merchant},
};
use candid::{Nat, Principal};
use icrc_ledger_types::icrc1::account::Account;
use x402_icp::Code;

const PRICE: u128 = 25_000;
const DAY_NS: u64 = 86_400_000_000_000;

fn paid_get_with(make: impl FnOnce(&Setup) -> Payer) {
    let setup = Setup::with_any_ledger();
    let payer = make(&setup);
    let payer = setup.funded(payer);
    let sale = setup.sell("/article", PRICE);
    sale.pay(&payer).send().expect_settled();
    assert_eq!(
        setup.ledger.balance(&setup, payer.account),
        FUNDS - FEE - PRICE - FEE
    );
    assert_eq!(setup.ledger.balance(&setup, merchant()), PRICE);
}

#[test]
fn paid_get_with_an_ed25519_key() {
    paid_get_with(|_| Payer::ed25519(20));
}

#[test]
fn paid_get_with_a_secp256k1_key() {
    paid_get_with(|_| Payer::secp256k1(21));
}

#[test]
fn paid_get_with_a_p256_key() {
    paid_get_with(|_| Payer::p256(22));
}

#[test]
fn paid_get_with_a_delegation() {
    paid_get_with(|setup| Payer::delegated(23, setup.now_ns() + DAY_NS, None));
}

#[test]
fn paid_get_with_a_delegation_for_this_canister_only() {
    paid_get_with(|setup| {
        Payer::delegated(24, setup.now_ns() + DAY_NS, Some(vec![setup.canister]))
    });
}

#[test]
fn paid_get_with_a_canister_signature() {
    paid_get_with(|setup| Payer::of(CanisterSigner::new(setup, [25; 32])));
}

#[test]
fn paid_get_with_a_delegation_by_a_canister() {
    // The keys that Internet Identity gives a browser.
    paid_get_with(|setup| {
        let identity = CanisterSigner::new(setup, [26; 32]);
        let targets = Some(vec![setup.canister]);
        Payer::delegated_by(&identity, 26, setup.now_ns() + DAY_NS, targets)
    });
}

#[test]
fn a_canister_signature_is_good_for_one_payment() {
    let setup = Setup::with_any_ledger();
    let payer = setup.funded(Payer::of(CanisterSigner::new(&setup, [27; 32])));
    let sale = setup.sell("/article", PRICE);
    let (first, second) = (sale.pay(&payer), sale.pay(&payer));
    let signature = first.signed.payload.payload.signature.clone();
    let forged = second.tamper(|signed| signed.tamper(|payload| payload.signature = signature));
    forged.send().expect_refused(Code::Signature);
    first.send().expect_settled();
}

#[test]
fn paid_get_from_a_subaccount() {
    let setup = Setup::with_any_ledger();
    let payer = setup.funded(Payer::ed25519(25).with_subaccount([9; 32]));
    setup
        .sell("/article", PRICE)
        .pay(&payer)
        .send()
        .expect_settled();
}

#[test]
fn paid_post_binds_the_method() {
    let setup = Setup::with_any_ledger();
    let payer = setup.payer(26);
    let get = setup.sell("/article", PRICE);
    let post = setup.sell_at("POST", "/article", 2 * PRICE);
    assert_ne!(get.offer().extra.offer, post.offer().extra.offer);
    post.pay(&payer).send().expect_settled();
    get.pay(&payer).send().expect_settled();
}

#[test]
fn paid_post_with_a_body_learns_the_offer_from_an_update() {
    let setup = Setup::with_any_ledger();
    let payer = setup.payer(27);
    setup.sell_at("POST", "/article", PRICE);
    let sale = setup.sale(Request::new("POST", "/article").body(b"question"));
    let unpaid = setup.send(&Request::new("POST", "/article").body(b"question"));
    assert!(unpaid.upgraded && unpaid.status == 402);
    sale.pay(&payer).send().expect_settled();
}

#[test]
fn paid_get_of_a_template() {
    let setup = Setup::with_any_ledger();
    let payer = setup.payer(28);
    setup.sell("/data/{id}", PRICE);
    for url in ["/data/1", "/data/caf%C3%A9", "/data/1?page=2"] {
        let settled = setup
            .sale(Request::get(url))
            .pay(&payer)
            .send()
            .expect_settled();
        let receipt = setup.receipt(settled.signed.id.0).unwrap();
        let path = url.split('?').next().unwrap().replace("%C3%A9", "é");
        assert_eq!(receipt.path, Some(path));
    }
    assert_eq!(setup.get("/data/1/2").status, 404);
    assert_eq!(setup.get("/data").status, 404);
}

#[test]
fn one_of_several_prices_is_paid() {
    let setup = Setup::new();
    let payer = setup.payer(29);
    let other = setup.another_ledger("SECOND");
    other.mint(&setup, payer.account, FUNDS);
    other.approve(&setup, payer.account, setup.canister, FUNDS);
    let mut route = setup.priced("GET", "/article", PRICE);
    route.prices.push(Price {
        ledger: other.0,
        amount: Nat::from(7_u8),
    });
    setup.route_put(route).unwrap();
    setup.upload("GET", "/article", ARTICLE);
    let sale = setup.sale(Request::get("/article"));
    let offers = sale.offers();
    assert_eq!(offers.len(), 2);
    assert_eq!(
        (offers[0].asset.as_str(), offers[0].amount.as_str()),
        (setup.ledger.0.to_text().as_str(), "25000")
    );
    assert_eq!(offers[1].extra.symbol, "SECOND");
    sale.present(payer.sign(&offers[1], setup.now()))
        .send()
        .expect_settled();
    assert_eq!(other.balance(&setup, merchant()), 7);
    sale.present(payer.sign(&offers[0], setup.now()))
        .send()
        .expect_settled();
}

#[test]
fn the_offer_says_what_the_scheme_asks_for() {
    let setup = Setup::with_any_ledger();
    let sale = setup.sell("/article", PRICE);
    let offer = sale.offer();
    let config = setup.config();
    assert_eq!(offer.scheme, "exact");
    assert_eq!(offer.network, config.network);
    assert_eq!(
        offer.network,
        x402_icp::network::network_id(&setup.pic.root_key().unwrap())
    );
    assert_eq!(offer.asset, setup.ledger.0.to_text());
    assert_eq!(offer.amount, "25000");
    assert_eq!(offer.pay_to, merchant().to_string());
    assert_eq!(offer.extra.asset_transfer_method, "icrc2");
    assert_eq!(offer.extra.spender, setup.canister.to_text());
    assert_eq!(offer.extra.fee, FEE.to_string());
    assert_eq!(
        (offer.extra.symbol.as_str(), offer.extra.decimals),
        ("ckUSDC", 6)
    );
    assert_eq!(offer.extra.offer.len(), 32);
    assert_eq!(offer, sale.offer(), "offers are reproducible");
}

#[test]
fn a_route_of_its_own_account_pays_there() {
    let setup = Setup::with_any_ledger();
    let payer = setup.payer(30);
    let author = Account {
        owner: Principal::self_authenticating([77; 32]),
        subaccount: Some([3; 32]),
    };
    let mut route = setup.priced("GET", "/article", PRICE);
    route.pay_to = Some(author.into());
    let put: Result<crate::support::interface::Route, crate::support::interface::RouteError> =
        setup.update(crate::support::setup::controller(), "route_put", (route,));
    assert_eq!(put.unwrap().pay_to, author);
    setup.upload("GET", "/article", ARTICLE);
    setup
        .sale(Request::get("/article"))
        .pay(&payer)
        .send()
        .expect_settled();
    assert_eq!(setup.ledger.balance(&setup, author), PRICE);
}

#[test]
fn head_with_a_payment_never_charges() {
    let setup = Setup::with_any_ledger();
    let payer = setup.payer(31);
    let sale = setup.sell("/article", PRICE);
    let signed = payer.sign(&sale.offer(), setup.now());
    let answer = setup.send(&Request::new("HEAD", "/article").payment(&signed.header()));
    assert_eq!(
        (answer.status, answer.body.len(), answer.upgraded),
        (402, 0, true)
    );
    setup.check_conservation();
    assert!(setup.payments().is_empty());
    sale.present(signed).send().expect_settled();
}

#[test]
fn free_content_ignores_payments() {
    let setup = Setup::with_any_ledger();
    let payer = setup.payer(32);
    let sale = setup.sell("/article", PRICE);
    setup.publish_free("/about", b"about us");
    let signed = payer.sign(&sale.offer(), setup.now());
    let answer = setup.send(&Request::get("/about").payment(&signed.header()));
    assert_eq!((answer.status, answer.upgraded), (200, false));
    assert_eq!(answer.body, b"about us");
    setup.check_conservation();
    assert!(setup.payments().is_empty());
}

#[test]
fn two_payments_of_one_payer_are_two_blocks() {
    let setup = Setup::with_any_ledger();
    let payer = setup.payer(33);
    let sale = setup.sell("/article", PRICE);
    let first = sale.pay(&payer).send().expect_settled();
    let second = sale.pay(&payer).send().expect_settled();
    assert_ne!(first.block, second.block);
    assert_eq!(setup.payments().len(), 2);
}

#[test]
fn a_canister_never_holds_the_money() {
    let setup = Setup::with_any_ledger();
    let payer = setup.payer(34);
    setup
        .sell("/article", PRICE)
        .pay(&payer)
        .send()
        .expect_settled();
    assert_eq!(setup.ledger.balance(&setup, setup.canister.into()), 0);
}
