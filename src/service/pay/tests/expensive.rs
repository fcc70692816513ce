//! Payments with expensive signatures: their cost, and the payers that they delay.

use super::*;
use crate::{
    domain::expensive::{
        budget::BUDGET,
        tests::{
            exhaust,
            support::{CanisterSigner, Forged, bls_der, root_key},
        },
    },
    types::Seconds,
};
use x402_icp::{
    key::KeyKind,
    signer::{Delegated, Signer},
};

/// A shop on the network whose root key the tests have.
fn expensive_shop() -> Shop {
    let mut shop = shop();
    shop.runtime.root_key = bls_der(&root_key());
    shop
}

fn canister(user: u8) -> CanisterSigner {
    CanisterSigner {
        seed: vec![user],
        ..CanisterSigner::new(true)
    }
}

/// A session of this key that ends an hour after the tests begin.
fn session(root: &dyn Signer, key: u8) -> Delegated<PrivateKey> {
    let until = NOW.plus(Seconds(3_600)).0;
    Delegated::grant(root, payer(key), until, None).unwrap()
}

impl Shop {
    fn request_by(&self, signer: &dyn Signer, nonce: u8) -> PaymentRequest {
        let mut request = self.request(1, nonce);
        let payment = request.signed_mut();
        let now = self.runtime.now().seconds();
        let terms = Terms::from(&payment.payload.accepted);
        payment.payload.payload =
            authorize(&terms, None, Nonce([nonce; 32]), now - 5, now + 200, signer).unwrap();
        payment.authorization = payment.payload.payload.parse().unwrap();
        request
    }

    fn refusal(&self, request: &PaymentRequest) -> Refusal {
        match self.settle(request) {
            PayOutcome::Refused(refusal) => refusal,
            other => panic!("expected a refusal, got {other:?}"),
        }
    }
}

#[test]
fn attack_31_forged_chains_cannot_take_more_than_the_budget_and_keep_nobody_out_who_pays_cheaply() {
    let shop = expensive_shop();
    let affordable = BUDGET / (KeyKind::Canister.cost() + KeyKind::Ed25519.cost());
    let known = session(&canister(1), 1);
    paid(shop.will(block(1)).settle(&shop.request_by(&known, 1)));
    let mut codes = vec![];
    for n in 0..30 {
        let forged = session(&Forged(canister(50 + n)), n);
        codes.push(shop.refusal(&shop.request_by(&forged, n)).code);
    }
    let (verified, busy) = codes.split_at(affordable as usize);
    assert!(verified.iter().all(|code| *code == Code::Signature));
    assert!(busy.iter().all(|code| *code == Code::LedgerUnavailable));

    // A new honest session has to wait. Its payment is not recorded, and is accepted a minute later.
    let waiting = shop.request_by(&session(&canister(2), 2), 1);
    assert_eq!(shop.refusal(&waiting).code, Code::LedgerUnavailable);
    assert!(payments::payment(&id(&waiting)).is_none());
    // Other payers can pay, and so can a session that has paid before.
    for n in 1..20 {
        let first = 2 * u64::from(n);
        paid(shop.will(block(first)).settle(&shop.request(n, n)));
        let again = shop.request_by(&known, 1 + n);
        paid(shop.will(block(first + 1)).settle(&again));
    }
    shop.runtime.now.set(NOW.plus(Seconds(60)));
    paid(shop.will(block(300)).settle(&waiting));
}

#[test]
fn attack_31_a_forged_chain_that_is_replayed_is_refused_from_memory() {
    let shop = expensive_shop();
    let root = Forged(canister(1));
    let replayed = shop.request_by(&session(&root, 1), 1);
    let first = shop.refusal(&replayed);
    let again = shop.refusal(&replayed);
    assert_eq!((first.code, again.code), (Code::Signature, Code::Signature));
    assert_ne!(first.message, again.message);
    // Another nonce, with another signature by the session key, makes no difference.
    let varied = shop.request_by(&session(&root, 1), 2);
    assert_eq!(shop.refusal(&varied), again);
    assert!(payments::payment(&id(&replayed)).is_none());
}

