use super::*;
use crate::{
    domain::{
        capacity::NoCapacity,
        config::{Config, Limits},
        ledger::Ledger,
        offer,
        route::{ContentMeta, Price, tests::draft},
    },
    types::{Method, RouteKey, Seconds},
};

type Change = fn(&mut CallTerms);

const NOW: TimestampNs = TimestampNs(1_800_000_000_000_000_000);

fn principal(n: u8) -> Principal {
    Principal::from_slice(&[n])
}

fn route() -> Route {
    let mut route = draft("/a").apply(None, None, &Limits::default(), 1);
    route.content = Some(ContentMeta {
        blob: 1,
        bytes: 1,
        sha256: [0; 32],
    });
    route
}

fn offers(route: &Route) -> Vec<Offer> {
    let config = Config {
        network: "icp:1".into(),
        pay_to: Account::from(principal(1)),
        operators: vec![],
        limits: Limits::default(),
        origin: None,
        trusted_origins: vec![],
        readers: vec![],
    };
    let ledger = Ledger {
        id: route.prices[0].ledger,
        symbol: "ckUSDC".into(),
        decimals: 6,
        fee: Amount(10),
        standards: vec![],
        answers_query_blocks: false,
        enabled: true,
    };
    offer::offers(route, |_| Some(&ledger), &config, principal(9))
}

fn terms(offer: &Offer) -> CallTerms {
    CallTerms {
        caller: principal(3),
        id: Nonce([7; 32]),
        from: Account::from(principal(3)),
        ledger: offer.ledger.id,
        amount: offer.price.amount,
        fee: offer.ledger.fee,
        pay_to: offer.pay_to,
        created_at: NOW,
    }
}

fn purchase() -> Purchase {
    Purchase::Call(RouteKey::new(Method::Get, "/a"))
}

fn free(_: &Principal, _: &Principal) -> Capacity {
    Capacity {
        public: Ok(()),
        of_payer: Ok(()),
    }
}

fn checked(
    change: impl FnOnce(&mut CallTerms),
    capacity: impl FnOnce(&Principal, &Principal) -> Capacity,
) -> Result<(TimestampNs, u64), Code> {
    let route = route();
    let offers = offers(&route);
    let mut terms = terms(&offers[0]);
    change(&mut terms);
    let sale = CallSale {
        route: &route,
        offers: &offers,
        canister: principal(9),
        now: NOW,
    };
    verify(&terms, &purchase(), &sale, capacity)
        .map(|verified| (verified.created_at, verified.valid_before))
        .map_err(|refusal| refusal.code)
}

#[test]
fn the_terms_have_to_be_those_of_an_offer() {
    let timeout = u64::from(route().max_timeout.0);
    let good = Ok((NOW, NOW.seconds() + timeout));
    assert_eq!(checked(|_| {}, free), good);
    let cases: [(Change, Code); 5] = [
        (|terms| terms.ledger = principal(99), Code::AssetMismatch),
        (|terms| terms.amount.0 -= 1, Code::AmountMismatch),
        (|terms| terms.amount.0 += 1, Code::AmountMismatch),
        (
            |terms| terms.pay_to = Account::from(principal(99)),
            Code::RecipientMismatch,
        ),
        (|terms| terms.fee.0 += 1, Code::OfferMismatch),
    ];
    for (change, code) in cases {
        assert_eq!(checked(change, free), Err(code));
    }
    // The default subaccount is the account without one.
    let default = |terms: &mut CallTerms| terms.pay_to.subaccount = Some([0; 32]);
    assert_eq!(checked(default, free), good);
}

/// `quote` shows both prices, so either can be paid.
#[test]
fn each_of_two_prices_in_one_ledger_can_be_paid() {
    let mut route = route();
    let ledger = route.prices[0].ledger;
    route.prices = [20, 10]
        .map(|n| Price {
            ledger,
            amount: Amount(n),
        })
        .into();
    let offers = offers(&route);
    let bought = |amount: u128| {
        let mut terms = terms(&offers[0]);
        terms.amount = Amount(amount);
        let sale = CallSale {
            route: &route,
            offers: &offers,
            canister: principal(9),
            now: NOW,
        };
        verify(&terms, &purchase(), &sale, free).map(|verified| verified.offer.price.amount)
    };
    assert_eq!(bought(20), Ok(Amount(20)));
    assert_eq!(bought(10), Ok(Amount(10)));
    let refusal = bought(15).unwrap_err();
    assert_eq!(refusal.code, Code::AmountMismatch);
    assert_eq!(refusal.message, "amount is not that of any offer: 20, 10");
}

