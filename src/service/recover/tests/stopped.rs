//! Payments from keys without money while a ledger is stopped. They are never sent again: the ledger runs again when
//! their authorizations have expired.

use super::{
    lapse::{
        HOUR, all_lapsed, has_lapsed, held, own_shop, to_the_end_of_the_window, unread,
        without_money,
    },
    *,
};
use crate::domain::{
    capacity::{MAX_LAPSED_PER_LEDGER, MAX_OPEN_PER_LEDGER},
    settlement::CallOutcome,
};

/// The reject code of the system for a canister that is stopped or traps.
const STOPPED: u32 = 5;
/// The reject code of a canister that rejects.
const REJECTED: u32 = 4;
/// The reject code of the system for an unknown outcome.
const UNKNOWN: u32 = 6;

impl Shop {
    /// A payment whose first call was rejected with this code.
    pub(super) fn rejected(&self, payer: u8, nonce: u8, code: u32) -> PaymentRequest {
        let request = self.request(payer, nonce);
        self.will_reject(code);
        let _ = self.settle(&request);
        assert!(is_unknown(&self.state(&request)));
        request
    }
}

fn while_stopped(shop: &Shop) -> Vec<PaymentRequest> {
    let requests: Vec<_> = (0..5).map(|n| shop.rejected(n, n, STOPPED)).collect();
    assert_eq!(held(shop), 50_000);
    requests
}

#[test]
fn keys_that_pay_while_a_ledger_is_stopped_leave_nothing_held_after_the_window_without_a_log() {
    let shop = own_shop(false);
    let requests = while_stopped(&shop);
    shop.after_expiry().tick();
    to_the_end_of_the_window(&shop, &requests[0]);
    shop.tick();
    assert_eq!(held(&shop), 50_000, "the window is not over");
    shop.later(1).tick();
    assert_eq!(held(&shop), 0);
    assert!(all_lapsed(&shop, &requests));
    assert_eq!(shop.runtime.made(), 5, "they were never sent again");
}

#[test]
fn keys_that_pay_while_a_ledger_is_stopped_leave_nothing_held_though_the_log_cannot_be_read() {
    let shop = own_shop(true);
    let requests = while_stopped(&shop);
    to_the_end_of_the_window(&shop, &requests[0]);
    shop.will_reject(STOPPED).tick();
    assert_eq!(held(&shop), 50_000, "the window is not over");
    shop.later(HOUR);
    unread(&shop);
    assert_eq!(held(&shop), 0);
    assert!(all_lapsed(&shop, &requests));
}

/// The ledger made the transfer, and trapped while answering.
#[test]
fn what_has_lapsed_is_owed_when_it_is_found_in_the_log() {
    let shop = own_shop(true);
    let requests = while_stopped(&shop);
    let ours = shop.block(&requests[3]);
    to_the_end_of_the_window(&shop, &requests[0]);
    shop.later(1);
    unread(&shop);
    assert_eq!(held(&shop), 0);
    shop.later(2 * HOUR).will_show(1, vec![(0, ours)]).tick();
    assert_eq!(settled_in(&shop.state(&requests[3])), Some(0));
    assert_eq!(held(&shop), 10_000, "what moved is owed");
    assert_eq!(shop.fetch(&requests[3]), b"goods");
}

/// Errors of the ledger and refusals in any order: no try has an unknown outcome.
#[test]
fn errors_of_the_ledger_and_all_refusals_are_failed_tries() {
    let shop = own_shop(false);
    let request = shop.rejected(1, 1, REJECTED);
    let expected_fee = Nat::from(25u8);
    shop.later(5)
        .will(Err(TransferFromError::BadFee { expected_fee }));
    shop.tick();
    shop.later(10).will_reject(STOPPED).tick();
    shop.later(20).will_reject(2).tick();
    shop.later(40).will_reject(REJECTED).tick();
    assert_eq!(shop.runtime.made(), 5);
    to_the_end_of_the_window(&shop, &request);
    shop.later(HOUR).tick();
    assert!(has_lapsed(&shop, &request));
}

/// Any other answer, to any try, may have been a transfer.
#[test]
fn what_was_answered_unclearly_once_stays_held() {
    let unreadable = || CallOutcome::Reply(b"no candid".to_vec());
    let rejected = |code| {
        let message = String::new();
        CallOutcome::Rejected { code, message }
    };
    let unclear = [rejected(UNKNOWN), rejected(7), unreadable()];
    for (n, unclear) in (1..).zip(unclear) {
        for first in [true, false] {
            let unclear = unclear.clone();
            let thread = std::thread::spawn(move || {
                let shop = own_shop(false);
                let request = shop.request(n, n);
                let mut tries = [rejected(STOPPED), unclear, rejected(REJECTED)];
                if first {
                    tries.swap(0, 1);
                }
                let [one, two, three] = tries;
                shop.runtime.will(one);
                let _ = shop.settle(&request);
                shop.runtime.will(two);
                shop.later(5).tick();
                shop.runtime.will(three);
                shop.later(10).tick();
                assert_eq!(shop.runtime.made(), 3);
                to_the_end_of_the_window(&shop, &request);
                shop.later(HOUR).tick();
                assert!(is_unknown(&shop.state(&request)) && !has_lapsed(&shop, &request));
                assert_eq!(held(&shop), 10_000);
            });
            thread.join().unwrap();
        }
    }
}

