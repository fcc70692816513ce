//! Whatever payers, strangers, the ledger and upgrades do: no money is lost, the merchant gets the price or nothing,
//! and what was bought is there exactly if he has it.

use super::{bank::drive_some, *};
use crate::service::recover::resolve::Outcome;
use proptest::prelude::*;

#[derive(Clone, Copy, Debug)]
enum Act {
    Create(bool),
    Pay(u16),
    Check,
    Return,
    Later(u32),
    Tick,
    /// A check that ends at this await.
    Trap(usize),
    Upgrade,
    Stop(bool),
    Price(bool),
    Forget,
}

fn act() -> impl Strategy<Value = Act> {
    prop_oneof![
        2 => any::<bool>().prop_map(Act::Create),
        4 => prop_oneof![Just(5u16), Just(10_000), Just(10_010), 0..30_000u16].prop_map(Act::Pay),
        4 => Just(Act::Check),
        2 => Just(Act::Return),
        4 => prop_oneof![Just(5u32), Just(61), 0..4_000u32, Just(90_000)].prop_map(Act::Later),
        4 => Just(Act::Tick),
        2 => (0..5usize).prop_map(Act::Trap),
        1 => Just(Act::Upgrade),
        1 => any::<bool>().prop_map(Act::Stop),
        1 => any::<bool>().prop_map(Act::Price),
        1 => Just(Act::Forget),
    ]
}

/// A controller says what became of a payment that was unknown for too long. The ledger has no block log.
fn resolve(shop: &Shop) {
    let payment = view(&shop.runtime, &ID).and_then(|known| known.payment);
    let Some(payment) = payment.filter(|payment| payment.state.is_open()) else {
        return;
    };
    let outcome = match shop.has(merchant()) {
        0 => Outcome::NotMoved,
        _ => Outcome::Moved {
            block: BlockIndex(1_000_000),
        },
    };
    shop.runtime.caller.set(shop.runtime.controller);
    recover::resolve::resolve(&shop.runtime, &payment.id, outcome).unwrap();
}

fn run(acts: Vec<Act>) {
    let shop = shop();
    let mut paid = 0;
    for act in acts {
        match act {
            Act::Create(named) => {
                let _ = create(&shop.runtime, &ID, &shop.terms(named.then(payer)));
            }
            Act::Pay(amount) => {
                shop.pay(amount.into());
                paid += u128::from(amount);
            }
            Act::Check => drop(drive(&shop, check(&shop.runtime, &ID))),
            Act::Return => drop(shop.give_back(Some(payer()))),
            Act::Later(seconds) => drop(shop.later(seconds)),
            Act::Tick => drop(shop.tick()),
            Act::Trap(n) => {
                let mut work = Box::pin(check(&shop.runtime, &ID));
                drive_some(&shop, work.as_mut(), n);
            }
            Act::Upgrade => shop.upgrade(),
            Act::Stop(stopped) => shop.bank.stop(stopped),
            Act::Price(up) => shop.put("/a", if up { 2 * PRICE } else { PRICE }),
            Act::Forget => {
                // Only what has ended makes room.
                if view(&shop.runtime, &ID).is_some_and(|known| known.invoice.stage.has_ended()) {
                    invoices::tests::forget(&ID);
                }
            }
        }
        let merchant = shop.has(merchant());
        assert!([0, PRICE, 2 * PRICE].contains(&merchant));
        let left = shop.has(shop.account()) + shop.has(payer()) + merchant;
        assert_eq!(left + shop.bank.fees(), paid);
    }
    // In the end everything is decided, and what bought nothing goes back.
    shop.bank.stop(false);
    for _ in 0..4 {
        shop.later(90_000).tick();
    }
    resolve(&shop);
    for _ in 0..2 {
        shop.later(90_000).tick();
    }
    let known = view(&shop.runtime, &ID);
    let settled = storage::payments::settled_count();
    assert!(settled <= 1);
    if let Some(known) = known {
        assert!(known.invoice.stage.has_ended(), "{:?}", known.invoice);
    }
    assert_eq!(settled == 1, shop.has(merchant()) > 0);
    // Delivered, or owed back if the retention is over.
    let fetched = drive(&shop, content(&shop.runtime, &ID));
    assert_eq!(settled == 1, fetched.is_some());
    let _ = shop.give_back(Some(payer()));
    assert!(
        shop.has(shop.account()) <= FEE,
        "{}",
        shop.has(shop.account())
    );
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 128, ..ProptestConfig::default() })]
    #[test]
    fn no_money_is_lost_and_the_merchant_gets_the_price_or_nothing(
        acts in prop::collection::vec(act(), 1..30),
    ) {
        apart(move || run(acts));
    }
}
