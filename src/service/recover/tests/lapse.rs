//! Payments from keys without money: what they leave behind after the ledger was stopped.

use super::*;
use crate::{domain::config::Config, storage::liabilities};

pub(super) const HOUR: u32 = 3_600;

fn treasury(shop: &Shop) -> Account {
    Account::from(shop.runtime.canister_id())
}

/// A shop whose payments go to the canister's own account.
pub(super) fn own_shop(with_log: bool) -> Shop {
    let shop = if with_log { shop() } else { pay::tests::shop() };
    liabilities::set_canister(shop.runtime.canister_id());
    let config = Config {
        pay_to: treasury(&shop),
        ..storage::config::read()
    };
    storage::config::write(&config).unwrap();
    shop
}

pub(super) fn held(shop: &Shop) -> u128 {
    let owed = liabilities::owed_by(&ledger(0).id, &treasury(shop));
    owed.held.amount().0
}

/// The refusal of keys without money: some ledgers check the allowance first.
pub(super) fn without_money(n: u8) -> Result<Nat, TransferFromError> {
    let zero = || Nat::from(0u8);
    Err(match n % 2 {
        0 => TransferFromError::InsufficientFunds { balance: zero() },
        _ => TransferFromError::InsufficientAllowance { allowance: zero() },
    })
}

pub(super) fn has_lapsed(shop: &Shop, request: &PaymentRequest) -> bool {
    shop.state(request).has_lapsed()
}

pub(super) fn all_lapsed(shop: &Shop, requests: &[PaymentRequest]) -> bool {
    requests.iter().all(|request| has_lapsed(shop, request))
}

/// The ledger does not answer five payments from keys without money, and refuses them when it runs again.
fn stopped_then_refused(shop: &Shop) -> Vec<PaymentRequest> {
    let requests: Vec<_> = (0..5).map(|n| shop.unknown(n, n)).collect();
    shop.later(5);
    for n in 0..5 {
        shop.will(without_money(n));
    }
    shop.tick();
    assert_eq!(held(shop), 50_000);
    requests
}

/// Moves the time to the last moment at which a ledger may make the transfers.
pub(super) fn to_the_end_of_the_window(shop: &Shop, request: &PaymentRequest) {
    let created = payments::payment(&id(request)).unwrap().created_at;
    shop.runtime.now.set(created.plus(FORGOTTEN));
}

#[test]
fn keys_without_money_leave_nothing_held_after_the_window_without_a_log() {
    let shop = own_shop(false);
    let requests = stopped_then_refused(&shop);
    to_the_end_of_the_window(&shop, &requests[0]);
    shop.tick();
    assert_eq!(held(&shop), 50_000, "the window is not over");
    shop.later(HOUR + 1).tick();
    assert_eq!(held(&shop), 0);
    assert!(all_lapsed(&shop, &requests));
    assert!(
        requests
            .iter()
            .all(|request| is_unknown(&shop.state(request)))
    );
    // As after an upgrade.
    read_again();
    assert_eq!(held(&shop), 0);
    assert!(all_lapsed(&shop, &requests));
}

#[test]
fn keys_without_money_leave_nothing_held_after_the_window_though_the_log_cannot_be_read() {
    let shop = own_shop(true);
    let requests = stopped_then_refused(&shop);
    to_the_end_of_the_window(&shop, &requests[0]);
    shop.later(1);
    unread(&shop);
    assert_eq!(held(&shop), 0);
    assert!(all_lapsed(&shop, &requests));
    // The log decides as soon as it can be read.
    let ours = shop.block(&requests[3]);
    shop.later(2 * HOUR).will_show(1, vec![(0, ours)]);
    shop.tick();
    for (n, request) in requests.iter().enumerate() {
        match shop.state(request) {
            State::Settled {
                tx: TxRef::Block(block),
                ..
            } => assert_eq!((n, block.0), (3, 0)),
            State::Failed { .. } => assert_ne!(n, 3),
            other => panic!("{other:?}"),
        }
    }
    assert_eq!(held(&shop), 10_000, "what moved is owed");
}

