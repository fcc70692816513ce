//! Who gets the money of an invoice, whatever others do with its id, and whatever its ledger says.

use super::{bank::drive_some, *};
use crate::runtime::Runtime;

fn thief() -> Account {
    Account::from(Principal::from_slice(&[66; 29]))
}

#[test]
fn attack_53_refund_to_is_where_the_money_goes() {
    let shop = shop();
    // Whoever draws the id for the buyer, before the invoice is made.
    shop.pay(FEE + 1);
    assert_eq!(shop.give_back(Some(thief())).unwrap().to, thief());
    shop.later(60);
    let made = shop.create(Some(payer()));
    assert_eq!(made.invoice.refund_to, Some(payer()));
    shop.pay(PRICE);
    shop.expire().tick();
    shop.later(60).tick();
    assert_eq!(shop.has(payer()), PRICE - FEE);
}

#[test]
fn attack_53_a_call_that_names_refund_to_pays_it() {
    let shop = shop();
    shop.pay(FEE + 1);
    shop.give_back(Some(thief())).unwrap();
    shop.later(60);
    shop.create(Some(payer()));
    shop.expire().tick();
    shop.pay(PRICE);
    let back = shop.later(60).give_back(Some(payer())).unwrap();
    assert_eq!(back.to, payer());
}

#[test]
fn attack_53_a_payer_who_never_fetches_does_not_move_the_treasury() {
    let shop = shop();
    let treasury = Account::from(shop.runtime.canister_id());
    shop.bank.give(ledger(0).id, treasury, 100_000);
    shop.create(Some(payer()));
    shop.pay(PRICE + FEE);
    shop.check();
    shop.later(8 * 86_400).tick();
    shop.later(4_000).tick();
    shop.later(4_000).tick();
    assert_eq!(shop.has(treasury), 100_000);
    let fetched = shop.fetch().map(|resource| resource.body);
    assert_eq!(
        fetched.as_deref(),
        Some(&b"goods"[..]),
        "while the refund waits"
    );
}

#[test]
fn attack_53_a_balance_of_one_ledger_moves_nothing_in_another() {
    let shop = shop();
    let wanted = RouteDraft {
        prices: vec![
            Price {
                ledger: ledger(0).id,
                amount: Amount(PRICE),
            },
            Price {
                ledger: ledger(1).id,
                amount: Amount(PRICE),
            },
        ],
        offers_invoices: true,
        ..draft("/a")
    };
    shop.runtime.caller.set(shop.runtime.controller);
    catalogue::put(&shop.runtime, wanted).unwrap();
    shop.create(None);
    shop.expire().tick();
    assert_eq!(shop.stage(), Stage::Expired);
    shop.pay(PRICE + FEE);
    shop.later(60);
    let mut work = Box::pin(check(&shop.runtime, &ID));
    assert!(drive_some(&shop, work.as_mut(), 0).is_none());
    // It makes room, and the id is used again in another ledger.
    invoices::tests::forget(&ID);
    let terms = Terms {
        ledger: ledger(1).id,
        ..shop.terms(None)
    };
    create(&shop.runtime, &ID, &terms).unwrap();
    let call = shop.runtime.calls.borrow().last().cloned().unwrap();
    let answer = shop.bank.answer(&call, shop.runtime.canister_id());
    shop.runtime.will(answer);
    drive(&shop, work).unwrap();
    let known = view(&shop.runtime, &ID).unwrap().invoice;
    assert_eq!((known.attempts, known.balance), (0, Amount(0)));
}

#[test]
fn attack_53_a_sweep_whose_answer_was_lost_is_not_taken_for_a_payer_without_money() {
    let shop = shop();
    shop.bank.balance_first.set(true);
    shop.create(Some(payer()));
    shop.pay(PRICE + FEE);
    let mut work = Box::pin(check(&shop.runtime, &ID));
    assert!(drive_some(&shop, work.as_mut(), 1).is_none());
    // The ledger makes the transfer, and its answer is lost.
    let call = shop.runtime.calls.borrow().last().cloned().unwrap();
    assert_eq!(call.method, "icrc1_transfer");
    shop.bank.answer(&call, shop.runtime.canister_id());
    shop.runtime.will(super::bank::reject(6));
    drive(&shop, work).unwrap();
    for _ in 0..40 {
        shop.later(3_600).tick();
    }
    let known = view(&shop.runtime, &ID).unwrap();
    let state = known.payment.unwrap().state;
    assert_eq!(shop.has(merchant()), PRICE);
    let before = shop.runtime.made();
    for _ in 0..720 {
        shop.later(120);
        drive(&shop, recover::tick(&shop.runtime));
    }
    let calls = shop.runtime.made() - before;
    assert!(calls <= 48, "{calls} calls in a day");
    assert!(state.is_owed());
}
