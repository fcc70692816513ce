//! Ledgers as they are in practice: several tokens in one 402, decimals up to 18, no fee, subaccounts, and ledgers that
//! go away.

use crate::support::{
    Request, Setup,
    flow::{ARTICLE, Sale},
    interface::*,
    ledger::TestLedger,
    payer::Payer,
    setup::{controller, minter, stranger},
};
use candid::{Nat, Principal};
use serde_bytes::ByteBuf;
use test_ledger::testing::{Fault, LedgerInit};
use x402_icp::{Code, wire::PaymentRequirements};

type Bought = Result<Purchased, PayError>;

/// A token of the route: its ledger, the price, and what is known of it.
struct Token {
    ledger: TestLedger,
    symbol: &'static str,
    decimals: u8,
    fee: u128,
    price: u128,
}

fn token(setup: &Setup, symbol: &'static str, decimals: u8, fee: u128, price: u128) -> Token {
    let init = LedgerInit::new(symbol, symbol, minter());
    let ledger = TestLedger::install(setup, init.decimals(decimals).fee(fee).with_faults());
    let added = setup.ledger_add(ledger.0).expect("it is a ledger");
    assert_eq!((added.decimals, added.fee), (decimals, Nat::from(fee)));
    Token {
        ledger,
        symbol,
        decimals,
        fee,
        price,
    }
}

/// A route with these prices, in this order, paid to this account.
fn sell<'a>(setup: &'a Setup, tokens: &[Token], pay_to: Option<Account>) -> Sale<'a> {
    let mut route = setup.priced("GET", "/article", 1);
    route.pay_to = pay_to.map(AccountArg::from);
    route.prices = tokens
        .iter()
        .map(|token| Price {
            ledger: token.ledger.0,
            amount: Nat::from(token.price),
        })
        .collect();
    let put: Result<Route, RouteError> = setup.update(controller(), "route_put", (route,));
    put.expect("a good route");
    setup.upload("GET", "/article", ARTICLE);
    setup.sale(Request::get("/article"))
}

/// Gives the payer what one purchase takes, and the allowance for it.
fn fund(setup: &Setup, token: &Token, account: Account) {
    let needed = token.price + token.fee;
    token.ledger.mint(setup, account, needed + token.fee);
    token.ledger.approve(setup, account, setup.canister, needed);
    assert_eq!(token.ledger.balance(setup, account), needed);
}

/// The offer that a client takes whose payer has money in one of the tokens only.
fn affordable(setup: &Setup, offers: &[PaymentRequirements], account: Account) -> usize {
    let has = |offer: &PaymentRequirements| {
        let ledger = TestLedger(offer.asset.parse().expect("a principal"));
        let needed: u128 = offer.amount.parse().expect("an amount");
        ledger.balance(setup, account) >= needed
    };
    offers.iter().position(has).expect("one of them")
}

fn call(setup: &Setup, token: &Token, from: Account, id: u8) -> Bought {
    let key = RouteKey {
        method: "GET".into(),
        path: "/article".into(),
    };
    let quote: Option<Quote> = setup.query(stranger(), "quote", (key,));
    let offers = quote.expect("it is sold").offers;
    let mut offers = offers.into_iter();
    let offer = offers
        .find(|offer| offer.ledger == token.ledger.0)
        .expect("it is offered in this token");
    let args = PayArgs {
        id: ByteBuf::from(vec![id; 32]),
        method: "GET".into(),
        path: "/article".into(),
        ledger: offer.ledger,
        amount: offer.amount,
        fee: offer.fee,
        pay_to: AccountArg::from(offer.pay_to),
        from_subaccount: from.subaccount.map(|bytes| ByteBuf::from(bytes.to_vec())),
        created_at_time: setup.now_ns(),
    };
    setup.update(from.owner, "pay", (args,))
}

/// ckUSDC, ICP, ckBTC and ckETH with their decimals and fees; 25 ckETH are more units than 64 bits hold.
fn tokens(setup: &Setup) -> Vec<Token> {
    vec![
        token(setup, "ckUSDC", 6, 10_000, 1_000_000),
        token(setup, "ICP", 8, 10_000, 20_000_000),
        token(setup, "ckBTC", 8, 10, 1_500),
        token(
            setup,
            "ckETH",
            18,
            2_000_000_000_000,
            25_000_000_000_000_000_000,
        ),
    ]
}