/// More payments than one tick handles, all due at the same time.
#[test]
fn many_payments_lapse_together() {
    let shop = own_shop(false);
    // Each payer has a few. The ledger gives fewer unclear answers than it takes for a pause.
    let n = MAX_PER_TICK as u8 + 20;
    for n in 0..n {
        let request = shop.request(n, n);
        shop.will_reject(6).will(without_money(n));
        let _ = shop.settle(&request);
        let _ = shop.settle(&request);
    }
    assert_eq!(held(&shop), 10_000 * u128::from(n));
    shop.later(FORGOTTEN.0);
    shop.tick();
    shop.later(HOUR).tick();
    assert_eq!(held(&shop), 0);
}

#[test]
fn what_was_not_refused_for_want_of_funds_stays_held() {
    let shop = own_shop(false);
    let request = shop.unknown(1, 1);
    // Refused for want of funds once, but a later try may have moved the money.
    shop.later(5).will(without_money(0));
    shop.tick();
    shop.later(10).will_reject(6);
    shop.tick();
    to_the_end_of_the_window(&shop, &request);
    shop.later(HOUR).tick();
    shop.later(HOUR).tick();
    assert!(is_unknown(&shop.state(&request)) && !has_lapsed(&shop, &request));
    assert_eq!(held(&shop), 10_000);
}

/// None of these tries moved money either, so the lack of funds stays proved.
#[test]
fn want_of_funds_stays_known_while_later_tries_are_refused_too() {
    let shop = own_shop(false);
    let request = shop.unknown(1, 1);
    shop.later(5).will(without_money(0));
    shop.tick();
    let expected_fee = Nat::from(25u8);
    shop.later(10)
        .will(Err(TransferFromError::BadFee { expected_fee }));
    shop.tick();
    shop.later(20).will_reject(2);
    shop.tick();
    shop.later(40)
        .will(Err(TransferFromError::TemporarilyUnavailable));
    shop.tick();
    assert_eq!(shop.runtime.made(), 5);
    to_the_end_of_the_window(&shop, &request);
    shop.later(HOUR).tick();
    assert!(has_lapsed(&shop, &request));
    assert_eq!(held(&shop), 0);
}

#[test]
fn an_upgrade_between_tries_changes_nothing_and_one_during_a_try_does() {
    for during in [false, true] {
        std::thread::spawn(move || {
            let shop = own_shop(false);
            let request = shop.unknown(1, 1);
            shop.later(5).will(without_money(1));
            shop.tick();
            shop.later(10);
            if during {
                shop.runtime.leave_waiting(tick(&shop.runtime));
            }
            shop.upgrade();
            to_the_end_of_the_window(&shop, &request);
            shop.later(HOUR).tick();
            assert_eq!(has_lapsed(&shop, &request), !during);
        })
        .join()
        .unwrap();
    }
}

/// The canister was frozen for longer than the ledger can make the transfer and content is kept.
#[test]
fn the_log_is_read_before_anything_lapses() {
    let shop = own_shop(true);
    let requests = stopped_then_refused(&shop);
    shop.stock(b"other goods");
    let ours = shop.block(&requests[3]);
    shop.later(FORGOTTEN.0 + storage::config::read().limits.retention.0);
    shop.runtime.hold.set(true);
    let mut waiting = Box::pin(tick(&shop.runtime));
    assert!(poll(waiting.as_mut()).is_pending());
    assert!(!requests.iter().any(|request| has_lapsed(&shop, request)));
    assert_eq!(held(&shop), 50_000);
    shop.will_show(1, vec![(0, ours)]);
    assert!(poll(waiting.as_mut()).is_ready());
    shop.runtime.hold.set(false);
    assert_eq!(settled_in(&shop.state(&requests[3])), Some(0));
    retention::sweep(&shop.runtime);
    assert_eq!(shop.fetch(&requests[3]), b"goods");
}

/// Lets the last reading fail before the payments lapse.
pub(super) fn unread(shop: &Shop) {
    for _ in 0..READINGS {
        assert!(held(shop) > 0);
        shop.will_reject(5).tick();
        shop.later(HOUR);
    }
}