#[test]
fn should_give_the_budget_back_for_money_that_moved_and_not_for_money_that_is_missing() {
    let shop = expensive_shop();
    for user in 0..30 {
        let request = shop.request_by(&session(&canister(user), user), user);
        paid(shop.will(block(1 + u64::from(user))).settle(&request));
    }
    let poor = TransferFromError::InsufficientFunds {
        balance: Nat::from(0u8),
    };
    let codes: Vec<_> = (100..130)
        .map(|user| {
            let request = shop.request_by(&session(&canister(user), user), user);
            // A reply is used up only by a payment that reaches the ledger.
            shop.will(Err(poor.clone()));
            match shop.settle(&request) {
                PayOutcome::Failed { code, .. } => code,
                PayOutcome::Refused(refusal) => refusal.code,
                other => panic!("{other:?}"),
            }
        })
        .collect();
    let asked = codes
        .iter()
        .filter(|code| **code == Code::InsufficientFunds);
    let affordable = BUDGET / (KeyKind::Canister.cost() + KeyKind::Ed25519.cost());
    assert_eq!(asked.count() as u64, affordable);
    assert_eq!(codes.last(), Some(&Code::LedgerUnavailable));
}

#[test]
fn attack_31_an_expired_chain_is_not_believed_though_it_was_verified() {
    let shop = expensive_shop();
    let known = session(&canister(1), 1);
    paid(shop.will(block(1)).settle(&shop.request_by(&known, 1)));
    storage::signatures::with(|expensive| exhaust(expensive, shop.runtime.now()));
    paid(shop.will(block(2)).settle(&shop.request_by(&known, 2)));

    shop.runtime.now.set(NOW.plus(Seconds(3_600)));
    let refusal = shop.refusal(&shop.request_by(&known, 3));
    assert_eq!(refusal.code, Code::Signature);
    assert!(refusal.message.contains("expired"), "{refusal}");
}

#[test]
fn attack_31_forged_chains_for_a_day_leave_the_cycles_to_payments_with_other_keys() {
    let shop = expensive_shop();
    let known = session(&canister(1), 1);
    paid(shop.will(block(1)).settle(&shop.request_by(&known, 1)));
    let floor = storage::config::read().limits.cycles_floor.0;
    // Room for a few payments: a tenth of it pays for thirty chains at 3 cycles an instruction.
    let cycles = floor + 10 * ScriptedRuntime::CALL_COST.0;
    shop.runtime.cycles.set(Cycles(cycles));
    // Five a minute, which the budget of the minute allows.
    let mut verified = 0;
    for n in 0..60 {
        let forged = session(&Forged(canister(100 + n)), n);
        let refusal = shop.refusal(&shop.request_by(&forged, n));
        match refusal.code {
            Code::Signature => verified += 1,
            code => {
                assert_eq!(code, Code::LedgerUnavailable);
                assert!(refusal.message.contains("the day's budget"), "{refusal}");
            }
        }
        if n % 5 == 4 {
            let now = shop.runtime.now.get();
            shop.runtime.now.set(now.plus(Seconds(60)));
        }
    }
    let share = (10 * ScriptedRuntime::CALL_COST.0 / 10 / 3) as u64;
    let chain = KeyKind::Canister.cost() + KeyKind::Ed25519.cost();
    assert_eq!(verified, share.max(BUDGET) / chain);
    // A minute later, new sessions still wait, and no other payer does.
    let waiting = shop.refusal(&shop.request_by(&session(&canister(2), 2), 1));
    assert_eq!(waiting.code, Code::LedgerUnavailable);
    paid(shop.will(block(2)).settle(&shop.request_by(&known, 2)));
    let cheap = shop.request_by(&payer(5), 5);
    paid(shop.will(block(3)).settle(&cheap));
    // More cycles give a larger budget.
    shop.runtime.cycles.set(Cycles(cycles + 1_000_000_000_000));
    let waited = shop.request_by(&session(&canister(2), 2), 2);
    paid(shop.will(block(4)).settle(&waited));
}