#[test]
fn one_402_offers_several_tokens_and_each_of_them_buys() {
    let setup = Setup::new();
    let tokens = tokens(&setup);
    let sale = sell(&setup, &tokens, None);
    let offers = sale.offers();
    for (offer, token) in offers.iter().zip(&tokens) {
        let extra = &offer.extra;
        assert_eq!(
            (extra.symbol.as_str(), extra.decimals, extra.fee.parse()),
            (token.symbol, token.decimals, Ok(token.fee))
        );
        assert_eq!(offer.amount.parse(), Ok(token.price));
    }
    assert_eq!(offers.len(), tokens.len());
    for (n, token) in tokens.iter().enumerate() {
        // Over HTTP, the payer having money in this token only.
        let payer = Payer::ed25519(200 + n as u8);
        fund(&setup, token, payer.account);
        let chosen = affordable(&setup, &offers, payer.account);
        assert_eq!(chosen, n, "{}", token.symbol);
        let signed = payer.sign(&offers[chosen], setup.now());
        let paid = sale.present(signed).send().expect_settled();
        let receipt = setup.receipt(paid.signed.id.0).expect("a receipt");
        assert_eq!(receipt.ledger, token.ledger.0);
        assert_eq!(token.ledger.balance(&setup, payer.account), 0);
        // And by call.
        let caller = Payer::ed25519(210 + n as u8).account;
        fund(&setup, token, caller);
        let bought = call(&setup, token, caller, 1).expect("paid");
        assert_eq!(bought.receipt.amount, Nat::from(token.price));
        assert_eq!(token.ledger.balance(&setup, caller), 0);
        let pulled = token.ledger.pulled_by(&setup, setup.canister);
        let amounts: Vec<u128> = pulled.iter().map(|block| block.amount).collect();
        assert_eq!(amounts, [token.price, token.price], "{}", token.symbol);
    }
    assert_eq!(setup.settled().len(), 2 * tokens.len());
}

/// Payment, refund and withdrawal where the ledger takes no fee.
#[test]
fn a_ledger_without_a_fee_is_paid_refunded_and_withdrawn_from() {
    let setup = Setup::new();
    let free = [token(&setup, "FREE", 8, 0, 30_000)];
    let ledger = free[0].ledger;
    let own = Account::from(setup.canister);
    let sale = sell(&setup, &free, Some(own));
    assert_eq!(sale.offer().extra.fee, "0");
    let payer = Payer::ed25519(201);
    fund(&setup, &free[0], payer.account);
    assert_eq!(sale.pay(&payer).send().answer.status, 200);
    assert_eq!(setup.settled().len(), 1);
    fund(&setup, &free[0], payer.account);
    call(&setup, &free[0], payer.account, 1).expect("paid");
    assert_eq!(ledger.balance(&setup, own), 60_000);

    // Paid, and never fetched.
    fund(&setup, &free[0], payer.account);
    ledger.fault(&setup, 1, &Fault::lost_after_transfer());
    let lost = sale.pay(&payer).send().signed;
    let refunded = |status: &PaymentStatus| matches!(status, PaymentStatus::Refunded { .. });
    setup.wait(&lost, |status| {
        matches!(status, PaymentStatus::Settled { .. })
    });
    let owed: Result<PaymentStatus, RefundError> = setup.update(
        controller(),
        "refund_payment",
        (ByteBuf::from(lost.id.0.to_vec()),),
    );
    owed.expect("it is owed");
    setup.wait(&lost, refunded);
    assert_eq!(ledger.balance(&setup, payer.account), 30_000);

    let withdrawal = WithdrawArgs {
        ledger: ledger.0,
        ..setup.withdrawal(60_000)
    };
    setup.withdraw(withdrawal).expect("all of it is free");
    assert_eq!(ledger.balance(&setup, own), 0);
}

