//! A ledger's fee changes, and the ledger does not report it: payers can still pay, and strangers cannot make the
//! canister query the fee as often as they like.

use crate::support::{
    Setup,
    flow::Sale,
    interface::{AdminAudit, Ledger, LedgerError, PageArgs, PaymentsError},
    payer::Payer,
    setup::{FEE, controller, stranger},
};
use candid::{Nat, Principal};
use test_ledger::{domain::rules::CheckOrder, testing::Fault};
use x402_icp::Code;

const PRICE: u128 = 30_000;
/// A ledger's fee is queried once in this time, in seconds.
const PAUSE: u64 = 300;

/// A payer with exactly the balance and allowance that the offer needs.
fn exact_payer(setup: &Setup, seed: u8, fee: u128) -> Payer {
    let payer = Payer::ed25519(seed);
    setup.ledger.mint(setup, payer.account, PRICE + fee + fee);
    setup
        .ledger
        .approve(setup, payer.account, setup.canister, PRICE + fee);
    assert_eq!(setup.ledger.balance(setup, payer.account), PRICE + fee);
    payer
}

fn offered(sale: &Sale<'_>) -> u128 {
    sale.offer().extra.fee.parse().unwrap()
}

/// The number of new fees in the audit log.
fn new_fees(setup: &Setup) -> usize {
    let page: Result<Vec<AdminAudit>, PaymentsError> =
        setup.query(controller(), "audit_admin", (PageArgs::default(),));
    let entries = page.expect("controllers read the log").into_iter();
    entries.filter(|entry| entry.action == "fee_learnt").count()
}

fn refresh(setup: &Setup) -> Result<Ledger, LedgerError> {
    setup.update(stranger(), "ledger_refresh", (setup.ledger.0,))
}

/// A payment without money or allowance, which costs nothing.
fn pay_without_money(setup: &Setup, sale: &Sale<'_>, seed: u8) {
    let outcome = sale.pay(&Payer::ed25519(seed)).send();
    assert_eq!(outcome.answer.status, 402);
    assert!(setup.ledger.balance(setup, outcome.signed.id_owner()) == 0);
}

impl crate::support::payer::Signed {
    fn id_owner(&self) -> icrc_ledger_types::icrc1::account::Account {
        self.payload.payload.from.parse().expect("an account")
    }
}

/// The fee was `FEE`, is `fee` now, and the payer has what the old offer needs.
fn changed(order: CheckOrder, fee: u128, refused: Code) {
    let setup = Setup::new();
    let sale = setup.sell("/article", PRICE);
    setup.ledger.check_order(&setup, order);
    let payer = exact_payer(&setup, 190, FEE);
    setup.ledger.set_fee(&setup, fee);
    sale.pay(&payer).send().expect_failed(refused);
    assert_eq!((offered(&sale), new_fees(&setup)), (fee, 1));
    // A payer with the amount of the new offer can buy.
    let other = exact_payer(&setup, 191, fee);
    sale.pay(&other).send().expect_settled();
    // So can the first, with the rest.
    setup.ledger.mint(&setup, payer.account, fee + fee);
    setup
        .ledger
        .approve(&setup, payer.account, setup.canister, PRICE + fee);
    sale.pay(&payer).send().expect_settled();
    assert_eq!(setup.ledger.pulled_by(&setup, setup.canister).len(), 2);
}

#[test]
fn a_fee_that_rises_behind_the_allowance_is_found() {
    changed(
        CheckOrder::AllowanceFirst,
        FEE * 3,
        Code::InsufficientAllowance,
    );
}

#[test]
fn a_fee_that_rises_behind_the_balance_is_found() {
    changed(CheckOrder::BalanceFirst, FEE + 1, Code::InsufficientFunds);
}

#[test]
fn a_fee_that_falls_is_found() {
    changed(CheckOrder::AllowanceFirst, FEE / 2, Code::OfferMismatch);
}

#[test]
fn a_fee_that_is_dropped_is_found() {
    for order in [CheckOrder::FeeFirst, CheckOrder::AllowanceFirst] {
        changed(order, 0, Code::OfferMismatch);
    }
}

