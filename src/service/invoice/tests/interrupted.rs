//! A message that ends at every await: by a trap, or by an upgrade that replaces the code, before or after the ledger
//! did what it was asked for.

use super::{
    bank::{drive_some, reject},
    *,
};
use std::pin::Pin;

/// How a message ends.
#[derive(Clone, Copy, Debug)]
enum End {
    /// The code after the await traps.
    Trap,
    /// Neither the answer nor a cleanup arrives.
    Upgrade,
    /// The answer is that of a system that does not know.
    Unknown,
}

/// Runs the check of an invoice until it waits for the n-th call, and ends it there. Returns whether there was such a
/// call.
fn interrupt(shop: &Shop, n: usize, executes: bool, end: End) -> bool {
    let mut work: Pin<Box<_>> = Box::pin(check(&shop.runtime, &ID));
    let waits = drive_some(shop, work.as_mut(), n).is_none();
    if waits {
        end_it(shop, work, executes, end);
    }
    waits
}

/// Ends work that waits for a call, which the ledger executes if `executes`.
fn end_it(shop: &Shop, work: Pin<Box<impl Future>>, executes: bool, end: End) {
    let call = shop.runtime.calls.borrow().last().cloned().unwrap();
    if executes {
        shop.bank.answer(&call, shop.runtime.canister_id());
    }
    match end {
        End::Trap => drop(work),
        End::Upgrade => {
            std::mem::forget(work);
            shop.upgrade();
        }
        End::Unknown => {
            shop.runtime.will(reject(6));
            drive(shop, work);
        }
    }
}

/// The transfer to the merchant, and the return of what was too much, interrupted at this await. Returns whether there
/// was one.
fn survives(n: usize, executes: bool, end: End) -> bool {
    let shop = shop();
    shop.create(Some(payer()));
    shop.pay(PRICE + FEE + 700);
    let interrupted = interrupt(&shop, n, executes, end);
    for seconds in [700, 700, 4_000, 4_000, 90_000, 90_000] {
        shop.later(seconds).tick();
    }
    let what = format!("{end:?}, executed: {executes}, await {n}");
    assert_eq!(shop.stage(), Stage::Paid, "{what}");
    assert_eq!(shop.has(merchant()), PRICE, "{what}");
    assert_eq!(shop.has(payer()), 700 - FEE, "{what}");
    assert_eq!(shop.has(shop.account()), 0, "{what}");
    assert_eq!(shop.fetch().unwrap().body, b"goods", "{what}");
    assert_eq!(storage::payments::settled_count(), 1, "{what}");
    interrupted
}

#[test]
fn attack_a_sweep_that_is_interrupted_at_every_await_is_made_once() {
    for end in [End::Trap, End::Upgrade, End::Unknown] {
        for executes in [false, true] {
            apart(move || {
                let awaits = (0..20).take_while(|n| {
                    let n = *n;
                    let of_thread = std::thread::spawn(move || survives(n, executes, end));
                    of_thread.join().expect("it survives")
                });
                assert_eq!(awaits.count(), 2, "the balance and the transfer");
            });
        }
    }
}

/// The return by itself, interrupted at this await of the timer's work.
fn returns_once(n: usize, executes: bool, end: End) -> bool {
    let shop = shop();
    shop.create(Some(payer()));
    shop.pay(700);
    shop.expire().check();
    assert_eq!(shop.stage(), Stage::Short);
    let mut work: Pin<Box<_>> = Box::pin(recover::tick(&shop.runtime));
    let interrupted = drive_some(&shop, work.as_mut(), n).is_none();
    if interrupted {
        end_it(&shop, work, executes, end);
    }
    for seconds in [700, 700, 4_000, 90_000, 90_000] {
        shop.later(seconds).tick();
    }
    let what = format!("{end:?}, executed: {executes}, await {n}");
    assert_eq!(
        (shop.has(payer()), shop.has(shop.account())),
        (700 - FEE, 0),
        "{what}"
    );
    interrupted
}

#[test]
fn attack_a_return_that_is_interrupted_at_every_await_is_made_once() {
    for end in [End::Trap, End::Upgrade, End::Unknown] {
        for executes in [false, true] {
            apart(move || {
                let awaits = (0..20).take_while(|n| {
                    let n = *n;
                    let of_thread = std::thread::spawn(move || returns_once(n, executes, end));
                    of_thread.join().expect("it survives")
                });
                assert_eq!(awaits.count(), 2, "the balance and the transfer");
            });
        }
    }
}