#[test]
fn subaccounts_pay_and_are_paid_over_http_and_by_call() {
    let setup = Setup::with_any_ledger();
    let author = Account {
        owner: Principal::self_authenticating([77; 32]),
        subaccount: Some([3; 32]),
    };
    let token = Token {
        ledger: setup.ledger,
        symbol: "ckUSDC",
        decimals: 6,
        fee: crate::support::setup::FEE,
        price: 30_000,
    };
    let sale = sell(&setup, std::slice::from_ref(&token), Some(author));
    let payer = Payer::ed25519(202).with_subaccount([9; 32]);
    fund(&setup, &token, payer.account);
    let paid = sale.pay(&payer).send();
    assert_eq!(paid.answer.status, 200);
    fund(&setup, &token, payer.account);
    let bought = call(&setup, &token, payer.account, 1).expect("paid");
    assert_eq!(bought.receipt.payer, Some(payer.account));
    assert_eq!(bought.receipt.pay_to, author);
    let main = Account::from(payer.account.owner);
    let balances = [author, payer.account, main, author.owner.into()];
    let balances = balances.map(|account| token.ledger.balance(&setup, account));
    assert_eq!(balances, [60_000, 0, 0, 0]);
    // The allowance of a subaccount is not that of another one.
    fund(&setup, &token, payer.account);
    let other = Account {
        subaccount: Some([10; 32]),
        ..payer.account
    };
    let refused = call(&setup, &token, other, 2);
    let code = Code::InsufficientAllowance.as_str();
    assert!(
        matches!(&refused, Err(PayError::Failed { code: c, .. }) if c == code),
        "{refused:?}"
    );
}

/// The ledger is stopped, uninstalled or deleted. The offers of others sell on, nobody pays for the one that is gone,
/// and the operator takes it off.
fn gone(remove: impl Fn(&Setup, Principal)) {
    let setup = Setup::new();
    let tokens = [
        token(&setup, "GONE", 8, 10, 1_000),
        token(&setup, "HERE", 8, 10, 1_000),
    ];
    let sale = sell(&setup, &tokens, None);
    let offers = sale.offers();
    let payer = Payer::ed25519(203);
    for token in &tokens {
        fund(&setup, token, payer.account);
    }
    remove(&setup, tokens[0].ledger.0);
    assert_eq!(
        sale.offers(),
        offers,
        "the 402 is certified and asks nobody"
    );
    let lost = sale.present(payer.sign(&offers[0], setup.now())).send();
    let outcome = lost.answer.payment_response().expect("an outcome");
    assert!(!outcome.success);
    let by_call = call(&setup, &tokens[0], payer.account, 1);
    assert!(
        matches!(
            by_call,
            Err(PayError::Failed { .. } | PayError::Pending { .. })
        ),
        "{by_call:?}"
    );
    let asked: Result<Ledger, LedgerError> =
        setup.update(stranger(), "ledger_refresh", (tokens[0].ledger.0,));
    // Whoever is refused may have had it asked already; then nothing is learnt within five minutes.
    assert!(
        matches!(&asked, Err(LedgerError::LedgerUnavailable { .. }))
            || matches!(&asked, Ok(ledger) if ledger.fee == 10u8),
        "{asked:?}"
    );
    let signed = payer.sign(&offers[1], setup.now());
    sale.present(signed).send().expect_settled();
    let disabled: Result<Ledger, LedgerError> =
        setup.update(controller(), "ledger_enable", (tokens[0].ledger.0, false));
    assert!(!disabled.expect("it is known").enabled);
    let left = sale.offers();
    assert_eq!(left.len(), 1);
    assert_eq!(left[0].asset, tokens[1].ledger.0.to_text());
    assert_eq!(tokens[1].ledger.pulled_by(&setup, setup.canister).len(), 1);
    assert_eq!(setup.settled().len(), 1);
}

fn stop(setup: &Setup, ledger: Principal) {
    setup
        .pic
        .stop_canister(ledger, Some(controller()))
        .expect("controllers stop it");
}

#[test]
fn a_stopped_ledger_leaves_the_other_offers_alone() {
    gone(stop);
}

#[test]
fn an_uninstalled_ledger_leaves_the_other_offers_alone() {
    gone(|setup, ledger| {
        let done = setup.pic.uninstall_canister(ledger, Some(controller()));
        done.expect("controllers uninstall it");
    });
}

#[test]
fn a_deleted_ledger_leaves_the_other_offers_alone() {
    gone(|setup, ledger| {
        stop(setup, ledger);
        let done = setup.pic.delete_canister(ledger, Some(controller()));
        done.expect("controllers delete it");
    });
}
