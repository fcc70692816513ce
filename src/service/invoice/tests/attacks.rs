//! Invoices that are paid twice, late, short, with another token; ledgers that lie; strangers who ask much.

use super::*;
use crate::{
    domain::validate,
    service::{
        admin,
        withdraw::{WithdrawError, WithdrawRequest, withdraw},
    },
    types::Cycles,
};
use icrc_ledger_types::icrc1::transfer::TransferError;

#[test]
fn attack_an_invoice_paid_twice_buys_once_and_the_rest_goes_back() {
    for refund_to in [None, Some(payer())] {
        apart(move || pays_twice(refund_to));
    }
}

fn pays_twice(refund_to: Option<Account>) {
    let shop = shop();
    shop.create(refund_to);
    shop.pay(2 * (PRICE + FEE));
    assert_eq!(shop.check().invoice.stage, Stage::Paid);
    assert_eq!(shop.has(merchant()), PRICE);
    match refund_to {
        // By itself.
        Some(_) => drop(shop.tick()),
        None => {
            let missing = shop.give_back(None);
            assert!(matches!(missing, Err(InvoiceError::InvalidArgument(_))));
            let returned = shop.give_back(Some(payer())).unwrap();
            assert_eq!(returned.amount, Amount(PRICE));
        }
    }
    assert_eq!((shop.has(payer()), shop.has(shop.account())), (PRICE, 0));
    // Once more, after the end.
    shop.pay(500);
    assert_eq!(
        shop.later(60).give_back(Some(payer())).unwrap().amount,
        Amount(490)
    );
    assert_eq!(
        (shop.has(merchant()), storage::payments::settled_count()),
        (PRICE, 1)
    );
}

#[test]
fn attack_an_invoice_paid_late_buys_nothing_and_the_money_goes_back() {
    let shop = shop();
    shop.create(Some(payer()));
    shop.expire();
    assert_eq!(shop.tick().unwrap().invoice.stage, Stage::Expired);
    shop.pay(PRICE + FEE);
    assert_eq!(shop.later(60).check().invoice.stage, Stage::Expired);
    shop.tick();
    assert_eq!(shop.has(payer()), PRICE);
    assert_eq!((shop.has(merchant()), shop.fetch()), (0, None));
    let nothing = shop.later(60).give_back(None);
    let fee = Amount(FEE);
    let balance = Amount(0);
    assert_eq!(nothing, Err(InvoiceError::NothingToReturn { balance, fee }));
}

#[test]
fn attack_an_invoice_paid_short_waits_for_the_rest_and_goes_back_at_the_end() {
    let shop = shop();
    shop.create(Some(payer()));
    shop.pay(PRICE + FEE - 1);
    assert_eq!(shop.check().invoice.stage, Stage::Open);
    let expires_at = NOW.plus(LIFETIME);
    assert_eq!(
        shop.give_back(None),
        Err(InvoiceError::NotEnded { expires_at })
    );
    shop.expire().tick();
    assert_eq!(shop.stage(), Stage::Short);
    assert_eq!(shop.has(payer()), PRICE - 1);
}

#[test]
fn a_short_invoice_can_be_paid_up_in_time() {
    let shop = shop();
    shop.create(None);
    shop.pay(PRICE);
    shop.check();
    shop.pay(FEE);
    assert_eq!(shop.later(5).check().invoice.stage, Stage::Paid);
}

#[test]
fn attack_no_more_than_the_fee_stays_and_says_so() {
    let shop = shop();
    shop.create(Some(payer()));
    shop.pay(FEE);
    shop.expire().tick();
    assert_eq!(shop.stage(), Stage::Short);
    let known = view(&shop.runtime, &ID).unwrap();
    assert_eq!((known.invoice.balance, known.returned), (Amount(FEE), None));
    let (balance, fee) = (Amount(FEE), Amount(FEE));
    assert_eq!(
        shop.give_back(None),
        Err(InvoiceError::NothingToReturn { balance, fee })
    );
}

#[test]
fn attack_an_invoice_paid_with_another_token_buys_nothing_and_the_token_goes_back() {
    let shop = shop();
    shop.create(None);
    let other = ledger(1).id;
    shop.bank.give(other, shop.account(), PRICE + FEE);
    assert_eq!(shop.check().invoice.stage, Stage::Open);
    // At once: that ledger's tokens buy nothing here.
    let returned = drive(&shop, give_back(&shop.runtime, &ID, other, Some(payer()))).unwrap();
    assert_eq!(returned.amount, Amount(PRICE));
    assert_eq!(shop.bank.balance(other, payer()), PRICE);
    let unknown = Principal::from_slice(&[99]);
    let refused = drive(&shop, give_back(&shop.runtime, &ID, unknown, Some(payer())));
    assert_eq!(refused, Err(InvoiceError::UnknownLedger));
    assert_eq!(shop.stage(), Stage::Open);
}