/// The ledger is stopped for the time of two readings. The first is right after the window.
#[test]
fn attack_42_nothing_lapses_because_a_log_could_not_be_read_for_a_while() {
    let shop = own_shop(true);
    let requests = stopped_then_refused(&shop);
    let ours = shop.block(&requests[3]);
    to_the_end_of_the_window(&shop, &requests[0]);
    shop.later(1);
    for _ in 1..READINGS {
        shop.will_reject(5).tick();
        assert!(!requests.iter().any(|request| has_lapsed(&shop, request)));
        assert_eq!(held(&shop), 50_000);
        shop.later(HOUR);
    }
    shop.will_show(1, vec![(0, ours)]).tick();
    assert_eq!(settled_in(&shop.state(&requests[3])), Some(0));
    assert_eq!(held(&shop), 10_000);
}

/// Serves one tick with as many pages of this log as it may read.
fn read_some(shop: &Shop, served: &mut u64, length: u64) {
    for _ in 0..MAX_CALLS {
        let page = *served..(*served + 100).min(length);
        *served = page.end;
        if !page.is_empty() {
            shop.will_show(length, page.map(|n| (n, other_block(NOW))).collect());
        }
    }
    shop.tick();
}

#[test]
fn nothing_lapses_while_there_is_more_of_the_log_to_read() {
    let shop = own_shop(true);
    let requests = stopped_then_refused(&shop);
    let any_lapsed = || requests.iter().any(|request| has_lapsed(&shop, request));
    let ours = shop.block(&requests[3]);
    to_the_end_of_the_window(&shop, &requests[0]);
    shop.later(1);
    let mut served = 0;
    for _ in 0..2 {
        read_some(&shop, &mut served, 1_601);
        assert!(!any_lapsed(), "{served} blocks are read");
        assert_eq!(held(&shop), 50_000);
        shop.later(TURN.0);
    }
    shop.will_show(1_601, vec![(1_600, ours)]);
    shop.tick();
    assert_eq!(settled_in(&shop.state(&requests[3])), Some(1_600));
    assert_eq!(held(&shop), 10_000);
}

/// The log lacks a block that the ledger named.
#[test]
fn payments_lapse_when_a_log_is_read_that_proves_nothing() {
    let shop = own_shop(true);
    let requests = stopped_then_refused(&shop);
    storage::claims::acknowledge(&ledger(0).id, BlockIndex(5_000));
    to_the_end_of_the_window(&shop, &requests[0]);
    shop.later(1);
    let mut served = 0;
    read_some(&shop, &mut served, 900);
    assert_eq!(held(&shop), 50_000);
    shop.later(TURN.0);
    read_some(&shop, &mut served, 900);
    for _ in 1..READINGS {
        assert_eq!(held(&shop), 50_000);
        shop.later(HOUR).will_show(900, vec![]).tick();
    }
    assert!(all_lapsed(&shop, &requests));
    assert_eq!(held(&shop), 0);
}

/// A ledger that checks the balance before it looks for duplicates.
#[test]
fn a_repetition_that_lacks_funds_because_the_first_took_them_is_found_in_the_log() {
    let shop = own_shop(true);
    let request = shop.unknown(1, 1);
    let ours = shop.block(&request);
    shop.later(5).will(without_money(0));
    shop.tick();
    shop.later(10).will_show(1, vec![(0, ours)]);
    shop.tick();
    assert_eq!(settled_in(&shop.state(&request)), Some(0));
    assert_eq!(held(&shop), 10_000);
}

#[test]
fn want_of_funds_is_a_clear_answer_of_the_ledger() {
    let shop = own_shop(false);
    for n in 0..MAX_DOUBTS as u8 {
        shop.unknown(n, n);
    }
    let health = || storage::payments::load(&Principal::anonymous(), &ledger(0).id, NOW).ledger;
    assert_eq!(health().doubts, MAX_DOUBTS);
    shop.later(5).will(without_money(0));
    shop.tick();
    assert_eq!(health().doubts, 0);
    // The system reports that a call was not delivered, whatever the ledger answered before.
    for n in 100..100 + MAX_DOUBTS as u8 {
        shop.unknown(n, n);
    }
    assert_eq!(health().doubts, MAX_DOUBTS);
    shop.later(10).will_reject(2);
    shop.tick();
    assert_eq!(health().doubts, MAX_DOUBTS);
}