#[test]
fn the_time_of_the_transfer_is_now_or_lately() {
    let timeout = route().max_timeout;
    let at = |time: TimestampNs| checked(move |terms| terms.created_at = time, free);
    assert_eq!(at(NOW), Ok((NOW, NOW.seconds() + u64::from(timeout.0))));
    assert_eq!(at(TimestampNs(NOW.0 + 1)), Err(Code::NotYetValid));
    let oldest = TimestampNs(NOW.0 - u64::from(timeout.0 - 1) * 1_000_000_000);
    assert_eq!(at(oldest), Ok((oldest, NOW.seconds() + 1)));
    let expired = TimestampNs(NOW.0 - u64::from(timeout.0) * 1_000_000_000);
    assert_eq!(at(expired), Err(Code::Expired));
    assert_eq!(at(TimestampNs(0)), Err(Code::Expired));
    assert!(timeout > Seconds(1));
}

#[test]
fn a_busy_canister_refuses() {
    let busy = |_: &Principal, _: &Principal| Capacity {
        public: Err(NoCapacity::Cycles),
        of_payer: Ok(()),
    };
    assert_eq!(checked(|_| {}, busy), Err(Code::LedgerUnavailable));
    let busy = |_: &Principal, _: &Principal| Capacity {
        public: Ok(()),
        of_payer: Err(NoCapacity::OpenOfPayer),
    };
    assert_eq!(checked(|_| {}, busy), Err(Code::LedgerUnavailable));
}

/// An offer can be known and still be closed: no call of the ledger is worth its fee then.
#[test]
fn a_route_off_sale_and_a_disabled_ledger_are_refused() {
    let close: [fn(&mut Route, &mut Vec<Offer>); 3] = [
        |route, _| route.on_sale = false,
        |route, _| route.content = None,
        |_, offers| offers[0].ledger.enabled = false,
    ];
    for close in close {
        let mut route = route();
        let mut offers = offers(&route);
        let terms = terms(&offers[0]);
        close(&mut route, &mut offers);
        let sale = CallSale {
            route: &route,
            offers: &offers,
            canister: principal(9),
            now: NOW,
        };
        let refusal = verify(&terms, &purchase(), &sale, free).unwrap_err();
        assert_eq!(refusal.code, Code::LedgerUnavailable);
    }
}

/// The payment id is the memo of the transfer: the ledger could not tell two payments with one id apart.
#[test]
fn every_term_changes_the_payment_id() {
    let route = route();
    let terms = terms(&offers(&route)[0]);
    let id = |change: fn(&mut CallTerms)| {
        let mut terms = terms.clone();
        change(&mut terms);
        terms.payment_id(principal(9), &purchase())
    };
    let ids = [
        id(|_| {}),
        id(|terms| terms.caller = principal(4)),
        id(|terms| terms.id.0[31] = 0),
        id(|terms| terms.from.subaccount = Some([1; 32])),
        id(|terms| terms.from.owner = principal(4)),
        id(|terms| terms.pay_to.subaccount = Some([1; 32])),
        id(|terms| terms.pay_to.owner = principal(4)),
        id(|terms| terms.ledger = principal(4)),
        id(|terms| terms.amount.0 += 1),
        id(|terms| terms.fee.0 += 1),
        id(|terms| terms.created_at = TimestampNs(0)),
        id(|terms| terms.created_at = TimestampNs(1)),
        terms.payment_id(principal(8), &purchase()),
        terms.payment_id(
            principal(9),
            &Purchase::Call(RouteKey::new(Method::Post, "/a")),
        ),
        terms.payment_id(
            principal(9),
            &Purchase::Call(RouteKey::new(Method::Get, "/b")),
        ),
    ];
    for (n, one) in ids.iter().enumerate() {
        assert_eq!(ids.iter().position(|other| other == one), Some(n));
    }
    // The default subaccount is the account without one: the ledger sees the same transfer.
    assert_eq!(ids[0], id(|terms| terms.from.subaccount = Some([0; 32])));
}

#[test]
fn ids_of_callers_and_nonces_of_payers_never_meet() {
    let terms = terms(&offers(&route())[0]);
    let key = terms.claim_key();
    assert_eq!(key, ClaimKey::call(&terms.caller, &terms.id));
    assert_ne!(key, ClaimKey::icrc2(&terms.caller, &terms.id));
    assert_ne!(key, ClaimKey::call(&principal(4), &terms.id));
}