#[test]
fn attack_a_ledger_that_names_a_huge_balance_moves_nothing_that_it_has_not() {
    let shop = shop();
    shop.create(Some(payer()));
    let huge: Nat = "9".repeat(120).parse().unwrap();
    shop.bank.claim(Some(huge));
    shop.check();
    assert_eq!(shop.stage(), Stage::Open, "the ledger refused the transfer");
    assert_eq!((shop.has(merchant()), shop.fetch()), (0, None));
    // Each try is a payment that failed; there are six.
    for _ in 0..8 {
        shop.later(70_000).tick();
    }
    assert_eq!(shop.stage(), Stage::Refused);
    shop.bank.claim(None);
    assert_eq!(storage::payments::settled_count(), 0);
    shop.tick();
    // A real payment after that goes back.
    shop.pay(PRICE + FEE);
    shop.later(4_000).check();
    shop.tick();
    assert_eq!((shop.has(payer()), shop.has(merchant())), (PRICE, 0));
}

#[test]
fn attack_a_fee_that_rose_is_asked_for_and_nobody_loses_what_was_paid() {
    let shop = shop();
    shop.create(Some(payer()));
    shop.pay(PRICE + FEE);
    shop.bank.charge(2 * FEE);
    shop.runtime.will_name_fee(Nat::from(2 * FEE));
    assert_eq!(shop.check().amount, Amount(PRICE + 2 * FEE));
    assert_eq!(shop.stage(), Stage::Open);
    shop.pay(FEE);
    shop.later(60);
    assert_eq!(shop.check().invoice.stage, Stage::Paid);
    assert_eq!((shop.has(merchant()), shop.has(shop.account())), (PRICE, 0));
}

#[test]
fn attack_what_is_not_sold_any_more_takes_no_money() {
    type Change = fn(&Shop);
    let changes: [Change; 4] = [
        |shop| shop.put("/a", PRICE + 1),
        |shop| catalogue::remove(&shop.runtime, &RouteKey::new(Method::Get, "/a")).unwrap(),
        |_| {
            let mut off = ledger(0);
            off.enabled = false;
            storage::ledgers::put(&off).unwrap();
        },
        |shop| {
            shop.runtime.caller.set(shop.runtime.controller);
            admin::set_pay_to(&shop.runtime, Principal::from_slice(&[3; 29]).into()).unwrap();
        },
    ];
    for change in changes {
        apart(move || {
            let shop = shop();
            shop.create(Some(payer()));
            shop.pay(PRICE + FEE);
            change(&shop);
            assert_eq!(shop.check().invoice.stage, Stage::NotSold);
            shop.tick();
            assert_eq!((shop.has(payer()), shop.has(merchant())), (PRICE, 0));
        });
    }
}

#[test]
fn a_price_that_fell_is_no_reason_to_refuse_and_the_merchant_gets_what_was_agreed() {
    let shop = shop();
    shop.create(None);
    shop.pay(PRICE + FEE);
    shop.put("/a", PRICE - 1);
    assert_eq!(shop.check().invoice.stage, Stage::Paid);
    assert_eq!(shop.has(merchant()), PRICE);
}

#[test]
fn attack_a_cheap_template_buys_no_dearer_path() {
    let shop = shop();
    shop.put("/b/{id}", PRICE);
    shop.stock("/b/{id}", b"cheap");
    let mut terms = shop.terms(None);
    terms.request.path = "/b/gold".into();
    create(&shop.runtime, &ID, &terms).unwrap();
    shop.put("/b/gold", 100 * PRICE);
    shop.stock("/b/gold", b"dear");
    shop.pay(PRICE + FEE);
    assert_eq!(shop.check().invoice.stage, Stage::NotSold);
    terms.request.path = "/b/{id}".into();
    let template = create(&shop.runtime, &InvoiceId([6; 32]), &terms);
    assert_eq!(
        template.map(|made| made.invoice.price),
        Ok(Amount(PRICE)),
        "a segment like any other"
    );
}

#[test]
fn attack_an_id_is_used_for_one_set_of_terms() {
    let shop = shop();
    shop.create(Some(payer()));
    let other = Account::from(Principal::from_slice(&[66; 29]));
    let again = create(&shop.runtime, &ID, &shop.terms(Some(other)));
    assert_eq!(again, Err(InvoiceError::IdUsed));
    let stolen = shop.expire().give_back(Some(other));
    assert_eq!(stolen, Err(InvoiceError::OtherAccount { account: payer() }));
    let price = Some(Amount(PRICE - 1));
    let cheaper = Terms {
        price,
        ..shop.terms(Some(payer()))
    };
    assert_eq!(
        create(&shop.runtime, &ID, &cheaper),
        Err(InvoiceError::IdUsed)
    );
    assert_eq!(
        create(&shop.runtime, &InvoiceId([9; 32]), &cheaper),
        Err(InvoiceError::NotSold)
    );
}