#[test]
fn a_fee_that_changes_twice_is_found_twice() {
    let setup = Setup::new();
    let sale = setup.sell("/article", PRICE);
    setup.ledger.check_order(&setup, CheckOrder::AllowanceFirst);
    for (seed, fee) in [(190, FEE * 2), (191, FEE * 5), (192, FEE), (193, FEE * 2)] {
        let payer = exact_payer(&setup, seed, offered(&sale));
        setup.ledger.set_fee(&setup, fee);
        let outcome = sale.pay(&payer).send();
        assert_eq!(outcome.answer.status, 402, "{fee}");
        assert_eq!(offered(&sale), fee);
        setup.advance(PAUSE);
    }
    let payer = exact_payer(&setup, 194, FEE * 2);
    sale.pay(&payer).send().expect_settled();
}

#[test]
fn a_flood_of_payments_without_money_asks_for_the_fee_once_in_the_pause() {
    let setup = Setup::new();
    let sale = setup.sell("/article", PRICE);
    setup.ledger.check_order(&setup, CheckOrder::AllowanceFirst);
    // The fee differs each time, so that each query would be seen.
    for seed in 1..=12 {
        setup.ledger.set_fee(&setup, FEE + u128::from(seed));
        pay_without_money(&setup, &sale, seed);
        setup.advance(5);
    }
    assert_eq!((new_fees(&setup), offered(&sale)), (1, FEE + 1));
    // The public method does not query more often either, nor cost anything: the filter drops it.
    let arg = candid::encode_one(setup.ledger.0).unwrap();
    for caller in [stranger(), controller(), Principal::anonymous()] {
        let answer = setup.raw_update(caller, "ledger_refresh", arg.clone());
        assert!(answer.is_err(), "{answer:?}");
    }
    setup.advance(PAUSE);
    pay_without_money(&setup, &sale, 13);
    assert_eq!((new_fees(&setup), offered(&sale)), (2, FEE + 12));
}

#[test]
fn a_ledger_that_does_not_name_its_fee_changes_nothing() {
    let setup = Setup::new();
    let sale = setup.sell("/article", PRICE);
    setup.ledger.check_order(&setup, CheckOrder::AllowanceFirst);
    setup.ledger.set_fee(&setup, FEE * 2);
    for (seed, fault) in (1..).zip([
        Fault::reject(),
        Fault::trap(),
        Fault::garbage(),
        Fault::huge_text(),
        Fault::huge_nat(),
    ]) {
        setup.ledger.fault_of(&setup, "icrc1_fee", 1, &fault);
        pay_without_money(&setup, &sale, seed);
        assert_eq!(offered(&sale), FEE, "{fault:?}");
        setup.advance(PAUSE);
    }
    // An implausible fee is rejected, and does not take the resource off sale.
    setup.ledger.behave(&setup);
    setup.ledger.set_fee(&setup, FEE * 1_000_000);
    pay_without_money(&setup, &sale, 8);
    assert_eq!((offered(&sale), new_fees(&setup)), (FEE, 0));
    setup.advance(PAUSE);
    setup.ledger.set_fee(&setup, FEE * 2);
    pay_without_money(&setup, &sale, 9);
    assert_eq!(offered(&sale), FEE * 2);
}

#[test]
fn a_client_that_sees_another_fee_has_the_offers_renewed() {
    let setup = Setup::new();
    let sale = setup.sell("/article", PRICE);
    setup.ledger.set_fee(&setup, FEE * 2);
    assert_eq!(refresh(&setup).unwrap().fee, Nat::from(FEE * 2));
    assert_eq!(offered(&sale), FEE * 2);
    let payer = exact_payer(&setup, 190, FEE * 2);
    sale.pay(&payer).send().expect_settled();
    // A call for an unregistered ledger is dropped.
    setup.advance(PAUSE);
    let arg = candid::encode_one(stranger()).unwrap();
    assert!(setup.raw_update(stranger(), "ledger_refresh", arg).is_err());
    assert!(refresh(&setup).is_ok());
}