/// The lack of funds is proved from then on, whatever the first try did.
#[test]
fn an_error_after_want_of_funds_is_a_failed_try_too() {
    let shop = own_shop(false);
    let request = shop.rejected(1, 1, UNKNOWN);
    shop.later(5).will(without_money(0)).tick();
    shop.later(10).will_reject(STOPPED).tick();
    to_the_end_of_the_window(&shop, &request);
    shop.later(HOUR).tick();
    assert!(has_lapsed(&shop, &request));
}

#[test]
fn failed_tries_are_known_after_an_upgrade_but_not_one_that_it_interrupted() {
    for during in [false, true] {
        let thread = std::thread::spawn(move || {
            let shop = own_shop(false);
            let request = shop.rejected(1, 1, STOPPED);
            shop.later(5);
            if during {
                shop.runtime.leave_waiting(tick(&shop.runtime));
            }
            shop.upgrade();
            to_the_end_of_the_window(&shop, &request);
            shop.later(HOUR).tick();
            assert_eq!(has_lapsed(&shop, &request), !during);
        });
        thread.join().unwrap();
    }
}

/// So many payments in the shop's ledger, each from another payer, that a stopped ledger left behind.
fn left_behind(shop: &Shop, like: &PaymentRequest, numbers: std::ops::Range<u32>) {
    let template = payments::payment(&id(like)).unwrap();
    for n in numbers {
        let (key, mut payment) = (key_of(n), template.clone());
        payment.id.0[..4].copy_from_slice(&n.to_be_bytes());
        payment.from = Account::from(Principal::from_slice(&n.to_be_bytes()));
        let new = storage::payments::NewPayment {
            payment,
            valid_before: shop.runtime.now().seconds() + 200,
            known_block: None,
        };
        let now = shop.runtime.now();
        let open = Change::Open(Box::new(new));
        storage::payments::record(&key, open, now).unwrap();
        let doubt = Change::Event(Event::InDoubt(Doubt::LedgerError));
        storage::payments::record(&key, doubt, now).unwrap();
    }
}

fn key_of(n: u32) -> ClaimKey {
    let mut key = [0xee; 16];
    key[..4].copy_from_slice(&n.to_be_bytes());
    ClaimKey(key)
}

fn lapsed(numbers: std::ops::Range<u32>) -> usize {
    let state = |n| storage::payments::by_key(&key_of(n)).unwrap().state;
    numbers.filter(|n| state(*n).has_lapsed()).count()
}

#[test]
fn what_has_lapsed_keeps_no_new_payer_out() {
    let shop = own_shop(false);
    let first = shop.rejected(1, 1, STOPPED);
    left_behind(&shop, &first, 1..MAX_OPEN_PER_LEDGER);
    let load = || {
        let payer = payments::payment(&id(&first)).unwrap().from.owner;
        storage::payments::load(&payer, &ledger(0).id, shop.runtime.now())
    };
    let full = load();
    assert_eq!(full.open_of_ledger, MAX_OPEN_PER_LEDGER);
    assert_eq!((full.open_of_payer, full.lapsed), (1, 0));
    shop.later(FORGOTTEN.0).tick();
    for _ in 0..2 {
        let free = load();
        assert_eq!(
            (free.open, free.open_of_ledger, free.open_of_payer),
            (0, 0, 0)
        );
        assert_eq!(free.lapsed, u64::from(MAX_OPEN_PER_LEDGER));
        storage::payments::tests::reload();
    }
    assert_eq!(held(&shop), 0);
    let new = shop.request(9, 9);
    shop.will(Ok(Nat::from(3u8)));
    assert_eq!(shop.fetch(&new), b"goods");
}

#[test]
fn only_so_many_payments_lapse_and_the_others_stay_held() {
    let shop = own_shop(false);
    let first = shop.rejected(1, 1, STOPPED);
    let all = 1..MAX_LAPSED_PER_LEDGER + 5;
    left_behind(&shop, &first, all.clone());
    shop.later(FORGOTTEN.0).tick();
    shop.tick();
    let bound = MAX_LAPSED_PER_LEDGER as usize;
    let of_first = || usize::from(has_lapsed(&shop, &first));
    assert_eq!(lapsed(all.clone()) + of_first(), bound);
    assert_eq!(held(&shop), 50_000);
    let load = || storage::payments::load(&Principal::anonymous(), &ledger(0).id, NOW);
    assert_eq!(load().open_of_ledger, 5);
    // A controller decides about some of them, and others take their places.
    let mut ended = 0;
    for n in all.clone().filter(|n| lapsed(*n..*n + 1) == 1).take(3) {
        let failure = failure("a controller says so");
        let change = Change::Event(Event::ResolvedNotMoved(failure));
        storage::payments::record(&key_of(n), change, shop.runtime.now()).unwrap();
        ended += 1;
    }
    shop.later(Seconds::DAY.0).tick();
    assert_eq!(held(&shop), 50_000 - 10_000 * ended);
    assert_eq!(load().lapsed, bound as u64);
}

/// Only a controller can decide, unless the ledger gets a log.
#[test]
fn what_has_lapsed_is_looked_at_once_a_day_where_there_is_no_log() {
    let shop = own_shop(false);
    let first = shop.rejected(1, 1, STOPPED);
    left_behind(&shop, &first, 1..300);
    let mut wakings = 0;
    let end = shop.runtime.now().plus(Seconds(5 * 86_400));
    shop.later(FORGOTTEN.0).tick();
    assert_eq!(lapsed(1..300), 299);
    while let Some(at) = shop.runtime.woken.get().filter(|at| *at < end) {
        shop.runtime.now.set(at.max(shop.runtime.now()));
        shop.tick();
        wakings += 1;
    }
    assert!(wakings <= 4, "{wakings} wakings in four days");
    assert_eq!(shop.runtime.made(), 1, "and no call is made");
}