#[test]
fn an_invoice_that_was_forgotten_loses_nothing() {
    let shop = shop();
    shop.create(None);
    shop.pay(PRICE + FEE + 300);
    assert_eq!(shop.check().invoice.stage, Stage::Paid);
    invoices::tests::forget(&ID);
    assert_eq!(view(&shop.runtime, &ID), None);
    assert_eq!(shop.fetch().unwrap().body, b"goods");
    assert_eq!(
        create(&shop.runtime, &ID, &shop.terms(None)),
        Err(InvoiceError::IdUsed)
    );
    assert_eq!(
        shop.give_back(Some(payer())).unwrap().amount,
        Amount(300 - FEE)
    );
    assert_eq!(shop.has(payer()), 300 - FEE);
}

#[test]
fn attack_the_account_of_an_invoice_is_nobodys() {
    let shop = shop();
    shop.create(None);
    shop.pay(PRICE);
    let account = shop.account();
    let error = validate::account(
        "pay_to",
        account.owner,
        account.subaccount.as_ref().map(|s| &s[..]),
    );
    assert_eq!(error.unwrap_err().problem, "is the account of an invoice");
    shop.runtime.caller.set(shop.runtime.controller);
    for (from_subaccount, to) in [(account.subaccount, payer()), (None, account)] {
        let request = WithdrawRequest {
            ledger: ledger(0).id,
            from_subaccount,
            to,
            amount: Amount(1),
            created_at: None,
        };
        let refused = drive(&shop, withdraw(&shop.runtime, request));
        assert!(
            matches!(refused, Err(WithdrawError::InvalidArgument(_))),
            "{refused:?}"
        );
    }
    // No transfer can be proved to be one to it.
    shop.pay(FEE);
    assert_eq!(shop.later(5).check().invoice.stage, Stage::Paid);
    assert!(!storage::accounts::was_paid(&account));
    assert!(storage::accounts::was_paid(&merchant()));
}

#[test]
fn attack_strangers_make_and_check_no_more_than_the_bounds() {
    let shop = shop();
    let mut made = 0;
    for n in 0..200u8 {
        let id = InvoiceId([n; 32]);
        match create(&shop.runtime, &id, &shop.terms(None)) {
            Ok(_) => made += 1,
            Err(error) => {
                let limit = INVOICE_BURST;
                assert_eq!(error, InvoiceError::TooManyRequests { limit });
            }
        }
    }
    assert_eq!(made, INVOICE_BURST);
    shop.later(2);
    assert!(create(&shop.runtime, &InvoiceId([201; 32]), &shop.terms(None)).is_ok());
    // Readings: each invoice once in five seconds, and all together within the bound.
    let before = shop.runtime.made();
    for _ in 0..10 {
        for n in 0..made as u8 {
            drive(&shop, check(&shop.runtime, &InvoiceId([n; 32]))).unwrap();
        }
    }
    assert_eq!(shop.runtime.made() - before, made as usize);
    for _ in 0..10 {
        shop.later(5);
        for n in 0..made as u8 {
            drive(&shop, check(&shop.runtime, &InvoiceId([n; 32]))).unwrap();
        }
    }
    let bound = crate::domain::lookups::BURST + 60;
    assert!((shop.runtime.made() - before) as u64 <= bound);
    let unknown = drive(&shop, check(&shop.runtime, &InvoiceId([250; 32])));
    assert_eq!(unknown, Err(InvoiceError::UnknownInvoice));
}

#[test]
fn attack_below_the_floor_of_cycles_nobody_is_asked_for_money_and_no_stranger_has_a_balance_read() {
    let shop = shop();
    shop.create(None);
    shop.pay(PRICE + FEE);
    let poor = config().limits.cycles_floor;
    let rich = shop.runtime.cycles.replace(Cycles(poor.0 - 1));
    assert_eq!(shop.check().invoice.read_at, None);
    let refused = create(&shop.runtime, &InvoiceId([9; 32]), &shop.terms(None));
    assert!(
        matches!(&refused, Err(InvoiceError::LedgerUnavailable { problem }) if problem.contains("cycles")),
        "{refused:?}"
    );
    // What was paid for is not lost.
    shop.expire().tick();
    assert_eq!(shop.stage(), Stage::Open);
    shop.runtime.cycles.set(rich);
    shop.later(601).tick();
    assert_eq!(shop.stage(), Stage::Paid);
}

#[test]
fn attack_a_return_to_an_account_that_cannot_receive_is_not_tried_for_ever() {
    let shop = shop();
    shop.create(Some(payer()));
    shop.pay(100);
    let min_burn_amount = Nat::from(1_000u32);
    shop.bank
        .refuse(Some(TransferError::BadBurn { min_burn_amount }));
    shop.expire();
    for _ in 0..30 {
        shop.later(4_000).tick();
    }
    let before = shop.runtime.made();
    shop.later(4_000).tick();
    assert_eq!(shop.runtime.made(), before);
    shop.bank.refuse(None);
    assert_eq!(shop.give_back(None).unwrap().amount, Amount(100 - FEE));
}
