//! Transfers that pay more or less than an offer: what is owed for them.

use super::{
    prove::{BLOCK, account_of, of, transfer_shop},
    *,
};
use crate::{
    domain::{
        forward::{Forward, OnFailure},
        payment::{RefundCause, RefundProblem},
    },
    service::{purchase::PurchaseOutcome, recover},
};

#[test]
fn an_overpaid_transfer_buys_and_is_recorded_as_it_is() {
    let shop = transfer_shop();
    let proof = shop.proof(1, 7, BLOCK);
    shop.will_prove(&proof, 12_345);
    assert_eq!(shop.fetch(&shop.presented(proof.clone())), b"goods");
    assert_eq!(of(&proof).amount, Amount(12_345));
}

/// The refund costs the merchant no fee.
#[test]
fn an_underpaid_transfer_into_the_canister_goes_back_less_a_fee() {
    let shop = transfer_shop();
    shop.pays_itself();
    let proof = shop.proof(1, 7, BLOCK);
    let request = shop.presented(proof.clone());
    shop.will_prove(&proof, 9_999);
    assert_eq!(failed(shop.settle(&request)), Code::OfferMismatch);
    let payment = of(&proof);
    assert_eq!(payment.refund_amount(), Amount(9_989));
    assert!(matches!(
        payment.state,
        State::Refunding {
            cause: RefundCause::PaysNoOffer,
            problem: RefundProblem::NotTried,
            ..
        }
    ));
    // A repetition delivers nothing.
    assert!(matches!(
        shop.settle(&request),
        PayOutcome::Duplicate { .. }
    ));
    // The balance covers the refund and its fee exactly.
    shop.runtime.will_reply(Nat::from(9_999u32));
    shop.runtime.will_reply(
        Ok::<Nat, icrc_ledger_types::icrc1::transfer::TransferError>(Nat::from(BLOCK + 1)),
    );
    run(recover::tick(&shop.runtime));
    let state = of(&proof).state;
    assert!(matches!(state, State::Refunded { .. }), "{state:?}");
    let calls = shop.runtime.calls.borrow();
    let sent = Decode!(
        &calls.last().unwrap().argument,
        icrc_ledger_types::icrc1::transfer::TransferArg
    );
    let sent = sent.unwrap();
    assert_eq!((sent.to, sent.amount), (account_of(1), Nat::from(9_989u32)));
    assert!(matches!(
        shop.settle(&request),
        PayOutcome::Duplicate { .. }
    ));
}

/// Else a payer could move the treasury to the merchant by transfers that pay no offer.
#[test]
fn a_transfer_to_the_merchant_that_pays_no_offer_waits_for_a_controller_and_buys_nothing() {
    let shop = transfer_shop();
    let proof = shop.proof(1, 7, BLOCK);
    let request = shop.presented(proof.clone());
    shop.will_prove(&proof, 9_999);
    assert_eq!(failed(shop.settle(&request)), Code::OfferMismatch);
    assert!(of(&proof).state.waits_for_controller());
    assert!(matches!(
        shop.settle(&request),
        PayOutcome::Duplicate { .. }
    ));
}

#[test]
fn a_transfer_whose_price_rose_or_whose_route_went_is_owed_back() {
    let shop = transfer_shop();
    shop.pays_itself();
    let dearer = shop.proof(1, 7, BLOCK);
    let cheaper = shop.proof(1, 8, BLOCK + 1);
    let gone = shop.proof(1, 9, BLOCK + 2);
    shop.reprice(20_000);
    shop.will_prove(&dearer, 10_000);
    assert_eq!(
        failed(shop.settle(&shop.presented(dearer.clone()))),
        Code::OfferMismatch
    );
    assert!(matches!(of(&dearer).state, State::Refunding { .. }));
    shop.reprice(5_000);
    shop.will_prove(&cheaper, 10_000);
    assert_eq!(shop.fetch(&shop.presented(cheaper)), b"goods");
    shop.runtime.caller.set(shop.runtime.controller);
    catalogue::remove(&shop.runtime, &shop.route).unwrap();
    shop.will_prove(&gone, 10_000);
    let outcome = shop.presents(&gone, None, "/a");
    let PurchaseOutcome::Processed(outcome, None) = outcome else {
        panic!("{outcome:?}");
    };
    assert_eq!(failed(*outcome), Code::OfferMismatch);
    assert!(matches!(of(&gone).state, State::Refunding { .. }));
}

/// A seller who is told of a sale would deliver.
#[test]
fn attack_a_transfer_that_buys_nothing_is_announced_as_no_sale() {
    let shop = transfer_shop();
    let seller = Principal::from_slice(&[88; 10]);
    storage::notifications::set_target(Some(seller));
    let proof = shop.proof(1, 7, BLOCK);
    shop.will_prove(&proof, 11);
    assert_eq!(
        failed(shop.settle(&shop.presented(proof.clone()))),
        Code::OfferMismatch
    );
    assert_eq!(storage::notifications::next_due(), None);
    let good = shop.proof(1, 8, BLOCK + 1);
    shop.will_prove(&good, 10_000);
    let _ = shop.settle(&shop.presented(good));
    assert!(storage::notifications::next_due().is_some());
}

/// The canister named this account in its offer.
#[test]
fn a_transfer_to_the_account_before_the_present_one_is_owed_back() {
    let shop = transfer_shop();
    let proof = shop.proof(1, 7, BLOCK);
    shop.runtime.caller.set(shop.runtime.controller);
    let other = Account::from(Principal::from_slice(&[77; 10]));
    crate::service::admin::set_pay_to(&shop.runtime, other).unwrap();
    shop.will_prove(&proof, 10_000);
    assert_eq!(
        failed(shop.settle(&shop.presented(proof.clone()))),
        Code::OfferMismatch
    );
    assert!(of(&proof).state.waits_for_controller());
}

/// The payer chooses the amount, and can make the work fail: the money would come out of the treasury.
#[test]
fn attack_an_overpaid_transfer_whose_work_fails_does_not_empty_the_treasury() {
    let shop = transfer_shop();
    let proof = shop.proof(1, 7, BLOCK);
    shop.forward(Some(Forward {
        idempotent: false,
        on_failure: OnFailure::Refund,
        ..super::forward::retrying()
    }));
    shop.will_prove(&proof, 1_000_000_000).will_reject(3);
    let _ = shop.settle(&shop.presented(proof.clone()));
    run(recover::tick(&shop.runtime));
    let state = of(&proof).state;
    assert!(state.waits_for_controller(), "{state:?}");
}

/// The check before the await and the binding after it are not one step.
#[test]
fn attack_two_payments_under_one_identifier_do_not_both_buy() {
    let shop = transfer_shop();
    let key = crate::types::IdentifierKey([9; 16]);
    let mut pulled = shop.request(1, 1);
    pulled.identifier = Some(key);
    let proof = shop.proof(1, 7, BLOCK);
    let mut request = shop.presented(proof.clone());
    request.identifier = Some(key);
    shop.runtime.hold.set(true);
    let mut work = pin!(settle(&shop.runtime, request));
    assert!(poll(work.as_mut()).is_pending());
    // Meanwhile another payment uses the identifier.
    shop.will(block(BLOCK + 1));
    assert_eq!(shop.fetch(&pulled), b"goods");
    shop.will_prove(&proof, 10_000);
    let Poll::Ready(outcome) = poll(work.as_mut()) else {
        panic!("the block was read");
    };
    assert_eq!(failed(outcome), Code::OfferMismatch);
    assert!(
        matches!(of(&proof).state, State::Refunding { .. }),
        "it is owed"
    );
}
